"""Charts drawn with matplotlib: for files, and where no script runs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from synaptoroute_core.errors import missing_extra
from synaptoroute_core.words import cut
from synaptoroute_integrations.notebook.artists import PIXELS_PER_INCH, POINT, SMALL, Easel, Handle
from synaptoroute_integrations.notebook.charts import Axis, Chart
from synaptoroute_integrations.notebook.labels import (
    LABEL_CHARACTERS,
    LEGEND_CHARACTERS,
    TITLE_CHARACTERS,
    category_font,
    category_step,
    names_in_legend,
    room_along,
    stands_above,
    stands_on_end,
)
from synaptoroute_integrations.notebook.palette import FOREGROUND, FOREGROUND_ON_DARK

if TYPE_CHECKING:
    from matplotlib import axis as matplotlib_axis
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FALLBACK_FONTS = (
    *("Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Devanagari"),
    *("Noto Sans Hebrew", "Noto Sans Thai", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Segoe UI"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS", "WenQuanYi Zen Hei"),
)
"""Asked in this order for signs that matplotlib's own font lacks, where they are installed."""

COLOURS = 256
PADDING = 0.08
"""Inches."""

NAMES_FROM = "synaptoroute"
"""What the names of parts of an SVG are made from, which otherwise are other ones in each run."""

HARMLESS = r"Glyph \d+|Matplotlib currently does not support|constrained_layout not applied"
"""What matplotlib warns of when a font lacks a sign, or names leave the marks no room: it draws all the same."""


