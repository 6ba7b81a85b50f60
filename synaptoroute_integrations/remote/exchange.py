"""One request and its repetitions, without any input or output: what to send, and what to make of what came.

Both colours of the client send and wait; what is sent again, and when, is decided here alone.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import httpx

from synaptoroute_core import RouterTimeoutError

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_TIMEOUT_S = 3.0
"""A lost connection attempt is made again while there is time; an answer is waited for as long as there is."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
SPREAD = 0.25
"""Share of a pause that is left to chance, so that clients refused together do not come back together."""
LEAST_SENT_S, MOST_SENT_S = 0.001, 3600.0
"""What the service takes as a time limit."""

TOO_MANY, BAD_GATEWAY, UNAVAILABLE = 429, 502, 503
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before the first byte of a request left."""
UNKNOWN = "whether the change was made is not known: look at the routes before you repeat it"


class Deadline:
    """The time that a call has.

    Args:
        timeout_s: Seconds from now.
        clock: Gives seconds.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._end = clock() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 or less when it is over."""
        return self._end - self._clock()


class _StepLimits(dict[str, float | None]):
    """The limits that httpx asks for when a step begins: what is left by then, so that the steps share the time."""

    def __init__(self, deadline: Deadline) -> None:
        left = deadline.left_s
        super().__init__(connect=left, read=left, write=left, pool=left)
        self._deadline = deadline

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        left = max(self._deadline.left_s, LEAST_SENT_S)
        return min(left, CONNECT_TIMEOUT_S) if key == "connect" else left


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be asked.

    Attributes:
        method: The HTTP method.
        path: Below the service's address, quoted.
        deadline: Until when, repetitions and pauses included.
        body: JSON data; None = no body.
        headers: More headers.
        repeatable: Changes nothing, so it may be sent again even if it may have arrived.
        limited: The service is to give up when the time is over: the body gets a ``timeout_s``.
    """

    method: str
    path: str
    deadline: Deadline
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    limited: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By name, in any case.
        content: The body.
        url: What was asked.
        timeout_s: The time that the call had.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str
    timeout_s: float

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"

    @cached_property
    def problem(self) -> Mapping[str, Any] | None:
        """Its problem details; None if it has none."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        try:
            data = json.loads(self.content)
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    def retry_after_s(self, problem: Mapping[str, Any] | None) -> float | None:
        """In how many seconds to come again: exactly, from the problem, or whole ones, from the header."""
        for value in ((problem or {}).get("retry_after_s"), self.headers.get("retry-after")):
            try:
                seconds = float(value)  # type: ignore[arg-type]  # fails for None, and for a date
            except (TypeError, ValueError):
                continue
            if math.isfinite(seconds) and seconds >= 0:
                return seconds
        return None


Operation: TypeAlias = Generator[Request, Answer, T]
"""What a method does: yields requests, is sent their answers, and returns its result. Colourless."""


class Exchange:
    """Judges each attempt at a request.

    Args:
        request: What is asked.
        url: The whole address of it.
        retries: How often to send it again, at most.
        chance: Gives numbers from 0 to 1.
    """

    def __init__(
        self, request: Request, *, url: str, retries: int, chance: Callable[[], float] = random.random
    ) -> None:
        self.request = request
        self.url = url
        self._retries = retries
        self._chance = chance
        self._failed = 0

    def left_s(self) -> float:
        """Seconds for the next attempt.

        Raises:
            RouterTimeoutError: There are none.
        """
        left = self.request.deadline.left_s
        if left <= 0:
            raise self.out_of_time(sent=False)
        return left

    def extensions(self) -> dict[str, Any]:
        """What httpx is to know of the next attempt: the limit of each of its steps.

        Raises:
            RouterTimeoutError: There is no time for it.
        """
        self.left_s()
        return {"timeout": _StepLimits(self.request.deadline)}

    def content(self) -> bytes | None:
        """The body of the next attempt."""
        body = self.request.body
        if body is None:
            return None
        if self.request.limited:
            body = {**body, "timeout_s": min(max(self.request.deadline.left_s, LEAST_SENT_S), MOST_SENT_S)}
        return encoded(body)

    def headers(self) -> dict[str, str]:
        """The headers of each attempt."""
        kind = {} if self.request.body is None else {"Content-Type": "application/json"}
        return {**kind, **self.request.headers}

    def answer(self, response: httpx.Response, content: Iterable[bytes]) -> Answer:
        """What came back, read while there is time: a body may come byte by byte.

        Raises:
            RouterTimeoutError: The time was over first.
        """
        parts = []
        for part in content:
            parts.append(part)
            if self.request.deadline.left_s <= 0:
                raise self.out_of_time(sent=True)
        return Answer(
            status=response.status_code,
            headers=response.headers,
            content=b"".join(parts),
            url=self.url,
            timeout_s=self.request.deadline.timeout_s,
        )

    def pause_after(self, answer: Answer) -> float | None:
        """Seconds to wait before sending again; None = the answer is what there is."""
        if answer.status not in (TOO_MANY, BAD_GATEWAY, UNAVAILABLE):
            return None
        # Refused before anything was done, by the service itself or, with 429, by what stands before it.
        undone = answer.status == TOO_MANY or str((answer.problem or {}).get("type")).endswith(":draining")
        if not self.request.repeatable and not undone:
            return None
        return self._pause(answer.retry_after_s(answer.problem) or 0.0, f"the answer was {answer.status}")

    def pause_after_failure(self, error: httpx.RequestError) -> float | None:
        """Seconds to wait before sending again; None = there will be no answer.

        Raises:
            RouterTimeoutError: The time is over.
        """
        unsent = isinstance(error, UNSENT)
        waited = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
        if waited or self.request.deadline.left_s <= 0:
            raise self.out_of_time(sent=not unsent) from None
        if not unsent and not self.request.repeatable:
            return None
        return self._pause(0.0, repr(error))

    def out_of_time(self, *, sent: bool) -> RouterTimeoutError:
        """The error for a call whose time is over; of an edit that was sent, it says that it may have been made."""
        error = RouterTimeoutError(self.request.deadline.timeout_s)
        if sent and not self.request.repeatable:
            error.add_note(UNKNOWN)
        return error

    def _pause(self, least_s: float, why: str) -> float | None:
        """How long to wait, if there is another attempt and time for it."""
        if self._failed >= self._retries:
            return None
        pause = max(least_s, min(FIRST_PAUSE_S * 2.0**self._failed, LONGEST_PAUSE_S))
        pause *= 1 + SPREAD * self._chance()
        if pause >= self.request.deadline.left_s:
            return None  # what is known now is worth more than a timeout later
        self._failed += 1
        logger.debug("%s %s again in %.3f s: %s", self.request.method, self.url, pause, why)
        return pause


def encoded(data: object) -> bytes:
    """JSON as it is sent; what cannot be said in UTF-8 is escaped."""
    return json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
