"""What the service holds while it runs: the router, and what its endpoints share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from starlette.concurrency import run_in_threadpool

from synaptoroute_core import AdaptiveRouter, Choices, Decision, FastEmbedEncoder, RouterConfig, load_routes
from synaptoroute_integrations.addresses import masked
from synaptoroute_integrations.server.auth import KeyRing
from synaptoroute_integrations.server.jobs import JobDesk
from synaptoroute_integrations.server.metrics import Metrics
from synaptoroute_integrations.server.pulse import Pulse
from synaptoroute_integrations.server.rates import RateLimiter
from synaptoroute_integrations.server.schemas import Abstention, Condition, RouteBody
from synaptoroute_integrations.server.settings import ServerSettings
from synaptoroute_integrations.server.tracing import Tracing

logger = logging.getLogger(__name__)

Phase: TypeAlias = Literal["starting", "ready", "draining"]

CHOICES_KEPT = 64
MEMORY = ":memory:"
REFRESH_S = 0.5
"""How old the engine's figures may be that one worker shows of another."""
EXTRA = "(extra)"
"""In figures, every route that came with its request: clients must not make labels."""
CLOSE_S = 1.0
"""What the engine gets to end what is at work: what was accepted has been answered before."""


class Service:
    """The one mutable thing of an application. For one event loop.

    Args:
        settings: Settings.
        router: The router, if the caller has one; it is then not closed here.
    """

    def __init__(self, settings: ServerSettings, router: AdaptiveRouter | None = None) -> None:
        self.settings = settings
        self.keys = KeyRing.from_settings(settings)
        self.metrics = Metrics.for_process()
        self.tracing = Tracing.if_installed()
        self.phase: Phase = "starting"
        self._start = secrets.token_hex(4) if settings.db is None and (settings.routes or router is None) else None
        self.gave_up = False
        self.stop_by = 0.0  # of time.monotonic(), once it was told to stop
        self.abstentions: deque[Abstention] = deque(maxlen=settings.abstentions_kept)
        rate = settings.rate_limit
        burst = settings.rate_burst or max(1, int(2 * (rate or 0)))
        self.limiter = None if rate is None else RateLimiter(rate, burst)
        self._router = router
        self._given = router is not None
        self._started = time.monotonic()
        self._inside: set[asyncio.Task[Any]] = set()
        self._choices: OrderedDict[str, Choices] = OrderedDict()
        self._jobs: JobDesk | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._pulse: Pulse | None = None

    @property
    def router(self) -> AdaptiveRouter:
        """The router.

        Raises:
            RuntimeError: The application was not started.
        """
        if self._router is None:
            raise RuntimeError("the application's lifespan was not run: serve it with an ASGI server")
        return self._router

    @property
    def epoch(self) -> str | None:
        """Tells routes from others whose revisions count from 0 too, of another start or another store; None = none."""
        return self._start if self._start is not None else self.router.epoch

    @property
    def jobs(self) -> JobDesk:
        """Where long work is handed in.

        Raises:
            RuntimeError: The application was not started.
        """
        if self._jobs is None:
            raise RuntimeError("the application's lifespan was not run: serve it with an ASGI server")
        return self._jobs

    @property
    def condition(self) -> Condition:
        """The phase; or ``stale`` if it would be ready, but for too long has not known what is in its store."""
        limit_s = self.settings.max_staleness_s
        if self.phase != "ready" or limit_s is None or self.router.config.follow_interval_s == 0:
            return self.phase
        return "stale" if self.router.behind_s > limit_s else "ready"

    @property
    def in_flight(self) -> int:
        """Requests at work."""
        return len(self._inside)

    @property
    def late_s(self) -> float:
        """Seconds that a request waits before it is looked at."""
        return 0.0 if self._pulse is None else self._pulse.late_s

    @property
    def uptime_s(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    # --- beginning and ending ------------------------------------------------------------------

    async def start(self) -> None:
        """Open the router and have it encode something: the first query is then as fast as any."""
        if self._router is None:
            self._router = await asyncio.to_thread(open_router, self.settings)
        await asyncio.to_thread(self._router.encoder.encode, ["warm"])
        self._router.observe_batches(self.metrics.batch)
        runtime_dir = self.settings.runtime_dir
        self._jobs = JobDesk(None if runtime_dir is None else Path(runtime_dir) / "jobs", self._router)
        self.refresh()
        self._refreshing = asyncio.create_task(self._keep_fresh())
        self._pulse = Pulse()
        if self.phase == "starting":
            self.phase = "ready"
        count, revision = len(self._router.routes), self._router.revision
        logger.info("ready: %d routes at revision %d%s", count, revision, self._whence())

    def _whence(self) -> str:
        """Where the routes are, for the log: of several stores, one is easily taken for another."""
        if self.settings.db is not None:
            return f", kept in {masked(self.settings.db)}"
        return "" if self.settings.routes is None else f", of the file {self.settings.routes}"

    async def stop(self) -> None:
        """Let go of everything; what was accepted has been answered."""
        self.phase = "draining"
        if self._refreshing is not None:
            self._refreshing.cancel()
        if self._pulse is not None:
            self._pulse.stop()
        if self._jobs is not None:
            await asyncio.to_thread(self._jobs.close, CLOSE_S)
        if self._router is not None:
            self._router.observe_batches(None)
            if not self._given:
                await asyncio.to_thread(self._router.close)
                self._router = None
        self.metrics.close()
        logger.info("stopped")

    def stop_jobs(self) -> None:
        """Have the jobs end soon; does not wait for it."""
        if self._jobs is not None:
            self._jobs.stop()

    async def give_up(self) -> None:
        """Have those who are still inside answered that the service is stopping."""
        self.gave_up = True
        inside = tuple(self._inside)
        for task in inside:
            task.cancel()
        if inside:
            await asyncio.wait(inside, timeout=CLOSE_S)

    def discard_files(self) -> None:
        """Remove what was only for this process."""
        if self._jobs is not None:
            self._jobs.discard()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Count the current task as a request at work."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request must be served by a task of asyncio")
        self._inside.add(task)
        try:
            yield
        finally:
            self._inside.discard(task)

    # --- watching ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the figures up to date."""
        router = self.router
        self.metrics.refresh(router.stats(), router.sync_status(), self.in_flight)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await run_in_threadpool(self.refresh)  # after a change, all routes are looked at for their digest

    def note(self, text: str, decision: Decision) -> None:
        """Count a decision, and remember an abstention."""
        known = decision.route is None or decision.route in self.router.routes
        self.metrics.decision(decision.route if known else EXTRA, decision.reason)
        if self.tracing is not None:
            self.tracing.decided(decision)
        if decision.route is not None:
            return
        if self.settings.abstentions_kept:
            self.abstentions.appendleft(Abstention(text=text, at=datetime.now(UTC), decision=decision))
        if self.settings.log_queries:
            fields = {"reason": decision.reason, "score": decision.score}
            logger.info("abstained: %s", json.dumps(text), extra={"fields": fields})

    # --- choices -------------------------------------------------------------------------------

    async def choices(self, allowed: Sequence[str] | None, extra: Sequence[RouteBody]) -> Choices:
        """A choice with routes that came with the request; encoded once for like requests.

        Raises:
            RouteNotFoundError: ``allowed`` names a route that is not there.
            ConfigurationError: Two of the routes have one name, or one is not valid.
            InvalidTextError: An utterance is not usable.
        """
        names = sorted(set(allowed or ()))
        key = json.dumps([names, [route.model_dump() for route in extra]])
        found = self._choices.get(key)
        if found is None or any(name not in self.router.routes for name in names):
            found = await self.router.achoices(names, [route.named() for route in extra])
            self._choices[key] = found
            if len(self._choices) > CHOICES_KEPT:
                self._choices.popitem(last=False)
        else:
            self._choices.move_to_end(key)
        return found


def open_router(settings: ServerSettings) -> AdaptiveRouter:
    """The router that the settings describe.

    Raises:
        ConfigurationError: The route file is not one, or a setting is not valid.
        EncoderError: The model cannot be loaded.
        StorageError: The store cannot be opened.
    """
    chosen: dict[str, Any] = {"threshold": settings.threshold, "min_margin": settings.min_margin}
    config = RouterConfig(
        max_pending=settings.max_pending,
        max_queue_s=settings.max_queue_s,
        cache_size=settings.cache_size,
        timeout_s=settings.timeout_s,
        drain_timeout_s=CLOSE_S,
        on_encoder_change="raise",
        **{name: value for name, value in chosen.items() if value is not None},
    )
    given = load_routes(settings.routes) if settings.routes is not None else ()
    encoder = None if settings.encoder is None else FastEmbedEncoder(settings.encoder)
    return AdaptiveRouter(given, encoder=encoder, store=settings.db or MEMORY, config=config)
