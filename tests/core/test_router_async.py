"""The router's awaitable side: any event loop, never blocked, cancellation kept."""

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from gates import PATIENCE_S, ROUTES, Gated

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    HashingEncoder,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterConfig,
    RouterTimeoutError,
)

TEXTS = [f"hello number {number}, please refund order {number % 7}" for number in range(60)]


def router_with(encoder, **settings) -> AdaptiveRouter:
    return AdaptiveRouter(ROUTES, encoder=encoder, config=RouterConfig(**{"workers": 1, **settings}))


async def occupy(router: AdaptiveRouter, encoder: Gated) -> asyncio.Task:
    """Keep the router's only worker busy until the gate is opened."""
    task = asyncio.create_task(router.aroute("slow query", timeout=3600))
    assert await asyncio.to_thread(encoder.entered.acquire, timeout=PATIENCE_S)
    return task


async def ask_all(router: AdaptiveRouter, texts=TEXTS) -> list:
    return await asyncio.gather(*map(router.aroute, texts))


@pytest.fixture(scope="module")
def expected():
    with router_with(HashingEncoder()) as router:
        return [router.route(text) for text in TEXTS]


# --- any loop --------------------------------------------------------------------------------------


async def test_every_question_and_change_has_an_awaitable_twin():
    async with router_with(HashingEncoder()) as router:
        assert (await router.aroute("hello there")).route == "greeting"
        assert [decision.route for decision in await router.aroute_batch(["hello there", "i want my money back"])] == [
            "greeting",
            "refund",
        ]
        assert (await router.aexplain("hello there")).decision.route == "greeting"
        assert (await router.aevaluate([("hello there", "greeting"), ("zzz", None)])).accuracy == 1.0
        assert (await router.aadd_route(Route("bye", ["farewell"]))).revision == 2
        assert (await router.aadd_utterances("bye", ["so long"])).changed == 1
        assert (await router.aremove_utterances("bye", ["so long"])).changed == 1
        assert (await router.aupdate_threshold("bye", 0.9)).changed == 1
        assert (await router.aremove_route("bye")).revision == router.revision == 6


async def test_the_next_awaited_query_sees_a_change():
    async with router_with(HashingEncoder()) as router:
        assert (await router.aroute("where is my parcel")).route is None
        await router.aadd_route(Route("parcel", ["where is my parcel"]))
        assert (await router.aroute("where is my parcel")).route == "parcel"


async def test_a_blocking_call_inside_a_running_loop_works(expected):
    """As in a notebook cell: a router that ran a loop of its own in this thread could not."""
    with router_with(HashingEncoder()) as router:
        assert [router.route(text) for text in TEXTS] == expected
        assert router.route_batch(TEXTS) == expected
        assert router.route("hello there", timeout=PATIENCE_S).route == "greeting"
        assert await ask_all(router) == expected


def test_one_loop_after_another_may_use_a_router(expected):
    """Nothing may stay bound to a loop that has ended."""
    with router_with(HashingEncoder(), cache_size=0) as router:
        for _ in range(3):
            assert asyncio.run(ask_all(router)) == expected
            assert asyncio.run(router.aroute_batch(TEXTS)) == expected


def test_loops_in_several_threads_may_share_a_router(expected):
    with router_with(HashingEncoder(), cache_size=0, workers=2) as router, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(lambda: asyncio.run(ask_all(router))) for _ in range(8)]
        assert [answer.result(PATIENCE_S) for answer in answers] == [expected] * 8


async def test_the_loop_is_not_blocked_while_the_encoder_is_busy(gated):
    with router_with(gated) as router:
        task = await occupy(router, gated)
        waiting = asyncio.create_task(router.aroute_batch(TEXTS))
        ticks = 0
        for _ in range(1000):  # would never get this far: the gate is opened below, in this loop
            await asyncio.sleep(0)
            ticks += 1
        assert not task.done()
        assert not waiting.done()
        gated.gate.set()
        await task
        await waiting
        assert ticks == 1000


async def test_many_coroutines_are_coalesced_into_batches():
    """Frameworks call one coroutine a query; only a shared queue makes batches of them."""
    async with router_with(HashingEncoder(), max_batch_size=32) as router:
        await ask_all(router)
        stats = router.stats()
    assert stats.encoded == len(TEXTS)
    assert stats.batches < len(TEXTS) / 2


def test_a_loop_that_was_closed_with_a_query_running_harms_nobody(gated, caplog):
    """The worker's answer then finds no loop to go to, and the worker must live on."""
    with router_with(gated) as router:

        async def give_up():
            await occupy(router, gated)  # and leave: the runner cancels the task and closes the loop

        asyncio.run(give_up())
        gated.gate.set()
        assert router.route("hello there", timeout=PATIENCE_S).route == "greeting"
        assert asyncio.run(router.aroute("good morning")).route == "greeting"
    assert not caplog.records


def test_a_loop_that_was_closed_with_a_query_running_is_not_kept(gated):
    loops = []
    with router_with(gated) as router:

        async def give_up():
            loops.append(weakref.ref(asyncio.get_running_loop()))
            await occupy(router, gated)

        asyncio.run(give_up())
        gated.gate.set()
        router.close()
    gc.collect()
    assert loops[0]() is None


# --- cancellation ----------------------------------------------------------------------------------


