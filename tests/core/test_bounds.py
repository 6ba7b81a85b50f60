"""The bound on what waits and runs: a burst, a trickle, and everything at once."""

import asyncio
import random
from collections import Counter

import pytest
from gates import PATIENCE_S, ROUTES, Gated

from synaptoroute_core import AdaptiveRouter, RouterConfig, RouterOverloadedError, RouterTimeoutError

BOUND = RouterConfig().max_pending
CROWD = 2 * BOUND


def router_with(encoder, **settings) -> AdaptiveRouter:
    return AdaptiveRouter(ROUTES, encoder=encoder, config=RouterConfig(**{"workers": 2, **settings}))


async def ask_in_bursts(router: AdaptiveRouter, texts: list[str], burst: int) -> tuple[list[asyncio.Task], int]:
    """One task a text, with a yield after each burst; the tasks, and the most that was ever pending."""
    tasks, most = [], 0
    for start in range(0, len(texts), burst):
        tasks += [asyncio.create_task(router.aroute(text)) for text in texts[start : start + burst]]
        await asyncio.sleep(0)
        most = max(most, router.stats().pending)
    return tasks, most


def kinds(outcomes) -> Counter:
    return Counter(type(outcome).__name__ for outcome in outcomes)


# --- the whole bound ---------------------------------------------------------------------------------


@pytest.mark.parametrize("burst", [CROWD, 50], ids=["burst", "trickle"])
async def test_of_twice_what_the_bound_admits_exactly_half_is_refused_and_the_rest_answered(gated, burst):
    """In a trickle, workers take queries between the bursts; what they hold counts as what waits does."""
    texts = [f"slow query {number}, please refund it" for number in range(CROWD)]
    async with router_with(gated, cache_size=0) as router:
        tasks, most = await ask_in_bursts(router, texts, burst)
        assert most == BOUND == 10_000
        refused = [task.exception() for task in tasks if task.done()]
        assert kinds(refused) == {"RouterOverloadedError": CROWD - BOUND}
        assert {(error.pending, error.limit) for error in refused} == {(BOUND, BOUND)}
        gated.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert kinds(outcomes[:BOUND]) == {"Decision": BOUND}, "those that came first were admitted"
        assert {decision.revision for decision in outcomes[:BOUND]} == {1}
        stats = router.stats()
        assert (stats.answered, stats.rejected, stats.pending) == (BOUND, CROWD - BOUND, 0)
        assert (await router.aroute("hello there")).route == "greeting", "it recovers"


async def test_a_refused_query_takes_no_place_and_never_reaches_the_encoder(gated):
    """A refusal that did any of a query's work would make an overload worse."""
    async with router_with(gated, max_pending=100, cache_size=0) as router:
        tasks, _ = await ask_in_bursts(router, [f"slow query {number}" for number in range(5_000)], 5_000)
        assert len(router._service.batcher._queue) <= 100
        gated.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert router.stats().encoded == 100
    asked = [text for text in gated.texts if text.startswith("slow")]
    assert sorted(asked) == sorted(f"slow query {number}" for number in range(100))


# --- everything at once ------------------------------------------------------------------------------


class Watched(Gated):
    """Looks at how much is pending whenever it encodes, from the worker's side."""

    router: AdaptiveRouter | None = None
    most = 0

    def encode(self, texts):
        if self.router is not None:
            self.most = max(self.most, self.router.stats().pending)
        return super().encode(texts)


class Crowd:
    """Clients drawn from a seed: patient ones, hasty ones, ones that give up, ones with whole lists."""

    def __init__(self, router: AdaptiveRouter, seed: int) -> None:
        self.router = router
        self.dice = random.Random(seed)
        self.asked = 0
        self.most = 0
        self.singles: list[asyncio.Task] = []
        self.lists: list[asyncio.Task] = []

    def texts(self, count: int) -> list[str]:
        self.asked += count
        return [f"slow query {number}" for number in range(self.asked - count, self.asked)]

    async def step(self) -> None:
        for text in self.texts(50):
            timeout = self.dice.choice([None, None, 0, 0.002, 3600])
            self.singles.append(asyncio.create_task(self.router.aroute(text, timeout=timeout)))
        if self.dice.random() < 0.3:
            self.lists.append(asyncio.create_task(self.router.aroute_batch(self.texts(self.dice.randrange(1, 400)))))
        await self.look()
        for task in self.dice.sample(self.singles, 5) + self.dice.sample(self.lists, min(1, len(self.lists))):
            if self.dice.random() < 0.5:
                task.cancel()
        await self.look()

    async def look(self) -> None:
        await asyncio.sleep(self.dice.choice([0, 0, 0.001]))
        self.most = max(self.most, self.router.stats().pending)


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_that_callers_do_takes_more_places_than_there_are_and_each_of_them_is_told(seed):
    encoder = Watched()
    bound = random.Random(seed).choice([1, 20, 60, 150])
    async with router_with(encoder, max_pending=bound, cache_size=0, max_batch_size=8) as router:
        encoder.router = router
        crowd = Crowd(router, seed)
        for number in range(40):
            (encoder.gate.clear if number % 8 else encoder.gate.set)()
            await crowd.step()
        encoder.gate.set()
        singles = await asyncio.wait_for(asyncio.gather(*crowd.singles, return_exceptions=True), PATIENCE_S)
        lists = await asyncio.wait_for(asyncio.gather(*crowd.lists, return_exceptions=True), PATIENCE_S)
        assert (await router.aroute("hello there")).route == "greeting", "all places are free again"
    refusals = {RouterOverloadedError.__name__, RouterTimeoutError.__name__, "CancelledError"}
    assert max(crowd.most, encoder.most) <= bound
    assert kinds(singles).keys() <= {"Decision", *refusals}
    assert kinds(lists).keys() <= {"list", *refusals}
    stats = router.stats()
    assert stats.pending == 0
    assert stats.rejected >= kinds(singles)["RouterOverloadedError"] > 0
    assert stats.answered > kinds(singles)["Decision"]


async def test_a_list_beyond_the_bound_is_answered_within_it_while_single_queries_trickle_in():
    encoder = Watched()
    encoder.gate.set()
    async with router_with(encoder, max_pending=500, cache_size=0) as router:
        encoder.router = router
        whole = asyncio.create_task(router.aroute_batch([f"slow text {number}" for number in range(3_000)]))
        tasks, most = await ask_in_bursts(router, [f"slow query {number}" for number in range(2_000)], 50)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert len(await whole) == 3_000
    assert max(most, encoder.most) <= 500
    assert kinds(outcomes).keys() <= {"Decision", "RouterOverloadedError"}
