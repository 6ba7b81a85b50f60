"""The one rule that chooses a route. Nothing else in the project does."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.config import MIN_CONFIDENCE
from synaptoroute_core.head import Sight, judge_sight, letters_of
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
        min_confidence: Least confidence where a fitted head decides.
        override: Least score of every route, in the place of all others; None = as they are.
        override_margin: Least lead, in the place of ``min_margin``; None = that, and none where a head decides.
    """

    threshold: float
    min_margin: float
    max_candidates: int
    noise: float
    min_confidence: float = MIN_CONFIDENCE
    override: float | None = None
    override_margin: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The routes as a rule sees them, whichever rule is in force.

    Attributes:
        scores: Score of each route that may be chosen; what others have is not looked at: shape (routes,).
        min_margin: Least lead over the second best.
        noise: By how much a score may differ between machines.
        too_low: What to say of a best score that is too low.
        scorer: The rule's name.
        confidence: Probability that the best route is right; None without a head.
    """

    scores: NDArray[np.floating]
    min_margin: float
    noise: float
    too_low: Reason
    scorer: str
    confidence: float | None = None


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
    if not len(eligible):
        return Decision(route=None, reason="no_routes", revision=snapshot.revision)
    standing = stand(snapshot, scored, policy, eligible)
    best = best_positions(standing.scores, eligible, max(2, policy.max_candidates))
    scores = [float(standing.scores[position]) for position in best]
    threshold = threshold_of(snapshot, best[0], policy)
    margin = scores[0] - scores[1] if len(scores) > 1 else None
    reason = judge(scores[0], threshold, margin, standing)
    return Decision(
        route=snapshot.names[best[0]] if reason == "matched" else None,
        reason=reason,
        score=scores[0],
        threshold=threshold,
        margin=margin,
        confidence=standing.confidence,
        scorer=standing.scorer,
        candidates=tuple(
            Candidate(
                route=snapshot.names[position],
                score=score,
                utterance=evidence(snapshot, scored, position),
                threshold=threshold_of(snapshot, position, policy),
            )
            for position, score in zip(best[: policy.max_candidates], scores, strict=False)
        ),
        near_boundary=is_near_boundary(snapshot, standing, eligible, best, policy),
        revision=snapshot.revision,
    )


def stand(snapshot: Snapshot, scored: Scored, policy: Policy, eligible: NDArray[np.intp]) -> Standing:
    """The routes under the rule in force: the fitted head, or similarity."""
    margin = policy.override_margin
    if snapshot.rule.head is None or scored.logits is None or scored.letters is None:
        margin = policy.min_margin if margin is None else margin
        return Standing(scored.routes, margin, policy.noise, "below_threshold", "similarity")
    head = snapshot.rule.head
    judged = judge_sight(
        Sight(
            logits=scored.logits[None],
            scores=scored.routes[None],
            nearest=np.maximum.reduceat(scored.utterances, snapshot.starts)[None],
            nearest_weights=snapshot.nearest_weights,
            letters=np.array([letters_of(scored.letters)]),
        ),
        eligible,
    )
    confidence = float(head.confidence(judged.features)[0])
    shares = judged.shares[0]
    scores = np.zeros(len(snapshot.names))
    # The best route's score is the confidence; the others stand to it as the head's probabilities do.
    scores[eligible] = confidence * (shares / shares.max())
    # A lead is part of the confidence already: only a caller who asks for one gets it.
    noise = policy.noise * head.gain
    return Standing(scores, margin or 0.0, noise, "low_confidence", "head", confidence)


def judge(score: float, threshold: float, margin: float | None, standing: Standing) -> Reason:
    """The outcome for a best score and its lead."""
    if score < threshold:
        return standing.too_low
    if margin is not None and margin < standing.min_margin:
        return "ambiguous"
    return "matched"


def threshold_of(snapshot: Snapshot, position: int, policy: Policy) -> float:
    """The score that a route needs: the call's, its own, the fit's, or the settings'; under a head, one for all."""
    if policy.override is not None:
        return policy.override
    head, least = snapshot.rule
    if head is not None:
        return policy.min_confidence if least is None else least
    own = float(snapshot.thresholds[position])
    if not math.isnan(own):
        return own
    return policy.threshold if least is None else least


def is_near_boundary(
    snapshot: Snapshot, standing: Standing, eligible: NDArray[np.intp], best: list[int], policy: Policy
) -> bool:
    """Whether the choice would be another if each score moved by up to the noise.

    How far all scores can move against a route before it loses the choice is its slack; negative,
    how far they must move in its favour before it gets it. A lead shrinks by the moves of both its
    scores. Only the best route and those that could overtake it have a slack that may be so small.
    """
    scores, noise = standing.scores, standing.noise
    first = float(scores[best[0]])
    second = float(scores[best[1]]) if len(best) > 1 else -math.inf
    for position in eligible[scores[eligible] >= first - 2 * noise]:
        score = float(scores[position])
        lead = score - (second if position == best[0] else first)
        slack = min(score - threshold_of(snapshot, position, policy), (lead - standing.min_margin) / 2)
        if abs(slack) <= noise:
            return True
    return False


def eligible_positions(snapshot: Snapshot, allowed: Collection[str] | None) -> NDArray[np.intp]:
    """Positions of the routes to choose from, in the order of their names."""
    if allowed is None:
        return np.arange(len(snapshot.names))
    found = {snapshot.positions[name] for name in allowed if name in snapshot.positions}
    return np.array(sorted(found), dtype=np.intp)


def best_positions(scores: NDArray[np.floating], eligible: NDArray[np.intp], count: int) -> list[int]:
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
