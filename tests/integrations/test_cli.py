"""The command line as a whole: start-up, help, errors, output."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from synaptoroute_core import BundledEncoder, EncoderError, HashingEncoder, Route, SqliteStore, StorageError
from synaptoroute_core.changes import PutRoutes
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.escaping import visible

COMMANDS = (
    "demo",
    "route",
    "route-file",
    "add",
    "remove",
    "list",
    "fit",
    "calibrate",
    "undo-fit",
    "evaluate",
    "audit",
    "suggest",
)


def run(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "synaptoroute_integrations", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"COLUMNS": "80"} | environment,
        stdin=subprocess.DEVNULL,
        timeout=100,
        check=False,
    )


@pytest.fixture
def routes(tmp_path):
    path = tmp_path / "routes.json"
    entries = [{"name": "refund", "utterances": ["money back"]}, {"name": "parcel", "utterances": ["where is it"]}]
    path.write_text(json.dumps(entries))
    return str(path)


def test_the_version_is_that_of_the_distribution():
    done = run("--version")
    assert (done.returncode, done.stdout.split()) == (
        0,
        ["synaptoroute-integrations", version("synaptoroute-integrations")],
    )


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_fits_80_columns(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage: synaptoroute" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_help_names_all_commands_and_the_exit_codes():
    shown = run("--help").stdout
    assert [name for name in COMMANDS if f" {name} " not in shown] == []
    assert "Exit codes" in shown


def loaded_after(modules, *arguments):
    """Which of the modules a command has loaded when it ends."""
    program = (
        "import sys, atexit\n"
        "from synaptoroute_integrations.cli import main\n"
        f"atexit.register(lambda: print('loaded:', *(name for name in {modules!r} if name in sys.modules)))\n"
        f"sys.argv = ['synaptoroute', *{arguments!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("arguments", [["--help"], ["route", "--help"], ["--version"]])
def test_help_waits_for_neither_engine_nor_numpy(arguments):
    assert loaded_after(["numpy", "synaptoroute_core"], *arguments) == []


def test_listing_and_removing_load_no_model(tmp_path, routes):
    db = str(tmp_path / "routes.sqlite")
    assert run("add", "--from", routes, "--db", db).returncode == 0
    for arguments in (["list", "--db", db], ["list", "--routes", routes], ["remove", "refund", "--db", db]):
        assert loaded_after(["onnxruntime", "tokenizers", "fastembed"], *arguments) == []


MISTAKES = [
    (["route", "x"], ["--db", "--routes"]),
    (["list"], ["--db", "--routes"]),
    (["evaluate", "--test", "ROUTES"], ["--db", "--routes"]),
    (["add", "a", "x"], ["--db"]),
    (["remove", "a"], ["--db"]),
    (["add", "a", "x", "--db", ":memory:"], [":memory:", "--db"]),
    (["route", "x", "--db", "nowhere.sqlite"], ["nowhere.sqlite"]),
    (["list", "--db", "nowhere.sqlite"], ["nowhere.sqlite"]),
    (["remove", "a", "--db", "nowhere.sqlite"], ["nowhere.sqlite"]),
    (["route", "x", "--routes", "nowhere.yaml"], ["nowhere.yaml"]),
    (["route", "x", "--routes", "ROUTES", "--threshold", "2"], ["threshold", "2"]),
    (["route", "x", "--routes", "ROUTES", "--threshold", "nan"], ["threshold", "nan"]),
    (["route", "x", "--routes", "ROUTES", "--min-margin", "-1"], ["min_margin", "-1"]),
    (["route", "x", "--routes", "ROUTES", "--encoder", "no/such-model"], ["no/such-model"]),
    (["route", "x", "--routes", "ROUTES", "--allowed", "refnd"], ["refnd", "refund"]),
    (["list", "refnd", "--routes", "ROUTES"], ["refnd", "refund"]),
    (["add", "two words", "x", "--db", "new.sqlite"], ["two words"]),
    (["add", "a", "--db", "new.sqlite"], ["utterance"]),
    (["add", "a", " ", "--db", "new.sqlite"], ["blank"]),
    (["add", "a", "x", "--threshold", "7", "--db", "new.sqlite"], ["threshold", "7"]),
    (["add", "--db", "new.sqlite"], ["NAME", "--from"]),
    (["add", "a", "--from", "ROUTES", "--db", "new.sqlite"], ["--from", "NAME"]),
    (["fit"], ["--db"]),
    (["fit", "--db", "nowhere.sqlite"], ["nowhere.sqlite"]),
    (["calibrate", "--db", "nowhere.sqlite", "--examples", "nowhere.csv"], ["nowhere.csv"]),
    (["undo-fit", "--db", "nowhere.sqlite"], ["nowhere.sqlite"]),
    (["list", "--store", "nowhere.sqlite"], ["nowhere.sqlite"]),
    (["list", "--store", "mysql://db/routes"], ["mysql", "postgresql://", "redis://"]),
]


@pytest.mark.parametrize(("arguments", "named"), MISTAKES)
def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2(arguments, named, routes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [routes if argument == "ROUTES" else argument for argument in arguments])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert [name for name in named if name not in done.stderr] == []
    assert not list(tmp_path.glob("*.sqlite"))


def test_every_command_takes_the_store_by_both_names():
    commands = typer.main.get_command(app).commands.values()
    named = [each.opts for command in commands for each in command.params if each.name == "db"]
    assert len(named) > 8
    assert all(names == ["--db", "--store"] for names in named)


@pytest.mark.parametrize("arguments", [["rout"], ["route"], ["route", "x", "--threshold", "much"], ["list", "--nope"]])
def test_wrong_usage_is_exit_code_2_without_output(arguments):
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


def test_a_store_that_is_no_database_is_exit_code_3(tmp_path):
    path = tmp_path / "routes.sqlite"
    path.write_bytes(b"this is no database, but long enough to be looked at " * 50)
    for arguments in (["list"], ["route", "x"], ["add", "a", "x"], ["remove", "a"]):
        done = run(*arguments, "--db", str(path))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
        assert done.stderr.startswith("error: ")


def test_a_store_that_cannot_be_written_is_exit_code_3_and_stays_as_it_was(tmp_path, routes, monkeypatch):
    db = str(tmp_path / "routes.sqlite")
    assert CliRunner().invoke(app, ["add", "--from", routes, "--db", db]).exit_code == 0

    def fail(*_):
        raise StorageError("the disk is full")

    with monkeypatch.context() as fault:
        fault.setattr(SqliteStore, "commit", fail)
        done = CliRunner().invoke(app, ["add", "other", "x", "--db", db])
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "error: the disk is full\n")
    listed = CliRunner().invoke(app, ["list", "--db", db, "--json"])
    assert [json.loads(line)["name"] for line in listed.stdout.splitlines()] == ["refund", "parcel"]


def test_a_model_that_fails_is_exit_code_3(routes, monkeypatch):
    def fail(*_):
        raise EncoderError("the model file is damaged")

    monkeypatch.setattr(BundledEncoder, "encode", fail)
    done = CliRunner().invoke(app, ["route", "x", "--routes", routes])
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "error: the model file is damaged\n")


def test_a_defect_of_the_program_is_not_passed_off_as_a_mistake_of_the_user(routes, monkeypatch):
    monkeypatch.setattr(BundledEncoder, "__init__", lambda *_: 1 / 0)
    done = CliRunner().invoke(app, ["route", "x", "--routes", routes])
    assert isinstance(done.exception, ZeroDivisionError)


@pytest.fixture
def foreign_db(tmp_path):
    """A store whose vectors another encoder made."""
    from synaptoroute_core import AdaptiveRouter

    path = tmp_path / "foreign.sqlite"
    with AdaptiveRouter([Route("refund", ["money back", "refund me"])], encoder=HashingEncoder(), store=path):
        return str(path)


def fingerprint(db):
    store = SqliteStore(db)
    try:
        return store.read(0).fingerprint
    finally:
        store.close()


def test_a_store_of_another_encoder_is_not_rewritten_unless_told_to(foreign_db):
    """A command that only asks must not replace all vectors by those of its default model."""
    before = fingerprint(foreign_db)
    for arguments in (["route", "money back"], ["add", "refund", "my money"]):
        done = CliRunner().invoke(app, [*arguments, "--db", foreign_db])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--encoder" in done.stderr
        assert "--reencode" in done.stderr
    assert fingerprint(foreign_db) == before
    assert CliRunner().invoke(app, ["route", "money back", "--db", foreign_db, "--reencode"]).exit_code == 0
    assert fingerprint(foreign_db) != before


def test_listing_and_removing_work_whichever_encoder_made_the_store(foreign_db):
    before = fingerprint(foreign_db)
    assert CliRunner().invoke(app, ["list", "--db", foreign_db]).exit_code == 0
    removal = ["remove", "refund", "--utterance", "refund me", "--db", foreign_db]
    assert CliRunner().invoke(app, removal).exit_code == 0
    store = SqliteStore(foreign_db)
    change, _ = store.read(0).changes
    store.close()
    assert isinstance(change, PutRoutes)
    assert change.routes[0].route.utterances == ("money back",)
    assert fingerprint(foreign_db) == before


def test_without_a_terminal_there_are_no_colours(routes):
    for arguments in (["route", "money back", "--explain"], ["list"]):
        done = run(*arguments, "--routes", routes)
        assert "\x1b" not in done.stdout + done.stderr


def test_colours_are_left_out_when_no_color_says_so(routes):
    coloured = run("route", "money back", "--routes", routes, FORCE_COLOR="1")
    assert "\x1b[32m" in coloured.stdout  # green
    plain = run("route", "money back", "--routes", routes, FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[32m" not in plain.stdout


def test_a_terminal_encoding_without_our_signs_is_no_reason_to_fail(routes):
    """A program that prints a tick to a pipe in a legacy code page must not die of it."""
    for encoding in ("ascii", "cp1252"):
        for arguments in (["route", "Grüße ✓ 你好", "--routes", routes], ["evaluate", "--help"]):
            done = run(*arguments, PYTHONIOENCODING=encoding)
            assert done.returncode in {0, 1}
            assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: Grüße 你好 👩‍👩‍👧", "plain: Grüße 你好 👩‍👩‍👧"),
        ("two\r\nlines\tand a tab", "two  lines and a tab"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m \x07 \x7f", r"\x9b31m \x07 \x7f"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_would_act_on_a_terminal_is_written_out(text, shown):
    assert visible(text) == shown
