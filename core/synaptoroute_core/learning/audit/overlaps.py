"""Routes and utterances that other routes take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.learning.audit.findings import Finding, Severity, quoted
from synaptoroute_core.learning.audit.leave_one_out import similarity_blocks
from synaptoroute_core.learning.audit.survey import FEW, Survey
from synaptoroute_core.words import verb

SHARES: tuple[tuple[Severity, float], ...] = (("error", 0.40), ("warning", 0.20), ("info", 0.10))
"""Share of two routes' utterances that the other takes, and how bad that is. One intent cut in two at random
has about a half; among 150 intents of CLINC150, which people told apart with care, the worst pair has 0.18."""
LEAST_CONFUSED = 3
"""Fewer utterances make no collision, whatever their share."""
CLOSE_CENTRES = 0.90
"""Cosine of the centres of two routes that collide, for all that their utterances say."""
NEIGHBOURS = 5
MOST_NEIGHBOURS_OWN = 1
LEAST_NEIGHBOURS_THERE = 3
TYPICAL = 0.25
"""A misplaced utterance scores better in the other route than this share of that route's own."""
SHOWN_PER_ROUTE = 3


def find_collisions(routes: Survey) -> Iterator[Finding]:
    """Pairs of routes that take each other's utterances, or whose centres are nearly one."""
    owners, rivals = routes.left_out.owners[routes.strayed], routes.left_out.rival[routes.strayed]
    taken = Counter(zip(owners.tolist(), rivals.tolist(), strict=True))
    pairs = {(min(pair), max(pair)) for pair in taken} | _close_pairs(routes)
    for first, second in sorted(pairs):
        finding = _collision(routes, first, second, (taken[first, second], taken[second, first]))
        if finding is not None:
            yield finding


def _close_pairs(routes: Survey) -> set[tuple[int, int]]:
    """Each route with the one whose centre is nearest, where they are very near."""
    pairs = set()
    for part, cosines in similarity_blocks(routes.centres):
        rows = np.arange(len(cosines))
        cosines[rows, rows + part.start] = -np.inf
        for row in np.flatnonzero(cosines.max(axis=1) >= CLOSE_CENTRES):
            one, other = int(part.start + row), int(cosines[row].argmax())
            pairs.add((min(one, other), max(one, other)))
    return pairs


def _collision(routes: Survey, first: int, second: int, taken: tuple[int, int]) -> Finding | None:
    counts = int(routes.counts[first]), int(routes.counts[second])
    share = (taken[0] / counts[0] + taken[1] / counts[1]) / 2
    cosine = float(routes.centres[first] @ routes.centres[second])
    severity = _collision_severity(share, sum(taken), cosine, min(counts))
    if severity is None:
        return None
    one, other = routes.names[first], routes.names[second]
    strays = [*_strays(routes, first, second), *_strays(routes, second, first)]
    by_share = share >= SHARES[-1][1]
    return Finding(
        kind="collision",
        severity=severity,
        route=one,
        other_route=other,
        utterances=routes.texts_at(strays),
        owners=routes.owners_at(strays),
        score=share if by_share else cosine,
        message=f"left out of their route, {taken[0]:,} of {counts[0]:,} utterances of {one} "
        f"{verb(taken[0], 'goes', 'go')} to {other} and "
        f"{taken[1]:,} of {counts[1]:,} the other way; cosine of the centres {cosine:.2f}",
        suggestion=f"add utterances that tell {one} and {other} apart, or merge them",
    )


def _collision_severity(share: float, confused: int, cosine: float, least: int) -> Severity | None:
    if confused >= LEAST_CONFUSED:
        for severity, enough in SHARES:
            if share >= enough:
                return "warning" if severity == "error" and least < FEW else severity
    if cosine >= CLOSE_CENTRES:
        return "warning" if least == 1 else "info"
    return None


def _strays(routes: Survey, own: int, rival: int) -> list[int]:
    """Places of utterances of one route that another would take, those with the largest lead first."""
    part = routes.snapshot.part_of(own)
    gone = routes.strayed[part] & (routes.left_out.rival[part] == rival)
    lead = np.where(gone, routes.lead[part], -np.inf)
    ranking = np.argsort(-lead, kind="stable")[: min(SHOWN_PER_ROUTE, int(gone.sum()))]
    return [int(part.start) + int(place) for place in ranking]


