"""``synaptoroute add`` and ``synaptoroute remove``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import NO_VALUE, Db, EncoderName, Json, Reencode

if TYPE_CHECKING:
    from synaptoroute_integrations.cli.changes import Done


@app.command()
def add(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The route, unless --from is given.")] = None,
    utterances: Annotated[
        list[str] | None,
        typer.Argument(metavar="UTTERANCE", help="What users say, or `-` to read lines from standard input."),
    ] = None,
    *,
    db: Db = None,
    file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take all routes of a route file, YAML or JSON.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What the route is for; not used for scores.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", metavar="X", help="Least score of this route, -1 to 1.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar=NO_VALUE, help="Replace routes that are there already.")
    ] = False,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
) -> None:
    """Make a route in the store, or add utterances to one that is there.

    Utterances that the route has already, but for case and spacing, are skipped. With `--from`, a route
    that is there already and differs is an error, unless `--overwrite` is given; all routes of the file
    go in, or none.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli import changes
    from synaptoroute_integrations.cli.sources import Source

    source = Source(db=db, encoder=encoder, reencode=reencode)
    if file is not None:
        if name is not None or utterances or description is not None or threshold is not None:
            raise ConfigurationError("--from takes routes as the file has them: leave NAME and what belongs to it out")
        done = changes.import_file(source, file, overwrite=overwrite)
    elif name is None:
        raise ConfigurationError("which route? Give NAME and utterances, or a route file with --from FILE")
    else:
        texts = _read_lines() if utterances == ["-"] else utterances or []
        done = changes.put(source, name, texts, description, threshold, overwrite=overwrite)
    _report(done, as_json=as_json)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The route.")],
    *,
    db: Db = None,
    utterances: Annotated[
        list[str] | None,
        typer.Option("--utterance", metavar="TEXT", help="Remove just this one; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove a route from the store, or some of its utterances."""
    from synaptoroute_integrations.cli import changes

    _report(changes.take_out(db, name, utterances), as_json=as_json)


def _read_lines() -> list[str]:
    """The lines of standard input that are not blank.

    Raises:
        ConfigurationError: One is not UTF-8.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli.lines import from_stream

    lines = [line for batch in from_stream(sys.stdin.buffer) for line in batch]
    for line in lines:
        if line.text is None:
            raise ConfigurationError(f"standard input, line {line.number}: {line.error}")
    return [line.text for line in lines if line.text is not None and line.error is None]


def _report(done: Done, *, as_json: bool) -> None:
    from synaptoroute_integrations.cli.output import screen, show_note, styled, write_json

    if as_json:
        write_json(done.as_dict())
    else:
        screen().print(styled(done.sentence), soft_wrap=True)
    if done.advice is not None:
        show_note(done.advice)
