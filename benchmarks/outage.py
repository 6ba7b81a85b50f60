"""The database is killed under load: what becomes of the queries, and how soon all is as before.

Two replicas of the service share the routes, and each gets queries that arrive at random and are in no cache. The
database is killed as ``kill -9`` does it, with all of its processes, and started again; then a change is made at one
replica. Whoever has no program to run such a server gets the reason in the place of figures.

The database is one of our own, in a folder that is gone afterwards; it, both replicas and the load share the machine.
The bound on the queue is off: what fails here fails for want of the database.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import harness
import load
import psutil
import psycopg
import redis
from tables import number, table

from synaptoroute_core import AdaptiveRouter, Route

RATE = 20.0
"""Queries a second to each replica."""
PART_S = 10.0
"""Before, during and after."""
PATIENCE_S = 60.0
LOOK_S = 0.02
DONE = 200
SERVER_USER = "postgres"
"""Root may not run PostgreSQL; Debian's package brings this user."""


# --- servers -------------------------------------------------------------------------------------


class Server:
    """A database server as a process of its own.

    Args:
        url: Where it will answer.
        command: What runs it.
        ask: Fails while it does not answer.
    """

    def __init__(self, url: str, command: list[str], ask: Callable[[], object]) -> None:
        self.url = url
        self._command = command
        self._ask = ask
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self._command[0]} does not answer")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """End it and its processes, at once."""
        if self._process is not None:
            first = psutil.Process(self._process.pid)
            for each in (first, *first.children(recursive=True)):
                each.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            self._ask()
        except (psycopg.OperationalError, redis.ConnectionError):
            return False
        return True


def postgres(folder: Path) -> Server | str:
    """A PostgreSQL server with its own settings as they come, or why there is none."""
    found = [shutil.which("initdb"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)]
    programs = next((Path(one).resolve().parent for one in found if one), None)
    if programs is None:
        return "initdb is not installed"
    before = []
    if os.geteuid() == 0:
        shutil.chown(folder, SERVER_USER, SERVER_USER)
        before = ["setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups"]
    data, port = str(folder / "data"), free_port()
    make = [*before, str(programs / "initdb"), "-A", "trust", "-U", "postgres", "-D", data]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder}
    run = [*before, str(programs / "postgres"), "-D", data]
    run += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Server(url, run, lambda: psycopg.connect(url, connect_timeout=2).close())


def redis_server(folder: Path) -> Server | str:
    """A Redis server that has what it acknowledged on disk, or why there is none."""
    program, port = shutil.which("redis-server"), free_port()
    if program is None:
        return "redis-server is not installed"
    run = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    run += ["--appendonly", "yes", "--appendfsync", "always"]
    url = f"redis://127.0.0.1:{port}/0"

    def ask() -> None:
        with redis.Redis.from_url(url) as client:
            client.ping()

    return Server(url, run, ask)


SERVERS: dict[str, Callable[[Path], Server | str]] = {"PostgreSQL": postgres, "Redis": redis_server}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- replicas and their queries ------------------------------------------------------------------


@contextmanager
def replica(store: str, log: Path) -> Iterator[str]:
    """The service as a process of its own; its URL."""
    port = free_port()
    settings = {"SYNAPTOROUTE_DB": store, "SYNAPTOROUTE_CACHE_SIZE": "0", "SYNAPTOROUTE_MAX_QUEUE_S": "none"}
    command = [sys.executable, "-m", "synaptoroute_integrations", "serve", "--port", str(port)]
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(command, stderr=said, env={**os.environ, **settings})
        try:
            until(lambda: process.poll() is not None or " ready: " in log.read_text(encoding="utf-8"))
            if process.poll() is not None:
                raise SystemExit(log.read_text(encoding="utf-8"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


class Queries(load.Load):
    """Notes of each query when it was due, and how long it took from then on."""

    def __init__(self, url: str, texts: list[str]) -> None:
        super().__init__(url, texts)
        self.noted: list[tuple[float, int, float]] = []

    async def _ask(self, due: float) -> None:
        connection = self.free.pop() if self.free else await self.connect()
        status = await connection.ask(next(self.requests))
        self.noted.append((due, status, time.perf_counter() - due))
        if status:
            self.free.append(connection)


def call(url: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Status and answer of a request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data, {"Content-Type": "application/json"})  # noqa: S310  # ours
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def change(url: str, name: str, text: str, receipts: list[dict[str, Any]]) -> int:
    """Add an utterance to a route; the status."""
    status, receipt = call(url, f"/routes/{name}/utterances", {"utterances": [text]})
    receipts.append(receipt)
    return status


def until(condition: Callable[[], object]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("it took too long")
        time.sleep(LOOK_S)


def alike(urls: list[str], revision: int) -> bool:
    """Whether all follow the store again, are at a revision, and have the same routes."""
    found = [call(url, "/stats")[1] for url in urls]
    follow = all(each["store"]["failing"] is None and each["router"]["revision"] == revision for each in found)
    return follow and len({each["store"]["digest"] for each in found}) == 1


# --- measured ------------------------------------------------------------------------------------


def outage(server: Server, folder: Path, routes: dict[str, list[str]], texts: list[str]) -> dict[str, Any]:
    """Kill a server between two replicas and start it again."""
    with ExitStack() as stack:
        server.start()
        stack.callback(server.kill)
        with AdaptiveRouter([Route(name, some) for name, some in routes.items()], store=server.url) as router:
            name = next(iter(router.routes))
        urls = [stack.enter_context(replica(server.url, folder / f"log{each}.txt")) for each in range(2)]
        queries = [Queries(url, texts[each::2]) for each, url in enumerate(urls)]
        asking = stack.enter_context(ThreadPoolExecutor()).submit(asyncio.run, ask_all(queries))
        time.sleep(PART_S)
        killed = time.perf_counter()
        server.kill()
        time.sleep(PART_S / 2)
        refused = change(urls[0], name, "made while there is no store", [])
        time.sleep(max(0.0, killed + PART_S - time.perf_counter()))
        server.start()
        back = time.perf_counter()
        receipts: list[dict[str, Any]] = []
        until(lambda: change(urls[0], name, "made afterwards", receipts) == DONE)
        until(lambda: alike(urls, receipts[-1]["revision"]))
        alike_s = time.perf_counter() - back
        asking.result()
    noted = [one for each in queries for one in each.noted]
    parts = {
        "before": [taken for due, _, taken in noted if due < killed],
        "during": [taken for due, _, taken in noted if killed <= due < back],
        "after": [taken for due, _, taken in noted if due >= back],
    }
    answered = sum(status == DONE for _, status, _ in noted)
    return {
        "answered": answered,
        "failed": len(noted) - answered + sum(len(each.seconds[-1]) for each in queries),
        "change_without_a_store": refused,
        "away_s": back - killed,
        "alike_s": alike_s,
        **{name: {"queries": len(taken), **harness.percentiles(taken)} for name, taken in parts.items()},
    }


async def ask_all(queries: list[Queries]) -> None:
    """Load on all replicas at the same time."""
    await asyncio.gather(*(each.open(RATE, 3 * PART_S) for each in queries))


def page(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    done = {name: at for name, at in figures.items() if "skipped" not in at}

    def times(part: str) -> list[str]:
        return [f"{number(at[part]['p50'])}, {number(at[part]['p99'])} ms" for at in done.values()]

    rows = [
        ["queries answered, failed", *(f"{at['answered']:,}, {at['failed']}" for at in done.values())],
        ["a query before: p50, p99", *times("before")],
        ["the same while the server is away", *times("during")],
        ["the same afterwards", *times("after")],
        ["a change while it is away: status", *(at["change_without_a_store"] for at in done.values())],
        [
            "from its first answer until both follow again and are equal",
            *(f"{number(at['alike_s'])} s" for at in done.values()),
        ],
    ]
    skipped = [f"{name}: left out, {at['skipped']}" for name, at in figures.items() if "skipped" in at]
    return "\n".join([table(["", *done], rows), *skipped])


def main() -> None:
    """Measure, save, and print a table."""
    routes, texts = harness.work(harness.arguments(__doc__), 10_000)
    figures: dict[str, Any] = {}
    for name, made in SERVERS.items():
        with tempfile.TemporaryDirectory(prefix="synaptoroute-") as home, tempfile.TemporaryDirectory() as logs:
            server = made(Path(home))
            figures[name] = (
                {"skipped": server} if isinstance(server, str) else outage(server, Path(logs), routes, texts)
            )
    harness.save("outage", figures)
    print(page(figures))


if __name__ == "__main__":
    main()
