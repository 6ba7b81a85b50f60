"""Killing a service while clients write: what was acknowledged is there, and nothing is there by halves."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from launched import Launch, Launched, get, launch, launch_serve, wait_until  # noqa: F401  # fixtures among them

KILLS, DEEP_KILLS = 10, 200
WRITERS = 3
AT_ONCE = 3
"""Utterances of one request."""


@dataclass
class Told:
    """What a writer was told of a route: what is acknowledged, and what was under way when the service died."""

    name: str
    stored: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)


class Writer(threading.Thread):
    """Adds routes and utterances to them until the service dies."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self.routes: list[Told] = []
        self.revisions: list[int] = []
        self.surprises: list[httpx.Response] = []
        self._url = url
        self._name = name

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            for number in range(10_000):
                if number % 4 == 0:
                    self.routes.append(Told(f"{self._name}-{number}"))
                if not self._write(client, self.routes[-1], number):
                    return

    def _write(self, client: httpx.Client, route: Told, number: int) -> bool:
        texts = [f"{self._name} asks {number} times {each}" for each in range(AT_ONCE)]
        route.unsure = texts
        try:
            if route.stored:
                answer = client.post(f"/routes/{route.name}/utterances", json={"utterances": texts})
            else:
                answer = client.post("/routes", json={"name": route.name, "utterances": texts})
        except httpx.TransportError:
            return False
        if not answer.is_success:
            self.surprises.append(answer)
            return False
        self.revisions.append(answer.json()["revision"])
        route.stored, route.unsure = route.stored + texts, []
        return True


class Reader(threading.Thread):
    """Asks all the time, and watches the revision."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.revisions: list[int] = []
        self.statuses: set[int] = set()
        self._url = url

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while True:
                try:
                    answer = client.post("/route", json={"text": f"somebody asks {len(self.revisions)} times"})
                except httpx.TransportError:
                    return
                self.statuses.add(answer.status_code)
                if answer.is_success:
                    self.revisions.append(answer.json()["revision"])


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return DEEP_KILLS if request.config.getoption("--deep", default=False) else KILLS


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_moment_it_is_killed_at_nothing_acknowledged_is_lost(launch_serve: Launch, tmp_path, kills, workers):  # noqa: F811
    store, chance = tmp_path / "routes.sqlite", random.Random(workers)
    told: list[Told] = []
    revisions: list[int] = []
    rounds = kills if workers == 1 else max(1, kills // 10)
    for number in range(rounds):
        served = launch_serve("--db", str(store), "--workers", str(workers)).wait_ready()
        check_routes(served, told)
        writers = [Writer(served.url, f"w{number}.{each}") for each in range(WRITERS)]
        reader = Reader(served.url)
        for thread in (*writers, reader):
            thread.start()
        wait_until(lambda writers=writers: sum(len(writer.revisions) for writer in writers) >= WRITERS, every=0.001)
        time.sleep(chance.uniform(0, 0.4))
        kill(served)
        for thread in (*writers, reader):
            thread.join(30)
        assert not [answer.text for writer in writers for answer in writer.surprises]
        assert reader.statuses <= {200, 429}
        if workers == 1:  # two workers may be a moment apart
            assert reader.revisions == sorted(reader.revisions)
        told += [route for writer in writers for route in writer.routes]
        revisions += [revision for writer in writers for revision in writer.revisions]
        check_file(store, revisions)
    served = launch_serve("--db", str(store)).wait_ready()
    check_routes(served, told)
    assert len(told) >= rounds * WRITERS


def kill(served: Launched) -> None:
    """All of its processes, in the middle of whatever they do."""
    os.killpg(served.process.pid, signal.SIGKILL)
    served.end()


def check_file(store: Path, revisions: list[int]) -> None:
    """The file is sound, its revisions have no gap, and each was acknowledged to one client at most."""
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = [revision for (revision,) in connection.execute("SELECT revision FROM changes ORDER BY revision")]
    assert kept == list(range(1, len(kept) + 1))
    assert len(set(revisions)) == len(revisions)
    assert max(revisions) <= len(kept)


def check_routes(served: Launched, told: list[Told]) -> None:
    """What was acknowledged is served; what was under way is there whole or not at all."""
    found = {route["name"]: route["utterances"] for route in routes_of(served)}
    expected = {route.name for route in told}
    assert set(found) <= expected
    for route in told:
        texts = found.get(route.name, [])
        assert texts in (route.stored, route.stored + route.unsure)
        route.stored, route.unsure = list(texts), []  # from now on there is no doubt
    assert served.process.poll() is None


def routes_of(served: Launched) -> Iterator[dict[str, Any]]:
    answer = get(served.url, "/routes")
    assert answer.status_code == 200
    yield from answer.json()["routes"]
