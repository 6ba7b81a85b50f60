"""What a router has learned: in a few words, in a note, in a report."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from synaptoroute_core import CalibrationReport, Fit, FitReport, HeldOut
from synaptoroute_core.fits import rule_of
from synaptoroute_core.words import counted
from synaptoroute_integrations.cli.output import (
    decimals,
    figures,
    percent,
    plain_table,
    screen,
    styled,
    write_json,
)
from synaptoroute_integrations.cli.reports import Form

PLACES = 4
MEANINGS = {
    "accuracy": "accuracy in scope: the best candidate is right, answered or not",
    "answered": "answered: LLM calls skipped",
    "error": "error among the answered",
    "out_of_scope_accepted": "of the out-of-scope texts answered all the same",
    "f1": "macro F1: mean over the routes; an abstention counts as missed",
    "aurc": "AURC: mean error over all thresholds, lower is better",
}

# --- the rule in force -----------------------------------------------------------------------------


def name_rule(fits: Sequence[Fit]) -> str:
    """What decides in a router with these fits, in a few words."""
    head, least = rule_of(fits)
    name = "similarity" if head is None else "a fitted head"
    return name if least is None else f"{name}, from a {name_sureness(fits)} of {decimals(least, PLACES)} on"


def name_sureness(fits: Sequence[Fit]) -> str:
    """What a threshold is compared with in a router with these fits."""
    return "score" if rule_of(fits).head is None else "confidence"


def is_left_behind(fits: Sequence[Fit]) -> bool:
    """Whether there is a head, and the routes have changed since it was fitted."""
    newest = next((fit for fit in reversed(fits) if fit.kind == "head"), None)
    return newest is not None and not newest.fresh


def advise(fits: Sequence[Fit]) -> str | None:
    """What to do about fits that the routes have left behind; None = nothing."""
    if is_left_behind(fits):
        return "the routes have changed since the head was fitted: similarity decides until `synaptoroute fit`"
    if fits and fits[-1].kind == "calibration" and not fits[-1].fresh:
        return "the routes have changed since the calibration: it promises nothing until `synaptoroute calibrate`"
    return None


# --- reports ---------------------------------------------------------------------------------------


def show_fit(report: FitReport, *, form: Form) -> None:
    """Print the report of a fit."""
    if form == "screen":
        _print_fit(report)
    else:
        _show_report(report, form)


def show_calibration(report: CalibrationReport, sureness: str, *, form: Form) -> None:
    """Print the report of a calibration.

    Args:
        report: The report.
        sureness: What its threshold is compared with; see :func:`name_sureness`.
        form: How to print it.
    """
    if form == "screen":
        _print_calibration(report, sureness)
    else:
        _show_report(report, form)


def _show_report(report: FitReport | CalibrationReport, form: Form) -> None:
    if form == "json":
        write_json(report.to_dict())
        return
    console = screen()
    for line in report.to_markdown().splitlines():
        console.print(styled(line), soft_wrap=True)


def _print_fit(report: FitReport) -> None:
    console = screen()
    done = f"fitted {'a head' if report.kind == 'head' else 'thresholds'}" if report.changed else "nothing was changed"
    made_of = f"{counted(report.routes, 'route')} with {counted(report.utterances, 'utterance')}"
    console.print(f"{done}: {made_of}, {counted(report.examples, 'example')}")
    console.print(styled(report.reason), soft_wrap=True)
    if report.before is not None and report.after is not None:
        _print_held_out(console, report.before, report.after, report)
    if report.changed and report.threshold is not None:
        sureness = "confidence" if report.kind == "head" else "score"
        console.print(f"\nanswers from a {sureness} of {decimals(report.threshold, PLACES)} on{_exceptions(report)}")


def _exceptions(report: FitReport) -> str:
    """The routes that do not share the threshold."""
    own = {name: value for name, value in report.thresholds.items() if value is not None}
    return f"; {', '.join(f'{name} {decimals(value, PLACES)}' for name, value in own.items())}" if own else ""


def _print_held_out(console: Console, before: HeldOut, after: HeldOut, report: FitReport) -> None:
    table = plain_table(">before", ">after" if report.changed else ">refused", f"on {report.held_out:,} texts held out")
    for name, meaning in MEANINGS.items():
        shares: tuple[float | None, float | None] = getattr(before, name), getattr(after, name)
        table.add_row(*(decimals(share, 4) if name == "aurc" else percent(share) for share in shares), meaning)
    console.print()
    console.print(table)


def _print_calibration(report: CalibrationReport, sureness: str) -> None:
    console = screen()
    if report.changed:
        promise = f"at most {percent(report.max_error)} of the answers are wrong, with {percent(report.confidence)}"
        console.print(f"promised: {promise} confidence, for traffic like the examples", soft_wrap=True)
    else:
        console.print("nothing was changed", soft_wrap=True)
        console.print(styled(report.reason), soft_wrap=True)
    how = f"from a {sureness} of {decimals(report.threshold, PLACES)} on" if report.changed else "by the best try"
    rows = [
        (f"{report.examples:,}", "labelled examples"),
        (percent(report.coverage), f"of them answered, {how}"),
        (f"{report.wrong:,}", f"of these {counted(report.answered, 'answer')} wrong"),
        (percent(report.bound), "of all answers wrong at most: the upper confidence bound"),
    ]
    console.print(figures(rows))
