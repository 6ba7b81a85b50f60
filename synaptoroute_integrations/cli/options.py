"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

NO_VALUE = ""
"""Metavar of a flag: Typer may say ``<bool>`` otherwise, as if a value had to follow."""


def _address(db: str | None) -> str | None:
    from synaptoroute_integrations.addresses import address_of

    return None if db is None else address_of(db)


Db: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--db",
        "--store",
        metavar="FILE|URL",
        envvar="SYNAPTOROUTE_DB",
        callback=_address,
        help="What keeps the routes: a SQLite file, or postgresql://... or redis://..., which machines can share.",
    ),
]
Routes: TypeAlias = Annotated[
    Path | None,
    typer.Option("--routes", metavar="FILE", help="Route file, YAML or JSON; with --db, on top of it for this call."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", metavar=NO_VALUE, help="Write JSON lines.")]
EncoderName: TypeAlias = Annotated[
    str | None, typer.Option("--encoder", metavar="NAME", help="fastembed model; default: the bundled model.")
]
Threshold: TypeAlias = Annotated[
    float | None,
    typer.Option("--threshold", metavar="X", help="Least score of a route without a threshold of its own, -1 to 1."),
]
MinMargin: TypeAlias = Annotated[
    float | None, typer.Option("--min-margin", metavar="X", help="Least lead over the second best route, 0 to 2.")
]
Markdown: TypeAlias = Annotated[
    bool, typer.Option("--markdown", metavar=NO_VALUE, help="Write the report as Markdown.")
]
OutOfScopeShare: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--out-of-scope-share",
        metavar="X",
        help="Share of your queries that belong to no route, 0 to 1; default: as in the examples, or 0.2.",
    ),
]
Reencode: TypeAlias = Annotated[
    bool,
    typer.Option("--reencode", metavar=NO_VALUE, help="Encode a store anew that another encoder made; rewrites it."),
]
