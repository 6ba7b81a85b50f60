"""``synaptoroute demo``."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from synaptoroute_core import AdaptiveRouter


def demo(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "synaptoroute_integrations", "demo", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | environment,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def screens():
    return {columns: demo(COLUMNS=str(columns)) for columns in (80, 100)}


@pytest.fixture(scope="module")
def expected(bundled, support_routes, support_examples):
    """What the engine says of the sample queries."""
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        return router.evaluate(support_examples)


def test_the_figures_for_programs_are_those_of_the_engine(expected, support_routes):
    summary = json.loads(demo("--json"))
    assert summary["queries"] == expected.total
    for name in ("in_scope", "accuracy", "answered", "error", "out_of_scope_accepted"):
        assert summary[name] == getattr(expected, name)
    assert summary["utterances"] == sum(len(route.utterances) for route in support_routes)
    assert 0 < summary["one_by_one_ms"]["p50"] <= summary["one_by_one_ms"]["p95"]
    assert summary["at_once_ms"] > 0


def test_the_figures_on_the_screen_are_those_of_the_engine(screens, expected):
    shown = " ".join(screens[80].split())
    for share, meaning in [
        (expected.answered, f"of {expected.total} queries answered here"),
        (expected.error, "of those answers wrong"),
        (expected.out_of_scope_accepted, f"of {expected.total - expected.in_scope} out-of-scope queries accepted"),
        (expected.accuracy, f"of {expected.in_scope} in-scope queries"),
    ]:
        assert f"{100 * share:.1f} % {meaning}" in shown


@pytest.mark.parametrize("columns", [80, 100])
def test_the_screen_fits(screens, columns):
    lines = screens[columns].splitlines()
    assert max(map(len, lines)) <= columns


def test_right_and_wrong_are_told_apart_without_colours(screens, expected):
    rows = re.findall(r"^([✓○✗]) (.+)\n +(\S.*)$", screens[100], re.MULTILINE)
    assert len(rows) >= 10
    wrong = {mistake.text for mistake in expected.mistakes}
    for sign, query, decision in rows:
        is_wrong = any(query.startswith(text[:60]) for text in wrong)
        assert (sign == "✗") == is_wrong
        assert (sign == "○") <= ("— abstained" in decision)


def test_every_query_is_shown_when_asked_for(support_examples):
    shown = demo("--all", COLUMNS="300")
    assert [text for text, _ in support_examples if text[:70] not in shown] == []
    assert "--all" not in shown


def test_the_commands_that_it_suggests_work_in_an_empty_folder(screens, tmp_path):
    suggestions = screens[80].split("Try next:\n")[1].splitlines()
    assert len(suggestions) >= 2
    for suggestion in suggestions:
        program, *arguments = shlex.split(suggestion)
        assert program == "synaptoroute"
        done = subprocess.run(
            [sys.executable, "-m", "synaptoroute_integrations", *arguments],
            capture_output=True,
            cwd=tmp_path,
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
