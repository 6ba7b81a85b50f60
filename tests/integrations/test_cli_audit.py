"""``synaptoroute audit``."""

import json

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, Route, load_routes, save_routes
from synaptoroute_integrations.cli.commands import app

MISPLACED = "my password is gone, I forgot it"


@pytest.fixture
def write(tmp_path, support_routes):
    """Writes a route file of some sample routes, each with the utterances added that the test names."""

    def write(names=("cancel_order", "reset_password", "talk_to_human"), **extra):
        routes = [
            Route(route.name, [*route.utterances, *extra.get(route.name, [])])
            for route in support_routes
            if route.name in names
        ]
        path = tmp_path / "routes.yaml"
        save_routes(path, [*routes, *(Route(name, texts) for name, texts in extra.items() if name not in names)])
        return str(path)

    return write


def audit(*arguments):
    return CliRunner().invoke(app, ["audit", *arguments])


def test_the_report_is_that_of_the_engine_from_a_file_or_a_store(write, bundled, tmp_path):
    file = write(cancel_order=[MISPLACED])
    with AdaptiveRouter(load_routes(file), encoder=bundled, store=tmp_path / "routes.sqlite") as router:
        expected = router.audit(limit=10).to_dict()
    for source in (["--routes", file], ["--db", str(tmp_path / "routes.sqlite")]):
        done = audit(*source, "--json")
        assert (done.exit_code, done.stdout.count("\n")) == (0, 1)
        assert json.loads(done.stdout) == expected
    assert [each["kind"] for each in expected["findings"]] == ["misplaced"]


def test_people_are_shown_each_finding_with_its_evidence_and_what_to_do(write):
    shown = audit("--routes", write(cancel_order=[MISPLACED])).stdout
    assert "3 routes with 37 utterances" in shown
    assert "Utterances that seem to belong to another route" in shown
    assert "warning" in shown
    assert f"cancel_order: {MISPLACED}" in shown
    assert "reset_password: " in shown
    assert f"move {MISPLACED!r} from cancel_order to reset_password" in shown


def test_routes_without_fault_are_said_to_have_none(write):
    done = audit("--routes", write())
    assert (done.exit_code, "nothing found" in done.stdout) == (0, True)


TWICE = {"cancel_order": ["help me"], "talk_to_human": ["help me"]}


@pytest.mark.parametrize(
    ("extra", "fail_on", "expected"),
    [
        ({}, "warning", 0),
        ({"cancel_order": [MISPLACED]}, "error", 0),
        ({"cancel_order": [MISPLACED]}, "warning", 1),
        (TWICE, "error", 1),
        (TWICE, "warning", 1),
        (TWICE, "never", 0),
    ],
)
def test_the_exit_code_says_whether_anything_so_severe_was_found(write, extra, fail_on, expected):
    file = write(**extra)
    for form in ([], ["--json"], ["--markdown"]):
        assert audit("--routes", file, "--fail-on", fail_on, *form).exit_code == expected


def test_errors_are_what_fails_unless_it_is_said_otherwise(write):
    assert audit("--routes", write(**TWICE)).exit_code == 1


def test_markdown_is_that_of_the_engine(write, bundled):
    file = write(**TWICE)
    with AdaptiveRouter(load_routes(file), encoder=bundled) as router:
        expected = router.audit(limit=10).to_markdown()
    assert audit("--routes", file, "--markdown").stdout == expected


def test_what_is_not_listed_is_counted(write):
    file = write(a=["good morning"], b=["play some jazz"], c=["book a flight to Rome"])
    done = audit("--routes", file, "--limit", "1")
    assert "a has 1 utterance" in done.stdout
    assert "b has 1 utterance" not in done.stdout
    assert "and 2 more" in done.stdout
    assert json.loads(audit("--routes", file, "--limit", "1", "--json").stdout)["hidden"] == {"too_few": 2}


def test_no_text_is_read_as_markup_or_obeyed_by_the_terminal(write):
    text = "help [bold]me[/bold] [/red] \x1b[31m"
    file = write(cancel_order=[text], talk_to_human=[text])
    for form in ([], ["--json"], ["--markdown"]):
        done = audit("--routes", file, *form)
        assert done.exit_code == 1
        assert "\x1b" not in done.stdout
    assert "help [bold]me[/bold] [/red]" in audit("--routes", file).stdout


def test_an_empty_store_has_nothing_to_find(tmp_path, bundled):
    with AdaptiveRouter(encoder=bundled, store=tmp_path / "routes.sqlite"):
        pass
    done = audit("--db", str(tmp_path / "routes.sqlite"))
    assert (done.exit_code, "0 routes" in done.stdout, "nothing found" in done.stdout) == (0, True, True)


def test_the_store_is_as_it_was(tmp_path, bundled, support_routes):
    with AdaptiveRouter(support_routes, encoder=bundled, store=tmp_path / "routes.sqlite") as router:
        before = router.revision, dict(router.routes)
    assert audit("--db", str(tmp_path / "routes.sqlite")).exit_code == 0
    with AdaptiveRouter(encoder=bundled, store=tmp_path / "routes.sqlite") as router:
        assert (router.revision, dict(router.routes)) == before


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "--routes FILE"),
        (["--routes", "absent.yaml"], "absent.yaml"),
        (["--db", "absent.sqlite"], "absent.sqlite"),
    ],
)
def test_without_routes_it_says_what_is_missing(arguments, hint):
    done = audit(*arguments)
    assert (done.exit_code, hint in done.stderr.replace("\n", "")) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["--json", "--markdown"], "choose one"), (["--limit", "0"], "limit = 0"), (["--fail-on", "info"], "info")],
)
def test_an_option_that_makes_no_sense_is_refused(write, arguments, hint):
    done = audit("--routes", write(), *arguments)
    assert (done.exit_code, hint in done.stderr) == (2, True)
