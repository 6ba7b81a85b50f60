"""Endpoints for those who run the service: health, figures, recent abstentions."""

from __future__ import annotations

import os
from importlib.metadata import version

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from synaptoroute_integrations.server.endpoints.shared import ServiceOf, json_of, problems, router
from synaptoroute_integrations.server.schemas import Abstentions, EncoderInfo, Health, Rule, Stats, Sync

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

watching = router(tags=["watch"])


@watching.get("/health/live", summary="Does the process live?")
async def live() -> Health:
    """Answers as long as the process does. If it does not, restart it."""
    return Health(status="alive")


@watching.get(
    "/health/ready",
    summary="Can it answer?",
    response_model=Health,
    responses={503: {"model": Health, "description": "Not now: send queries elsewhere."}},
)
async def ready(service: ServiceOf) -> Response:
    """200 once the model is loaded and warm, 503 from the moment that it is told to stop.

    503 with `stale`, too, as long as the store has not been reached for `SYNAPTOROUTE_MAX_STALENESS_S`; queries are
    answered all the same.
    """
    condition = service.condition
    status = 200 if condition == "ready" else 503
    return json_of(Health(status=condition, revision=service.router.revision), status=status)


@watching.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(),
    },
)
def metrics(service: ServiceOf) -> Response:
    """The figures of all workers."""
    service.refresh()
    return Response(service.metrics.exposition(), headers={"Content-Type": METRICS_TYPE})


@watching.get("/stats", summary="Figures for people", responses={**problems()})
async def stats(request: Request, service: ServiceOf) -> Stats:
    """Counts of the worker that answers, and what it holds."""
    router, encoder = service.router, service.router.encoder
    sync = await run_in_threadpool(router.sync_status)  # after a change, it looks at all routes
    return Stats(
        version=version("synaptoroute-integrations"),
        pid=os.getpid(),
        state=service.condition,
        uptime_s=round(service.uptime_s, 3),
        in_flight=service.in_flight,
        router=router.stats(),
        store=Sync(behind_s=round(sync.behind_s, 3), failing=sync.failing, digest=sync.digest),
        encoder=EncoderInfo(fingerprint=encoder.fingerprint, dim=encoder.dim, batch_invariant=encoder.batch_invariant),
        config=Rule(
            threshold=router.config.threshold,
            min_margin=router.config.min_margin,
            min_confidence=router.config.min_confidence,
        ),
        scope=request.state.scope,
    )


@watching.get("/abstentions", summary="Recent abstentions", responses={**problems()})
async def abstentions(service: ServiceOf) -> Abstentions:
    """What was sent nowhere of late, with its text: what the routes lack. Kept in the worker's memory only."""
    return Abstentions(abstentions=list(service.abstentions), kept=service.settings.abstentions_kept)