def find_misplaced(routes: Survey) -> Iterator[Finding]:
    """Utterances that another route takes by a clear lead, in whose midst they lie."""
    left_out = routes.left_out
    typical = np.array([_typical(left_out.own[routes.snapshot.part_of(each)]) for each in range(len(routes.names))])
    suspects = np.flatnonzero(routes.strayed & (routes.lead >= routes.min_lead))
    suspects = suspects[left_out.other[suspects] >= typical[left_out.rival[suspects]]]
    for part, cosines in similarity_blocks(left_out.vectors[suspects], left_out.vectors):
        places = suspects[part]
        cosines[np.arange(len(places)), places] = -np.inf
        count = min(NEIGHBOURS, cosines.shape[1] - 1)
        nearest = left_out.owners[np.argpartition(-cosines, count - 1, axis=1)[:, :count]]
        there = (nearest == left_out.rival[places, None]).sum(axis=1)
        own = (nearest == left_out.owners[places, None]).sum(axis=1)
        for row in np.flatnonzero((there >= LEAST_NEIGHBOURS_THERE) & (own <= MOST_NEIGHBOURS_OWN)):
            target = routes.snapshot.part_of(int(left_out.rival[places[row]]))
            nearest_there = int(target.start + cosines[row, target].argmax())
            yield _misplacement(routes, int(places[row]), nearest_there, f"{there[row]} of the {count}")


def _typical(own: NDArray[np.float64]) -> float:
    return np.inf if np.isnan(own).any() else float(np.quantile(own, TYPICAL))


def _misplacement(routes: Survey, place: int, nearest_there: int, neighbours: str) -> Finding:
    left_out = routes.left_out
    own, other = routes.owner(place), routes.names[int(left_out.rival[place])]
    shown = place, int(left_out.kin[place]), nearest_there
    text = quoted(routes.text(place))
    return Finding(
        kind="misplaced",
        severity="warning",
        route=own,
        other_route=other,
        utterances=routes.texts_at(shown),
        owners=routes.owners_at(shown),
        score=float(routes.lead[place]),
        message=f"{text} scores {left_out.other[place]:.2f} in {other} and, left out, {left_out.own[place]:.2f} in its "
        f"own route {own}; {neighbours} nearest utterances are of {other}",
        suggestion=f"move {text} from {own} to {other}, or remove it",
    )


def find_unreachable(routes: Survey, reached: Collection[str]) -> Iterator[Finding]:
    """Routes to which none of their own utterances comes back.

    Args:
        routes: The routes.
        reached: Names of those that are known to be reached.
    """
    for position, name in enumerate(routes.names):
        part = routes.snapshot.part_of(position)
        count = int(routes.counts[position])
        if name in reached or count == 1:
            continue
        threshold, best = float(routes.snapshot.thresholds[position]), float(routes.left_out.own[part].max())
        if routes.strayed[part].all():
            yield _taken(routes, position)
        elif best < threshold:  # False for NaN
            yield Finding(
                kind="unreachable",
                severity="warning",
                route=name,
                message=f"{name} needs a score of {threshold:.2f}, and the best of its {count:,} utterances gets "
                f"{best:.2f} when left out",
                suggestion=f"lower the threshold of {name} below {best:.2f}, or add utterances",
            )


def _taken(routes: Survey, position: int) -> Finding:
    part = routes.snapshot.part_of(position)
    rivals = Counter(routes.left_out.rival[part].tolist())
    rival, often = min(rivals.items(), key=lambda item: (-item[1], item[0]))
    strays = _strays(routes, position, rival)
    name, other, count = routes.names[position], routes.names[rival], int(routes.counts[position])
    return Finding(
        kind="unreachable",
        severity="error" if count >= FEW else "warning",
        route=name,
        other_route=other,
        utterances=routes.texts_at(strays),
        owners=routes.owners_at(strays),
        message=f"left out, none of the {count:,} utterances of {name} comes back to it; "
        f"{often:,} {verb(often, 'goes', 'go')} to {other}",
        suggestion=f"merge {name} and {other}, or give {name} utterances that have more in common",
    )
