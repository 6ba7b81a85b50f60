"""Why a text was decided as it was, in numbers and in one sentence."""

from __future__ import annotations

import numpy as np

from synaptoroute_core.scoring import Scored
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.types import Decision, Explanation, Neighbour

NEIGHBOURS = 8


def explain_decision(decision: Decision, snapshot: Snapshot, scored: Scored, min_margin: float) -> Explanation:
    """Add the nearest utterances and a sentence of advice to a decision.

    Args:
        decision: What was decided.
        snapshot: The routes that were asked.
        scored: The scores that it was decided by.
        min_margin: The lead that a route needs.
    """
    return Explanation(
        decision=decision, neighbours=nearest_utterances(snapshot, scored), advice=_advise(decision, min_margin)
    )


def nearest_utterances(snapshot: Snapshot, scored: Scored) -> tuple[Neighbour, ...]:
    """The nearest utterances over all routes, nearest first, at most eight."""
    similarities = scored.rows[snapshot.order]
    nearest = np.argsort(-similarities, kind="stable")[:NEIGHBOURS]
    owners = np.searchsorted(snapshot.starts, nearest, side="right") - 1
    return tuple(
        Neighbour(
            route=snapshot.names[owner],
            utterance=snapshot.texts[int(snapshot.order[place])],
            similarity=float(similarities[place]),
        )
        for place, owner in zip(nearest, owners, strict=True)
    )


def _advise(decision: Decision, min_margin: float) -> str:
    if decision.score is None or decision.threshold is None:
        return "There was no route to choose from: add one, or widen `allowed`."
    best, lead = decision.candidates[0], decision.margin
    short = f"{best.route} scores {decision.score:.3f} and needs {decision.threshold:.3f}"
    if decision.reason == "below_threshold":
        return (
            f"{short}: {decision.threshold - decision.score:.3f} too little. If it belongs there, add it to the "
            "route as an utterance, or lower the route's threshold."
        )
    if decision.reason == "ambiguous":
        second = decision.candidates[1].route if len(decision.candidates) > 1 else "the next"
        return (
            f"{best.route} leads {second} by {lead:.3f} and needs {min_margin:.3f}. Add utterances that tell the two "
            "apart, or merge them if they are one."
        )
    if lead is None:
        return f"{short}; there is no other route."
    headroom = min(decision.score - decision.threshold, lead - min_margin)
    return f"{short}, and leads by {lead:.3f}; it would take {headroom:.3f} less to abstain."
