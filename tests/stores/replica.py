"""A router in a process of its own, which changes routes at random while its store may be away.

The test's side is :class:`Replica`. What the processes say to each other is lists in JSON, a line each.
"""

import json
import random
import subprocess
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from typing import Any, Self

from nursery import carry_out

from synaptoroute_core import (
    AdaptiveRouter,
    CommitUncertainError,
    HashingEncoder,
    StorageError,
    SynaptoRouteError,
)
from synaptoroute_core.storage import Store

Change = tuple[str, str, Any]
"""What is done, the route's name, and with what."""
Routes = dict[str, tuple[list[str], float | None]]
"""Utterances and threshold by name."""
NAMES = [f"route{number}" for number in range(6)]
PAUSE_S = 0.03


# --- changes -------------------------------------------------------------------------------------


def draw_change(routes: Routes, chance: random.Random, tag: str) -> Change:
    """A change of the routes as they are known here; ``tag`` is in no other's texts."""
    name = chance.choice(NAMES)
    texts = [f"text {tag} {number}" for number in range(chance.randint(1, 4))]
    if name not in routes:
        return "add", name, texts
    kind = chance.choice(["replace", "extend", "extend", "shorten", "threshold", "remove"])
    if kind == "threshold":
        return kind, name, chance.random()
    if kind == "shorten" and len(routes[name][0]) > 1:
        return kind, name, [chance.choice(routes[name][0])]
    return ("remove", name, None) if kind == "remove" else ("replace" if kind == "replace" else "extend", name, texts)


def replay(routes: Routes, change: Change) -> Routes:
    """The routes after a change, worked out without the engine.

    Raises:
        KeyError: It cannot be a change of these routes.
    """
    kind, name, value = change
    if kind != "replace" and (kind == "add") == (name in routes):
        raise KeyError(name)
    routes = dict(routes)
    match kind:
        case "add" | "replace":
            routes[name] = value, None
        case "extend":
            routes[name] = [*routes[name][0], *value], routes[name][1]
        case "shorten":
            if not set(value) < set(routes[name][0]):
                raise KeyError(name)
            routes[name] = [text for text in routes[name][0] if text not in value], routes[name][1]
        case "threshold":
            routes[name] = routes[name][0], value
        case "remove":
            del routes[name]
    return routes


def routes_of(router: AdaptiveRouter) -> Routes:
    """What is in force. A route may go while it is looked at."""
    found = [router.routes.get(name) for name in router.routes]
    return {route.name: (list(route.utterances), route.threshold) for route in found if route is not None}


# --- the process ---------------------------------------------------------------------------------


class Changer:
    """Changes routes, and asks, until it is stopped.

    Attributes:
        outcomes: What became of each change (acked, failed, uncertain, refused or broken), the change, the revision or
            the error, and how many seconds it took.
        asked: Queries answered, and the errors of those that were not.
    """

    def __init__(self, router: AdaptiveRouter, seed: int, tag: str) -> None:
        self._router = router
        self._tag = tag
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self.outcomes: list[tuple[str, Change, int | str, float]] = []
        self.asked: list[Any] = [0, []]
        self._threads = [threading.Thread(target=each) for each in (self._change, self._ask)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No further change begins; those under way go on."""
        self._stopping.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _change(self) -> None:
        while not self._stopping.wait(self._chance.uniform(0.0, PAUSE_S)):
            known = routes_of(self._router)
            change = draw_change(known, self._chance, f"{self._tag} {len(self.outcomes)}")
            began = time.monotonic()
            kind, result = self._outcome(change)
            self.outcomes.append((kind, change, result, time.monotonic() - began))

    def _outcome(self, change: Change) -> tuple[str, int | str]:
        try:
            return "acked", carry_out(self._router, *change).revision
        except CommitUncertainError as error:
            return "uncertain", str(error)
        except StorageError as error:
            return "failed", str(error)
        except SynaptoRouteError as error:
            return "refused", str(error)
        except Exception:  # noqa: BLE001  # the test reports it
            return "broken", traceback.format_exc()

    def _ask(self) -> None:
        while not self._stopping.wait(0.005):
            try:
                self._router.route(f"text {self.asked[0]}", timeout=5.0)
                self.asked[0] += 1
            except SynaptoRouteError as error:
                self.asked[1].append(repr(error))


class Process:
    """Does what it is told."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._changer: Changer | None = None

    def open(self, kind: str, arguments: dict[str, Any]) -> int:
        self._changer = None
        store = open_store(kind, arguments)
        self._router = self._stack.enter_context(AdaptiveRouter(encoder=HashingEncoder(dim=32), store=store))
        return self._router.revision

    def begin(self, seed: int, tag: str) -> None:
        self._changer = Changer(self._router, seed, tag)

    def tried(self) -> int:
        """How many changes have come to an end, one way or the other."""
        return len(self._changer.outcomes)

    def stop(self) -> None:
        self._changer.stop()

    def end(self) -> Any:
        """Wait for the last change, if there was any."""
        if self._changer is None:
            return [], [0, []]
        self._changer.join()
        return self._changer.outcomes, self._changer.asked

    def status(self) -> dict[str, Any]:
        return self._router.sync_status().model_dump()

    def routes(self) -> list[Any]:
        return list(routes_of(self._router).items())

    def close(self) -> float:
        """How many seconds it took."""
        began = time.monotonic()
        self._stack.close()
        return time.monotonic() - began


def open_store(kind: str, arguments: dict[str, Any]) -> Store:
    if kind == "postgres":
        from synaptoroute_core.storage.postgres import PostgresStore

        return PostgresStore(**arguments)
    from synaptoroute_core.storage.redis import RedisStore

    return RedisStore(**arguments)


# --- the test's side -----------------------------------------------------------------------------


class Replica:
    """Such a process. Each method that it has can be called here; ``ask`` and ``hear`` are its two halves."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, *arguments: Any) -> None:
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")

    def hear(self) -> Any:
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def call(self, method: str, *arguments: Any) -> Any:
        self.ask(method, *arguments)
        return self.hear()


def main() -> None:
    process = Process()
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            answer = {"value": getattr(process, method)(*arguments)}
        except SynaptoRouteError as error:
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
