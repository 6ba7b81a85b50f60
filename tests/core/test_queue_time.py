"""The bound on the time that a queue takes: who is refused for it, who waits, and what it is measured by."""

import asyncio
import threading
import time

import pytest
from gates import PATIENCE_S, ROUTES, Handler, batching, results

from synaptoroute_core import AdaptiveRouter, Decision, HashingEncoder, RouterConfig, RouterOverloadedError
from synaptoroute_core.batching import MicroBatcher
from synaptoroute_core.pace import Pace

ITEM_S = 0.01
"""What an item takes in these tests, at least."""


class Slow(HashingEncoder):
    """Takes its time for every text."""

    def encode(self, texts):
        time.sleep(ITEM_S * len(texts))
        return super().encode(texts)


def fill(batcher: MicroBatcher) -> RouterOverloadedError:
    """Submit items until one is refused."""
    try:
        while True:
            batcher.submit(0)
    except RouterOverloadedError as error:
        return error


# --- the pace --------------------------------------------------------------------------------------


def test_without_a_measure_nothing_takes_any_time():
    assert Pace(2).seconds_for(1_000_000) == 0.0
    assert Pace(2).items_in(0.5, most=64) == 64


def test_workers_share_what_waits():
    pace = Pace(4)
    pace.note(8, 2.0)
    assert pace.seconds_for(16) == pytest.approx(1.0)
    assert pace.items_in(1.0, most=64) == 16
    assert pace.items_in(1.0, most=10) == 10


def test_full_batches_say_more_of_the_pace_than_lone_items():
    """Ten lone items at 10 ms must not hide that 32 together take 64 ms: it is together that a queue is worked off."""
    pace = Pace(1)
    for _ in range(10):
        pace.note(1, 0.010)
    pace.note(32, 0.064)
    assert 0.002 < pace.seconds_for(1) < 0.003


def test_the_pace_follows_the_newest_batches():
    pace = Pace(1)
    pace.note(1, 60.0)
    for _ in range(60):
        pace.note(1, 0.001)
    assert pace.seconds_for(1) < 0.01


def test_a_clock_with_coarse_ticks_breaks_nothing():
    pace = Pace(1)
    pace.note(1, 5e-324)
    assert pace.items_in(1e9, most=64) == 64
    for _ in range(10_000):
        pace.note(1, 0.0)
    assert pace.items_in(1e9, most=64) == 64


# --- single items ----------------------------------------------------------------------------------


def test_an_item_is_refused_when_what_is_pending_takes_too_long():
    handler = Handler(shut=True)
    with batching(handler, workers=2, max_queue_s=1.0) as batcher:
        batcher._pace.note(1, 0.125)  # two workers: 16 items in a second
        error = fill(batcher)
        assert (error.pending, error.limit, error.max_queue_s) == (17, 1000, 1.0)
        assert error.retry_after_s == pytest.approx(1.0625)
        assert "17 queries" in str(error)
        assert "max_queue_s" in str(error)
        assert batcher.counts.rejected == 1
        with pytest.raises(RouterOverloadedError):
            batcher.run(0)


def test_where_the_number_is_the_closer_bound_the_error_says_so():
    handler = Handler(shut=True)
    with batching(handler, max_pending=10, max_queue_s=1.0) as batcher:
        batcher._pace.note(1, 0.09)
        error = fill(batcher)
        assert (error.pending, error.limit, error.max_queue_s) == (10, 10, None)
        assert "max_pending" in str(error)


@pytest.mark.parametrize("max_queue_s", [None, 0.0, 1.0])
def test_before_anything_was_measured_the_number_alone_bounds(max_queue_s):
    with batching(Handler(shut=True), max_pending=50, max_queue_s=max_queue_s) as batcher:
        error = fill(batcher)
        assert (error.pending, error.max_queue_s) == (50, None)


def test_the_time_is_measured_on_batches_that_were_worked_off():
    def handle(items):
        time.sleep(ITEM_S * len(items))
        return items

    with batching(handle, max_queue_s=20 * ITEM_S) as batcher:
        results([batcher.submit(number) for number in range(20)])
        error = fill(batcher)
        assert error.retry_after_s > error.max_queue_s == 20 * ITEM_S
        assert error.pending <= 21


