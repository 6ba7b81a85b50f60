"""The HTTP service under load from another process: what HTTP costs, and what overload does.

- Throughput of ``POST /route`` at 64 connections beside the engine's own at 64 queries at a time, in turn; needs
  wrk, which Debian has as a package.
- At 80 % of that and at twice that, arriving at random: how long the answered ones took, how soon the others
  were refused.
- Memory from 10,000 to 100,000 requests.

The engine runs in this process, the service in a second, the load comes from a third; one of the first two is idle
while the other is measured. Texts are not cached, but for the last question.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import harness
import numpy as np
import psutil

from synaptoroute_core import Route, save_routes

HERE = Path(__file__).parent
CONNECTIONS = 64
ROUNDS = 5
ROUND_S = 6.0
LOAD_S = 15.0
FEW, MANY = 10_000, 100_000
MB = 1e6


@contextmanager
def service(routes: dict[str, list[str]], folder: Path, *, cache: int) -> Iterator[tuple[str, psutil.Process]]:
    """The service as a process of its own; its URL and process."""
    file = folder / "routes.yaml"
    save_routes(file, [Route(name, texts) for name, texts in routes.items()])
    command = [sys.executable, "-m", "synaptoroute_integrations", "serve", "--port", "0", "--routes", str(file)]
    log = (folder / "log.txt").open("w+", encoding="utf-8")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "SYNAPTOROUTE_CACHE_SIZE": str(cache)})
    try:
        while "ready" not in (said := (folder / "log.txt").read_text(encoding="utf-8")):
            if process.poll() is not None:
                raise SystemExit(said)
            time.sleep(0.1)
        yield said.partition(" on ")[2].split()[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
        log.close()


def put(url: str, texts: Path, **load: float) -> dict[str, Any]:
    """The report of a load from another process."""
    options = [part for name, value in load.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), url, str(texts), *options], capture_output=True, text=True, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def put_closed(url: str, texts: Path, skip: int) -> dict[str, Any]:
    """The report of wrk, which needs less of the processors than a program in Python would."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S:.0f}s", "-s", str(HERE / "closed_load.lua"), url]
    done = subprocess.run([*command, "--", str(texts), str(skip)], capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stderr)
    return report


def throughput(url: str, file: Path, routes: dict[str, list[str]], texts: list[str]) -> dict[str, Any]:
    """Queries a second, of the engine and over HTTP, round by round."""
    engine, http, ratios = [], [], []
    supply = cycle(texts)
    with harness.open_router(routes) as router:
        for number in range(ROUNDS + 1):
            some = list(islice(supply, 4000))
            own = len(some) / harness.seconds(lambda s=some: harness.at_level(router.aroute, s, CONNECTIONS))
            report = put_closed(url, file, skip=997 * number)
            if number:
                engine.append(own)
                http.append(report["per_second"])
                ratios.append(report["per_second"] / own)
    return {
        "engine_per_second": float(np.median(engine)),
        "http_per_second": float(np.median(http)),
        "http_to_engine": float(np.median(ratios)),
        "ratios": ratios,
        "last": report,
    }


def overload(url: str, file: Path, capacity: float) -> dict[str, Any]:
    """Below capacity and far above it."""
    figures: dict[str, Any] = {"capacity": capacity}
    for name, share in (("at_80", 0.8), ("at_200", 2.0)):
        figures[name] = put(url, file, rate=share * capacity, seconds=LOAD_S, skip=1234)
    answered = figures["at_200"]["ms"]["200"]["p99"]
    return {**figures, "p99_ratio": answered / figures["at_80"]["ms"]["200"]["p99"]}


def memory(url: str, file: Path, process: psutil.Process) -> dict[str, Any]:
    """Resident memory after few and after many requests."""
    asked, sizes = 0, {}
    while asked < MANY:
        report = put(url, file, connections=CONNECTIONS, seconds=5.0, skip=asked % 4001)
        asked += sum(report["statuses"].values())
        sizes[asked] = process.memory_info().rss / MB
    first = next(size for count, size in sizes.items() if count >= FEW)
    return {"requests": asked, "mb": sizes, "growth_mb": sizes[asked] - first}


def main() -> None:
    """Measure and save."""
    data = harness.arguments(__doc__)
    routes, texts = harness.work(data, 10_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "texts.txt"
        file.write_text("\n".join(texts), encoding="utf-8")
        with service(routes, folder, cache=0) as (url, _):
            figures: dict[str, Any] = {"throughput": throughput(url, file, routes, texts)}
            figures["overload"] = overload(url, file, figures["throughput"]["http_per_second"])
        with service(routes, folder, cache=4096) as (url, process):
            figures["memory"] = memory(url, file, process)
    harness.save("serving", figures)


if __name__ == "__main__":
    main()
