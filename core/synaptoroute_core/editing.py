"""The changes that there are: each validates and encodes, and decides what to commit (``committing.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from synaptoroute_core.changes import (
    AddUtterances,
    Change,
    DropRoutes,
    DropUtterances,
    PutRoutes,
    SetFits,
    SetThresholds,
)
from synaptoroute_core.committing import Committer
from synaptoroute_core.encoders import encode_texts
from synaptoroute_core.errors import (
    ConfigurationError,
    InvalidTextError,
    RouteExistsError,
    RouteNotFoundError,
    shorten,
)
from synaptoroute_core.fits import Fit, newest_of
from synaptoroute_core.head import Head
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Receipt, Route, unique_utterances


class RouteEditor(Committer):
    """Changes routes and fits, in the store and then in the index. Arguments as for :class:`Committer`.

    Where there is an argument ``expected``, it is the revision that the routes must be at; None = any.
    """

    def put_routes(self, routes: Iterable[Route], *, overwrite: bool, expected: int | None = None) -> Receipt:
        """Add routes, or replace those that differ, all in one revision."""
        self._require_usable()
        by_name: dict[str, Route] = {}
        for route in routes:
            if by_name.setdefault(route.name, route) is not route:
                raise ConfigurationError(f"two of the routes are named {route.name!r}")
        encoded = self.encode_routes(list(by_name.values()))

        def plan() -> tuple[Change | None, int]:
            for name in by_name:
                if not overwrite and name in self._index:
                    raise RouteExistsError(name)
            new = tuple(each for each in encoded if not self._holds(each.route))
            same = all(self._has_utterances(each.route) for each in new)
            return (PutRoutes(new, settings_only=same) if new else None), sum(len(each.vectors) for each in new)

        return self._commit(plan, expected)

    def replace_routes(self, routes: Iterable[Route], *, seen: int) -> Receipt:
        """Put changed routes in the place of those that were read when ``RouteIndex.edits`` was ``seen``.

        Raises:
            ConfigurationError: Utterances were changed since; theirs would be lost.
        """
        self._require_usable()
        encoded = tuple(self.encode_routes(list(routes)))

        def plan() -> tuple[Change | None, int]:
            if self._index.edits != seen:
                raise ConfigurationError("the routes were changed meanwhile: start over")
            return (PutRoutes(encoded) if encoded else None), sum(len(each.vectors) for each in encoded)

        return self._commit(plan)

    def drop_route(self, name: str, *, expected: int | None = None) -> Receipt:
        """Remove a route."""

        def plan() -> tuple[Change | None, int]:
            self._require(name)
            return DropRoutes((name,)), len(self._index.keys_of(name))

        return self._commit(plan, expected)

    def add_utterances(self, name: str, texts: Iterable[str], *, expected: int | None = None) -> Receipt:
        """Append the utterances that the route does not have yet."""
        self._require_usable()
        unique = unique_utterances(texts)
        vectors = encode_texts(self._encoder, unique)

        def plan() -> tuple[Change | None, int]:
            self._require(name)
            known = self._index.keys_of(name)
            rows = [row for row, text in enumerate(unique) if utterance_key(text) not in known]
            if not rows:
                return None, 0
            return AddUtterances(name, tuple(unique[row] for row in rows), vectors[rows]), len(rows)

        return self._commit(plan, expected)

    def drop_utterances(self, name: str, texts: Iterable[str], *, expected: int | None = None) -> Receipt:
        """Remove utterances, found without regard to case and spacing."""
        unique = unique_utterances(texts)

        def plan() -> tuple[Change | None, int]:
            self._require(name)
            stored = {utterance_key(text): text for text in self._index.route(name).utterances}
            for text in unique:
                if utterance_key(text) not in stored:
                    raise InvalidTextError(f"{shorten(text)} is not an utterance of the route {name!r}")
            if len(unique) == len(stored):
                raise ConfigurationError(
                    f"the route {name!r} would be left without utterances; remove the route instead"
                )
            change = DropUtterances(name, tuple(stored[utterance_key(text)] for text in unique))
            return (change if unique else None), len(unique)

        return self._commit(plan, expected)

    def set_thresholds(self, thresholds: Mapping[str, float | None], *, expected: int | None = None) -> Receipt:
        """Set thresholds of routes, all in one revision."""

        def plan() -> tuple[Change | None, int]:
            for name in thresholds:
                self._require(name)
            new = {name: value for name, value in thresholds.items() if self._index.route(name).threshold != value}
            return (SetThresholds(new) if new else None), len(new)

        return self._commit(plan, expected)

    # --- fits ----------------------------------------------------------------------------------

    def push_fit(
        self, fit: Fit, thresholds: Mapping[str, float | None], *, seen: int, only_fresh: bool = False
    ) -> tuple[Receipt, bool]:
        """Put a fit in force, in one revision with the thresholds that belong to it.

        Args:
            fit: What was learned.
            thresholds: By route; those of routes that are gone are passed over.
            seen: ``RouteIndex.edits`` as it was when the utterances were read.
            only_fresh: Whether to refuse it if utterances were changed since.

        Returns:
            The receipt, and whether the fit is fresh: whether the utterances are still those.

        Raises:
            ConfigurationError: It is not fresh, and was to be.
        """
        found: list[bool] = []

        def plan() -> tuple[Change | None, int]:
            found.append(fresh := self._index.edits == seen)
            if only_fresh and not fresh:
                raise ConfigurationError("the routes were changed meanwhile: start over")
            new = {name: value for name, value in thresholds.items() if name in self._index}
            before = {name: self._index.route(name).threshold for name in new}
            pushed = replace(fit, fresh=fresh, replaced=before)
            return SetFits(newest_of((*self._index.fits, pushed)), new), len(new)

        return self._commit(plan), found[-1]

    def renew_head(self, stale: Head, fit: Fit, *, seen: int) -> bool:
        """Put a head in the place of one that the routes have left behind, if both are still as they were.

        Returns:
            Whether it was done; if not, the routes or the fits have changed since.
        """
        done: list[bool] = []

        def plan() -> tuple[Change | None, int]:
            fits = self._index.fits
            left = [each.head is stale and not each.fresh for each in fits]
            done.append(self._index.edits == seen and any(left))
            renewed = tuple(_renewed(each, fit) if is_left else each for each, is_left in zip(fits, left, strict=True))
            return (SetFits(renewed) if done[-1] else None), 0

        self._commit(plan)
        return done[-1]

    def pop_fit(self, *, expected: int | None = None) -> Receipt:
        """Take the newest fit back, with the thresholds that it replaced."""

        def plan() -> tuple[Change | None, int]:
            if not self._index.fits:
                raise ConfigurationError("there is no fit to take back")
            *rest, last = self._index.fits
            thresholds = {name: value for name, value in last.replaced.items() if name in self._index}
            return SetFits(tuple(rest), thresholds), len(thresholds)

        return self._commit(plan, expected)

    def restore_fits(self, fits: tuple[Fit, ...]) -> None:
        """Put back fits that were taken along with these routes from another router."""
        self._commit(lambda: (SetFits(fits), 0))

    # --- checks --------------------------------------------------------------------------------

    def _holds(self, route: Route) -> bool:
        """Whether the index has just this route, so that there is nothing to replace."""
        return route.name in self._index and self._index.route(route.name) == route

    def _has_utterances(self, route: Route) -> bool:
        """Whether the index has a route of this name with just these utterances."""
        return route.name in self._index and self._index.route(route.name).utterances == route.utterances

    def _require(self, name: str) -> None:
        if name not in self._index:
            raise RouteNotFoundError(name, self._index.names())


def _renewed(old: Fit, new: Fit) -> Fit:
    """A fit with the head that was made in the place of its own. A calibration keeps its threshold, not its promise."""
    details = new.details if old.kind == "head" else {**old.details, "promise": "made for an earlier head"}
    return replace(old, head=new.head, fresh=True, details=details)
