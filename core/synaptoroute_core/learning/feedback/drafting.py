"""Drafts of changes: labelled texts become edits, edits become routes. Pure; nothing is tested here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from synaptoroute_core.errors import ConfigurationError, RouteNotFoundError, shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Example, Route, clean_name, unique_utterances

MAX_PER_ROUTE = 100


class Edit(FrozenModel):
    """One step of a draft.

    Attributes:
        action: ``add`` an utterance to a route; ``move`` it there from another; ``create`` a route with it.
        route: The route that gets the utterance.
        utterance: Its text.
        from_route: The route that loses it, of a move.
    """

    action: Literal["add", "move", "create"]
    route: str
    utterance: str
    from_route: str | None = None


def draft_edits(
    examples: Sequence[Example],
    routes: Mapping[str, Route],
    *,
    max_per_route: int = MAX_PER_ROUTE,
    create: bool = False,
) -> tuple[Edit, ...]:
    """What would make the answers part of the routes.

    A text that the answered route has already is passed over, and so is one that was answered None: that it belongs
    nowhere is nothing that an utterance could say. A text that is an utterance of another route is moved, unless that
    route would be left with none.

    Args:
        examples: Texts and answers, oldest first; of a text that comes twice, the last answer counts.
        routes: The routes as they are, by name.
        max_per_route: Most edits in favour of one route; the newest are kept.
        create: Whether an answer that is no route's name makes a new route; otherwise it is passed over.

    Returns:
        The edits, in the order of the examples.

    Raises:
        ConfigurationError: An example is no pair of a text and a name or None, or ``max_per_route`` is below 1.
        InvalidTextError: A text cannot be an utterance.
    """
    if max_per_route < 1:
        raise ConfigurationError(f"max_per_route = {max_per_route}: give at least 1")
    owners = owners_of(routes)
    left = {name: len(route.utterances) for name, route in routes.items()}
    count: dict[str, int] = defaultdict(int)
    groups: list[list[Edit]] = []
    for text, answer in reversed(latest_answers(examples)):
        if not is_news(text, answer, routes, owners, create=create) or count[str(answer)] >= max_per_route:
            continue
        edits = list(_steps(text, str(answer), routes, owners, left))
        count[str(answer)] += bool(edits)
        groups.append(edits)
    return tuple(edit for edits in reversed(groups) for edit in edits)


def latest_answers(examples: Iterable[Example]) -> list[Example]:
    """Each text once, but for case and spacing, with its last answer and in the order of those answers.

    Raises:
        ConfigurationError: An example is no pair of a text and a name or None.
        InvalidTextError: A text cannot be an utterance.
    """
    latest: dict[str, Example] = {}
    for example in examples:
        if not isinstance(example, Sequence) or isinstance(example, str) or len(example) != 2:  # noqa: PLR2004
            raise ConfigurationError(f"expected pairs of a text and a route's name or None, got {shorten(example)}")
        ((text,), answer) = unique_utterances([example[0]]), example[1]
        key = utterance_key(text)
        latest.pop(key, None)
        latest[key] = (text, None if answer is None else clean_name(answer))
    return list(latest.values())


def changed_routes(edits: Iterable[Edit], routes: Mapping[str, Route]) -> list[Route]:
    """The routes that the edits change or make, as they are afterwards, in the order of ``routes``.

    Args:
        edits: The edits.
        routes: The routes as they are, by name.

    Raises:
        RouteNotFoundError: An edit names a route that is not there, and does not create it.
        ConfigurationError: A route would be left without utterances.
    """
    texts: dict[str, dict[str, str]] = {}

    def of(name: str, *, create: bool = False) -> dict[str, str]:
        if name not in routes and not create and name not in texts:
            raise RouteNotFoundError(name, routes)
        stored = routes[name].utterances if name in routes else ()
        return texts.setdefault(name, {utterance_key(text): text for text in stored})

    for edit in edits:
        of(edit.route, create=edit.action == "create").setdefault(utterance_key(edit.utterance), edit.utterance)
        if edit.from_route is not None:
            of(edit.from_route).pop(utterance_key(edit.utterance), None)
    order = {name: place for place, name in enumerate(routes)}
    names = sorted(texts, key=lambda name: order.get(name, len(order)))
    return [_with_utterances(name, texts[name].values(), routes.get(name)) for name in names]


def undone_routes(edits: Iterable[Edit], routes: Mapping[str, Route]) -> tuple[list[Route], list[str]]:
    """What taking edits back leaves of the routes, which may have been changed since in other ways.

    Args:
        edits: The edits; what they added and is gone already is passed over.
        routes: The routes as they are, by name.

    Returns:
        The routes that change, as they are afterwards, and the names of those that would be empty.
    """
    texts: dict[str, dict[str, str]] = {}

    def of(name: str) -> dict[str, str]:
        return texts.setdefault(name, {utterance_key(text): text for text in routes[name].utterances})

    for edit in edits:
        key = utterance_key(edit.utterance)
        was_there = edit.route in routes and of(edit.route).pop(key, None) is not None
        if was_there and edit.from_route is not None and edit.from_route in routes:
            of(edit.from_route).setdefault(key, edit.utterance)
    changed = {name: tuple(found.values()) for name, found in texts.items() if found}
    kept = [_with_utterances(name, found, routes[name]) for name, found in changed.items()]
    return [route for route in kept if route != routes[route.name]], [
        name for name, found in texts.items() if not found
    ]


def _with_utterances(name: str, texts: Iterable[str], route: Route | None) -> Route:
    if route is None:
        return Route(name, texts)
    kept = route.model_dump(exclude={"name", "utterances"})
    return Route(name, texts, **kept)


def owners_of(routes: Mapping[str, Route]) -> dict[str, list[str]]:
    """Names of the routes that have an utterance, by its key."""
    owners: dict[str, list[str]] = defaultdict(list)
    for name, route in routes.items():
        for text in route.utterances:
            owners[utterance_key(text)].append(name)
    return dict(owners)


def is_news(
    text: str, answer: str | None, routes: Collection[str], owners: Mapping[str, Sequence[str]], *, create: bool
) -> bool:
    """Whether an answer says something that the routes do not have yet."""
    if answer is None or (answer not in routes and not create):
        return False
    return answer not in owners.get(utterance_key(text), ())


def _steps(
    text: str, answer: str, routes: Collection[str], owners: Mapping[str, Sequence[str]], left: dict[str, int]
) -> Iterable[Edit]:
    """The edits that bring a text to its route; counts down what the routes that lose it have left."""
    losers = owners.get(utterance_key(text), ())
    if any(left[loser] <= 1 for loser in losers):
        return
    for loser in losers:
        left[loser] -= 1
        yield Edit(action="move", route=answer, utterance=text, from_route=loser)
    if not losers:
        yield Edit(action="add" if answer in routes else "create", route=answer, utterance=text)
