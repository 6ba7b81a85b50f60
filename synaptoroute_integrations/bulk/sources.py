"""Tables in files, read a piece at a time: Parquet, CSV, JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import missing_extra, shorten
from synaptoroute_core.text import replace_surrogates

try:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise missing_extra("bulk", error) from error

BUFFER_BYTES = 1 << 20
BLOCK_BYTES = 1 << 20
"""How much of a CSV file is read at a time; no row may be longer. Arrow reads 32 times as much ahead."""
PIECE, PIECE_BYTES = 4096, 1 << 24
"""Rows that are read at a time at most, and about how much of JSON lines."""

COMPRESSED = (b"\x1f\x8b", b"BZh91AY&SY", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"PK\x03\x04")
"""How gzip, bzip2, zstd, xz and zip begin."""


@dataclass(frozen=True)
class Source:
    """A table in a file, which was read through once: it is sound.

    Attributes:
        path: The file.
        schema: Its columns.
        rows: How many there are.
        read: Gives tables from a row on, best of a given number of rows.
    """

    path: Path
    schema: pa.Schema
    rows: int
    read: Callable[[int, int], Iterable[pa.Table]]

    def pieces(self, start: int, size: int) -> Iterator[pa.Table]:
        """The rows from ``start`` on, in tables of ``size`` rows, but for the last.

        Raises:
            ConfigurationError: The file is damaged there.
        """
        rest = self.schema.empty_table()
        with _explained(self.path):
            for table in self.read(start, size):
                rest = pa.concat_tables([rest, table])
                while len(rest) >= size:
                    yield rest.slice(0, size)
                    rest = rest.slice(size)
        if len(rest):
            yield rest


def open_source(path: Path) -> Source:
    """A file's table; its suffix says what it is.

    Cells of a CSV file are texts, an empty one is missing. A field that an object in a JSON line lacks is missing.

    Raises:
        ConfigurationError: It is not there, its suffix is none of those known, it is damaged, or two of its columns
            have one name.
    """
    opener = OPENERS.get(path.suffix.lower())
    if opener is None:
        raise ConfigurationError(f"{path}: the name of a file of texts ends in one of {', '.join(OPENERS)}")
    with _explained(path):
        if opener is not _open_parquet:
            _require_unpacked(path)
        source = opener(path)
    names = source.schema.names
    twins = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twins:
        raise ConfigurationError(f"{path}: two columns are named {twins[0]!r}: rename one")
    return source


def _require_unpacked(path: Path) -> None:
    """Check that a file of texts is not compressed, by how it begins: not all that is, is no text for its reader."""
    with path.open("rb") as file:
        begin = file.read(max(map(len, COMPRESSED)))
    if begin.startswith(COMPRESSED):
        raise ConfigurationError(f"{path} is compressed: unpack it")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what is wrong with a file into an error that names it."""
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8: convert it"
    if "straddling" in str(error):
        return f"a row is longer than {BLOCK_BYTES:,} bytes: write the file as Parquet or JSON lines"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


# --- Parquet ---------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> Source:
    with _parquet(path) as file:
        return Source(path, file.schema_arrow, file.metadata.num_rows, partial(_read_parquet, path))


def _parquet(path: Path) -> Any:
    # A page at a time: a row group may be as large as the file.
    return pa.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)


def _read_parquet(path: Path, start: int, size: int) -> Iterator[pa.Table]:
    with _parquet(path) as file:
        groups: list[int] = []
        before = 0
        for number in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if groups or before + rows > start:
                groups.append(number)
            else:
                before += rows
        skipped = start - before
        for batch in file.iter_batches(min(size, PIECE), row_groups=groups):
            kept = batch.slice(min(skipped, len(batch)))
            skipped -= len(batch) - len(kept)
            yield pa.Table.from_batches([kept], file.schema_arrow)


# --- CSV -------------------------------------------------------------------------------------------


def _open_csv(path: Path) -> Source:
    with _csv(path, []) as reader:
        names = reader.schema.names
    with _csv(path, names) as reader:
        rows = sum(len(batch) for batch in reader)
        return Source(path, reader.schema, rows, partial(_read_csv, path, names))


def _csv(path: Path, names: list[str]) -> Any:
    return pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _read_csv(path: Path, names: list[str], start: int, _size: int) -> Iterator[pa.Table]:
    with _csv(path, names) as reader:
        for batch in reader:
            kept = batch.slice(min(start, len(batch)))
            start -= len(batch) - len(kept)
            yield pa.Table.from_batches([kept])


# --- JSON lines ------------------------------------------------------------------------------------


def _open_json(path: Path) -> Source:
    schema, rows = pa.schema([]), 0
    for numbers, objects in _objects(path, 0):
        rows += len(objects)
        try:
            found = _as_table(objects).schema
            schema = pa.unify_schemas([schema, found], promote_options="permissive")
        except pa.ArrowException as error:
            raise ConfigurationError(
                f"{path}, lines {numbers[0]} to {numbers[-1]}: a field has values of several kinds, or such as no "
                f"column can hold: {_first_line(error)}"
            ) from error
    return Source(path, schema, rows, partial(_read_json, path, schema))


def _read_json(path: Path, schema: pa.Schema, start: int, _size: int) -> Iterator[pa.Table]:
    return (_as_table(objects, schema) for _, objects in _objects(path, start))


def _objects(path: Path, start: int) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Objects with the numbers of their lines, many at a time; blank lines are passed over."""
    with path.open("rb") as file:
        written = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        lines = islice(written, start, None)
        while piece := _some(lines):
            yield [number for number, _ in piece], [_object(path, number, line) for number, line in piece]


def _some(lines: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The next lines with their numbers: not too many, and fewer of long ones."""
    piece, size = [], 0
    for number, line in lines:
        piece.append((number, line))
        size += len(line)
        if len(piece) == PIECE or size > PIECE_BYTES:
            break
    return piece


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}, line {number} is not JSON: {_first_line(error)}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}, line {number}: {shorten(value)} is no JSON object")
    return value


def _as_table(objects: list[dict[str, Any]], schema: pa.Schema | None = None) -> pa.Table:
    """Objects as a table, of the types that their values have together, or of a schema."""
    names = list(dict.fromkeys(key for each in objects for key in each)) if schema is None else schema.names
    types = [None] * len(names) if schema is None else schema.types
    columns = [_field(objects, name, kind) for name, kind in zip(names, types, strict=True)]
    return pa.table(columns, names=names)


def _field(objects: list[dict[str, Any]], name: str, kind: pa.DataType | None) -> pa.Array:
    try:
        return _column([each.get(name) for each in objects], kind)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise pa.ArrowInvalid(f"{shorten(name)}: {_first_line(error)}") from error


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half of a character that JSON escapes in two halves
        return pa.array([replace_surrogates(value) if isinstance(value, str) else value for value in values], kind)


OPENERS: dict[str, Callable[[Path], Source]] = {
    ".parquet": _open_parquet,
    ".pq": _open_parquet,
    ".csv": _open_csv,
    ".jsonl": _open_json,
    ".ndjson": _open_json,
}