async def test_a_query_cancelled_before_its_turn_is_not_encoded_and_leaves_no_trace(gated):
    with router_with(gated) as router:
        busy = await occupy(router, gated)
        doomed = asyncio.create_task(router.aroute("never mind"))
        await asyncio.sleep(0)
        assert router.stats().pending == 2
        doomed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doomed
        gated.gate.set()
        await busy
        await router.aclose()
        stats = router.stats()
    assert "never mind" not in gated.texts
    assert (stats.pending, stats.dropped, stats.answered) == (0, 1, 1)


async def test_cancelling_is_not_swallowed_while_the_query_runs(gated):
    with router_with(gated) as router:
        busy = await occupy(router, gated)
        busy.cancel()
        with pytest.raises(asyncio.CancelledError):
            await busy
        assert busy.cancelled()
        gated.gate.set()
        assert (await router.aroute("hello there")).route == "greeting"
        await router.aclose()
        assert router.stats().pending == 0


async def test_a_deadline_around_the_call_works_as_around_any_other(gated):
    with router_with(gated) as router:
        busy = await occupy(router, gated)
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.01):
                await router.aroute("too late")
        assert not isinstance(raised.value, RouterTimeoutError)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(router.aroute("too late"), 0.01)
        gated.gate.set()
        await busy
        await router.aclose()
        assert router.stats().pending == 0
    assert "too late" not in gated.texts


async def test_a_task_group_that_fails_takes_its_queries_with_it(gated):
    async def fail():
        raise ValueError("elsewhere")

    with router_with(gated) as router:
        busy = await occupy(router, gated)
        with pytest.RaisesGroup(ValueError):
            async with asyncio.TaskGroup() as group:
                group.create_task(router.aroute("never mind"))
                group.create_task(router.aroute("nor this"))
                group.create_task(fail())
        gated.gate.set()
        await busy
        await router.aclose()
        assert router.stats().pending == 0
    assert not {"never mind", "nor this"} & set(gated.texts)


async def test_cancelling_a_list_stops_the_feeding(gated):
    with router_with(gated, max_batch_size=2) as router:
        busy = await occupy(router, gated)
        doomed = asyncio.create_task(router.aroute_batch([f"text {number}" for number in range(1000)]))
        await asyncio.sleep(0)
        held = router.stats().pending
        doomed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doomed
        gated.gate.set()
        await busy
        await router.aclose()
        assert router.stats().pending == 0
    assert sum(text.startswith("text") for text in gated.texts) <= held < 20


async def test_the_waiting_texts_of_a_cancelled_list_are_not_encoded(gated):
    """Like every query that nobody waits for any more."""
    with router_with(gated) as router:
        busy = await occupy(router, gated)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await router.aroute_batch(["too late", "much too late"])
        gated.gate.set()
        await busy
        await router.aclose()
        assert router.stats().pending == 0
    assert not {"too late", "much too late"} & set(gated.texts)


async def test_cancelling_some_of_many_leaves_the_others_right(expected):
    async with router_with(HashingEncoder(), workers=2, cache_size=0) as router:
        for _ in range(20):
            tasks = [asyncio.create_task(router.aroute(text)) for text in TEXTS]
            await asyncio.sleep(0)
            for task in tasks[::3]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            for number, answer in enumerate(answers):
                assert answer == expected[number] or (number % 3 == 0 and isinstance(answer, asyncio.CancelledError))
        await router.aclose()
        assert router.stats().pending == 0


# --- limits ----------------------------------------------------------------------------------------


async def test_a_query_that_has_no_decision_in_time_is_given_up_and_not_encoded(gated):
    with router_with(gated) as router:
        busy = await occupy(router, gated)
        with pytest.raises(RouterTimeoutError) as raised:
            await router.aroute("too late", timeout=0.01)
        assert raised.value.timeout_s == 0.01
        with pytest.raises(RouterTimeoutError):
            await router.aroute("too late", timeout=0)
        gated.gate.set()
        await busy
        await router.aclose()
        assert router.stats().pending == 0
    assert "too late" not in gated.texts


async def test_a_time_limit_of_the_settings_holds_where_the_call_gives_none(gated):
    with router_with(gated, timeout_s=0.01) as router:
        busy = await occupy(router, gated)
        with pytest.raises(RouterTimeoutError):
            await router.aroute("hello there")
        patient = asyncio.create_task(router.aroute("hello there", timeout=3600))
        await asyncio.sleep(0)
        gated.gate.set()
        assert (await patient).route == "greeting"
        await busy


@pytest.mark.parametrize("limit", [-1, float("nan"), "3", True])
async def test_a_time_limit_that_is_no_number_of_seconds_is_refused(limit):
    with router_with(HashingEncoder()) as router, pytest.raises(ConfigurationError, match="timeout"):
        await router.aroute("hello there", timeout=limit)


async def test_coroutines_that_ask_one_thing_after_the_other_are_never_refused(expected):
    """The place of an answered query must be free when its caller hears of the answer."""
    async with router_with(HashingEncoder(), max_pending=1, cache_size=0) as router:
        for _ in range(5):
            assert [await router.aroute(text) for text in TEXTS] == expected
        assert [await router.aroute(text, timeout=3600) for text in TEXTS] == expected


async def test_bad_arguments_are_refused_as_by_the_blocking_side():
    async with router_with(HashingEncoder()) as router:
        with pytest.raises(InvalidTextError):
            await router.aroute(" ")
        with pytest.raises(RouteNotFoundError, match="did you mean"):
            await router.aroute("hello", allowed=["refunds"])
        with pytest.raises(InvalidTextError, match=r"texts\[1\]"):
            await router.aroute_batch(["hello", ""])
        assert await router.aroute_batch([]) == []
        assert (await router.aroute("hello there", allowed=[])).reason == "no_routes"
