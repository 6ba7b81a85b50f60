"""HTTP connections that cannot be held open for nothing, and that answer in one piece."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S = 10.0
MAX_HEAD_BYTES = 32_768
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
UNREAD_TIMEOUT_S = 10.0
"""What a client gets to send the rest of a request that was answered before its end; the rest is not read."""
PIECE_BYTES = 65_536
"""What is gathered at most: the transport must learn of more, to say when the client does not keep up."""
FRAMING = (b"content-length", b"transfer-encoding")


class Gathering:
    """A transport that sends what is written within one step of the event loop in one piece.

    The server writes the head and the body of an answer apart, and each piece costs a call into the system and
    wakes the client.

    Args:
        transport: The connection's.
        loop: Its event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._gathered = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send soon."""
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)
        self._gathered += len(data)
        if self._gathered > PIECE_BYTES:
            self._send()

    def close(self) -> None:
        """Send what was written, and close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))


class PatientProtocol(HttpToolsProtocol):
    """Closes connections whose request head does not arrive in time, or has no end.

    Without it, a client that sends a byte a minute keeps its connection for ever.
    """

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _in_body = False
    _heads = 0
    _head_bytes = 0
    _fed = b""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]  # to all that is used
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
        """The request is whole."""
        self._stop_waiting()
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered, perhaps before its end."""
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete and not self.transport.is_closing():
            self._wait(UNREAD_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        heads, self._fed = self._heads, data
        super().data_received(data)
        # What holds the end of one request and the beginning of the next says nothing of the next one's head.
        if not self._in_head or heads != self._heads:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Pass over the wish for another protocol, as HTTP has it; some clients send it with every first request.

        The parser believes that the other protocol is spoken from the end of the head on, so another one reads on.
        """
        stopped = sys.exception()
        offset = stopped.args[0] if isinstance(stopped, httptools.HttpParserUpgrade) else len(self._fed)
        framing = [name + b": " + value + b"\r\n" for name, value in self.headers if name in FRAMING]
        if framing:
            self._in_body = self.cycle.more_body = True
            self.cycle.message_event.clear()
        self.parser = httptools.HttpRequestParser(_Rest(self))
        super().data_received(b"".join([b"POST / HTTP/1.1\r\n", *framing, b"\r\n"]))
        self._fed = self._fed[offset:]  # in which the next request may wish for the same
        super().data_received(self._fed)

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


class _Rest:
    """Tells a protocol of all but the first head, which it knows already."""

    def __init__(self, protocol: PatientProtocol) -> None:
        self._protocol = protocol
        self._knows_head = True

    def on_message_begin(self) -> None:
        if not self._knows_head:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._knows_head:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._knows_head:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._knows_head:
            self._protocol.on_headers_complete()
        self._knows_head = False

    def on_body(self, body: bytes) -> None:
        self._protocol.on_body(body)

    def on_message_complete(self) -> None:
        self._protocol.on_message_complete()
