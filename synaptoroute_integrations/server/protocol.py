"""HTTP connections that cannot be held open for nothing: bounds on the time and size of what is no request yet."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S = 10.0
MAX_HEAD_BYTES = 32_768
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
UNREAD_BODY_TIMEOUT_S = 10.0
"""What a client gets to send the rest of a body that was answered before its end, and is not read."""


class PatientProtocol(HttpToolsProtocol):
    """Closes connections whose request head does not arrive in time, or has no end.

    Without it, a client that sends a byte a minute keeps its connection for ever.
    """

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _in_body = False
    _heads = 0
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins: of a connection that is kept alive, the next one."""
        super().on_message_begin()
        if not self._in_head:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._stop_waiting()
        self._in_head, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._in_body = False
        if not self._in_head:
            self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered, perhaps before its end."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._wait(UNREAD_BODY_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        before = self._heads
        super().data_received(data)
        # What holds the end of one request and the beginning of the next tells nothing of the next one's head.
        if not self._in_head or self._heads != before:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Pass over the wish for another protocol, as HTTP has it: some clients send it with every first request.

        The parser has taken it for granted, and what comes behind the head for the other protocol.
        """

    def _wait_for_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._heads += 1
        self._wait(HEAD_TIMEOUT_S)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self.transport.close()
