"""Texts of pictures: on lines that fit, with nothing in them that acts on what surrounds them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from synaptoroute_core.words import cut
from synaptoroute_integrations.escaping import visible
from synaptoroute_integrations.notebook.charts import Axis, Bars, Chart, Floats, Line, Points

LABEL_CHARACTERS = 28
"""Longest name beside an axis; pointing at a mark tells the whole."""
LEGEND_CHARACTERS = 32
TITLE_CHARACTERS = 80
EXCERPT_CHARACTERS = 80
"""Longest text of a user within what a mark says."""
HOVER_CHARACTERS = 64
"""Longest line of what a mark says when pointed at."""
HOVER_LINES = 5
"""Most lines into which one line of it is broken."""
NOTE_CHARACTERS, NOTE_LINES = 44, 3

MOST_IN_LEGEND = 20
"""With more names, a legend says nothing that pointing at a mark does not say better."""
MOST_ABOVE = 4
"""Names of a legend that may stand in one line above the marks."""
ABOVE_CHARACTERS = 64

FONT_SIZES = ((24, 12), (60, 10))
"""Up to how many categories their names have which size, in pixels."""
LEAST_FONT_SIZE = 8
LINE_HEIGHT = 1.3
MOST_LYING = 8
"""With more categories across, their names stand on end."""
AROUND = {"x": 190, "y": 130}
"""Pixels of the width and of the height that are usually not for the marks."""
ROOM_OVER = 1.15
"""Of an axis of bars: where it ends, over the highest."""
LEAST_PERCENT, MOST_PERCENT = 0.05, 99.95
"""What lies outside would be rounded to 0 or 100 % and is neither."""
ROUND = 1000
"""From here on numbers are written without exponent and decimals."""


def excerpt(text: str) -> str:
    """A text of a user on one line, at most 80 characters."""
    return cut(text, EXCERPT_CHARACTERS)


def lines_of(text: str, width: int = HOVER_CHARACTERS, most: int = HOVER_LINES) -> list[str]:
    """A text with each of its lines broken into at most ``most`` lines of ``width`` characters."""
    return [
        part
        for line in text.split("\n")
        for part in textwrap.wrap(visible(line)[: width * (most + 1)], width, max_lines=most, placeholder=" …")
    ]


def percent(share: float | None) -> str:
    """A share for people: to a tenth of a percent, and never 0 or 100 % where it is something else."""
    if share is None or math.isnan(share):
        return "undefined"
    value = 100 * share
    if 0 < value < LEAST_PERCENT:
        return "under 0.1 %"
    if MOST_PERCENT <= value < 100:  # noqa: PLR2004  # percent
        return "over 99.9 %"
    return f"{round(value, 1):g} %"


def number_on(axis: Axis, value: float) -> str:
    """A value of an axis in words."""
    if axis.categories:
        place = round(value)
        return axis.categories[place] if 0 <= place < len(axis.categories) else ""
    if axis.percent:
        return f"{100 * value:.3g} %"
    return f"{value:,.0f}" if abs(value) >= ROUND else f"{value:.4g}"


def said_of(chart: Chart, x: float, y: float) -> str:
    """What a mark without words of its own says: where it is on both axes."""
    return "\n".join(f"{axis.title}: {number_on(axis, at)}" for axis, at in ((chart.x, x), (chart.y, y)))


# --- what has room ------------------------------------------------------------------------------------


def names_in_legend(chart: Chart) -> list[str]:
    """The names of the layers; none if they are too many for a legend."""
    names = [name for layer in chart.layers if (name := getattr(layer, "name", ""))]
    return names if len(names) <= MOST_IN_LEGEND else []


def stands_above(names: Sequence[str]) -> bool:
    """Whether a legend of these names fits on one line above the marks."""
    return len(names) <= MOST_ABOVE and sum(map(len, names)) <= ABOVE_CHARACTERS


def category_font(axis: Axis) -> int:
    """The size of the names of an axis, in pixels."""
    return next((size for most, size in FONT_SIZES if len(axis.categories) <= most), LEAST_FONT_SIZE)


def stands_on_end(axis: Axis) -> bool:
    """Whether the names of an x axis are written upwards."""
    return len(axis.categories) > MOST_LYING


def room_along(direction: str, length: int) -> int:
    """Pixels for the marks along an axis, ``x`` or ``y``, of a chart that is so many pixels wide or high."""
    return length - AROUND[direction]


def category_step(axis: Axis, pixels: float) -> int:
    """1 if every name of an axis has room on so many pixels; 2 if every second has, and so on."""
    room = max(1, int(pixels / (category_font(axis) * LINE_HEIGHT)))
    return -(-len(axis.categories) // room)


def room_over(layers: Iterable[Bars]) -> tuple[float, float]:
    """Limits for an axis of bars, with room for a word over the highest."""
    return 0.0, ROOM_OVER * max((float(layer.heights.max()) for layer in layers), default=1.0)


def ahead_of(chart: Chart, at: float) -> bool:
    """Whether there is more room for words after a place on the x axis than before it."""
    low, high = _extent(chart)
    if chart.x.logarithmic and low > 0 and at > 0:
        low, high, at = np.log([low, high, at]).tolist()
    return at - low <= high - at


def _extent(chart: Chart) -> tuple[float, float]:
    """Where the x axis begins and ends."""
    if chart.x.limits is not None:
        return chart.x.limits
    if chart.x.categories:
        return -0.5, len(chart.x.categories) - 0.5
    found = [np.asarray(each, np.float64) for layer in chart.layers if (each := _across(layer)) is not None]
    places = np.concatenate([np.zeros(0), *found])
    places = places[np.isfinite(places)]
    return (float(places.min()), float(places.max())) if len(places) else (0.0, 0.0)


def _across(layer: object) -> Floats | None:
    match layer:
        case Points() | Line():
            return layer.x
        case Bars():
            return layer.edges
    return None
