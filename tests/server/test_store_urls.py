"""Stores named by URLs: what the command line says when there is none, and that passwords are not in it."""

import sys

import pytest
from typer.testing import CliRunner

from synaptoroute_integrations.cli.commands import app


@pytest.mark.parametrize("arguments", [["list"], ["route", "x"], ["add", "a", "x"], ["remove", "a"], ["serve"]])
@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
def test_a_server_that_is_not_there_is_exit_code_3_and_no_password_is_shown(arguments, scheme):
    done = CliRunner().invoke(app, [*arguments, "--db", f"{scheme}://me:hunter2@127.0.0.1:1/0"])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith("error: cannot open")
    assert "127.0.0.1:1" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("url", "driver", "extra"), [("postgresql://db/routes", "psycopg", "postgres"), ("redis://db/0", "redis", "redis")]
)
def test_a_driver_that_is_missing_is_named_with_its_extra(url, driver, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, driver, None)
    for name in [name for name in sys.modules if name.startswith(f"synaptoroute_core.storage.{extra}")]:
        monkeypatch.delitem(sys.modules, name)
    done = CliRunner().invoke(app, ["list", "--db", url])
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == f"error: {driver} is not installed: pip install 'synaptoroute-integrations[{extra}]'\n"
