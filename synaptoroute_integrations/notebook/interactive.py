"""Charts drawn with plotly: pointing at a mark tells the texts behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from synaptoroute_core.errors import missing_extra
from synaptoroute_core.words import cut
from synaptoroute_integrations.notebook.charts import Axis, Chart, Note, Rule
from synaptoroute_integrations.notebook.labels import (
    LABEL_CHARACTERS,
    NOTE_CHARACTERS,
    NOTE_LINES,
    TITLE_CHARACTERS,
    ahead_of,
    category_font,
    category_step,
    lines_of,
    names_in_legend,
    room_along,
    stands_above,
    stands_on_end,
)
from synaptoroute_integrations.notebook.palette import FOREGROUND, INK, PAPER, colour_of, translucent
from synaptoroute_integrations.notebook.traces import Properties, escaped, places_on, traces_of

SETTINGS = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "showSendToCloud": False,
}
"""Of plotly.js: how it behaves, not what it draws. By default, plotly 7 has a button that uploads the figure."""

NOTHING = "rgba(0, 0, 0, 0)"
FAINT = translucent(FOREGROUND, 0.25)
ABOVE = {"orientation": "h", "tracegroupgap": 0, "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
BESIDE = {"orientation": "v", "tracegroupgap": 0, "x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}

TITLE_LINE, LEGEND_LINE, LABEL_LINE = 40, 30, 16
"""Pixels."""
POWERS = range(-6, 7)
"""Of ten, to which a logarithmic axis has ticks."""
FEW = 6
"""Up to here, plotly would put ticks at halves too."""
PARTS = 20
"""Zoomed in, plotly puts ticks between categories at twentieths, tenths, fifths, quarters and halves."""


def draw_interactive(chart: Chart) -> Any:
    """The chart as a plotly ``Figure``: as wide as what it stands in, on no ground of its own.

    Raises:
        ImportError: plotly is not installed; the message says how to install it.
    """
    try:
        from plotly import graph_objects
    except ModuleNotFoundError as error:
        raise missing_extra("notebook", error) from error
    return graph_objects.Figure({"data": list(traces_of(chart)), "layout": _layout(chart)})


def _layout(chart: Chart) -> Properties:
    names = names_in_legend(chart)
    above = bool(names) and stands_above(names)
    return {
        "template": "none",
        "autosize": True,
        "height": chart.height,
        "margin": {"l": 8, "r": 8, "b": 8, "t": TITLE_LINE + (LEGEND_LINE if above else 0)},
        "paper_bgcolor": NOTHING,
        "plot_bgcolor": NOTHING,
        "font": {"color": FOREGROUND, "family": "system-ui, sans-serif"},
        "title": {
            "text": escaped(cut(chart.title, TITLE_CHARACTERS)),
            "font": {"size": 16},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 10, "l": 8},
        },
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": FOREGROUND, "font": {"color": INK}, "align": "left"},
        "showlegend": bool(names),
        "legend": ABOVE if above else BESIDE,
        "barmode": "overlay",
        "bargap": 0,
        "modebar": {"bgcolor": NOTHING, "color": translucent(FOREGROUND, 0.6), "activecolor": FOREGROUND},
        "xaxis": {**_axis(chart.x, room_along("x", chart.width)), "tickangle": -90 if stands_on_end(chart.x) else None},
        "yaxis": {**_axis(chart.y, room_along("y", chart.height)), **_proportions(chart)},
        "shapes": [_rule(chart, layer) for layer in chart.layers if isinstance(layer, Rule)],
        "annotations": [*_rule_labels(chart), *_notes(chart)],
    }


# --- axes ---------------------------------------------------------------------------------------------


def _axis(axis: Axis, pixels: float) -> Properties:
    drawn = {
        "type": "log" if axis.logarithmic else "linear",
        "title": {"text": escaped(cut(axis.title, TITLE_CHARACTERS)), "standoff": 12},
        "automargin": True,
        "color": FOREGROUND,
        "gridcolor": FAINT,
        "showgrid": not axis.hidden and not axis.categories,
        "showticklabels": not axis.hidden,
        "ticks": "",
        "ticksuffix": " %" if axis.percent else "",
        "zeroline": False,
        **_range(axis),
    }
    if axis.categories:
        return {**drawn, **_categories(axis, pixels)}
    return {**drawn, **_ticks(axis)}


def _range(axis: Axis) -> Properties:
    limits = (-0.5, len(axis.categories) - 0.5) if axis.limits is None and axis.categories else axis.limits
    if limits is None:
        return {"autorange": "reversed" if axis.downwards else True}
    ends = [_place(axis, at) for at in limits]
    return {"range": ends[::-1] if axis.downwards else ends}


def _categories(axis: Axis, pixels: float) -> Properties:
    """Names in the place of numbers. If they are too many, plotly thins them out, and less so when zoomed in."""
    names = [escaped(cut(name, LABEL_CHARACTERS)) for name in axis.categories]
    drawn = {"tickfont": {"size": category_font(axis)}, "ticksuffix": ""}
    if category_step(axis, pixels) == 1:
        return {**drawn, "tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names}
    between = {f"{part / PARTS:g}": "" for part in range(-PARTS, PARTS * (len(names) + 1)) if part % PARTS}
    outside = {f"{place}": "" for place in (-1, len(names))}
    return {
        **drawn,
        "tickmode": "auto",
        "nticks": len(names) // category_step(axis, pixels),
        "tickformat": "~r",
        "labelalias": {**between, **outside, **{str(place): name for place, name in enumerate(names)}},
    }


def _ticks(axis: Axis) -> Properties:
    """Ticks where they are asked for, or, of a logarithmic axis, in steps of 1, 2 and 5, written out.

    plotly's own are powers of ten and digits between them.
    """
    places = places_on(axis, axis.ticks)
    if axis.logarithmic and not places:
        places = [digit * 10.0**power for power in POWERS for digit in (1, 2, 5)]
    if not places:
        few = axis.whole and axis.limits is not None and axis.limits[1] <= FEW
        return {"dtick": 1} if few else {}
    unit = " %" if axis.percent else ""
    return {"tickmode": "array", "tickvals": places, "ticktext": [f"{place:g}{unit}" for place in places]}


def _proportions(chart: Chart) -> Properties:
    return {"scaleanchor": "x"} if chart.x.hidden and chart.y.hidden else {}


def _place(axis: Axis, at: float) -> float | None:
    """A place where ranges and annotations are: on a logarithmic axis, they are given its logarithm."""
    (place,) = places_on(axis, [at])
    return math.log10(place) if axis.logarithmic and place else place


# --- rules and notes ----------------------------------------------------------------------------------


def _rule(chart: Chart, rule: Rule) -> Properties:
    axis, other, along = ("x", "y", chart.x) if rule.axis == "x" else ("y", "x", chart.y)
    (at,) = places_on(along, [rule.at])
    return {
        "type": "line",
        "line": {"color": colour_of(rule.tone), "width": 1.5, "dash": "dot"},
        f"{axis}ref": axis,
        f"{axis}0": at,
        f"{axis}1": at,
        f"{other}ref": f"{other} domain",
        f"{other}0": 0,
        f"{other}1": 1,
    }


def _rule_labels(chart: Chart) -> Iterator[Properties]:
    """A word on each rule; of those that stand, each is lower than the one before, so that none covers another."""
    labelled = [layer for layer in chart.layers if isinstance(layer, Rule) and layer.label]
    standing = [rule for rule in labelled if rule.axis == "x"]
    for rule in labelled:
        label = {
            "text": escaped(cut(rule.label, TITLE_CHARACTERS)),
            "font": {"color": colour_of(rule.tone), "size": 12},
            "showarrow": False,
        }
        if rule.axis == "x":
            right = ahead_of(chart, rule.at)
            place = {"xref": "x", "x": _place(chart.x, rule.at), "xanchor": "left" if right else "right"}
            height = {"yref": "y domain", "y": 1, "yanchor": "top", "yshift": -LABEL_LINE * standing.index(rule)}
        else:
            place = {"xref": "x domain", "x": 1, "xanchor": "right"}
            height = {"yref": "y", "y": _place(chart.y, rule.at), "yanchor": "bottom"}
        yield {**label, **place, **height}


def _notes(chart: Chart) -> Iterator[Properties]:
    for note in chart.layers:
        if isinstance(note, Note):
            right = ahead_of(chart, note.x)
            aside = {"ax": 28 if right else -28, "ay": 32, "xanchor": "left" if right else "right"}
            yield {
                "text": "<br>".join(map(escaped, lines_of(note.text, NOTE_CHARACTERS, NOTE_LINES))),
                "align": "left",
                "x": _place(chart.x, note.x),
                "y": _place(chart.y, note.y),
                "font": {"color": INK, "size": 12},
                "bgcolor": translucent(PAPER, 0.88),
                "bordercolor": FOREGROUND,
                "borderpad": 2,
                "showarrow": note.arrow,
                "arrowcolor": FOREGROUND,
                **(aside if note.arrow else {}),
            }
