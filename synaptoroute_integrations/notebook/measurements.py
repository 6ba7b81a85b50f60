"""What a router learns from and how long it takes, measured here and now, as pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np

from synaptoroute_core import AdaptiveRouter
from synaptoroute_core.words import counted
from synaptoroute_integrations.notebook.arguments import listed, whole
from synaptoroute_integrations.notebook.charts import Axis, Bars, Chart, Floats, Rule
from synaptoroute_integrations.notebook.labels import room_over
from synaptoroute_integrations.notebook.learning import learning_curve
from synaptoroute_integrations.notebook.picture import Picture
from synaptoroute_integrations.notebook.routers import routes_of, without_memory

__all__ = ["latency_distribution", "learning_curve"]

BARS = 40
PERCENTILES = (50, 95, 99)
SHOWN_TAIL = 1.5
"""The axis ends at so many times the 99th percentile: one query that had to wait would flatten all the others."""
WIDE = 4.0
"""Where the 99th percentile is more than so many times the median, the axis is logarithmic and shows all."""


def latency_distribution(router: AdaptiveRouter, texts: Iterable[str], *, repeats: int = 1) -> Picture:
    """How long the router takes for one text, measured on this machine as it is now.

    Each text is handed in alone, and the next when the last is decided. The router remembers the vectors of texts that
    it was asked before (``RouterConfig.cache_size``), so what is measured is a copy of it in memory, with the same
    vectors and fits and without that memory: every text is encoded each time. One query before the first is not
    counted.

    Args:
        router: The router.
        texts: Queries.
        repeats: How often each of them is measured.

    Raises:
        ConfigurationError: There are no routes or no texts, or an argument is not valid.
        InvalidTextError: A text is not usable.
        EncoderError: The encoder failed on a text.
    """
    routes_of(router)  # refuses what is none
    return Picture(_latency_chart(router, listed("texts", texts, "queries", least=1), whole("repeats", repeats)))


def _latency_chart(router: AdaptiveRouter, queries: Sequence[str], repeats: int) -> Chart:
    with without_memory(router) as twin:
        twin.route(queries[0])
        seconds = [_seconds_of(twin, text) for _ in range(repeats) for text in queries]
        started = time.perf_counter()
        twin.route_batch(queries)
        together_ms = 1000 * (time.perf_counter() - started) / len(queries)
    times = 1000 * np.array(seconds)
    half, *_, nearly_all = np.percentile(times, PERCENTILES)
    wide = bool(nearly_all > WIDE * half)
    bars = _latency_bars(times, wide=wide)
    return Chart(
        title="Latency of single queries",
        summary=_latency_summary(times, together_ms, queries, wide=wide),
        x=Axis("Latency (ms)", logarithmic=wide),
        y=Axis("Frequency (queries)", limits=room_over([bars]), whole=True),
        layers=(
            bars,
            *(
                Rule(float(value), f"p{percentile} {value:.2f} ms")
                for percentile, value in zip(PERCENTILES, np.percentile(times, PERCENTILES), strict=True)
            ),
        ),
    )


def _seconds_of(router: AdaptiveRouter, text: str) -> float:
    started = time.perf_counter()
    router.route(text)
    return time.perf_counter() - started


def _latency_bars(times: Floats, *, wide: bool) -> Bars:
    shown = times if wide else times[times <= SHOWN_TAIL * np.percentile(times, PERCENTILES[-1])]
    edges = np.geomspace(shown.min(), shown.max(), BARS + 1) if wide else np.histogram_bin_edges(shown, BARS)
    if wide:
        edges[[0, -1]] = shown.min(), shown.max()  # to the last bit, which powers and roots do not give back
    counts, _ = np.histogram(shown, edges)
    hover = [
        f"{low:.3f} to {high:.3f} ms: {counted(int(count), 'query', 'queries')}"
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return Bars("", edges, counts.astype(np.float64), 0, hover)


def _latency_summary(times: Floats, together_ms: float, queries: Sequence[str], *, wide: bool) -> str:
    half, most, nearly_all = np.percentile(times, PERCENTILES)
    summary = (
        f"{counted(len(times), 'query', 'queries')}, one after another: p50 {half:.2f} ms, p95 {most:.2f} ms, p99 "
        f"{nearly_all:.2f} ms, the longest {times.max():.2f} ms. In one route_batch(): {together_ms:.2f} ms a text. "
        "Measured on this machine, without the memory for texts asked before."
    )
    beyond = 0 if wide else int((times > SHOWN_TAIL * nearly_all).sum())
    if beyond:
        summary += f" Not shown: {beyond:,} that took over {SHOWN_TAIL * nearly_all:.2f} ms."
    again = len(queries) - len(set(queries))
    if again:
        summary += f" Of the texts, {again:,} came before in the list: a batch encodes none twice."
    return summary
