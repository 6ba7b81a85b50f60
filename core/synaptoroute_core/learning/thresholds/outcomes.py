"""What became of labelled texts, apart from thresholds.

Thresholds decide whether the best route is answered, not which route is best nor how far it leads. So
texts are routed once, and every threshold is then judged on arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.errors import RouteNotFoundError
from synaptoroute_core.learning.evaluation.figures import best_of, risk_curve, share_of, sureness_of
from synaptoroute_core.learning.reports import HeldOut
from synaptoroute_core.types import Decision, Example

Counts: TypeAlias = NDArray[np.intp] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Labelled texts as arrays of shape (texts,).

    Attributes:
        names: Names of all routes.
        best: Place in ``names`` of the best candidate; -1 if there was none.
        sureness: Its confidence, or its score where there is none; -1 without candidates.
        clear: Whether its lead over the second is enough for an answer.
        label: Place in ``names`` of the label; -1 = out of scope.
    """

    names: tuple[str, ...]
    best: NDArray[np.intp]
    sureness: NDArray[np.float64]
    clear: NDArray[np.bool_]
    label: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best candidate is the label."""
        same: NDArray[np.bool_] = self.best == self.label
        return same & self.in_scope

    @property
    def in_scope(self) -> NDArray[np.bool_]:
        """Whether the label is a route."""
        return self.label >= 0

    @property
    def answerable(self) -> NDArray[np.bool_]:
        """Whether a low threshold answers it: there is a best candidate with enough of a lead."""
        return self.clear & (self.best >= 0)

    @property
    def support(self) -> NDArray[np.intp]:
        """How many texts are labelled with each route: shape (routes,)."""
        return self.count(self.label, self.in_scope)

    def accepted(self, thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which are answered at these thresholds, shape (routes,), of which none is NaN."""
        if not self.names:
            return np.zeros(len(self), np.bool_)
        return self.answerable & (self.sureness >= thresholds[self.best])

    def count(self, routes: NDArray[np.intp], among: NDArray[np.bool_]) -> NDArray[np.intp]:
        """How often each route is named by those of ``routes`` that are ``among``: shape (routes,)."""
        return np.bincount(routes[among], minlength=len(self.names)).astype(np.intp)

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Outcomes:
        """Some of the texts."""
        arrays = {each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "names"}
        return Outcomes(names=self.names, **arrays)

    def route_f1(self, accepted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """F1 of each route if these are answered, 0 for a route without answers or texts: shape (routes,)."""
        hits, answered = self.count(self.best, accepted & self.right), self.count(self.best, accepted)
        return f1_of(hits, answered, self.support)

    def f1_influence(self, accepted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """By how much each text moves the mean F1 of the routes, to first order: shape (texts,), summing to 0.

        The standard error of a difference of two such means is the root of the sum of the squared
        differences in influence: the delta method, or infinitesimal jackknife (Efron, "The Jackknife, the
        Bootstrap and Other Resampling Plans", 1982).
        """
        support, scores = self.support, self.route_f1(accepted)
        shares = 1.0 / np.maximum(self.count(self.best, accepted) + support, 1) / max(1, np.count_nonzero(support))
        # What an answer changes for the route that gives it, and a label for the route that it names.
        answer: NDArray[np.float64] = accepted * (2.0 * self.right - scores[self.best]) * shares[self.best]
        label: NDArray[np.float64] = self.in_scope * (scores * shares)[self.label]
        return answer - label

    def figures(self, accepted: NDArray[np.bool_]) -> HeldOut:
        """How well it goes if these are answered; F1 is the mean over the routes that texts are labelled with."""
        right, scores = self.right, self.route_f1(accepted)[self.support > 0]
        return HeldOut(
            accuracy=share_of(right, self.in_scope),
            answered=float(accepted.mean()),
            error=share_of(~right, accepted),
            out_of_scope_accepted=share_of(accepted, ~self.in_scope),
            f1=float(scores.mean()) if len(scores) else None,
            aurc=float(risk_curve(self.sureness, right)[0].mean()),
        )


def outcomes_of(
    examples: Sequence[Example], decisions: Sequence[Decision], names: Sequence[str], min_margin: float
) -> Outcomes:
    """Set decisions beside labels.

    Args:
        examples: The labelled texts.
        decisions: What was decided of each, in their order, at whatever thresholds.
        names: Names of all routes.
        min_margin: Least lead over the second best at which a route is chosen.

    Raises:
        RouteNotFoundError: A label, or a decision's best candidate, is no route's name.
    """
    places = {name: place for place, name in enumerate(names)}

    def place_of(name: str | None) -> int:
        if name is None:
            return -1
        if name not in places:
            raise RouteNotFoundError(name, names)
        return places[name]

    pairs = list(zip(examples, decisions, strict=True))
    return Outcomes(
        names=tuple(names),
        best=np.array([place_of(best_of(decision)) for _, decision in pairs], np.intp),
        sureness=np.array([sureness_of(decision) for _, decision in pairs], np.float64),
        clear=np.array([decision.margin is None or decision.margin >= min_margin for _, decision in pairs], np.bool_),
        label=np.array([place_of(label) for (_, label), _ in pairs], np.intp),
    )


def f1_of(hits: Counts, answered: Counts, support: Counts) -> NDArray[np.float64]:
    """F1 from counts: right answers, answers, and texts that belong there; 0 where there is neither."""
    scores: NDArray[np.float64] = 2.0 * hits / np.maximum(answered + support, 1)
    return scores
