"""Prometheus metrics of the service."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from synaptoroute_core import BatchReport, RouterStats, SyncStatus
from synaptoroute_core.types import Reason
from synaptoroute_integrations.server.processes import is_alive
from synaptoroute_integrations.server.settings import metrics_folder

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
NO_ROUTE = ""
DIGEST_DIGITS = 12
"""Of the digest, in hexadecimal: 48 bits, which a floating-point number holds exactly."""


class Metrics:
    """What is counted. Labels are bounded: paths are templates, routes are those that exist.

    Args:
        shared: Whether several processes add to the same figures.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.registry = registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._taken_over = {"cache_hits": 0, "encoded": 0}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"synaptoroute_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, mode: Literal["livesum", "livemin", "livemax"]) -> Gauge:
            return Gauge(f"synaptoroute_{name}", text, registry=registry, multiprocess_mode=mode)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"synaptoroute_{name}", text, labels, registry=registry, buckets=buckets)

        self._requests = counter("requests_total", "Requests by outcome.", "method", "path", "status")
        self._request_seconds = histogram("request_seconds", "Time from request to answer.", SECONDS, "path")
        self._decisions = counter("decisions_total", "Decisions; no route is an abstention.", "route", "reason")
        self._abstentions = counter("abstentions_total", "Texts that were sent nowhere.", "reason")
        self._batch_size = histogram("batch_size", "Texts that a worker thread took at once.", SIZES)
        self._encode_seconds = histogram("encode_seconds", "Time to encode a batch.", SECONDS)
        self._pending = gauge("pending", "Texts waiting or running in the engine.", "livesum")
        self._in_flight = gauge("in_flight", "Requests at work.", "livesum")
        self._cache_hits = counter("cache_hits_total", "Texts that needed no encoding.")
        self._encoded = counter("encoded_total", "Texts that were encoded.")
        self._rejected = counter("rejected_total", "Requests refused, by why.", "reason")
        self._revision = gauge("revision", "Revision of the routes; of several processes, the oldest.", "livemin")
        self._routes = gauge("routes", "Routes.", "livemax")
        self._utterances = gauge("utterances", "Utterances.", "livemax")
        self._behind_seconds = gauge(
            "store_behind_seconds", "Time since all that is in the store was known to be here.", "livemax"
        )
        self._failing = gauge("store_failing", "1 if the store cannot be followed, else 0.", "livemax")
        self._digest = gauge(
            "routes_digest", "A number that is the same wherever routes, thresholds and fits are.", "livemax"
        )

    @classmethod
    def for_process(cls) -> Metrics:
        """Metrics of this process: shared with others if the metrics library was told of a folder."""
        folder = metrics_folder()
        if folder is None:
            return cls()
        forget_dead(folder)
        return cls(shared=True)

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, path, status).inc()
        self._request_seconds.labels(path).observe(seconds)

    def decision(self, route: str | None, reason: Reason) -> None:
        """Count a decision; None = an abstention."""
        self._decisions.labels(route or NO_ROUTE, reason).inc()
        if route is None:
            self._abstentions.labels(reason).inc()

    def rejected(self, reason: str) -> None:
        """Count a request that was refused though nothing was wrong with it."""
        self._rejected.labels(reason).inc()

    def batch(self, report: BatchReport) -> None:
        """Count a batch of the engine's."""
        self._batch_size.observe(report.queries)
        if report.encoded:
            self._encode_seconds.observe(report.encode_s)

    def refresh(self, stats: RouterStats, sync: SyncStatus, in_flight: int) -> None:
        """Take over what the engine counts itself."""
        with self._lock:
            self._take_over(self._cache_hits, "cache_hits", stats.cache_hits)
            self._take_over(self._encoded, "encoded", stats.encoded)
        self._pending.set(stats.pending)
        self._in_flight.set(in_flight)
        self._revision.set(stats.revision)
        self._routes.set(stats.routes)
        self._utterances.set(stats.utterances)
        self._behind_seconds.set(sync.behind_s)
        self._failing.set(sync.failing is not None)
        self._digest.set(int(sync.digest[:DIGEST_DIGITS], 16))

    def _take_over(self, counter: Counter, name: str, count: int) -> None:
        more = count - self._taken_over[name]
        if more > 0:  # else another thread was here with figures that were taken later
            counter.inc(more)
            self._taken_over[name] = count

    def exposition(self) -> bytes:
        """All figures in Prometheus' text format; of all processes, if they share them."""
        if not self.shared:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def close(self) -> None:
        """Take what this process holds at the moment out of the shared figures; its counts stay."""
        if self.shared:
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def forget_dead(folder: Path) -> None:
    """Take the momentary figures of dead processes out; their counts stay."""
    for pid in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}:
        if pid.isdigit() and not is_alive(int(pid)):
            multiprocess.mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]
