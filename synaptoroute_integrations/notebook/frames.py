"""Data frames and CSV files: routes and labelled texts from them, decisions into them.

A frame is a pandas ``DataFrame``. Nothing here imports pandas unless one is handed in. What a row holds is read as
:mod:`synaptoroute_integrations.examples` reads a row of a file: labels become route names by the same rules, and a
label that is missing, nothing, or ``__ood__`` means that the text belongs to no route. Messages name a row by its
label in the frame's index.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synaptoroute_core import Choices, ConfigurationError, Example, Route, RouteOptions, Router
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.examples import (
    LabelledText,
    build_routes,
    labelled_texts,
    name_routes,
    read_examples,
    read_labelled,
)
from synaptoroute_integrations.notebook.arguments import listed, path_of
from synaptoroute_integrations.notebook.filling import Filling
from synaptoroute_integrations.notebook.tables import places_of, require_column, require_texts

if TYPE_CHECKING:
    from pandas import DataFrame

BATCH = 512
"""Texts that are handed to the router together: enough of equal length, and a bar that moves each second or so."""


def routes_from_dataframe(frame: DataFrame, *, text: Hashable = "text", label: Hashable = "label") -> list[Route]:
    """One route for each label of a frame, in the order in which they come; its texts are the utterances.

    Args:
        frame: A row for each utterance. Rows without a label are passed over.
        text: Name of the column that holds the texts.
        label: Name of the one that holds the labels.

    Raises:
        ConfigurationError: There is no such column, a text is missing or cannot be an utterance, a label is neither
            a string nor a whole number, two labels would become one route's name, or no row has a label.
    """
    return _routes(_labelled(frame, text, label, utterances=True), "the frame")


def examples_from_dataframe(frame: DataFrame, *, text: Hashable = "text", label: Hashable = "label") -> list[Example]:
    """The labelled texts of a frame, to evaluate on or to fit to, in the order of its rows.

    Args:
        frame: A row for each text.
        text: Name of the column that holds the texts.
        label: Name of the one that holds the labels.

    Raises:
        ConfigurationError: As for :func:`routes_from_dataframe`, but for an empty frame, which has no examples.
    """
    return name_routes(_labelled(frame, text, label))[0]


def from_csv(path: str | Path, *, text: str = "text", label: str = "label") -> list[Route]:
    """One route for each label of a CSV file, in the order in which they come; its texts are the utterances.

    Args:
        path: The file: UTF-8, cells divided by commas, a header. Lines of JSON are read too, if it is named so.
        text: Name of the column that holds the texts.
        label: Name of the one that holds the labels.

    Raises:
        ConfigurationError: The file cannot be read or is no such file; the message names file and line.
    """
    file = path_of(path)
    rows = read_labelled(file, utterances=True, text=_column("text", text), label=_column("label", label))
    return _routes(rows, str(file))


def examples_from_csv(path: str | Path, *, text: str = "text", label: str = "label") -> list[Example]:
    """The labelled texts of a CSV file, to evaluate on or to fit to.

    Args:
        path: As for :func:`from_csv`.
        text: Name of the column that holds the texts.
        label: Name of the one that holds the labels.

    Raises:
        ConfigurationError: As for :func:`from_csv`.
    """
    return read_examples(path_of(path), text=_column("text", text), label=_column("label", label))


def route_frame(
    router: Router,
    frame: DataFrame,
    text: Hashable = "text",
    *,
    allowed: Iterable[str] | None = None,
    batch_size: int = BATCH,
    progress: bool | None = None,
    errors: Literal["raise", "keep"] = "raise",
    prefix: str = "",
) -> DataFrame:
    """Decide on every text of a frame.

    Args:
        router: The router, here or elsewhere.
        frame: The frame; it is not changed.
        text: Name of the column that holds the texts.
        allowed: Route names to choose from, or what the router's ``choices`` made; None = all.
        batch_size: Texts that are handed to the router together. The rest waits its turn, so that beside the result,
            the memory for one batch is all that it takes.
        progress: Whether to show a bar; None = if there is more than one batch.
        errors: What to do with a text that is missing, unusable, or could not be decided on: ``raise``, or ``keep``
            its message in one more column ``error``, which is missing for all others. An error of a batch as a whole,
            such as of a router that is closed, is always raised.
        prefix: Put before the names of the new columns.

    Returns:
        A copy of the frame with these columns after its own, under the same index: ``route`` (missing for an
        abstention), ``score``, ``margin``, ``confidence``, ``reason``, ``candidate`` (the best route, chosen or not)
        and ``utterance`` (the candidate's that is nearest to the text). :class:`Decision` says what they are.

    Raises:
        ConfigurationError: An argument is not valid, the frame has columns of these names, or texts are missing.
        InvalidTextError: A text is not usable; the message names the row.
        Others: As ``route_each`` of the router raises, or gives for a text; a note names the row.
    """
    filling = Filling(frame, text, batch_size=batch_size, errors=errors, prefix=prefix)
    given = _allowed(router, allowed)
    names = given if given is None or isinstance(given, Choices) else router.choices(given)
    options = None if names is None else RouteOptions(allowed=names)
    with filling.bar(progress=progress) as bar:
        for batch in filling.batches():
            filling.put(batch, router.route_each(batch.texts, options=options))
            bar.update(batch.rows)
    return filling.result()


async def aroute_frame(
    router: Router,
    frame: DataFrame,
    text: Hashable = "text",
    *,
    allowed: Iterable[str] | None = None,
    batch_size: int = BATCH,
    progress: bool | None = None,
    errors: Literal["raise", "keep"] = "raise",
    prefix: str = "",
) -> DataFrame:
    """The awaitable twin of :func:`route_frame`; the event loop goes on while the router decides."""
    filling = Filling(frame, text, batch_size=batch_size, errors=errors, prefix=prefix)
    given = _allowed(router, allowed)
    names = given if given is None or isinstance(given, Choices) else await router.achoices(given)
    options = None if names is None else RouteOptions(allowed=names)
    with filling.bar(progress=progress) as bar:
        for batch in filling.batches():
            filling.put(batch, await router.aroute_each(batch.texts, options=options))
            bar.update(batch.rows)
    return filling.result()


def _allowed(router: object, allowed: Iterable[str] | None) -> Collection[str] | None:
    """What is allowed, if that and the router are what they should be; whether it is there, the router knows."""
    if not isinstance(router, Router):
        raise ConfigurationError(f"router = {shorten(router)}: give an AdaptiveRouter or a RemoteRouter")
    if allowed is None or isinstance(allowed, Choices):
        return allowed
    return RouteOptions(allowed=listed("allowed", allowed, "names of routes, or None for all")).allowed


def _column(argument: str, name: object) -> str:
    """The name of a column of a file."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"{argument} = {shorten(name)}: give the name of a column")
    return name


def _labelled(frame: DataFrame, text: Hashable, label: Hashable, *, utterances: bool = False) -> list[LabelledText]:
    """The rows of a frame."""
    texts, labels = require_texts(frame, text), require_column(frame, label, "label")
    missing = labels.isna().tolist()
    found = (None if gone else _whole(value) for value, gone in zip(labels.tolist(), missing, strict=True))
    return labelled_texts(zip(texts.tolist(), found, places_of(frame), strict=True), utterances=utterances)


def _whole(value: object) -> object:
    """A label. Whole numbers among which one is missing are fractional numbers to pandas."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _routes(rows: Iterable[LabelledText], source: str) -> list[Route]:
    routes = build_routes(name_routes(rows)[0])
    if not routes:
        raise ConfigurationError(f"{source}: no text has a label, so there is nothing to make routes of")
    return routes
