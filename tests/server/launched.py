"""Servers as processes of any kind, and clients that tell a broken answer from none at all."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

WAIT_S = 60
JSON = "application/json"
NDJSON = "application/x-ndjson"

NONE, BROKEN, WHOLE = "none", "broken", "whole"


def wait_until(condition: Callable[[], Any], timeout: float = WAIT_S, every: float = 0.02) -> Any:
    """What ``condition`` gives once it is truthy; fails if that takes too long."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(every)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@dataclass(frozen=True)
class Got:
    """An answer to a GET."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


def get(url: str, path: str, connection: http.client.HTTPConnection | None = None) -> Got:
    """An answer, over a connection of its own unless one is given. Cheaper than httpx, which prepares for TLS."""
    with contextlib.ExitStack() as stack:
        if connection is None:
            connection = stack.enter_context(closing(connect(url)))
        connection.request("GET", path)
        response = connection.getresponse()
        return Got(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def figures(url: str) -> dict[str, float]:
    """The figures of ``/metrics``, by name and labels."""
    lines = get(url, "/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def is_ready(url: str) -> bool:
    try:
        return get(url, "/health/ready").status_code == 200
    except (OSError, http.client.BadStatusLine):
        return False


# --- processes -------------------------------------------------------------------------------------


@dataclass
class Launched:
    """A process that serves at ``url``, and what it says on standard error."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)
    _reading: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._reading = threading.Thread(target=lambda: self.lines.extend(self.process.stderr or ()), daemon=True)
        self._reading.start()

    def wait_ready(self) -> "Launched":
        wait_until(lambda: self.process.poll() is not None or is_ready(self.url))
        assert self.process.poll() is None, self.text()
        return self

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = WAIT_S) -> int:
        """Its exit code."""
        code = self.process.wait(timeout)
        self._reading.join(WAIT_S)
        return code

    def text(self) -> str:
        return "".join(self.lines)

    def family(self) -> list[psutil.Process]:
        """Its children and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.family() if "spawn_main" in " ".join(child.cmdline())]


Launch = Callable[..., Launched]


@contextlib.contextmanager
def launching(folder: Path) -> Iterator[Launch]:
    """Starts processes in a folder; what is left of them at the end is killed."""
    started: list[Launched] = []

    def start(command: list[str], port: int, **environment: str) -> Launched:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(launched := Launched(process, f"http://127.0.0.1:{port}"))
        return launched

    try:
        yield start
    finally:
        for launched in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(launched.process.pid, signal.SIGKILL)
            launched.end()
            launched.process.stderr.close()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts processes."""
    with launching(tmp_path) as start:
        yield start


@pytest.fixture
def launch_serve(launch: Launch) -> Launch:
    """Starts ``synaptoroute serve``; returns before it is ready."""
    return serving(launch)


def serving(launch: Launch) -> Launch:
    """What starts ``synaptoroute serve``; it returns before that is ready."""

    def start(*arguments: str, **environment: str) -> Launched:
        port = free_port()
        return launch(
            ["-m", "synaptoroute_integrations", "serve", "--port", str(port), *arguments], port, **environment
        )

    return start


@pytest.fixture
def launch_script(launch: Launch, tmp_path: Path) -> Launch:
    """Starts a script, which finds its port in ``sys.argv[1]``."""

    def start(script: str, **environment: str) -> Launched:
        port = free_port()
        path = tmp_path / "served.py"
        path.write_text(script, encoding="utf-8")
        return launch([str(path), str(port)], port, **environment)

    return start


# --- clients ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What became of one request: an answer, a broken one, or none."""

    sent_at: float
    kind: str
    status: int = 0
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)


def ask(connection: http.client.HTTPConnection, path: str, body: bytes, media_type: str = JSON) -> Answer:
    """Ask over a connection that stays open if the server lets it."""
    sent_at = time.monotonic()
    try:
        connection.request("POST", path, body, {"Content-Type": media_type})
        response = connection.getresponse()
    except (OSError, http.client.BadStatusLine):
        connection.close()
        return Answer(sent_at, NONE)
    return read(response, sent_at, connection)


def read(response: http.client.HTTPResponse, sent_at: float, connection: Any) -> Answer:
    try:
        return Answer(sent_at, WHOLE, response.status, response.read())
    except (OSError, http.client.HTTPException):
        connection.close()
        return Answer(sent_at, BROKEN, response.status)


class Clients:
    """Threads that ask again and again over connections of their own, until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.answers: list[Answer] = []
        self._url = url
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, path: str, bodies: Callable[[int], bytes], media_type: str = JSON) -> None:
        """One more client; ``bodies`` gives the body of its request of a number."""

        def work() -> None:
            connection, number = connect(self._url), 0
            while not self._stopping.is_set():
                self.answers.append(answer := ask(connection, path, bodies(number), media_type))
                number += 1
                if answer.kind != WHOLE:
                    time.sleep(0.01)
            connection.close()

        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(WAIT_S)


class SlowRequest:
    """A request of which a part is sent, and the rest when the test says so."""

    def __init__(self, url: str, path: str, body: bytes, media_type: str = JSON, *, receive_bytes: int = 0) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(30)
        self.socket.connect((parts.hostname, parts.port))
        self.sent_at = time.monotonic()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}"
        self.socket.sendall(head.encode() + b"\r\n\r\n" + body[:-2])
        self._rest = body[-2:]

    def finish(self) -> None:
        self.socket.sendall(self._rest)

    def answer(self) -> Answer:
        with self.socket:
            response = http.client.HTTPResponse(self.socket)
            try:
                response.begin()
            except (OSError, http.client.BadStatusLine):
                return Answer(self.sent_at, NONE)
            return read(response, self.sent_at, self.socket)

    def answer_slowly(self, every: float) -> Answer:
        """The answer, taken in small pieces."""
        with self.socket:
            response = http.client.HTTPResponse(self.socket)
            response.begin()
            pieces: list[bytes] = []
            try:
                while piece := response.read(16_384):
                    pieces.append(piece)
                    time.sleep(every)
            except (OSError, http.client.HTTPException):
                return Answer(self.sent_at, BROKEN, response.status, b"".join(pieces))
            return Answer(self.sent_at, WHOLE, response.status, b"".join(pieces))


def text(query: str) -> bytes:
    return json.dumps({"text": query}).encode()


def texts(*queries: str) -> bytes:
    return json.dumps({"texts": queries}).encode()


def lines(*queries: str) -> bytes:
    return "".join(json.dumps(query) + "\n" for query in queries).encode()