def draw_static(chart: Chart, *, dark: bool = False) -> Figure:
    """The chart as a matplotlib ``Figure`` of its own, which pyplot does not know, on no ground of its own.

    Args:
        chart: The chart.
        dark: Whether text and axes are light; otherwise they are of a grey for pages of either kind.

    Raises:
        ImportError: matplotlib is not installed; the message says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("notebook", error) from error
    size = chart.width / PIXELS_PER_INCH, chart.height / PIXELS_PER_INCH
    figure = Figure(figsize=size, dpi=PIXELS_PER_INCH, facecolor="none", edgecolor="none")
    figure.set_layout_engine("constrained", w_pad=PADDING, h_pad=PADDING)
    axes = figure.add_subplot(facecolor="none")
    colour = FOREGROUND_ON_DARK if dark else FOREGROUND
    _scale(axes, chart)
    handles = Easel(chart, axes, colour).draw()
    _frame(axes, chart, colour)
    if names_in_legend(chart):
        _legend(axes, handles, colour)
    figure.suptitle(cut(chart.title, TITLE_CHARACTERS), x=0.01, ha="left", color=colour, fontsize=16 * POINT)
    _plain_text(figure)
    return figure


def write_static(figure: Figure, target: str | Path | IO[bytes], kind: str, *, scale: float) -> None:
    """Write a figure to a file: the same figure gives the same bytes, with no time of writing and no random names.

    Args:
        figure: What :func:`draw_static` returned.
        target: Path, or a file that is open.
        kind: ``png``, ``svg`` or ``pdf``.
        scale: Pixels of a png for each of the chart's.
    """
    from matplotlib import rc_context

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": NAMES_FROM}):
        warnings.filterwarnings("ignore", HARMLESS, UserWarning)
        figure.savefig(
            target, format=kind, dpi=scale * PIXELS_PER_INCH, facecolor="none", edgecolor="none", metadata=undated
        )


def encode_static(figure: Figure) -> bytes:
    """A figure as a PNG of the chart's size and at most 256 colours, a third as large as one of all.

    Args:
        figure: What :func:`draw_static` returned.
    """
    from PIL import Image  # matplotlib needs it too

    whole, small = io.BytesIO(), io.BytesIO()
    write_static(figure, whole, "png", scale=1.0)
    with Image.open(whole) as image:
        image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE).save(small, "png", optimize=True)
    return small.getvalue()


def _scale(axes: Axes, chart: Chart) -> None:
    if chart.x.logarithmic:
        axes.set_xscale("log")
    if chart.y.logarithmic:
        axes.set_yscale("log")


def _frame(axes: Axes, chart: Chart, colour: str) -> None:
    """What surrounds the marks: axes, their titles, and the lines behind."""
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"} and not (chart.x.hidden and chart.y.hidden))
        spine.set(color=colour, alpha=0.4)
    for axis, drawn in ((chart.x, axes.xaxis), (chart.y, axes.yaxis)):
        drawn.set_tick_params(which="both", length=0)
        drawn.set_tick_params(labelsize=SMALL * POINT, labelcolor=colour, labelfontfamily=_families())
        drawn.set_label_text(cut(axis.title, TITLE_CHARACTERS), color=colour, fontsize=SMALL * POINT)
        if axis.hidden or axis.categories:
            drawn.grid(visible=False)
        else:
            drawn.grid(visible=True, color=colour, alpha=0.25, linewidth=POINT)
        _numbers(axis, drawn)
    _categories(chart.x, axes.xaxis, room_along("x", chart.width), 90 if stands_on_end(chart.x) else 0)
    _categories(chart.y, axes.yaxis, room_along("y", chart.height), 0)
    _limits(axes, chart)


def _numbers(axis: Axis, drawn: matplotlib_axis.Axis) -> None:
    from matplotlib import ticker

    if axis.hidden:
        drawn.set_major_locator(ticker.NullLocator())
        drawn.set_minor_locator(ticker.NullLocator())
    elif axis.logarithmic or axis.percent:
        factor, sign = (100.0, " %") if axis.percent else (1.0, "")
        drawn.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{factor * value:g}{sign}"))
    else:
        drawn.set_major_formatter(ticker.ScalarFormatter(useOffset=False, useMathText=False))
    if axis.whole:
        drawn.set_major_locator(ticker.MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if axis.logarithmic:
        drawn.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        drawn.set_minor_formatter(ticker.NullFormatter())
    if axis.ticks and not axis.hidden:
        drawn.set_major_locator(ticker.FixedLocator(axis.ticks))


def _categories(axis: Axis, drawn: matplotlib_axis.Axis, pixels: int, angle: int) -> None:
    """Names in the place of numbers; some of them, if they are too many."""
    if axis.categories:
        step = category_step(axis, pixels)
        names = [cut(name, LABEL_CHARACTERS) for name in axis.categories[::step]]
        drawn.set_ticks(range(0, len(axis.categories), step), labels=names)
        drawn.set_tick_params(labelsize=category_font(axis) * POINT, labelrotation=angle)


def _limits(axes: Axes, chart: Chart) -> None:
    for axis, set_limits, invert in (
        (chart.x, axes.set_xlim, axes.xaxis.set_inverted),
        (chart.y, axes.set_ylim, axes.yaxis.set_inverted),
    ):
        limits = axis.limits or ((-0.5, len(axis.categories) - 0.5) if axis.categories else None)
        if limits is not None:
            set_limits(*limits)
        invert(axis.downwards)
    if chart.x.hidden and chart.y.hidden:
        axes.set_aspect("equal", adjustable="datalim")


def _legend(axes: Axes, handles: Sequence[tuple[str, Handle]], colour: str) -> None:
    names = [name for name, _ in handles]
    above = stands_above(names)
    legend = axes.legend(
        [handle for _, handle in handles],
        ["name"] * len(names),  # matplotlib leaves out names that begin with an underscore
        loc="lower left" if above else "upper left",
        bbox_to_anchor=(0, 1) if above else (1.01, 1),
        ncols=len(names) if above else 1,
        frameon=False,
        fontsize=SMALL * POINT,
        labelcolor=colour,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(cut(name, LEGEND_CHARACTERS))


def _plain_text(figure: Figure) -> None:
    """Have every text shown as it is: a dollar sign in it begins no formula, whatever the settings of pyplot are."""
    from matplotlib.text import Text

    families = _families()
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_parse_math(False)
            text.set_usetex(False)
            text.set_fontfamily(families)


def _families() -> list[str]:
    from matplotlib import font_manager, rcParams

    installed = set(font_manager.get_font_names())
    return [*rcParams["font.family"], *(name for name in FALLBACK_FONTS if name in installed)]
