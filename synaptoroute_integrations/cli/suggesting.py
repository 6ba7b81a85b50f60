"""``synaptoroute suggest``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synaptoroute_integrations.cli.app import app
from synaptoroute_integrations.cli.options import (
    Db,
    EncoderName,
    Json,
    MinMargin,
    Reencode,
    Routes,
    Threshold,
)

if TYPE_CHECKING:
    from synaptoroute_core.learning.audit.suggesting import Suggestion
    from synaptoroute_integrations.cli.lines import Line


@app.command()
def suggest(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Unlabelled texts, or `-` for standard input.")],
    *,
    db: Db = None,
    routes: Routes = None,
    count: Annotated[int, typer.Option("--count", "-k", metavar="K", help="Suggest at most K texts.")] = 20,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides what is drawn from very many texts.")] = 0,
    threshold: Threshold = None,
    min_margin: MinMargin = None,
    encoder: EncoderName = None,
    reencode: Reencode = False,
    as_json: Json = False,
) -> None:
    """Choose the texts that are most worth labelling.

    Those are texts that the router was nearly undecided on, and texts that stand for many others
    which it left alone: perhaps a route that is missing. FILE has a text a line, or JSON lines
    `{"text": "..."}`; blank lines are passed over.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli.output import show_note, write_json
    from synaptoroute_integrations.cli.sources import Source

    source = Source(db, routes, encoder, threshold, min_margin, reencode)
    with source.open() as router:
        texts, faults = _usable(_read(file))
        if faults:
            show_note(f"{len(faults):,} of the lines cannot be used; the first: {faults[0]}")
        if not texts:
            raise ConfigurationError(f"{file}: there are no texts in it")
        suggestions = router.suggest(texts, count, seed=seed)
    if as_json:
        for suggestion in suggestions:
            write_json(suggestion.model_dump(mode="json"))
    else:
        _print_suggestions(suggestions, len(texts))


def _read(file: str) -> list[Line]:
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli.lines import from_stream

    if file == "-":
        return [line for batch in from_stream(sys.stdin.buffer) for line in batch]
    try:
        with Path(file).open("rb") as stream:
            return [line for batch in from_stream(stream) for line in batch]
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error


def _usable(lines: Iterable[Line]) -> tuple[list[str], list[str]]:
    """The texts, and what is wrong with the other lines that are not blank."""
    from synaptoroute_core import InvalidTextError
    from synaptoroute_core.text import clean_query

    texts, faults = [], []
    for line in lines:
        if line.text is None:
            faults.append(f"line {line.number}: {line.error}")
        elif line.text.strip():
            try:
                texts.append(clean_query(_text_of(line.text)))
            except InvalidTextError as error:
                faults.append(f"line {line.number}: {error}")
    return texts, faults


def _text_of(line: str) -> object:
    """The text of a JSON object, or the line itself if it is none."""
    if line.lstrip().startswith("{"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return line
        return value.get("text") if isinstance(value, dict) else line
    return line


def _print_suggestions(suggestions: Sequence[Suggestion], total: int) -> None:
    from synaptoroute_core.words import counted
    from synaptoroute_integrations.cli.output import screen, styled

    console = screen()
    stands_for = sum(suggestion.size for suggestion in suggestions)
    console.print(
        f"{counted(len(suggestions), 'text')} to label, which {'stands' if len(suggestions) == 1 else 'stand'} for "
        f"{stands_for:,} of {total:,}"
    )
    for number, suggestion in enumerate(suggestions, start=1):
        console.print()
        console.print(styled(f"{number:>3}. ").append_text(styled(suggestion.text, "bold")), soft_wrap=True)
        console.print(styled(f"     {_reason(suggestion)}"), soft_wrap=True)
        for member in suggestion.members:
            console.print(styled(f"       {member}", "dim"), no_wrap=True, overflow="ellipsis")


def _reason(suggestion: Suggestion) -> str:
    from synaptoroute_integrations.cli.output import decimals

    decision = suggestion.decision
    best = "there is no route to choose from"
    if suggestion.route is not None:
        verb = "sent to" if decision else "abstained; nearest is"
        best = f"{verb} {suggestion.route}, score {decimals(decision.score)}"
    between = " and ".join(candidate.route for candidate in decision.candidates[:2])
    if suggestion.why == "boundary":
        return f"near the threshold of {decimals(decision.threshold)} ({best})"
    if suggestion.why == "ambiguous":
        return f"between {between}, margin {decimals(decision.margin)} ({best})"
    guess = f"between {between}" if decision.reason == "ambiguous" else "a route that is missing?"
    return f"stands for {suggestion.size:,} that were left alone: {guess} ({best})"
