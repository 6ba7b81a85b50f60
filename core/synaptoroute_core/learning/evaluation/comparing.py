"""Two evaluations of the same texts, text by text: what a change of the router made better and worse."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.learning.evaluation.figures import mcnemar
from synaptoroute_core.learning.evaluation.judging import JudgedText
from synaptoroute_core.learning.evaluation.measuring import cost_of
from synaptoroute_core.learning.markdown import cell, name_choice, name_label, section, table, title_of
from synaptoroute_core.learning.reports import UNDEFINED, Report, shown
from synaptoroute_core.text import replace_surrogates
from synaptoroute_core.types import Example
from synaptoroute_core.words import counted, verb

FlipKind: TypeAlias = Literal[
    "broken", "now_wrong", "changed_wrong", "now_abstained", "withdrawn", "now_answered", "fixed"
]

COSTS: Mapping[FlipKind, tuple[int, int]] = {
    "broken": (0, 1),
    "now_wrong": (-1, 1),
    "changed_wrong": (0, 0),
    "now_abstained": (1, 0),
    "withdrawn": (1, -1),
    "now_answered": (-1, 0),
    "fixed": (0, -1),
}
"""LLM calls and wrong answers that a flip adds. The order is that of a report: the worst first."""

SHOWN_FLIPS = 30


class Flip(FrozenModel):
    """A text that is decided otherwise than before.

    Attributes:
        text: The text.
        expected: Its label; None = out of scope.
        before: The route that was chosen before; None = abstained.
        after: The route that is chosen now; None = abstains.
        kind: ``fixed`` (from a wrong answer to the right one); ``broken`` (from the right answer to a
            wrong one); ``now_answered`` (from an abstention to the right answer); ``now_abstained``
            (from the right answer to an abstention); ``now_wrong`` (from an abstention to a wrong
            answer); ``withdrawn`` (from a wrong answer to an abstention); ``changed_wrong`` (from one
            wrong answer to another). Any answer to an out-of-scope text is wrong.
        llm_calls: LLM calls that it adds: 1 where an abstention took the place of an answer, -1 where
            an answer took the place of an abstention, else 0.
        wrong_answers: Wrong answers that it adds: 1, 0 or -1.
    """

    text: str
    expected: str | None
    before: str | None
    after: str | None
    kind: FlipKind
    llm_calls: int
    wrong_answers: int


class Delta(FrozenModel):
    """A figure before and after.

    Attributes:
        figure: Its name, as in :meth:`EvaluationReport.headline`.
        before: Its value in the first report; None where undefined.
        after: Its value in the second.
        change: ``after`` less ``before``; None where one of them is.
    """

    figure: str
    before: float | None
    after: float | None
    change: float | None


class ComparisonReport(Report):
    """What changed from one evaluation to another of the same texts.

    Attributes:
        total: Texts.
        flips: Texts that are decided otherwise, the worst kinds first.
        kinds: How many there are of each kind.
        llm_calls: Change in the number of LLM calls, which is the number of abstentions.
        wrong_answers: Change in the number of wrong answers.
        money: Change in what the LLM calls cost; None without a price.
        p_value: McNemar's exact test of ``fixed`` against ``broken``: how likely so uneven a split, or
            a more uneven one, would be by chance.
        p_value_wrong: The same of all wrong answers that went (``fixed``, ``withdrawn``) against those
            that came (``broken``, ``now_wrong``).
        deltas: The headline figures.
    """

    total: int
    flips: tuple[Flip, ...]
    kinds: Mapping[FlipKind, int]
    llm_calls: int
    wrong_answers: int
    money: float | None
    p_value: float
    p_value_wrong: float
    deltas: tuple[Delta, ...]

    def to_markdown(self) -> str:
        """What it comes to, the figures before and after, and the flips."""
        money = "" if self.money is None else f", {self.money:+,.2f} in money"
        summary = (
            f"**{len(self.flips):,} of {counted(self.total, 'text')} {verb(len(self.flips))} decided otherwise**: "
            f"{self.kinds['fixed']:,} fixed, {self.kinds['broken']:,} broken (p = {self.p_value:.3f}). "
            f"Wrong answers: {self.wrong_answers:+,} (p = {self.p_value_wrong:.3f}). "
            f"LLM calls: {self.llm_calls:+,}{money}."
        )
        lines = [
            summary,
            "",
            *table(["figure", ">before", ">after", ">change"], map(_delta_cells, self.deltas)),
            *section(
                "Flips",
                ["kind", "text", "expected", "before", "after", ">LLM calls", ">wrong answers"],
                [_flip_cells(flip) for flip in self.flips[:SHOWN_FLIPS]],
            ),
        ]
        hidden = len(self.flips) - SHOWN_FLIPS
        if hidden > 0:
            lines += ["", f"And {hidden:,} more."]
        return "\n".join(lines) + "\n"


def compare_rows(
    before: Sequence[JudgedText],
    after: Sequence[JudgedText],
    deltas: Sequence[Delta],
    *,
    price_per_call: float | None = None,
) -> ComparisonReport:
    """Compare what became of the same texts in two evaluations.

    Args:
        before: The texts of the first, in any order.
        after: The texts of the second, in any order. Of a text that is there several times with the
            same label, the first goes with the first.
        deltas: The figures to report.
        price_per_call: What an LLM call costs, in any currency; None = not known.

    Raises:
        ConfigurationError: The labelled texts are not the same, or the price is no amount.
    """
    check_amount("price_per_call", price_per_call)
    require_same(((row.text, row.expected) for row in before), ((row.text, row.expected) for row in after))
    found = [(first, second, _flip(first, second)) for first, second in _pairs(before, after)]
    order = list(COSTS)
    ranked = sorted(
        ((second.sureness, flip) for _, second, flip in found if flip is not None),
        key=lambda pair: (order.index(pair[1].kind), -pair[0]),
    )
    flips = tuple(flip for _, flip in ranked)
    kinds = Counter(flip.kind for flip in flips)
    calls = sum(flip.llm_calls for flip in flips)
    return ComparisonReport(
        total=len(before),
        flips=flips,
        kinds={kind: kinds[kind] for kind in COSTS},
        llm_calls=calls,
        wrong_answers=sum(flip.wrong_answers for flip in flips),
        money=cost_of(calls, price_per_call),
        p_value=mcnemar(kinds["fixed"], kinds["broken"]),
        p_value_wrong=mcnemar(kinds["fixed"] + kinds["withdrawn"], kinds["broken"] + kinds["now_wrong"]),
        deltas=tuple(deltas),
    )


def require_same(before: Iterable[Example], after: Iterable[Example]) -> None:
    """Let labelled texts pass if they are the same, each as often, in any order.

    Raises:
        ConfigurationError: They are not; the message says how many differ, and names one.
    """
    first, second = (Counter((replace_surrogates(text), label) for text, label in each) for each in (before, after))
    gone, new = first - second, second - first
    if gone or new:
        text, label = next(iter(gone or new))
        raise ConfigurationError(
            f"the two reports are not of the same examples: {gone.total():,} of {first.total():,} are in the first "
            f"alone and {new.total():,} of {second.total():,} in the second alone, such as {shorten(text)} labelled "
            f"{shorten(label)}; evaluate both on the same labelled texts"
        )


def make_deltas(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> tuple[Delta, ...]:
    """The figures of two reports side by side, those that neither has left out."""
    return tuple(
        Delta(figure=name, before=old, after=new, change=None if old is None or new is None else new - old)
        for name, old, new in ((name, old, after.get(name)) for name, old in before.items())
        if old is not None or new is not None
    )


def check_amount(name: str, value: float | None) -> None:
    """Let an amount of time or money pass.

    Raises:
        ConfigurationError: It is neither None nor a finite number from 0 up.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{name} = {shorten(value)}: give a finite number, 0 or more, or None")


