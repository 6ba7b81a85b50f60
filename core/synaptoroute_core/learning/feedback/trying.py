"""Trials of drafts: an exam that a router with some edits passes or fails, and a search for edits that pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.learning.evaluation.evaluating import evaluate_decisions
from synaptoroute_core.learning.feedback.drafting import Edit, changed_routes
from synaptoroute_core.learning.reports import HeldOut
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Decision, Example, Route

Judge: TypeAlias = Callable[[Sequence[Route] | None, Sequence[str]], Sequence[Decision]]
"""Decides on texts as the router would with these routes put in; None = as it is."""


class LeftOut(FrozenModel):
    """An edit that was drafted and is not recommended.

    Attributes:
        edit: The edit.
        reason: Why.
    """

    edit: Edit
    reason: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What a router decided on labelled texts, and the places of its right and of its wrong answers."""

    examples: Sequence[Example]
    decisions: Sequence[Decision]
    right: frozenset[int]
    wrong: frozenset[int]

    @classmethod
    def of(cls, examples: Sequence[Example], decisions: Sequence[Decision]) -> Answers:
        """Compare decisions with labels."""
        places = [
            (place, decision.route == label)
            for place, ((_, label), decision) in enumerate(zip(examples, decisions, strict=True))
            if decision.route is not None
        ]
        right = frozenset(place for place, fits in places if fits)
        return cls(examples, decisions, right, frozenset(place for place, fits in places if not fits))

    @property
    def error(self) -> float:
        """Share of wrong answers among the answers; 0 without any."""
        return len(self.wrong) / max(1, len(self.wrong) + len(self.right))

    def headline(self) -> HeldOut | None:
        """The figures for a report; None without texts."""
        if not self.examples:
            return None
        labels = dict.fromkeys(label for _, label in self.examples if label is not None)
        report = evaluate_decisions(self.examples, self.decisions, list(labels))
        return HeldOut(
            accuracy=report.accuracy,
            answered=report.answered,
            error=report.error,
            out_of_scope_accepted=report.out_of_scope_accepted,
            f1=report.macro_f1,
            aurc=report.aurc,
        )

    def describe(self, place: int) -> str:
        """What became of a text."""
        (text, label), decision = self.examples[place], self.decisions[place]
        fate = "would not be answered" if decision.route is None else f"would go to {decision.route!r}"
        return f"{shorten(text)}, which belongs to {'no route' if label is None else repr(label)}, {fate}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a router with some edits did in an exam.

    Attributes:
        golden: Its answers to the golden queries.
        held_out: Its answers to the held-out feedback.
        regressions: Golden queries that were right and are wrong.
        objection: What speaks against the edits; None if they pass.
        blamed: For each edit that a failure points to, what the failure was.
    """

    golden: Answers
    held_out: Answers
    regressions: tuple[str, ...] = ()
    objection: str | None = None
    blamed: Mapping[Edit, str] | None = None


class Exam:
    """Asks a router with some edits the golden and the held-out queries, and compares with the router as it is.

    Args:
        golden: Texts and labels beyond doubt.
        held_out: Feedback that was not drafted.
        routes: The routes as they are.
        judge: Decides as the router would.
        max_regressions: How many golden queries may go from right to wrong.
        max_error: Error to allow on held-out feedback, if it was not higher before.
    """

    def __init__(
        self,
        golden: Sequence[Example],
        held_out: Sequence[Example],
        routes: Mapping[str, Route],
        judge: Judge,
        *,
        max_regressions: int,
        max_error: float,
    ) -> None:
        self._golden, self._held_out = golden, held_out
        self._routes = routes
        self._judge = judge
        self._max_regressions = max_regressions
        self._max_error = max_error
        self.before = Verdict(*self._ask(None))

    def take(self, edits: Sequence[Edit]) -> Verdict:
        """How the router does with these edits."""
        golden, held_out = self._ask(changed_routes(edits, self._routes))
        regressions = _regressions(self.before.golden, golden)
        objections = [
            *((reason, golden, places) for reason, places in self._golden_objections(golden, regressions)),
            *((reason, held_out, places) for reason, places in self._held_out_objections(held_out)),
        ]
        blamed: dict[Edit, str] = {}
        for _, answers, places in objections:
            for place in sorted(places):
                for edit in _suspects(edits, answers.examples[place][1], answers.decisions[place]):
                    blamed.setdefault(edit, answers.describe(place))
        return Verdict(
            golden,
            held_out,
            tuple(golden.examples[place][0] for place in regressions),
            "; ".join(reason for reason, _, _ in objections) or None,
            blamed,
        )

    def _ask(self, routes: Sequence[Route] | None) -> tuple[Answers, Answers]:
        texts = [text for text, _ in (*self._golden, *self._held_out)]
        decisions = self._judge(routes, texts)
        if len(decisions) != len(texts):
            raise ConfigurationError(f"the judge gave {len(decisions)} decisions on {len(texts)} texts")
        cut = len(self._golden)
        return Answers.of(self._golden, decisions[:cut]), Answers.of(self._held_out, decisions[cut:])

    def _golden_objections(self, after: Answers, regressions: Sequence[int]) -> Iterator[tuple[str, Iterable[int]]]:
        before, allowed = self.before.golden, self._max_regressions
        if len(regressions) > allowed:
            yield (
                f"golden queries that were right and would be wrong: {len(regressions)}, allowed {allowed}",
                regressions,
            )
        if after.error > before.error and len(after.wrong) > len(before.wrong) + allowed:
            yield (
                f"the error on golden queries would rise from {before.error:.1%} to {after.error:.1%}",
                after.wrong - before.wrong,
            )
        if len(after.right) < len(before.right) - allowed:
            yield (
                f"right answers to golden queries would fall from {len(before.right)} to {len(after.right)}",
                before.right - after.right,
            )

    def _held_out_objections(self, after: Answers) -> Iterator[tuple[str, Iterable[int]]]:
        before = self.before.held_out
        allowed = max(before.error, self._max_error)
        if after.error > allowed:
            yield (
                f"the error on held-out feedback would be {after.error:.1%}, above {allowed:.1%}",
                after.wrong - before.wrong,
            )
        if len(after.right) < len(before.right):
            yield (
                f"right answers to held-out feedback would fall from {len(before.right)} to {len(after.right)}",
                before.right - after.right,
            )


def _regressions(before: Answers, after: Answers) -> list[int]:
    """Places of queries that were right, be it by an abstention, and are answered wrongly."""
    return [place for place in sorted(after.wrong) if before.decisions[place].route == before.examples[place][1]]


def _suspects(edits: Sequence[Edit], label: str | None, decision: Decision) -> list[Edit]:
    """The edits that a failure points to: of three kinds, the first that there is.

    Those whose utterance is the evidence for the choice or, of an abstention, for one of the two best; those in favour
    of the same routes; and those of the right route: what it lost, or what it got and was moved aside by.
    """
    rivals = [candidate for candidate in decision.candidates[:2] if candidate.route != label]
    evidence = {(rival.route, utterance_key(rival.utterance)) for rival in rivals}
    names = {rival.route for rival in rivals}
    kinds = (
        [edit for edit in edits if (edit.route, utterance_key(edit.utterance)) in evidence],
        [edit for edit in edits if edit.route in names],
        [edit for edit in edits if label is not None and label in (edit.route, edit.from_route)],
    )
    return next(filter(None, kinds), [])


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search found.

    Attributes:
        before: The router as it is.
        verdict: The edits that are kept; if none are, all of them.
        kept: The edits that pass, in their order; empty if no part of them does.
        left_out: The others.
        trials: How many times an exam was taken.
    """

    before: Verdict
    verdict: Verdict
    kept: tuple[Edit, ...]
    left_out: tuple[LeftOut, ...]
    trials: int


