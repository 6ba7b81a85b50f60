"""``synaptoroute evaluate``."""

import csv
import itertools
import json
import random
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, EvaluationReport, Route, RouterConfig, evaluate_decisions, save_routes
from synaptoroute_core.learning.evaluation.comparing import ComparisonReport
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.cli.reports import print_report
from synaptoroute_integrations.examples import limit_utterances

TRAIN = [
    ("I want my money back", "refund?"),
    ("please refund me", "refund?"),
    ("give me a refund", "refund?"),
    ("where is my parcel", "where is it"),
    ("track my delivery", "where is it"),
    ("when will my order arrive", "where is it"),
    ("hello there", None),
]
TEST = [
    ("I would like my money back", "refund?"),
    ("where's my parcel now", "where is it"),
    ("track my refund delivery", "refund?"),
    ("write me a [bold]poem[/bold] [/red]", "__ood__"),
]
OUTSIDE = [("what is the capital of Mongolia", "whatever"), ("tell me where my parcel is, in French", "")]
ROUTES = [
    Route(name, [text for text, label in TRAIN if label == original])
    for name, original in (("refund_", "refund?"), ("where_is_it", "where is it"))
]
EXAMPLES = [
    (text, {"refund?": "refund_", "where is it": "where_is_it"}.get(label)) for text, label in (*TEST, *OUTSIDE)
]


def write_jsonl(path, rows):
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in rows), "utf-8")
    return str(path)


def write_csv(path, rows):
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["id", "label", "text"])  # \r\n at the end of lines
        writer.writeheader()
        writer.writerows({"id": 1, "label": label, "text": text} for text, label in rows)
    return str(path)


@pytest.fixture(params=[("jsonl", write_jsonl), ("csv", write_csv)], ids=["jsonl", "csv"])
def files(request, tmp_path):
    suffix, write = request.param
    sets = {"train": TRAIN, "test": TEST, "ood": OUTSIDE}
    return {name: write(tmp_path / f"{name}.{suffix}", rows) for name, rows in sets.items()}


def timeless(figures):
    """A report without what differs from run to run."""
    return {**figures, "latency": None}


@pytest.fixture
def expected(bundled):
    """What the engine says of the same routes and texts."""
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        return timeless(router.evaluate(EXAMPLES).to_dict())


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate", *arguments])


def report(*arguments):
    done = evaluate(*arguments, "--json")
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1)
    return timeless(json.loads(done.stdout))


def test_labelled_files_give_the_report_that_the_engine_gives(files, expected):
    assert report("--train", files["train"], "--test", files["test"], "--ood", files["ood"]) == expected


def test_routes_may_come_from_a_store_or_a_route_file_with_the_same_result(files, expected, tmp_path):
    save_routes(tmp_path / "routes.yaml", ROUTES)
    with AdaptiveRouter(ROUTES, store=tmp_path / "routes.sqlite"):
        pass
    data = ["--test", files["test"], "--ood", files["ood"]]
    assert report(*data, "--routes", str(tmp_path / "routes.yaml")) == expected
    assert report(*data, "--db", str(tmp_path / "routes.sqlite")) == expected


def test_people_are_shown_the_same_figures(files, expected):
    done = evaluate("--train", files["train"], "--test", files["test"], "--ood", files["ood"])
    shown = " ".join(done.stdout.split())
    for share, meaning in [
        (expected["accuracy"], "accuracy"),
        (expected["answered"], "answered: LLM calls skipped"),
        (expected["error"], "error among the answered"),
        (expected["out_of_scope_accepted"], "of the out-of-scope texts answered"),
        (expected["coverage_at_error"]["0.05"], "coverage at 5 % error"),
    ]:
        assert f"{100 * share:.1f} % {meaning}" in shown
    assert f"{expected['aurc']:.4f} AURC" in shown
    assert f"{expected['auroc']:.4f} AUROC" in shown
    assert f"{100 * expected['macro_f1']:.1f} % macro F1" in shown
    assert f"best threshold: {expected['at_error'][2]['calls_saved']} LLM call" in shown
    assert re.search(r"\d ms for each text", shown)
    assert "6 texts, 3 of them out of scope, on 2 routes with 6 utterances" in shown


