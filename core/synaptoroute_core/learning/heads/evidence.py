"""What heads answered to texts that they had not seen, and figures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.learning.reports import HeldOut


@dataclass(frozen=True, slots=True)
class Evidence:
    """Answers to texts that the answering head had not seen.

    Attributes:
        features: Of each answer: shape (texts, features).
        right: Whether it was right: shape (texts,).
        stranger: Whether the text belongs to a hidden route, or to none: shape (texts,).
        weights: What each counts: shape (texts,).
        scores: Best similarity score: shape (texts,).
        leads: Its lead over the second best: shape (texts,).
        score_right: Whether the route of the best score was right: shape (texts,).
        labels: Place of the right route, -1 for strangers: shape (texts,).
        chosen: Place of the answer: shape (texts,).
        score_chosen: Place of the route of the best score: shape (texts,).
    """

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    stranger: NDArray[np.bool_]
    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    leads: NDArray[np.float64]
    score_right: NDArray[np.bool_]
    labels: NDArray[np.intp]
    chosen: NDArray[np.intp]
    score_chosen: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.right)

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """All of the parts, one after another."""
        return cls(*(np.concatenate([getattr(each, part.name) for each in parts]) for part in fields(cls)))

    def by_score(self) -> Evidence:
        """The same texts as similarity scores would have answered them."""
        return replace(self, chosen=self.score_chosen, right=self.score_right)


def shares_of(evidence: Evidence, out_of_scope_share: float) -> NDArray[np.float64]:
    """Weights of the evidence, mean 1, in which strangers have the share that they have in real traffic."""
    known, strangers = evidence.weights * ~evidence.stranger, evidence.weights * evidence.stranger
    total = len(evidence)
    inside, outside = known.sum(), strangers.sum()
    if not inside or not outside:
        return np.asarray(evidence.weights * total / evidence.weights.sum())
    return np.asarray(total * ((1 - out_of_scope_share) * known / inside + out_of_scope_share * strangers / outside))


def held_out(evidence: Evidence, counted: NDArray[np.float64], answered: NDArray[np.bool_]) -> HeldOut:
    """Figures of the answers, ranked by their scores, in which each text counts what it is given."""
    inside, outside = ~evidence.stranger, evidence.stranger
    ranking = np.argsort(-evidence.scores, kind="stable")
    totals = np.cumsum(counted[ranking])
    # The surest may count nothing: strangers, where there are said to be none.
    wrong = np.cumsum((counted * ~evidence.right)[ranking]) / np.where(totals > 0, totals, 1.0)
    f1 = [_f1(evidence, counted, answered, route) for route in np.unique(evidence.labels[inside])]
    return HeldOut(
        accuracy=_share(evidence.right, inside, counted),
        answered=float(counted[answered].sum() / counted.sum()),
        error=_share(~evidence.right, answered, counted),
        out_of_scope_accepted=_share(answered, outside, counted),
        f1=float(np.mean(f1)) if f1 else None,
        aurc=float(np.average(wrong, weights=counted[ranking])),
    )


def _f1(evidence: Evidence, counted: NDArray[np.float64], answered: NDArray[np.bool_], route: int) -> float:
    sent, belongs = answered & (evidence.chosen == route), evidence.labels == route
    return float(2 * counted[sent & belongs].sum() / (counted[sent].sum() + counted[belongs].sum()))


def _share(values: NDArray[np.bool_], among: NDArray[np.bool_], counted: NDArray[np.float64]) -> float | None:
    return float(np.average(values[among], weights=counted[among])) if counted[among].sum() else None
