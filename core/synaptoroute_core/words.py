"""Texts and numbers as people read them, before they become a part of a page, a report or a picture."""

from __future__ import annotations

import math

from synaptoroute_core.text import visible

SHOWN_CHARACTERS = 160
MOST_WRITTEN_OUT = 1e6
LEAST_WRITTEN_OUT = 1e-3
PLACES = 3
MOST_PLACES = 9


def cut(value: str, limit: int = SHOWN_CHARACTERS) -> str:
    """A text on one line without anything that acts on its surroundings, at most ``limit`` characters of it."""
    shown = visible(value[: limit + 1])
    return shown if len(value) <= limit and len(shown) <= limit else f"{shown[: limit - 1].rstrip()}…"


def number(value: float) -> str:
    """A number for people."""
    if isinstance(value, int):
        return f"{value:,}"
    if value and not LEAST_WRITTEN_OUT <= abs(value) < MOST_WRITTEN_OUT:
        return f"{value:.4g}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def decimals(*values: float) -> list[str]:
    """Numbers with equally many places, at least three: as many as it takes to see which of them differ."""
    for places in range(PLACES, MOST_PLACES + 1):
        written = [f"{value:.{places}f}" for value in values]
        if len(set(written)) == len(set(values)) or any(map(math.isnan, values)):
            break
    return written


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 route``, ``2 routes``; ``plural`` where it is more than an s, as for ``queries``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def verb(count: int, one: str = "is", many: str = "are") -> str:
    """The form of a verb that goes with so many things."""
    return one if count == 1 else many
