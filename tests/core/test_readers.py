"""Readers beside a writer that overwrites routes thousands of times: each decision belongs to one revision."""

import asyncio
import contextlib
import ctypes
import gc
import sys
import threading
from contextlib import contextmanager

import psutil
import pytest
from gates import PATIENCE_S

from synaptoroute_core import AdaptiveRouter, Decision, HashingEncoder, Route, RouteNotFoundError, RouterConfig

CYCLE = 6
"""Revisions of one round: left and right to version b, back to a, and the guest leaves and comes again."""
OVERWRITES_A_CYCLE = 4
TEXTS = ["the left thing", "the right thing", "the guest thing", "version a", "version b", "something else"]
MARGIN_MB = 8
GUEST = Route("guest", [f"the guest thing {number}" for number in range(5)])
OPENED = 1
"""The revision that opening makes."""


def version(name: str, mark: str) -> Route:
    """One of two versions of a route: all utterances carry its mark, and so does the threshold."""
    texts = [f"version {mark} of the {name} thing {number}" for number in range(8)]
    return Route(name, texts, threshold={"a": 0.25, "b": 0.75}[mark])


def write(router: AdaptiveRouter, cycles: int) -> None:
    for _ in range(cycles):
        for mark in "ba":
            for name in ("left", "right"):
                router.add_route(version(name, mark), overwrite=True)
        router.remove_route("guest")
        router.add_route(GUEST)


def stored_at(revision: int) -> dict[str, Route]:
    """What the writer's plan has in force at a revision."""
    step = (revision - OPENED) % CYCLE
    left = version("left", "b" if step in (1, 2) else "a")
    right = version("right", "b" if step in (2, 3) else "a")
    return {route.name: route for route in (left, right, GUEST) if route is not GUEST or step != 5}


STORED = [stored_at(OPENED + step) for step in range(CYCLE)]


def is_torn(decision: Decision) -> bool:
    """Whether it says anything that is not so at its revision."""
    stored = STORED[(decision.revision - OPENED) % CYCLE]
    return (
        decision.route not in {None, *stored}
        or len(decision.candidates) > len(stored)
        or any(
            candidate.route not in stored
            or candidate.utterance not in stored[candidate.route].utterances
            or (candidate.threshold != stored[candidate.route].threshold and candidate.route != "guest")
            for candidate in decision.candidates
        )
    )


class Readers:
    """Threads and a crowd of coroutines that ask without a pause and keep what is wrong."""

    def __init__(self, router: AdaptiveRouter) -> None:
        self.router = router
        self.stop = threading.Event()
        self.wrong: list[object] = []
        self.revisions: set[int] = set()
        self.refused = 0

    def check(self, decision: Decision, last: int) -> int:
        """Note a decision; its revision, which must not be older than one seen before."""
        if is_torn(decision) or decision.revision < last:
            self.wrong.append((last, decision))
        self.revisions.add(decision.revision)
        return decision.revision

    def ask(self) -> None:
        last = number = 0
        while not self.stop.is_set():
            number += 1
            # One that was asked before, which the cache knows, and one that is new.
            for text in (TEXTS[number % len(TEXTS)], f"the left thing asked {number} times"):
                last = self.check(self.router.route(text), last)
            # Two workers may share a list: its decisions are no older than `last`, in any order.
            last = max([self.check(decision, last) for decision in self.router.route_batch(TEXTS)])

    def ask_for_the_guest(self) -> None:
        last = number = 0
        while not self.stop.is_set():
            number += 1
            try:
                decision = self.router.route(f"the guest thing {number % 7}", allowed=["guest", "left"])
            except RouteNotFoundError:  # it was away when the question came
                self.refused += 1
                continue
            last = self.check(decision, last)
            if {candidate.route for candidate in decision.candidates} - {"guest", "left"}:
                self.wrong.append(decision)

    def ask_in_a_loop(self) -> None:
        async def client(first: int) -> None:
            last, number = 0, first
            while not self.stop.is_set():
                number += 1
                last = self.check(await self.router.aroute(TEXTS[number % len(TEXTS)]), last)
                last = self.check(await self.router.aroute(f"client {first} asks {number} times"), last)

        async def crowd() -> None:
            await asyncio.gather(*map(client, range(8)))

        asyncio.run(crowd())

    def guarded(self, ask) -> None:
        try:
            ask()
        except BaseException as error:  # noqa: BLE001  # any error is wrong, and belongs in the test's report
            self.wrong.append(error)

    @contextmanager
    def at_work(self):
        asking = (self.ask, self.ask_for_the_guest, self.ask_in_a_loop)
        threads = [threading.Thread(target=self.guarded, args=(ask,)) for ask in asking]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)
                assert not thread.is_alive()


@pytest.fixture
def quick_switches():
    """Threads take turns ten times as often: more ways to interleave, and a writer that is not starved."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 10)
    yield
    sys.setswitchinterval(before)


def resident_mb() -> float:
    """Memory that is in use: what the allocator keeps for later depends on what else has been in the process."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 1e6


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize(("name", "overwrites"), [(":memory:", 2_000), ("routes.db", 200)])
def test_readers_beside_many_overwrites_see_whole_revisions_and_memory_stays_flat(name, overwrites, tmp_path):
    cycles = overwrites // OVERWRITES_A_CYCLE
    store = name if name == ":memory:" else tmp_path / name
    config = RouterConfig(cache_size=64, workers=2, follow_interval_s=0.05)
    routes = [version("left", "a"), version("right", "a"), GUEST]
    with AdaptiveRouter(routes, encoder=HashingEncoder(), store=store, config=config) as router:
        assert router.revision == OPENED
        readers = Readers(router)
        with readers.at_work():
            write(router, cycles // 4)
            early = resident_mb()
            write(router, cycles - cycles // 4)
            late = resident_mb()
        assert router.revision == OPENED + CYCLE * cycles
        assert dict(router.routes) == STORED[0]
        held = len(router._index.snapshot().matrix.base)
    assert not readers.wrong, readers.wrong[:3]
    assert {(revision - OPENED) % CYCLE for revision in readers.revisions} == set(range(CYCLE)), "every state was seen"
    assert readers.refused
    assert late - early < MARGIN_MB
    assert held < 1_000, "rows of vectors kept for 21 utterances"


def test_the_check_of_these_readers_would_notice_a_mixture():
    with AdaptiveRouter([version("left", "a"), version("right", "b"), GUEST], encoder=HashingEncoder()) as router:
        assert is_torn(router.route("version b of the right thing 1"))
        router.remove_route("guest")
        assert is_torn(router.route("the left thing"))
    assert not any(is_torn(Decision(route=None, reason="no_routes", revision=number)) for number in range(9))
