"""Every threshold that makes a difference, by sorting and running sums.

Between two neighbouring scores all thresholds do the same. So there is one cut a gap: above the greatest
score, in each gap, and below the least.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.learning.thresholds.outcomes import f1_of

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Amounts = NDArray[np.bool_] | NDArray[np.float64]

EDGE = 0.02
"""Width given to the gaps above the greatest and below the least score, which have no other side."""
DECIMALS = 10
"""To which values are compared: running sums of shares carry rounding errors."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """All cuts of several groups of texts, each group with thresholds of its own.

    A threshold in ``(low, high]`` accepts the texts whose scores are ``high`` or more.

    Attributes:
        order: The texts, by group and within it the highest score first: shape (texts,).
        firsts: Places in ``order`` where a group begins: shape (groups with texts,).
        ends: Places in ``order`` of the last of equal scores in a group: shape (gaps,).
        group: The group of each cut: shape (cuts,), first those that accept nothing, then one for each of ``ends``.
        low: The score that it just leaves out: shape (cuts,).
        high: The score that it just accepts: shape (cuts,).
    """

    order: Places
    firsts: Places
    ends: Places
    group: Places
    low: Floats
    high: Floats

    def running(self, amounts: Amounts) -> Floats:
        """Sum of the amounts, one a text, over what each cut accepts: shape (cuts,)."""
        return np.append(np.zeros(len(self.firsts)), within(amounts[self.order], self.firsts)[self.ends])


def sweep(group: Places, scores: Floats) -> Sweep:
    """All cuts.

    Args:
        group: The group of each text, from 0: shape (texts,).
        scores: Its score, -1 to 1: shape (texts,).
    """
    order = np.lexsort((-scores, group))
    groups, ranked = group[order], scores[order]
    new_group = _begins(groups)
    new_score = _begins(ranked) | new_group
    firsts, ends = np.flatnonzero(new_group), np.flatnonzero(np.append(new_score, True)[1:])
    followed = ~np.append(new_group, True)[ends + 1]
    below = np.where(followed, np.append(ranked, 0.0)[ends + 1], np.maximum(ranked[ends] - EDGE, -1.0))
    return Sweep(
        order=order,
        firsts=firsts,
        ends=ends,
        group=np.append(groups[firsts], groups[ends]),
        low=np.append(ranked[firsts], below),
        high=np.append(np.minimum(ranked[firsts] + EDGE, 1.0), ranked[ends]),
    )


def place_cuts(cuts: Sweep, values: Floats, floors: Floats) -> Floats:
    """The best threshold of each group: in the middle of the widest gap in which the value is the highest.

    Gaps that lie side by side and have the same value are one.

    Args:
        cuts: All cuts.
        values: How good each is, -inf = not to be used: shape (cuts,).
        floors: The least threshold of each group: shape (groups,).

    Returns:
        The thresholds, NaN for a group that has no usable cut: shape (groups,).
    """
    accepts_nothing = np.arange(len(values)) < len(cuts.firsts)
    # No threshold leaves out a score of 1, and none below the floor can be had.
    usable = np.where(accepts_nothing, cuts.low < cuts.high, True) & (cuts.high >= floors[cuts.group])
    rounded = np.where(usable, np.round(values, DECIMALS), -np.inf)
    order = np.lexsort((-cuts.high, ~accepts_nothing, cuts.group))
    group, rounded = cuts.group[order], rounded[order]
    parted = _begins(group) | _begins(rounded)
    first, last = np.flatnonzero(parted), np.flatnonzero(np.append(parted, True)[1:])
    group, rounded, high = group[first], rounded[first], cuts.high[order][first]
    low = np.maximum(cuts.low[order][last], floors[group])
    middle = (low + high) / 2
    # Between neighbouring floating-point numbers there is no middle.
    middle = np.where(middle > low, middle, high)
    best = np.lexsort((high, np.round(high - low, DECIMALS), rounded, group))
    best = best[np.append(_begins(group[best]), True)[1:]]
    found = np.full(len(floors), np.nan)
    found[group[best]] = np.where(np.isfinite(rounded[best]), middle[best], np.nan)
    return found


def running_f1(cuts: Sweep, route: Places, right: NDArray[np.bool_], support: Places) -> Floats:
    """Sum over the routes of their F1 at each cut of one group of all texts: shape (cuts,).

    Each text, as it is let in, changes the F1 of one route, so the sum of those changes is all there is to it.
    """
    order = cuts.order[np.argsort(route[cuts.order], kind="stable")]  # by route, and within it still by score
    routes = route[order]
    firsts = np.flatnonzero(_begins(routes))
    hits = within(right[order], firsts)
    answered = within(np.ones(len(order)), firsts)
    scores = f1_of(hits, answered, support[routes])
    changes = np.empty(len(order))
    changes[order] = np.diff(scores, prepend=0.0)
    changes[order[firsts]] = scores[firsts]
    return cuts.running(changes)


def within(amounts: Amounts, firsts: Places) -> Floats:
    """Running sums that begin anew at each of the places ``firsts``: shape (texts,)."""
    totals: Floats = np.cumsum(amounts, dtype=np.float64)
    before: Floats = np.append(0.0, totals)[firsts]
    sums: Floats = totals - np.repeat(before, np.diff(np.append(firsts, len(totals))))
    return sums


def _begins(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a run of equal values begins: shape (values,)."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]
