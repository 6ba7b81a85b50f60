"""``synaptoroute audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import NO_VALUE, Db, EncoderName, Json, Reencode, Routes

if TYPE_CHECKING:
    from rich.console import Console

    from synaptoroute_core.learning.audit.findings import AuditReport, Finding

FOUND = 1
"""Exit code if something was found that is as severe as ``--fail-on``."""
STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}


@app.command()
def audit(
    *,
    db: Db = None,
    routes: Routes = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="List at most N findings of each kind.")] = 10,
    fail_on: Annotated[
        Literal["error", "warning", "never"],
        typer.Option("--fail-on", help="Exit with 1 if anything so severe is found."),
    ] = "error",
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", metavar=NO_VALUE, help="Write the report as Markdown.")
    ] = False,
) -> None:
    """Look for routes and utterances that will cause wrong decisions.

    Finds texts that two routes have, routes that cannot be told apart, utterances that belong to
    another route, routes that nothing reaches, and routes with too few utterances or wordings; each
    with its evidence and what to do. No labelled texts are needed, and nothing is changed.

    Exit code: 0 nothing as severe as `--fail-on` was found, 1 something was, 2 bad input or usage.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli.output import write_json
    from synaptoroute_integrations.cli.sources import Source
    from synaptoroute_integrations.escaping import visible

    if as_json and markdown:
        raise ConfigurationError("--json and --markdown are two forms of the same report: choose one")
    with Source(db, routes, encoder, reencode=reencode).open() as router:
        report = router.audit(limit=limit)
    if as_json:
        write_json(report.to_dict())
    elif markdown:
        for line in report.to_markdown().splitlines():
            print(visible(line))
    else:
        _print_report(report)
    raise typer.Exit(FOUND if fail_on != "never" and report.at_least(fail_on) else 0)


def _print_report(report: AuditReport) -> None:
    from synaptoroute_core.learning.audit.findings import KINDS
    from synaptoroute_core.words import counted
    from synaptoroute_integrations.cli.output import screen

    console = screen()
    console.print(f"{counted(report.routes, 'route')} with {counted(report.utterances, 'utterance')}")
    if not report.findings:
        console.print("nothing found")
    # The kind of the most severe finding comes first.
    for kind in dict.fromkeys([*(finding.kind for finding in report.findings), *KINDS]):
        found = report.of_kind(kind)
        if found:
            _print_kind(console, found, report.hidden.get(kind, 0))


def _print_kind(console: Console, found: tuple[Finding, ...], hidden: int) -> None:
    from rich.text import Text

    from synaptoroute_core.learning.audit.findings import MEANINGS
    from synaptoroute_integrations.cli.output import styled

    console.print(f"\n{MEANINGS[found[0].kind]}", style="bold")
    for finding in found:
        line = Text.assemble((f"{finding.severity:>9}  ", STYLES[finding.severity]), styled(finding.message))
        console.print(line, soft_wrap=True)
        for owner, utterance in zip(finding.owners, finding.utterances, strict=True):
            console.print(styled(f"             {owner}: {utterance}", "dim"), no_wrap=True, overflow="ellipsis")
        console.print(styled(f"           → {finding.suggestion}"), soft_wrap=True)
    if hidden:
        console.print(f"           and {hidden:,} more: see --limit", style="dim")