def test_room_is_found_again_when_the_queue_is_worked_off():
    handler = Handler(shut=True)
    with batching(handler, max_queue_s=0.05) as batcher:
        batcher._pace.note(1, 0.01)
        fill(batcher)
        handler.gate.set()
        deadline = time.monotonic() + PATIENCE_S
        while batcher.pending:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert batcher.submit(4).result(PATIENCE_S) == 8


@pytest.mark.parametrize("workers", [1, 3])
def test_a_full_batch_for_each_worker_is_always_admitted(workers):
    with batching(Handler(shut=True), workers=workers, max_queue_s=0.0) as batcher:
        batcher._pace.note(1, 1e6)
        assert fill(batcher).pending == workers * batcher._max_batch_size


def test_a_pace_that_was_terrible_once_does_not_keep_the_queue_shut():
    """A model's first batch may take a minute. Were all refused because of it, none would ever prove it wrong."""
    with batching(Handler(), max_queue_s=0.5) as batcher:
        batcher._pace.note(1, 60.0)
        for number in range(100):
            assert batcher.submit(number).result(PATIENCE_S) == 2 * number
        futures = [batcher.submit(number) for number in range(20)]
        assert results(futures) == [2 * number for number in range(20)]


# --- lists -----------------------------------------------------------------------------------------


def test_a_list_waits_for_time_and_is_not_refused():
    def handle(items):
        time.sleep(ITEM_S / 10)
        return [2 * item for item in items]

    with batching(handle, workers=2, max_queue_s=ITEM_S) as batcher:
        batcher._pace.note(1, ITEM_S)
        bulk = batcher.submit_all(range(300), range(300))
        assert bulk.result(PATIENCE_S) == [2 * number for number in range(300)]
        assert batcher.counts.rejected == 0


def test_a_list_leaves_half_of_the_time_to_others():
    """Were it to fill the queue, every query beside it would be refused for as long as the list lasts."""
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=100, max_queue_s=1.0) as batcher:
        batcher._pace.note(8, 8 / 128)
        bulk = batcher.submit_all(range(1000), range(1000))
        assert batcher.pending == 64
        assert fill(batcher).pending == 129
        handler.gate.set()
        assert bulk.result(PATIENCE_S) == [2 * number for number in range(1000)]


def test_a_list_keeps_all_workers_busy_however_short_the_time():
    with batching(Handler(shut=True), workers=3, max_queue_s=0.0) as batcher:
        batcher._pace.note(1, 60.0)
        bulk = batcher.submit_all(range(100), range(100))
        assert batcher.pending == 3
        bulk.cancel()


def test_a_list_of_which_nothing_is_in_time_is_refused_for_the_time():
    handler = Handler(shut=True)
    with batching(handler, max_queue_s=0.5) as batcher:
        batcher._pace.note(1, 0.1)
        fill(batcher)
        error = batcher.submit_all(range(10), range(10)).exception(PATIENCE_S)
        assert isinstance(error, RouterOverloadedError)
        assert error.max_queue_s == 0.5
        assert batcher.counts.rejected == 2


# --- routers ---------------------------------------------------------------------------------------


async def test_a_flood_is_refused_at_once_and_what_was_admitted_is_answered():
    config = RouterConfig(workers=1, max_queue_s=20 * ITEM_S)
    async with AdaptiveRouter(ROUTES, encoder=Slow(), config=config) as router:
        await router.aroute("hello there")
        calls = [router.aroute(f"query {number}") for number in range(300)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, RouterOverloadedError)]
        assert len(refused) + sum(isinstance(outcome, Decision) for outcome in outcomes) == 300
        assert len(refused) > 150
        assert all(error.retry_after_s > error.max_queue_s == config.max_queue_s for error in refused)
        assert router.stats().rejected == len(refused)
        assert (await router.aroute("hello there")).route == "greeting"


def test_a_batch_beside_single_queries_is_answered_whole():
    config = RouterConfig(workers=2, max_queue_s=40 * ITEM_S)
    with AdaptiveRouter(ROUTES, encoder=Slow(), config=config) as router:
        router.route("hello there")
        answered: list[Decision] = []
        batch = threading.Thread(
            target=lambda: answered.extend(router.route_batch([f"text {number}" for number in range(100)]))
        )
        batch.start()
        singles = [router.route(f"query {number}") for number in range(10)]
        batch.join(PATIENCE_S)
        assert (len(answered), len(singles)) == (100, 10)
