"""The demo: sample routes, sample queries, decisions, figures."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from synaptoroute_core import (
    AdaptiveRouter,
    Decision,
    EvaluationReport,
    Example,
    RouterConfig,
    evaluate_decisions,
    load_routes,
)
from synaptoroute_core.words import counted
from synaptoroute_integrations.cli.decisions import name_outcome
from synaptoroute_integrations.cli.output import decimals, figures, percent, screen, styled
from synaptoroute_integrations.examples import read_examples

SELECTION = {"right": 5, "rightly abstained": 4, "abstained": 4, "wrong": 2}
"""How many rows of each kind are shown."""
READABLE = 50
"""Queries of at most this many characters are shown first: they fit on a line."""
WIDTH = 110
"""On a wider screen a row would be hard to follow."""
EXPECTED_WIDTH = 23
DECISION_WIDTH = 29
NEXT_STEPS = (
    'synaptoroute add refund "money back" "please refund me" --db routes.sqlite',
    'synaptoroute route "can I get my money back?" --db routes.sqlite --explain',
    "synaptoroute evaluate --help",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A query of the demo.

    Attributes:
        text: The query.
        expected: Its route; None = none of them.
        decision: What was decided.
    """

    text: str
    expected: str | None
    decision: Decision

    @property
    def kind(self) -> str:
        """How it went: a key of ``SELECTION``."""
        if self.decision.route == self.expected:
            return "right" if self.decision else "rightly abstained"
        return "wrong" if self.decision else "abstained"


@dataclass(frozen=True, slots=True)
class Show:
    """What the demo found out.

    Attributes:
        routes: Number of routes.
        utterances: Number of utterances.
        opened_s: Seconds that it took to load the model and encode the utterances.
        rows: The queries, as they were decided.
        report: The figures.
        seconds: Time of each query, one after another.
        together_s: Time of all queries, handed in at once.
    """

    routes: int
    utterances: int
    opened_s: float
    rows: Sequence[Row]
    report: EvaluationReport
    seconds: Sequence[float]
    together_s: float

    def as_dict(self) -> dict[str, Any]:
        """The figures, for programs."""
        report = self.report
        return {
            "routes": self.routes,
            "utterances": self.utterances,
            "queries": report.total,
            "in_scope": report.in_scope,
            "accuracy": report.accuracy,
            "answered": report.answered,
            "error": report.error,
            "out_of_scope_accepted": report.out_of_scope_accepted,
            "opened_s": self.opened_s,
            "one_by_one_ms": {"p50": 1000 * percentile(self.seconds, 50), "p95": 1000 * percentile(self.seconds, 95)},
            "at_once_ms": 1000 * self.together_s / len(self.rows),
        }


def run_show() -> Show:
    """Route the sample queries, one after another and all at once."""
    with as_file(files("synaptoroute_integrations") / "samples") as folder:
        routes = load_routes(folder / "support_routes.yaml")
        examples = read_examples(folder / "support_queries.jsonl")
    texts = [text for text, _ in examples]
    started = time.perf_counter()
    # Without a cache: a query is not to be answered from memory the second time.
    with AdaptiveRouter(routes, config=RouterConfig(cache_size=0)) as router:
        router.route(texts[0])  # starts the workers
        opened_s = time.perf_counter() - started
        decisions, seconds = _one_by_one(router, texts)
        started = time.perf_counter()
        router.route_batch(texts)
        together_s = time.perf_counter() - started
        names = list(router.routes)
    return Show(
        routes=len(routes),
        utterances=sum(len(route.utterances) for route in routes),
        opened_s=opened_s,
        rows=_rows(examples, decisions),
        report=evaluate_decisions(examples, decisions, names),
        seconds=seconds,
        together_s=together_s,
    )


def _one_by_one(router: AdaptiveRouter, texts: Sequence[str]) -> tuple[list[Decision], list[float]]:
    decisions, seconds = [], []
    for text in texts:
        started = time.perf_counter()
        decisions.append(router.route(text))
        seconds.append(time.perf_counter() - started)
    return decisions, seconds


