"""Several routers on one file, in one process or in many: each comes to see what the others change."""

import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    Decision,
    EncoderMismatchError,
    Feed,
    HashingEncoder,
    Route,
    RouterConfig,
    SqliteStore,
)

WAIT_S = 30.0
ENCODER = HashingEncoder(dim=32)
OTHER_ENCODER = HashingEncoder(dim=48)
OFTEN = RouterConfig(follow_interval_s=0.02)
NEVER = RouterConfig(follow_interval_s=0)
GREETING = Route("greeting", ["hello there", "good morning to you"], description="Says hello.")
FAREWELL = Route("farewell", ["goodbye then", "see you soon"], threshold=0.3)
QUERIES = ["hello there", "see you then", "weather report", "nothing of the kind"]

NEIGHBOUR = """
import json, sys
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route

with AdaptiveRouter(encoder=HashingEncoder(dim=32), store=sys.argv[1]) as router:
    print("ready", flush=True)
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        if method == "add_route":
            receipt = router.add_route(Route.model_validate(*arguments), overwrite=True)
        else:
            receipt = getattr(router, method)(*arguments)
        print(receipt.revision, flush=True)
"""


@contextmanager
def neighbour_on(path: Path) -> Iterator[Callable[..., int]]:
    """A router in another process; a call is a change there and returns its revision."""
    command = [sys.executable, "-c", NEIGHBOUR, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout.readline() == "ready\n"

        def change(method: str, *arguments: object) -> int:
            process.stdin.write(json.dumps([method, *arguments]) + "\n")
            return int(process.stdout.readline())

        yield change


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one route, at revision 1."""
    with AdaptiveRouter([GREETING], encoder=ENCODER, store=tmp_path / "routes.db"):
        return tmp_path / "routes.db"


def eventually(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


def state(router: AdaptiveRouter) -> tuple:
    return router.revision, dict(router.routes), router.route_batch(QUERIES)


def on_disk(path: Path) -> tuple:
    with AdaptiveRouter(encoder=ENCODER, store=path) as reopened:
        return state(reopened)


# --- seeing what others change ---------------------------------------------------------------------


def test_every_kind_of_change_in_another_process_arrives(path: Path) -> None:
    """Elsewhere, two workers on one file never saw each other, and deletions were not passed on at all."""
    with AdaptiveRouter(encoder=ENCODER, store=path) as router, neighbour_on(path) as neighbour:
        for change in (
            ("add_route", {"name": "weather", "utterances": ["weather report", "will it rain"]}),
            ("add_utterances", "weather", ["is it sunny"]),
            ("remove_utterances", "weather", ["will it rain"]),
            ("update_threshold", "weather", 0.25),
            ("add_route", {"name": "greeting", "utterances": ["hi"]}),
            ("remove_route", "greeting"),
        ):
            before = state(router)  # the cache now knows the old decisions
            revision = neighbour(*change)
            eventually(lambda revision=revision: router.revision == revision)
            assert before != state(router) == on_disk(path)
        expected = Route("weather", ["weather report", "is it sunny"], threshold=0.25)
        assert dict(router.routes) == {"weather": expected}


def test_a_change_is_made_on_top_of_what_another_process_changed_last(path: Path) -> None:
    with AdaptiveRouter(encoder=ENCODER, store=path, config=NEVER) as router, neighbour_on(path) as neighbour:
        for number in range(20):
            assert neighbour("add_utterances", "greeting", [f"theirs {number}"]) == 2 * number + 2
            assert router.add_utterances("greeting", [f"ours {number}", f"theirs {number}"]).changed == 1
        assert state(router) == on_disk(path)
        assert len(router.routes["greeting"].utterances) == 42


class Reader(threading.Thread):
    """Asks without a pause, and keeps the decisions that mix two versions of a route."""

    def __init__(self, router: AdaptiveRouter) -> None:
        super().__init__()
        self.router = router
        self.stop = threading.Event()
        self.torn: list[Decision] = []
        self.seen: set[int] = set()

    def run(self) -> None:
        while not self.stop.is_set():
            decision = self.router.route("version of the greeting")
            if decision.candidates and decision.revision > 1:
                self.seen.add(decision.revision)
                if decision.candidates[0].utterance.split()[0] != str(round(decision.threshold * 1000)):
                    self.torn.append(decision)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(WAIT_S)


def test_a_query_sees_one_whole_version_while_another_process_overwrites(path: Path) -> None:
    config = RouterConfig(follow_interval_s=0.001, cache_size=0)
    with (
        AdaptiveRouter(encoder=ENCODER, store=path, config=config) as router,
        neighbour_on(path) as neighbour,
        Reader(router) as reader,
    ):
        for number in range(150):
            if number % 10 == 9:
                neighbour("remove_route", "greeting")
            texts = [f"{number} version of the {word}" for word in ("greeting", "house", "hour")]
            neighbour("add_route", {"name": "greeting", "utterances": texts, "threshold": number / 1000})
        eventually(lambda: len(reader.seen) > 5)
    assert not reader.torn


def test_two_routers_of_one_process_share_a_file(path: Path) -> None:
    with (
        AdaptiveRouter(encoder=ENCODER, store=path, config=OFTEN) as first,
        AdaptiveRouter(encoder=ENCODER, store=path, config=OFTEN) as second,
    ):
        first.add_route(FAREWELL)
        eventually(lambda: second.revision == 2)
        second.remove_route("greeting")
        eventually(lambda: first.revision == 3)
        assert state(first) == state(second) == on_disk(path)


def test_a_router_told_never_to_follow_catches_up_with_its_next_change(path: Path) -> None:
    with (
        AdaptiveRouter(encoder=ENCODER, store=path, config=NEVER) as still,
        AdaptiveRouter(encoder=ENCODER, store=path, config=OFTEN) as following,
        AdaptiveRouter(encoder=ENCODER, store=path) as writing,
    ):
        for number in range(3):
            receipt = writing.add_route(Route(f"new{number}", [f"text {number}"]))
            eventually(lambda revision=receipt.revision: following.revision == revision)
        assert (still.revision, list(still.routes)) == (1, ["greeting"])
        assert still.add_route(FAREWELL).revision == 5
        assert state(still) == on_disk(path)


def test_what_cannot_be_read_is_reported_and_read_again_later(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vector = "UPDATE utterances SET vector = ? WHERE text = 'hello there'"
    with (
        AdaptiveRouter(encoder=ENCODER, store=path, config=OFTEN) as router,
        closing(sqlite3.connect(path)) as raw,
        caplog.at_level(logging.ERROR),
    ):
        before = state(router)
        raw.execute(vector, (b"damaged",))
        raw.execute("UPDATE routes SET threshold = 0.125")
        raw.execute("INSERT INTO changes (revision, kind, routes) VALUES (2, 'put', '[\"greeting\"]')")
        raw.commit()
        eventually(lambda: caplog.text.count("the route 'greeting' in the database") >= 2)
        assert state(router) == before
        raw.execute(vector, (ENCODER.encode(["hello there"]).tobytes(),))
        raw.commit()
        eventually(lambda: router.revision == 2)
        assert router.routes["greeting"].threshold == 0.125


# --- many processes --------------------------------------------------------------------------------

MUTATOR = """
import json, sys, time
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig

path, me, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
config = RouterConfig(follow_interval_s=0.02)
with AdaptiveRouter(encoder=HashingEncoder(dim=32), store=path, config=config) as router:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(10):
        name = f"{me}-{number}"
        router.add_route(Route(name, [f"text {name}", "passing through"]))
        router.add_utterances("greeting", [f"hello from {name}"])
        router.update_threshold(name, number / 10)
        router.add_route(Route(name, [f"other text {name}"]), overwrite=True)
        if number % 2:
            router.remove_route(name)
        else:
            router.remove_utterances("greeting", [f"hello from {name}"])
    deadline = time.monotonic() + 60
    while router.revision < expected and time.monotonic() < deadline:
        time.sleep(0.01)
    routes = {name: route.model_dump() for name, route in sorted(router.routes.items())}
    decisions = [decision.model_dump() for decision in router.route_batch(["hello there", "other text 3-2", "hi"])]
    print(json.dumps([router.revision, routes, decisions]), flush=True)
"""


def test_processes_that_all_change_one_file_lose_nothing_and_end_alike(path: Path) -> None:
    """A transaction that asks for the write lock late fails at once, whatever the busy timeout: 8 x 50 changes."""
    expected = 1 + 8 * 50
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", MUTATOR, str(path), str(number), str(expected)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(8)
        ]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 8
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [process.communicate(timeout=100) for process in processes]
    assert [errors for _, errors in ends] == [""] * 8
    revision, routes, _ = json.loads(ends[0][0])
    assert all(end == ends[0] for end in ends)
    assert revision == expected
    assert set(routes) == {"greeting", *(f"{me}-{number}" for me in range(8) for number in range(0, 10, 2))}
    hellos = {f"hello from {me}-{number}" for me in range(8) for number in range(1, 10, 2)}
    assert set(routes["greeting"]["utterances"]) == hellos | set(GREETING.utterances)
    assert {name: Route.model_validate(route) for name, route in routes.items()} == on_disk(path)[1]


# --- other encoders --------------------------------------------------------------------------------


def test_a_router_never_takes_vectors_of_another_encoder(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with AdaptiveRouter(encoder=ENCODER, store=path, config=OFTEN) as old:
        before = state(old)
        with AdaptiveRouter(encoder=OTHER_ENCODER, store=path, config=OFTEN) as new, caplog.at_level(logging.ERROR):
            new.add_route(FAREWELL)
            eventually(lambda: OTHER_ENCODER.fingerprint in caplog.text)
            assert state(old) == before
            for change in (
                lambda: old.add_route(Route("weather", ["rain"])),
                lambda: old.remove_route("greeting"),
                lambda: old.update_threshold("greeting", 0.1),
            ):
                with pytest.raises(EncoderMismatchError, match=f"{OTHER_ENCODER.fingerprint}.*{ENCODER.fingerprint}"):
                    change()
            assert state(old) == before
            assert list(new.routes) == ["greeting", "farewell"]
            assert new.route("see you soon").route == "farewell"


def test_a_router_takes_part_again_when_the_file_is_back_with_its_encoder(path: Path) -> None:
    with AdaptiveRouter(encoder=ENCODER, store=path, config=OFTEN) as old:
        with AdaptiveRouter(encoder=OTHER_ENCODER, store=path) as new:
            new.add_route(FAREWELL)
        with AdaptiveRouter(encoder=ENCODER, store=path) as back:
            eventually(lambda: old.revision == back.revision)
            assert state(old) == state(back) == on_disk(path)
            assert old.remove_route("greeting").revision == back.revision + 1


def test_routes_removed_before_another_encoder_took_over_do_not_live_on(path: Path) -> None:
    with AdaptiveRouter(encoder=ENCODER, store=path, config=NEVER) as old:
        with AdaptiveRouter(encoder=ENCODER, store=path) as other:
            other.remove_route("greeting")
        with AdaptiveRouter(encoder=OTHER_ENCODER, store=path):
            pass  # it re-encodes a store without routes, which then belongs to no encoder
        old.add_route(FAREWELL)
        assert list(old.routes) == ["farewell"]
        assert state(old) == on_disk(path)


# --- opening while others write --------------------------------------------------------------------


class WatchedStore:
    """A SQLite store that tells when its router has followed it, after reading it once."""

    shared = True

    def __init__(self, path: Path) -> None:
        self._store = SqliteStore(path)
        self.reads = 0
        self.followed = threading.Event()
        self.commit, self.close = self._store.commit, self._store.close

    def read(self, since: int) -> Feed:
        feed = self._store.read(since)
        self.reads += 1
        return feed

    def changed(self) -> bool:
        if self.reads > 1:
            self.followed.set()
        return self._store.changed()


class SlowEncoder:
    """An encoder that lets something happen once while a router opens: at its comparison, or while it encodes."""

    batch_invariant = True
    dim = 32

    def __init__(self, store: WatchedStore, at: str, meanwhile: Callable[[], object]) -> None:
        self._store, self._at, self._meanwhile = store, at, meanwhile

    def _pass(self, place: str) -> None:
        if place == self._at and self._store.reads:
            self._at = "never again"
            self._meanwhile()
            # A router that keeps its store to itself while it opens does not follow now: go on then.
            self._store.followed.wait(0.5)

    @property
    def fingerprint(self) -> str:
        self._pass("fingerprint")
        return ENCODER.fingerprint

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self._pass("encode")
        return ENCODER.encode(texts)


def test_a_change_by_another_process_while_a_router_opens_is_not_missed(path: Path) -> None:
    def add() -> None:
        with AdaptiveRouter(encoder=ENCODER, store=path, config=NEVER) as other:
            other.add_route(FAREWELL)

    store = WatchedStore(path)
    with AdaptiveRouter(encoder=SlowEncoder(store, "fingerprint", add), store=store, config=OFTEN) as router:
        eventually(lambda: "farewell" in router.routes, timeout_s=5.0)
        assert router.revision == 2


def test_a_change_by_another_process_while_a_router_re_encodes_is_not_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does the router take its own file for one that another process has re-encoded."""
    path = tmp_path / "other.db"
    with AdaptiveRouter([GREETING], encoder=OTHER_ENCODER, store=path):
        pass

    def add() -> None:
        with AdaptiveRouter(encoder=OTHER_ENCODER, store=path, config=NEVER) as other:
            other.add_route(FAREWELL)

    store = WatchedStore(path)
    with (
        caplog.at_level(logging.ERROR),
        AdaptiveRouter(encoder=SlowEncoder(store, "encode", add), store=store, config=OFTEN) as router,
        AdaptiveRouter([GREETING, FAREWELL], encoder=ENCODER) as fresh,
    ):
        assert dict(router.routes) == dict(fresh.routes)
        assert [d.candidates for d in router.route_batch(QUERIES)] == [d.candidates for d in fresh.route_batch(QUERIES)]
    assert caplog.text == ""
