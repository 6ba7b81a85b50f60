"""``synaptoroute fit``, ``calibrate`` and ``undo-fit``, and what the other commands make of a fit."""

import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, Route, RouterConfig, save_routes
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.cli.learned import show_fit
from synaptoroute_integrations.cli.sources import Source, open_without_model

SURE, UNSURE = "where is my refund", "what wattage is the small toaster"
LEFT_BEHIND = "the routes have changed since the head was fitted"


def invoke(*arguments):
    return CliRunner().invoke(app, arguments)


def ok(*arguments):
    """The output of a command that must not fail."""
    done = invoke(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def run(program, *arguments):
    """A Python program in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=100, check=False)


def timeless(report):
    return {**report, "seconds": None}


def words(text):
    return " ".join(text.split())


def open_as_is(db, encoder):
    return AdaptiveRouter(encoder=encoder, store=db, config=RouterConfig(auto_refit=False))


def state(db, encoder):
    """What would have to change if anything was changed."""
    with open_as_is(db, encoder) as router:
        fits = [(fit.kind, fit.threshold, fit.fresh) for fit in router.fits]
        return router.revision, fits, dict(router.routes)


@pytest.fixture(scope="module")
def plain_store(tmp_path_factory, support_routes, bundled):
    path = tmp_path_factory.mktemp("plain") / "routes.sqlite"
    with AdaptiveRouter(support_routes, encoder=bundled, store=path):
        return path


@pytest.fixture(scope="module")
def fitted_store(tmp_path_factory, plain_store, bundled):
    path = tmp_path_factory.mktemp("fitted") / "routes.sqlite"
    shutil.copy(plain_store, path)
    with AdaptiveRouter(encoder=bundled, store=path) as router:
        router.fit()
    return path


@pytest.fixture
def plain(plain_store, tmp_path):
    """A store of the sample routes."""
    return str(shutil.copy(plain_store, tmp_path / "plain.sqlite"))


@pytest.fixture
def fitted(fitted_store, tmp_path):
    """The same with a head."""
    return str(shutil.copy(fitted_store, tmp_path / "fitted.sqlite"))


@pytest.fixture
def labelled(tmp_path):
    """Writes a file of labelled texts."""

    def write(examples, name="labelled.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in examples), "utf-8")
        return str(path)

    return write


@pytest.fixture
def queries(labelled, support_examples):
    """A file of the sample queries."""
    return labelled(support_examples)


# --- fit -------------------------------------------------------------------------------------------


def test_a_fit_is_that_of_the_engine_and_decides_from_then_on(plain, bundled, support_routes, support_examples):
    report = json.loads(ok("fit", "--db", plain, "--seed", "7", "--json"))
    texts = [text for text, _ in support_examples[:20]]
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        expected = router.fit(seed=7)
        decisions = router.route_batch(texts)
    assert timeless(report) == timeless(expected.to_dict())
    routed = [json.loads(line) for line in invoke("route", *texts, "--db", plain, "--json").stdout.splitlines()]
    assert [each["confidence"] for each in routed] == [decision.confidence for decision in decisions]
    assert {each["scorer"] for each in routed} == {"head"}


def test_people_are_shown_what_a_fit_did_on_texts_held_out(plain):
    shown = words(ok("fit", "--db", plain))
    assert "fitted a head: 14 routes with 167 utterances, 0 examples" in shown
    assert "On texts held back and routes hidden" in shown
    assert "% answered: LLM calls skipped" in shown
    assert "answers from a confidence of 0.6667 on" in shown
    assert words(ok("list", "--db", plain)).endswith("14 routes, 167 utterances decided by a fitted head")


def test_markdown_is_that_of_the_report(plain, queries):
    shown = ok("fit", "--db", plain, "--thresholds", "f1", "--examples", queries, "--markdown")
    assert shown.startswith("**thresholds**: changed. ")
    assert "\n| | before | after |\n" in shown
    calibrated = ok("calibrate", "--db", plain, "--examples", queries, "--max-error", "0.4", "--markdown")
    assert calibrated.startswith("**calibration**: changed. ")
    assert "At most 40.00% of the answers are wrong, with 95.0% confidence" in calibrated


def test_labelled_texts_are_learned_from_and_the_share_is_told(plain, queries, bundled, support_examples):
    ok("fit", "--db", plain, "--examples", queries, "--out-of-scope-share", "0.4", "--json")
    with open_as_is(plain, bundled) as router:
        (fit,) = router.fits
    assert fit.details["examples"] == [list(example) for example in support_examples]
    assert fit.details["out_of_scope_share"] == 0.4


def test_without_the_extra_it_says_how_to_get_it_and_nothing_is_changed(fitted, queries, bundled):
    before = state(fitted, bundled)
    program = (
        "import sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Absent(MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('sklearn', 'scipy'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name.partition('.')[0])\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from synaptoroute_integrations.cli import main\n"
        "main()\n"
    )
    for arguments in (["fit"], ["evaluate", "--test", queries, "--fit"]):
        done = run(program, *arguments, "--db", fitted)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
        assert "pip install 'synaptoroute-integrations[fit]'" in done.stderr
    assert state(fitted, bundled) == before


# --- thresholds ------------------------------------------------------------------------------------


def test_thresholds_are_those_of_the_engine(plain, queries, bundled, support_routes, support_examples):
    aim = ["--thresholds", "max_fpr", "--limit", "0.05", "--seed", "3"]
    report = json.loads(ok("fit", "--db", plain, "--examples", queries, *aim, "--json"))
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        expected = router.fit_thresholds(support_examples, max_fpr=0.05, seed=3)
    assert timeless(report) == timeless(expected.to_dict())
    assert f"decided by similarity, from a score of {report['threshold']:.4f} on" in ok("list", "--db", plain)


def test_thresholds_that_are_no_better_change_nothing_and_are_exit_code_1(plain, queries, bundled):
    ok("fit", "--db", plain, "--examples", queries, "--thresholds", "f1", "--json")
    before = state(plain, bundled)
    done = invoke("fit", "--db", plain, "--examples", queries, "--thresholds", "f1")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("nothing was changed")
    assert "best already" in words(done.stdout)
    assert state(plain, bundled) == before


def test_routes_with_a_threshold_of_their_own_are_shown_with_it(plain, bundled, support_examples, capsys):
    with open_as_is(plain, bundled) as router:
        report = router.fit_thresholds(support_examples, max_fpr=0.05)
    own = {"threshold": 0.4, "thresholds": {"refund_status": 0.625, "order_status": None}}
    show_fit(report.model_copy(update=own), form="screen")
    assert capsys.readouterr().out.endswith("answers from a score of 0.4000 on; refund_status 0.6250\n")


# --- calibrate -------------------------------------------------------------------------------------


def test_a_promise_is_that_of_the_engine_and_in_force(fitted, queries, bundled, support_examples):
    report = json.loads(ok("calibrate", "--db", fitted, "--examples", queries, "--max-error", "0.2", "--json"))
    with open_as_is(fitted, bundled) as router:
        router.undo_fit()
        expected = router.calibrate(support_examples, max_error=0.2).to_dict()
    assert {**report, "revision": None} == {**expected, "revision": None}
    assert report["changed"]
    ok("calibrate", "--db", fitted, "--examples", queries, "--max-error", "0.2")
    assert f"decided by a fitted head, from a confidence of {report['threshold']:.4f} on" in ok("list", "--db", fitted)


def test_people_are_shown_the_promise_and_what_it_rests_on(fitted, queries):
    arguments = ["--db", fitted, "--examples", queries, "--max-error", "0.2", "--confidence", "0.9"]
    report = json.loads(ok("calibrate", *arguments, "--json"))
    shown = words(ok("calibrate", *arguments))
    assert "at most 20.0 % of the answers are wrong, with 90.0 % confidence, for traffic like the examples" in shown
    assert f"165 labelled examples {100 * report['coverage']:.1f} % of them answered, from a confidence of" in shown
    assert f"{report['wrong']} of these {report['answered']} answers wrong" in shown


def test_without_a_promise_nothing_is_changed_and_it_says_what_it_would_take(fitted, queries, bundled):
    before = state(fitted, bundled)
    done = invoke("calibrate", "--db", fitted, "--examples", queries)
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("nothing was changed")
    assert "examples are needed" in words(done.stdout)
    assert state(fitted, bundled) == before


def test_examples_that_the_router_has_learned_from_void_the_promise(fitted, labelled, support_examples, bundled):
    known = [("WHERE is  my refund", "refund_status")]
    done = invoke("calibrate", "--db", fitted, "--examples", labelled([*support_examples, *known]))
    assert "1 of the examples are what the router has learned from" in words(done.stderr)
    ok("fit", "--db", fitted, "--examples", labelled(support_examples[:9]), "--json")
    done = invoke("calibrate", "--db", fitted, "--examples", labelled(support_examples))
    assert "9 of the examples are what the router has learned from" in words(done.stderr)
    done = invoke("evaluate", "--db", fitted, "--test", labelled(support_examples))
    assert "9 of the test texts are what the head was fitted to" in words(done.stderr)


def test_a_new_fit_takes_the_place_of_a_calibration_and_says_so(fitted, queries):
    ok("calibrate", "--db", fitted, "--examples", queries, "--max-error", "0.4")
    done = invoke("fit", "--db", fitted)
    assert done.exit_code == 0
    assert "calibration before it is no longer in force" in words(done.stderr)


# --- undo-fit --------------------------------------------------------------------------------------


def test_fits_are_taken_back_one_after_the_other(fitted, queries):
    ok("calibrate", "--db", fitted, "--examples", queries, "--max-error", "0.4")
    assert ok("undo-fit", "--db", fitted) == "took back the last fit (calibration); decided by a fitted head now\n"
    undone = json.loads(ok("undo-fit", "--db", fitted, "--json"))
    assert undone == {"action": "undone", "kind": "head", "left": [], "revision": 5}
    assert json.loads(ok("route", SURE, "--db", fitted, "--json"))["scorer"] == "similarity"
    done = invoke("undo-fit", "--db", fitted)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", "error: there is no fit to take back\n")


# --- what the other commands make of it ------------------------------------------------------------


def test_a_decision_of_the_head_is_shown_with_its_confidence(fitted):
    sure = words(ok("route", SURE, "--db", fitted))
    assert "→ refund_status confidence 0.9" in sure
    assert ">= 0.667" in sure
    assert "margin" not in sure
    unsure = invoke("route", UNSURE, "--db", fitted, "--explain")
    assert unsure.exit_code == 1
    assert "— abstained (low_confidence) confidence 0." in words(unsure.stdout)


@pytest.mark.parametrize(
    "change",
    [
        ["add", "refund_status", "cash back when"],
        ["add", "--from", "FILE"],
        ["remove", "refund_status", "--utterance", "refund status"],
        ["remove", "refund_status"],
    ],
    ids=["add", "import", "remove utterance", "remove"],
)
def test_a_change_of_the_routes_says_that_similarity_decides_and_fits_nothing_itself(change, fitted, tmp_path, bundled):
    save_routes(tmp_path / "more.json", [Route("new", ["something else", "another thing"])])
    done = invoke(*(str(tmp_path / "more.json") if part == "FILE" else part for part in change), "--db", fitted)
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith(f"note: {LEFT_BEHIND}")
    revision, fits, _ = state(fitted, bundled)
    assert (revision, fits) == (3, [("head", None, False)])
    assert LEFT_BEHIND in ok("list", "--db", fitted)


def test_no_command_leaves_a_fit_to_the_background_which_ends_with_it(fitted):
    source = Source(fitted)
    for opened in (source.open, source.open_store, source.open_existing, lambda: open_without_model(fitted)):
        with opened() as router:
            assert not router.config.auto_refit


def test_a_change_of_nothing_says_nothing(fitted, bundled):
    before = state(fitted, bundled)
    ok("add", "refund_status", "Refund  status", "--db", fitted)
    assert state(fitted, bundled) == before


def test_whoever_asks_a_store_that_left_its_head_behind_is_told(fitted, queries):
    invoke("add", "refund_status", "cash back when", "--db", fitted)
    done = invoke("route", SURE, "--db", fitted, "--json")
    assert json.loads(done.stdout)["scorer"] == "similarity"
    assert LEFT_BEHIND in done.stderr
    done = invoke("calibrate", "--db", fitted, "--examples", queries, "--max-error", "0.4")
    assert (done.exit_code, "the fitted head is out of date" in words(done.stderr)) == (2, True)


def test_a_calibration_of_similarity_promises_nothing_for_other_routes(plain, queries):
    ok("calibrate", "--db", plain, "--examples", queries, "--max-error", "0.4")
    done = invoke("add", "refund_status", "cash back when", "--db", plain)
    assert "it promises nothing until `synaptoroute calibrate`" in words(done.stderr)


def test_options_that_a_fit_makes_void_are_named(fitted, plain, queries):
    done = invoke("route", SURE, "--db", fitted, "--threshold", "0.3", "--min-margin", "0")
    assert done.exit_code == 0
    assert "a fitted head decides, and --threshold changes nothing" in words(done.stderr)
    assert "a fitted head decides, and --min-margin changes nothing" in words(done.stderr)
    ok("calibrate", "--db", plain, "--examples", queries, "--max-error", "0.4")
    done = invoke("route", SURE, "--db", plain, "--threshold", "0.3", "--min-margin", "0")
    assert done.stderr == "note: a fitted threshold is in force, and --threshold changes nothing\n"


def test_a_route_file_on_top_leaves_the_head_in_force_unless_it_changes_a_route(fitted, tmp_path, support_routes):
    save_routes(tmp_path / "same.json", support_routes)
    save_routes(tmp_path / "other.json", [Route("refund_status", ["give me my refund"])])
    alone = ok("route", SURE, "--db", fitted, "--json")
    same = ok("route", SURE, "--db", fitted, "--routes", str(tmp_path / "same.json"), "--json")
    assert {**json.loads(same), "revision": 0} == {**json.loads(alone), "revision": 0}
    other = invoke("route", SURE, "--db", fitted, "--routes", str(tmp_path / "other.json"), "--json")
    assert json.loads(other.stdout)["scorer"] == "similarity"
    assert LEFT_BEHIND in other.stderr
    assert ok("route", SURE, "--db", fitted, "--json") == alone


def test_taking_back_and_listing_load_no_model(fitted):
    program = (
        "import sys, atexit\n"
        "from synaptoroute_integrations.cli import main\n"
        "heavy = ['onnxruntime', 'tokenizers', 'fastembed', 'sklearn']\n"
        "atexit.register(lambda: print('loaded:', *(name for name in heavy if name in sys.modules)))\n"
        "main()"
    )
    for command in (["list"], ["undo-fit"]):
        done = run(program, *command, "--db", fitted)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "loaded:")


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fit", "--limit", "0.1"], "--limit goes with --thresholds"),
        (["fit", "--thresholds", "f1"], "--thresholds is fitted to --examples FILE"),
        (["fit", "--thresholds", "f1", "--examples", "GOOD", "--out-of-scope-share", "0.1"], "--out-of-scope-share"),
        (
            ["fit", "--thresholds", "f1", "--examples", "GOOD", "--limit", "0.1"],
            "--limit goes with --thresholds max_fpr or max_error",
        ),
        (["fit", "--thresholds", "max_fpr", "--examples", "GOOD"], "max_fpr = None"),
        (["fit", "--out-of-scope-share", "1.5"], "out_of_scope_share = 1.5"),
        (["fit", "--examples", "STRANGE"], "strange.jsonl, line 2: no route is named 'refunds'"),
        (["fit", "--examples", "nowhere.csv"], "nowhere.csv: No such file"),
        (["fit", "--json", "--markdown"], "exclude each other"),
        (["calibrate", "--examples", "STRANGE"], "strange.jsonl, line 2: no route is named 'refunds'"),
        (["calibrate", "--examples", "GOOD", "--max-error", "0"], "max_error = 0.0"),
        (["calibrate", "--examples", "GOOD", "--confidence", "95"], "confidence = 95.0"),
        (["calibrate", "--examples", "GOOD", "--json", "--markdown"], "exclude each other"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(arguments, complaint, plain, labelled, bundled):
    paths = {
        "GOOD": labelled([("is my refund there yet", "refund_status"), (UNSURE, None)], "good.jsonl"),
        "STRANGE": labelled([(SURE, "refund_status"), (SURE, "refunds")], "strange.jsonl"),
    }
    before = state(plain, bundled)
    done = invoke(*(paths.get(argument, argument) for argument in arguments), "--db", plain)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert complaint in done.stderr
    assert state(plain, bundled) == before


def test_thresholds_do_not_matter_where_a_head_decides(fitted, queries, bundled):
    before = state(fitted, bundled)
    done = invoke("fit", "--db", fitted, "--thresholds", "f1", "--examples", queries)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "a fitted head decides" in done.stderr
    assert state(fitted, bundled) == before


def test_one_route_is_nothing_to_tell_apart(tmp_path):
    db = str(tmp_path / "routes.sqlite")
    ok("add", "refund", "money back", "--db", db)
    done = invoke("fit", "--db", db)
    assert (done.exit_code, "at least two" in done.stderr) == (2, True)
