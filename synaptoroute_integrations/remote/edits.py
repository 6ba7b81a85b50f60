"""What a client changes, as operations that either colour can carry out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from synaptoroute_core import ConfigurationError, Receipt, RevisionConflictError, Route, RouteNotFoundError
from synaptoroute_core.changing import require_routes
from synaptoroute_core.errors import shorten
from synaptoroute_core.types import clean_threshold, unique_utterances
from synaptoroute_integrations.remote.catalogue import Catalogue, body_of
from synaptoroute_integrations.remote.exchange import Deadline, Operation, Request
from synaptoroute_integrations.remote.problems import read, unpack
from synaptoroute_integrations.remote.settings import RemoteSettings


class Edits:
    """Operations that change routes; ``expected`` is the revision that a change is meant for, None = any.

    Args:
        settings: The client's.
        catalogue: Its memory of the routes.
    """

    def __init__(self, settings: RemoteSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue

    def put(self, route: Route, expected: int | None, *, overwrite: bool) -> Operation[Receipt]:
        """Add a route, or replace the one of its name."""
        (checked,) = require_routes([route])
        body = body_of(checked)
        deadline = self._deadline()
        if not overwrite:
            return (yield from self._edit("POST", "/routes", body, expected, deadline))
        del body["name"]
        return (yield from self._edit("PUT", path_of(checked.name), body, expected, deadline))

    def remove(self, name: str, expected: int | None) -> Operation[Receipt]:
        """Remove a route."""
        deadline = self._deadline()
        path = path_of((yield from self._catalogue.require_name(name, deadline)))
        return (yield from self._edit("DELETE", path, None, expected, deadline))

    def change_utterances(
        self, method: str, name: str, texts: Iterable[str], expected: int | None
    ) -> Operation[Receipt]:
        """Add utterances to a route (``POST``), or remove some (``DELETE``)."""
        unique = unique_utterances(texts)
        deadline = self._deadline()
        if not unique:
            return (yield from self._unchanged(name, expected, deadline))
        path = path_of((yield from self._catalogue.require_name(name, deadline))) + "/utterances"
        return (yield from self._edit(method, path, {"utterances": list(unique)}, expected, deadline))

    def set_threshold(self, name: str, value: float | None, expected: int | None) -> Operation[Receipt]:
        """Set the least score of a route."""
        body = {"threshold": clean_threshold(value)}
        deadline = self._deadline()
        path = path_of((yield from self._catalogue.require_name(name, deadline)))
        return (yield from self._edit("PATCH", path, body, expected, deadline))

    def _edit(
        self, method: str, path: str, body: Mapping[str, Any] | None, expected: int | None, deadline: Deadline
    ) -> Operation[Receipt]:
        headers = {} if expected is None else {"If-Match": f'"{clean_revision(expected)}"'}
        answer = yield Request(
            method=method, path=path, body=body, headers=headers, deadline=deadline, repeatable=False
        )
        receipt = read(Receipt, unpack(answer), answer)
        self._catalogue.note(receipt.revision)
        return receipt

    def _unchanged(self, name: str, expected: int | None, deadline: Deadline) -> Operation[Receipt]:
        """The receipt of a change by no utterances, which needs no edit but has the same conditions."""
        known = yield from self._catalogue.routes(deadline)
        revision = self._catalogue.revision or 0
        if expected is not None and clean_revision(expected) != revision:
            raise RevisionConflictError(expected, revision)
        if name not in known:
            raise RouteNotFoundError(name, known)
        return Receipt(revision=revision, changed=0)

    def _deadline(self) -> Deadline:
        return Deadline(self._settings.timeout_s)


def clean_revision(value: object) -> int:
    """The value, if it can be a revision.

    Raises:
        ConfigurationError: It is not a whole number of 0 or more.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"expected_revision = {shorten(value)}: use a whole number from 0, or None")
    return value


def path_of(name: str) -> str:
    """The path of a route. Dots are quoted too: ``..`` would lead elsewhere."""
    return "/routes/" + quote(name, safe="").replace(".", "%2E")