def test_the_time_is_that_of_all_texts(files):
    latency = json.loads(evaluate("--train", files["train"], "--test", files["test"], "--json").stdout)["latency"]
    assert latency["queries"] == 4
    assert latency["total_s"] > 0
    assert latency["mean_ms"] == pytest.approx(250 * latency["total_s"])


def test_figures_of_confidence_are_shown_where_there_is_confidence(bundled, capsys):
    shown = []
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        decisions = [router.route(text) for text, _ in EXAMPLES]
        sure = [decision.model_copy(update={"confidence": 0.75}) for decision in decisions]
        for answers in (decisions, sure):
            print_report(evaluate_decisions(EXAMPLES, answers, list(router.routes)), router, all_routes=False)
            shown.append(capsys.readouterr().out)
    assert ["calibration error" in each for each in shown] == [False, True]


def test_wrong_answers_are_shown_with_their_texts_as_they_are(files):
    done = evaluate("--train", files["train"], "--test", files["test"], "--threshold", "-1", "--min-margin", "0")
    assert "out of scope → " in done.stdout
    assert "write me a [bold]poem[/bold] [/red]" in done.stdout


def test_without_out_of_scope_texts_their_share_is_not_a_number(files, tmp_path):
    inside = write_jsonl(tmp_path / "inside.jsonl", TEST[:2])
    assert report("--train", files["train"], "--test", inside)["out_of_scope_accepted"] is None
    assert "— of the out-of-scope" in " ".join(evaluate("--train", files["train"], "--test", inside).stdout.split())


def test_the_reader_is_told_of_texts_that_are_not_used_or_flatter_the_figures(files, tmp_path):
    leaky = write_jsonl(tmp_path / "leaky.jsonl", [*TEST, ("Please  refund me", "refund?")])
    notes = evaluate("--train", files["train"], "--test", leaky, "--json").stderr
    assert "1 of the training texts belong to no route" in notes
    assert "1 of the test texts are utterances of a route too" in notes


# --- with a fitted head ----------------------------------------------------------------------------


def test_a_head_is_fitted_to_the_routes_of_the_training_texts_when_told_to(files, bundled):
    data = ["--train", files["train"], "--test", files["test"], "--ood", files["ood"]]
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        router.fit(seed=3)
        expected = timeless(router.evaluate(EXAMPLES).to_dict())
    assert report(*data, "--fit", "--seed", "3") == expected
    assert [expected["calibration_error"] is None, report(*data)["calibration_error"] is None] == [False, True]


def test_a_store_is_not_fitted_by_evaluating_what_a_fit_would_make_of_it(files, tmp_path):
    db = tmp_path / "routes.sqlite"
    with AdaptiveRouter(ROUTES, store=db):
        pass
    data = ["--test", files["test"], "--ood", files["ood"]]
    expected = report("--train", files["train"], *data, "--fit")
    assert report("--db", str(db), *data, "--fit") == expected
    with AdaptiveRouter(store=db) as router:
        assert (router.fits, router.revision) == ((), 1)


@pytest.mark.parametrize("option", ["--threshold", "--min-margin"])
def test_what_a_head_does_not_ask_for_is_refused_beside_it(files, option):
    done = evaluate("--train", files["train"], "--test", files["test"], "--fit", option, "0.4")
    assert (done.exit_code, done.stdout) == (2, "")
    assert option in done.stderr


# --- before and after ------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    sets = {"train": TRAIN, "test": TEST, "ood": OUTSIDE}
    files = [(f"--{name}", write_jsonl(tmp_path / f"{name}.jsonl", rows)) for name, rows in sets.items()]
    return [*itertools.chain(*files), "--min-margin", "0"]


@pytest.fixture
def saved(data, tmp_path):
    """The report of a router that answers nothing."""
    path = tmp_path / "before.json"
    assert evaluate(*data, "--threshold", "1", "--save", str(path)).exit_code == 0
    return path


def test_a_saved_report_is_the_report(data, saved):
    kept = EvaluationReport.from_json(saved.read_text("utf-8"))
    assert timeless(kept.to_dict()) == report(*data, "--threshold", "1")


