"""The marks of a chart in matplotlib's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from synaptoroute_core.words import cut
from synaptoroute_integrations.notebook.charts import Bars, Chart, Grid, Layer, Line, Note, Points, Rule
from synaptoroute_integrations.notebook.labels import NOTE_CHARACTERS, NOTE_LINES, TITLE_CHARACTERS, ahead_of, lines_of
from synaptoroute_integrations.notebook.palette import INK, PAPER, SCALE, colour_of, ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Handle: TypeAlias = Any
"""What stands for a layer in the legend; None = nothing."""

PIXELS_PER_INCH = 100
POINT = 72 / PIXELS_PER_INCH
"""Points of a pixel."""
SYMBOLS = {"dot": "o", "star": "*", "diamond": "D"}
SIZES = {"dot": 1.0, "star": 1.35, "diamond": 0.8}
"""What makes them look as large as plotly's of the same size."""
EDGE = 7.0
"""Pixels."""
SMALL = 12
LABEL_LINE = 16
"""Pixels."""
ON_TOP = 100
"""Above the marks of any layer."""


@dataclass(frozen=True)
class Easel:
    """Where a chart is drawn.

    Attributes:
        chart: The chart.
        axes: What is drawn on.
        foreground: Colour of text and lines.
    """

    chart: Chart
    axes: Axes
    foreground: str

    def draw(self) -> list[tuple[str, Handle]]:
        """Draw the layers, the first at the bottom.

        Returns:
            Names for the legend, each with what stands for it.
        """
        handles = [(getattr(layer, "name", ""), self._layer(layer)) for layer in self.chart.layers]
        self._rule_labels()
        return [(name, handle) for name, handle in handles if name]

    def _layer(self, layer: Layer) -> Handle:
        match layer:
            case Points():
                return self._points(layer)
            case Line():
                return self._line(layer)
            case Bars():
                return self._bars(layer)
            case Grid():
                return self._grid(layer)
            case Rule():
                return self._rule(layer)
            case Note():
                return self._note(layer)

    def _points(self, layer: Points) -> Handle:
        plain = layer.shape == "dot"
        if not plain:  # an edge that is seen on white
            self._scatter(layer, layer.size + EDGE, color=INK, linewidths=0)
        look = {"alpha": 0.85, "linewidths": 0} if plain else {"linewidths": 1.5 * POINT, "edgecolors": PAPER}
        return self._scatter(layer, layer.size, facecolors=colour_of(layer.tone), **look)

    def _scatter(self, layer: Points, pixels: float, **look: Any) -> Handle:
        size = (pixels * SIZES[layer.shape] * POINT) ** 2
        return self.axes.scatter(layer.x, layer.y, s=size, marker=SYMBOLS[layer.shape], zorder=2, **look)

    def _line(self, layer: Line) -> Handle:
        colour = colour_of(layer.tone)
        if layer.low is not None and layer.high is not None:
            step = "post" if layer.stepped else None
            # Their own parameter for steps is typed as a word, though None is its default.
            self.axes.fill_between(layer.x, layer.low, layer.high, color=colour, alpha=0.18, linewidth=0, step=step)  # type: ignore[arg-type]
        (handle,) = self.axes.plot(
            layer.x,
            layer.y,
            color=colour,
            linewidth=2 * POINT,
            linestyle="--" if layer.dashed else "-",
            drawstyle="steps-post" if layer.stepped else "default",
            marker="o" if layer.marked else "",
            markersize=6 * POINT,
        )
        return handle

    def _bars(self, layer: Bars) -> Handle:
        colour = colour_of(layer.tone)
        return self.axes.bar(
            layer.edges[:-1],
            layer.heights,
            width=np.diff(layer.edges),
            align="edge",
            facecolor=(colour, 0.55),
            edgecolor=colour,
            linewidth=POINT,
        )

    def _grid(self, layer: Grid) -> Handle:
        from matplotlib.colors import LinearSegmentedColormap

        low, high = layer.limits
        colours = LinearSegmentedColormap.from_list("grid", list(SCALE))
        image = self.axes.imshow(
            layer.values, cmap=colours, vmin=low, vmax=high, aspect="auto", origin="lower", interpolation="nearest"
        )
        bar = self.axes.figure.colorbar(image, ax=self.axes, fraction=0.05, aspect=30, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=SMALL * POINT, labelcolor=self.foreground)
        bar.set_label(cut(layer.title, TITLE_CHARACTERS), color=self.foreground, fontsize=SMALL * POINT)
        if layer.written:
            self._written(layer)

    def _written(self, layer: Grid) -> None:
        for row, column in np.argwhere(np.isfinite(layer.values)).tolist():
            value = float(layer.values[row, column])
            text = f"{value:.{layer.places}f}"
            colour = ink_on(value, layer.limits)
            self.axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=11 * POINT)

    def _rule(self, layer: Rule) -> Handle:
        draw = self.axes.axvline if layer.axis == "x" else self.axes.axhline
        draw(layer.at, color=colour_of(layer.tone), linewidth=1.5 * POINT, linestyle=":", zorder=3)

    def _rule_labels(self) -> None:
        """A word on each rule; of those that stand, each is lower than the one before, so that none covers another."""
        standing = 0
        for rule in self.chart.layers:
            if not isinstance(rule, Rule) or not rule.label:
                continue
            right = ahead_of(self.chart, rule.at)
            if rule.axis == "x":
                place, within, shift = (rule.at, 1.0), self.axes.get_xaxis_transform(), -4 - LABEL_LINE * standing
                standing += 1
            else:
                place, within, shift, right = (1.0, rule.at), self.axes.get_yaxis_transform(), 3, False
            self.axes.annotate(
                cut(rule.label, TITLE_CHARACTERS),
                place,
                xycoords=within,
                xytext=((3 if right else -3) * POINT, shift * POINT),
                textcoords="offset points",
                ha="left" if right else "right",
                va="top" if rule.axis == "x" else "bottom",
                color=colour_of(rule.tone),
                fontsize=SMALL * POINT,
                zorder=ON_TOP,
            )

    def _note(self, layer: Note) -> Handle:
        right = ahead_of(self.chart, layer.x)
        aside = {
            "xytext": ((28 if right else -28) * POINT, -32 * POINT),
            "textcoords": "offset points",
            "ha": "left" if right else "right",
            "arrowprops": {"arrowstyle": "->", "color": self.foreground},
        }
        self.axes.annotate(
            "\n".join(lines_of(layer.text, NOTE_CHARACTERS, NOTE_LINES)),
            (layer.x, layer.y),
            color=INK,
            fontsize=SMALL * POINT,
            bbox={
                "boxstyle": "round,pad=0.2",
                "facecolor": (PAPER, 0.88),
                "edgecolor": self.foreground,
                "linewidth": POINT,
            },
            va="center",
            ma="left",
            zorder=ON_TOP,
            **(aside if layer.arrow else {"ha": "center"}),
        )
