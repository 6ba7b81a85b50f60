"""Puts a load on an HTTP service and says how it was answered; a program of its own, so that it has its own cores.

Closed: each of N connections asks again as soon as it was answered. Open: queries arrive at random at a rate that
does not care how the service is doing, each over a free connection, and time counts from when it was due. Texts
are the lines of a file, in turn. Writes one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import defaultdict
from itertools import cycle
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np

MOST_CONNECTIONS = 4000
PATIENCE_S = 30.0


class Connection(asyncio.Protocol):
    """One connection: a query, its answer, the next query."""

    def __init__(self) -> None:
        self.buffer = b""
        self.answered: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Note the status once the whole answer is there."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self.buffer = b""
            self._end(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Whoever waits learns that there is no answer."""
        self.transport = None
        self._end(0)

    async def ask(self, request: bytes) -> int:
        """Send a request; its status, 0 if the connection was lost."""
        if self.transport is None:
            return 0
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answered

    def _end(self, status: int) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(status)


class Load:
    """Requests and what became of them."""

    def __init__(self, url: str, texts: list[str]) -> None:
        parts = urlsplit(url)
        self.address = parts.hostname or "127.0.0.1", parts.port or 80
        self.requests = cycle([self._request(text) for text in texts])
        self.seconds: defaultdict[int, list[float]] = defaultdict(list)
        self.free: list[Connection] = []
        self.opened = 0

    def _request(self, text: str) -> bytes:
        body = json.dumps({"text": text}).encode()
        host, port = self.address
        head = f"POST /route HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    async def connect(self) -> Connection:
        """A new connection."""
        self.opened += 1
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self.address)
        return connection

    async def closed(self, connections: int, seconds: float) -> None:
        """Each connection asks as fast as it is answered."""
        end = time.perf_counter() + seconds

        async def client() -> None:
            connection = await self.connect()
            while (started := time.perf_counter()) < end:
                self.seconds[await connection.ask(next(self.requests))].append(time.perf_counter() - started)

        await asyncio.gather(*(client() for _ in range(connections)))

    async def open(self, rate: float, seconds: float) -> None:
        """Queries arrive at random, ``rate`` per second on average."""
        chance, asked = random.Random(1), set()
        due, end = time.perf_counter(), time.perf_counter() + seconds
        while due < end:
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            task = asyncio.create_task(self._ask(due))
            asked.add(task)
            task.add_done_callback(asked.discard)
            due += chance.expovariate(rate)
        await asyncio.wait(asked, timeout=PATIENCE_S) if asked else None
        self.seconds[-1] += [PATIENCE_S] * len(asked)

    async def _ask(self, due: float) -> None:
        connection = self.free.pop() if self.free else await self.connect()
        status = await connection.ask(next(self.requests))
        self.seconds[status].append(time.perf_counter() - due)
        if status and self.opened < MOST_CONNECTIONS:
            self.free.append(connection)

    def report(self, seconds: float) -> dict[str, object]:
        """How many were answered how, and how fast."""
        return {
            "per_second": len(self.seconds[200]) / seconds,
            "statuses": {str(status): len(times) for status, times in self.seconds.items() if times},
            "ms": {
                str(status): {f"p{q}": float(np.percentile(times, q)) * 1e3 for q in (50, 95, 99)}
                for status, times in self.seconds.items()
                if times
            },
        }


def main() -> None:
    """Put the load on and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--connections", type=int, help="closed load")
    parser.add_argument("--rate", type=float, help="open load, queries a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--skip", type=int, default=0, help="texts to leave out at the beginning")
    given = parser.parse_args()
    texts = given.texts.read_text(encoding="utf-8").splitlines()
    load = Load(given.url, texts[given.skip :] + texts[: given.skip])
    import uvloop

    run = load.closed(given.connections, given.seconds) if given.connections else load.open(given.rate, given.seconds)
    uvloop.run(run)
    print(json.dumps(load.report(given.seconds)))


if __name__ == "__main__":
    main()
