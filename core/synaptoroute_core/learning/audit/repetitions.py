"""Utterances that say the same, and routes that say too little."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.learning.audit.findings import Finding, quoted
from synaptoroute_core.learning.audit.survey import FEW, Survey
from synaptoroute_core.text import utterance_key
from synaptoroute_core.words import counted, verb

ONE_WORDING = 0.85
"""Mean cosine of the pairs of a route that knows only one wording; carefully written ones have 0.2 to 0.8."""
ENOUGH = 8


def find_duplicates(routes: Survey) -> list[Finding]:
    """Texts that several routes have, whatever their case and spacing."""
    places: dict[str, list[int]] = defaultdict(list)
    for place in range(len(routes.snapshot.order)):
        places[utterance_key(routes.text(place))].append(place)
    return [_duplicate(routes, same) for same in places.values() if len(same) > 1]


def _duplicate(routes: Survey, places: list[int]) -> Finding:
    names = [routes.owner(place) for place in places]
    text = quoted(routes.text(places[0]))
    return Finding(
        kind="duplicate",
        severity="error",
        route=names[0],
        other_route=names[1],
        utterances=routes.texts_at(places),
        owners=routes.owners_at(places),
        message=f"{text} is in {len(names)} routes: {', '.join(names)}",
        suggestion=f"keep {text} in one of {', '.join(names)} and remove it from the rest",
    )


def find_near_duplicates(routes: Survey) -> list[Finding]:
    """One finding for each pair of two routes, and one for each route that repeats itself."""
    left_out = routes.left_out
    pairs: dict[frozenset[int], float] = {}
    for place in np.flatnonzero(left_out.nearest_other >= routes.near_duplicate).tolist():
        twin = int(left_out.twin[place])
        if utterance_key(routes.text(place)) != utterance_key(routes.text(twin)):  # else it is a duplicate
            pairs[frozenset({place, twin})] = float(left_out.nearest_other[place])
    repeating = left_out.nearest_own >= routes.near_duplicate
    return [
        *(_twins(routes, min(pair), max(pair), cosine) for pair, cosine in pairs.items()),
        *(_repetition(routes, int(position), repeating) for position in np.unique(left_out.owners[repeating])),
    ]


def _twins(routes: Survey, first: int, second: int, cosine: float) -> Finding:
    one, other = routes.owner(first), routes.owner(second)
    texts = quoted(routes.text(first)), quoted(routes.text(second))
    return Finding(
        kind="near_duplicate",
        severity="warning",
        route=one,
        other_route=other,
        utterances=routes.texts_at((first, second)),
        owners=routes.owners_at((first, second)),
        score=cosine,
        message=f"{texts[0]} of {one} and {texts[1]} of {other} have a cosine of {cosine:.3f}",
        suggestion="remove one of the two, or say in each what tells the routes apart",
    )


def _repetition(routes: Survey, position: int, repeating: NDArray[np.bool_]) -> Finding:
    part = routes.snapshot.part_of(position)
    first = int(part.start) + int(routes.left_out.nearest_own[part].argmax())
    second, cosine = int(routes.left_out.kin[first]), float(routes.left_out.nearest_own[first])
    name, count = routes.names[position], int(repeating[part].sum())
    return Finding(
        kind="near_duplicate",
        severity="info",
        route=name,
        utterances=routes.texts_at((first, second)),
        owners=routes.owners_at((first, second)),
        score=cosine,
        message=f"{count:,} of {int(routes.counts[position]):,} utterances of {name} nearly "
        f"{verb(count, 'repeats', 'repeat')} another one (cosine {routes.near_duplicate:g} or more, at most "
        f"{cosine:.3f})",
        suggestion="put other wordings in the place of repetitions, or remove them",
    )


def find_narrow_routes(routes: Survey) -> Iterator[Finding]:
    """Routes whose utterances are all nearly the same."""
    squares = np.vecdot(routes.totals, routes.totals)
    for position, name in enumerate(routes.names):
        count = int(routes.counts[position])
        if count < FEW:
            continue
        # The square of a sum of unit vectors holds each pair twice and each vector's own product, 1.
        cosine = float((squares[position] - count) / (count * (count - 1)))
        if cosine >= ONE_WORDING:
            yield Finding(
                kind="too_similar",
                severity="warning",
                route=name,
                utterances=routes.texts_at(routes.places(position)[:FEW]),
                owners=routes.owners_at(routes.places(position)[:FEW]),
                score=cosine,
                message=f"the {count:,} utterances of {name} have a mean cosine of {cosine:.2f} with each other",
                suggestion=f"add utterances to {name} in other words",
            )


def find_small_routes(routes: Survey) -> Iterator[Finding]:
    """Routes with few utterances."""
    for position in np.flatnonzero(routes.counts < ENOUGH):
        name, count = routes.names[position], int(routes.counts[position])
        yield Finding(
            kind="too_few",
            severity="warning" if count < FEW else "info",
            route=name,
            message=f"{name} has {counted(count, 'utterance')}",
            suggestion=f"add {ENOUGH - count} or more in other words",
        )
