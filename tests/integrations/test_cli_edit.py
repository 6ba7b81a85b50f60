"""``synaptoroute add``, ``list`` and ``remove``."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, Route, load_routes, save_routes
from synaptoroute_integrations.cli.commands import app


@pytest.fixture
def db(tmp_path):
    return str(tmp_path / "routes.sqlite")


def invoke(*arguments, stdin=None):
    return CliRunner().invoke(app, arguments, input=stdin)


def ok(*arguments, stdin=None):
    """The output of a command that must not fail."""
    done = invoke(*arguments, stdin=stdin)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def stored(db):
    return [Route(**json.loads(line)) for line in ok("list", "--db", db, "--json").splitlines()]


def test_what_is_added_is_listed_routed_and_removed_by_processes_of_their_own(db):
    def command(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "synaptoroute_integrations", *arguments, "--db", db, "--json"],
            capture_output=True,
            encoding="utf-8",
            timeout=100,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    assert command("add", "refund", "money back", "please refund me")[1]["action"] == "created"
    assert command("list")[1]["utterances"] == ["money back", "please refund me"]
    assert command("route", "give me my money back")[1]["route"] == "refund"
    removed = {"action": "removed", "routes": ["refund"], "utterances": 2, "revision": 2}
    assert command("remove", "refund") == (0, removed)
    code, abstention = command("route", "give me my money back")
    assert (code, abstention["reason"], abstention["revision"]) == (1, "no_routes", 2)


def test_adding_to_a_route_keeps_what_it_has(db):
    assert (
        ok("add", "refund", "money back", "--db", db, "--description", "Money")
        == "made the route refund: 1 utterance\n"
    )
    said = ok("add", "refund", "MONEY  back", "refund me", "--db", db, "--threshold", "0.7")
    changes = "added 1 utterance, skipped 1 that it had already, set the threshold to 0.7"
    assert said == f"route refund: {changes}; it has 2 utterances now\n"
    ok("add", "refund", "--db", db, "--description", "Money [again]")
    assert stored(db) == [
        Route("refund", ["money back", "refund me"], description="Money [again]", threshold=0.7),
    ]


def test_adding_what_is_there_already_changes_nothing(db):
    ok("add", "refund", "money back", "--db", db)
    done = json.loads(ok("add", "refund", "Money back", "--db", db, "--json"))
    assert done == {"action": "unchanged", "routes": ["refund"], "utterances": 0, "revision": 1}


def test_adding_nothing_to_a_route_is_an_error(db):
    ok("add", "refund", "money back", "--db", db)
    done = invoke("add", "refund", "--db", db)
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_threshold_that_is_not_valid_adds_no_utterance_either(db):
    ok("add", "refund", "money back", "--db", db)
    assert invoke("add", "refund", "refund me", "--threshold", "3", "--db", db).exit_code == 2
    assert stored(db) == [Route("refund", ["money back"])]


def test_overwriting_replaces_all_of_a_route(db):
    ok("add", "refund", "money back", "--db", db, "--description", "Money", "--threshold", "0.7")
    assert (
        ok("add", "refund", "a", "b", "--overwrite", "--db", db)
        == "replaced the route refund: 2 utterances instead of 1\n"
    )
    assert stored(db) == [Route("refund", ["a", "b"])]
    assert json.loads(ok("add", "new", "c", "--overwrite", "--db", db, "--json"))["action"] == "created"


def test_utterances_are_read_from_standard_input(db):
    ok("add", "refund", "-", "--db", db, stdin="money back\r\n\n  refund me  \n")
    assert stored(db) == [Route("refund", ["money back", "refund me"])]


def test_a_line_of_standard_input_that_is_no_text_adds_nothing(db):
    done = invoke("add", "refund", "-", "--db", db, stdin=b"money back\ncaf\xe9\n")
    assert done.exit_code == 2
    assert "standard input, line 2" in done.stderr
    assert invoke("list", "--db", db).exit_code == 2  # no file was made


def test_a_route_file_goes_in_whole_and_a_second_time_without_effect(db, tmp_path, support_routes):
    file = tmp_path / "routes.yaml"
    save_routes(file, support_routes)
    first = json.loads(ok("add", "--from", str(file), "--db", db, "--json"))
    assert (first["action"], first["revision"]) == ("imported", 1)
    assert first["utterances"] == sum(len(route.utterances) for route in support_routes)
    assert json.loads(ok("add", "--from", str(file), "--db", db, "--json"))["action"] == "unchanged"
    assert stored(db) == list(support_routes)


def test_a_route_file_replaces_routes_only_when_told_to(db, tmp_path):
    file = tmp_path / "routes.json"
    save_routes(file, [Route("refund", ["from the file"]), Route("other", ["x"])])
    ok("add", "refund", "mine", "--db", db)
    done = invoke("add", "--from", str(file), "--db", db)
    assert (done.exit_code, "refund" in done.stderr, "--overwrite" in done.stderr) == (2, True, True)
    assert stored(db) == [Route("refund", ["mine"])]
    ok("add", "--from", str(file), "--overwrite", "--db", db)
    assert stored(db) == list(load_routes(file))


def test_a_route_file_is_listed_alone_or_on_top_of_a_store(db, tmp_path):
    file = tmp_path / "routes.json"
    save_routes(file, [Route("refund", ["from the file"])])
    ok("add", "refund", "from the store", "--db", db)
    ok("add", "other", "x", "--db", db)
    assert ok("list", "--routes", str(file), "--json").count("\n") == 1
    both = ok("list", "refund", "--db", db, "--routes", str(file))
    assert "from the file" in both
    assert "from the store" not in both


def test_the_list_shows_sizes_thresholds_descriptions_and_totals(db):
    ok("add", "refund", "a", "b", "--db", db, "--threshold", "0.7", "--description", "About [money]\x1b[31m")
    ok("add", "parcel", "c", "--db", db)
    _, refund, parcel, totals = ok("list", "--db", db).splitlines()
    assert refund.split() == ["refund", "2", "0.7", "About", r"[money]\x1b[31m"]
    assert parcel.split() == ["parcel", "1", "default"]
    assert totals == "2 routes, 3 utterances"


def test_one_route_is_shown_with_all_of_its_utterances_as_they_are(db):
    ok("add", "odd", "[bold]x[/bold]", "[/red]", "y \x1b[31m", "--db", db)
    shown = ok("list", "odd", "--db", db)
    assert [line.strip() for line in shown.splitlines()[-3:]] == ["[bold]x[/bold]", "[/red]", r"y \x1b[31m"]


def test_an_empty_store_is_listed_as_such(db):
    ok("add", "refund", "x", "--db", db)
    ok("remove", "refund", "--db", db)
    assert ok("list", "--db", db) == "0 routes, 0 utterances\n"
    assert ok("list", "--db", db, "--json") == ""


def test_some_utterances_are_removed_and_the_others_stay(db):
    ok("add", "refund", "a", "b", "c", "--db", db)
    said = ok("remove", "refund", "--utterance", "A", "--utterance", "c", "--db", db)
    assert said == "removed 2 utterances from the route refund; it has 1 utterance left\n"
    assert stored(db) == [Route("refund", ["b"])]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["refnd"], "did you mean 'refund'"),
        (["refund", "--utterance", "nope"], "'nope' is not an utterance"),
        (["refund", "--utterance", "a", "--utterance", "b"], "would be left without utterances"),
    ],
)
def test_a_removal_that_cannot_be_done_changes_nothing(db, arguments, complaint):
    ok("add", "refund", "a", "b", "--db", db)
    done = invoke("remove", *arguments, "--db", db)
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert stored(db) == [Route("refund", ["a", "b"])]


def test_a_route_that_another_makes_in_the_meantime_is_added_to(db, monkeypatch):
    """Two find no such route and both make it: the second must add to it, not fail or overwrite."""
    add_route = AdaptiveRouter.add_route

    def too_late(self, route, *, overwrite=False):
        monkeypatch.undo()
        with AdaptiveRouter([Route("refund", ["theirs"])], store=db):
            return add_route(self, route, overwrite=overwrite)

    ok("add", "other", "x", "--db", db)
    monkeypatch.setattr(AdaptiveRouter, "add_route", too_late)
    assert json.loads(ok("add", "refund", "mine", "--db", db, "--json"))["action"] == "extended"
    assert stored(db)[-1] == Route("refund", ["theirs", "mine"])


def test_several_processes_that_add_to_a_route_at_once_lose_no_utterance(db):
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "synaptoroute_integrations", "add", "refund", text, "--db", db],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for text in ("money back", "refund me", "pay me back", "return my money")
    ]
    for process in processes:
        assert process.communicate(timeout=100)[1] == b""
        assert process.returncode == 0
    (route,) = stored(db)
    assert sorted(route.utterances) == ["money back", "pay me back", "refund me", "return my money"]


def test_a_change_keeps_metadata_that_the_command_line_cannot_set(db):
    with AdaptiveRouter([Route("refund", ["x"], metadata={"team": "billing"})], store=db):
        pass
    ok("add", "refund", "y", "--description", "d", "--threshold", "0.5", "--db", db)
    assert stored(db) == [Route("refund", ["x", "y"], description="d", threshold=0.5, metadata={"team": "billing"})]
