"""``synaptoroute route``: decisions, streams, exit codes."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, BundledEncoder, Decision, Route, RouterConfig, save_routes
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.cli.lines import BATCH, MAX_LINE_BYTES, from_stream

ROUTES = (
    Route("refund", ["I want my money back", "please refund me"]),
    Route("parcel", ["where is my parcel", "track my delivery"]),
    Route("odd", ["[bold]x[/bold] [/red] :smile:", "\x1b[31mdanger\x1b[0m"]),
)
REFUND, PARCEL, NEITHER = "I'd like my money back", "where's my parcel", "what is the capital of Mongolia"


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    path = tmp_path_factory.mktemp("routes") / "routes.yaml"
    save_routes(path, ROUTES)
    return str(path)


@pytest.fixture
def route(routes):
    def route(*arguments, source=None, stdin=None):
        return CliRunner().invoke(app, ["route", *arguments, *(source or ["--routes", routes])], input=stdin)

    return route


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- arguments -------------------------------------------------------------------------------------


def test_json_lines_are_the_routers_decisions_with_their_texts(route, bundled):
    texts = [REFUND, NEITHER, PARCEL]
    lines = objects(route(*texts, "--json"))
    assert [line.pop("text") for line in lines] == texts
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        assert [Decision(**line) for line in lines] == router.route_batch(texts)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([REFUND, PARCEL], 0),
        ([REFUND, PARCEL, "--explain"], 0),
        ([REFUND, NEITHER], 1),
        ([NEITHER, REFUND, "--explain"], 1),
        ([NEITHER, REFUND, "--json"], 1),
        ([NEITHER, "", REFUND], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_text(route, arguments, code):
    assert route(*arguments).exit_code == code


def test_people_are_shown_candidates_with_scores_limits_and_evidence(route):
    shown = route(REFUND, NEITHER).stdout
    needed = f"{RouterConfig().threshold:.3f}"
    refund, neither = shown.split("\n\n")[0], shown.split(NEITHER)[1]
    assert [part for part in (REFUND, "→ refund", f">= {needed}", "I want my money back") if part not in refund] == []
    assert [part for part in ("— abstained (below_threshold)", f"< {needed}", "candidate") if part not in neither] == []


def test_an_explanation_adds_neighbours_and_advice(route):
    (explained,) = objects(route(REFUND, "--explain", "--json"))
    assert explained["neighbours"][0] == {
        "route": "refund",
        "utterance": "I want my money back",
        "similarity": pytest.approx(0.9, abs=0.1),
    }
    assert explained["route"] == "refund"
    assert explained["advice"] in " ".join(route(REFUND, "--explain").stdout.split())


def test_allowed_narrows_the_choice(route):
    (decision,) = objects(route(REFUND, "--allowed", "parcel", "--allowed", "odd", "--json"))
    assert decision["route"] is None
    assert {candidate["route"] for candidate in decision["candidates"]} == {"parcel", "odd"}


def test_threshold_and_margin_reach_the_router(route):
    (strict,) = objects(route(REFUND, "--threshold", "0.999", "--json"))
    (apart,) = objects(route(REFUND, "--min-margin", "1.5", "--json"))
    assert (strict["reason"], strict["threshold"], apart["reason"]) == ("below_threshold", 0.999, "ambiguous")


def test_markup_in_texts_and_utterances_is_shown_as_it_is(route):
    """A text that looks like a closing tag must not crash the table."""
    done = route("[bold]x[/bold] [/red] :smile:", "[/nope] [link=x]")
    assert done.exit_code in {0, 1}
    assert done.stdout.count("[bold]x[/bold] [/red] :smile:") >= 2
    assert "[/nope] [link=x]" in done.stdout


def test_terminal_controls_are_written_out_and_never_obeyed(route):
    done = route("\x1b[31mdanger\x1b[0m \x9b2J \x07", "--explain")
    assert r"\x1b[31mdanger\x1b[0m \x9b2J \x07" in done.stdout
    assert not {"\x1b", "\x9b", "\x07"} & set(done.stdout)


def test_a_sign_newer_than_pythons_character_tables_is_text(route):
    """U+1FAE9 came with Unicode 16, in 2024: phones send it, and Python up to 3.13 calls it not printable."""
    (decision,) = objects(route("\U0001fae9", "--json"))
    assert "error" not in decision


def test_a_json_line_is_one_line_for_every_reader(route):
    """Some readers end a line at more characters than a line feed."""
    text = "one\ntwo\u2028three\x85four\x0cfive \x9b2J Grüße 你好 👋 \x7f"
    done = route(text, "--json")
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["text"] == text
    assert "Grüße 你好 👋" in done.stdout
    assert not {"\x9b", "\x7f"} & set(done.stdout)


def test_a_route_file_on_top_of_a_store_does_not_go_into_it(route, tmp_path):
    """A command that asks must not change what it asks."""
    db, top = str(tmp_path / "routes.sqlite"), tmp_path / "top.json"
    with AdaptiveRouter(ROUTES, store=db) as router:
        revision = router.revision
    save_routes(top, [Route("refund", ["give me a poem"]), Route("capital", ["the capital of a country"])])
    done = route(REFUND, NEITHER, "a poem, give me one", "--json", source=["--db", db, "--routes", str(top)])
    assert [decision["route"] for decision in objects(done)] == [None, "capital", "refund"]
    with AdaptiveRouter(store=db) as router:
        assert (tuple(router.routes.values()), router.revision) == (ROUTES, revision)


# --- streams ---------------------------------------------------------------------------------------


@contextmanager
def started(*arguments):
    """The command with pipes, stopped at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "synaptoroute_integrations", "route", "-", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": ""},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(process, line):
    process.stdin.write(line + b"\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_a_line_is_answered_before_the_next_one_is_written(routes):
    with started("--json", "--routes", routes) as process:
        for text, expected in ((REFUND, "refund"), (PARCEL, "parcel"), (NEITHER, None)):
            assert ask(process, text.encode())["route"] == expected
        assert ask(process, b"")["error"]
        rest, errors = process.communicate(PARCEL.encode(), timeout=60)  # without a line feed at the end
        assert json.loads(rest)["route"] == "parcel"
        assert (errors, process.returncode) == (b"", 2)


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_reader_that_stops_reading_ends_the_command_quietly(routes, form):
    with started(*form, "--routes", routes) as process:
        process.stdin.write(f"{REFUND}\n".encode() * 2000)
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a single process")
def test_an_interrupt_ends_the_command_quietly(routes, interruptible):
    with started("--json", "--routes", routes) as process:
        assert ask(process, REFUND.encode())["route"] == "refund"
        process.send_signal(signal.SIGINT)
        process.wait(60)  # before its input is closed, which would end it as well
        rest, errors = process.communicate(timeout=60)
        assert (rest, errors, process.returncode) == (b"", b"", 130)


def test_many_lines_are_answered_in_order(route):
    texts = [f"{'where is my parcel' if number % 2 else 'refund me'} {number}" for number in range(3 * BATCH + 5)]
    done = route("-", "--json", stdin="\n".join(texts))
    assert [decision["text"] for decision in objects(done)] == texts


def test_lines_that_cannot_be_used_get_an_error_in_their_place(route):
    stdin = b"\xef\xbb\xbf" + f"{REFUND}\r\n\r\n  \n".encode() + b"caf\xe9\n\x00\n" + f"{PARCEL}\n".encode()
    done = route("-", "--json", stdin=stdin)
    first, *bad, last = objects(done)
    assert (first["text"], first["route"], last["route"], done.exit_code) == (REFUND, "refund", "parcel", 2)
    assert [line["line"] for line in bad] == [2, 3, 4, 5]
    assert ["UTF-8" if "UTF-8" in line["error"] else "blank" for line in bad] == ["blank", "blank", "UTF-8", "blank"]
    assert "text" not in bad[2]
    assert done.stderr == ""


def test_people_are_told_on_standard_error_which_lines_cannot_be_used(route):
    done = route("-", stdin=f"\n{PARCEL}\n")
    assert done.stderr == "error: line 1: the line is blank\n"
    assert "→ parcel" in done.stdout


def test_an_empty_stream_is_no_error(route):
    done = route("-", "--json", stdin="")
    assert (done.exit_code, done.output) == (0, "")


def test_a_line_without_end_is_cut_and_the_next_one_answered(route):
    """Memory must not grow with a line: a megabyte of words is read as its beginning."""
    endless = "where is my parcel " + "ä" * 1_000_000
    done = route("-", "--json", stdin=f"{endless}\n{REFUND}\n")
    first, second = objects(done)
    assert endless.startswith(first["text"])
    assert MAX_LINE_BYTES - 4 < len(first["text"].encode()) <= MAX_LINE_BYTES
    assert second["text"] == REFUND


class Endless:
    """A stream of one line of 16 MB."""

    def __init__(self):
        self.left = 16_000_000

    def read(self, size):
        taken = min(size, self.left)
        self.left -= taken
        return b"x" * taken


def test_memory_does_not_grow_with_a_line():
    tracemalloc.start()
    try:
        ((line,),) = from_stream(Endless())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert line.text == "x" * MAX_LINE_BYTES
    assert peak < 2_000_000


def test_a_text_that_the_model_fails_on_fails_alone(route, monkeypatch):
    encode = BundledEncoder.encode

    def fail_on_poison(self, texts):
        if any("poison" in text for text in texts):
            raise RuntimeError("boom")
        return encode(self, texts)

    monkeypatch.setattr(BundledEncoder, "encode", fail_on_poison)
    for form in ([], ["--explain"]):
        done = route("-", "--json", *form, stdin=f"{REFUND}\nthe poison\n{PARCEL}\n")
        first, failed, last = objects(done)
        assert (first["route"], last["route"], done.exit_code) == ("refund", "parcel", 3)
        assert (failed["line"], failed["text"]) == (2, "the poison")
        assert "boom" in failed["error"]


def test_an_unknown_name_in_allowed_is_told_before_anything_is_read(routes):
    with started("--routes", routes, "--allowed", "refnd") as process:
        assert b"did you mean 'refund'" in process.stderr.read()
        assert process.wait(60) == 2
