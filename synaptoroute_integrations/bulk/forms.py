"""The forms in which batches come: dicts of NumPy arrays, pandas data frames, Arrow tables; texts out, columns in."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten

Kind: TypeAlias = Literal["text", "number", "whole"]
Values: TypeAlias = Sequence[Any]

PANDAS_NONE = ("NAType", "NaTType")


class Column(NamedTuple):
    """A column to add.

    Attributes:
        name: Its name.
        kind: What it holds; values may be missing.
        values: They, None where missing.
    """

    name: str
    kind: Kind
    values: Values = ()


class Form(Protocol):
    """How batches of one form are read and written."""

    def names(self, batch: Any) -> Sequence[object]:
        """The columns that a batch has."""
        ...

    def texts(self, batch: Any, name: str) -> list[object]:
        """The values of a column; None where one is missing."""
        ...

    def extended(self, batch: Any, columns: Sequence[Column]) -> Any:
        """A batch with further columns; the one given stays as it is."""
        ...


def form_of(batch: object) -> Form:
    """The form of a batch.

    Raises:
        ConfigurationError: It has none that is known.
    """
    if isinstance(batch, Mapping):
        return ArrayForm()
    # What was never imported has made no batch.
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if pandas is not None and isinstance(batch, pandas.DataFrame):
        return FrameForm()
    if arrow is not None and isinstance(batch, arrow.Table | arrow.RecordBatch):
        return ArrowForm()
    raise ConfigurationError(
        f"a batch is {type(batch).__name__}: {shorten(batch)}; give a dict of NumPy arrays, a pandas DataFrame or a "
        "pyarrow Table"
    )


class ArrayForm:
    """A dict of NumPy arrays. NumPy has no missing numbers: they are NaN; missing texts are None."""

    def names(self, batch: Any) -> Sequence[object]:
        """See :class:`Form`."""
        return list(batch)

    def texts(self, batch: Any, name: str) -> list[object]:
        """See :class:`Form`."""
        values = np.asarray(batch[name], dtype=None if isinstance(batch[name], np.ndarray) else object)
        if values.ndim != 1:
            raise ConfigurationError(
                f"the column {name!r} has the shape {values.shape}: one text for each row is needed"
            )
        return [None if _is_missing(value) else value for value in values.tolist()]

    def extended(self, batch: Any, columns: Sequence[Column]) -> Any:
        """See :class:`Form`."""
        types = {"text": object, "number": np.float64, "whole": np.int64}
        return {**batch, **{each.name: np.array(each.values, types[each.kind]) for each in columns}}


class FrameForm:
    """A pandas data frame; the columns that come are of pandas' nullable types."""

    def names(self, batch: Any) -> Sequence[object]:
        """See :class:`Form`."""
        return list(batch.columns)

    def texts(self, batch: Any, name: str) -> list[object]:
        """See :class:`Form`."""
        column = batch[name]
        if column.ndim != 1:
            raise ConfigurationError(f"{name!r} is the name of {column.shape[1]} columns: rename all but one")
        return [None if gone else value for value, gone in zip(column.tolist(), column.isna().tolist(), strict=True)]

    def extended(self, batch: Any, columns: Sequence[Column]) -> Any:
        """See :class:`Form`."""
        import pandas as pd

        types = {"text": "string", "number": "Float64", "whole": "Int64"}
        return batch.assign(**{each.name: pd.array(list(each.values), dtype=types[each.kind]) for each in columns})


class ArrowForm:
    """An Arrow table or record batch."""

    def names(self, batch: Any) -> Sequence[object]:
        """See :class:`Form`."""
        return list(batch.schema.names)

    def texts(self, batch: Any, name: str) -> list[object]:
        """See :class:`Form`."""
        if batch.schema.names.count(name) != 1:
            raise ConfigurationError(
                f"{name!r} is the name of {batch.schema.names.count(name)} columns: rename all but one"
            )
        values: list[object] = batch.column(name).to_pylist()
        return values

    def extended(self, batch: Any, columns: Sequence[Column]) -> Any:
        """See :class:`Form`."""
        import pyarrow as pa

        types = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
        schema, arrays = batch.schema, list(batch.columns)
        for each in columns:
            schema = schema.append(pa.field(each.name, types[each.kind]))
            arrays.append(pa.array(each.values, types[each.kind]))
        return type(batch).from_arrays(arrays, schema=schema)


def _is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, or what pandas has for it."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in PANDAS_NONE
