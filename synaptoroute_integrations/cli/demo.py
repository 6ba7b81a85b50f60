"""``synaptoroute demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import NO_VALUE, Json


@app.command()
def demo(
    *,
    all_rows: Annotated[
        bool, typer.Option("--all", metavar=NO_VALUE, help="Show every query, not a selection.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Route sample queries to an online shop's support desk with the bundled model, and time it.

    Nothing is downloaded or written. With `--json`, prints one object with the figures.
    """
    from synaptoroute_integrations.cli.output import write_json
    from synaptoroute_integrations.cli.show import print_show, run_show

    show = run_show()
    if as_json:
        write_json(show.as_dict())
    else:
        print_show(show, all_rows=all_rows)
