"""What a notebook shows of a client: what it knows without asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import islice

from synaptoroute_core import Route
from synaptoroute_core.views.markup import facts, mark, pairs_table, quiet, text
from synaptoroute_core.views.routers import MAX_LISTED, routes_table
from synaptoroute_core.views.style import card
from synaptoroute_core.words import number


@dataclass(frozen=True, slots=True)
class RemoteOverview:
    """What is shown of a client.

    Attributes:
        kind: The name of its class.
        url: The service's address.
        keyed: Whether it has a key; the key itself is shown to nobody.
        closed: Whether it is closed.
        revision: The revision that the last answer spoke of; None = there was no answer yet.
        routes: The routes as they were last seen; None = they never were.
        seen_at: The revision at which that was.
    """

    kind: str
    url: str
    keyed: bool
    closed: bool
    revision: int | None
    routes: Mapping[str, Route] | None
    seen_at: int | None


def remote_html(client: RemoteOverview) -> str:
    """The address, and the routes as they were last seen."""
    pairs = [("address", text(client.url)), ("key", "given" if client.keyed else quiet("none"))]
    known = [] if client.revision is None else [("revision", number(client.revision))]
    closed = [mark("closed", "it asks no more")] if client.closed else []
    return card(
        escape(client.kind),
        facts(known, *closed) if known or closed else "",
        pairs_table("Settings", pairs),
        _routes(client),
    )


def _routes(client: RemoteOverview) -> str:
    if client.routes is None:
        return f"<p>{quiet('its routes were not asked for yet: see .routes')}</p>"
    older = client.seen_at != client.revision
    when = f"routes as they were at revision {number(client.seen_at or 0)}" if older else "routes as last seen"
    listed = routes_table(list(islice(client.routes.values(), MAX_LISTED)), len(client.routes))
    return f"<p>{quiet(when)}</p>{listed}"
