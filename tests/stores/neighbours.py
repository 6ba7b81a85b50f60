"""Routers in other processes: what a test tells them, and the program that they run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from places import Place

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig, refitting
from synaptoroute_core.storage import open_store

PATIENCE_S = 60.0


class Neighbour:
    """A process with one router at a time. What it is told and what it answers are lists in JSON, a line each."""

    def __init__(self) -> None:
        self._said, self._heard = 0, 0
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=PATIENCE_S)

    @contextmanager
    def on(self, place: Place, *, dim: int = 32, **settings: Any) -> Iterator[Self]:
        """Open a router on a place for a while."""
        self.tell("open", place.argument, dim, settings)
        yield self
        self.tell("close")

    def tell(self, *words: Any) -> Any:
        """Have something done, and wait for what comes of it."""
        self.say(*words)
        return self.hear()

    def say(self, *words: Any) -> None:
        """Have something done."""
        self._said += 1
        self._process.stdin.write(json.dumps([self._said, *words]) + "\n")

    def hear(self) -> Any:
        """Wait for what comes of the first thing that was not heard of yet: a value, or an error."""
        self._heard += 1
        number = 0
        while number != self._heard:
            number, outcome, value = json.loads(self._process.stdout.readline())
        assert outcome == "done", value
        return value

    def forget(self) -> None:
        """Do not wait for anything any more: the test that asked has failed."""
        self._heard = self._said


class Resident:
    """What a neighbour does."""

    def __init__(self) -> None:
        self.router: AdaptiveRouter | None = None

    def open(self, argument: str, dim: int, settings: dict[str, Any]) -> None:
        if self.router is not None:
            self.router.close()
        encoder, config = HashingEncoder(dim=dim), RouterConfig(**settings)
        self.router = AdaptiveRouter(encoder=encoder, store=argument, config=config)

    def close(self) -> None:
        self.router.close()

    def touch(self, argument: str) -> None:
        """Open a place that may not be there yet, and let go of it."""
        open_store(argument).close()

    def add_route(self, route: dict[str, Any]) -> int:
        return self.router.add_route(Route.model_validate(route), overwrite=True).revision

    def change(self, method: str, *arguments: Any) -> int:
        return getattr(self.router, method)(*arguments).revision

    def decide(self, texts: list[str]) -> list[dict[str, Any]]:
        return [decision.model_dump(mode="json") for decision in self.router.route_batch(texts)]

    def wait_for_refit(self) -> bool:
        return self.router.wait_for_refit(PATIENCE_S)

    def change_much(self, me: str, rounds: int) -> None:
        """Five changes a round, of routes of one's own and of one that all change."""
        for number in range(rounds):
            name = f"{me}-{number}"
            self.router.add_route(Route(name, [f"text {name}", "passing through"]))
            self.router.add_utterances("greeting", [f"hello from {name}"])
            self.router.update_threshold(name, (number % 10) / 10)
            self.router.add_route(Route(name, [f"other text {name}"]), overwrite=True)
            if number % 2:
                self.router.remove_route(name)
            else:
                self.router.remove_utterances("greeting", [f"hello from {name}"])

    def catch_up(self, revision: int) -> list[Any]:
        """Wait for a revision; the revision that is reached, and the digest."""
        deadline = time.monotonic() + PATIENCE_S
        while self.router.revision < revision and time.monotonic() < deadline:
            time.sleep(0.01)
        status = self.router.sync_status()
        return [status.revision, status.digest]


def main() -> None:
    refitting.QUIET_S = 0.05
    resident = Resident()
    for line in sys.stdin:
        number, method, *arguments = json.loads(line)
        try:
            outcome = number, "done", getattr(resident, method)(*arguments)
        except Exception as error:  # noqa: BLE001  # the test is told
            outcome = number, "failed", repr(error)
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
