"""One query after another, queries at random moments, and a repeated query.

The floor of a single query comes with one thread within a run and with as many as there are processors;
the same queries are asked once more while somebody else keeps a processor busy.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import harness
import numpy as np
from contenders import Contender, busy_neighbour, contenders

QUERIES = 400
BLOCK = 50
OPEN_LOOP_QUERIES = 1500
REPEATS = 2000
LOADS = (0.5, 0.9)


def one_by_one(folder: Any) -> dict[str, Any]:
    """The same queries through each contender, block by block in turn, so that all see the same machine."""
    routes, texts = harness.work(folder, QUERIES)
    with contenders(routes) as loaded:
        quiet = _in_blocks(loaded, texts)
        with busy_neighbour():
            beside = _in_blocks(loaded, texts[: QUERIES // 2])
    floors = [name for name in quiet if name.startswith("floor")]
    best = min(floors, key=lambda name: float(np.median(quiet[name])))
    return {
        "ms": {name: harness.percentiles(taken) for name, taken in quiet.items()},
        "ms_beside_a_busy_process": {name: harness.percentiles(taken) for name, taken in beside.items()},
        "best_floor": best,
        "p50_to_best_floor": {name: harness.p50_ratio(quiet, name, best) for name in quiet},
        "p50_to_floor_1_thread": {name: harness.p50_ratio(quiet, name, floors[0]) for name in quiet},
        "distribution_ms": {name: [float(f"{t * 1e3:.3f}") for t in taken] for name, taken in quiet.items()},
    }


def _in_blocks(loaded: dict[str, Contender], texts: list[str]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in loaded}
    for start in range(0, len(texts), BLOCK):
        for name, contender in loaded.items():
            times[name] += contender.times(texts[start : start + BLOCK])
    return times


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
