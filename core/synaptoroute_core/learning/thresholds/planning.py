"""The thresholds that fit labelled texts best, and proof on other texts that they are better.

The sweep is exact: between two neighbouring scores every threshold does the same, so one in each gap is
all there is to try. Where several gaps do equally well, the threshold goes to the middle of the widest,
as far as it can be from texts on either side.

A route with few labels cannot place a threshold: the best cut for eight texts is mostly chance. So one
common threshold is fitted first, from all texts, and a route gets its own only where cross-validation
says that it does better with it. The whole of this, choices included, is then judged in an outer
cross-validation against the thresholds in force, and given up unless it wins by more than its standard
error: Varma and Simon, "Bias in error estimation when using cross-validation for model selection", BMC
Bioinformatics 7, 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.learning.reports import HeldOut, shown
from synaptoroute_core.learning.thresholds.calibration import binomial_tail
from synaptoroute_core.learning.thresholds.fitting import Task, accepted_out_of_fold, fit
from synaptoroute_core.learning.thresholds.outcomes import Outcomes
from synaptoroute_core.words import counted, verb

OBJECTIVES = ("f1", "max_fpr", "max_error")
MIN_FOLDS = 2
MIN_EXAMPLES = 10
"""With fewer, folds hold a text or two, and nothing can be told."""
NO_LOWER = "None was lowered, since no example is out of scope: add some with the label None."
CHANCE = 0.05
"""A limit counts as kept out of fold unless so many bad answers, or more, had less than this chance."""


@dataclass(frozen=True, slots=True)
class ThresholdPlan:
    """Thresholds to use from now on.

    Attributes:
        default: Threshold of routes without their own.
        own: Own thresholds, NaN = the default: shape (routes,).
        before: How the thresholds in force do on the examples; None if there are too few to tell.
        after: How thresholds fitted in the same way do on examples that they were not fitted on.
        held_out: How many examples these two were judged on.
        changed: Whether ``default`` and ``own`` are other than they were.
        reason: Why, in one sentence.
        labelled: Routes that the examples tell something about; all others keep their thresholds.
        kept_own: Those of them that do better with a threshold of their own than with the common one.
    """

    default: float
    own: NDArray[np.float64]
    before: HeldOut | None
    after: HeldOut | None
    held_out: int
    changed: bool
    reason: str
    labelled: tuple[str, ...] = ()
    kept_own: tuple[str, ...] = ()


def plan_thresholds(
    outcomes: Outcomes,
    own: NDArray[np.float64],
    default: float,
    *,
    objective: str = "f1",
    limit: float | None = None,
    folds: int = 5,
    seed: int = 0,
) -> ThresholdPlan:
    """Find better thresholds, if there are any.

    - ``f1``: the highest mean F1 of the routes. The mean over routes, rather than over texts, is what falls
      apart into one term a route, so that the common threshold and those of single routes are chosen by the
      same figure. An out-of-scope text that a route answers counts against it, as does a text of its own
      that it does not answer. Without out-of-scope examples no threshold is lowered: what it keeps out is
      not among the examples.
    - ``max_fpr``: the lowest thresholds at which at most this share of the out-of-scope examples is answered.
    - ``max_error``: the most answers of which at most this share is wrong, on these examples. For a limit
      that holds for other texts, see :func:`~synaptoroute_core.learning.thresholds.calibration.plan_calibration`.

    Under a limit, which is one for all answers together, the routes share one threshold.

    Args:
        outcomes: The examples, routed.
        own: Own thresholds of the routes, NaN = the router's: shape (routes,).
        default: The router's threshold.
        objective: ``f1``, ``max_fpr`` or ``max_error``.
        limit: The greatest share of bad answers, between 0 and 1; None for ``f1``.
        folds: Parts of the cross-validation, 2 or more.
        seed: Of the folds: the same one gives the same plan.

    Raises:
        ConfigurationError: An argument is not valid, there are no examples, or none that the objective needs.
    """
    _check(outcomes, objective, limit, folds)
    guarded = objective == "f1" and bool(outcomes.in_scope.all())
    task = Task(objective, limit or 0.0, default, own, guarded, folds, seed)
    unchanged = ThresholdPlan(default, own, None, None, 0, changed=False, reason="")
    if len(outcomes) < MIN_EXAMPLES:
        few = f"{counted(len(outcomes), 'example')} {verb(len(outcomes))} too few"
        return replace(unchanged, reason=f"{few}: give {MIN_EXAMPLES} or more.")
    labelled = task.labelled(outcomes)
    if not labelled.any():
        return replace(unchanged, reason="No example tells anything about a route: label some with the name of one.")
    unchanged = replace(unchanged, labelled=_named(outcomes, labelled))
    fitted = fit(outcomes, task)
    if fitted is None:
        return replace(unchanged, reason=_why_nothing(task))
    accepted = outcomes.accepted(task.in_force), accepted_out_of_fold(outcomes, task)
    before, after = map(outcomes.figures, accepted)
    unchanged = replace(unchanged, before=before, after=after, held_out=len(outcomes))
    if np.array_equal(fitted.in_force, task.in_force):
        return replace(unchanged, reason="The thresholds in force are the best already.")
    better = _is_better(outcomes, accepted, task)
    judged = replace(unchanged, reason=_why((before, after), task, better=better))
    if not better:
        return judged
    kept = _named(outcomes, labelled & ~np.isnan(fitted.own))
    return replace(judged, default=fitted.default, own=fitted.own, changed=True, kept_own=kept)


def _is_better(data: Outcomes, accepted: tuple[NDArray[np.bool_], NDArray[np.bool_]], task: Task) -> bool:
    """Whether answering the second texts is better than the first by the objective, by more than chance has it."""
    before, after = map(data.figures, accepted)
    if task.objective == "f1":
        was, now = map(data.f1_influence, accepted)
        return (after.f1 or 0.0) - (before.f1 or 0.0) > math.sqrt(float(np.square(now - was).sum()))
    if _bad_share(before, task) > task.limit:
        return _bad_share(after, task) < _bad_share(before, task)
    bad, among = int((accepted[1] & task.bad(data)).sum()), int(task.judged(data, accepted[1]).sum())
    kept = binomial_tail(bad - 1, among, task.limit) < 1.0 - CHANCE
    return kept and _hits(after) > _hits(before)


def _bad_share(figures: HeldOut, task: Task) -> float:
    share = figures.out_of_scope_accepted if task.objective == "max_fpr" else figures.error
    return share or 0.0


def _hits(figures: HeldOut) -> float:
    """Right answers, as a share of all texts."""
    return figures.answered * (1.0 - (figures.error or 0.0))


def _why(figures: tuple[HeldOut, HeldOut], task: Task, *, better: bool) -> str:
    """The reason in one sentence, with the figures before and after."""
    before, after = figures
    if task.objective == "f1":
        what = f"an F1 of {shown(after.f1)} instead of {shown(before.f1)}"
    else:
        name = "out-of-scope texts accepted" if task.objective == "max_fpr" else "wrong answers"
        was, now = (shown(_bad_share(each, task)) for each in figures)
        what = f"a share of {name} of {now} instead of {was}, with a limit of {task.limit:g}, and of right answers of "
        what += f"{shown(_hits(after))} instead of {shown(_hits(before))}"
    reason = f"On examples that they were not fitted on, new thresholds get {what}"
    reason += "." if better else ": no better than those in force, or not by more than chance."
    return f"{reason} {NO_LOWER}" if task.guarded else reason


def _why_nothing(task: Task) -> str:
    if task.guarded:
        return f"No example reaches a threshold. {NO_LOWER}"
    if task.objective == "f1":
        return "No example reaches a route that the examples could set a threshold of."
    surest = "the surest answers, or those of routes that are not labelled, are bad too often."
    return f"No threshold keeps within {task.objective} = {task.limit:g}: {surest}"


def _named(data: Outcomes, routes: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(data.names[place] for place in np.flatnonzero(routes))


def _check(outcomes: Outcomes, objective: str, limit: float | None, folds: int) -> None:
    """Refuse what cannot be planned for."""
    if objective not in OBJECTIVES:
        raise ConfigurationError(f"objective = {shorten(objective)}: use {', '.join(map(repr, OBJECTIVES))}")
    if objective == "f1" and limit is not None:
        raise ConfigurationError(f"limit = {shorten(limit)}: the objective 'f1' has none; leave it out")
    if objective != "f1" and (isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1):
        raise ConfigurationError(f"{objective} = {shorten(limit)}: give a share between 0 and 1, such as 0.05")
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < MIN_FOLDS:
        raise ConfigurationError(f"folds = {shorten(folds)}: use a whole number, 2 or more")
    if not len(outcomes):
        raise ConfigurationError("there are no examples to fit thresholds to")
    if objective == "max_fpr" and outcomes.in_scope.all():
        raise ConfigurationError("objective = 'max_fpr' needs out-of-scope examples: add some with the label None")
