"""What another threshold would do, as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core import ConfigurationError, EvaluationReport, RouteNotFoundError, RouteQuality
from synaptoroute_core.errors import shorten
from synaptoroute_core.words import counted
from synaptoroute_integrations.notebook.charts import Axis, Chart, Floats, Layer, Line, Note, Points
from synaptoroute_integrations.notebook.judgements import Judgements, Thresholds, judgements_of
from synaptoroute_integrations.notebook.picture import Picture

FIGURES = ("precision", "recall", "F1")
MARGIN = 0.02
"""What is shown to the left of the least score and to the right of the greatest, as a share of all between."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What each threshold that makes a difference does.

    Attributes:
        edges: Scores at which something changes, rising, with one more at each end: shape (cuts + 1,).
        figures: Precision, recall and F1 of a threshold over one edge and up to the next, NaN where undefined: shape
            (3, cuts).
    """

    edges: Floats
    figures: Floats

    def at(self, threshold: float) -> Floats:
        """The three figures at a threshold within the edges: shape (3,)."""
        found: Floats = self.figures[:, np.searchsorted(self.edges, threshold, side="left") - 1]
        return found


def threshold_curves(report: EvaluationReport, route: str | None = None) -> Picture:
    """Precision, recall and F1 if one threshold were in the place of all: at every value that makes a difference.

    Between two neighbouring scores all thresholds do the same, so the lines are steps, and exact. Texts that were left
    unanswered though they reached their threshold, since their two best candidates were too close, are answered at
    none. Of those under their threshold the report does not say how close they were, so that to the left of the
    threshold in force a few may be answered too many.

    Args:
        report: What ``router.evaluate(examples)`` returned.
        route: A route's name, for the precision, recall and F1 of that route; None = means over the routes that texts
            are labelled with. As in the report, a route that is never chosen then has a precision of 0.

    Raises:
        ConfigurationError: It is no report, or has no texts that would have a precision or a recall; or the route is
            no name.
        RouteNotFoundError: There is no such route in the report.
    """
    if route is not None and not isinstance(route, str):
        raise ConfigurationError(f"route = {shorten(route)}: give a route's name, or None for means over the routes")
    return Picture(_threshold_chart(report, route))


def _threshold_chart(report: EvaluationReport, route: str | None) -> Chart:
    judged = judgements_of(report)
    qualities = _qualities(report, route)
    best = np.array([row.best for row in report.rows], dtype=object)
    concerned = judged.eligible if route is None else judged.eligible & (best == route)
    thresholds = _met(report, judged, route)
    curves = _sweep(judged, concerned, best, qualities, thresholds, single=route is not None)
    layers: list[Layer] = [
        Line(name, curves.edges, np.append(values, values[-1]), tone, stepped=True)
        for tone, (name, values) in enumerate(zip(FIGURES, curves.figures, strict=True))
    ]
    now = _now(report, qualities, route)
    if thresholds is not None:
        layers += _in_force(thresholds, now)
    summary, note = _best(
        curves, now[2], f"Macro F1 of {counted(len(qualities), 'route')}" if route is None else f"F1 of {route}"
    )
    return Chart(
        title=f"Precision, recall and F1 by threshold, {f'of {route}' if route else 'macro average of the routes'}",
        summary=" ".join([summary, *([] if thresholds is None else [thresholds.sentence()])]),
        x=Axis(f"Threshold of the {judged.measure}"),
        y=Axis("Precision, recall, F1 (0 to 1)", limits=(0.0, 1.05)),
        layers=(*layers, *note),
    )


# --- what there is to count ------------------------------------------------------------------------


def _qualities(report: EvaluationReport, route: str | None) -> list[RouteQuality]:
    """The routes that count."""
    if route is None:
        found = [each for each in report.routes if each.support]
        if not found:
            raise ConfigurationError(
                "no text of the report is labelled with a route, so there is no precision, recall or F1: "
                "score_histograms() shows out-of-scope texts"
            )
        return found
    found = [each for each in report.routes if each.route == route]
    if not found:
        raise RouteNotFoundError(route, [each.route for each in report.routes])
    if not found[0].support and all(row.best != route for row in report.rows):
        raise ConfigurationError(f"no text of the report is labelled {route!r} or has it for its best candidate")
    return found


def _met(report: EvaluationReport, judged: Judgements, route: str | None) -> Thresholds | None:
    """The thresholds in force: all, or the route's own."""
    if route is None:
        return judged.thresholds
    own = [row.threshold for row in report.rows if row.best == route and row.threshold is not None]
    return Thresholds(own[0], min(own), max(own)) if own else None


