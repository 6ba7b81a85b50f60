"""``synaptoroute evaluate``."""

import csv
import json
import random
import re

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, Route, RouterConfig, save_routes
from synaptoroute_integrations.cli.commands import app
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


@pytest.fixture
def expected(bundled):
    """What the engine says of the same routes and texts."""
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        return router.evaluate(EXAMPLES).model_dump(mode="json")


def evaluate(*arguments):
    return CliRunner().invoke(app, ["evaluate", *arguments])


def report(*arguments):
    done = evaluate(*arguments, "--json")
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1)
    return json.loads(done.stdout)


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
    assert "6 texts, 3 of them out of scope, on 2 routes with 6 utterances" in shown


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
        assert router.evaluate(examples).model_dump(mode="json") == drawn


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
