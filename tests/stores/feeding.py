"""Stores without routers: changes that are committed by hand, and an index that takes over what a store feeds it."""

from collections.abc import Sequence

from watching import ENCODER

from synaptoroute_core import Feed, Route
from synaptoroute_core.changes import (
    AddUtterances,
    Change,
    DropRoutes,
    DropUtterances,
    EncodedRoute,
    PutRoutes,
    SetThresholds,
)
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes
from synaptoroute_core.storage import Store

QUERIES = ENCODER.encode(["a word 1", "b 2", "other words", "c 3 word 4"])


def encoded(name: str, *texts: str, threshold: float | None = None) -> EncodedRoute:
    return EncodedRoute(Route(name, texts, threshold=threshold), ENCODER.encode(texts))


def commit(store: Store, change: Change | None) -> int:
    return store.commit(0, ENCODER.fingerprint, lambda _: change)


def loaded(feed: Feed, index: RouteIndex | None = None) -> RouteIndex:
    """An index after a feed; an empty one is made if none is given."""
    if index is None:
        index = RouteIndex(ENCODER.dim)
    index.apply(feed.changes, feed.revision)
    return index


def seen_in(index: RouteIndex) -> tuple[int, dict[str, Route], list[list[float]]]:
    """Revision, routes and the exact scores of some queries."""
    snapshot = index.snapshot()
    scores = [score_routes(snapshot, query).routes.tolist() for query in QUERIES]
    return index.revision, {name: index.route(name) for name in index.names()}, scores


def fill(store: Store) -> Store:
    """The store with two routes, at revision 2."""
    commit(store, PutRoutes((encoded("a", "first words", "second words"),)))
    commit(store, PutRoutes((encoded("b", "something else", threshold=0.4),)))
    return store


class Writer:
    """Another router's edits, drawn at random; those that make no sense at the moment are left out."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.texts: dict[str, list[str]] = {}

    def edit(self, kind: str, name: str, number: int) -> None:
        change = getattr(self, kind)(name, number)
        if change is not None:
            commit(self.store, change)

    def _encoded(self, name: str, number: int) -> EncodedRoute:
        self.texts[name] = [f"{name} {number}", f"word {number + 1}"]
        return encoded(name, *self.texts[name], threshold=number / 10)

    def put(self, name: str, number: int) -> Change:
        return PutRoutes((self._encoded(name, number),))

    def put_two(self, name: str, number: int) -> Change:
        return PutRoutes((self._encoded(name, number), self._encoded(f"{name}2", number)))

    def reset(self, name: str, number: int) -> Change:
        self.texts.clear()
        return PutRoutes((self._encoded(name, number),) if number else (), reset=True)

    def drop(self, name: str, number: int) -> Change:
        self.texts.pop(name, None)
        return DropRoutes((name,))

    def add(self, name: str, number: int) -> Change | None:
        text = f"more {number}"
        if name not in self.texts or text in self.texts[name]:
            return None
        self.texts[name].append(text)
        return AddUtterances(name, (text,), ENCODER.encode([text]))

    def remove(self, name: str, number: int) -> Change | None:
        if len(self.texts.get(name, ())) < 2:
            return None
        return DropUtterances(name, (self.texts[name].pop(0),))

    def threshold(self, name: str, number: int) -> Change | None:
        return SetThresholds({name: number / 10 or None}) if name in self.texts else None


KINDS: Sequence[str] = ("put", "put_two", "reset", "drop", "add", "remove", "threshold")
