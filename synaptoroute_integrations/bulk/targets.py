"""Tables written to files: Parquet, CSV, JSON lines."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import missing_extra

try:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise missing_extra("bulk", error) from error

Writer: TypeAlias = Callable[[Any, pa.Schema, Iterable[pa.Table]], None]

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 24
"""Largest row group: what is held in memory until it is written."""


def require_target(path: Path, schema: pa.Schema) -> None:
    """Check, before there is anything to write, that a table of these columns can be written to a file of this name.

    Raises:
        ConfigurationError: The suffix is none of those known, or the kind of file cannot hold one of the columns.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise ConfigurationError(f"{path}: the name of a file of decisions ends in one of {', '.join(WRITERS)}")
    for field in schema:
        # Parts of the result are Parquet files, whatever it is itself.
        _require_column(path, field, _write_parquet, "no file can")
        _require_column(path, field, writer, "such a file cannot", "name a .parquet file, or ")


def _require_column(path: Path, field: pa.Field, writer: Writer, what: str, remedy: str = "") -> None:
    schema = pa.schema([field])
    try:
        writer(pa.BufferOutputStream(), schema, [schema.empty_table()])
    except (pa.ArrowException, TypeError) as error:
        raise ConfigurationError(
            f"{path}: {what} hold the column {field.name!r}, which is of the type {field.type}; {remedy}leave "
            "the column out"
        ) from error


def write_target(path: Path, suffix: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write tables into one new file, on disk when this returns.

    Args:
        path: The file.
        suffix: Says of which kind it is to be.
        schema: The columns of all tables.
        tables: The rows.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("wb") as file:
        WRITERS[suffix.lower()](file, schema, tables)
        file.flush()
        os.fsync(file.fileno())


def _write_parquet(sink: Any, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with pa.parquet.ParquetWriter(sink, schema) as writer:
        for table in _grouped(tables):
            writer.write_table(table)


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in larger tables: readers of Parquet are slow with many small row groups."""
    held: list[pa.Table] = []
    for table in tables:
        if held and (sum(map(len, held)) + len(table) > GROUP_ROWS or sum(one.nbytes for one in held) > GROUP_BYTES):
            yield pa.concat_tables(held)
            held = []
        held.append(table)
    if held:
        yield pa.concat_tables(held)


def _write_csv(sink: Any, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    # pyarrow writes no string views into such a file.
    plain = pa.schema([each.with_type(pa.string()) if each.type == pa.string_view() else each for each in schema])
    with pa.csv.CSVWriter(sink, plain) as writer:
        for table in tables:
            writer.write_table(table if plain.equals(schema) else table.cast(plain))


def _write_json(sink: Any, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    for field in schema:
        _require_json(field.type)
    for table in tables:
        for row in table.to_pylist():
            sink.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _require_json(kind: pa.DataType) -> None:
    """Check that JSON has something for a type.

    Raises:
        TypeError: It has not.
    """
    if "binary" in str(kind):
        raise TypeError(f"JSON has nothing for {kind}")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: what it has no number or type for becomes nothing, or text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


WRITERS: dict[str, Writer] = {
    ".parquet": _write_parquet,
    ".pq": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_json,
    ".ndjson": _write_json,
}
