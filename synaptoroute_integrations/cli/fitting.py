"""``synaptoroute fit``, ``calibrate`` and ``undo-fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import Db, EncoderName, Json, Markdown, OutOfScopeShare, Reencode

UNCHANGED = 1
"""Exit code if the router decides as before."""


@app.command()
def fit(
    *,
    db: Db = None,
    examples: Annotated[
        Path | None, typer.Option("--examples", metavar="FILE", help="Labelled texts to learn from: JSON lines or CSV.")
    ] = None,
    share: OutOfScopeShare = None,
    thresholds: Annotated[
        Literal["f1", "max_fpr", "max_error"] | None,
        typer.Option("--thresholds", help="Fit thresholds of similarity scores instead, with this aim."),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option("--limit", metavar="X", help="What --thresholds max_fpr or max_error allows at most, 0 to 1."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides what chance decides.")] = 0,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Learn to tell the routes of a store apart, and how likely an answer is right.

    A fitted head decides from then on, and its confidence is a probability. It needs no labelled texts.
    With `--examples`, those of a route are learned from beside its utterances, and those that belong to
    none (label `null`, nothing or `__ood__`) teach it when to abstain. Keep the texts apart that you
    will evaluate or calibrate on.

    When routes have changed, similarity decides until you fit again. Needs the extra `fit`.

    Exit code: 0 fitted, 1 nothing was changed, 2 bad input or usage, 3 failed, or the extra is missing.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli import learned, trials
    from synaptoroute_integrations.cli.output import show_note
    from synaptoroute_integrations.cli.reports import form_of
    from synaptoroute_integrations.cli.sources import Source

    form = form_of(as_json=as_json, as_markdown=as_markdown)
    if thresholds in (None, "f1") and limit is not None:
        raise ConfigurationError("--limit goes with --thresholds max_fpr or max_error")
    if thresholds is not None and (examples is None or share is not None):
        raise ConfigurationError("--thresholds is fitted to --examples FILE alone, without --out-of-scope-share")
    labelled = None if examples is None else trials.Labelled.read(examples)
    with Source(db, encoder=encoder, reencode=reencode).open_existing() as router:
        calibrated = any(each.kind == "calibration" for each in router.fits[-1:])
        pairs = [] if labelled is None else labelled.examples_of(router)
        if thresholds is None:
            report = trials.fit_head(router, pairs, share=share, seed=seed)
        else:
            report = router.fit_thresholds(
                pairs, objective=thresholds, seed=seed, **({} if limit is None else {thresholds: limit})
            )
        learned.show_fit(report, form=form)
        if calibrated and report.changed:
            show_note("the calibration before it is no longer in force: see `synaptoroute calibrate`")
        done = report.changed and router.fits[-1].fresh
    raise typer.Exit(0 if done else UNCHANGED)


@app.command()
def calibrate(
    *,
    db: Db = None,
    examples: Annotated[Path, typer.Option("--examples", metavar="FILE", help="Labelled texts: JSON lines or CSV.")],
    max_error: Annotated[
        float, typer.Option("--max-error", metavar="X", help="Share of the answers that may be wrong, 0 to 1.")
    ] = 0.02,
    confidence: Annotated[
        float, typer.Option("--confidence", metavar="X", help="How often the promise must hold, 0 to 1.")
    ] = 0.95,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
    as_markdown: Markdown = False,
) -> None:
    """Choose when to abstain so that at most so many of the answers are wrong: with a guarantee.

    It holds for traffic like the examples: from the same source, in no special order, labelled in the
    same way, out-of-scope texts included, and none of which the router has learned from. A few hundred
    examples promise 5 % error at best, a thousand 2 %; if they cannot support the promise, nothing is
    changed and you are told what it would take.

    Exit code: 0 promised, 1 nothing could be promised, 2 bad input or usage, 3 failed.
    """
    from synaptoroute_integrations.cli import learned, trials
    from synaptoroute_integrations.cli.output import show_note
    from synaptoroute_integrations.cli.reports import form_of
    from synaptoroute_integrations.cli.sources import Source

    form = form_of(as_json=as_json, as_markdown=as_markdown)
    labelled = trials.Labelled.read(examples)
    with Source(db, encoder=encoder, reencode=reencode).open_existing() as router:
        pairs = labelled.examples_of(router)
        seen = sum(trials.count_learned(router, pairs))
        if seen:
            show_note(f"{seen:,} of the examples are what the router has learned from: the promise is void with them")
        report = router.calibrate(pairs, max_error=max_error, confidence=confidence)
        learned.show_calibration(report, learned.name_sureness(router.fits), form=form)
    raise typer.Exit(0 if report.changed else UNCHANGED)


@app.command(name="undo-fit")
def undo_fit(*, db: Db = None, as_json: Json = False) -> None:
    """Take back the last `fit` or `calibrate`, with the thresholds that it replaced.

    What was in force before decides again, if the routes are still the same. Up to four can be taken
    back, one after the other.
    """
    from synaptoroute_integrations.cli.learned import name_rule
    from synaptoroute_integrations.cli.output import screen, write_json
    from synaptoroute_integrations.cli.sources import open_without_model

    with open_without_model(db) as router:
        kinds = [each.kind for each in router.fits]
        receipt = router.undo_fit()
        rule = name_rule(router.fits)
    if as_json:
        write_json({"action": "undone", "kind": kinds[-1], "left": kinds[:-1], "revision": receipt.revision})
    else:
        screen().print(f"took back the last fit ({kinds[-1]}); decided by {rule} now")
