"""What another threshold would change, in figures and text by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from synaptoroute_core import Decision, Example, Flip, JudgedText
from synaptoroute_core.learning.evaluation.comparing import compare_rows
from synaptoroute_core.learning.evaluation.judging import judge_texts
from synaptoroute_core.views.decisions import measured_by
from synaptoroute_core.views.markup import facts, quiet, table, text
from synaptoroute_core.views.style import card
from synaptoroute_core.words import counted, decimals, number

KIND = "Another threshold"
NOTHING_YET = "Type a few messages, and move the slider to see which of them would be decided otherwise."
SHOWN_FLIPS = 12
WORDS = {
    "now_wrong": "answered wrongly",
    "now_abstained": "a right answer given up",
    "withdrawn": "a wrong answer withdrawn",
    "now_answered": "answered rightly",
}
"""What a threshold can do to a labelled text: which route is its best candidate does not depend on it."""
WORDS_UNLABELLED = {"now_abstained": "no longer answered", "now_answered": "answered"}


@dataclass(frozen=True, slots=True)
class Tally:
    """What becomes of all texts.

    Attributes:
        total: Texts.
        answered: Those that are answered.
        wrong: Those that are answered wrongly; 0 without labels.
    """

    total: int
    answered: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What another threshold would change.

    Attributes:
        threshold: The threshold.
        route: The route that would have it; None = every route.
        measure: What the threshold is one of: ``score``, or ``confidence`` where a fitted head decides.
        labelled: Whether it is known which answers are right.
        before: What becomes of the texts as things are.
        after: What would become of them.
        flips: Texts that would be decided otherwise, the worst first. Without labels, every answer counts as right.
        sureness: How sure the router is of each of them; see :class:`JudgedText`.
    """

    threshold: float
    route: str | None
    measure: str
    labelled: bool
    before: Tally
    after: Tally
    flips: tuple[Flip, ...]
    sureness: tuple[float, ...]


class Trial:
    """Texts, as they are decided now and as they are without a threshold: enough to know each threshold's effect.

    Args:
        examples: The texts, with the routes that they belong to; None = to none.
        labelled: Whether these are known; if not, they are not looked at.
        now: Decisions on them as things are.
        unbarred: Decisions on them where the least score is -1: what they would be if nothing were too low.
    """

    def __init__(
        self, examples: Sequence[Example], now: Sequence[Decision], unbarred: Sequence[Decision], *, labelled: bool
    ) -> None:
        rows = judge_texts(examples, now)
        self._labelled = labelled
        self._rows = rows if labelled else tuple(row.model_copy(update={"expected": row.best}) for row in rows)
        self._open = tuple(decision.route for decision in unbarred)
        self._measure = measured_by(next((each.scorer for each in now if each.candidates), "similarity"))

    def consider(self, threshold: float, route: str | None = None) -> Outlook:
        """What another threshold would change.

        Args:
            threshold: The least score, or where a fitted head decides, the least confidence.
            route: The route that is to have it; None = every route.
        """
        after = tuple(
            row if route is not None and row.best != route else self._at(threshold, row, chosen)
            for row, chosen in zip(self._rows, self._open, strict=True)
        )
        flips = compare_rows(self._rows, after, ()).flips if self._rows else ()
        sureness = {row.text: row.sureness for row in self._rows}
        return Outlook(
            threshold=threshold,
            route=route,
            measure=self._measure,
            labelled=self._labelled,
            before=_tally(self._rows),
            after=_tally(after),
            flips=flips,
            sureness=tuple(sureness[flip.text] for flip in flips),
        )

    @staticmethod
    def _at(threshold: float, row: JudgedText, chosen: str | None) -> JudgedText:
        enough = row.best is not None and row.sureness >= threshold
        return row.model_copy(update={"chosen": chosen if enough else None, "threshold": threshold})


def outlook_html(outlook: Outlook, note: str = "") -> str:
    """The figures, a table of the flips, and a note below them."""
    if not outlook.before.total:
        return card(KIND, f"<p>{NOTHING_YET}</p>", _note(note))
    count = len(outlook.flips)
    where = "for every route" if outlook.route is None else f"for {text(outlook.route)}"
    place = quiet(f"at a {outlook.measure} of {decimals(outlook.threshold)[0]} {where}")
    change = f"<strong>{number(count)}</strong> of {counted(outlook.before.total, 'text')} would change"
    parts = [f'<p class="sr-head">{change} {place}</p>', facts(_figures(outlook))]
    if count:
        parts.append(_table(outlook))
    if count > SHOWN_FLIPS:
        parts.append(f"<p>{quiet(f'and {number(count - SHOWN_FLIPS)} more')}</p>")
    return card(KIND, *parts, _note(note))


def _note(note: str) -> str:
    return f"<p>{quiet(escape(note))}</p>" if note else ""


def _figures(outlook: Outlook) -> list[tuple[str, str]]:
    pairs = [("answered", outlook.before.answered, outlook.after.answered)]
    if outlook.labelled:
        pairs.append(("of them wrong", outlook.before.wrong, outlook.after.wrong))
    return [(name, number(now) if now == then else f"{number(now)} → {number(then)}") for name, now, then in pairs]


def _table(outlook: Outlook) -> str:
    words = WORDS if outlook.labelled else WORDS_UNLABELLED
    shown = zip(outlook.flips[:SHOWN_FLIPS], outlook.sureness, strict=False)
    rows = [
        (
            text(flip.text),
            *([_route(flip.expected, "none")] if outlook.labelled else []),
            _route(flip.before, "abstains"),
            _route(flip.after, "abstains"),
            decimals(sureness)[0],
            words[flip.kind],
        )
        for flip, sureness in shown
    ]
    columns = ("text", *(["label"] if outlook.labelled else []), "now", "then", f">{outlook.measure}", "effect")
    return table("Texts that would change", columns, rows, widths=("", *["14%"] * (len(columns) - 3), "12%", "17%"))


def _route(name: str | None, otherwise: str) -> str:
    return quiet(otherwise) if name is None else text(name)


def _tally(rows: Sequence[JudgedText]) -> Tally:
    answered = sum(row.chosen is not None for row in rows)
    return Tally(len(rows), answered, sum(row.wrong for row in rows))
