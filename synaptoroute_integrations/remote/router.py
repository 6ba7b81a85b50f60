"""The client as one router."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Self

from synaptoroute_core.closing import Closing
from synaptoroute_integrations.remote.asking import RemoteAsking
from synaptoroute_integrations.remote.catalogue import Catalogue
from synaptoroute_integrations.remote.changing import RemoteChanging
from synaptoroute_integrations.remote.connections import Connections
from synaptoroute_integrations.remote.edits import Edits
from synaptoroute_integrations.remote.questions import Questions
from synaptoroute_integrations.remote.settings import RemoteSettings, Transport
from synaptoroute_integrations.remote.showing import RemoteOverview, remote_html


class RemoteRouter(RemoteAsking, RemoteChanging, Closing):
    """A router behind ``synaptoroute serve``, with the methods, values and errors of one in this process.

    For any number of threads and event loops. Nothing is asked until a method is called. Close it when done, or use
    it in a ``with`` or ``async with`` statement.

    Questions are sent again, after a pause, while the service says that it is overloaded or stopping and while it
    cannot be reached; changes only if they surely were not made. A call never takes longer than its time.

    Proxies, certificates and passwords that the environment names are not used: see ``transport`` and ``verify``.

    Args:
        url: The service's address, such as ``http://127.0.0.1:8000``; a path in front of the service's is kept.
        key: A key of the service; None = none, which does for a service without keys on this machine.
        timeout_s: Time of a call, with all its repetitions, in seconds; of a batch, of each of its requests.
        retries: How often a request is sent again, at most.
        max_texts: Most texts of one request; no more than the service takes (``SYNAPTOROUTE_MAX_TEXTS``).
        max_body_bytes: Bound on the size of requests with many texts, likewise (``SYNAPTOROUTE_MAX_BODY_BYTES``).
        headers: More headers for every request, for what stands in front of the service.
        verify: The certificates to trust: an ``ssl.SSLContext``; True = those of the package certifi.
        transport: An httpx transport to send by, such as ``httpx.HTTPTransport(proxy=...)`` for the blocking methods
            or ``httpx.AsyncHTTPTransport(proxy=...)`` for the awaitable ones, in one event loop; None = a direct
            connection.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 10.0,
        retries: int = 3,
        max_texts: int = 64,
        max_body_bytes: int = 262_144,
        headers: Mapping[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
        transport: Transport | None = None,
    ) -> None:
        self._settings = RemoteSettings(
            url=url,
            key=key,
            timeout_s=timeout_s,
            retries=retries,
            max_texts=max_texts,
            max_body_bytes=max_body_bytes,
            headers={} if headers is None else headers,
            verify=verify,
            transport=transport,
        )
        self._catalogue = Catalogue()
        self._connections = Connections(self._settings)
        self._questions = Questions(self._settings, self._catalogue)
        self._edits = Edits(self._settings, self._catalogue)

    @property
    def url(self) -> str:
        """The service's address."""
        return self._settings.url

    def close(self) -> None:
        """Close the connections of the blocking methods; those of an event loop end with it, or by :meth:`aclose`.

        Harmless when repeated. Calls then raise :class:`RouterClosedError`.
        """
        self._connections.close()

    async def aclose(self) -> None:
        """Close the connections of the blocking methods and of the running event loop."""
        await self._connections.aclose()

    def __copy__(self) -> Self:
        """Itself: whoever copies a chain shares the connections."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What it takes to reach the same service from elsewhere; the key is part of it, connections are not."""
        arguments = {name: getattr(self._settings, name) for name in RemoteSettings.__dataclass_fields__}
        return _reopen, (type(self), arguments)

    def __repr__(self) -> str:
        return f"RemoteRouter({self.url!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: what is known without a request."""
        seen = self._catalogue.seen
        return remote_html(
            RemoteOverview(
                kind=type(self).__name__,
                url=self.url,
                keyed=self._settings.key is not None,
                closed=self._connections.closed,
                revision=self._catalogue.revision,
                routes=None if seen is None else seen.routes,
                seen_at=None if seen is None else seen.revision,
            )
        )


def _reopen(kind: type[RemoteRouter], arguments: dict[str, Any]) -> RemoteRouter:
    return kind(**arguments)
