"""The one rule that chooses a route. Nothing else in the project does."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.scoring import Scored
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.types import Candidate, Decision, Reason


@dataclass(frozen=True, slots=True)
class Policy:
    """What a decision depends on beside the scores.

    Attributes:
        threshold: Least score of a route without a threshold of its own.
        min_margin: Least lead over the second best.
        max_candidates: How many candidates to list.
        noise: By how much a score may differ between machines.
        override: Least score of every route, in the place of ``threshold`` and of their own; None = as they are.
    """

    threshold: float
    min_margin: float
    max_candidates: int
    noise: float
    override: float | None = None


def decide(snapshot: Snapshot, scored: Scored, policy: Policy, allowed: Collection[str] | None = None) -> Decision:
    """Choose a route, or abstain and say why.

    Args:
        snapshot: The routes.
        scored: The query's scores against that snapshot.
        policy: Thresholds and limits.
        allowed: Names to choose from, before the best is taken; None = all. Unknown ones are
            passed over.

    Returns:
        The decision. Of two routes with equal scores the one whose name sorts first leads.
    """
    eligible = eligible_positions(snapshot, allowed)
    best = best_positions(scored.routes, eligible, max(2, policy.max_candidates))
    if not best:
        return Decision(route=None, reason="no_routes", revision=snapshot.revision)
    scores = [float(scored.routes[position]) for position in best]
    threshold = threshold_of(snapshot, best[0], policy)
    margin = scores[0] - scores[1] if len(scores) > 1 else None
    reason = judge(scores[0], threshold, margin, policy.min_margin)
    return Decision(
        route=snapshot.names[best[0]] if reason == "matched" else None,
        reason=reason,
        score=scores[0],
        threshold=threshold,
        margin=margin,
        candidates=tuple(
            Candidate(
                route=snapshot.names[position],
                score=score,
                utterance=evidence(snapshot, scored, position),
                threshold=threshold_of(snapshot, position, policy),
            )
            for position, score in zip(best[: policy.max_candidates], scores, strict=False)
        ),
        near_boundary=is_near_boundary(snapshot, scored.routes, eligible, best, policy),
        revision=snapshot.revision,
    )


def judge(score: float, threshold: float, margin: float | None, min_margin: float) -> Reason:
    """The outcome for a best score and its lead."""
    if score < threshold:
        return "below_threshold"
    if margin is not None and margin < min_margin:
        return "ambiguous"
    return "matched"


def threshold_of(snapshot: Snapshot, position: int, policy: Policy) -> float:
    """The score that a route needs."""
    if policy.override is not None:
        return policy.override
    own = float(snapshot.thresholds[position])
    return policy.threshold if math.isnan(own) else own


def is_near_boundary(
    snapshot: Snapshot, scores: NDArray[np.float32], eligible: NDArray[np.intp], best: list[int], policy: Policy
) -> bool:
    """Whether the choice would be another if each score moved by up to the noise.

    How far all scores can move against a route before it loses the choice is its slack; negative,
    how far they must move in its favour before it gets it. A lead shrinks by the moves of both its
    scores. Only the best route and those that could overtake it have a slack that may be so small.
    """
    first = float(scores[best[0]])
    second = float(scores[best[1]]) if len(best) > 1 else -math.inf
    for position in eligible[scores[eligible] >= first - 2 * policy.noise]:
        score = float(scores[position])
        lead = score - (second if position == best[0] else first)
        slack = min(score - threshold_of(snapshot, position, policy), (lead - policy.min_margin) / 2)
        if abs(slack) <= policy.noise:
            return True
    return False


def eligible_positions(snapshot: Snapshot, allowed: Collection[str] | None) -> NDArray[np.intp]:
    """Positions of the routes to choose from, in the order of their names."""
    if allowed is None:
        return np.arange(len(snapshot.names))
    found = {snapshot.positions[name] for name in allowed if name in snapshot.positions}
    return np.array(sorted(found), dtype=np.intp)


def best_positions(scores: NDArray[np.float32], eligible: NDArray[np.intp], count: int) -> list[int]:
    """Those ``count`` of the eligible positions that have the best scores, best first."""
    values = scores[eligible]
    if len(values) > count:
        # Everything that ties with the last of the best stays in, so that the name decides below.
        cut = np.partition(values, len(values) - count)[len(values) - count]
        eligible = eligible[values >= cut]
        values = scores[eligible]
    ranking = np.argsort(-values, kind="stable")[:count]
    return [int(position) for position in eligible[ranking]]


def evidence(snapshot: Snapshot, scored: Scored, position: int) -> str:
    """The utterance that speaks for a route: the one nearest to the query."""
    part = snapshot.part_of(position)
    return snapshot.texts[int(snapshot.order[part][scored.utterances[part].argmax()])]
