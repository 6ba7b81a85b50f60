"""An abstention threshold with a promise: at most so many of the answers are wrong, with so much confidence.

Candidates are fixed by how many texts they answer, not by what the labels say: of the n examples that can
be answered, the surest n/k, 2n/k, ... n. Each is tested for "more than ``max_error`` of what lies above this
threshold is wrong" with the exact binomial test, at 1/k of the level (Bonferroni), and the one that answers
most among those that pass is taken. The chance that any passes that should not is at most 1 - confidence.

Why the test is exact, though the threshold comes from the same texts: the candidate for m texts answers what
is surer than the text at place m + 1. Given how sure that one is, the texts above it are independent draws
from all the traffic above it, whatever the distribution, so that how many of them are wrong is binomial.
Ties change only how many lie above. Testing in a fixed order, without the correction, would either start
where a single error ends it or need surer texts to be right more often, which nothing guarantees.

Sources: Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test", 2021 (choosing among tested candidates);
Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017 (thresholds at order
statistics, with a union bound); Clopper and Pearson, Biometrika 26, 1934 (the bound).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.learning.reports import Report, shown
from synaptoroute_core.learning.thresholds.outcomes import Outcomes
from synaptoroute_core.words import counted, verb

MIN_CANDIDATES = 4
MAX_CANDIDATES = 25
TEXTS_A_CANDIDATE = 100
"""More candidates find a better threshold and cost some of the level: worth it with many examples."""
BISECTIONS = 60
"""Halvings of an interval of length 1 after which nothing is left of a float's precision."""
MOST_EXAMPLES = 1_000_000
"""Nobody labels more: a promise that needs more is said to be out of reach."""


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """A threshold and what can be promised of it.

    Attributes:
        threshold: Least sureness at which to answer, the same for all routes; None if nothing can be promised.
        reason: Why, in one sentence.
        max_error: The greatest share of wrong answers among the answers, in all traffic.
        confidence: How often a promise made in this way holds.
        examples: Labelled texts.
        answered: Those of them that are answered; without a threshold, by the candidate that came nearest.
        wrong: Those of the answered that are wrong.
        coverage: Answered share of the examples.
        bound: Upper confidence bound of the share of wrong answers, corrected for choosing among candidates.
    """

    threshold: float | None
    reason: str
    max_error: float
    confidence: float
    examples: int
    answered: int
    wrong: int
    coverage: float
    bound: float


