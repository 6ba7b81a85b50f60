"""The queue between callers and the encoder: batches, bound, order."""

import random
import threading
import time
from concurrent.futures import Future

import pytest
from gates import PATIENCE_S, Handler, batching, results

from synaptoroute_core import RouterOverloadedError
from synaptoroute_core.batching import MicroBatcher


def count_threads(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


# --- batches ---------------------------------------------------------------------------------------


def test_each_item_gets_its_own_result():
    with batching(Handler(), workers=2) as batcher:
        assert results([batcher.submit(number) for number in range(100)]) == [2 * number for number in range(100)]


def test_items_gather_while_the_worker_is_busy():
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        first = batcher.submit(0)
        handler.wait_until_busy()
        rest = [batcher.submit(number) for number in range(1, 6)]
        handler.gate.set()
        results([first, *rest])
    assert handler.batches == [[0], [1, 2, 3, 4, 5]]


@pytest.mark.parametrize("size", [1, 3, 32])
def test_no_batch_is_larger_than_the_limit(size):
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=size) as batcher:
        futures = [batcher.submit(number) for number in range(100)]
        handler.gate.set()
        results(futures)
    assert max(map(len, handler.batches)) <= size
    assert handler.seen == list(range(100)), "one worker takes items in the order in which they came"


def test_items_of_like_size_are_batched_together_when_more_wait_than_fit():
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=4, size=lambda item: item) as batcher:
        futures = [batcher.submit(0)]
        handler.wait_until_busy()
        futures += [batcher.submit(size) for size in (100, 1, 101, 2, 102, 3, 99, 4)]
        handler.gate.set()
        results(futures)
    assert handler.batches == [[0], [100, 101, 102, 99], [1, 2, 3, 4]]


@pytest.mark.parametrize("seed", range(5))
def test_batching_by_size_loses_nothing_and_always_takes_the_oldest(seed):
    """An item of odd size must not wait for ever while likelier ones pass it by."""
    handler = Handler(shut=True)
    sizes = list(range(300))
    random.Random(seed).shuffle(sizes)
    with batching(handler, max_batch_size=4, size=lambda item: item) as batcher:
        futures = [batcher.submit(size) for size in sizes]
        handler.gate.set()
        assert results(futures) == [2 * size for size in sizes]
    waiting = list(sizes)
    for batch in handler.batches:
        assert batch[0] == waiting[0]
        waiting = [size for size in waiting if size not in batch]
    assert not waiting


def test_workers_run_batches_at_the_same_time():
    meeting = threading.Barrier(3)

    def meet(items):
        meeting.wait(PATIENCE_S)
        return items

    with batching(meet, max_batch_size=1, workers=3) as batcher:
        assert results([batcher.submit(number) for number in range(3)]) == [0, 1, 2]


def test_an_idle_worker_waits_for_company_until_the_batch_is_full():
    handler = Handler()
    with batching(handler, max_batch_size=3, max_wait_s=3600) as batcher:
        results([batcher.submit(number) for number in range(3)])
        handler.wait_until_busy()
        lonely = batcher.submit(3)
        assert not handler.entered.acquire(timeout=0.1), "it was taken alone"
        assert results([lonely, batcher.submit(4), batcher.submit(5)]) == [6, 8, 10]
    assert handler.batches == [[0, 1, 2], [3, 4, 5]]


def test_waiting_for_company_ends_when_its_time_is_over():
    handler = Handler()
    with batching(handler, max_batch_size=4, max_wait_s=0.02) as batcher:
        assert batcher.submit(1).result(PATIENCE_S) == 2
    assert handler.batches == [[1]]


def test_workers_that_wait_for_company_together_lose_nothing():
    handler = Handler()
    with batching(handler, max_batch_size=3, max_wait_s=0.001, workers=4) as batcher:
        assert results([batcher.submit(number) for number in range(500)]) == [2 * number for number in range(500)]
    assert sorted(handler.seen) == list(range(500))


