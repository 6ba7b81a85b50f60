"""The one rule that chooses a route. Nothing else in the project does."""

from __future__ import annotations

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
    """

    threshold: float
    min_margin: float
    max_candidates: int
    noise: float


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
    best = best_positions(snapshot, scored.routes, max(2, policy.max_candidates), allowed)
    if not len(best):
        return Decision(route=None, reason="no_routes", revision=snapshot.revision)
    scores = [float(scored.routes[position]) for position in best]
    own = float(snapshot.thresholds[best[0]])
    threshold = policy.threshold if np.isnan(own) else own
    margin = scores[0] - scores[1] if len(scores) > 1 else None
    reason = judge(scores[0], threshold, margin, policy.min_margin)
    return Decision(
        route=snapshot.names[best[0]] if reason == "matched" else None,
        reason=reason,
        score=scores[0],
        threshold=threshold,
        margin=margin,
        candidates=tuple(
            Candidate(route=snapshot.names[position], score=score, utterance=evidence(snapshot, scored, position))
            for position, score in zip(best[: policy.max_candidates], scores, strict=False)
        ),
        near_boundary=abs(scores[0] - threshold) <= policy.noise
        or (margin is not None and abs(margin - policy.min_margin) <= policy.noise),
        revision=snapshot.revision,
    )


def judge(score: float, threshold: float, margin: float | None, min_margin: float) -> Reason:
    """The outcome for a best score and its lead."""
    if score < threshold:
        return "below_threshold"
    if margin is not None and margin < min_margin:
        return "ambiguous"
    return "matched"


def best_positions(
    snapshot: Snapshot, scores: NDArray[np.float32], count: int, allowed: Collection[str] | None
) -> list[int]:
    """Positions of the ``count`` best routes among those allowed, best first."""
    if allowed is None:
        eligible = np.arange(len(scores))
    else:
        found = sorted(snapshot.positions[name] for name in allowed if name in snapshot.positions)
        eligible = np.array(found, dtype=np.intp)
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
    rows = snapshot.rows_of(position)
    return snapshot.texts[int(rows[np.argmax(scored.rows[rows])])]
