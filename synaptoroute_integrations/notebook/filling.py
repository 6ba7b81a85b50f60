"""Decisions as columns of a data frame, batch by batch; who decides, and how it is waited for, is the caller's."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from synaptoroute_core import ConfigurationError, Decision, InvalidTextError, SynaptoRouteError
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.notebook.arguments import flag_or_none, one_of, whole
from synaptoroute_integrations.notebook.tables import places_of, require_readable, require_texts

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("route", "score", "margin", "confidence", "reason", "candidate", "utterance")
NUMBERS = ("score", "margin", "confidence")
ERROR = "error"
MISSING = "the text is missing"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows in a row.

    Attributes:
        rows: How many.
        numbers: Numbers of those that have a text, from 0.
        texts: Their texts.
    """

    rows: int
    numbers: list[int]
    texts: list[str]


class Filling:
    """A frame whose texts are being decided on.

    Args:
        frame: The frame.
        text: Name of the column that holds the texts.
        batch_size: Rows of a batch.
        errors: ``raise`` or ``keep``.
        prefix: Put before the names of the new columns.

    Raises:
        ConfigurationError: An argument is not valid, or texts are missing and errors are not kept.
    """

    def __init__(self, frame: DataFrame, text: Hashable, *, batch_size: int, errors: str, prefix: str) -> None:
        self._keep = one_of("errors", errors, ("raise", "keep")) == "keep"
        self._batch_size = whole("batch_size", batch_size)
        if not isinstance(prefix, str):
            raise ConfigurationError(f"prefix = {shorten(prefix)}: use a string, such as 'routed_'")
        if self._keep:
            self._texts = require_readable(frame, text)
        else:
            self._texts = require_texts(frame, text, remedy=", or pass errors='keep'")
        self._frame = frame
        self._keys = _keys(frame, [*COLUMNS, ERROR] if self._keep else list(COLUMNS), prefix)
        self._values: dict[str, Any] = {
            name: np.full(len(frame), np.nan) if name in NUMBERS else np.full(len(frame), None, dtype=object)
            for name in self._keys
        }
        self._words: dict[str, str] = {}

    def bar(self, *, progress: bool | None) -> tqdm[Any]:
        """A progress bar over the rows, to be closed.

        Args:
            progress: Whether to show it; None = if there is more than one batch.

        Raises:
            ConfigurationError: ``progress`` is none of these.
        """
        asked = flag_or_none("progress", progress)
        shown = len(self._frame) > self._batch_size if asked is None else asked
        return tqdm(total=len(self._frame), desc="routing", unit="text", leave=False, disable=not shown)

    def batches(self) -> Iterator[Batch]:
        """The texts, in the order of the rows."""
        for start in range(0, len(self._frame), self._batch_size):
            part = self._texts.iloc[start : start + self._batch_size]
            there = part.notna().tolist()
            numbers = [number for number, is_there in enumerate(there, start) if is_there]
            if self._keep:
                self._values[ERROR][start : start + len(part)] = [None if each else MISSING for each in there]
            yield Batch(len(part), numbers, part[part.notna()].tolist())

    def put(self, batch: Batch, outcomes: Sequence[Decision | SynaptoRouteError]) -> None:
        """Fill in what became of a batch.

        Raises:
            SynaptoRouteError: One of the outcomes, with its row, unless errors are kept.
        """
        for number, outcome in zip(batch.numbers, outcomes, strict=True):
            if isinstance(outcome, Decision):
                self._fill(number, outcome)
            elif self._keep:
                self._values[ERROR][number] = self._once(str(outcome))
            else:
                raise self._placed(number, outcome)

    def result(self) -> DataFrame:
        """A copy of the frame with the columns."""
        import pandas as pd

        # What a frame of this version of pandas makes of text: two kinds of it in one frame would surprise.
        words = pd.Series([""]).dtype
        result = self._frame.copy()
        for name, key in self._keys.items():
            kind = np.dtype(float) if name in NUMBERS else words
            result[key] = pd.Series(self._values[name], index=result.index, dtype=kind)
        return result

    def _fill(self, number: int, decision: Decision) -> None:
        best = decision.candidates[0] if decision.candidates else None
        for name in NUMBERS:
            value = getattr(decision, name)
            self._values[name][number] = np.nan if value is None else value
        self._values["route"][number] = self._once(decision.route)
        self._values["reason"][number] = self._once(decision.reason)
        self._values["candidate"][number] = self._once(None if best is None else best.route)
        self._values["utterance"][number] = self._once(None if best is None else best.utterance)

    def _once(self, word: str | None) -> str | None:
        """The word, the same object for each of its rows: a router elsewhere sends a new one each time."""
        return None if word is None else self._words.setdefault(word, word)

    def _placed(self, number: int, error: SynaptoRouteError) -> SynaptoRouteError:
        """The error with the place of its text."""
        (place,) = places_of(self._frame, [number])
        if isinstance(error, InvalidTextError):
            return InvalidTextError(f"{place}: {error}")
        error.add_note(f"in {place} of the frame")
        return error


def _keys(frame: DataFrame, names: Sequence[str], prefix: str) -> dict[str, Hashable]:
    """The keys of the new columns in the frame, by name.

    Raises:
        ConfigurationError: The frame has columns of these names.
    """
    taken = [prefix + name for name in names if prefix + name in frame.columns]
    if taken:
        raise ConfigurationError(
            f"the frame has columns of the names {', '.join(map(repr, taken))}: give prefix='routed_' or another that "
            "makes the new ones different, or drop the old ones"
        )
    levels = frame.columns.nlevels
    return {name: prefix + name if levels == 1 else (prefix + name, *[""] * (levels - 1)) for name in names}
