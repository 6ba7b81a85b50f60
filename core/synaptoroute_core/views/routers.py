"""A router: what it holds, and the rule by which it decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from synaptoroute_core.views.markup import facts, folded, mark, pairs_table, quiet, table, text
from synaptoroute_core.views.style import card
from synaptoroute_core.words import counted, cut, number

if TYPE_CHECKING:
    from synaptoroute_core.types import Route

FIRST_ROUTES = 20
MAX_LISTED = 500
"""Routes that are looked at: who has more wants to search, not to scroll."""
TEXT_ROUTES = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule in force.

    Attributes:
        fitted: Whether a fitted head decides, in the place of similarity.
        least: Least score or confidence of a route without a threshold of its own.
        min_margin: Least lead over the second best route; no part of a fitted head.
        outdated: Whether there is a fitted head whose utterances have changed since.
        refits: Whether it is then fitted again in the background.
    """

    fitted: bool
    least: float
    min_margin: float
    outdated: bool = False
    refits: bool = True


@dataclass(frozen=True, slots=True)
class RouterOverview:
    """What is shown of a router.

    Attributes:
        kind: The name of its class.
        routes: The first of its routes, at most ``MAX_LISTED``.
        total: Number of its routes.
        utterances: Utterances of all.
        revision: Its revision.
        encoder: Fingerprint of its encoder.
        rule: The rule in force.
        closed: Whether it is closed.
    """

    kind: str
    routes: Sequence[Route]
    total: int
    utterances: int
    revision: int
    encoder: str
    rule: Rule
    closed: bool = False


def router_html(router: RouterOverview) -> str:
    """Counts, the encoder, the rule, and a table of the routes."""
    counts = (("routes", router.total), ("utterances", router.utterances), ("revision", router.revision))
    closed = [mark("closed", "it answers no more")] if router.closed else []
    rule = router.rule
    pairs = [("encoder", text(router.encoder)), ("decides by", _rule(rule))]
    if rule.outdated:
        pairs.append(("fit", _due(rule)))
    return card(
        escape(router.kind),
        facts([(name, number(count)) for name, count in counts], *closed),
        pairs_table("Settings", pairs),
        routes_table(router.routes, router.total, default=rule.least, ignored=rule.fitted),
    )


def routes_html(routes: Sequence[Route], total: int) -> str:
    """The routes of a router.

    Args:
        routes: The first of them, at most ``MAX_LISTED``.
        total: How many there are.
    """
    return card(counted(total, "route"), routes_table(routes, total))


def router_text(line: str, names: Sequence[str]) -> str:
    """A line about a router, and the names of its first routes."""
    if not names:
        return line
    shown = ", ".join(cut(name) for name in names[:TEXT_ROUTES])
    more = len(names) - TEXT_ROUTES
    return f"{cut(line)}\n  {shown}" + (f", and {number(more)} more" if more > 0 else "")


def routes_table(routes: Sequence[Route], total: int, *, default: float | None = None, ignored: bool = False) -> str:
    """Name, utterances, threshold and description of each route; those after the first ones are folded away.

    Args:
        routes: The routes.
        total: How many there are.
        default: Threshold of those without one of their own; None = not known.
        ignored: Whether the rule in force takes no notice of the routes' own.
    """
    if not routes:
        return f"<p>{quiet('no routes yet')}</p>"
    described = any(route.description for route in routes)
    rows = [_row(route, default, ignored=ignored)[: 4 if described else 3] for route in routes]
    content = _table(rows[:FIRST_ROUTES], described=described)
    rest = rows[FIRST_ROUTES:]
    hidden = total - len(rows)
    more = f"<p>{quiet(f'and {number(hidden)} more')}</p>" if hidden > 0 else ""
    if not rest:
        return content + more
    return content + folded(f"{number(total - FIRST_ROUTES)} more", _table(rest, described=described) + more)


def _table(rows: Sequence[Sequence[str]], *, described: bool) -> str:
    # Both tables have the same columns at the same places: the second one goes on where the first one ends.
    columns = ("route", ">utterances", ">threshold", "description")
    if described:
        return table("Routes", columns, rows, widths=("28%", "6.5em", "6.5em", ""))
    return table("Routes", columns[:3], rows, widths=("", "20%", "20%"))


def _row(route: Route, default: float | None, *, ignored: bool) -> tuple[str, ...]:
    if route.threshold is None or ignored:
        threshold = quiet("default" if default is None else number(default))
    else:
        threshold = number(route.threshold)
    return text(route.name), number(len(route.utterances)), threshold, text(route.description)


def _rule(rule: Rule) -> str:
    if rule.fitted:
        return f"fitted head{quiet(f': a confidence of {number(rule.least)} or more')}"
    needs = f": a score of {number(rule.least)} or more, and a lead of {number(rule.min_margin)}"
    return f"similarity{quiet(needs)}"


def _due(rule: Rule) -> str:
    what = "the utterances have changed since the last fit"
    return f"{mark('out of date', what)} {'it is made again in the background' if rule.refits else 'call fit() again'}"
