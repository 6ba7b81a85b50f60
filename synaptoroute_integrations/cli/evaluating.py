"""``synaptoroute evaluate``."""

from __future__ import annotations

from pathlib import Path
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
def evaluate(
    *,
    test: Annotated[Path, typer.Option("--test", metavar="FILE", help="Labelled texts to route: JSON lines or CSV.")],
    train: Annotated[
        Path | None, typer.Option("--train", metavar="FILE", help="Labelled texts to make routes of, in memory.")
    ] = None,
    ood: Annotated[
        Path | None, typer.Option("--ood", metavar="FILE", help="More texts to route that belong to no route.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit-per-route", metavar="K", help="Use K random utterances a route of --train.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides which K are drawn.")] = 0,
    db: Db = None,
    routes: Routes = None,
    all_routes: Annotated[
        bool, typer.Option("--all-routes", metavar=NO_VALUE, help="List every route, not just the worst 10.")
    ] = False,
    threshold: Threshold = None,
    min_margin: MinMargin = None,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
) -> None:
    """Route labelled texts and compare with their labels.

    Routes come from `--train`, or from `--db` and `--routes`. Files hold JSON lines
    `{"text": "...", "label": "..."}`, or CSV with the columns `text` and `label`. A label of `null`,
    nothing or `__ood__` means that the text belongs to no route.

    Labels are names of routes. Characters that a name cannot hold become `_`, so `reverted card?` is
    the route `reverted_card_`; labels that would become the same name are refused.
    """
    from synaptoroute_integrations.cli.output import show_note, write_json
    from synaptoroute_integrations.cli.reports import print_report
    from synaptoroute_integrations.cli.sources import Source
    from synaptoroute_integrations.cli.trials import load_trial

    source = Source(db, routes, encoder, threshold, min_margin, reencode)
    trial = load_trial(source, test=test, train=train, ood=ood, limit=limit, seed=seed)
    with trial.open(source) as router:
        report = trial.run(router)
        for note in trial.notes(router):
            show_note(note)
        if as_json:
            write_json(report.model_dump(mode="json"))
        else:
            print_report(report, router, all_routes=all_routes)