def test_a_comparison_tells_what_a_change_costs(data, saved):
    result = report(*data, "--threshold", "-1", "--compare", str(saved), "--price", "0.5")
    comparison = result.pop("comparison")
    assert timeless(EvaluationReport.model_validate(result).to_dict()) == result
    assert (comparison["llm_calls"], comparison["money"], comparison["total"]) == (-6, -3.0, 6)
    assert comparison["wrong_answers"] == len(result["mistakes"])
    assert {flip["text"] for flip in comparison["flips"]} == {text for text, _ in EXAMPLES}


def test_people_are_shown_what_is_decided_otherwise(data, saved):
    done = evaluate(*data, "--threshold", "-1", "--compare", str(saved), "--price", "0.5")
    shown = " ".join(done.stdout.partition("since the earlier report")[2].split())
    assert "6 of 6 texts decided otherwise" in shown
    assert "-6 LLM calls, -3.00 in money" in shown
    assert "answered 0.0000 1.0000 +1.0000" in shown
    assert "now answered abstained → refund_" in shown
    assert re.search(
        r"now wrong abstained → \w+, expected out of scope write me a \[bold\]poem\[/bold\] \[/red\]", shown
    )


def test_a_comparison_with_itself_shows_no_flips(data, saved):
    done = evaluate(*data, "--threshold", "1", "--compare", str(saved), "--save", str(saved))
    assert "0 of 6 texts decided otherwise" in " ".join(done.stdout.split())
    assert "the worst first" not in done.stdout


def test_markdown_is_that_of_the_reports(data, saved):
    options = [*data, "--threshold", "-1", "--compare", str(saved)]
    done = evaluate(*options, "--markdown")
    result = report(*options)
    comparison = ComparisonReport.model_validate(result.pop("comparison"))
    parts = EvaluationReport.model_validate(result).to_markdown(), comparison.to_markdown()
    lines = [line for line in "\n".join(parts).splitlines() if "mean ms" not in line]
    assert len(lines) > 30
    assert [line for line in lines if line not in done.stdout.splitlines()] == []
    assert "\\[bold\\]poem" in done.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--compare", "nowhere.json"], "cannot read the report nowhere.json: No such file"),
        (["--compare", "NO_REPORT"], "no_report.json: EvaluationReport"),
        (["--compare", "OTHER"], "other.json: the two reports are not of the same examples: 2 of 4"),
        (["--save", "FOLDER/missing/x.json"], "name a file in a folder that is there"),
        (["--save", "FOLDER"], "name a file in a folder that is there"),
        (["--price", "-1"], "--price = -1.0: give a finite number"),
        (["--price", "nan"], "--price = nan"),
        (["--json", "--markdown"], "--json and --markdown exclude each other"),
    ],
)
def test_what_cannot_be_compared_or_saved_is_refused_before_a_text_is_routed(
    options, complaint, data, tmp_path, monkeypatch
):
    (tmp_path / "no_report.json").write_text("[1]", "utf-8")
    other = write_jsonl(tmp_path / "other.jsonl", [*TEST[:2], ("x", "refund?"), ("y", None)])
    assert evaluate(*data[:2], "--test", other, "--save", str(tmp_path / "other.json")).exit_code == 0
    monkeypatch.setattr(AdaptiveRouter, "route_batch", None)
    paths = {"NO_REPORT": str(tmp_path / "no_report.json"), "OTHER": str(tmp_path / "other.json")}
    given = [paths.get(option, option.replace("FOLDER", str(tmp_path))) for option in options]
    done = evaluate(*data[:4], *given)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert complaint in done.stderr


