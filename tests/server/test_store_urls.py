"""Stores named by URLs: what the command line says when there is none, and that passwords are not in it."""

import sys

import pytest
import redis
from sharing import shared_store
from typer.testing import CliRunner

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.server import ServerSettings

COMMANDS = [["list"], ["route", "x"], ["add", "a", "x"], ["remove", "a"], ["serve"]]


@pytest.mark.parametrize("arguments", COMMANDS)
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


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_store_that_the_environment_names_is_on_no_command_line(arguments):
    address = {"SYNAPTOROUTE_DB": "postgresql://me:hunter2@127.0.0.1:1/0"}
    done = CliRunner().invoke(app, arguments, env=address)
    assert done.exit_code == 3
    assert done.stderr.startswith("error: cannot open the database 127.0.0.1:1/0")
    assert "hunter2" not in done.stderr


def test_the_command_line_goes_before_the_environment(tmp_path):
    done = CliRunner().invoke(app, ["list", "--db", str(tmp_path / "a.sqlite")], env={"SYNAPTOROUTE_DB": "b.sqlite"})
    assert done.exit_code == 2
    assert "a.sqlite" in done.stderr


def test_a_store_that_the_environment_leaves_empty_is_none():
    done = CliRunner().invoke(app, ["list"], env={"SYNAPTOROUTE_DB": ""})
    assert done.exit_code == 2
    assert "name a store with --db" in done.stderr


def test_a_line_break_at_the_end_of_a_secret_is_no_part_of_the_name_of_the_database():
    address = "postgresql://me@127.0.0.1:1/routes\n"
    assert ServerSettings.from_environment({"SYNAPTOROUTE_DB": address}).db == address.strip()
    done = CliRunner().invoke(app, ["list"], env={"SYNAPTOROUTE_DB": address})
    assert done.stderr.startswith("error: cannot open the database 127.0.0.1:1/routes, schema")


def test_a_blank_before_a_url_uncovers_no_password():
    with pytest.raises(ConfigurationError, match=r"me:\*\*\*@db/routes") as refused:
        ServerSettings.from_environment({"SYNAPTOROUTE_DB": " redis://me:hunter2@db/routes"}, routes="routes.yaml")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_half_a_url_makes_no_file(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*arguments, "--db", "redis:me:hunter2@cache"])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "redis://host/database" in done.stderr
    assert "hunter2" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- servers that ask for more ----------------------------------------------------------------------


@pytest.mark.postgres
def test_of_several_hosts_the_one_that_answers_is_taken(tmp_path):
    with shared_store("postgres", tmp_path) as store:
        front, rest = store.url.split("@")
        address = f"{front}@127.0.0.1:1,{rest}&target_session_attrs=read-write"
        assert CliRunner().invoke(app, ["add", "refund", "money back", "--db", address]).exit_code == 0
        assert "refund" in CliRunner().invoke(app, ["list", "--db", store.url]).stdout


@pytest.mark.redis
def test_a_wrong_password_is_said_to_be_one_and_is_not_shown(tmp_path):
    with shared_store("redis", tmp_path) as store, redis.Redis.from_url(store.url.partition("?")[0]) as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">right", "~*", "&*", "+@all")
        for password, code in (("right", 0), ("hunter2", 3)):
            address = store.url.replace("redis://", f"redis://me:{password}@")
            done = CliRunner().invoke(app, ["list"], env={"SYNAPTOROUTE_DB": address})
            assert done.exit_code == code
    assert done.stderr.startswith("error: cannot open the Redis database 127.0.0.1")
    assert "password" in done.stderr
    assert "hunter2" not in done.stderr
