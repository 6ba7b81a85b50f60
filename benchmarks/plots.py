"""The pictures of the results page: small SVG files, the same to the last byte for the same figures."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from tables import Figures, is_rival, levels_of

mpl.use("svg")  # no window, on any machine

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

# Okabe and Ito's palette, which colour-blind readers can tell apart: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7A7A7A"
INK, FAINT = "#222222", "#DDDDDD"
STYLE = {
    "svg.fonttype": "none",  # text stays text: small, sharp, and can be searched
    "svg.hashsalt": "synaptoroute",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 6,
}


def throughput(figures: Figures) -> str:
    """Queries a second over queries at a time; the floor of a crowd for comparison."""
    by_level = levels_of(figures)
    with plt.rc_context(STYLE):
        figure, axes = canvas(6.8, 3.8)
        for name, (colour, marker) in _series(by_level).items():
            known = [(int(level), at[name]) for level, at in by_level.items() if name in at]
            axes.plot(*zip(*known, strict=True), marker=marker, color=colour, label=_window(name), clip_on=False)
        floor = figures.get("crowd", {}).get("ms_per_query", {}).get("floor")
        if floor:
            axes.axhline(1000 / floor, color=GREY, linestyle="--", linewidth=1.5, label="floor: the model alone")
        _log(axes.xaxis, list(map(int, by_level)))
        axes.set(xlabel="queries at a time", ylabel="queries a second")
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=3, fontsize=9, columnspacing=1.6)
        return svg(figure)


def latency(figures: Figures) -> str:
    """A row a contender: where 98, 50 and all but the slowest 5 of 100 queries lie, on a log axis."""
    taken = figures["one_by_one"]["distribution_ms"]
    names = list(taken)[::-1]
    with plt.rc_context(STYLE):
        figure, axes = canvas(7.6, 1.3 + 0.42 * len(names))
        for row, name in enumerate(names):
            low, quarter, median, upper, slow, high = np.percentile(taken[name], (1, 25, 50, 75, 95, 99))
            colour = _colour(name)
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
            axes.plot([quarter, upper], [row, row], color=colour, linewidth=9, alpha=0.45, solid_capstyle="butt")
            axes.plot(slow, row, "|", color=colour, markersize=11, markeredgewidth=2)
            axes.plot(median, row, "o", color=colour, markersize=7, markeredgecolor="white")
            axes.annotate(f"{median:.1f}", (median, row), (0, 8), textcoords="offset points", ha="center", fontsize=8.5)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.2)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        _log(axes.xaxis, [0.5, 1, 2, 5, 10, 20, 50, 100, 200])
        axes.set_xlabel("milliseconds a query, one after another (log scale)")
        axes.grid(axis="x")
        _latency_legend(axes)
        return svg(figure)


def cost(figures: Figures) -> str:
    """Milliseconds of a decision and of the bare product over the number of utterances."""
    by_size = figures["decision"]
    sizes = list(map(int, by_size))
    lines = (
        ("decision_ms", "decision, with its evidence", BLUE, "o", "-"),
        ("product_1_thread_ms", "bare float32 product, one thread", GREY, "s", "--"),
        ("product_all_threads_ms", "bare float32 product, all threads", ORANGE, "^", ":"),
    )
    with plt.rc_context(STYLE):
        figure, axes = canvas(6.8, 3.8)
        for key, label, colour, marker, style in lines:
            known = [(size, at[key]) for size, at in zip(sizes, by_size.values(), strict=True) if key in at]
            if known:
                axes.plot(*zip(*known, strict=True), style, marker=marker, color=colour, label=label, clip_on=False)
        _log(axes.xaxis, sizes)
        _log(axes.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30])
        axes.set(xlabel="utterances stored (log scale)", ylabel="milliseconds (log scale)")
        axes.grid()
        axes.legend(loc="upper left")
        return svg(figure)


# --- parts -------------------------------------------------------------------------------------


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A picture of so many inches, in our style."""
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.14, h_pad=0.1)  # inches; a reader's font may be wider than ours
    return figure, axes


def _log(axis: Any, ticks: list[float]) -> None:
    """A logarithmic axis that says its numbers in full and has marks where we want them."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    low, high = axis.get_data_interval()
    inside = [tick for tick in ticks if low <= tick <= high]
    axis.set_ticks(inside or [low, high])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _series(by_level: Figures) -> dict[str, tuple[str, str]]:
    """Colour and marker of each line; ours first, since the palette begins with blue."""
    names = dict.fromkeys(name for at in by_level.values() for name in at)
    looks = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (RED, "D"), ("#CC79A7", "v"), ("#56B4E9", "P"), (INK, "X")]
    return {name: looks[number % len(looks)] for number, name in enumerate(names)}


def _window(name: str) -> str:
    return {"0 ms": "no window (default)", "5 ms": "window of 5 ms"}.get(name, name)


def _colour(name: str) -> str:
    if not is_rival(name):
        return GREY if name.startswith("floor") else BLUE
    return ORANGE if name.startswith("synaptoroute") else GREEN if name.startswith("semantic-router") else RED


def _latency_legend(axes: Axes) -> None:
    look: dict[str, Any] = {"color": INK, "linestyle": "none"}
    handles = [
        plt.Line2D([], [], marker="o", label="median", **look),
        plt.Line2D([], [], color=INK, linewidth=9, alpha=0.45, label="middle half"),
        plt.Line2D([], [], marker="|", markersize=11, markeredgewidth=2, label="95th percentile", **look),
        plt.Line2D([], [], color=INK, linewidth=2, label="1st to 99th percentile"),
    ]
    axes.figure.legend(handles=handles, loc="outside upper right", ncols=4, fontsize=9, columnspacing=1.6)


def svg(figure: Figure) -> str:
    """On white, which can be read on a dark page too; without a date, which would change with every run."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