class Search:
    """Looks for a large part of some edits that passes an exam.

    Args:
        exam: The exam.
        max_trials: How often it may be taken.
    """

    def __init__(self, exam: Exam, max_trials: int) -> None:
        self._exam = exam
        self._left = max_trials
        self._max_trials = max_trials
        self._verdict: Verdict | None = None
        self._reasons: dict[Edit, str] = {}

    def run(self, edits: Sequence[Edit]) -> Finding:
        """Try all; leave out what is to blame; put back what does no harm, route by route."""
        first = self._take(edits)
        kept = self._without_blamed(edits, first)
        kept = self._with_groups(edits, kept)
        left_out = tuple(LeftOut(edit=edit, reason=self._reasons[edit]) for edit in edits if edit not in kept)
        return Finding(self._exam.before, self._verdict or first, kept, left_out, self._max_trials - self._left)

    def _take(self, edits: Sequence[Edit]) -> Verdict:
        self._left -= 1
        verdict = self._exam.take(edits)
        if verdict.objection is None:
            self._verdict = verdict
        return verdict

    def _without_blamed(self, edits: Sequence[Edit], verdict: Verdict) -> tuple[Edit, ...]:
        """What passes after rounds of leaving out, for which half of the trials may be used."""
        kept = tuple(edits)
        while kept and verdict.objection is not None:
            blamed = verdict.blamed or dict.fromkeys(kept, verdict.objection)
            self._reasons.update(blamed)
            kept = tuple(edit for edit in kept if edit not in blamed)
            if kept and self._left <= self._max_trials // 2:
                self._reasons.update(dict.fromkeys(kept, verdict.objection))
                return ()
            if kept:
                verdict = self._take(kept)
        return kept

    def _with_groups(self, edits: Sequence[Edit], kept: tuple[Edit, ...]) -> tuple[Edit, ...]:
        """What still passes when groups of routes are put back, the largest first, as far as the trials go."""
        groups: dict[str, list[Edit]] = defaultdict(list)
        for edit in edits:
            if edit not in kept:
                groups[edit.route].append(edit)
        for group in _packed(sorted(groups.values(), key=len, reverse=True), self._left):
            wanted = {*kept, *group}
            trial = tuple(edit for edit in edits if edit in wanted)
            verdict = self._take(trial)
            if verdict.objection is None:
                kept = trial
            else:
                self._reasons.update({edit: reason for edit, reason in (verdict.blamed or {}).items() if edit in group})
        return kept


def _packed(groups: Sequence[list[Edit]], count: int) -> list[list[Edit]]:
    """At most ``count`` groups: if there are more, several are put together."""
    if count < 1:
        return []
    packs: list[list[Edit]] = [[] for _ in range(min(count, len(groups)))]
    for number, group in enumerate(groups):
        packs[number % len(packs)] += group
    return packs
