"""``synaptoroute route-file``."""

import json
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, Route, save_routes
from synaptoroute_integrations.cli.commands import app

ROUTES = (
    Route("refund", ["I want my money back", "please refund me"]),
    Route("parcel", ["where is my parcel", "track my delivery"]),
)
TEXTS = ["I'd like my money back", "where's my parcel", "what is the capital of Mongolia", "refund"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with routes, a store and a file of texts."""
    monkeypatch.chdir(tmp_path)
    save_routes("routes.yaml", ROUTES)
    pa.parquet.write_table(pa.table({"text": TEXTS}), "in.parquet")
    return tmp_path


@pytest.fixture
def store(files, bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled, store="routes.sqlite") as router:
        yield router


def run(*arguments):
    return CliRunner().invoke(app, ["route-file", *arguments])


def column(path, name="route"):
    return pa.parquet.read_table(path).column(name).to_pylist()


def test_a_file_gets_the_decisions_of_the_store(store, files):
    done = run("in.parquet", "out.parquet", "--db", "routes.sqlite", "--with-revision")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "wrote 4 rows to out.parquet"
    decisions = store.route_batch(TEXTS)
    assert column("out.parquet") == [decision.route for decision in decisions]
    assert column("out.parquet", "score") == [decision.score for decision in decisions]
    assert set(column("out.parquet", "revision")) == {store.revision}


def test_a_route_file_will_do_and_json_counts_the_outcomes(files):
    done = run(
        "in.parquet", "out.csv", "--routes", "routes.yaml", "--json", "--allowed", "refund", "--threshold", "0.3"
    )
    report = json.loads(done.stdout)
    assert (done.exit_code, report["rows"], report["resumed"], report["errors"]) == (0, 4, 0, 0)
    assert report["matched"] == report["reasons"]["matched"] == 2
    assert (files / "out.csv").read_text().count("refund") >= 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["in.parquet", "out.parquet"], "--db"),
        (["in.parquet", "out.parquet", "--db", "nowhere.sqlite"], "nowhere.sqlite"),
        (["nowhere.csv", "out.parquet", "--routes", "routes.yaml"], "nowhere.csv"),
        (["in.parquet", "out.parquet", "--routes", "routes.yaml", "--text", "query"], "query"),
        (["in.parquet", "in.parquet", "--routes", "routes.yaml"], "in.parquet"),
        (["in.parquet", "out.parquet", "--routes", "routes.yaml", "--workers", "0"], "workers"),
        (["in.parquet", "out.parquet", "--routes", "routes.yaml", "--allowed", "refnd"], "refnd"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2(arguments, named, files):
    before = sorted(files.iterdir())
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert named in done.stderr
    assert sorted(files.iterdir()) == before


def test_a_text_that_cannot_be_used_ends_the_run_or_is_kept(files):
    pa.parquet.write_table(pa.table({"text": [TEXTS[0], None]}), "in.parquet")
    done = run("in.parquet", "out.parquet", "--routes", "routes.yaml")
    assert done.exit_code == 2
    assert "--errors keep" in done.stderr
    done = run("in.parquet", "out.parquet", "--routes", "routes.yaml", "--errors", "keep")
    assert (done.exit_code, column("out.parquet"), column("out.parquet", "error")) == (
        0,
        ["refund", None],
        [None, "the text is missing"],
    )
    assert "with an error" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_an_interrupt_says_that_what_is_done_is_kept_and_the_same_command_goes_on(files, interruptible):
    pa.parquet.write_table(pa.table({"text": [f"{TEXTS[0]} {number}" for number in range(600)]}), "in.parquet")
    command = [sys.executable, "-m", "synaptoroute_integrations", "route-file", "in.parquet", "out.parquet"]
    command += ["--routes", "routes.yaml", "--part-rows", "50"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (files / "out.parquet.parts" / "part-00000001.parquet").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on with it" in shown
    pa.parquet.write_table(pa.table({"text": TEXTS}), "other.parquet")
    refused = run("other.parquet", "out.parquet", "--routes", "routes.yaml", "--part-rows", "50")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    done = run("in.parquet", "out.parquet", "--routes", "routes.yaml", "--part-rows", "50")
    assert done.exit_code == 0
    assert "by an earlier run" in done.stdout


def test_without_its_extra_the_command_says_how_to_install_it(files):
    program = (
        "import sys; sys.modules['pyarrow'] = None; from synaptoroute_integrations.cli import main;"
        "sys.argv = 'synaptoroute route-file in.parquet out.parquet --routes routes.yaml'.split(); main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert done.stderr == "error: pyarrow is not installed: pip install 'synaptoroute-integrations[bulk]'\n"


def test_help_fits_80_columns(files):
    done = CliRunner().invoke(app, ["route-file", "--help"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
