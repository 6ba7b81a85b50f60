"""A network that fails: a TCP proxy, which cuts, refuses, delays, loses and holds back what it carries."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

UP, DOWN = "up", "down"
"""To the server, and to its client."""
BOTH = frozenset({UP, DOWN})
WRITING, COMMITTING = (b"synaptoroute_", b"XADD"), (b"COMMIT", b"XADD")
"""What goes to PostgreSQL (the channel to notify) and to Redis when a change is written; and when it is committed."""
PIECE = 4096
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
PORTS = range(15_000, 30_000)
"""Below those that the system hands out by itself: one that is free for a while is not taken by a passing client."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with the network.

    Attributes:
        cut: Whether the connections that there are get reset as it begins.
        refused: Whether there can be no new one.
        delay_s: How much later each piece arrives.
        bytes_per_s: How much passes in a second, in each direction; None = all.
        held: Directions in which pieces wait until the fault is over, whether or not the sender waits as well.
        lost: Directions in which pieces, and the ends of connections, are swallowed. A connection that lost one never
            carries anything in this direction again: the other side is left with an open connection to nobody.
        at_commit: Whether it begins as the next change is being committed, and not at once.
        alone: Whether it then befalls only the connection on which that happens.
    """

    cut: bool = False
    refused: bool = False
    delay_s: float = 0.0
    bytes_per_s: float | None = None
    held: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    at_commit: bool = False
    alone: bool = False


CALM = Fault()
HALF_OPEN = Fault(lost=BOTH)
AWAY = Fault(cut=True, refused=True)


def draw_fault(chance: random.Random) -> Fault:
    """One of all kinds."""
    some = chance.choice([frozenset({UP}), frozenset({DOWN}), BOTH])
    when = chance.choice([{}, {"at_commit": True}, {"at_commit": True, "alone": True}])
    lasting = chance.random() < 0.5
    return chance.choice(
        [
            Fault(cut=True, refused=lasting, **when),
            Fault(refused=True),
            Fault(delay_s=chance.uniform(0.01, 0.4)),
            Fault(bytes_per_s=chance.uniform(2_000, 40_000)),
            Fault(held=some, refused=lasting, **when),
            Fault(lost=some, refused=lasting, **when),
        ]
    )


def draw_schedule(chance: random.Random, proxies: int, length_s: float) -> list[tuple[float, int, Fault]]:
    """Times in seconds at which a fault begins, or ends, at a proxy; in order."""
    events = []
    for proxy in range(proxies):
        at_s = chance.uniform(0.0, length_s / 3)
        while at_s < length_s:
            events.append((at_s, proxy, draw_fault(chance) if chance.random() < 0.8 else CALM))
            at_s += chance.uniform(0.05, length_s / 2)
    return sorted(events, key=lambda event: event[0])


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


@dataclass(eq=False)
class _Link:
    """A connection of a client, and the one to the server that belongs to it, when there is one."""

    writers: list[asyncio.StreamWriter]
    deaf: set[str] = field(default_factory=set)
    writes: bool = False
    fault: Fault | None = None

    def reset(self) -> None:
        for writer in self.writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()


class Proxy:
    """Stands before a server, in a thread of its own.

    Args:
        url: The server's.

    Attributes:
        url: The same, of the proxy.
        accepted: How many connections clients have made.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self._port = free_port()
        user, at, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self._port}"))
        self.accepted = 0
        self._fault = CALM
        self._coming: Fault | None = None
        self._links: set[_Link] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._listening: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._turned = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._turn(CALM))
        return self

    def __exit__(self, *exc: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def suffer(self, fault: Fault) -> None:
        """Begin a fault, in the place of the one before it."""
        self._do(self._turn(fault))

    def heal(self) -> None:
        """End it. What was held back is delivered now; what was lost stays so."""
        self.suffer(CALM)

    def _do(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _turn(self, fault: Fault) -> None:
        self._coming = replace(fault, at_commit=False) if fault.at_commit else None
        if self._coming is not None:
            return
        self._fault = fault
        for link in self._links:
            link.fault = None
        self._turned.set()
        self._turned = asyncio.Event()
        if fault.refused and self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        elif not fault.refused and self._listening is None:
            self._listening = socket.create_server(("127.0.0.1", self._port))
            self._loop.add_reader(self._listening, self._accept, self._listening)
        if fault.cut:
            for link in self._links:
                link.reset()

    async def _end(self) -> None:
        await self._turn(AWAY)
        await asyncio.sleep(0.02)  # a connection that is just being accepted is one then, and can be reset
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _accept(self, listening: socket.socket) -> None:
        # asyncio's own server loses a connection that comes as it is closed, and leaves it open.
        connection, _ = listening.accept()
        self.accepted += 1
        self._carrying.add(task := self._loop.create_task(self._carry(connection)))
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        link = _Link([writer])
        self._links.add(link)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            link.writers.append(far_writer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(link, UP, reader, far_writer))
                tasks.create_task(self._pump(link, DOWN, far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the server is not there, or this proxy ends
        finally:
            self._links.discard(link)
            link.reset()

    async def _pump(
        self, link: _Link, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if direction == UP:
                    await self._note(link, piece)
                if await self._passes(link, direction, len(piece)):
                    writer.write(piece)
                    await writer.drain()
        if await self._passes(link, direction, 0):
            writer.close()

    async def _note(self, link: _Link, piece: bytes) -> None:
        """Begin the fault that is to begin at a commit, if this is one."""
        link.writes |= any(word in piece for word in WRITING)
        if link.writes and any(word in piece for word in COMMITTING):
            link.writes = False
            coming = self._coming
            if coming is not None and coming.alone:
                link.fault, self._coming = coming, None
                if coming.cut:
                    link.reset()
            elif coming is not None:
                await self._turn(coming)

    async def _passes(self, link: _Link, direction: str, size: int) -> bool:
        """Wait until a piece may go on, and say whether it does."""
        fault = link.fault or self._fault
        if direction in fault.lost:
            link.deaf.add(direction)
        if direction in link.deaf:
            return False
        await asyncio.sleep(fault.delay_s + (size / fault.bytes_per_s if fault.bytes_per_s else 0.0))
        while direction in (link.fault or self._fault).held:
            await self._turned.wait()
        return True
