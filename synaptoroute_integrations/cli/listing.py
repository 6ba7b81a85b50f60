"""``synaptoroute list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import Db, Json, Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synaptoroute_core import Fit, Route


@app.command(name="list")
def list_routes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show just this one, with utterances.")] = None,
    *,
    db: Db = None,
    routes: Routes = None,
    as_json: Json = False,
) -> None:
    """List the routes, or show one with its utterances."""
    from synaptoroute_core import Feed, RouteNotFoundError, load_routes
    from synaptoroute_integrations.cli.output import write_json
    from synaptoroute_integrations.cli.sources import encoded_routes, fits_of, read_store, require_source

    require_source(db, routes)
    feed = read_store(db) if db is not None else Feed(0, None, ())
    found = {each.route.name: each.route for each in encoded_routes(feed)}
    if routes is not None:
        found |= {route.name: route for route in load_routes(routes)}
    if name is not None and name not in found:
        raise RouteNotFoundError(name, found)
    shown = list(found.values()) if name is None else [found[name]]
    if as_json:
        for route in shown:
            write_json(route.model_dump(mode="json"))
    elif name is None:
        _print_table(shown)
        _print_rule(fits_of(feed) if routes is None else ())
    else:
        _print_route(shown[0])


def _print_table(routes: list[Route]) -> None:
    from synaptoroute_core.words import counted
    from synaptoroute_integrations.cli.output import plain_table, screen, styled

    table = plain_table("route", ">utterances", ">threshold", "description")
    for route in routes:
        table.add_row(route.name, f"{len(route.utterances):,}", _threshold(route), styled(route.description.strip()))
    if routes:
        screen().print(table)
    utterances = sum(len(route.utterances) for route in routes)
    screen().print(f"{counted(len(routes), 'route')}, {counted(utterances, 'utterance')}")


def _print_rule(fits: Sequence[Fit]) -> None:
    from synaptoroute_integrations.cli.learned import advise, name_rule
    from synaptoroute_integrations.cli.output import screen

    if fits:
        screen().print("; ".join([f"decided by {name_rule(fits)}", *filter(None, [advise(fits)])]), soft_wrap=True)


def _print_route(route: Route) -> None:
    import json

    from synaptoroute_core.words import counted
    from synaptoroute_integrations.cli.output import screen, styled

    console = screen()
    console.print(styled(route.name, "bold"))
    if route.description:
        console.print(styled(route.description, "dim"))
    console.print(f"threshold: {_threshold(route)}")
    if route.metadata:
        console.print(styled(f"metadata: {json.dumps(route.metadata, ensure_ascii=False)}"))
    console.print(f"{counted(len(route.utterances), 'utterance')}:")
    for utterance in route.utterances:
        console.print(styled(f"  {utterance}"), soft_wrap=True)


def _threshold(route: Route) -> str:
    return "default" if route.threshold is None else f"{route.threshold:g}"
