"""Errors as answers: problem details (RFC 9457), which say what is wrong and nothing of the insides."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from synaptoroute_core import (
    CommitUncertainError,
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    InvalidTextError,
    RevisionConflictError,
    RouteExistsError,
    RouteNotFoundError,
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    StorageError,
)
from synaptoroute_core.text import replace_surrogates
from synaptoroute_core.words import counted, verb

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:synaptoroute:"
MAX_DETAIL_CHARS = 1000

TITLES = {
    "malformed-json": "The body is not JSON",
    "unauthorized": "A key is needed",
    "forbidden": "The key does not allow this",
    "not-found": "There is nothing here",
    "route-not-found": "There is no such route",
    "method-not-allowed": "This cannot be done here",
    "request-timeout": "The request did not arrive in time",
    "route-exists": "The route exists already",
    "revision-conflict": "The routes were changed meanwhile",
    "payload-too-large": "The request is too large",
    "unsupported-media-type": "The body must be JSON",
    "invalid-text": "A text cannot be used",
    "invalid-request": "The request is not valid",
    "overloaded": "Too much is waiting",
    "rate-limited": "Too many requests",
    "internal": "The service failed",
    "encoder-error": "The model failed",
    "encoder-mismatch": "The store has another model's vectors",
    "storage-error": "The store failed",
    "commit-uncertain": "The change may have been made",
    "draining": "The service is stopping",
    "timeout": "There was no decision in time",
}

STATUS_SLUGS = {404: "not-found", 405: "method-not-allowed", 413: "payload-too-large", 400: "invalid-request"}


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it; some kinds carry more fields.

    Attributes:
        type: ``urn:synaptoroute:`` and the kind.
        title: The kind in words.
        status: The HTTP status.
        detail: What is wrong here and what to do about it.
        request_id: The request, as in the log and in ``X-Request-ID``.
        errors: For an invalid request, each place and what is wrong there.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:synaptoroute:route-not-found",
                    "title": TITLES["route-not-found"],
                    "status": 404,
                    "detail": "no route is named 'refnd'; did you mean 'refund'?",
                    "request_id": "5f0c6f2e9a1b4d0c",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[dict[str, Any]] | None = Field(default=None)


class ProblemError(HTTPException):
    """Ends a request with a problem.

    Args:
        status: The HTTP status.
        slug: The kind, one of ``TITLES``.
        detail: What is wrong here.
        headers: More headers of the answer.
        **more: More fields of the problem.
    """

    def __init__(
        self, status: int, slug: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.slug = slug
        self.more = more

    @property
    def is_refusal(self) -> bool:
        """Whether nothing is wrong with the request, and it may succeed later."""
        return self.status_code in (429, 503)

    def body(self, request_id: str | None = None) -> dict[str, Any]:
        """The problem as JSON data."""
        detail = replace_surrogates(str(self.detail))
        found = {
            "type": NAMESPACE + self.slug,
            "title": TITLES[self.slug],
            "status": self.status_code,
            "detail": detail if len(detail) <= MAX_DETAIL_CHARS else detail[:MAX_DETAIL_CHARS] + "...",
            **self.more,
        }
        return found if request_id is None else {**found, "request_id": request_id}

    def response(self, request_id: str | None) -> Response:
        """The problem as an answer."""
        text = json.dumps(self.body(request_id), ensure_ascii=False, allow_nan=False)
        return Response(
            replace_surrogates(text), status_code=self.status_code, media_type=MEDIA_TYPE, headers=self.headers
        )


def retry_later(status: int, slug: str, detail: str, seconds: float, **headers: str) -> ProblemError:
    """A problem that passes: whole seconds in ``Retry-After``, as HTTP has it, and exact ones in the body."""
    after = {"Retry-After": str(max(1, math.ceil(seconds)))}
    return ProblemError(status, slug, detail, headers={**after, **headers}, retry_after_s=round(seconds, 4))


def draining() -> ProblemError:
    """The service is stopping, and this connection should not be used again."""
    detail = "this server answers what it has accepted and takes no more: ask another, or try again"
    return retry_later(503, "draining", detail, 1.0, Connection="close")


def given_up(*, changes: bool) -> ProblemError:
    """The service stops before a request is done.

    Args:
        changes: Whether it is one to change something: that goes on in the engine, where a store that does not
            answer may hold it up, and may be made after all.
    """
    return _uncertain("the service is stopping") if changes else draining()


def problem_of(error: Exception, *, in_path: bool = False) -> ProblemError:
    """The problem that an error of the engine is. What is no mistake of the client's says nothing of the insides.

    Args:
        error: What was raised.
        in_path: Whether the request's path names the route.
    """
    if isinstance(error, ProblemError):
        return error
    if in_path and isinstance(error, RouteNotFoundError):
        return ProblemError(404, "route-not-found", str(error), name=shorten_name(error.name))
    for kind, made in KINDS:
        if isinstance(error, kind):
            return made(error)
    return ProblemError(500, "internal", "the service failed; its log says more under this request's number")


def _overloaded(error: RouterOverloadedError) -> ProblemError:
    waiting = f"{counted(error.pending, 'text')} {verb(error.pending, 'waits', 'wait')}"
    detail = f"{waiting}: try again in {error.retry_after_s:.2f} s"
    found = retry_later(429, "overloaded", detail, error.retry_after_s)
    found.more |= {"pending": error.pending, "limit": error.limit, "max_queue_s": error.max_queue_s}
    return found


def _conflict(error: RevisionConflictError) -> ProblemError:
    return ProblemError(412, "revision-conflict", str(error), expected=error.expected, revision=error.current)


def _exists(error: RouteExistsError) -> ProblemError:
    detail = f"a route named {error.name!r} exists already: replace it with PUT, or add utterances to it"
    return ProblemError(409, "route-exists", detail, name=error.name)


def _uncertain(why: str) -> ProblemError:
    # No Retry-After: many a client repeats a 503 with it by itself.
    detail = f"{why}: the change may have been made, or not; read the routes before you repeat it"
    return ProblemError(503, "commit-uncertain", detail)


def _mismatch(_: EncoderMismatchError) -> ProblemError:
    detail = (
        "nothing was changed: the store was encoded anew by a service with another model, and this one cannot change "
        "it any more; ask that one"
    )
    return retry_later(503, "encoder-mismatch", detail, 1.0)


KINDS: tuple[tuple[type[Exception], Callable[[Any], ProblemError]], ...] = (
    (InvalidTextError, lambda error: ProblemError(422, "invalid-text", str(error))),
    (
        RouteNotFoundError,
        lambda error: ProblemError(422, "route-not-found", str(error), name=shorten_name(error.name)),
    ),
    (RouteExistsError, _exists),
    (RevisionConflictError, _conflict),
    (ConfigurationError, lambda error: ProblemError(422, "invalid-request", str(error))),
    (RouterOverloadedError, _overloaded),
    (RouterTimeoutError, lambda error: ProblemError(504, "timeout", str(error))),
    (RouterClosedError, lambda _: draining()),
    (CommitUncertainError, lambda _: _uncertain("the store broke off")),
    (StorageError, lambda _: retry_later(503, "storage-error", "the store failed; nothing was changed", 1.0)),
    (EncoderMismatchError, _mismatch),
    (EncoderError, lambda _: ProblemError(500, "encoder-error", "the model could not encode a text")),
)
"""What the engine's errors are to a client; the first that fits counts."""


def shorten_name(name: object) -> str:
    """A name that a client sent, for the way back."""
    return replace_surrogates(str(name))[:128]