class CalibrationReport(Report):
    """What a calibration promises.

    The promise is for texts like the examples: drawn from the same traffic, in no special order, and
    labelled with the same care. It is one for all answers together, not for each route by itself.

    Attributes:
        changed: Whether the router answers by it now. If not, nothing was changed.
        reason: Why, in one sentence.
        revision: The router's revision now.
        threshold: Least score or confidence at which it answers, the same for all routes; None if nothing could be
            promised.
        max_error: The promised share of wrong answers among the answers, at most.
        confidence: How often, over examples drawn anew, a promise made in this way holds.
        examples: Labelled texts that it was made from.
        answered: Those of them that are answered; without a threshold, by the candidate that came nearest.
        wrong: Those of the answered that are wrong.
        coverage: Answered share of the examples, 0 to 1.
        bound: Upper confidence bound of the share of wrong answers; at most ``max_error`` where one is promised.
    """

    changed: bool
    reason: str
    revision: int
    threshold: float | None
    max_error: float
    confidence: float
    examples: int
    answered: int
    wrong: int
    coverage: float
    bound: float

    def to_markdown(self) -> str:
        """The promise in words, and what it rests on."""
        lines = [f"**calibration**: {'changed' if self.changed else 'nothing changed'}. {self.reason}", ""]
        if self.threshold is not None:
            promise = f"At most {self.max_error:.2%} of the answers are wrong, with {self.confidence:.1%} confidence"
            lines += [
                f"{promise}, for traffic like the examples: from the same source and labelled in the same way.",
                "",
            ]
        rows = [
            ("threshold", shown(self.threshold, 4)),
            ("examples", f"{self.examples:,}"),
            ("answered", f"{self.answered:,} ({self.coverage:.1%})"),
            ("wrong among them", f"{self.wrong:,}"),
            ("upper bound of the error", shown(self.bound, 4)),
        ]
        lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A threshold, and what it does on the examples."""

    threshold: float
    answered: int
    wrong: int


def report_of(plan: CalibrationPlan, revision: int) -> CalibrationReport:
    """The report of a plan that has been carried out, or that there was no threshold in."""
    return CalibrationReport(changed=plan.threshold is not None, revision=revision, **asdict(plan))


def plan_calibration(outcomes: Outcomes, *, max_error: float = 0.02, confidence: float = 0.95) -> CalibrationPlan:
    """Find the threshold that answers most and keeps the promise.

    With probability ``confidence`` or more over the draw of the examples, at most ``max_error`` of the
    answers are wrong in the traffic that the examples were drawn from; nothing is assumed of the scores.
    Out-of-scope texts that are answered are wrong answers. A greater ``max_error`` or a lower
    ``confidence`` never answers less.

    Args:
        outcomes: The examples, routed: none that the routes, a head or thresholds were made from.
        max_error: The greatest share of wrong answers among the answers, between 0 and 1.
        confidence: How often the promise must hold, between 0 and 1.

    Raises:
        ConfigurationError: ``max_error`` or ``confidence`` is not between 0 and 1, or there are no examples.
    """
    for name, value in (("max_error", max_error), ("confidence", confidence)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise ConfigurationError(f"{name} = {shorten(value)}: use a share between 0 and 1, such as 0.05")
    if not len(outcomes):
        raise ConfigurationError("there are no examples to calibrate on")
    rows = outcomes.answerable
    found = candidates(outcomes.sureness[rows], outcomes.right[rows])
    level = (1.0 - confidence) / candidate_count(int(rows.sum()))
    passing = [each for each in found if binomial_tail(each.wrong, each.answered, max_error) <= level]
    if passing:
        best = max(passing, key=lambda each: each.answered)
        reason = _promise(best, len(outcomes), max_error)
    else:
        best = min(found, key=lambda each: (upper_bound(each.wrong, each.answered, level), -each.answered))
        reason = _refusal(found, best, len(outcomes), max_error, confidence)
    return CalibrationPlan(
        threshold=best.threshold if passing else None,
        reason=reason,
        max_error=max_error,
        confidence=confidence,
        examples=len(outcomes),
        answered=best.answered,
        wrong=best.wrong,
        coverage=best.answered / len(outcomes),
        bound=upper_bound(best.wrong, best.answered, level),
    )


def candidate_count(answerable: int) -> int:
    """How many candidates there are for so many texts that can be answered."""
    return min(max(answerable // TEXTS_A_CANDIDATE, MIN_CANDIDATES), MAX_CANDIDATES)


def candidates(sureness: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Candidate]:
    """The thresholds to test, strictest first; which they are depends on the sureness alone.

    Args:
        sureness: How sure each text is that can be answered: shape (texts,).
        right: Whether its best candidate is right: shape (texts,).
    """
    order = np.argsort(-sureness, kind="stable")
    ranked, wrong = sureness[order], np.append(0, np.cumsum(~right[order]))
    total, count = len(order), candidate_count(len(order))
    found = []
    for number in range(1, count + 1):
        place = total * number // count
        # Everything surer than the text at this place, and nothing else: the next number above its sureness. In
        # the middle of the gap to the next text, it would be another threshold than the one that is tested.
        threshold = float(np.nextafter(ranked[place], 2.0)) if place < total else -1.0
        answered = int(np.count_nonzero(ranked >= threshold))
        found.append(Candidate(threshold, answered, int(wrong[answered])))
    return found


def binomial_tail(count: int, trials: int, chance: float) -> float:
    """Probability of at most ``count`` successes in so many independent trials.

    Summed in logarithms: the terms of thousands of trials are too small for floats.
    """
    if count < 0:
        return 0.0
    if count >= trials:
        return 1.0
    ratios = np.log((trials - np.arange(count)) / np.arange(1, count + 1))
    terms = np.append(0.0, np.cumsum(ratios + math.log(chance) - math.log1p(-chance)))
    return min(1.0, math.exp(float(np.logaddexp.reduce(terms)) + trials * math.log1p(-chance)))


def upper_bound(wrong: int, answered: int, level: float) -> float:
    """The chance at which so few wrong ones, or fewer, have probability ``level``: Clopper and Pearson's bound."""
    if wrong >= answered:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(wrong, answered, middle) > level else (low, middle)
    return high


def _promise(best: Candidate, examples: int, max_error: float) -> str:
    return (
        f"{best.answered:,} of {counted(examples, 'example')} {verb(best.answered)} answered, {best.wrong:,} of them "
        f"wrongly, which is few enough to promise an error of at most {max_error:.2%}."
    )


def _refusal(found: list[Candidate], nearest: Candidate, examples: int, max_error: float, confidence: float) -> str:
    """Why nothing can be promised, and what would help."""
    have = (
        f"An error of at most {max_error:.2%} cannot be promised with {confidence:.1%} confidence: of the "
        f"{nearest.answered:,} surest of {counted(examples, 'example')}, {nearest.wrong:,} {verb(nearest.wrong)} wrong"
    )
    answerable = found[-1].answered  # the last candidate answers all that can be
    if not answerable:
        return "No error can be promised, since no example can be answered at any threshold, all are ambiguous."
    needed = [_needed(each, answerable, max_error, confidence) for each in found if each.answered]
    least = min((number for number in needed if number is not None), default=None)
    if least is None:
        return f"{have}, too many for any number of examples like these; a greater max_error would help."
    wanted = math.ceil(least * examples / answerable)
    needs = f"about {counted(wanted, 'example')} {verb(wanted)} needed if they turn out alike"
    return f"{have}; {needs}, or a greater max_error."


def _needed(candidate: Candidate, answerable: int, max_error: float, confidence: float) -> int | None:
    """How many texts that can be answered it would take if the candidate went on as it began; None = no number."""
    error = candidate.wrong / candidate.answered

    def passes(texts: int) -> bool:
        answered = int(texts * candidate.answered / answerable)
        level = (1.0 - confidence) / candidate_count(texts)
        return binomial_tail(math.ceil(error * answered), answered, max_error) <= level

    low, high = answerable, 2 * answerable
    while error < max_error and high <= MOST_EXAMPLES and not passes(high):
        low, high = high, 2 * high
    if error >= max_error or high > MOST_EXAMPLES:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
