"""Reading labelled texts, to build routes from or to evaluate on.

Two formats, told apart by the file's suffix:

* ``.jsonl``, ``.ndjson``, ``.json``: one object a line, ``{"text": "...", "label": "..."}``.
* ``.csv``: a header with the columns ``text`` and ``label``, in any order; quoted cells may hold line
  breaks.

Fields and columns of other names can be named. Files are UTF-8, with or without a byte order mark. Further
fields and columns are passed over, blank lines too. A label of ``null``, of nothing, or ``__ood__`` means
that the text belongs to no route.

Labels become route names, which have letters, digits, ``_``, ``.`` and ``-`` only: white space at
both ends is dropped, and each run of other characters becomes one ``_``, so ``reverted card?`` is
the route ``reverted_card_``. A label that is a valid name stays as it is. Two labels that would
become one name are refused, never merged.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synaptoroute_core import ConfigurationError, Example, InvalidTextError, Route
from synaptoroute_core.errors import shorten
from synaptoroute_core.text import clean_query, clean_utterance
from synaptoroute_core.types import clean_name

OUT_OF_SCOPE = ("", "__ood__")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
NOT_IN_NAMES = re.compile(r"[^\w.\-]+")
NOT_COMMAS = re.compile(r"[;\t|]")
"""What some programs divide cells by."""


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A row of a data file or of a data frame.

    Attributes:
        text: The text.
        label: Its label as it stands there; None = it belongs to no route.
        place: File and line, or the row, for messages.
    """

    text: str
    label: str | None
    place: str


def read_examples(path: str | Path, *, text: str = "text", label: str = "label") -> list[Example]:
    """The labelled texts of one file, with route names for labels.

    Args:
        path: The file.
        text: Name of the field or column that holds the texts.
        label: Name of the one that holds the labels.

    Raises:
        ConfigurationError: The file cannot be read or is not as described above; the message names
            file and line.
    """
    return name_routes(read_labelled(path, text=text, label=label))[0]


