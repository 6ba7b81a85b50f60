"""What the benchmarks share: the work, the clock, the machine, the results."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from synaptoroute_core import AdaptiveRouter, Encoder, Route, RouterConfig

RESULTS = Path(__file__).parents[1] / "build" / "bench"
UTTERANCES = 20
PACKAGES = (
    "synaptoroute-integrations",
    "synaptoroute",
    "semantic-router",
    "llama-index-core",
    "onnxruntime",
    "tokenizers",
    "numpy",
)


def arguments(description: str | None) -> Path:
    """Parse the command line; the folder of the data sets."""
    return datasets.require(datasets.parser(description).parse_args().data)


def work(folder: Path, queries: int) -> tuple[dict[str, list[str]], list[str]]:
    """clinc150: 150 routes of 20 utterances, and distinct queries of the test split in random order."""
    routes: dict[str, list[str]] = defaultdict(list)
    for text, label in datasets.sample(datasets.read(folder, "clinc150/train"), UTTERANCES):
        routes[label].append(text)
    texts = list(dict.fromkeys(text for text, _ in datasets.read(folder, "clinc150/test")))
    random.Random(1).shuffle(texts)
    return dict(routes), texts[:queries]


def open_router(routes: dict[str, list[str]], encoder: Encoder | None = None, **settings: Any) -> AdaptiveRouter:
    """Our router, by default without the cache that would make repeated rounds free."""
    config = RouterConfig(**{"cache_size": 0, **settings})
    router = AdaptiveRouter((Route(n, texts) for n, texts in routes.items()), encoder=encoder, config=config)
    router.route("warm up")
    return router


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def in_turn(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall times of each function, called in turn, so that all see the same machine; one round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            taken = seconds(function)
            if number:
                times[name].append(taken)
    return times


def at_level(
    ask: Callable[[str], Awaitable[object]],
    texts: list[str],
    level: int,
    start: Callable[[], Awaitable[object]] | None = None,
) -> Any:
    """All queries, ``level`` of them at a time."""

    async def run() -> None:
        if start is not None:
            await start()
        waiting = iter(texts)

        async def client() -> None:
            for text in waiting:
                await ask(text)

        await asyncio.gather(*(client() for _ in range(level)))

    return asyncio.run(run())


def ratio(times: dict[str, list[float]], above: str, below: str) -> float:
    """Median of the round-by-round ratios: what drifts with the machine falls out."""
    return float(np.median(np.array(times[above]) / np.array(times[below])))


def p50_ratio(times: dict[str, list[float]], above: str, below: str) -> float:
    """Ratio of the medians, of lists that were not taken round by round."""
    return float(np.median(times[above]) / np.median(times[below]))


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    return {f"p{q}": float(np.percentile(values, q)) * 1e3 for q in (50, 95, 99)}


def save(name: str, figures: dict[str, Any]) -> None:
    """Keep figures for the report, with the machine they were taken on."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine(), **figures}, indent=1), encoding="utf-8")
    print(json.dumps(figures, indent=1))


def load(name: str) -> dict[str, Any] | None:
    """Figures that were saved, or None."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def machine() -> dict[str, Any]:
    """Processor, cores, system and versions."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).is_file() else []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
