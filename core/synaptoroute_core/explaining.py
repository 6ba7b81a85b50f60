"""Why a text was decided as it was, in numbers and in one sentence."""

from __future__ import annotations

import math

import numpy as np

from synaptoroute_core.scoring import Scored
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.types import Decision, Explanation, Neighbour
from synaptoroute_core.views.decisions import measured_by

NEIGHBOURS = 8
LEAST_PLACES = 3
MOST_PLACES = 17


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
    similarities = scored.utterances
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
    surplus = decision.score - decision.threshold
    places = _places(surplus)
    short = f"{best.route} {_gets(decision)} {decision.score:.{places}f} and needs {decision.threshold:.{places}f}"
    if decision.reason == "low_confidence":
        return (
            f"The fitted head gives {best.route} a confidence of {decision.score:.{places}f} and it needs "
            f"{decision.threshold:.{places}f}. If it belongs there, add it to the route as an utterance and fit again."
        )
    if decision.reason == "below_threshold":
        return (
            f"{short}: {-surplus:.{places}f} too little. If it belongs there, add it to the "
            "route as an utterance, or lower the route's threshold."
        )
    if lead is None:
        return f"{short}; there was no other to choose from."
    if decision.reason == "ambiguous":
        second = decision.candidates[1].route if len(decision.candidates) > 1 else "the next"
        places = _places(lead - min_margin)
        return (
            f"{best.route} leads {second} by {lead:.{places}f} and needs {min_margin:.{places}f}. Add utterances "
            "that tell the two apart, or merge them if they are one."
        )
    headroom = surplus if decision.confidence is not None else min(surplus, lead - min_margin)
    return f"{short}, and leads by {lead:.3f}; it would take {headroom:.{_places(headroom)}f} less to abstain."


def _gets(decision: Decision) -> str:
    """What is said before a score; a fitted head's is a confidence."""
    measure = measured_by(decision.scorer)
    return "scores" if measure == "score" else f"has a {measure} of"


def _places(difference: float) -> int:
    """Decimal places with which two numbers that differ by this much look different."""
    if not difference:
        return LEAST_PLACES
    return min(max(LEAST_PLACES, math.ceil(-math.log10(abs(difference)))), MOST_PLACES)
