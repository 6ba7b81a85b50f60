"""Contenders that each live in a process of their own, asked one query after another.

ONNX Runtime's thread pools wait for work by spinning: two sessions of one process take the processors from
each other, and whoever is asked second looks slow.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import harness

from synaptoroute_core import BundledEncoder

Routes = dict[str, list[str]]
CORES = os.cpu_count() or 1


def _floor(threads: int) -> Callable[[Routes], Callable[[str], object]]:
    def build(routes: Routes) -> Callable[[str], object]:
        import rivals

        return rivals.Floor(routes, threads=threads).one

    return build


def _ours(threads: int) -> Callable[[Routes], Callable[[str], object]]:
    return lambda routes: harness.open_router(routes, encoder=BundledEncoder(threads=threads)).route


def _rival(name: str, *, own: bool) -> Callable[[Routes], Callable[[str], object]]:
    def build(routes: Routes) -> Callable[[str], object]:
        import rivals

        one: Callable[[str], object] = getattr(rivals, name)(routes, own=own).one
        return one

    return build


CONTENDERS: dict[str, Callable[[Routes], Callable[[str], object]]] = {
    "floor, 1 thread": _floor(1),
    f"floor, {CORES} threads": _floor(CORES),
    "route": _ours(1),
    f"route, BundledEncoder(threads={CORES})": _ours(CORES),
    "synaptoroute 0.4.1": _rival("Article", own=True),
    "synaptoroute 0.4.1, our encoder": _rival("Article", own=False),
    "semantic-router 1.1.1": _rival("Peer", own=True),
    "semantic-router 1.1.1, our encoder": _rival("Peer", own=False),
}


class Contender:
    """A process that times queries when asked to."""

    def __init__(self, name: str, routes: Routes) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, name, routes), daemon=True)
        self._process.start()
        far.close()

    def ready(self) -> None:
        """Wait until it has loaded its model."""
        self._pipe.recv()

    def times(self, texts: Sequence[str]) -> list[float]:
        """Seconds of each text, asked one after the other."""
        self._pipe.send(list(texts))
        taken: list[float] = self._pipe.recv()
        return taken

    def end(self) -> None:
        """Stop the process."""
        self._pipe.close()
        self._process.join(30)


@contextmanager
def contenders(routes: Routes) -> Iterator[dict[str, Contender]]:
    """All of them, loaded one after the other."""
    loaded: dict[str, Contender] = {}
    try:
        for name in CONTENDERS:
            loaded[name] = Contender(name, routes)
            loaded[name].ready()
        yield loaded
    finally:
        for each in loaded.values():
            each.end()


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """One processor kept busy by somebody else."""
    process = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, name: str, routes: Routes) -> None:
    ask: Any = CONTENDERS[name](routes)
    pipe.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            texts = pipe.recv()
            ask("a query between, to bring the weights back")
            pipe.send([harness.seconds(lambda text=text: ask(text)) for text in texts])


def _burn() -> None:
    while True:
        sum(range(1000))
