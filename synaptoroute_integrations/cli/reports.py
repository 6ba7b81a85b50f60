"""An evaluation report on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from synaptoroute_core import AdaptiveRouter, Confusion, EvaluationReport, RouteQuality
from synaptoroute_integrations.cli.output import counted, decimals, figures, percent, plain_table, screen, styled

WORST_ROUTES = 10
WORST_CONFUSIONS = 8
SHOWN_TEXTS = 2


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
    """The figures, each with what it means."""
    rows = [
        (percent(report.accuracy), "accuracy: the best candidate is right, answered or not; in-scope texts only"),
        (percent(report.answered), "answered: LLM calls skipped"),
        (percent(report.error), "error among the answered"),
        (percent(report.out_of_scope_accepted), "of the out-of-scope texts answered all the same"),
    ]
    for level, share in report.coverage_at_error.items():
        rows.append((percent(share), f"coverage at {100 * level:g} % error, with the best single threshold"))
    rows.append((decimals(report.aurc, 4), "AURC: mean error over all thresholds, lower is better"))
    return figures(rows)


def _print_routes(console: Console, qualities: Sequence[RouteQuality], *, all_routes: bool) -> None:
    shown = list(qualities) if all_routes else worst_routes(qualities)
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


def worst_routes(qualities: Sequence[RouteQuality]) -> list[RouteQuality]:
    """The routes with the least F1, worst first; those that no text concerns are left out."""
    concerned = [quality for quality in qualities if quality.support or quality.answered]
    return sorted(concerned, key=lambda quality: (quality.f1 or 0.0, -quality.support - quality.answered))[
        :WORST_ROUTES
    ]


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
