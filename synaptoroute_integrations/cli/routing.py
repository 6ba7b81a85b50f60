"""``synaptoroute route``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import (
    NO_VALUE,
    Db,
    EncoderName,
    Json,
    MinMargin,
    Reencode,
    Routes,
    Threshold,
)


@app.command()
def route(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="Texts, or `-` to read lines from standard input.")
    ],
    *,
    db: Db = None,
    routes: Routes = None,
    allowed: Annotated[
        list[str] | None, typer.Option("--allowed", metavar="NAME", help="Choose among these routes only; repeatable.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", metavar=NO_VALUE, help="Add the nearest utterances and advice.")
    ] = False,
    threshold: Threshold = None,
    min_margin: MinMargin = None,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
) -> None:
    """Choose a route for each text, or abstain.

    With `-` each line of standard input is answered as soon as it can be, in order. A line that cannot
    be used gets an error in its place and does not end the stream.

    Exit code: 0 every text was sent to a route, 1 the router abstained on one, 2 one could not be
    used, 3 the model failed on one; the highest that applies.
    """
    from synaptoroute_integrations.cli.decisions import answer, printer, writer
    from synaptoroute_integrations.cli.lines import from_arguments, from_stream
    from synaptoroute_integrations.cli.sources import Source

    source = Source(db, routes, encoder, threshold, min_margin, reencode)
    batches = from_stream(sys.stdin.buffer) if texts == ["-"] else from_arguments(texts)
    worst = 0
    with source.open() as router:
        router.route_batch([], allowed=allowed)  # a name that is not there: say so before reading anything
        show = writer() if as_json else printer(router.config.min_margin)
        for batch in batches:
            for answered in answer(router, batch, allowed, explain=explain):
                show(answered)
                worst = max(worst, answered.exit_code)
    raise typer.Exit(worst)
