"""``docs/http.md`` says what is so: its commands run, its answers are those that come, its tables are complete."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from synaptoroute_integrations.cli.serving import app as command_line
from synaptoroute_integrations.server import ServerSettings, create_app
from synaptoroute_integrations.server.auth import OPEN, OPEN_FOLDERS, required_scope
from synaptoroute_integrations.server.metrics import Metrics
from synaptoroute_integrations.server.problems import KINDS, TITLES
from synaptoroute_integrations.server.schemas import FitBody, RouteQuery
from synaptoroute_integrations.server.settings import PREFIX

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
URL = "http://127.0.0.1:8000"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"`([^`]+)`")
ANYTHING = "..."
WAIT_S = 60


@dataclass(frozen=True)
class Block:
    kind: str
    code: str


def blocks() -> list[Block]:
    return [Block(kind, code) for kind, code in FENCED.findall(PAGE)]


def table(head: str) -> list[list[str]]:
    """The rows of the table whose head begins so."""
    lines = PAGE[PAGE.index(f"\n| {head}") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return NAME.findall(cell)


# --- commands ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what the first block makes."""
    folder = tmp_path_factory.mktemp("made")
    *before, _ = first_commands()
    for arguments in before:
        subprocess.run([sys.executable, "-m", "synaptoroute_integrations", *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture
def started(serve_process, made, tmp_path):
    """The service that the first block starts; its URL."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    *_, (command, *arguments) = first_commands()
    assert command == "serve"
    return serve_process(*arguments).url


def first_commands() -> list[list[str]]:
    """Arguments of ``synaptoroute`` in the first block."""
    lines = [shlex.split(line) for line in blocks()[0].code.splitlines()]
    return [arguments for program, *arguments in lines if program == "synaptoroute"]


def test_the_commands_of_the_page_give_the_answers_of_the_page(started, tmp_path):
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")
    shown = blocks()
    commands = 0
    for block, following in itertools.pairwise(shown):
        if block.kind != "bash":
            continue
        commands += 1
        said = run(["bash", "-euo", "pipefail", "-c", block.code.replace(URL, started)], tmp_path)
        if following.kind == "json":
            expected, found = values(following.code), values(said)
            assert len(found) == len(expected), said
            for each, real in zip(expected, found, strict=True):
                assert is_like(each, real), f"{block.code}\nsays {real}"
        elif following.kind == "http":
            assert_lines(following.code, said)
    assert commands > 15


def test_the_page_s_python_runs_and_prints_what_it_says(started, capsys):
    [code] = [block.code for block in blocks() if block.kind == "python"]
    exec(compile(code.replace(URL, started), "http.md", "exec"), {"__name__": "documented"})  # noqa: S102  # ours
    assert capsys.readouterr().out == re.findall(r"# (.*)", code)[-1] + "\n"


def test_the_page_s_javascript_runs_and_prints_what_it_says(started, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    [code] = [block.code for block in blocks() if block.kind == "js"]
    said = run(["node", "--input-type=module", "--eval", code.replace(URL, started)], tmp_path)
    assert said == re.findall(r"// (.*)", code)[-1] + "\n"


def run(command: list[str], folder: Path) -> str:
    """What a command says."""
    environment = {**os.environ, "no_proxy": "*", "KEY": "srk_of_a_service_that_has_keys"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done.stdout.decode()


def values(text: str) -> list[Any]:
    """The JSON values that stand one after the other."""
    found, decoder, rest = [], json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def is_like(shown: Any, real: Any) -> bool:
    """Whether a value is as shown, where ``...`` stands for anything, and as a name for more members."""
    if shown == ANYTHING:
        return True
    if isinstance(shown, dict) and isinstance(real, dict):
        members = shown.keys() - {ANYTHING}
        complete = ANYTHING in shown or members == real.keys()
        return complete and members <= real.keys() and all(is_like(shown[name], real[name]) for name in members)
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(map(is_like, shown, real))
    if isinstance(shown, float) and isinstance(real, float):
        return real == pytest.approx(shown, abs=1e-3)  # other processors give other last bits
    return type(shown) is type(real) and shown == real


def assert_lines(shown: str, said: str) -> None:
    """Each line that is shown comes, in this order; ``...`` stands for anything."""
    place = 0
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split(ANYTHING))
        found = re.compile(f"^{pattern}\r?$", re.MULTILINE).search(said, place)
        assert found, f"{line!r} does not come after character {place} of\n{said}"
        place = found.end()


# --- tables ------------------------------------------------------------------------------------------


def test_the_table_of_endpoints_is_that_of_the_interface_with_the_scopes_that_are_asked_for():
    described = {
        f"{method.upper()} {path}": required_scope(method.upper(), path) or "open"
        for path, methods in create_app(ServerSettings()).openapi()["paths"].items()
        for method in methods
    }
    assert {names(first)[0]: scope for first, scope, _ in table("request ")} == described


def test_what_is_open_beside_the_endpoints_is_named():
    for path in (*OPEN, *OPEN_FOLDERS):
        assert re.search(rf"`(GET )?{re.escape(path.rstrip('/') or '/')}/?`", PAGE), path


def test_every_field_of_a_query_and_of_a_fit_is_explained():
    fields = {name for first, *_ in table("field ") for name in names(first)}
    assert fields == set(RouteQuery.model_fields)
    assert {name for first, *_ in table("in the body of a fit ") for name in names(first)} == set(FitBody.model_fields)


def test_every_kind_of_problem_is_in_the_table_with_its_status():
    rows = {names(first)[0]: {int(each) for each in status.split(",")} for first, status, _ in table("`urn:")}
    assert set(rows) == set(TITLES)
    statuses = {str(status) for each in rows.values() for status in each}
    interface = json.dumps(create_app(ServerSettings()).openapi())
    assert set(re.findall(r'"([45]\d\d)": \{', interface)) <= statuses
    assert len(KINDS) == 12  # a new kind of error: is it in the table?


def test_every_metric_is_in_the_table_with_its_labels():
    collectors = Metrics().registry._collector_to_names
    made = {each._name + "_total" * (each._type == "counter"): list(each._labelnames) for each in collectors}
    assert {names(first)[0]: names(labels) for first, labels, _ in table("metric ")} == made


def test_every_setting_is_in_the_table_with_its_default_and_its_flag():
    serve = typer.main.get_command(command_line).commands["serve"]
    flags = {option.name: option.opts[0] for option in serve.params}
    described = {
        name: (shown(field.default), flags.get(name, "")) for name, field in ServerSettings.model_fields.items()
    }
    rows = {
        names(variable)[0].removeprefix(PREFIX).lower(): (default, "".join(names(flag)))
        for variable, default, flag, _ in table("variable ")
    }
    assert rows == described


def shown(default: object) -> str:
    """A default as the table has it."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    return "empty" if default == () else f"{default:.10g}" if isinstance(default, int | float) else str(default)


def test_the_environment_takes_every_variable_of_the_table():
    rows = {names(variable)[0]: default for variable, default, *_ in table("variable ")}
    given = {variable: "" if default in ("none", "empty") else default for variable, default in rows.items()}
    assert ServerSettings.from_environment(given) == ServerSettings()