def read_labelled(
    path: str | Path,
    *,
    utterances: bool = False,
    out_of_scope: bool = False,
    text: str = "text",
    label: str = "label",
) -> list[LabelledText]:
    """The rows of one file.

    Args:
        path: The file.
        utterances: The texts are to become utterances, whose length is limited.
        out_of_scope: No text belongs to a route, whatever its label; there need be none.
        text: As for :func:`read_examples`.
        label: Likewise.

    Raises:
        ConfigurationError: As for :func:`read_examples`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".csv", *JSON_SUFFIXES):
        raise ConfigurationError(f"{path}: labelled texts are read from {', '.join(JSON_SUFFIXES)} and .csv files")
    records = _csv_records if suffix == ".csv" else _json_records
    required = (text,) if out_of_scope else (text, label)
    rows = labelled_texts(
        (
            (record[text], None if out_of_scope else record[label], f"{path}, line {line}")
            for line, record in records(path, _read_text(path), required)
        ),
        utterances=utterances,
    )
    if not rows:
        raise ConfigurationError(f"{path}: there are no texts in it")
    return rows


def labelled_texts(rows: Iterable[tuple[Any, object, str]], *, utterances: bool = False) -> list[LabelledText]:
    """Rows from what was read, wherever it stands.

    Args:
        rows: The text, the label, and the place of each.
        utterances: As for :func:`read_labelled`.

    Raises:
        ConfigurationError: A text is not usable, or a label is neither a string, nor a whole number, nor
            None; the message names the place.
    """
    check = clean_utterance if utterances else clean_query
    found = []
    for text, label, place in rows:
        try:
            check(text)
        except InvalidTextError as error:
            raise ConfigurationError(f"{place}: {error}") from None
        found.append(LabelledText(text, _label(label, place), place))
    return found


def name_routes(*files: Iterable[LabelledText]) -> tuple[list[Example], ...]:
    """Examples from the rows of files that belong together, with route names for labels.

    Returns:
        The examples of each of ``files``.

    Raises:
        ConfigurationError: Two labels would become the same route name, or one is too long for one.
    """
    first: dict[str, LabelledText] = {}
    named = []
    for rows in files:
        examples: list[Example] = []
        for row in rows:
            name = None if row.label is None else route_name(row)
            if name is not None and first.setdefault(name, row).label != row.label:
                other = first[name]
                raise ConfigurationError(
                    f"{row.place}: the label {shorten(row.label)} and the label {shorten(other.label)} "
                    f"({other.place}) would both become the route {name!r}: rename one of them"
                )
            examples.append((row.text, name))
        named.append(examples)
    return tuple(named)


def route_name(row: LabelledText) -> str | None:
    """The name of a row's route; None if it belongs to none.

    Raises:
        ConfigurationError: The label is too long.
    """
    if row.label is None:
        return None
    try:
        return clean_name(NOT_IN_NAMES.sub("_", row.label))
    except ConfigurationError as error:
        raise ConfigurationError(f"{row.place}: {error}") from None


def build_routes(examples: Iterable[Example]) -> list[Route]:
    """One route for each label, in the order in which they come; out-of-scope texts are passed over."""
    utterances: dict[str, list[str]] = {}
    for text, name in examples:
        if name is not None:
            utterances.setdefault(name, []).append(text)
    return [Route(name, texts) for name, texts in utterances.items()]


def limit_utterances(routes: Iterable[Route], count: int, *, seed: int = 0) -> list[Route]:
    """The routes with at most ``count`` of their utterances, drawn at random and kept in order.

    Raises:
        ConfigurationError: ``count`` is less than 1.
    """
    if count < 1:
        raise ConfigurationError(f"cannot keep {count} utterances of a route: a route needs at least one")
    draw = random.Random(seed)  # noqa: S311  # no secret
    return [
        route.model_copy(update={"utterances": _drawn(route.utterances, count, draw)})
        if len(route.utterances) > count
        else route
        for route in routes
    ]


def _drawn(texts: Sequence[str], count: int, draw: random.Random) -> tuple[str, ...]:
    return tuple(texts[position] for position in sorted(draw.sample(range(len(texts)), count)))


# --- formats ---------------------------------------------------------------------------------------


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}: this is not UTF-8: save the file as UTF-8") from None


def _json_records(path: Path, text: str, required: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(): it also splits at characters that JSON strings may hold.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{place}: not valid JSON: {error}; every line must be one object") from None
        if not isinstance(record, dict):
            raise ConfigurationError(f'{place}: expected an object such as {{"text": "..."}}, got {shorten(record)}')
        for name in required:
            if name not in record:
                raise ConfigurationError(
                    f"{place}: there is no {name!r} in {shorten(record)}"
                    + ("; write null for a text that belongs to no route" if name != required[0] else "")
                )
        yield number, record


def _csv_records(path: Path, text: str, required: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: dict[str, int] = {}
    width = 0
    line = 1
    try:
        for cells in reader:
            if not columns and cells:
                width, columns = len(cells), _columns(path, line, cells, required)
            elif cells:
                if len(cells) != width:
                    raise ConfigurationError(
                        f"{path}, line {line}: {len(cells)} cells under {width} columns; a text with a comma, a "
                        "quote or a line break must be in quotes"
                    )
                yield line, {name: cells[column] for name, column in columns.items()}
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {line}: not valid CSV: {error}; is a quote left open?") from None


def _columns(path: Path, line: int, header: Sequence[str], required: Sequence[str]) -> dict[str, int]:
    names = [_column_key(name) for name in header]
    for name in required:
        found = names.count(_column_key(name))
        if found != 1:
            hint = "; cells must be divided by commas" if len(header) == 1 and NOT_COMMAS.search(header[0]) else ""
            raise ConfigurationError(
                f"{path}, line {line}: there is {'more than one' if found else 'no'} column {name!r} in the header: "
                f"{shorten(', '.join(header))}{hint}"
            )
    return {name: names.index(_column_key(name)) for name in required}


def _column_key(name: str) -> str:
    """What makes two names of columns the same: programs differ in case and spacing."""
    return name.strip().casefold()


def _label(value: object, place: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{place}: a label must be a string or null, got {shorten(value)}")
    label = value.strip()
    return None if label in OUT_OF_SCOPE else label