def _pairs(before: Iterable[JudgedText], after: Iterable[JudgedText]) -> Iterator[tuple[JudgedText, JudgedText]]:
    waiting: dict[Example, deque[JudgedText]] = defaultdict(deque)
    for row in after:
        waiting[row.text, row.expected].append(row)
    for row in before:
        yield row, waiting[row.text, row.expected].popleft()


def _flip(before: JudgedText, after: JudgedText) -> Flip | None:
    if before.chosen == after.chosen:
        return None
    kind = _kind(before, after)
    calls, wrong = COSTS[kind]
    return Flip(
        text=before.text,
        expected=before.expected,
        before=before.chosen,
        after=after.chosen,
        kind=kind,
        llm_calls=calls,
        wrong_answers=wrong,
    )


def _kind(before: JudgedText, after: JudgedText) -> FlipKind:
    """What kind of flip it is; the two choices differ."""
    if before.chosen is None:
        return "now_wrong" if after.wrong else "now_answered"
    if after.chosen is None:
        return "withdrawn" if before.wrong else "now_abstained"
    if before.wrong:
        return "changed_wrong" if after.wrong else "fixed"
    return "broken"


def _delta_cells(delta: Delta) -> tuple[str, str, str, str]:
    change = UNDEFINED if delta.change is None else f"{delta.change:+.3f}"
    return title_of(delta.figure), shown(delta.before), shown(delta.after), change


def _flip_cells(flip: Flip) -> tuple[str, ...]:
    return (
        title_of(flip.kind),
        cell(flip.text),
        name_label(flip.expected),
        name_choice(flip.before),
        name_choice(flip.after),
        f"{flip.llm_calls:+d}" if flip.llm_calls else "0",
        f"{flip.wrong_answers:+d}" if flip.wrong_answers else "0",
    )
