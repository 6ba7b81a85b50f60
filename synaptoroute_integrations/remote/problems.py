"""From answers to the engine's values and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from synaptoroute_core import (
    CommitUncertainError,
    ConfigurationError,
    EncoderError,
    InvalidTextError,
    RevisionConflictError,
    RouteExistsError,
    RouteNotFoundError,
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    StorageError,
    SynaptoRouteError,
)
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.remote.exchange import Answer

Model = TypeVar("Model", bound=BaseModel)
Kind = TypeVar("Kind", bound=SynaptoRouteError)

SHOWN = 200
"""Characters of a foreign answer in a message."""


class RemoteError(SynaptoRouteError):
    """There is no answer, it is none of this service's, or it says that the service failed or refuses.

    Attributes:
        url: What was asked.
        status: The HTTP status; None = there was no answer.
        request_id: The request's number in the service's log, if the service gave one.
    """

    def __init__(self, message: str, *, url: str, status: int | None = None, request_id: str | None = None) -> None:
        self.url = url
        self.status = status
        self.request_id = request_id
        super().__init__(message if request_id is None else f"{message} (request {request_id})")


def unpack(answer: Answer) -> Any:
    """The data of an answer.

    Raises:
        SynaptoRouteError: It is an error, as :func:`error_of` has it; or not an answer of this service.
    """
    if answer.problem is not None:
        raise error_of(answer.problem, answer)
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES or not answer.is_json:
        raise foreign(answer)
    try:
        return json.loads(answer.content)
    except ValueError:
        raise foreign(answer) from None


def read(kind: type[Model], data: Any, answer: Answer) -> Model:
    """A value of the engine from the data of an answer; fields that a newer service has added are left out.

    Raises:
        RemoteError: The data is something else.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        added = [each["loc"] for each in error.errors(include_url=False) if each["type"] == "extra_forbidden"]
    try:
        for place in added:
            _remove(data, place)
        return kind.model_validate(data)
    except ValidationError:
        raise foreign(answer) from None


def member(data: Any, name: str, answer: Answer) -> Any:
    """One field of an answer's data.

    Raises:
        RemoteError: There is none.
    """
    if not isinstance(data, dict) or name not in data:
        raise foreign(answer)
    return data[name]


def foreign(answer: Answer) -> RemoteError:
    """The error of an answer that this service does not give."""
    text = answer.content[: 4 * SHOWN].decode(errors="replace")
    what = shorten(text, SHOWN) if text else "an empty body"
    elsewhere = f", to {shorten(answer.headers['location'])}" if "location" in answer.headers else ""
    return RemoteError(
        f"{answer.url} answered {answer.status}{elsewhere}, and not as SynaptoRoute does: {what}; check the url",
        url=answer.url,
        status=answer.status,
    )


def error_of(problem: Mapping[str, Any], answer: Answer) -> SynaptoRouteError:
    """The engine's own error that a problem (RFC 9457) stands for.

    Args:
        problem: Problem details, of the answer or of one of the texts in it.
        answer: The answer that it came in.
    """
    detail = str(problem.get("detail") or problem.get("title") or "")
    kind = kind_of(problem)
    if kind in TOLD:
        return TOLD[kind](detail)
    return MADE.get(kind, _refused)(problem, detail, answer)


def kind_of(problem: Mapping[str, Any]) -> str:
    """The last part of a problem's type."""
    return str(problem.get("type", "")).rpartition(":")[2]


def _invalid(problem: Mapping[str, Any], detail: str, _: Answer) -> ConfigurationError:
    return ConfigurationError(detail + _places(problem))


def _not_found(problem: Mapping[str, Any], detail: str, _: Answer) -> RouteNotFoundError:
    return _remade(RouteNotFoundError, detail, name=str(problem.get("name")))


def _exists(problem: Mapping[str, Any], _detail: str, _: Answer) -> RouteExistsError:
    return RouteExistsError(str(problem.get("name")))


def _conflict(problem: Mapping[str, Any], _detail: str, _: Answer) -> RevisionConflictError:
    return RevisionConflictError(_whole(problem, "expected"), _whole(problem, "revision"))


def _late(_problem: Mapping[str, Any], _detail: str, answer: Answer) -> RouterTimeoutError:
    return RouterTimeoutError(answer.timeout_s)


def _stopping(_problem: Mapping[str, Any], detail: str, answer: Answer) -> RouterClosedError:
    return RouterClosedError(f"{answer.url}: {detail}")


def _refused(problem: Mapping[str, Any], detail: str, answer: Answer) -> RemoteError:
    remedy, status = "", _whole(problem, "status") or answer.status
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = (
            "; give RemoteRouter(..., key=...) a key of that server: 'synaptoroute key NAME --scope route' makes one "
            "for asking, '--scope admin' one for editing too"
        )
    number = problem.get("request_id")
    return RemoteError(
        f"{answer.url} answered {status} ({kind_of(problem) or 'unnamed'}): {detail}{remedy}",
        url=answer.url,
        status=status,
        request_id=None if number is None else str(number),
    )


def _overloaded(problem: Mapping[str, Any], detail: str, answer: Answer) -> RouterOverloadedError:
    said = answer.retry_after_s(problem)
    return _remade(
        RouterOverloadedError,
        detail,
        pending=_whole(problem, "pending"),
        limit=_whole(problem, "limit"),
        retry_after_s=0.0 if said is None else said,
        max_queue_s=problem.get("max_queue_s"),
    )


TOLD: Mapping[str, type[SynaptoRouteError]] = {
    "commit-uncertain": CommitUncertainError,
    "encoder-error": EncoderError,
    "invalid-text": InvalidTextError,
    "storage-error": StorageError,
}
"""Kinds of problems whose detail is all that there is to say."""

MADE: Mapping[str, Callable[[Mapping[str, Any], str, Answer], SynaptoRouteError]] = {
    "draining": _stopping,
    "invalid-request": _invalid,
    "overloaded": _overloaded,
    "rate-limited": _overloaded,
    "revision-conflict": _conflict,
    "route-exists": _exists,
    "route-not-found": _not_found,
    "timeout": _late,
}
"""Kinds of problems with more fields, or that the call knows more of."""


def _remade(kind: type[Kind], message: str, **attributes: Any) -> Kind:
    """An error with the words of the service, which knows more than its constructor could be told here."""
    error = kind.__new__(kind, message)
    vars(error).update(attributes)
    return error


def _whole(problem: Mapping[str, Any], name: str) -> int:
    value = problem.get(name)
    return value if isinstance(value, int) else 0


def _places(problem: Mapping[str, Any]) -> str:
    """Where a request is wrong, unless the detail says so."""
    errors = problem.get("errors")
    if not isinstance(errors, list):
        return ""
    said = [f"{each.get('loc')}: {each.get('message')}" for each in errors if isinstance(each, dict)]
    fresh = [each for each in said if each not in str(problem.get("detail"))]
    return f" ({shorten('; '.join(fresh), SHOWN)})" if fresh else ""


def _remove(data: Any, place: tuple[int | str, ...]) -> None:
    *path, last = place
    for step in path:
        data = data[step]
    del data[last]
