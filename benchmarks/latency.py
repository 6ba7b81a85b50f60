"""One query after another, queries at random moments, and a repeated query.

The floor of a single query is the better of one thread and all threads within a run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import rivals

QUERIES = 400
BLOCK = 50
OPEN_LOOP_QUERIES = 1500
REPEATS = 2000
LOADS = (0.5, 0.9)


def one_by_one(folder: Any) -> dict[str, Any]:
    """The same queries through each router, block by block in turn, so that all see the same machine."""
    routes, texts = harness.work(folder, QUERIES)
    article, peer = rivals.Article(routes), rivals.Peer(routes)
    with harness.open_router(routes) as router:
        asked: dict[str, Callable[[str], object]] = {
            "floor, 1 thread": rivals.Floor(routes, threads=1).one,
            f"floor, {rivals.CORES} threads": rivals.Floor(routes, threads=rivals.CORES).one,
            "route": router.route,
            "synaptoroute 0.4.1": article.one,
            "semantic-router 1.1.1": peer.one,
        }
        times: dict[str, list[float]] = {name: [] for name in asked}
        # In blocks, not query by query: each session has 42 MB of weights of its own, and would find
        # those of the others in the cache instead.
        for start in range(0, len(texts), BLOCK):
            for name, ask in asked.items():
                ask("a query between, to bring the weights back")
                for text in texts[start : start + BLOCK]:
                    times[name].append(harness.seconds(lambda ask=ask, text=text: ask(text)))
    return {
        "ms": {name: harness.percentiles(taken) for name, taken in times.items()},
        "p50_to_floor": {
            name: float(np.median(taken) / min(np.median(times[floor]) for floor in times if "floor" in floor))
            for name, taken in times.items()
        },
        "p50_to_floor_1_thread": {
            name: float(np.median(taken) / np.median(times["floor, 1 thread"])) for name, taken in times.items()
        },
        "distribution_ms": {name: [float(f"{t * 1e3:.3f}") for t in taken] for name, taken in times.items()},
    }


def open_loop(folder: Any) -> dict[str, Any]:
    """Poisson arrivals at a share of the capacity that a burst of the same queries shows."""
    routes, texts = harness.work(folder, OPEN_LOOP_QUERIES)
    with harness.open_router(routes) as router:
        capacity = len(texts) / min(harness.seconds(lambda: router.route_batch(texts)) for _ in range(2))
        found: dict[str, Any] = {"capacity_per_s": capacity}
        for load in LOADS:
            taken = asyncio.run(_arrivals(router, texts, capacity * load))
            found[f"{load:.0%}"] = {**harness.percentiles(taken), "refused": router.stats().rejected}
    return found


async def _arrivals(router: Any, texts: list[str], rate: float) -> list[float]:
    chooser = random.Random(2)

    async def ask(text: str, due: float) -> float:
        await router.aroute(text)
        return time.perf_counter() - due  # from when it was due: a late start counts as waiting

    tasks, due = [], time.perf_counter()
    for text in texts:
        due += chooser.expovariate(rate)
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(ask(text, due)))
    return list(await asyncio.gather(*tasks))


def repeated(folder: Any) -> dict[str, Any]:
    """The same text again and again: microseconds, p50."""
    routes, texts = harness.work(folder, 1)
    with harness.open_router(routes, cache_size=4096) as router:
        router.route(texts[0])
        blocking = [harness.seconds(lambda: router.route(texts[0])) for _ in range(REPEATS)]

        async def again() -> list[float]:
            taken = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                await router.aroute(texts[0])
                taken.append(time.perf_counter() - started)
            return taken

        return {
            "route_us": float(np.median(blocking)) * 1e6,
            "aroute_us": float(np.median(asyncio.run(again()))) * 1e6,
        }


def main() -> None:
    """Measure and save."""
    folder = harness.arguments(__doc__)
    harness.save(
        "latency", {"one_by_one": one_by_one(folder), "open_loop": open_loop(folder), "repeated": repeated(folder)}
    )


if __name__ == "__main__":
    main()
