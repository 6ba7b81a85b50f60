"""What is asked of a data frame before its rows are read."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten

if TYPE_CHECKING:
    from pandas import DataFrame, Series

NUMBER_KINDS = "biufcmM"
"""Kinds of NumPy types whose values are no texts: truth values, numbers, times."""
SHOWN_ROWS = 10


def require_texts(frame: object, text: Hashable, *, remedy: str = "") -> Series:
    """The column of texts of a frame, none of which is missing.

    Args:
        frame: The frame.
        text: The column's name.
        remedy: What else can be done about missing texts.

    Raises:
        ConfigurationError: It is no frame, has no such column, or one without texts; or texts are missing.
    """
    column = require_readable(frame, text)
    gone = column.isna().to_numpy().nonzero()[0].tolist()
    if gone:
        raise ConfigurationError(
            f"{'1 text is' if len(gone) == 1 else f'{len(gone):,} texts are'} missing in the column {text!r}, in "
            f"{_listed(frame, gone)}: leave them out with frame.dropna(subset=[{text!r}]){remedy}"
        )
    return column


def require_readable(frame: object, text: Hashable) -> Series:
    """The column of texts of a frame; some may be missing.

    Raises:
        ConfigurationError: It is no frame, has no such column, or one of numbers or times.
    """
    column = require_column(frame, text, "text")
    if getattr(column.dtype, "kind", "") in NUMBER_KINDS and column.notna().any():
        raise ConfigurationError(
            f"the column {text!r} holds {column.dtype}, no texts: name another with text=..., or make texts of it with "
            f"frame[{text!r}].astype(str)"
        )
    return column


def require_column(frame: object, name: Hashable, argument: str) -> Series:
    """A column of a frame.

    Args:
        frame: The frame.
        name: The column's name.
        argument: The argument that names it, for messages.

    Raises:
        ConfigurationError: It is no frame, or has no such column, or more than one.
    """
    found = require_frame(frame)
    if not isinstance(name, Hashable) or name not in found.columns:
        raise ConfigurationError(
            f"there is no column {shorten(name)} in the frame: name one of {shorten(list(found.columns), 200)} with "
            f"{argument}=..."
        )
    column = found[name]
    if column.ndim != 1:
        raise ConfigurationError(f"{argument} = {name!r} is the name of {column.shape[1]} columns: rename all but one")
    return column


def require_frame(value: object) -> DataFrame:
    """The value, if it is a pandas ``DataFrame``.

    Raises:
        ConfigurationError: It is none; the message says what to do about what it is.
    """
    pandas = sys.modules.get("pandas")  # what was never imported has made no frame
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return value
    if hasattr(value, "to_pandas"):
        remedy = "hand in what its to_pandas() gives"
    elif hasattr(value, "to_frame"):
        remedy = "hand in what its to_frame() gives"
    else:
        remedy = "make one with pandas.DataFrame(...)"
        if pandas is None and find_spec("pandas") is None:
            remedy += ", which is not installed: pip install pandas"
    shown = " ".join(shorten(value).split())
    raise ConfigurationError(f"expected a pandas DataFrame, got {type(value).__name__}: {shown}; {remedy}")


def places_of(frame: DataFrame, rows: Sequence[int] | None = None) -> Iterator[str]:
    """Rows as messages name them: by their labels in the index, and by number where labels repeat.

    Args:
        frame: The frame.
        rows: Numbers of the rows, from 0; None = all.
    """
    numbers = range(len(frame)) if rows is None else rows
    labels = (frame.index if rows is None else frame.index[list(rows)]).tolist()
    unique = frame.index.is_unique
    for number, label in zip(numbers, labels, strict=True):
        yield f"row {shorten(label)}" if unique else f"row {shorten(label)} (.iloc[{number}])"


def _listed(frame: DataFrame, rows: Sequence[int]) -> str:
    """``row 1``, ``rows 1, 4, 9``, or the first of them."""
    names = [place.removeprefix("row ") for place in places_of(frame, rows[:SHOWN_ROWS])]
    more = f" and {len(rows) - SHOWN_ROWS:,} more" if len(rows) > SHOWN_ROWS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {', '.join(names)}{more}"
