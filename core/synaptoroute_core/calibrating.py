"""When to abstain, learned from labelled texts: blocking and awaitable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Literal

import numpy as np

from synaptoroute_core.errors import ConfigurationError
from synaptoroute_core.fits import Fit
from synaptoroute_core.fitting import Fitting
from synaptoroute_core.learning.heads import rule_of_similarity
from synaptoroute_core.learning.reports import FitReport
from synaptoroute_core.learning.thresholds.calibration import CalibrationReport, plan_calibration, report_of
from synaptoroute_core.learning.thresholds.outcomes import Outcomes, outcomes_of
from synaptoroute_core.learning.thresholds.planning import plan_thresholds
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.types import Example, checked_examples


class Calibrating(Fitting):
    """Methods that set thresholds."""

    def fit_thresholds(
        self,
        examples: Iterable[Example],
        *,
        objective: Literal["f1", "max_fpr", "max_error"] = "f1",
        max_fpr: float | None = None,
        max_error: float | None = None,
        seed: int = 0,
    ) -> FitReport:
        """Fit the thresholds of similarity scores to labelled texts; never to the worse.

        A threshold common to all routes is fitted, and a route gets one of its own where cross-validation
        says that it does better with it. Nothing is changed unless the new thresholds beat the ones
        in force on examples that they were not fitted on. Routes without labels keep what they have.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none: the more of the
                latter, the better.
            objective: ``f1``, the highest mean F1 of the routes, unless one of the next two is given.
            max_fpr: A share between 0 and 1: the lowest thresholds at which at most so many of the out-of-scope
                examples are answered.
            max_error: A share between 0 and 1: the most answers of which at most so many are wrong
                (:meth:`calibrate` makes a promise of it).
            seed: Decides the folds of the cross-validation.

        Raises:
            RouteNotFoundError: A label is no route's name.
            InvalidTextError: A text is not usable.
            ConfigurationError: An argument is not valid, or there is a fitted head, which asks no thresholds of scores.
            StorageError: It could not be stored; nothing has changed.
        """
        started = time.perf_counter()
        wanted, limit = _objective_of(objective, max_fpr=max_fpr, max_error=max_error)
        snapshot, outcomes = self._outcomes(examples)
        if snapshot.rule.head is not None:
            raise ConfigurationError(
                "a fitted head decides, and thresholds of similarity scores do not matter: use calibrate(), "
                "or take the head back with undo_fit()"
            )
        default = rule_of_similarity(snapshot, self._service.policy)
        plan = plan_thresholds(outcomes, snapshot.thresholds, default, objective=wanted, limit=limit, seed=seed)
        thresholds: dict[str, float | None] = {}
        revision = snapshot.revision
        if plan.changed:
            moved = ~np.isclose(plan.own, snapshot.thresholds, rtol=0, atol=0, equal_nan=True)
            for place in np.flatnonzero(moved):
                value = float(plan.own[place])
                thresholds[snapshot.names[place]] = None if np.isnan(value) else value
            fit = Fit("thresholds", threshold=plan.default, details={"objective": wanted, "limit": limit})
            revision = self._editor.push_fit(fit, thresholds, seen=snapshot.edits)[0].revision
        return FitReport(
            kind="thresholds",
            changed=plan.changed,
            reason=plan.reason,
            revision=revision,
            routes=len(snapshot.names),
            utterances=len(snapshot.order),
            examples=len(outcomes),
            held_out=plan.held_out,
            before=plan.before,
            after=plan.after,
            threshold=plan.default,
            thresholds=thresholds,
            settings={"objective": wanted, "limit": limit, "seed": seed, "routes_with_own": list(plan.kept_own)},
            seconds=time.perf_counter() - started,
        )

    async def afit_thresholds(
        self,
        examples: Iterable[Example],
        *,
        objective: Literal["f1", "max_fpr", "max_error"] = "f1",
        max_fpr: float | None = None,
        max_error: float | None = None,
        seed: int = 0,
    ) -> FitReport:
        """The awaitable twin of :meth:`fit_thresholds`."""
        return await asyncio.to_thread(
            self.fit_thresholds, examples, objective=objective, max_fpr=max_fpr, max_error=max_error, seed=seed
        )

    def calibrate(
        self, examples: Iterable[Example], *, max_error: float = 0.02, confidence: float = 0.95
    ) -> CalibrationReport:
        """Choose when to abstain so that at most ``max_error`` of the answers are wrong, with a guarantee.

        With probability ``confidence``, over the draw of the examples, no more than ``max_error`` of the
        answers to traffic like the examples are wrong; out-of-scope queries that are answered count as
        wrong. It holds for texts from the same source, labelled in the same way, and none of which the
        router has learned from. One threshold is set for all routes, whose own similarity thresholds are
        cleared. If the examples cannot support the promise, nothing is changed and the report says what it would
        take.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none.
            max_error: The greatest share of wrong answers among the answers, between 0 and 1.
            confidence: How often the promise must hold, between 0 and 1.

        Raises:
            RouteNotFoundError: A label is no route's name.
            InvalidTextError: A text is not usable.
            ConfigurationError: An argument is not valid, the fitted head is out of date, or the routes were changed
                meanwhile.
            StorageError: It could not be stored; nothing has changed.
        """
        snapshot, outcomes = self._outcomes(examples)
        plan = plan_calibration(outcomes, max_error=max_error, confidence=confidence)
        if plan.threshold is None:
            return report_of(plan, snapshot.revision)
        head = snapshot.rule.head
        own = {name: None for name, value in zip(snapshot.names, snapshot.thresholds, strict=True) if value == value}  # noqa: PLR0124
        fit = Fit(
            "calibration",
            threshold=plan.threshold,
            head=head,
            details={"max_error": max_error, "confidence": confidence},
        )
        thresholds = {} if head is not None else own
        receipt, _ = self._editor.push_fit(fit, thresholds, seen=snapshot.edits, only_fresh=True)
        return report_of(plan, receipt.revision)

    async def acalibrate(
        self, examples: Iterable[Example], *, max_error: float = 0.02, confidence: float = 0.95
    ) -> CalibrationReport:
        """The awaitable twin of :meth:`calibrate`."""
        return await asyncio.to_thread(self.calibrate, examples, max_error=max_error, confidence=confidence)

    # --- shared ----------------------------------------------------------------------------------

    def _outcomes(self, examples: Iterable[Example]) -> tuple[Snapshot, Outcomes]:
        """What becomes of labelled texts at one version of the routes, thresholds aside."""
        pairs = checked_examples(examples, self._index.names())
        if self._stale() is not None:
            raise ConfigurationError(
                "the fitted head is out of date since utterances were changed, and what is found now would not be "
                "true of the next one: wait_for_refit() or fit() first, or take it back with undo_fit()"
            )
        snapshot = self._index.snapshot()
        decisions = self._service.decide_all([text for text, _ in pairs], snapshot)
        margin = 0.0 if snapshot.rule.head is not None else self._config.min_margin
        return snapshot, outcomes_of(pairs, decisions, snapshot.names, margin)


def _objective_of(objective: str, **limits: float | None) -> tuple[str, float | None]:
    """The objective and its limit, from a call's arguments.

    Raises:
        ConfigurationError: Two limits are given, or one that does not go with the objective.
    """
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        raise ConfigurationError(f"{' and '.join(given)} are two objectives: give one of them")
    for name, limit in given.items():
        if objective not in ("f1", name):
            raise ConfigurationError(f"objective = {objective!r} does not go with {name}: leave one of them out")
        return name, limit
    return objective, None