def test_closing_cuts_the_wait_for_company_short():
    handler = Handler()
    with batching(handler, max_batch_size=4, max_wait_s=3600) as batcher:
        lonely = batcher.submit(1)
        batcher.close(PATIENCE_S)
        assert lonely.done()
        assert lonely.result() == 2


def test_no_thread_is_started_before_the_first_item():
    with batching(Handler(), workers=3, name="late-starter") as batcher:
        assert count_threads("late-starter") == 0
        batcher.submit(1).result(PATIENCE_S)
        assert count_threads("late-starter") == 3


def test_callers_that_come_at_once_to_an_idle_queue_start_its_threads_once():
    start = threading.Barrier(8)
    handler = Handler(shut=True)
    with batching(handler, workers=2, name="once-only") as batcher:
        futures: list[Future] = []

        def call(number):
            start.wait(PATIENCE_S)
            futures.append(batcher.submit(number))

        callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE_S)
        assert count_threads("once-only") == 2
        handler.gate.set()
        assert sorted(results(futures)) == [2 * number for number in range(8)]


# --- the bound -------------------------------------------------------------------------------------


def refused(batcher: MicroBatcher, items) -> list[RouterOverloadedError]:
    """Submit items one after the other; the errors of those that found no room."""
    errors = []
    for item in items:
        try:
            batcher.submit(item)
        except RouterOverloadedError as error:
            errors.append(error)
    return errors


def test_a_burst_is_refused_exactly_beyond_the_bound():
    handler = Handler(shut=True)
    with batching(handler, max_pending=50) as batcher:
        errors = refused(batcher, range(150))
        assert len(errors) == 100
        assert {(error.pending, error.limit) for error in errors} == {(50, 50)}
        assert all(error.retry_after_s >= 0 for error in errors)
        assert batcher.counts.rejected == 100


def test_running_items_count_against_the_bound():
    """Items that trickle in are taken by workers at once; a bound on the waiting ones alone bounds nothing."""
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=2, max_pending=10, workers=3) as batcher:
        for number in range(3):  # each is taken at once
            batcher.submit(number)
            handler.wait_until_busy()
        assert len(refused(batcher, range(3, 40))) == 30
        assert batcher.pending == 10


def test_room_is_found_again_when_items_are_answered():
    handler = Handler(shut=True)
    with batching(handler, max_pending=5) as batcher:
        futures = [batcher.submit(number) for number in range(5)]
        assert len(refused(batcher, [5])) == 1
        handler.gate.set()
        results(futures)
        batcher.close(PATIENCE_S)
        assert batcher.pending == 0


def test_an_answered_item_has_left_its_place_when_its_caller_hears_of_it():
    """Who asks one thing at a time must never be refused, however small the bound."""
    sampled: list[tuple[int, int]] = []
    with batching(Handler(), max_pending=1) as batcher:

        def sample(_future):
            sampled.append((batcher.pending, batcher.counts.answered))

        future = batcher.submit(1)
        future.add_done_callback(sample)
        future.result(PATIENCE_S)
    assert sampled == [(0, 1)]


def test_a_failed_item_has_left_its_place_when_its_caller_hears_of_it():
    sampled: list[tuple[int, int]] = []
    gate = threading.Event()

    def fail(items):
        gate.wait(PATIENCE_S)
        raise ValueError(items)

    with batching(fail, max_pending=1) as batcher:

        def sample(_future):
            sampled.append((batcher.pending, batcher.counts.failed))

        future = batcher.submit(1)
        future.add_done_callback(sample)
        gate.set()
        assert isinstance(future.exception(PATIENCE_S), ValueError)
    assert sampled == [(0, 1)]


