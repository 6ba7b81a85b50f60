"""Endpoints that decide: one text, several, a stream of them, and why."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from synaptoroute_core import (
    Decision,
    EncoderError,
    Explanation,
    RouteOptions,
    RouterOverloadedError,
    SynaptoRouteError,
)
from synaptoroute_core.text import MAX_TEXT_CHARS
from synaptoroute_integrations.server.endpoints.shared import BODY, JSON, ServiceOf, json_of, problems, router
from synaptoroute_integrations.server.logs import cause_of
from synaptoroute_integrations.server.problems import ProblemError, problem_of
from synaptoroute_integrations.server.schemas import ExplainQuery, Outcome, Outcomes, RouteQuery
from synaptoroute_integrations.server.service import Service
from synaptoroute_integrations.server.strict import DirectRoute, parse_json
from synaptoroute_integrations.server.waiting import while_connected

NDJSON = "application/x-ndjson"
STREAM_BATCH = 64
STREAM_PATIENCE_S = 30.0
"""How long a stream waits for room when others fill the engine."""

logger = logging.getLogger(__name__)
asking = router(tags=["ask"])


async def route(query: RouteQuery, request: Request) -> Response:
    """One text gets its decision. Several get `results` in their order, each a decision or what is wrong with it."""
    service: Service = request.app.state.service
    options = await _options(service, query)
    if query.text is not None:
        timeout = query.timeout_s
        decision = await while_connected(request, service.router.aroute(query.text, options=options, timeout=timeout))
        if not query.trial:
            service.note(query.text, decision)
        return Response(decision.model_dump_json(), media_type=JSON)
    texts = query.texts or []
    if len(texts) > service.settings.max_texts:
        raise ProblemError(
            413,
            "payload-too-large",
            f"there are {len(texts):,} texts and the limit is {service.settings.max_texts:,}: send them in parts, "
            "or as a stream to /route/stream",
        )
    each = asyncio.wait_for(service.router.aroute_each(texts, options=options), query.timeout_s)
    try:
        answers = await while_connected(request, each)
    except TimeoutError:
        raise ProblemError(504, "timeout", f"no decisions within {query.timeout_s:g} s") from None
    _log_failures(request, answers)
    if not query.trial:
        _note(service, texts, answers)
    return json_of(Outcomes(results=[_outcome(answer) for answer in answers]))


asking.add_api_route(
    "/route",
    route,
    methods=["POST"],
    summary="Choose a route for a text, or abstain",
    response_model=Decision | Outcomes,
    responses={**problems(*BODY, 500, 504)},
    route_class_override=DirectRoute,
)


@asking.post(
    "/route/stream",
    summary="Choose routes for many texts",
    response_class=StreamingResponse,
    responses={
        200: {"description": "A line for each line.", "content": {NDJSON: {"schema": {"type": "string"}}}},
        **problems(*BODY),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {NDJSON: {"schema": {"type": "string"}, "example": '"where is my parcel"\n{"text": "hello"}\n'}},
        }
    },
)
async def stream(
    request: Request,
    service: ServiceOf,
    allowed: Annotated[list[str] | None, Query(description="Names of the routes to choose from.")] = None,
) -> Response:
    """Each line of the body is a JSON string, or an object with `text`; each line of the answer, in the same order,
    an object with `decision` or `error`. A line that cannot be used gets its error and does not end the stream.
    """  # noqa: D205  # one paragraph on the API page
    if (request.headers.get("content-type") or "").partition(";")[0].strip().lower() != NDJSON:
        raise ProblemError(415, "unsupported-media-type", f"send the body as {NDJSON}, a JSON value a line")
    options = RouteOptions(allowed=allowed)
    service.router.choices(allowed or ())  # names that are not there: the status cannot be taken back later
    return StreamingResponse(_answers(request, service, await request.body(), options), media_type=NDJSON)


@asking.post("/explain", summary="Say why a text is decided as it is", responses={**problems(*BODY, 500)})
async def explain(query: ExplainQuery, request: Request, service: ServiceOf) -> Explanation:
    """The decision, the nearest utterances of all routes, and what would turn it."""
    return await while_connected(request, service.router.aexplain(query.text, allowed=query.allowed))


async def _options(service: Service, query: RouteQuery) -> RouteOptions | None:
    """The options of a query; None = as the router has it, which is the fast way."""
    given = query.model_fields_set - {"text", "texts", "timeout_s", "trial"}
    if not given:
        return None
    allowed = query.allowed if query.extra is None else await service.choices(query.allowed, query.extra)
    return RouteOptions(
        allowed=allowed,
        threshold=query.threshold,
        min_margin=query.min_margin,
        max_candidates=query.max_candidates,
    )


def _note(service: Service, texts: Sequence[str], answers: Sequence[Decision | SynaptoRouteError]) -> None:
    for text, answer in zip(texts, answers, strict=True):
        if isinstance(answer, Decision):
            service.note(text, answer)


def _outcome(answer: Decision | SynaptoRouteError) -> Outcome:
    if isinstance(answer, Decision):
        return Outcome(decision=answer)
    return Outcome.model_validate({"error": problem_of(answer).body()})


def _log_failures(request: Request, answers: Sequence[Decision | SynaptoRouteError]) -> None:
    """Say in the log that the model failed, which the answers do not say much of."""
    failures = [answer for answer in answers if isinstance(answer, EncoderError)]
    if failures:
        number = request.scope["state"].get("request_id")
        logger.error("request %s: %d texts failed: %s", number, len(failures), cause_of(failures[0]))


async def _answers(request: Request, service: Service, body: bytes, options: RouteOptions) -> AsyncIterator[bytes]:
    lines = (line for line in BytesIO(body) if line.strip())  # one by one: a few bytes of a body make a line
    while read := [_read(line) for line in islice(lines, STREAM_BATCH)]:
        texts = [text for text in read if isinstance(text, str)]
        answers = await _patiently(service, texts, options)
        _log_failures(request, answers)
        _note(service, texts, answers)
        following = iter(answers)
        for text in read:
            outcome = (
                _outcome(next(following)) if isinstance(text, str) else Outcome.model_validate({"error": text.body()})
            )
            yield outcome.model_dump_json().encode() + b"\n"


async def _patiently(
    service: Service, texts: Sequence[str], options: RouteOptions
) -> Sequence[Decision | SynaptoRouteError]:
    """Decisions on a part of a stream, which waits for room rather than failing half-way."""
    deadline = time.monotonic() + STREAM_PATIENCE_S
    while True:
        try:
            return await service.router.aroute_each(texts, options=options)
        except RouterOverloadedError as error:
            if time.monotonic() > deadline:
                return [error] * len(texts)
            await asyncio.sleep(max(error.retry_after_s, 0.01))
        except SynaptoRouteError as error:
            return [error] * len(texts)


def _read(line: bytes) -> str | ProblemError:
    """The text of a line, or what is wrong with the line."""
    try:
        value: Any = parse_json(line)
    except ProblemError as problem:
        return problem
    text = value.get("text") if isinstance(value, dict) and set(value) == {"text"} else value
    if not isinstance(text, str):
        return ProblemError(422, "invalid-request", "a line must be a JSON string, or an object with just text")
    if len(text) > MAX_TEXT_CHARS:
        return ProblemError(
            422, "invalid-text", f"the text has {len(text):,} characters, the limit is {MAX_TEXT_CHARS:,}"
        )
    return text
