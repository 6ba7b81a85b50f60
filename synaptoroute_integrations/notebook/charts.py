"""What a picture says, whoever draws it: layers of marks on two axes, as plain data.

A picture is described here once and drawn twice: by :mod:`~synaptoroute_integrations.notebook.interactive`, where
hovering shows the texts behind a mark, and by :mod:`~synaptoroute_integrations.notebook.static`, where no script runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

Tone: TypeAlias = int | Literal["good", "bad", "muted"]
"""A number = that place in the palette, which begins again when it ends; or a colour with a meaning."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One of the two axes.

    Attributes:
        title: What is counted, with its unit in parentheses where it has one.
        limits: Where it begins and ends; None = where the marks do.
        ticks: Where numbers stand on it; empty = wherever the renderer finds it good.
        categories: Names of the places 0, 1, 2, ... along it; empty = an axis of numbers.
        whole: Whether they are numbers of things, between which there are none.
        percent: Whether the numbers are shares from 0 to 1, written as percentages.
        logarithmic: Whether equal steps are equal factors.
        hidden: Whether numbers and lines are left out, since only distances count. Where both axes are, equal
            distances are equally long on both.
        downwards: Whether it begins at the top.
    """

    title: str
    limits: tuple[float, float] | None = None
    ticks: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    whole: bool = False
    percent: bool = False
    logarithmic: bool = False
    hidden: bool = False
    downwards: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Single marks.

    Attributes:
        name: For the legend; empty = not in it.
        x: Shape (points,).
        y: Shape (points,).
        tone: Their colour.
        hover: What each says when pointed at; empty = its numbers.
        shape: How each is drawn.
        size: Diameter in pixels.
    """

    name: str
    x: Floats
    y: Floats
    tone: Tone = 0
    hover: Sequence[str] = ()
    shape: Literal["dot", "star", "diamond"] = "dot"
    size: float = 7.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, in their order.

    Attributes:
        name: For the legend; empty = not in it.
        x: Shape (points,).
        y: Shape (points,); NaN interrupts the line.
        tone: Its colour.
        dashed: Whether it is dashed, as what is compared with.
        stepped: Whether a value holds until the next, instead of a straight line between the two.
        marked: Whether its points are marked.
        low: Lower ends of a band around it, shape (points,); None = no band.
        high: Upper ends of the band.
        hover: What each point says when pointed at; empty = its numbers.
    """

    name: str
    x: Floats
    y: Floats
    tone: Tone = 0
    dashed: bool = False
    stepped: bool = False
    marked: bool = False
    low: Floats | None = None
    high: Floats | None = None
    hover: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from 0 up. Several layers of them lie over each other, half transparent.

    Attributes:
        name: For the legend; empty = not in it.
        edges: Where the bars begin and end, rising: shape (bars + 1,).
        heights: Shape (bars,).
        tone: Their colour.
        hover: What each says when pointed at; empty = its numbers.
    """

    name: str
    edges: Floats
    heights: Floats
    tone: Tone = 0
    hover: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of values as colours, over two axes with categories.

    Attributes:
        title: What a value is, for the colour bar.
        values: Row by row along the y axis: shape (y categories, x categories); NaN = no value.
        limits: Values of the palest and the strongest colour.
        hover: What each cell says when pointed at, row by row; empty = its numbers.
        written: Whether the values stand in the cells.
        places: Decimal places of the written values.
    """

    title: str
    values: Floats
    limits: tuple[float, float]
    hover: Sequence[Sequence[str]] = ()
    written: bool = False
    places: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the whole picture, at one value of one axis, with a word on it.

    Attributes:
        at: Where.
        label: What it says; empty = nothing.
        axis: The axis on which ``at`` is: ``x`` = the line stands, ``y`` = it lies.
        tone: Its colour.
    """

    at: float
    label: str
    axis: Literal["x", "y"] = "x"
    tone: Tone = "muted"


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence at a point, with an arrow to it.

    Attributes:
        x: Where.
        y: Where.
        text: What it says, on one line.
        arrow: Whether it stands aside and an arrow leads to the point; otherwise it stands on the point.
    """

    x: float
    y: float
    text: str
    arrow: bool = True


Layer: TypeAlias = Points | Line | Bars | Grid | Rule | Note


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture before it is drawn. Texts in it are a user's: no part of it is markup.

    Attributes:
        title: What the picture shows.
        summary: What it comes to, in one or two sentences with the figures: for those who do not see it.
        x: The axis across.
        y: The axis upwards.
        layers: What is drawn, the first at the bottom.
        width: Pixels.
        height: Pixels.
    """

    title: str
    summary: str
    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    width: int = 760
    height: int = 440
