"""Decisions beside their labels: text by text, route by route."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.learning.evaluation.figures import best_of, sureness_of
from synaptoroute_core.learning.markdown import cell, name_choice, name_label, section
from synaptoroute_core.learning.reports import shown
from synaptoroute_core.types import Decision, Example

SHOWN_TEXTS = 5
SHOWN_ROWS = 10


class JudgedText(FrozenModel):
    """What became of one text.

    Attributes:
        text: The text.
        expected: Its label; None = out of scope.
        chosen: The route that was chosen; None = abstained.
        best: The best candidate, chosen or not; None without candidates.
        sureness: The confidence, or the best score where there is none; -1 without candidates.
        threshold: The sureness that the best candidate needed; None without candidates.
    """

    text: str
    expected: str | None
    chosen: str | None
    best: str | None
    sureness: float
    threshold: float | None = None

    @property
    def wrong(self) -> bool:
        """Whether it got a wrong answer. An abstention is none."""
        return self.chosen is not None and self.chosen != self.expected


class RouteQuality(FrozenModel):
    """How one route did.

    Attributes:
        route: Its name.
        support: Texts labelled with it.
        answered: Texts that were sent to it.
        precision: Share of those that belong there; None if there were none.
        recall: Share of its texts that were sent to it; None if it has none.
        f1: Harmonic mean of the two; None where one of them is.
    """

    route: str
    support: int
    answered: int
    precision: float | None
    recall: float | None
    f1: float | None


class Confusion(FrozenModel):
    """A pair of routes that is taken one for the other.

    Attributes:
        expected: The label; None = out of scope.
        chosen: The route that was chosen.
        count: How often.
        texts: Some of the texts.
    """

    expected: str | None
    chosen: str
    count: int
    texts: tuple[str, ...]


class Mistake(FrozenModel):
    """A text that was sent to the wrong route.

    Attributes:
        text: The text.
        expected: Its label; None = out of scope.
        decision: What was decided.
    """

    text: str
    expected: str | None
    decision: Decision


class Missed(FrozenModel):
    """A text that belongs to a route and was left unanswered.

    Attributes:
        text: The text.
        expected: Its label.
        decision: What was decided.
    """

    text: str
    expected: str
    decision: Decision


def judge_texts(examples: Sequence[Example], decisions: Sequence[Decision]) -> tuple[JudgedText, ...]:
    """What became of each text, in their order."""
    return tuple(
        JudgedText(
            text=text,
            expected=label,
            chosen=decision.route,
            best=best_of(decision),
            sureness=sureness_of(decision),
            threshold=decision.threshold,
        )
        for (text, label), decision in zip(examples, decisions, strict=True)
    )


def route_qualities(rows: Iterable[JudgedText], routes: Sequence[str]) -> tuple[RouteQuality, ...]:
    """How each of the routes did, in their order."""
    support: dict[str, int] = defaultdict(int)
    answered: dict[str, int] = defaultdict(int)
    hits: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.expected is not None:
            support[row.expected] += 1
        if row.chosen is not None:
            answered[row.chosen] += 1
            hits[row.chosen] += row.chosen == row.expected
    return tuple(_quality(route, support[route], answered[route], hits[route]) for route in routes)


def _quality(route: str, support: int, answered: int, hits: int) -> RouteQuality:
    defined = support > 0 and answered > 0
    return RouteQuality(
        route=route,
        support=support,
        answered=answered,
        precision=hits / answered if answered else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + answered) if defined else None,
    )


def macro_averages(qualities: Iterable[RouteQuality]) -> tuple[float | None, float | None, float | None]:
    """Mean precision, recall and F1 over the routes that texts are labelled with; None if there are none.

    A route to which nothing was sent has no precision and no F1 of its own; both count as 0, for a
    router must not gain by never choosing it.
    """
    supported = [quality for quality in qualities if quality.support]
    if not supported:
        return None, None, None
    columns = zip(*((each.precision or 0.0, each.recall or 0.0, each.f1 or 0.0) for each in supported), strict=True)
    precision, recall, f1 = (sum(column) / len(supported) for column in columns)
    return precision, recall, f1


def worst_routes(qualities: Iterable[RouteQuality], count: int) -> list[RouteQuality]:
    """The ``count`` routes with the least F1, worst first; those that no text concerns are left out."""
    concerned = [quality for quality in qualities if quality.support or quality.answered]
    return sorted(concerned, key=lambda quality: (quality.f1 or 0.0, -quality.support - quality.answered))[:count]


def find_confusions(rows: Iterable[JudgedText]) -> tuple[Confusion, ...]:
    """What was taken for what, most frequent first."""
    texts: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for row in rows:
        if row.chosen is not None and row.chosen != row.expected:
            texts[row.expected, row.chosen].append(row.text)
    ranking = sorted(texts.items(), key=lambda item: (-len(item[1]), item[0][1], item[0][0] or ""))
    return tuple(
        Confusion(expected=label, chosen=chosen, count=len(found), texts=tuple(found[:SHOWN_TEXTS]))
        for (label, chosen), found in ranking
    )


def find_mistakes(rows: Sequence[JudgedText], decisions: Sequence[Decision]) -> tuple[Mistake, ...]:
    """All wrong answers, surest first."""
    return tuple(
        Mistake(text=row.text, expected=row.expected, decision=decision)
        for row, decision in _surest_first(rows, decisions)
        if row.wrong
    )


def find_missed(rows: Sequence[JudgedText], decisions: Sequence[Decision]) -> tuple[Missed, ...]:
    """All in-scope texts that were left unanswered, surest first."""
    return tuple(
        Missed(text=row.text, expected=row.expected, decision=decision)
        for row, decision in _surest_first(rows, decisions)
        if row.expected is not None and row.chosen is None
    )


def _surest_first(rows: Sequence[JudgedText], decisions: Sequence[Decision]) -> Iterator[tuple[JudgedText, Decision]]:
    pairs = zip(rows, decisions, strict=True)
    return iter(sorted(pairs, key=lambda pair: -pair[0].sureness))


# --- in Markdown -----------------------------------------------------------------------------------


def routes_section(qualities: Iterable[RouteQuality]) -> list[str]:
    """The worst routes."""
    return section(
        "Worst routes",
        ["route", ">texts", ">answered", ">precision", ">recall", ">F1"],
        [
            (
                cell(each.route),
                f"{each.support:,}",
                f"{each.answered:,}",
                *map(shown, (each.precision, each.recall, each.f1)),
            )
            for each in worst_routes(qualities, SHOWN_ROWS)
        ],
    )


def confusions_section(confusions: Sequence[Confusion]) -> list[str]:
    """The most frequent confusions."""
    return section(
        "What was taken for what",
        ["expected", "chosen", ">count", "for example"],
        [
            (name_label(each.expected), cell(each.chosen), f"{each.count:,}", cell(each.texts[0]))
            for each in confusions[:SHOWN_ROWS]
        ],
    )


def failures_section(title: str, failures: Sequence[Mistake | Missed]) -> list[str]:
    """The first of the texts that went wrong."""
    return section(
        title,
        ["text", "expected", "decided", "best candidate", ">sureness"],
        [
            (
                cell(each.text),
                name_label(each.expected),
                name_choice(each.decision.route),
                cell(best_of(each.decision) or ""),
                shown(sureness_of(each.decision)),
            )
            for each in failures[:SHOWN_ROWS]
        ],
    )
