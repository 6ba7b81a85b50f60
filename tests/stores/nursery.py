"""Writers that are killed: a process that has everything imported forks one for each kill.

A writer announces every change before it makes it and acknowledges it afterwards, over a pipe that outlives it.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Receipt, Route, RouterConfig

DIM = 32


class Nursery:
    """Starts writers, one after the other, and hears what they say. Closed in a ``with`` statement of its process."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        self._early: list[list] = []

    def start(self, argument: str, *, seed: int, changes: int = 10_000, fatal: int = 0) -> int:
        """Start a writer; returns its process number.

        Args:
            argument: The store.
            seed: Of what it does.
            changes: How many it makes.
            fatal: The statement, counted from 1, at which it dies by itself, if the store is a file; 0 = none.
        """
        self._process.stdin.write(json.dumps([argument, seed, changes, fatal]) + "\n")
        self._early = []
        while (said := self._hear())[0] != "born":  # the writer may be heard before its birth is
            self._early.append(said)
        return said[1]

    def words(self) -> Iterator[list]:
        """All that the writer says, and last how it ended."""
        yield from self._early
        while (said := self._hear())[0] != "dead":
            yield said
        yield said

    def _hear(self) -> list:
        return json.loads(self._process.stdout.readline())


def start_nursery() -> subprocess.Popen:
    """The process."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    )


def say(*values: object) -> None:
    os.write(1, json.dumps(values).encode() + b"\n")  # in one piece: a pipe takes so few bytes whole


def plan(router: AdaptiveRouter, chance: random.Random) -> tuple:
    """A change that makes sense at the moment."""
    name = f"route{chance.randrange(4)}"
    if name not in router.routes:
        return "add", name, [f"text {chance.randrange(9)} {number}" for number in range(chance.randint(1, 4))]
    texts = router.routes[name].utterances
    kind = chance.choice(["replace", "extend", "extend", "shorten", "threshold", "remove"])
    if kind == "replace":
        return kind, name, [f"words of {name}", f"text {router.revision}"]
    if kind == "extend":
        return kind, name, [f"more {router.revision} {number}" for number in range(3)]
    if kind == "shorten" and len(texts) > 1:
        return kind, name, [chance.choice(texts)]
    return ("remove", name, None) if kind == "remove" else ("threshold", name, chance.random())


def carry_out(router: AdaptiveRouter, kind: str, name: str, value: object) -> Receipt:
    if kind == "add":
        return router.add_route(Route(name, value))
    if kind == "replace":
        return router.add_route(Route(name, value, metadata={"replaced": True}), overwrite=True)
    methods = {"extend": router.add_utterances, "shorten": router.remove_utterances}
    if kind in methods:
        return methods[kind](name, value)
    return router.update_threshold(name, value) if kind == "threshold" else router.remove_route(name)


def write(argument: str, seed: int, changes: int, fatal: int) -> None:
    if fatal:
        die_at(fatal)
    chance, config = random.Random(seed), RouterConfig(follow_interval_s=0)
    with AdaptiveRouter(encoder=HashingEncoder(dim=DIM), store=argument, config=config) as router:
        for _ in range(changes):
            change = plan(router, chance)
            say("trying", *change)
            say("stored", carry_out(router, *change).revision)


def die_at(fatal: int) -> None:
    """Have this process die as SQLite begins its statement of that number."""
    connect, left = sqlite3.connect, [fatal]

    def count(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*arguments: object, **options: object) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = traced


def main() -> None:
    import psycopg  # noqa: F401  # so that no child has to
    import redis  # noqa: F401

    AdaptiveRouter(encoder=HashingEncoder(dim=DIM)).close()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            write(*json.loads(line))
            os._exit(0)
        say("born", pid)
        say("dead", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
