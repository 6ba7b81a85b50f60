"""A decision without its encoding, beside a bare float32 matrix product; and memory after long texts.

The product is timed with the BLAS's own threads and with one: ours uses one, so that it does not fight
the encoder's workers for the processors.
"""

from __future__ import annotations

import gc
from typing import Any

import datasets
import harness
import numpy as np
import psutil
from editing import RandomVectors, routes_of
from threadpoolctl import threadpool_limits

from synaptoroute_core import BundledEncoder
from synaptoroute_core.changes import EncodedRoute, PutRoutes
from synaptoroute_core.decision import Policy, decide
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes
from synaptoroute_core.types import Route

SIZES = (1_000, 3_000, 10_000, 50_000)
ROUNDS = 200


def decision(size: int) -> dict[str, float]:
    """Median milliseconds of a whole decision and of the product alone."""
    index = RouteIndex(384)
    encoder = RandomVectors()
    index.apply([PutRoutes(tuple(EncodedRoute(Route(n, t), encoder.encode(t)) for n, t in routes_of(size)))], 1)
    snapshot = index.snapshot()
    matrix = np.ascontiguousarray(snapshot.matrix[:size])
    query = encoder.encode(["a query"])[0]
    policy = Policy(threshold=0.5, min_margin=0.05, max_candidates=5, noise=1e-5)
    with threadpool_limits(1):
        alone = harness.in_turn(
            {
                "decision": lambda: decide(snapshot, score_routes(snapshot, query), policy),
                "product": lambda: matrix @ query,
            },
            ROUNDS,
        )
    free = harness.in_turn({"product": lambda: matrix @ query}, ROUNDS)["product"]
    return {
        "decision_ms": float(np.median(alone["decision"])) * 1e3,
        "product_1_thread_ms": float(np.median(alone["product"])) * 1e3,
        "product_all_threads_ms": float(np.median(free)) * 1e3,
        "decision_to_product_1_thread": harness.ratio(alone, "decision", "product"),
    }


def memory_after_long_texts() -> dict[str, float]:
    """Resident megabytes before, at and after batches of 32 texts of 256 tokens."""
    process = psutil.Process()
    encoder = BundledEncoder()
    encoder.encode(["warm up"])
    gc.collect()
    before = process.memory_info().rss
    for _ in range(3):
        encoder.encode(["word " * 300] * 32)
    gc.collect()
    return {"before_mb": before / 1e6, "kept_mb": (process.memory_info().rss - before) / 1e6}


def main() -> None:
    """Measure and save."""
    datasets.parser(__doc__).parse_args()  # works on made-up vectors, and needs no data set
    memory: dict[str, Any] = memory_after_long_texts()
    harness.save("deciding", {"long_texts": memory, "decision": {str(size): decision(size) for size in SIZES}})


if __name__ == "__main__":
    main()
