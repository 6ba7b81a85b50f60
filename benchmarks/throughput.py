"""1,000 distinct queries at once: how near to the floor, and how far ahead of the rivals?

Also throughput over concurrency, and whether a worker should wait for company (0 or 5 ms).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import harness
import rivals

from synaptoroute_core import AdaptiveRouter

QUERIES = 1000
ROUNDS = 5
THREADS = 64
LEVELS = (1, 8, 64, 1000)


def at_once(router: AdaptiveRouter, texts: list[str]) -> Any:
    """All queries in one event loop."""

    async def run() -> Any:
        return await asyncio.gather(*(router.aroute(text) for text in texts))

    return asyncio.run(run())


def at_level(router: AdaptiveRouter, texts: list[str], level: int) -> Any:
    """All queries, ``level`` of them at a time."""

    async def run() -> None:
        waiting = iter(texts)

        async def client() -> None:
            for text in waiting:
                await router.aroute(text)

        await asyncio.gather(*(client() for _ in range(level)))

    return asyncio.run(run())


def crowd(folder: Any) -> dict[str, Any]:
    """All at once, beside the rivals."""
    routes, texts = harness.work(folder, QUERIES)
    floor = rivals.Floor(routes, threads=1)
    article, peer, selector = rivals.Article(routes), rivals.Peer(routes), rivals.Selector(routes)
    with harness.open_router(routes) as router, ThreadPoolExecutor(THREADS) as pool:
        times = harness.in_turn(
            {
                "floor": lambda: floor.many(texts),
                "aroute": lambda: at_once(router, texts),
                "route_batch": lambda: router.route_batch(texts),
                f"route from {THREADS} threads": lambda: list(pool.map(router.route, texts)),
                "synaptoroute 0.4.1 aquery": lambda: article.at_once(texts),
                f"synaptoroute 0.4.1 from {THREADS} threads": lambda: list(pool.map(article.one, texts)),
                "semantic-router 1.1.1 acall": lambda: peer.at_once(texts),
                f"semantic-router 1.1.1 from {THREADS} threads": lambda: list(pool.map(peer.one, texts)),
            },
            ROUNDS,
        )
    sample = texts[:5]
    selector_times = harness.in_turn({"selector": lambda: [selector.one(text) for text in sample]}, 2)["selector"]
    per_query = {name: min(taken) / QUERIES * 1e3 for name, taken in times.items()}
    per_query["LlamaIndex EmbeddingSingleSelector, one after another"] = min(selector_times) / len(sample) * 1e3
    return {
        "queries": QUERIES,
        "ms_per_query": {name: float(f"{ms:.4g}") for name, ms in per_query.items()},
        "to_floor": {name: harness.ratio(times, name, "floor") for name in times},
        "rivals_to_aroute": {name: harness.ratio(times, name, "aroute") for name in times if "." in name},
        "rivals_to_threads": {
            name: harness.ratio(times, name, f"route from {THREADS} threads") for name in times if "." in name
        },
    }


def windows(folder: Any) -> dict[str, dict[str, float]]:
    """Queries a second by level, without and with the article's window."""
    routes, texts = harness.work(folder, QUERIES)
    table: dict[str, dict[str, float]] = {str(level): {} for level in LEVELS}
    with harness.open_router(routes) as now, harness.open_router(routes, max_wait_ms=5) as waiting:
        for level in LEVELS:
            some = texts[: 200 if level == 1 else QUERIES]
            times = harness.in_turn(
                {
                    "0 ms": lambda s=some, n=level: at_level(now, s, n),
                    "5 ms": lambda s=some, n=level: at_level(waiting, s, n),
                },
                3,
            )
            table[str(level)] = {name: len(some) / min(taken) for name, taken in times.items()}
    return table


def main() -> None:
    """Measure and save."""
    folder = harness.arguments(__doc__)
    harness.save("throughput", {"crowd": crowd(folder), "queries_per_s_by_level_and_window": windows(folder)})


if __name__ == "__main__":
    main()