def test_a_refusal_says_when_to_come_back_once_the_rate_is_known():
    handler = Handler()
    with batching(handler, max_pending=3) as batcher:
        batcher.submit(0).result(PATIENCE_S)
        handler.gate.clear()
        batcher.submit(1)
        handler.wait_until_busy(2)
        errors = refused(batcher, range(5))
        assert len(errors) == 3
        assert all(error.retry_after_s > 0 for error in errors)


# --- callers that wait -----------------------------------------------------------------------------


def start_callers(batcher: MicroBatcher, items) -> tuple[list[threading.Thread], dict[int, object]]:
    """One thread an item, each waiting in ``run``; what each got is in the dictionary when it has ended."""
    outcomes: dict[int, object] = {}

    def call(item):
        try:
            outcomes[item] = batcher.run(item)
        except BaseException as error:  # noqa: BLE001
            outcomes[item] = error

    threads = [threading.Thread(target=call, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    return threads, outcomes


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def wait_until_pending(batcher: MicroBatcher, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while batcher.pending < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_lone_caller_does_the_work_itself():
    """It pays for no change of threads, and needs none."""
    handled_in = []

    def handle(items):
        handled_in.append(threading.current_thread())
        return items

    with batching(handle, workers=2, name="idle") as batcher:
        assert [batcher.run(number) for number in range(10)] == list(range(10))
        assert count_threads("idle") == 0
    assert set(handled_in) == {threading.current_thread()}


def test_callers_that_wait_and_workers_together_are_no_more_than_the_workers():
    """The encoder must not be run more often at once than it has processors."""
    at_once, most, counting = 0, 0, threading.Lock()
    crowd = threading.Barrier(2)

    def handle(items):
        nonlocal at_once, most
        with counting:
            at_once += 1
            most = max(most, at_once)
        if items[0] < 2:
            crowd.wait(PATIENCE_S)
        with counting:
            at_once -= 1
        return items

    with batching(handle, workers=2, max_batch_size=3) as batcher:
        threads, outcomes = start_callers(batcher, range(2))
        join(threads)
        threads, outcomes = start_callers(batcher, range(2, 40))
        futures = [batcher.submit(number) for number in range(40, 140)]
        join(threads)
        assert outcomes == {number: number for number in range(2, 40)}
        assert results(futures) == list(range(40, 140))
    assert most == 2


def test_callers_are_batched_while_the_others_are_at_work():
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        first, first_outcome = start_callers(batcher, [0])
        handler.wait_until_busy()
        rest, outcomes = start_callers(batcher, range(1, 6))
        wait_until_pending(batcher, 6)
        handler.gate.set()
        join(first + rest)
    assert {**first_outcome, **outcomes} == {number: 2 * number for number in range(6)}
    assert sorted(handler.batches[1]) == [1, 2, 3, 4, 5]
    assert len(handler.batches) == 2


def test_callers_wait_for_company_where_the_settings_say_so():
    handler = Handler()
    with batching(handler, max_batch_size=3, max_wait_s=3600) as batcher:
        threads, outcomes = start_callers(batcher, range(3))
        join(threads)
    assert outcomes == {0: 0, 1: 2, 2: 4}
    assert len(handler.batches) == 1


def test_a_caller_that_does_the_work_counts_against_the_bound():
    handler = Handler(shut=True)
    with batching(handler, max_pending=2) as batcher:
        threads, outcomes = start_callers(batcher, [0])
        handler.wait_until_busy()
        second = batcher.submit(1)
        with pytest.raises(RouterOverloadedError):
            batcher.submit(2)
        with pytest.raises(RouterOverloadedError):
            batcher.run(3)
        handler.gate.set()
        join(threads)
        assert outcomes == {0: 0}
        assert second.result(PATIENCE_S) == 2


def test_who_asks_one_thing_after_the_other_is_never_refused():
    with batching(Handler(), max_pending=1) as batcher:
        assert [batcher.run(number) for number in range(500)] == [2 * number for number in range(500)]
        assert batcher.pending == 0
        assert batcher.counts.answered == 500
