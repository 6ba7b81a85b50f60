"""The marks of a chart in plotly's terms."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from synaptoroute_core.words import cut
from synaptoroute_integrations.notebook.charts import Axis, Bars, Chart, Floats, Grid, Line, Points
from synaptoroute_integrations.notebook.labels import LEGEND_CHARACTERS, TITLE_CHARACTERS, lines_of, said_of
from synaptoroute_integrations.notebook.palette import INK, PAPER, SCALE, colour_of, ink_on, translucent

Properties: TypeAlias = dict[str, Any]
"""Of a part of a figure, as plotly.js names them."""

SYMBOLS = {"dot": "circle", "star": "star", "diamond": "diamond"}
SILENT = {"hoverinfo": "skip", "showlegend": False}
EDGE = 7.0
"""Pixels."""
SPACED = 40
"""Up to so many rows or columns, the cells of a grid have gaps between them."""


def traces_of(chart: Chart) -> Iterator[Properties]:
    """What plotly draws for the layers of a chart; rules and notes are no traces."""
    for layer in chart.layers:
        match layer:
            case Points():
                yield from _points(chart, layer)
            case Line():
                yield from _line(chart, layer)
            case Bars():
                yield _bars(chart, layer)
            case Grid():
                yield from _grid(chart, layer)


def escaped(text: str) -> str:
    """A text as plotly has to be given it, so that what is markup for plotly shows as it is.

    plotly knows some tags and entities, and leaves what stands between dollar signs to MathJax where a page has it.
    """
    return html.escape(text, quote=False).replace("$", "&#36;")


def places_on(axis: Axis, values: Iterable[float] | Floats) -> list[float | None]:
    """Places on an axis as plotly is given them.

    Plain numbers, which any release of plotly.js reads, and not the encoded arrays that recent ones do. Shares are
    given as percentages, since plotly's own format has no space before the sign.
    """
    factor = 100.0 if axis.percent else 1.0
    return [float(f"{factor * value:.6g}") if math.isfinite(value) else None for value in np.asarray(values).tolist()]


def _named(name: str) -> Properties:
    return {"name": escaped(cut(name, LEGEND_CHARACTERS)), "showlegend": bool(name)}


def _group(name: str) -> Properties:
    """What is hidden and shown together from the legend."""
    return {"legendgroup": escaped(name)} if name else {}


def _places(chart: Chart, x: Floats, y: Floats) -> Properties:
    return {"x": places_on(chart.x, x), "y": places_on(chart.y, y)}


def _hover(text: str) -> str:
    return "<br>".join(map(escaped, lines_of(text)))


def _said(chart: Chart, hover: Sequence[str], x: Floats, y: Floats) -> Properties:
    texts = hover if len(hover) else [said_of(chart, *pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
    return {"hoverinfo": "text", "hovertext": list(map(_hover, texts))}


def _points(chart: Chart, layer: Points) -> Iterator[Properties]:
    plain = layer.shape == "dot"
    marker = {"symbol": SYMBOLS[layer.shape], "size": layer.size, "color": colour_of(layer.tone)}
    places = {"type": "scatter", "mode": "markers", **_group(layer.name), **_places(chart, layer.x, layer.y)}
    if not plain:  # an edge that is seen on white
        yield {**places, **SILENT, "marker": {**marker, "size": layer.size + EDGE, "color": INK}}
    look = (
        {"opacity": 0.85, "line": {"width": 0}} if plain else {"opacity": 1.0, "line": {"width": 1.5, "color": PAPER}}
    )
    yield {
        **places,
        **_named(layer.name),
        **_said(chart, layer.hover, layer.x, layer.y),
        "marker": {**marker, **look},
    }


def _line(chart: Chart, layer: Line) -> Iterator[Properties]:
    colour, group = colour_of(layer.tone), _group(layer.name)
    if layer.low is not None and layer.high is not None:
        yield {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "fill": "toself",
            "fillcolor": translucent(colour, 0.18),
            **_places(chart, *_outline(layer, layer.low, layer.high)),
            **SILENT,
            **group,
        }
    yield {
        "type": "scatter",
        "mode": "lines+markers" if layer.marked else "lines",
        "line": {
            "color": colour,
            "width": 2,
            "shape": "hv" if layer.stepped else "linear",
            "dash": "dash" if layer.dashed else "solid",
        },
        **group,
        **_named(layer.name),
        **_places(chart, layer.x, layer.y),
        **_said(chart, layer.hover, layer.x, layer.y),
    }


def _outline(layer: Line, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The edge of the area between two lines, once around each part of it; NaN stands between the parts."""
    outline: list[tuple[float, float]] = []
    whole = np.isfinite(low) & np.isfinite(high)
    for places in np.split(np.arange(len(whole)), np.flatnonzero(~whole)):
        part = places[whole[places]]
        if len(part):
            above, below = (_corners(layer.x[part], edge[part], stepped=layer.stepped) for edge in (high, low))
            outline += [*above, *reversed(below), (np.nan, np.nan)]
    edge = np.array(outline[:-1], np.float64).reshape(-1, 2)
    return edge[:, 0], edge[:, 1]


def _corners(x: Floats, y: Floats, *, stepped: bool) -> list[tuple[float, float]]:
    """The points of a line, with the corners of its steps."""
    if stepped:
        x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _bars(chart: Chart, layer: Bars) -> Properties:
    middles, colour = (layer.edges[:-1] + layer.edges[1:]) / 2, colour_of(layer.tone)
    return {
        "type": "bar",
        "width": places_on(chart.x, np.diff(layer.edges)),
        "marker": {"color": translucent(colour, 0.55), "line": {"color": colour, "width": 1}},
        **_named(layer.name),
        **_places(chart, middles, layer.heights),
        **_said(chart, layer.hover, middles, layer.heights),
    }


def _grid(chart: Chart, layer: Grid) -> Iterator[Properties]:
    rows, columns = layer.values.shape
    low, high = layer.limits
    gap = 1 if max(rows, columns) <= SPACED else 0
    said = layer.hover if len(layer.hover) else _said_of_cells(chart, layer)
    yield {
        "type": "heatmap",
        "x": list(range(columns)),
        "y": list(range(rows)),
        "z": [
            [float(f"{value:.5g}") if math.isfinite(value) else None for value in row] for row in layer.values.tolist()
        ],
        "zmin": low,
        "zmax": high,
        "xgap": gap,
        "ygap": gap,
        "colorscale": [[at / (len(SCALE) - 1), colour] for at, colour in enumerate(SCALE)],
        "colorbar": {
            "title": {"text": escaped(cut(layer.title, TITLE_CHARACTERS)), "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
            "ticks": "",
            "xpad": 8,
        },
        "hoverinfo": "text",
        "hovertext": [list(map(_hover, row)) for row in said],
    }
    if layer.written:
        yield _written(layer)


def _said_of_cells(chart: Chart, layer: Grid) -> list[list[str]]:
    return [
        [f"{said_of(chart, column, row)}\n{layer.title}: {value:.4g}" for column, value in enumerate(values)]
        for row, values in enumerate(layer.values.tolist())
    ]


def _written(layer: Grid) -> Properties:
    cells = np.argwhere(np.isfinite(layer.values))
    values = layer.values[tuple(cells.T)].tolist()
    return {
        "type": "scatter",
        "mode": "text",
        "x": cells[:, 1].tolist(),
        "y": cells[:, 0].tolist(),
        "text": [f"{value:.{layer.places}f}" for value in values],
        "textfont": {"size": 11, "color": [ink_on(value, layer.limits) for value in values]},
        **SILENT,
    }
