"""Changes to the set of routes, as the store writes them and the index applies them.

A restart, a follower and the author of a change all go through the same values, so that what is in
memory cannot drift from what is on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.fits import Fit
from synaptoroute_core.types import Route

Vectors: TypeAlias = NDArray[np.float32]
"""One row of unit length for each text: shape (texts, dim)."""


@dataclass(frozen=True, slots=True)
class EncodedRoute:
    """A route and the vectors of its utterances, row by row."""

    route: Route
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class PutRoutes:
    """Add the routes, or replace those of the same name.

    Attributes:
        routes: The routes.
        reset: Whether all there are are dropped first.
        settings_only: Whether the routes are there with the same utterances, so that what was learned still holds.
    """

    routes: tuple[EncodedRoute, ...]
    reset: bool = False
    settings_only: bool = False


@dataclass(frozen=True, slots=True)
class DropRoutes:
    """Remove routes by name; names that are not there are passed over."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddUtterances:
    """Append utterances, new to the route, with their vectors."""

    name: str
    texts: tuple[str, ...]
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class DropUtterances:
    """Remove utterances, given exactly as they are stored."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetThresholds:
    """Set thresholds by route name; None = the router's."""

    thresholds: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class SetFits:
    """Put fits in the place of all there are, the newest last, and set thresholds of routes with them."""

    fits: tuple[Fit, ...]
    thresholds: Mapping[str, float | None] = field(default_factory=dict)


Change: TypeAlias = PutRoutes | DropRoutes | AddUtterances | DropUtterances | SetThresholds | SetFits


def moves_utterances(change: Change) -> bool:
    """Whether the routes have other utterances afterwards, so that what was learned of them no longer holds."""
    match change:
        case PutRoutes(routes=routes, reset=reset, settings_only=settings_only):
            return reset or (bool(routes) and not settings_only)
        case DropRoutes(names=names):
            return bool(names)
        case _:
            return isinstance(change, AddUtterances | DropUtterances)


@dataclass(frozen=True, slots=True)
class Feed:
    """What happened to a store since a revision.

    Attributes:
        revision: Where applying ``changes`` leads.
        fingerprint: Encoder of the stored vectors; None while the store is new.
        changes: In the order in which they are to be applied.
        epoch: Drawn when the store was made, which tells it from another under the same name; None where it has none.
    """

    revision: int
    fingerprint: str | None
    changes: tuple[Change, ...]
    epoch: str | None = None
