"""Which route stands for which choice. Matched once for each set of choices, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from llama_index.core.tools import ToolMetadata

from synaptoroute_core import ConfigurationError, InspectableRouter, Route, RouteOptions
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.llamaindex.phrasing import internal_name, phrases

OFFERS_KEPT = 64

Key: TypeAlias = tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """Choices that were offered, matched to routes.

    Attributes:
        options: What the router is asked with.
        positions: Position of each choice by the name of its route.
        zero_shot: Names of those that are scored by name and description.
        fallback: Position of the choice to fall back to; None if that is not the policy.
        matched: For each choice its registered route; None = zero-shot.
        revision: The revision of the routes that they were matched to.
    """

    options: RouteOptions
    positions: Mapping[str, int]
    zero_shot: frozenset[str]
    fallback: int | None
    matched: tuple[str | None, ...]
    revision: int


class Offers:
    """Matches choices to routes and keeps what it found. Safe for threads.

    Args:
        router: Has the registered routes, and scores the others beside them.
        options: What to ask it with; the choices are filled in.
        aliases: Route names by choice name or description.
        fallback: Name or position of a choice to fall back to; None if that is not the policy.
        zero_shot_threshold: Threshold of choices without a registered route.
        list_all: Every choice must be among the candidates of a decision.
    """

    def __init__(
        self,
        router: InspectableRouter,
        *,
        options: RouteOptions,
        aliases: Mapping[str, str],
        fallback: int | str | None,
        zero_shot_threshold: float,
        list_all: bool,
    ) -> None:
        self._router = router
        self._options = options
        self._aliases = dict(aliases)
        self._fallback = fallback
        self._zero_shot_threshold = zero_shot_threshold
        self._list_all = list_all
        self._start()

    def _start(self) -> None:
        self._kept: OrderedDict[Key, Offer] = OrderedDict()
        self._looking = threading.Lock()
        self._building = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Settings only: what was matched holds vectors, and locks cannot travel."""
        return {name: value for name, value in vars(self).items() if name not in ("_kept", "_looking", "_building")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, choices: Sequence[ToolMetadata]) -> Offer | None:
        """What was found for these choices, if it is remembered and the routes are still the same."""
        offer = self._recall(key_of(choices))
        return offer if offer is not None and offer.revision == self._router.revision else None

    def prepare(self, choices: Sequence[ToolMetadata]) -> Offer:
        """Match choices to routes, and encode those that have none. Blocks.

        Raises:
            ConfigurationError: There are no choices, two of them name one route, a description belongs
                to two routes, a choice has no words, or the fallback is not among them.
            RouteNotFoundError: An alias leads to no route.
            EncoderError: A description could not be encoded.
        """
        # One at a time: of many callers with the same new choices, one encodes and the others find.
        with self._building:
            offer = self.find(choices)
            return offer if offer is not None else self._prepare(choices)

    def _prepare(self, choices: Sequence[ToolMetadata]) -> Offer:
        if not choices:
            raise ConfigurationError("there are no choices to select from: offer at least one")
        key = key_of(choices)
        revision = self._router.revision  # before the routes are read: a change meanwhile is seen next time
        matched = match(choices, _registered(self._router), self._aliases)
        last = self._recall(key)
        if last is not None and last.matched == matched:
            offer = replace(last, revision=revision)
        else:
            offer = self._build(choices, matched, revision)
        with self._looking:
            self._kept[key] = offer
            self._kept.move_to_end(key)
            if len(self._kept) > OFFERS_KEPT:
                self._kept.popitem(last=False)
        return offer

    def _build(self, choices: Sequence[ToolMetadata], matched: tuple[str | None, ...], revision: int) -> Offer:
        stored = [name for name in matched if name is not None]
        names = unique_names(choices, matched)
        extra = [
            Route(name, phrases(choice.name, choice.description or ""), threshold=self._zero_shot_threshold)
            for name, choice, registered in zip(names, choices, matched, strict=True)
            if registered is None
        ]
        return Offer(
            options=replace(
                self._options,
                allowed=self._router.choices(stored, extra),
                max_candidates=len(choices) if self._list_all else None,
            ),
            positions={name: position for position, name in enumerate(names)},
            zero_shot=frozenset(route.name for route in extra),
            fallback=self._fallback_position(choices, names),
            matched=matched,
            revision=revision,
        )

    def _recall(self, key: Key) -> Offer | None:
        with self._looking:
            offer = self._kept.get(key)
            if offer is not None:
                self._kept.move_to_end(key)
            return offer

    def _fallback_position(self, choices: Sequence[ToolMetadata], names: Sequence[str]) -> int | None:
        wanted = self._fallback
        if wanted is None:
            return None
        if isinstance(wanted, int):
            found = [wanted] if wanted < len(choices) else []
        else:
            found = [
                position
                for position, (choice, name) in enumerate(zip(choices, names, strict=True))
                if wanted in (choice.name, choice.description, name)
            ]
        if len(found) != 1:
            offered = shorten(", ".join(choice.name or choice.description for choice in choices), 200)
            raise ConfigurationError(
                f"the fallback {wanted!r} is {'not' if not found else 'more than one'} of the {len(choices)} "
                f"choices: {offered}"
            )
        return found[0]


