"""Where names on a map stand: near what they name, and on nothing that would be lost under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synaptoroute_integrations.notebook.charts import Floats

LETTER, LINE = 7.2, 20.0
"""Pixels of a name: the width of a letter and the height of the whole."""
STAR = 22.0
"""Pixels of a mark that must not be covered, both ways."""
MOST_STEPS = 12
"""How many lines a name may be moved up or down."""


def free_places(points: Floats, names: Sequence[str], taken: Floats, pixels: tuple[float, float]) -> Floats:
    """Move names up and down from the points they name until they lie on no other name and on no mark.

    What can be read first keeps its place. A name that finds no free place stands where it would be without others.

    Args:
        points: What is named: shape (names, 2).
        names: The names.
        taken: The marks: shape (marks, 2).
        pixels: Width and height of the map, which has the same scale both ways.

    Returns:
        The middles of the names: shape (names, 2).
    """
    every = np.concatenate([points, taken])
    spread = np.ptp(every, axis=0)
    scale = min((room / size for room, size in zip(pixels, spread.tolist(), strict=True) if size > 0), default=1.0)
    middles = points * scale
    boxes = [(place * scale, np.array([STAR, STAR])) for place in taken]
    for number, name in enumerate(names):
        size = np.array([LETTER * len(name), LINE])
        steps = sorted(range(-MOST_STEPS, MOST_STEPS + 1), key=abs)
        tried = [middles[number] + np.array([0.0, LINE * step / 2]) for step in steps]
        free = (middle for middle in tried if not any(_overlap(middle, size, *box) for box in boxes))
        middles[number] = next(free, tried[0])
        boxes.append((middles[number], size))
    placed: Floats = middles / scale
    return placed


def _overlap(middle: Floats, size: Floats, other: Floats, other_size: Floats) -> bool:
    return bool((np.abs(middle - other) < (size + other_size) / 2).all())
