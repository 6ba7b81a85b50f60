"""An evaluation report, and what changed since an earlier one: on the screen, as JSON, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Confusion, EvaluationReport, RouteQuality
from synaptoroute_core.learning.evaluation.comparing import ComparisonReport, Delta, Flip
from synaptoroute_core.learning.evaluation.judging import worst_routes
from synaptoroute_core.learning.evaluation.measuring import Savings
from synaptoroute_core.learning.markdown import title_of
from synaptoroute_core.words import counted
from synaptoroute_integrations.cli.output import (
    UNDEFINED,
    decimals,
    figures,
    percent,
    plain_table,
    screen,
    styled,
    write_json,
)

WORST_ROUTES = 10
WORST_CONFUSIONS = 8
SHOWN_TEXTS = 2
SHOWN_FLIPS = 20

Form: TypeAlias = Literal["screen", "json", "markdown"]


def form_of(*, as_json: bool, as_markdown: bool) -> Form:
    """The form in which a report is wanted.

    Raises:
        ConfigurationError: Two forms are.
    """
    if as_json and as_markdown:
        raise ConfigurationError("--json and --markdown exclude each other: leave one out")
    return "json" if as_json else "markdown" if as_markdown else "screen"


def show_report(
    report: EvaluationReport,
    comparison: ComparisonReport | None,
    router: AdaptiveRouter,
    *,
    form: Form,
    all_routes: bool,
) -> None:
    """Print a report, and the comparison with an earlier one if there is one."""
    if form == "json":
        write_json(report.to_dict() | ({} if comparison is None else {"comparison": comparison.to_dict()}))
    elif form == "markdown":
        _print_markdown(report, comparison)
    else:
        print_report(report, router, all_routes=all_routes)
        if comparison is not None:
            print_comparison(comparison)


def _print_markdown(report: EvaluationReport, comparison: ComparisonReport | None) -> None:
    console = screen()
    parts = ["## Evaluation", "", *report.to_markdown().splitlines()]
    if comparison is not None:
        parts += ["", "## Since the earlier report", "", *comparison.to_markdown().splitlines()]
    for line in parts:
        console.print(styled(line), soft_wrap=True)


def print_report(report: EvaluationReport, router: AdaptiveRouter, *, all_routes: bool) -> None:
    """Print the figures, the routes that do worst and what is mistaken for what."""
    console = screen()
    utterances = sum(len(route.utterances) for route in router.routes.values())
    out = report.total - report.in_scope
    console.print(
        f"{counted(report.total, 'text')}, {out:,} of them out of scope, on {counted(len(router.routes), 'route')} "
        f"with {counted(utterances, 'utterance')}"
    )
    console.print(summary(report))
    _print_routes(console, report.routes, all_routes=all_routes)
    _print_confusions(console, report.confusions)


def summary(report: EvaluationReport) -> Table:
    """The figures, each with what it means. Those that need confidence, a clock or out-of-scope texts come if known."""
    rows = [
        (percent(report.accuracy), "accuracy: the best candidate is right, answered or not; in-scope texts only"),
        (percent(report.answered), "answered: LLM calls skipped" + _money(report.money_saved)),
        (percent(report.error), "error among the answered"),
        (percent(report.out_of_scope_accepted), "of the out-of-scope texts answered all the same"),
        (percent(report.macro_f1), "macro F1: mean over the routes; an abstention counts as missed"),
        (percent(report.macro_precision), "macro precision"),
        (percent(report.macro_recall), "macro recall"),
    ]
    rows += [_coverage(savings) for savings in report.at_error]
    rows.append((decimals(report.aurc, 4), "AURC: mean error over all thresholds, lower is better"))
    if report.auroc is not None:
        rows.append((decimals(report.auroc, 4), "AUROC: in-scope texts are surer than others; 0.5 is chance"))
        rows.append((percent(report.fpr_at_95), "of the out-of-scope texts answered where 95 % of the others are"))
    if report.calibration_error is not None:
        rows.append((percent(report.calibration_error), "calibration error: how far the confidence is off, on average"))
    if report.latency is not None:
        rows.append((f"{report.latency.mean_ms:.2f} ms", "for each text, all of them handed in together"))
    return figures(rows)


def _coverage(savings: Savings) -> tuple[str, str]:
    saved = f"{counted(savings.calls_saved, 'LLM call')} skipped{_money(savings.money_saved)}"
    return percent(savings.coverage), f"coverage at {100 * savings.error:g} % error, best threshold: {saved}"


def _money(amount: float | None) -> str:
    return "" if amount is None else f", {amount:,.2f} saved"


def _print_routes(console: Console, qualities: Sequence[RouteQuality], *, all_routes: bool) -> None:
    shown = list(qualities) if all_routes else worst_routes(qualities, WORST_ROUTES)
    title = "all routes" if all_routes or len(shown) == len(qualities) else f"the {len(shown)} worst routes by F1"
    console.print(f"\n{title}", style="bold")
    table = plain_table("route", ">texts", ">answered", ">precision", ">recall", ">F1")
    for quality in shown:
        table.add_row(
            quality.route,
            f"{quality.support:,}",
            f"{quality.answered:,}",
            *(percent(share) for share in (quality.precision, quality.recall, quality.f1)),
        )
    console.print(table)


def _print_confusions(console: Console, confusions: Sequence[Confusion]) -> None:
    if not confusions:
        console.print("\nno wrong answers", style="bold")
        return
    console.print("\nwrong answers: what was taken for what", style="bold")
    for confusion in confusions[:WORST_CONFUSIONS]:
        line = Text.assemble(f"{confusion.count:>5,}  ", _label(confusion.expected), " → ", confusion.chosen)
        console.print(line, soft_wrap=True)
        for text in confusion.texts[:SHOWN_TEXTS]:
            console.print(styled(f"        {text}", "dim"), no_wrap=True, overflow="ellipsis")
    hidden = len(confusions) - WORST_CONFUSIONS
    if hidden > 0:
        console.print(f"      and {counted(hidden, 'kind')} more: see --json", style="dim")


def _label(expected: str | None) -> Text:
    return Text("out of scope", style="italic") if expected is None else Text(expected)


# --- since an earlier report -----------------------------------------------------------------------


def print_comparison(comparison: ComparisonReport) -> None:
    """Print what changed: what it comes to, the figures, and the texts that are decided otherwise."""
    console = screen()
    console.print("\nsince the earlier report", style="bold")
    kinds = comparison.kinds
    rows = [
        (f"{len(comparison.flips):,}", f"of {counted(comparison.total, 'text')} decided otherwise"),
        (f"{comparison.wrong_answers:+,}", f"wrong answers (p = {comparison.p_value_wrong:.3f})"),
        (f"{comparison.llm_calls:+,}", "LLM calls" + _cost(comparison.money)),
        (f"{kinds['fixed']:,}", f"fixed, {kinds['broken']:,} broken (p = {comparison.p_value:.3f})"),
    ]
    console.print(figures(rows))
    _print_deltas(console, comparison.deltas)
    if comparison.flips:
        _print_flips(console, comparison.flips)


def _cost(amount: float | None) -> str:
    return "" if amount is None else f", {amount:+,.2f} in money"


def _print_deltas(console: Console, deltas: Sequence[Delta]) -> None:
    table = plain_table("figure", ">before", ">after", ">change")
    for delta in deltas:
        change = UNDEFINED if delta.change is None else f"{delta.change:+.4f}"
        table.add_row(title_of(delta.figure), decimals(delta.before, 4), decimals(delta.after, 4), change)
    console.print()
    console.print(table)


def _print_flips(console: Console, flips: Sequence[Flip]) -> None:
    console.print("\nwhat is decided otherwise, the worst first", style="bold")
    for flip in flips[:SHOWN_FLIPS]:
        kind = title_of(flip.kind)
        line = Text.assemble(f"{kind:<14}", _choice(flip.before), " → ", _choice(flip.after))
        if flip.wrong_answers or flip.kind == "changed_wrong":
            line.append_text(Text.assemble(", expected ", _label(flip.expected)))
        console.print(line, soft_wrap=True)
        console.print(styled(f"        {flip.text}", "dim"), no_wrap=True, overflow="ellipsis")
    hidden = len(flips) - SHOWN_FLIPS
    if hidden > 0:
        console.print(f"      and {counted(hidden, 'text')} more: see --json", style="dim")


def _choice(route: str | None) -> Text:
    return Text("abstained", style="italic") if route is None else Text(route)
