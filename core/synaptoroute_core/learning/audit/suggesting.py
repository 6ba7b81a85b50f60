"""Which unlabelled texts are worth a person's look.

Two kinds teach a router the most. Those on which it nearly decided otherwise (uncertainty sampling: Lewis
and Gale, "A sequential algorithm for training text classifiers", 1994), and those that it left alone and
that many others are like: they may be a route that is missing. The latter are found by leader clustering,
the densest text first (Butina, "Unsupervised data base clustering based on Daylight's fingerprint and
Tanimoto similarity", 1999). No two suggestions say nearly the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.learning.audit.leave_one_out import similarity_blocks
from synaptoroute_core.learning.evaluation.figures import best_of, sureness_of
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Decision

Why: TypeAlias = Literal["boundary", "ambiguous", "cluster"]

REACH = 0.10
"""A decision that a change of its score or margin by this much would not turn is an easy one."""
ALIKE = 0.85
"""Cosine from which a text is as good as another one that was picked."""
LIKENESS = 0.45
"""How far from the cosine of any two texts to 1 the cosine of a text with its cluster must lie."""
MOST_USUAL = 0.50
"""Texts that are all of one kind are alike, and yet no measure of what any two texts have in common."""
LEAST_CLUSTER = 3
SAMPLE = 2048
"""Texts against which density is measured: enough to rank by, and time grows with the texts, not their square."""
LEADERS = 4
"""Clusters that are made for each that is asked for: the densest text need not lead the largest one, but nearly."""
SHOWN_MEMBERS = 5


class Suggestion(FrozenModel):
    """A text to label, and why.

    Attributes:
        text: The text.
        why: ``boundary``: its score is near the threshold; ``ambiguous``: two routes are nearly as good;
            ``cluster``: the router abstained on it and on many texts like it, which may be a route that is missing.
        decision: What was decided of it.
        route: The best candidate, chosen or not; None without candidates.
        size: How many of the texts it stands for, itself and repetitions included.
        members: Some of the others, nearest first.
        value: What suggestions of the same ``why`` are ranked by, 0 to 1: how near the decision is to another one;
            of a cluster, its share of all texts.
    """

    text: str
    why: Why
    decision: Decision
    route: str | None
    size: int
    members: tuple[str, ...] = ()
    value: float


@dataclass(frozen=True, slots=True)
class _Group:
    """Distinct texts of which the first stands for the others, by number."""

    why: Why
    numbers: tuple[int, ...]
    value: float


@dataclass(frozen=True)
class _Pool:
    """Distinct texts: how often each came, and what was decided of it."""

    texts: Sequence[str]
    counts: NDArray[np.intp]
    decisions: Sequence[Decision]
    vectors: Vectors


def suggest_texts(
    texts: Sequence[str], decisions: Sequence[Decision], vectors: Vectors, k: int, *, seed: int = 0
) -> list[Suggestion]:
    """Choose texts to label next; the same arguments give the same choice.

    Clusters and doubtful decisions take turns, the most valuable first. If there are too few of one, the other
    fills up; easy texts are never suggested, so that there may be fewer than ``k``.

    Args:
        texts: Unlabelled texts; those that differ only in case or spacing are one, and counted.
        decisions: What was decided of each.
        vectors: Their unit vectors: shape (texts, dim).
        k: Most suggestions to make.
        seed: Decides against which texts density is measured if there are more than 2,048.

    Raises:
        ConfigurationError: ``k`` is less than 1, or the three do not have the same length.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigurationError(f"k = {shorten(k)}: ask for at least 1 suggestion")
    if not len(texts) == len(decisions) == len(vectors):
        raise ConfigurationError(
            f"there are {len(texts)} texts, {len(decisions)} decisions and {len(vectors)} vectors: give one for each"
        )
    if not texts:
        return []
    pool = _distinct(texts, decisions, vectors)
    clusters = _clusters(pool, k, seed)
    doubtful = _doubtful(pool, k, clusters)
    # In turns: their values cannot be compared.
    turns = chain.from_iterable(zip_longest(clusters, doubtful))
    return [_suggestion(pool, group) for group in turns if group is not None][:k]


def _distinct(texts: Sequence[str], decisions: Sequence[Decision], vectors: Vectors) -> _Pool:
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for number, text in enumerate(texts):
        key = utterance_key(text)
        first.setdefault(key, number)
        counts[key] = counts.get(key, 0) + 1
    numbers = list(first.values())
    return _Pool(
        texts=[texts[number] for number in numbers],
        counts=np.array(list(counts.values()), np.intp),
        decisions=[decisions[number] for number in numbers],
        vectors=np.ascontiguousarray(vectors[numbers]),
    )


# --- clusters of what was left alone ---------------------------------------------------------------


