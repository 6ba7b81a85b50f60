"""Bodies read strictly: what is not JSON by the letter of its standard is refused, in words that help."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from synaptoroute_core.errors import shorten
from synaptoroute_core.text import replace_surrogates
from synaptoroute_core.types import MAX_JSON_DEPTH, is_shallow
from synaptoroute_integrations.server.problems import ProblemError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def parse_json(body: bytes) -> Any:
    """The value of a JSON text. Lone surrogates in strings become U+FFFD, as in the engine.

    Raises:
        ProblemError: It is not JSON: not UTF-8, with ``NaN``, nested too deeply, with a name twice in one object,
            or otherwise broken.
    """
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
        if text.count("[") + text.count("{") > MAX_JSON_DEPTH and not is_shallow(value):
            raise _malformed(f"it is nested more than {MAX_JSON_DEPTH} deep")
        return _without_surrogates(value) if "\\u" in text else value
    except RecursionError:
        raise _malformed("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:  # numbers that Python does not read
        raise _malformed(str(error)) from None


class StrictRequest(Request):
    """A request whose body is JSON by its media type and by the letter."""

    async def json(self) -> Any:
        """The body's value."""
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """An endpoint that reads its body strictly."""

    def get_route_handler(self) -> Handler:
        """The endpoint's handler."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None

        async def strict(request: Request) -> Response:
            if takes_json:
                _require_json(request.headers.get("content-type"))
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


class DirectRoute(StrictRoute):
    """An endpoint that is given its body and the request, and nothing else.

    Where all depends on how little a request costs, it goes without what the framework does for endpoints that
    may ask for anything; it is described like any other.
    """

    def get_route_handler(self) -> Handler:
        """The endpoint's handler."""
        endpoint = self.endpoint
        kind: type[BaseModel] = get_type_hints(endpoint)["query"]

        async def direct(request: Request) -> Response:
            _require_json(request.headers.get("content-type"))
            try:
                query = kind.model_validate(parse_json(await request.body()))
            except ValidationError as error:
                found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
                raise RequestValidationError(found) from None
            response: Response = await endpoint(query=query, request=request)
            return response

        return direct


def _require_json(content_type: str | None) -> None:
    """Check the media type. Pages of other origins cannot send this one without asking first."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        given = "no Content-Type" if content_type is None else f"Content-Type {content_type[:80]!r}"
        raise ProblemError(415, "unsupported-media-type", f"{given}: send the body as application/json")


def _refuse(constant: str) -> None:
    raise _malformed(f"{constant} is no JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. One with a name twice is read in one way here and in another by the next program."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _malformed(f"{shorten(name)} is twice in one object")
        found[name] = value
    return found


def _malformed(what: str) -> ProblemError:
    return ProblemError(400, "malformed-json", f"the body cannot be read: {what}")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value