def _now(report: EvaluationReport, qualities: list[RouteQuality], route: str | None) -> tuple[float | None, ...]:
    """The three figures of the router as it is."""
    if route is None:
        return report.macro_precision, report.macro_recall, report.macro_f1
    return qualities[0].precision, qualities[0].recall, qualities[0].f1


# --- the sweep -------------------------------------------------------------------------------------


def _sweep(
    judged: Judgements,
    concerned: NDArray[np.bool_],
    best: NDArray[np.object_],
    qualities: list[RouteQuality],
    thresholds: Thresholds | None,
    *,
    single: bool,
) -> Curves:
    scores, ranks = np.unique(judged.columns.sureness[concerned], return_inverse=True)
    right, best = judged.columns.best_right[concerned], best[concerned]
    figures = np.zeros((len(FIGURES), len(scores) + 1))
    for quality in qualities:
        own = best == quality.route
        answered, hits = (_from_each_rank(ranks[among], len(scores)) for among in (own, own & right))
        figures += np.stack(list(_figures(answered, hits, quality.support, undefined=np.nan if single else 0.0)))
    marks = [] if thresholds is None else [thresholds.common]
    inner = np.append(scores, marks) if len(scores) or marks else np.array([0.0, 1.0])
    margin = max(MARGIN, MARGIN * (inner.max() - inner.min()))
    return Curves(np.concatenate([[inner.min() - margin], scores, [inner.max() + margin]]), figures / len(qualities))


def _from_each_rank(ranks: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """How many are at or over each of the ranks, and 0 for the one over all: shape (count + 1,)."""
    found: NDArray[np.intp] = np.bincount(ranks, minlength=count + 1)[::-1].cumsum()[::-1]
    return found


def _figures(answered: NDArray[np.intp], hits: NDArray[np.intp], support: int, *, undefined: float) -> Iterator[Floats]:
    """Precision, recall and F1 at each cut; F1 is defined where both others are."""
    shape = np.full(len(answered), undefined)
    yield np.divide(hits, answered, out=shape.copy(), where=answered > 0)
    yield hits / support if support else shape.copy()
    defined = (answered > 0) & (support > 0)
    yield np.divide(2 * hits, answered + support, out=shape.copy(), where=defined)


# --- the marks -------------------------------------------------------------------------------------


def _in_force(thresholds: Thresholds, now: tuple[float | None, ...]) -> list[Layer]:
    """The threshold in force, and what the router does with it; off the lines where routes have their own."""
    told = [(name, value) for name, value in zip(FIGURES, now, strict=True) if value is not None]
    points = Points(
        "the router as it is",
        np.full(len(told), thresholds.common),
        np.array([value for _, value in told]),
        "muted",
        [f"the router as it is\n{name}: {value:.3f}" for name, value in told],
        "diamond",
        9.0,
    )
    return [thresholds.rule(), *([points] if told else [])]


def _best(curves: Curves, now: float | None, what: str) -> tuple[str, list[Note]]:
    """Where F1 is highest, as a sentence and a mark."""
    lead = f"{what} is {'undefined' if now is None else format(now, '.3f')} as it is"
    values = curves.figures[2]
    if np.isnan(values).all():
        return f"{lead}: no text is labelled with the route.", []
    place = int(np.nanargmax(values))
    middle = float(curves.edges[place : place + 2].mean())
    sentence = f"{lead}; with one threshold it is highest, {values[place]:.3f}, at {middle:.3f}, on these very texts."
    return sentence, [Note(middle, float(values[place]), f"best F1 {values[place]:.2f} at {middle:.2f}")]
