"""``synaptoroute route-file``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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

if TYPE_CHECKING:
    from synaptoroute_integrations.bulk.files import FileReport


@app.command(name="route-file")
def route_file(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File of texts: .parquet, .csv or .jsonl.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write, likewise.")],
    *,
    db: Db = None,
    routes: Routes = None,
    text: Annotated[str, typer.Option("--text", metavar="NAME", help="Column that holds the texts.")] = "text",
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Put before the names of the new columns.")
    ] = "",
    allowed: Annotated[
        list[str] | None, typer.Option("--allowed", metavar="NAME", help="Choose among these routes only; repeatable.")
    ] = None,
    errors: Annotated[
        Literal["raise", "keep"],
        typer.Option("--errors", help="End at a text that cannot be used, or keep the error in a column."),
    ] = "raise",
    with_revision: Annotated[
        bool, typer.Option("--with-revision", metavar=NO_VALUE, help="Add the revision of the routes as a column.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar=NO_VALUE, help="Replace OUT, and what is done of another run for it.")
    ] = False,
    threshold: Threshold = None,
    min_margin: MinMargin = None,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Threads that encode; default: all processors.")
    ] = None,
    part_rows: Annotated[
        int, typer.Option("--part-rows", metavar="N", help="Rows in memory at a time, done again after a kill.")
    ] = 4096,
    as_json: Json = False,
) -> None:
    """Choose a route for each row of a file, and write the rows with the decisions to another.

    Memory stays the same however large the file is. OUT appears when it is complete. If the command ends
    before that, whatever the cause, the same command goes on where it stopped.

    All rows get the decisions of the routes as they are when the command starts.

    Exit code: 0 OUT is written, whatever was decided, 2 the input or the call is not right, 3 the
    model or the disk failed.
    """
    from synaptoroute_integrations.bulk import FrozenRoutes, RouteBatch, files
    from synaptoroute_integrations.cli.output import show_note, write_json
    from synaptoroute_integrations.cli.sources import Source

    with Source(db, routes, encoder, threshold, min_margin, reencode).open() as router:
        frozen = FrozenRoutes.of(router)
    batch = RouteBatch(
        frozen,
        text=text,
        prefix=prefix,
        allowed=allowed,
        errors=errors,
        with_revision=with_revision,
        workers=workers,
    )
    try:
        report = files.route_file(batch, source, target, overwrite=overwrite, part_rows=part_rows)
    except KeyboardInterrupt:
        show_note("what is done is kept: the same command goes on with it")
        raise
    if as_json:
        write_json(report.to_dict())
    else:
        _print_report(report, target)


def _print_report(report: FileReport, target: Path) -> None:
    from synaptoroute_core.words import counted
    from synaptoroute_integrations.cli.output import figures, screen, styled

    console = screen()
    resumed = f", {report.resumed:,} of them by an earlier run" if report.resumed else ""
    console.print(styled(f"wrote {counted(report.rows, 'row')} to {target}{resumed}"), soft_wrap=True)
    rows = [(f"{count:,}", reason) for reason, count in report.reasons.items()]
    if report.errors:
        rows.append((f"{report.errors:,}", "with an error in place of a decision"))
    if rows:
        console.print(figures(rows))
