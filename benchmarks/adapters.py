"""What the adapters cost on top of the engine: 200 queries at once, and one alone."""

from __future__ import annotations

import asyncio
from typing import Any

import harness
import numpy as np
from llama_index.core.tools import ToolMetadata

from synaptoroute_core import AdaptiveRouter
from synaptoroute_integrations.langchain import RunnableSemanticRouter
from synaptoroute_integrations.llamaindex import SemanticRouteSelector

QUERIES = 200
ROUNDS = 8
LONE = 200


def at_once(router: AdaptiveRouter, texts: list[str]) -> dict[str, list[float]]:
    """Seconds of the same queries through the engine and through each adapter, in turn."""
    step = RunnableSemanticRouter(router=router)
    selector = SemanticRouteSelector(router, fallback="best")
    choices = [ToolMetadata(description=f"About {name}", name=name) for name in router.routes]

    async def gather(ask: Any) -> None:
        await asyncio.gather(*(ask(text) for text in texts))

    return harness.in_turn(
        {
            "aroute_batch": lambda: asyncio.run(router.aroute_batch(texts)),
            "abatch": lambda: asyncio.run(step.abatch(texts)),
            "aroute": lambda: asyncio.run(gather(router.aroute)),
            "ainvoke": lambda: asyncio.run(gather(step.ainvoke)),
            "aselect": lambda: asyncio.run(gather(lambda text: selector.aselect(choices, text))),
        },
        ROUNDS,
    )


def alone(router: AdaptiveRouter, texts: list[str]) -> dict[str, float]:
    """Median milliseconds of a query alone: through the engine, and through ``invoke``."""
    step = RunnableSemanticRouter(router=router)
    times: dict[str, list[float]] = {"route": [], "invoke": []}
    for text in texts:
        times["route"].append(harness.seconds(lambda text=text: router.route(text)))
        times["invoke"].append(harness.seconds(lambda text=text: step.invoke(text)))
    return {name: float(np.median(taken)) * 1e3 for name, taken in times.items()}


def main() -> None:
    """Measure and save."""
    routes, texts = harness.work(harness.arguments(__doc__), QUERIES + LONE)
    with harness.open_router(routes) as router:
        times = at_once(router, texts[:QUERIES])
        lone = alone(router, texts[QUERIES:])
    harness.save(
        "adapters",
        {
            "queries": QUERIES,
            "ms_per_query": {name: float(np.median(taken)) * 1e3 / QUERIES for name, taken in times.items()},
            "to_engine": {
                "abatch": harness.ratio(times, "abatch", "aroute_batch"),
                "ainvoke": harness.ratio(times, "ainvoke", "aroute"),
                "aselect": harness.ratio(times, "aselect", "aroute"),
            },
            "invoke_over_route_ms": lone["invoke"] - lone["route"],
        },
    )


if __name__ == "__main__":
    main()
