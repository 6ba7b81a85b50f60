"""Requests as bytes: what no client library would send."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from synaptoroute_core import HashingEncoder, Route

PATIENCE_S = 30
ROUTES = (
    Route("refund", ["I want my money back", "refund my order"]),
    Route("track", ["where is my parcel", "track my order"]),
)
SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass
class Answer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        return self.problem["type"].removeprefix("urn:synaptoroute:")


@contextlib.contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """A connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as connection:
        yield connection


def send(url: str, *pieces: bytes, pause_s: float = 0.0) -> list[Answer]:
    """All answers that come before the server closes; the last request should ask for that."""
    with connected(url) as connection:
        # A server that has said no need not read on: its answer counts all the same.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
        return answers_in(read_all(connection))


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            found += piece
    return found


def read_one(connection: socket.socket) -> Answer:
    """The next answer of a connection that stays open."""
    found = b""
    while not (answers := answers_in(found, partial=True)):
        piece = connection.recv(65_536)
        assert piece, "the connection was closed"
        found += piece
    return answers[0]


def answers_in(text: bytes, *, partial: bool = False) -> list[Answer]:
    """The answers in what a server sent."""
    answers = []
    while text:
        head, found, rest = text.partition(b"\r\n\r\n")
        if partial and not found:
            break
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body, rest = _unchunked(rest)
        else:
            length = int(headers.get("content-length", 0))
            if partial and len(rest) < length:
                break
            body, rest = rest[:length], rest[length:]
        answers.append(Answer(int(status.split()[1]), headers, body))
        text = rest
    return answers


def _unchunked(text: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, text = text.partition(b"\r\n")
        count = int(size, 16)
        if count == 0:
            return body, text.removeprefix(b"\r\n")
        body, text = body + text[:count], text[count + 2 :]


def head(line: str, *lines: str, host: str = "localhost", close: bool = True) -> bytes:
    """The head of a request."""
    more = ["Connection: close"] if close else []
    return "\r\n".join([line, f"Host: {host}", *more, *lines, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *lines: str, close: bool = True) -> bytes:
    """A request with a JSON body."""
    length = f"Content-Length: {len(body)}"
    return head(f"POST {path} HTTP/1.1", "Content-Type: application/json", length, *lines, close=close) + body


class SlowEncoder(HashingEncoder):
    """Waits at a gate before it encodes, and keeps what it was asked."""

    def __init__(self, gate) -> None:
        super().__init__()
        self.gate = gate
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        assert self.gate.wait(PATIENCE_S)
        return super().encode(texts)


@dataclass
class FailingEncoder(HashingEncoder):
    """Fails on texts with a word in them, and tells of the text in its error."""

    word: str = "explode"
    dim: int = 256
    error: type[Exception] = RuntimeError
    failed: list[str] = field(default_factory=list)

    fingerprint = "failing/256"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        for text in texts:
            if self.word in text:
                self.failed.append(text)
                raise self.error(f"/opt/model/secret.onnx: cannot encode {text!r}")
        return super().encode(texts)
