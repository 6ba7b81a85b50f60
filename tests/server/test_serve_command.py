"""``synaptoroute serve`` as a command: what it refuses, with which words and exit code, and what it accepts."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from launched import Launch, connect, free_port, get, launch, launch_serve  # noqa: F401  # fixtures among them
from typer.testing import CliRunner

import synaptoroute_integrations
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_integrations.cli.commands import app

ROUTES = str(Path(synaptoroute_integrations.__file__).parent / "samples" / "support_routes.yaml")
BAD_INPUT, FAILED = 2, 3
HASH = "sha256:" + "0" * 64


@pytest.fixture
def refused(tmp_path):
    """Runs ``synaptoroute serve``, which is to fail: its exit code and its one line."""

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "synaptoroute_integrations", "serve", "--port", "0", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        line = done.stderr.strip()
        assert line.startswith("error: ")
        assert "\n" not in line
        return done.returncode, line

    return run


def test_a_public_address_needs_keys(refused):
    code, line = refused("--routes", ROUTES, "--host", "0.0.0.0")  # noqa: S104
    assert code == BAD_INPUT
    assert "there are no keys" in line
    assert "synaptoroute key" in line


def test_a_taken_port_is_named(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = refused("--routes", ROUTES, "--port", str(port))
    assert code == BAD_INPUT
    assert f"cannot listen on 127.0.0.1:{port}" in line


def test_an_address_that_is_none_is_named(refused):
    code, line = refused("--routes", ROUTES, "--host", "no.such.host.invalid", SYNAPTOROUTE_KEYS=f"me admin {HASH}")
    assert code == BAD_INPUT
    assert "cannot listen on no.such.host.invalid" in line


def test_a_store_in_a_folder_that_is_not_there_is_refused(refused, tmp_path):
    code, line = refused("--db", str(tmp_path / "nowhere" / "routes.sqlite"))
    assert code == FAILED
    assert "nowhere" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_file_that_is_no_database_is_refused(refused, tmp_path, workers):
    path = tmp_path / "routes.sqlite"
    path.write_text("these are no routes, and no database either" * 100)
    before = path.read_bytes()
    code, line = refused("--db", str(path), "--workers", workers)
    assert code == FAILED
    assert "routes.sqlite" in line
    assert path.read_bytes() == before


def test_a_damaged_store_is_refused(refused, tmp_path):
    path = tmp_path / "routes.sqlite"
    with AdaptiveRouter([Route("refund", [f"text {number}" for number in range(200)])], store=path):
        pass
    damaged = bytearray(path.read_bytes())
    damaged[4096 : 4096 * 40] = os.urandom(4096 * 39)
    path.write_bytes(damaged)
    code, line = refused("--db", str(path))
    assert code == FAILED
    assert "routes.sqlite" in line


def test_a_store_of_another_encoder_is_refused_and_left_as_it_is(refused, tmp_path):
    path = tmp_path / "routes.sqlite"
    with AdaptiveRouter([Route("refund", ["money back"])], store=path, encoder=HashingEncoder()):
        pass
    code, line = refused("--db", str(path))
    assert code == FAILED
    assert HashingEncoder().fingerprint in line
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT fingerprint FROM encoder").fetchone() == (HashingEncoder().fingerprint,)


def test_a_folder_that_cannot_be_made_is_named(refused, tmp_path):
    (tmp_path / "file").touch()
    code, line = refused("--routes", ROUTES, SYNAPTOROUTE_RUNTIME_DIR=str(tmp_path / "file" / "folder"))
    assert code == BAD_INPUT
    assert "runtime_dir" in line


def test_an_encoder_that_nobody_knows_is_refused(refused, tmp_path):
    code, line = refused("--db", str(tmp_path / "routes.sqlite"), "--encoder", "no/such-model")
    assert code in (BAD_INPUT, FAILED)
    assert "no/such-model" in line


def test_keys_that_cannot_be_read_are_refused_before_anything_is_served(refused, tmp_path):
    code, line = refused("--routes", ROUTES, "--keys-file", str(tmp_path / "keys"))
    assert code == BAD_INPUT
    assert str(tmp_path / "keys") in line
    (tmp_path / "keys").write_text("me admin not-a-hash\n")
    code, line = refused("--routes", ROUTES, "--keys-file", str(tmp_path / "keys"))
    assert code == BAD_INPUT


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--workers", "2", "--routes", ROUTES], "db"),
        (["--workers", "0", "--routes", ROUTES], "workers"),
        (["--port", "70000", "--routes", ROUTES], "port"),
        (["--log-format", "xml", "--routes", ROUTES], "log_format"),
        (["--routes", "nowhere.yaml"], "nowhere.yaml"),
        (["--db", "a.sqlite", "--routes", ROUTES], "db and routes"),
        ([], "no routes to serve"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments, word):
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == BAD_INPUT
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert word in done.stderr


@pytest.mark.parametrize(("variable", "value"), [("SYNAPTOROUTE_MAX_TEXT", "64"), ("SYNAPTOROUTE_MAX_TEXTS", "many")])
def test_a_variable_that_is_no_setting_is_refused(variable, value):
    done = CliRunner().invoke(app, ["serve", "--routes", ROUTES], env={variable: value})
    assert done.exit_code == BAD_INPUT
    assert variable in done.stderr


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "prometheus_client", "httptools"])
def test_without_the_extra_it_says_how_to_install_it(missing):
    program = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.argv = ["synaptoroute", "serve", "--routes", {ROUTES!r}]
from synaptoroute_integrations.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == FAILED
    assert done.stderr.strip() == (
        f"error: {missing} is not installed: pip install 'synaptoroute-integrations[server]'"
    )


def test_with_keys_it_listens_on_every_address(launch_serve: Launch, tmp_path, keys):  # noqa: F811
    file = tmp_path / "keys"
    file.write_text("# who may\n" + "\n".join(keys.lines) + "\n")
    arguments = ["--routes", ROUTES, "--host", "0.0.0.0", "--keys-file", str(file)]  # noqa: S104
    served = launch_serve(*arguments).wait_ready()
    assert get(served.url, "/routes").status_code == 401
    with closing(connect(served.url)) as connection:
        connection.request("GET", "/routes", headers={"Authorization": f"Bearer {keys.route}"})
        assert connection.getresponse().status == 200
    for secret in (keys.route, keys.admin):
        assert secret not in served.text()


def test_settings_come_from_the_environment_and_arguments_go_before_them(launch: Launch):  # noqa: F811
    port = free_port()
    served = launch(
        ["-m", "synaptoroute_integrations", "serve", "--threshold", "0.25"],
        port,
        SYNAPTOROUTE_ROUTES=ROUTES,
        SYNAPTOROUTE_PORT=str(port),
        SYNAPTOROUTE_THRESHOLD="0.75",
        SYNAPTOROUTE_MIN_MARGIN="0.125",
        SYNAPTOROUTE_PLAYGROUND="false",
    ).wait_ready()
    config = get(served.url, "/stats").json()["config"]
    assert (config["threshold"], config["min_margin"]) == (0.25, 0.125)
    assert get(served.url, "/").status_code == 404
    assert "changes are kept in memory only" in served.text()
    assert "only this machine is answered" in served.text()
