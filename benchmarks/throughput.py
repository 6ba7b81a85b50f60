"""1,000 distinct queries at once: how near to the floor, and how far ahead of the rivals?

Also throughput over concurrency, and whether a worker should wait for company (0 or 5 ms).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import harness
import numpy as np
import rivals

from synaptoroute_core import AdaptiveRouter

QUERIES = 1000
ROUNDS = 3
RIVAL_QUERIES = 200
THREADS = 64
LEVELS = (1, 8, 64, 1000)


def at_once(router: AdaptiveRouter, texts: list[str]) -> Any:
    """All queries in one event loop."""

    async def run() -> Any:
        return await asyncio.gather(*(router.aroute(text) for text in texts))

    return asyncio.run(run())


def crowd(folder: Any) -> dict[str, Any]:
    """All at once, beside the rivals. These are slow, and get fewer queries; all figures are per query."""
    routes, texts = harness.work(folder, QUERIES)
    fewer = texts[:RIVAL_QUERIES]
    floor = rivals.Floor(routes, threads=1)
    article, peer, selector = rivals.Article(routes), rivals.Peer(routes), rivals.Selector(routes)
    article_ours, peer_ours = rivals.Article(routes, own=False), rivals.Peer(routes, own=False)
    with harness.open_router(routes) as router, ThreadPoolExecutor(THREADS) as pool:
        times = harness.in_turn(
            {
                "floor": lambda: floor.many(texts),
                "aroute": lambda: at_once(router, texts),
                "route_batch": lambda: router.route_batch(texts),
                f"route from {THREADS} threads": lambda: list(pool.map(router.route, texts)),
                "synaptoroute 0.4.1 aquery": lambda: article.at_once(fewer),
                "synaptoroute 0.4.1 aquery, our encoder": lambda: article_ours.at_once(fewer),
                f"synaptoroute 0.4.1 from {THREADS} threads": lambda: list(pool.map(article.one, fewer)),
                "semantic-router 1.1.1 acall": lambda: peer.at_once(fewer),
                "semantic-router 1.1.1 acall, our encoder": lambda: peer_ours.at_once(fewer),
                f"semantic-router 1.1.1 from {THREADS} threads": lambda: list(pool.map(peer.one, fewer)),
                "LlamaIndex EmbeddingSingleSelector, one by one": lambda: [selector.one(text) for text in texts[:3]],
            },
            ROUNDS,
        )
    counts = {name: len(fewer) if "." in name else 3 if "Llama" in name else QUERIES for name in times}
    each = {name: [taken / counts[name] for taken in times[name]] for name in times}
    return {
        "queries": QUERIES,
        "ms_per_query": {name: float(np.median(taken)) * 1e3 for name, taken in each.items()},
        "to_floor": {name: harness.ratio(each, name, "floor") for name in each},
        "to_aroute": {name: harness.ratio(each, name, "aroute") for name in each},
    }


def levels(folder: Any) -> dict[str, dict[str, float]]:
    """Queries a second by level: ours without and with the article's window, and the rivals."""
    routes, texts = harness.work(folder, QUERIES)
    article, peer = rivals.Article(routes).router, rivals.Peer(routes).router
    table: dict[str, dict[str, float]] = {}
    with harness.open_router(routes) as now, harness.open_router(routes, max_wait_ms=5) as waiting:
        for level in LEVELS:
            some = texts[: 200 if level == 1 else QUERIES]
            few = some[: max(RIVAL_QUERIES, level)]
            times = harness.in_turn(
                {
                    "0 ms": lambda s=some, n=level: harness.at_level(now.aroute, s, n),
                    "5 ms": lambda s=some, n=level: harness.at_level(waiting.aroute, s, n),
                    "synaptoroute 0.4.1": lambda s=few, n=level: harness.at_level(article.aquery, s, n, article.start),
                    "semantic-router 1.1.1": lambda s=few, n=level: harness.at_level(peer.acall, s, n),
                },
                3,
            )
            table[str(level)] = {
                name: len(some if name.endswith("ms") else few) / min(taken) for name, taken in times.items()
            }
    return table


def main() -> None:
    """Measure and save."""
    folder = harness.arguments(__doc__)
    harness.save("throughput", {"crowd": crowd(folder), "levels": levels(folder)})


if __name__ == "__main__":
    main()