def _rows(examples: Sequence[Example], decisions: Sequence[Decision]) -> list[Row]:
    return [Row(text, expected, decision) for (text, expected), decision in zip(examples, decisions, strict=True)]


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that ``percent`` of the values do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def select(rows: Sequence[Row]) -> list[Row]:
    """The first rows of each kind, those that fit on a line before the others."""
    chosen: list[Row] = []
    for kind, count in SELECTION.items():
        of_kind = [row for row in rows if row.kind == kind]
        chosen += sorted(of_kind, key=lambda row: len(row.text) > READABLE)[:count]
    return chosen


# --- on the screen ---------------------------------------------------------------------------------


def print_show(show: Show, *, all_rows: bool) -> None:
    """Print decisions, figures and what to try next."""
    console = screen()
    console.print(
        f"{counted(show.routes, 'route')} of an online shop's support desk, {counted(show.utterances, 'utterance')}; "
        f"model loaded and utterances encoded in {show.opened_s:.1f} s."
    )
    rows = show.rows if all_rows else select(show.rows)
    console.print()
    _print_rows(console, rows)
    console.print()
    console.print(_legend(console, len(rows), len(show.rows)))
    console.print()
    console.print(_figures(show))
    console.print("\nTry next:", style="bold")
    for step in NEXT_STEPS:
        console.print(f"  {step}", soft_wrap=True)


def _marks(console: Console) -> dict[str, Text]:
    """A sign for each kind of row."""
    plain = not console.encoding.lower().startswith("utf")
    good, bad, left = ("+", "x", "o") if plain else ("✓", "✗", "○")
    return {
        "right": Text(good, style="green"),
        "rightly abstained": Text(good, style="green"),
        "abstained": Text(left, style="yellow"),
        "wrong": Text(bad, style="bold red"),
    }


def _print_rows(console: Console, rows: Sequence[Row]) -> None:
    """Two lines a query: text and expected route, then the decision and what it rests on."""
    width = min(console.width, WIDTH)
    marks = _marks(console)
    head = (
        _query_line(width, Text(" "), Text("query"), "expected"),
        _decision_line(width, Text("decision"), "score", "margin", "nearest utterance"),
        Text("─" * width),
    )
    for line in head:
        console.print(line, style="dim", no_wrap=True, overflow="crop")
    for row in rows:
        decision = row.decision
        spoke = decision.candidates[0].utterance if decision.candidates else ""
        for line in (
            _query_line(width, marks[row.kind], styled(row.text), row.expected or "none of them"),
            _decision_line(width, name_outcome(decision), decimals(decision.score), decimals(decision.margin), spoke),
        ):
            console.print(line, no_wrap=True, overflow="crop")


def _query_line(width: int, mark: Text, query: Text, expected: str) -> Text:
    return Text.assemble(mark, " ", _fit(query, width - 4 - EXPECTED_WIDTH), "  ", (expected, "dim"))


def _decision_line(width: int, decision: Text, score: str, margin: str, utterance: str) -> Text:
    numbers = f"{score:>6} {margin:>7}  "
    rest = width - 4 - DECISION_WIDTH - len(numbers)
    line = Text.assemble("    ", _fit(decision, DECISION_WIDTH), numbers, _fit(styled(utterance, "dim"), rest))
    line.rstrip()
    return line


def _fit(text: Text, width: int) -> Text:
    text.truncate(max(width, 1), overflow="ellipsis", pad=True)
    return text


def _legend(console: Console, shown: int, total: int) -> Text:
    marks = _marks(console)
    legend = Text.assemble(
        marks["right"],
        " right   ",
        marks["abstained"],
        " abstained where a route was right   ",
        marks["wrong"],
        " wrong",
    )
    if shown < total:
        legend.append(f"\n{shown} of {total} queries, some of each kind; --all shows every one.", style="dim")
    return legend


def _figures(show: Show) -> Table:
    report = show.report
    p50, p95 = (1000 * percentile(show.seconds, rank) for rank in (50, 95))
    return figures(
        [
            (percent(report.answered), f"of {report.total} queries answered here: LLM calls skipped"),
            (percent(report.error), "of those answers wrong"),
            (
                percent(report.out_of_scope_accepted),
                f"of {report.total - report.in_scope} out-of-scope queries accepted",
            ),
            (percent(report.accuracy), f"of {report.in_scope} in-scope queries have the right route as best candidate"),
            (f"{p50:.1f} ms", f"a query, one after another (p50; p95 {p95:.1f} ms), on this machine"),
            (f"{1000 * show.together_s / len(show.rows):.1f} ms", "a query, all handed in at once"),
        ]
    )