def test_a_report_that_cannot_be_written_is_an_error_of_one_line(data, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    done = evaluate(*data, "--save", str(tmp_path / "x.json"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "x.json: No space left on device" in done.stderr


# --- routes of many texts --------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path):
    """Files of twelve routes of which a few are easy to mistake for each other."""
    things = ["cat", "dog", "car", "boat", "house", "tree", "phone", "river", "bread", "shirt", "moon", "clock"]
    rows = [(f"{verb} the {thing}", f"the {thing}") for thing in things for verb in ("buy", "sell", "find", "paint")]
    random.Random(1).shuffle(rows)
    return {
        "train": write_jsonl(tmp_path / "train.jsonl", rows),
        "test": write_jsonl(tmp_path / "test.jsonl", [(f"see {label}", label) for _, label in rows[:30]]),
        "rows": rows,
    }


def test_the_ten_worst_routes_are_listed_worst_first_or_all_of_them(many, tmp_path):
    rows = [(f"see {label}", label) for _, label in many["rows"]]
    wrong = [("see the dog", "the cat")] * 5 + [("see the moon", "the clock")]
    test = write_jsonl(tmp_path / "wrong.jsonl", rows + wrong)
    few, everything = (
        evaluate("--train", many["train"], "--test", test, *form).stdout for form in ([], ["--all-routes"])
    )
    names = {label.replace(" ", "_") for _, label in many["rows"]}
    listed, listed_all = (re.findall(r"^(the_\w+) +\d", shown, re.MULTILINE) for shown in (few, everything))
    assert [set(listed[:2]), set(listed[2:4])] == [{"the_cat", "the_dog"}, {"the_clock", "the_moon"}]
    assert (len(listed), set(listed_all)) == (10, names)


def test_a_limit_draws_the_same_utterances_for_the_same_seed(many, bundled):
    data = ["--train", many["train"], "--test", many["test"], "--limit-per-route", "2", "--threshold", "0.75"]
    drawn = report(*data, "--seed", "5")
    assert drawn == report(*data, "--seed", "5") != report(*data, "--seed", "6")
    by_route = {}
    for text, label in many["rows"]:
        by_route.setdefault(label.replace(" ", "_"), []).append(text)
    routes = limit_utterances([Route(name, texts) for name, texts in by_route.items()], 2, seed=5)
    with AdaptiveRouter(routes, encoder=bundled, config=RouterConfig(threshold=0.75)) as router:
        examples = [(f"see {label}", label.replace(" ", "_")) for _, label in many["rows"][:30]]
        assert timeless(router.evaluate(examples).to_dict()) == drawn


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--train", "TRAIN", "--test", "TEST", "--db", "x.sqlite"], "leave --db and --routes out"),
        (["--routes", "x.yaml", "--test", "TEST", "--limit-per-route", "3"], "--limit-per-route draws from --train"),
        (["--train", "TRAIN", "--test", "TEST", "--limit-per-route", "0"], "cannot keep 0 utterances"),
        (["--train", "TRAIN", "--test", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--train", "EMPTY", "--test", "TEST"], "there are no texts in it"),
        (["--train", "OUTSIDE", "--test", "TEST"], "no text has a label"),
        (["--train", "TRAIN", "--test", "STRANGE"], "strange.jsonl, line 2: no route is named 'refunds'"),
        (["--train", "TRAIN", "--test", "BROKEN"], "broken.jsonl, line 2: not valid JSON"),
        (["--train", "TRAIN", "--test", "TEST", "--ood", "BROKEN"], "broken.jsonl, line 2: not valid JSON"),
        (["--train", "TRAIN", "--test", "TWIN"], "would both become the route 'refund_'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_file_and_line(options, complaint, tmp_path):
    paths = {
        "TRAIN": write_jsonl(tmp_path / "train.jsonl", TRAIN),
        "TEST": write_jsonl(tmp_path / "test.jsonl", TEST),
        "OUTSIDE": write_jsonl(tmp_path / "outside.jsonl", [("x", None)]),
        "EMPTY": write_jsonl(tmp_path / "empty.jsonl", []),
        "STRANGE": write_jsonl(tmp_path / "strange.jsonl", [("x", "refund?"), ("y", "refunds")]),
        "TWIN": write_jsonl(tmp_path / "twin.jsonl", [("x", "refund!")]),
        "BROKEN": str(tmp_path / "broken.jsonl"),
    }
    (tmp_path / "broken.jsonl").write_text('{"text": "x", "label": "refund?"}\n{"text"', "utf-8")
    done = evaluate(*(paths.get(option, option) for option in options))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert complaint in done.stderr