def _clusters(pool: _Pool, k: int, seed: int) -> list[_Group]:
    """The largest clusters among the texts on which the router abstained, largest first; at most ``k``."""
    left = np.flatnonzero([not decision for decision in pool.decisions])
    if not len(left):
        return []
    rng = np.random.default_rng(seed)
    vectors, counts = pool.vectors[left], pool.counts[left]
    least = _least_cosine(pool.vectors[_sample(rng, len(pool.texts))])
    groups = _lead(vectors, _density(vectors, counts, _sample(rng, len(left)), least), least, LEADERS * k)
    sizes = [int(counts[group].sum()) for group in groups]
    large = [number for number, size in enumerate(sizes) if size >= LEAST_CLUSTER]
    large.sort(key=lambda number: -sizes[number])
    total = int(pool.counts.sum())
    found = []
    for number in large[:k]:
        ranked = _by_centre(vectors, counts, groups[number])
        found.append(_Group("cluster", tuple(left[ranked].tolist()), sizes[number] / total))
    return found


def _sample(rng: np.random.Generator, count: int) -> NDArray[np.intp]:
    """Numbers below ``count``: all, or a random choice if they are many."""
    return np.arange(count) if count <= SAMPLE else np.sort(rng.choice(count, SAMPLE, replace=False))


def _least_cosine(vectors: Vectors) -> float:
    """The cosine that makes two texts alike, by what any two have in common: encoders differ widely in that."""
    if len(vectors) < 2:  # noqa: PLR2004  # no pair
        return ALIKE
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    usual = min(max(float(np.median(pairs)), 0.0), MOST_USUAL)
    return usual + LIKENESS * (1.0 - usual)


def _density(vectors: Vectors, counts: NDArray[np.intp], sample: NDArray[np.intp], least: float) -> NDArray[np.float64]:
    """How many texts of the sample are like each text: shape (texts,)."""
    density = np.empty(len(vectors))
    for part, cosines in similarity_blocks(vectors, vectors[sample]):
        density[part] = (cosines >= least) @ counts[sample]
    return density


def _lead(vectors: Vectors, density: NDArray[np.float64], least: float, most: int) -> list[NDArray[np.intp]]:
    """Leader clustering: the densest text that is free takes all free ones that are like it, ``most`` times."""
    free = np.ones(len(vectors), np.bool_)
    groups: list[NDArray[np.intp]] = []
    for leader in np.argsort(-density, kind="stable"):
        if len(groups) == most:
            break
        if free[leader]:
            alike = free & (vectors @ vectors[leader] >= least)
            alike[leader] = True  # its cosine with itself may round to less
            free &= ~alike
            groups.append(np.flatnonzero(alike))
    return groups


def _by_centre(vectors: Vectors, counts: NDArray[np.intp], group: NDArray[np.intp]) -> NDArray[np.intp]:
    """The texts of a group, those nearest to its centre first."""
    centre = counts[group] @ vectors[group]
    return group[np.argsort(-(vectors[group] @ centre), kind="stable")]


# --- decisions that were nearly others -------------------------------------------------------------


def _doubtful(pool: _Pool, k: int, clusters: Sequence[_Group]) -> list[_Group]:
    """The texts whose decisions were nearly others, nearest first; at most ``k``, no two alike."""
    doubts = [_doubt(decision) for decision in pool.decisions]
    values = np.array([value for _, value in doubts])
    values[[number for group in clusters for number in group.numbers]] = 0.0  # a cluster speaks for them
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > 0]
    vectors = pool.vectors[order]
    picked: list[_Group] = []
    taken = np.zeros(len(order), np.bool_)
    for place, number in enumerate(order.tolist()):
        if taken[place] or len(picked) == k:
            continue
        cosines = vectors @ vectors[place]
        alike = ~taken & (cosines >= ALIKE)
        alike[place] = False
        taken |= alike
        others = np.flatnonzero(alike)
        ranked = order[others[np.argsort(-cosines[others], kind="stable")]]
        picked.append(_Group(doubts[number][0], (number, *ranked.tolist()), float(values[number])))
    return picked


def _doubt(decision: Decision) -> tuple[Why, float]:
    """What would turn a decision, and how little of it: 1 = nothing, 0 = much, or there was no choice."""
    if decision.threshold is None or decision.score is None:
        return "boundary", 0.0
    distance = abs(sureness_of(decision) - decision.threshold)
    if decision.reason == "ambiguous" or (decision and decision.margin is not None and decision.margin < distance):
        return "ambiguous", max(0.0, 1.0 - (decision.margin or 0.0) / REACH)
    return "boundary", max(0.0, 1.0 - distance / REACH)


def _suggestion(pool: _Pool, group: _Group) -> Suggestion:
    first, *others = group.numbers
    return Suggestion(
        text=pool.texts[first],
        why=group.why,
        decision=pool.decisions[first],
        route=best_of(pool.decisions[first]),
        size=int(pool.counts[list(group.numbers)].sum()),
        members=tuple(pool.texts[number] for number in others[:SHOWN_MEMBERS]),
        value=group.value,
    )
