"""Which route was chosen for which label, as a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from synaptoroute_core import EvaluationReport, RouteNotFoundError
from synaptoroute_core.words import counted
from synaptoroute_integrations.notebook.arguments import flag, listed
from synaptoroute_integrations.notebook.charts import Axis, Chart, Grid
from synaptoroute_integrations.notebook.judgements import judgements_of
from synaptoroute_integrations.notebook.labels import excerpt, percent
from synaptoroute_integrations.notebook.picture import Picture

SHOWN_ROUTES = 30
WRITTEN_ROUTES = 16
SHOWN_TEXTS = 5
OUTSIDE, OTHER, ABSTAINED = "(out of scope)", "(another route)", "(abstained)"
"""In parentheses, which no route's name has."""

Cells: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""The texts by row and column."""


def confusion_matrix(
    report: EvaluationReport, *, routes: Iterable[str] | None = None, normalise: bool = True
) -> Picture:
    """What was chosen for each label: one row a label, one column a choice.

    In percent, the diagonal is the recall of each route. The last row has the texts that belong to no route, the last
    column those that were left unanswered. An empty cell is a zero. Of more than 30 routes, those that are confused
    most often are shown, those of one confusion side by side; what texts of theirs were sent elsewhere is in a column
    of its own.

    Args:
        report: What ``router.evaluate(examples)`` returned.
        routes: Names of the routes to show, in this order; None = all, or the 30 of the most frequent confusions.
            Anything that can be gone through once, such as an iterator or a column of a frame.
        normalise: Whether a cell is the share of its row, in percent; else it is the number of texts.

    Raises:
        ConfigurationError: It is no report, has no texts, or ``routes`` is no list of names.
        RouteNotFoundError: One of ``routes`` is not in the report.
    """
    judgements_of(report)  # refuses what is no report
    return Picture(_confusion_chart(report, routes, normalise=flag("normalise", normalise)))


def _confusion_chart(report: EvaluationReport, routes: Iterable[str] | None, *, normalise: bool) -> Chart:
    names = _all_names(report)
    shown = _most_confused(report, names) if routes is None else _require_names(routes, names)
    cells = _cells_of(report, shown)
    present = {place for cell in cells for place in cell}
    rows = [*shown, *(name for name in (OUTSIDE,) if name in present)]
    columns = [*shown, *(name for name in (OTHER,) if name in present), ABSTAINED]
    counts = np.array([[float(len(cells.get((row, column), ()))) for column in columns] for row in rows])
    totals = counts.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    grid = Grid(
        title="Share of the true route's texts (%)" if normalise else "Texts",
        values=np.where(counts > 0, shares if normalise else counts, np.nan),
        limits=(0.0, 100.0 if normalise else float(counts[: len(shown)].max(initial=1.0))),
        hover=[
            [_hover(row, column, cells.get((row, column), ()), int(total)) for column in columns]
            for row, total in zip(rows, totals[:, 0], strict=True)
        ],
        written=len(shown) <= WRITTEN_ROUTES,
    )
    return _framed(grid, rows, columns, f"{_summary(report)}{_selection(report, shown, names)}")


def _framed(grid: Grid, rows: Sequence[str], columns: Sequence[str], summary: str) -> Chart:
    """The table between its axes; each of its cells has room for a number where numbers are written."""
    side = 38 if grid.written else max(8, min(26, 1100 // len(columns)))
    return Chart(
        title="Confusion matrix",
        summary=summary,
        x=Axis("Predicted route", categories=tuple(columns)),
        y=Axis("True route (label)", categories=tuple(rows), downwards=True),
        layers=(grid,),
        width=max(520, 300 + side * len(columns)),
        height=max(420, 230 + side * len(rows)),
    )


def _all_names(report: EvaluationReport) -> list[str]:
    """Routes of the report in their order, and labels and choices beyond them, which only made up decisions have."""
    mentioned = (name for row in report.rows for name in (row.expected, row.chosen) if name is not None)
    return list(dict.fromkeys([*(quality.route for quality in report.routes), *mentioned]))


def _most_confused(report: EvaluationReport, names: Sequence[str]) -> list[str]:
    """All routes if they are few, or those of the most frequent confusions, or else those of the least recall."""
    if len(names) <= SHOWN_ROUTES:
        return list(names)
    pairs = ((each.expected, each.chosen) for each in report.confusions)
    confused = list(dict.fromkeys(name for pair in pairs for name in pair if name is not None))
    recalls = {quality.route: quality.recall for quality in report.routes}
    missed = sorted((name for name in names if recalls.get(name) is not None), key=lambda name: recalls[name] or 0.0)
    return (confused or missed or list(names))[:SHOWN_ROUTES]


def _require_names(routes: Iterable[str], known: Sequence[str]) -> list[str]:
    shown = listed("routes", routes, "names of routes, or None for all", least=1)
    for name in shown:
        if not isinstance(name, str) or name not in known:
            raise RouteNotFoundError(name, known)
    return list(dict.fromkeys(map(str, shown)))


def _cells_of(report: EvaluationReport, shown: Sequence[str]) -> Cells:
    """The texts of the labels that are shown."""
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    wanted = set(shown)
    for row in report.rows:
        if row.expected is None or row.expected in wanted:
            chosen = ABSTAINED if row.chosen is None else row.chosen if row.chosen in wanted else OTHER
            cells[OUTSIDE if row.expected is None else row.expected, chosen].append(row.text)
    return cells


def _hover(row: str, column: str, texts: Sequence[str], total: int) -> str:
    lines = [f"true: {row}", f"predicted: {column}"]
    if not texts:
        return "\n".join([*lines, "no texts"])
    share = percent(len(texts) / total)
    lines.append(f"{counted(len(texts), 'text')}, {share} of the label's {total:,}")
    lines += (f"· {excerpt(text)}" for text in texts[:SHOWN_TEXTS])
    return "\n".join([*lines, *([f"and {len(texts) - SHOWN_TEXTS:,} more"] if len(texts) > SHOWN_TEXTS else [])])


def _summary(report: EvaluationReport) -> str:
    """What became of all texts of the report, shown or not."""
    inside = [row for row in report.rows if row.expected is not None]
    right, missed = sum(row.chosen == row.expected for row in inside), sum(row.chosen is None for row in inside)
    sentence = (
        f"Of {counted(len(inside), 'in-scope text')}: {right:,} sent to their route, "
        f"{len(inside) - right - missed:,} to a wrong one, {missed:,} left unanswered."
    )
    outside = [row for row in report.rows if row.expected is None]
    if outside:
        accepted = sum(row.chosen is not None for row in outside)
        sentence += f" Of {counted(len(outside), 'out-of-scope text')}: {accepted:,} answered."
    if report.confusions:
        worst = report.confusions[0]
        sentence += (
            f" The most frequent confusion: {OUTSIDE if worst.expected is None else worst.expected} was taken for "
            f"{worst.chosen} {counted(worst.count, 'time')}."
        )
    return sentence


def _selection(report: EvaluationReport, shown: Sequence[str], names: Sequence[str]) -> str:
    """What is not shown, if there is such a thing."""
    if len(shown) == len(names):
        return ""
    wanted = {*shown, None}
    held = sum(each.count for each in report.confusions if {each.expected, each.chosen} <= wanted)
    wrong = sum(each.count for each in report.confusions)
    return (
        f" Shown: {len(shown):,} of {counted(len(names), 'route')}, with {held:,} of {counted(wrong, 'wrong answer')}."
    )
