"""A set of routes as an audit looks at it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.learning.audit.leave_one_out import LeftOut
from synaptoroute_core.snapshot import Snapshot

FEW = 3
"""With fewer utterances, leaving one out says little of a route."""


@dataclass(frozen=True)
class Survey:
    """A snapshot with what leaving one out says of it, and the settings of an audit."""

    snapshot: Snapshot
    left_out: LeftOut
    near_duplicate: float
    min_lead: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names by position."""
        return self.snapshot.names

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Utterances of each route."""
        return np.diff(self.snapshot.starts, append=len(self.snapshot.order))

    @cached_property
    def totals(self) -> NDArray[np.float64]:
        """Sum of the vectors of each route: shape (routes, dim)."""
        parts = (self.left_out.vectors[self.snapshot.part_of(each)] for each in range(len(self.names)))
        return np.stack([part.sum(axis=0, dtype=np.float64) for part in parts])

    @cached_property
    def centres(self) -> Vectors:
        """Directions of these sums; zeros where opposite utterances leave none."""
        lengths = np.linalg.norm(self.totals, axis=1, keepdims=True)
        return (self.totals / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)

    @cached_property
    def lead(self) -> NDArray[np.float64]:
        """By how much the best other route beats an utterance's own; NaN where one of the two has no score."""
        return self.left_out.other - self.left_out.own

    @cached_property
    def strayed(self) -> NDArray[np.bool_]:
        """Whether each utterance, left out, would go to another route."""
        return self.lead > 0  # False for NaN

    def text(self, place: int) -> str:
        """The utterance at a place of ``Snapshot.order``."""
        return self.snapshot.texts[int(self.snapshot.order[place])]

    def owner(self, place: int) -> str:
        """The name of the route that has the utterance at a place."""
        return self.names[int(self.left_out.owners[place])]

    def texts_at(self, places: Iterable[int]) -> tuple[str, ...]:
        """The utterances at some places."""
        return tuple(map(self.text, places))

    def owners_at(self, places: Iterable[int]) -> tuple[str, ...]:
        """The names of the routes that have them."""
        return tuple(map(self.owner, places))

    def places(self, position: int) -> range:
        """The places of the utterances of a route."""
        return range(*self.snapshot.part_of(position).indices(len(self.snapshot.order)))
