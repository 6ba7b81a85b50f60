"""Bars for scores: from zero to the score, on an axis that has room for all that are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

CELLS = 20
FULL, EMPTY, TICK = "█", "░", "┃"


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis of some bars.

    Attributes:
        low: Where it begins, at most 0.
        high: Where it ends, at least 1.
    """

    low: float = 0.0
    high: float = 1.0

    def place(self, value: float) -> float:
        """Where a value is, from 0 (its beginning) to 1."""
        return (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)


def scale_of(values: Iterable[float | None]) -> Scale:
    """The axis from 0 to 1, or to what lies beyond; values that are missing or not finite take no part."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return Scale(min([0.0, *finite]), max([1.0, *finite]))


def bar_html(scale: Scale, score: float, threshold: float | None, words: str, *, strong: bool = False) -> str:
    """A bar with a tick at its threshold.

    Args:
        scale: The axis.
        score: Where the bar ends; one that is not finite has none.
        threshold: Where the tick is; None = nowhere.
        words: The same in words, for those who do not see it.
        strong: Whether it stands out.
    """
    parts = []
    if math.isfinite(score):
        start, end = sorted((scale.place(0.0), scale.place(score)))
        tone = "sr-fill sr-strong" if strong else "sr-fill"
        parts.append(f'<span class="{tone}" style="left:{start:.1%};width:{end - start:.1%}"></span>')
    if scale.low:
        parts.append(f'<span class="sr-zero" style="left:{scale.place(0.0):.1%}"></span>')
    if threshold is not None and math.isfinite(threshold):
        parts.append(f'<span class="sr-tick" style="left:{scale.place(threshold):.1%}"></span>')
    words = escape(words)
    return f'<span class="sr-bar" role="img" aria-label="{words}" title="{words}">{"".join(parts)}</span>'


def bar_text(scale: Scale, score: float, threshold: float | None) -> str:
    """The same in 20 signs."""
    cells = [EMPTY] * CELLS
    if math.isfinite(score):
        start, end = sorted((round(scale.place(0.0) * CELLS), round(scale.place(score) * CELLS)))
        cells[start:end] = [FULL] * (end - start)
    if threshold is not None and math.isfinite(threshold):
        cells[min(int(scale.place(threshold) * CELLS), CELLS - 1)] = TICK
    return "".join(cells)
