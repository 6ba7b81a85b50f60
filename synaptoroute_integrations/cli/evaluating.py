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
    Markdown,
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
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides which K are drawn, and the fit.")] = 0,
    fit: Annotated[
        bool, typer.Option("--fit", metavar=NO_VALUE, help="Fit a head to the routes first, for this call alone.")
    ] = False,
    db: Db = None,
    routes: Routes = None,
    all_routes: Annotated[
        bool, typer.Option("--all-routes", metavar=NO_VALUE, help="List every route, not just the worst 10.")
    ] = False,
    threshold: Threshold = None,
    min_margin: MinMargin = None,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="REPORT", help="Keep the report in this file, as JSON.")
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option("--compare", metavar="REPORT", help="Compare with the report of an earlier run, which was saved."),
    ] = None,
    price: Annotated[
        float | None, typer.Option("--price", metavar="X", help="What an LLM call costs, in any currency.")
    ] = None,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Route labelled texts and compare with their labels.

    Routes come from `--train`, or from `--db` and `--routes`. Files hold JSON lines
    `{"text": "...", "label": "..."}`, or CSV with the columns `text` and `label`. A label of `null`,
    nothing or `__ood__` means that the text belongs to no route.

    Labels are names of routes. Characters that a name cannot hold become `_`, so `reverted card?` is
    the route `reverted_card_`; labels that would become the same name are refused.

    With `--fit`, what is evaluated is what `synaptoroute fit` would make of these routes; a store stays
    as it is.

    To see what a change does, `--save` a report before it and `--compare` with that after it: the texts
    that are decided otherwise are listed, with what each costs. With `--json`, the comparison is the key
    `comparison` of the report.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli.output import show_note
    from synaptoroute_integrations.cli.reports import form_of, show_report
    from synaptoroute_integrations.cli.sources import Source
    from synaptoroute_integrations.cli.trials import check_plan, fit_head, load_earlier, load_trial, save_report

    form = form_of(as_json=as_json, as_markdown=as_markdown)
    check_plan(save, price)
    if fit and (threshold is not None or min_margin is not None):
        raise ConfigurationError(
            "a fitted head asks for neither --threshold nor --min-margin: leave them out, or --fit"
        )
    source = Source(db, routes, encoder, threshold, min_margin, reencode)
    trial = load_trial(source, test=test, train=train, ood=ood, limit=limit, seed=seed)
    earlier = None if before is None else load_earlier(before, trial.examples)
    with trial.open(source, apart=fit) as router:
        if fit:
            show_note(f"a head was fitted for this call. {fit_head(router, seed=seed).reason}")
        report = trial.run(router, price_per_call=price)
        comparison = None if earlier is None else earlier.compare(report)
        if save is not None:
            save_report(save, report)
        for note in trial.notes(router):
            show_note(note)
        show_report(report, comparison, router, form=form, all_routes=all_routes)
