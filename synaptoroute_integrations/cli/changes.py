"""Changing a store, and saying what was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, RouteExistsError, load_routes
from synaptoroute_core.words import counted
from synaptoroute_integrations.addresses import masked
from synaptoroute_integrations.cli.learned import advise
from synaptoroute_integrations.cli.sources import (
    Source,
    has_database,
    open_without_model,
    read_store,
    require_store,
    stored_routes,
)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did.

    Attributes:
        action: What it did.
        routes: The routes that it did it to.
        utterances: How many utterances were added, replaced or removed.
        revision: The store's revision now.
        sentence: The same for people.
        advice: What it takes for what was learned to hold again; None = nothing.
    """

    action: Literal["created", "extended", "replaced", "imported", "removed", "unchanged"]
    routes: tuple[str, ...]
    utterances: int
    revision: int
    sentence: str
    advice: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        value = asdict(self)
        del value["sentence"], value["advice"]
        return value


def put(
    source: Source,
    name: str,
    texts: Sequence[str],
    description: str | None,
    threshold: float | None,
    *,
    overwrite: bool,
) -> Done:
    """Make a route, or add to the one of that name.

    Raises:
        ConfigurationError: There is nothing to add, or the name or the threshold is not valid.
        InvalidTextError: An utterance is not usable.
    """
    db = require_store(source.db)
    route = None
    if texts or overwrite or not has_database(db):  # before a file is made for a route that cannot be
        route = Route(name, texts, description=description or "", threshold=threshold)
    with source.open_store() as router:
        before = router.routes.get(name)
        if route is not None and (overwrite or before is None):
            try:
                return _advised(router, _created(router, route, before, overwrite=overwrite))
            except RouteExistsError:  # another process was faster
                before = router.routes[name]
        if before is None:
            route = Route(name, texts)  # says what is missing
        return _advised(router, _extended(router, name, texts, description, threshold))


def _advised(router: AdaptiveRouter, done: Done) -> Done:
    """Add what to do about a fit that the change left behind."""
    return done if done.action == "unchanged" else replace(done, advice=advise(router.fits))


def _created(router: AdaptiveRouter, route: Route, before: Route | None, *, overwrite: bool) -> Done:
    receipt = router.add_route(route, overwrite=overwrite)
    has = counted(len(route.utterances), "utterance")
    if before is None:
        return Done("created", (route.name,), receipt.changed, receipt.revision, f"made the route {route.name}: {has}")
    if not receipt.changed:
        return _unchanged(router, route.name)
    sentence = f"replaced the route {route.name}: {has} instead of {len(before.utterances):,}"
    return Done("replaced", (route.name,), receipt.changed, receipt.revision, sentence)


def _extended(
    router: AdaptiveRouter, name: str, texts: Sequence[str], description: str | None, threshold: float | None
) -> Done:
    if not texts and description is None and threshold is None:
        raise ConfigurationError(f"what is to be added to the route {name}? Give utterances, or see --help")
    parts = []
    revision = router.revision
    added = router.add_utterances(name, texts).changed if texts else 0
    if added:
        parts.append(f"added {counted(added, 'utterance')}")
    if added < len(texts):
        parts.append(f"skipped {len(texts) - added:,} that it had already")
    route = router.routes[name]
    if threshold is not None and threshold != route.threshold:
        router.update_threshold(name, threshold)
        parts.append(f"set the threshold to {threshold:g}")
    if description is not None and description != route.description:
        router.add_route(router.routes[name].model_copy(update={"description": description}), overwrite=True)
        parts.append("set the description")
    if router.revision == revision:
        return _unchanged(router, name)
    has = counted(len(router.routes[name].utterances), "utterance")
    return Done("extended", (name,), added, router.revision, f"route {name}: {', '.join(parts)}; it has {has} now")


def _unchanged(router: AdaptiveRouter, name: str) -> Done:
    return Done("unchanged", (name,), 0, router.revision, f"nothing to do: the route {name} is like that already")


def import_file(source: Source, file: Path, *, overwrite: bool) -> Done:
    """Put the routes of a file into the store, all or none.

    Raises:
        ConfigurationError: The file is not a route file, or a route is there already and differs.
    """
    db = require_store(source.db)
    routes = load_routes(file)
    if not routes:
        raise ConfigurationError(f"{file}: there are no routes in it")
    stored = stored_routes(db) if has_database(db) else {}
    differing = [route.name for route in routes if stored.get(route.name, route) != route]
    if differing and not overwrite:
        raise ConfigurationError(
            f"{masked(db)} has {counted(len(differing), 'route')} of {file} already, and not the same: "
            f"{', '.join(differing)}; pass --overwrite to replace what is there"
        )
    new = [route for route in routes if stored.get(route.name) != route]
    if not new:
        sentence = f"nothing to do: {counted(len(routes), 'route')} of {file} are in {masked(db)} already"
        return Done("unchanged", (), 0, read_store(db).revision, sentence)
    with source.open_store(new) as router:
        utterances = sum(len(route.utterances) for route in new)
        sentence = f"imported {counted(len(new), 'route')} with {counted(utterances, 'utterance')} from {file}"
        if len(new) < len(routes):
            sentence += f"; {counted(len(routes) - len(new), 'route')} already there"
        done = Done("imported", tuple(route.name for route in new), utterances, router.revision, sentence)
        return _advised(router, done)


def take_out(db: str | None, name: str, utterances: Sequence[str] | None) -> Done:
    """Remove a route, or some of its utterances.

    Raises:
        RouteNotFoundError: There is no route of that name.
        InvalidTextError: The route has no such utterance; none was removed.
        ConfigurationError: The route would be left without utterances.
    """
    with open_without_model(db) as router:
        if not utterances:
            receipt = router.remove_route(name)
            sentence = f"removed the route {name} with its {counted(receipt.changed, 'utterance')}"
        else:
            receipt = router.remove_utterances(name, utterances)
            left = counted(len(router.routes[name].utterances), "utterance")
            sentence = f"removed {counted(receipt.changed, 'utterance')} from the route {name}; it has {left} left"
        return _advised(router, Done("removed", (name,), receipt.changed, receipt.revision, sentence))