def key_of(choices: Sequence[ToolMetadata]) -> Key:
    """What tells sets of choices apart."""
    return tuple([(choice.name, choice.description) for choice in choices])


def match(
    choices: Sequence[ToolMetadata], routes: Mapping[str, Route], aliases: Mapping[str, str]
) -> tuple[str | None, ...]:
    """The registered route of each choice: by its name, else by an alias, else by its description.

    A description fits if it is a route's name, as a string choice may be, or a route's description.

    Returns:
        For each choice a route's name; None = none is registered for it.

    Raises:
        ConfigurationError: Two choices name one route, or a description belongs to two routes.
    """
    described: dict[str, list[str]] = {}
    for route in routes.values():
        if route.description.strip():
            described.setdefault(route.description.strip(), []).append(route.name)
    matched = tuple(_match_one(choice, routes, aliases, described) for choice in choices)
    first: dict[str, int] = {}
    for position, name in enumerate(matched):
        if name is not None and first.setdefault(name, position) != position:
            raise ConfigurationError(
                f"choices {first[name]} and {position} both stand for the route {name!r}: "
                "which of them is meant cannot be told; rename one, or give it an alias"
            )
    return matched


def _match_one(
    choice: ToolMetadata, routes: Mapping[str, Route], aliases: Mapping[str, str], described: Mapping[str, list[str]]
) -> str | None:
    name, description = choice.name, (choice.description or "").strip()
    if name is not None and name in routes:
        return name
    for label in (name, choice.description):
        if label is not None and label in aliases:
            return aliases[label]
    if description in routes:
        return description
    found = described.get(description, [])
    if len(found) > 1:
        raise ConfigurationError(
            f"the description {shorten(description)} belongs to the routes {' and '.join(map(repr, found))}: "
            "name the choice after one of them, or give an alias"
        )
    return found[0] if found else None


def unique_names(choices: Sequence[ToolMetadata], matched: Sequence[str | None]) -> list[str]:
    """A route name for each choice: the registered one, or one made for it.

    Raises:
        ConfigurationError: Two choices have the same name, or no names and the same description.
    """
    taken = {name for name in matched if name is not None}
    first: dict[tuple[str | None, str], int] = {}
    names = []
    for position, (choice, registered) in enumerate(zip(choices, matched, strict=True)):
        label = (choice.name, "" if choice.name is not None else choice.description.strip())
        if first.setdefault(label, position) != position:
            raise ConfigurationError(
                f"choices {first[label]} and {position} are both {shorten(choice.name or choice.description)}: "
                "which of them is meant cannot be told; rename one"
            )
        names.append(registered or internal_name(choice.name, choice.description or "", taken))
    return names


def _registered(router: InspectableRouter) -> dict[str, Route]:
    """The routes as they are now; one that is removed while they are read is left out."""
    current = router.routes  # once: of a router elsewhere it is a request
    return {name: route for name in current if (route := current.get(name)) is not None}


def routes_of(
    choices: Sequence[ToolMetadata], utterances: Mapping[str, Iterable[str]]
) -> tuple[list[Route], dict[str, str]]:
    """A route for each choice that has utterances, and which choice it stands for.

    Raises:
        ConfigurationError: There are utterances for what is no choice.
    """
    labels = {choice.name or choice.description: choice for choice in choices}
    routes: list[Route] = []
    aliases: dict[str, str] = {}
    for label, texts in utterances.items():
        if label not in labels:
            raise ConfigurationError(
                f"utterances are given for {shorten(label)}, which is not among the choices: "
                f"{shorten(', '.join(labels), 200)}"
            )
        # Another choice's name would make this route stand for both.
        taken = {other for other in labels if other != label} | set(aliases.values())
        aliases[label] = internal_name(labels[label].name, labels[label].description, taken)
        routes.append(Route(aliases[label], texts))
    return routes, aliases
