"""``synaptoroute suggest``."""

import json

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, save_routes
from synaptoroute_integrations.cli.commands import app

MISSING = "delete_account"


@pytest.fixture(scope="module")
def routes(tmp_path_factory, support_routes):
    """A route file without the route that users ask for."""
    path = tmp_path_factory.mktemp("suggest") / "routes.yaml"
    save_routes(path, [route for route in support_routes if route.name != MISSING])
    return str(path)


@pytest.fixture(scope="module")
def wanted(support_routes):
    """Texts of the missing route."""
    return [text for route in support_routes if route.name == MISSING for text in route.utterances]


@pytest.fixture(scope="module")
def texts(support_examples, wanted):
    return [*(text for text, _ in support_examples[:40]), *wanted]


def suggest(*arguments, stdin=None):
    return CliRunner().invoke(app, ["suggest", *arguments], input=stdin)


def values(done):
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def expected(routes, texts, bundled):
    """What the engine says of the same routes and texts."""
    with AdaptiveRouter.from_file(routes, encoder=bundled) as router:
        return [each.model_dump(mode="json") for each in router.suggest(texts, 6)]


def test_suggestions_are_those_of_the_engine_from_a_file_or_a_stream_of_lines_or_json(
    routes, texts, expected, tmp_path
):
    plain = tmp_path / "texts.txt"
    plain.write_text("\n".join([*texts[:5], "", "   ", *texts[5:]]), encoding="utf-8")
    objects = "\n".join(json.dumps({"text": text, "user": 7}) for text in texts)
    for source, stdin in ((str(plain), None), ("-", plain.read_text("utf-8")), ("-", objects)):
        assert values(suggest(source, "--routes", routes, "-k", "6", "--json", stdin=stdin)) == expected


def test_a_route_that_is_missing_comes_first(expected, wanted):
    assert expected[0]["why"] == "cluster"
    assert {expected[0]["text"], *expected[0]["members"]} & set(wanted)


def test_people_are_shown_the_texts_with_reasons_and_the_texts_they_stand_for(routes, texts, expected):
    shown = suggest("-", "--routes", routes, "-k", "6", stdin="\n".join(texts)).stdout
    assert "6 texts to label" in shown
    for number, each in enumerate(expected, start=1):
        assert f"{number}. {each['text']}" in shown
    assert f"stands for {expected[0]['size']} that were left alone" in shown
    assert expected[0]["members"][0] in shown
    assert "near the threshold of 0.50" in shown


def test_the_threshold_of_the_call_decides_what_is_near_it(routes, texts):
    found = values(suggest("-", "--routes", routes, "--threshold", "0.7", "--json", stdin="\n".join(texts)))
    assert {each["decision"]["threshold"] for each in found} == {0.7}


def test_lines_that_cannot_be_used_are_told_and_passed_over(routes):
    stdin = b'{"text": "please delete my account"}\n{"query": "x"}\n\xff\xfe\n\n{not json\n'
    done = suggest("-", "--routes", routes, "--threshold", "0.99", "--json", stdin=stdin)
    assert done.exit_code == 0
    assert "2 of the lines cannot be used; the first: line 2" in done.stderr.replace("\n", " ")


def test_no_text_is_read_as_markup_or_obeyed_by_the_terminal(routes):
    text = "help [bold]me[/bold] [/red] \x1b[31m"
    for form in ([], ["--json"]):
        done = suggest("-", "--routes", routes, *form, stdin="\n".join([text] * 3))
        assert done.exit_code == 0
        assert "\x1b" not in done.stdout
        assert "help [bold]me[/bold] [/red]" in done.stdout


@pytest.mark.parametrize("stdin", ["", "\n  \n", '{"query": "x"}\n'])
def test_without_texts_it_says_so(routes, stdin):
    done = suggest("-", "--routes", routes, stdin=stdin)
    assert (done.exit_code, "there are no texts in it" in done.stderr) == (2, True)


def test_a_file_that_cannot_be_read_is_named(routes, tmp_path):
    for path in (tmp_path / "absent.txt", tmp_path):
        done = suggest(str(path), "--routes", routes)
        assert (done.exit_code, path.name in done.stderr.replace("\n", "")) == (2, True)


@pytest.mark.parametrize(("arguments", "hint"), [(["-k", "0"], "k = 0"), (["--threshold", "3"], "threshold")])
def test_an_option_that_makes_no_sense_is_refused(routes, arguments, hint):
    done = suggest("-", "--routes", routes, *arguments, stdin="hello\n")
    assert (done.exit_code, hint in done.stderr) == (2, True)


def test_without_routes_it_says_what_is_missing():
    done = suggest("-", stdin="hello\n")
    assert (done.exit_code, "--routes FILE" in done.stderr.replace("\n", " ")) == (2, True)
