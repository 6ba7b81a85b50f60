"""Thresholds fitted to outcomes: one that routes share, and own ones where they do better out of fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.learning.thresholds.outcomes import Outcomes, f1_of
from synaptoroute_core.learning.thresholds.sweeping import place_cuts, running_f1, sweep

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDING = 1e-9
MIN_LABELS = 8
"""Texts that a route needs for a threshold of its own: those that belong there and the others that come there."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is wanted, and what is in force.

    Attributes:
        objective: ``f1``, ``max_fpr`` or ``max_error``.
        limit: The greatest share of bad answers; 0 for ``f1``, which has no such thing.
        default: The router's threshold.
        own: Own thresholds, NaN = the router's.
        guarded: Whether no threshold may fall: without out-of-scope examples, nothing shows what it keeps out.
        folds: Parts of each cross-validation.
        seed: Of the folds.
    """

    objective: str
    limit: float
    default: float
    own: Floats
    guarded: bool
    folds: int
    seed: int

    @property
    def in_force(self) -> Floats:
        """The threshold of every route: shape (routes,)."""
        return np.where(np.isnan(self.own), self.default, self.own)

    @property
    def floors(self) -> Floats:
        """The least threshold that each route may get: shape (routes,)."""
        return self.in_force if self.guarded else np.full(len(self.own), -1.0)

    def bad(self, data: Outcomes) -> Flags:
        """Which texts, if they were answered, would be the mistakes that the objective counts."""
        return ~data.in_scope if self.objective == "max_fpr" else ~data.right

    def judged(self, data: Outcomes, accepted: Flags) -> Flags:
        """Which texts the limit is a share of, if these are answered."""
        return ~data.in_scope if self.objective == "max_fpr" else accepted

    def labelled(self, data: Outcomes) -> Flags:
        """Routes that the texts tell something about: what comes in from out of scope limits ``max_fpr`` by itself."""
        reached = data.count(data.best, data.answerable & ~data.in_scope) if self.objective == "max_fpr" else 0
        return (data.support + reached) > 0

    def telling(self, data: Outcomes) -> Flags:
        """Routes with texts enough, good and bad, to place a threshold of their own by.

        None under a limit. That is a matter of all answers: a route by itself gets a handful of bad ones, and
        thresholds put between those were found to break the limit on other texts.
        """
        good = data.count(data.best, data.answerable & data.right)
        bad = data.count(data.best, data.answerable & ~data.right)
        return (good > 0) & (bad > 0) & (data.support + bad >= MIN_LABELS) & (self.objective == "f1")

    def fixed(self, data: Outcomes) -> Flags:
        """Routes whose thresholds stay: without labels, or with an own threshold and too few texts to judge it by."""
        unjudged = ~self.telling(data) & ~np.isnan(self.own) & (self.objective == "f1")
        return ~self.labelled(data) | unjudged


def fit(data: Outcomes, task: Task) -> Task | None:
    """The task with thresholds that fit these texts in force; None if there is nothing to go by."""
    common = fit_common(data, task)
    if common is None:
        return None
    fixed = task.fixed(data)
    shared = _shared(data, task, common)
    chosen = shared
    if task.telling(data).any():
        chosen = _choose(data, task, shared)
    default_stays = fixed & np.isnan(task.own) & (common == task.default)
    own = np.where(default_stays | (~fixed & (chosen == common)), np.nan, chosen)
    return replace(task, default=common, own=own)


def fit_common(data: Outcomes, task: Task) -> float | None:
    """The best threshold for all routes that are not fixed; None if no threshold will do."""
    fixed = task.fixed(data)
    rows = data.answerable & ~fixed[data.best]
    if not rows.any():
        return None
    free = data.at(rows)
    cuts = sweep(np.zeros(len(free), np.intp), free.sureness)
    if task.objective == "f1":
        values = running_f1(cuts, free.best, free.right, data.support)
    else:
        kept = data.accepted(task.in_force) & ~rows
        answered = kept.sum() + cuts.running(np.ones(len(free)))
        bad = (kept & task.bad(data)).sum() + cuts.running(task.bad(free))
        among = (~data.in_scope).sum() if task.objective == "max_fpr" else answered
        within = (bad <= task.limit * among + ROUNDING) & (answered > kept.sum())
        values = np.where(within, answered, -np.inf)
    (found,) = place_cuts(cuts, values, np.array([task.default if task.guarded else -1.0]))
    return None if np.isnan(found) else float(found)


def _shared(data: Outcomes, task: Task, common: float) -> Floats:
    """The thresholds of all routes if those that are not fixed share one: shape (routes,)."""
    return np.maximum(np.where(task.fixed(data), task.in_force, common), task.floors)


def fit_own(data: Outcomes, task: Task, shared: Floats) -> Floats:
    """The best threshold for each route that has texts enough, the shared one for the others: shape (routes,)."""
    rows = data.answerable & task.telling(data)[data.best]
    telling = data.at(rows)
    cuts = sweep(telling.best, telling.sureness)
    answered = cuts.running(np.ones(len(telling)))
    values = f1_of(cuts.running(telling.right), answered, data.support[cuts.group])
    found = place_cuts(cuts, values, task.floors)
    return np.where(np.isnan(found), shared, found)


def _choose(data: Outcomes, task: Task, shared: Floats) -> Floats:
    """The best threshold of each route, judged out of fold: shared, of its own, or the own one in force."""
    accepted = np.zeros((2, len(data)), np.bool_)
    for kept, held in _folds(data, task):
        common = fit_common(data.at(kept), task)
        if common is None:
            accepted[:, held] = data.at(held).accepted(task.in_force)
            continue
        by_fold = _shared(data.at(kept), task, common)
        accepted[0, held] = data.at(held).accepted(by_fold)
        accepted[1, held] = data.at(held).accepted(fit_own(data.at(kept), task, by_fold))
    by_shared, by_own = data.route_f1(accepted[0]), data.route_f1(accepted[1])
    # By more than one text would change it: of so many routes, some look better by chance.
    wins = task.telling(data) & (by_own > by_shared + 1.0 / np.maximum(data.support, 1))
    chosen = np.where(wins, fit_own(data, task, shared), shared)
    by_own_in_force = data.route_f1(data.accepted(task.in_force))
    stays = ~np.isnan(task.own) & (by_own_in_force > np.maximum(by_shared, by_own))
    return np.where(stays, task.own, chosen)


def _folds(data: Outcomes, task: Task) -> Iterator[tuple[Flags, Flags]]:
    """Texts to fit on and texts to judge on; each label is spread evenly over the folds."""
    shuffled = np.random.default_rng(task.seed).permutation(len(data))
    by_label = shuffled[np.argsort(data.label[shuffled], kind="stable")]
    number = np.empty(len(data), np.intp)
    number[by_label] = np.arange(len(data)) % task.folds
    for fold in range(task.folds):
        yield number != fold, number == fold


def accepted_out_of_fold(data: Outcomes, task: Task) -> Flags:
    """Which texts are answered at thresholds that were fitted on the other folds."""
    accepted = np.zeros(len(data), np.bool_)
    for kept, held in _folds(data, task):
        fitted = fit(data.at(kept), task) or task
        accepted[held] = data.at(held).accepted(fitted.in_force)
    return accepted
