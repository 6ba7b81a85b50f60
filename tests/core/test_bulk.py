"""Many items for the queue at once: fed as room becomes free, answered in their order."""

import random
import threading
from concurrent.futures import Future

import pytest
from gates import PATIENCE_S, Handler, batching, results

from synaptoroute_core import RouterOverloadedError
from synaptoroute_core.batching import MicroBatcher
from synaptoroute_core.bulk import Bulk


@pytest.mark.parametrize("seed", range(5))
def test_results_come_in_the_order_of_the_items_whatever_the_ranking(seed):
    handler = Handler()
    ranking = list(range(200))
    random.Random(seed).shuffle(ranking)
    with batching(handler, max_pending=50, workers=2) as batcher:
        assert batcher.submit_all(range(200), ranking).result(PATIENCE_S) == [2 * number for number in range(200)]


def test_items_are_handed_in_by_ranking():
    handler = Handler()
    ranking = list(reversed(range(100)))
    with batching(handler) as batcher:
        batcher.submit_all(range(100), ranking).result(PATIENCE_S)
    assert handler.seen == ranking


def test_no_items_give_no_results():
    with batching(Handler()) as batcher:
        assert batcher.submit_all([], []).result(PATIENCE_S) == []


def test_an_item_that_fails_leaves_its_error_in_its_place():
    def handle(items):
        return [ValueError("odd") if item % 2 else item for item in items]

    with batching(handle) as batcher:
        answers = batcher.submit_all(range(50), range(50)).result(PATIENCE_S)
    assert answers[::2] == list(range(0, 50, 2))
    assert {type(answer) for answer in answers[1::2]} == {ValueError}


@pytest.mark.parametrize(
    ("bound", "size", "workers"), [(40, 8, 2), (9, 8, 1), (8, 8, 1), (4, 8, 2), (2, 8, 3), (1, 1, 1)]
)
def test_more_items_than_the_bound_admits_are_all_answered_within_it(bound, size, workers):
    """A list is fed as room becomes free: alone in the queue it must never be refused, whatever the sizes."""
    batcher: MicroBatcher
    pending: list[int] = []

    def handle(items):
        pending.append(batcher.pending)
        return items

    with batching(handle, max_batch_size=size, max_pending=bound, workers=workers) as batcher:
        for _ in range(20):
            assert batcher.submit_all(range(100), range(100)).result(PATIENCE_S) == list(range(100))
    assert max(pending) <= bound


def test_a_list_leaves_room_for_others():
    """A list holds a window of places, a few batches for each worker, not the whole queue."""
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=2, max_pending=100, workers=2) as batcher:
        bulk = batcher.submit_all(range(1000), range(1000))
        held = batcher.pending
        assert held == 16
        others = [batcher.submit(number) for number in range(100 - held)]
        handler.gate.set()
        assert results(others) == [2 * number for number in range(100 - held)]
        assert bulk.result(PATIENCE_S) == [2 * number for number in range(1000)]


def test_a_list_that_finds_no_room_at_all_is_refused():
    handler = Handler(shut=True)
    with batching(handler, max_pending=5) as batcher:
        others = [batcher.submit(number) for number in range(5)]
        bulk = batcher.submit_all(range(10), range(10))
        assert isinstance(bulk.exception(PATIENCE_S), RouterOverloadedError)
        handler.gate.set()
        assert results(others) == [0, 2, 4, 6, 8]


def test_a_list_makes_do_with_the_room_that_others_leave():
    handler = Handler(shut=True)
    with batching(handler, max_pending=10) as batcher:
        others = [batcher.submit(number) for number in range(7)]
        bulk = batcher.submit_all(range(100), range(100))
        assert batcher.pending == 10
        assert not bulk.done()
        handler.gate.set()
        assert bulk.result(PATIENCE_S) == [2 * number for number in range(100)]
        assert results(others) == [0, 2, 4, 6, 8, 10, 12]


def test_a_list_that_waits_for_room_counts_no_refusals():
    """Refusals are what an operator scales by: nobody was refused here."""
    handler = Handler(shut=True)
    with batching(handler, max_pending=10) as batcher:
        others = [batcher.submit(number) for number in range(7)]
        bulk = batcher.submit_all(range(100), range(100))
        handler.gate.set()
        bulk.result(PATIENCE_S)
        results(others)
        assert batcher.counts.rejected == 0


def test_twenty_thousand_items_are_fed_through_a_small_window():
    with batching(lambda items: items, max_batch_size=64, workers=2) as batcher:
        assert batcher.submit_all(range(20_000), range(20_000)).result(PATIENCE_S) == list(range(20_000))


def test_what_is_left_of_a_list_is_refused_and_what_was_admitted_keeps_its_results():
    """Others fill the queue while it is fed: the whole list failed for its last items."""
    admitted: list[Future] = [Future(), Future()]
    room = iter(admitted)
    refusal = RouterOverloadedError(5, 5, 0.1)
    bulk = Bulk(lambda _: next(room, None), lambda: refusal, range(4), [3, 1, 0, 2], lambda: 8).start()
    admitted[0].set_result(30)
    assert not bulk.done()
    admitted[1].set_result(10)
    assert bulk.result(0) == [refusal, 10, refusal, 30]


def test_items_that_end_while_they_are_handed_in_do_not_recurse(caplog):
    """Each end hands in the next item: a chain of calls as long as the list would overflow the stack."""

    def answer_at_once(item):
        future: Future = Future()
        future.set_result(2 * item)
        return future

    bulk = Bulk(answer_at_once, RouterOverloadedError, range(20_000), range(20_000), lambda: 8).start()
    assert bulk.result(0) == [2 * number for number in range(20_000)]
    assert not caplog.records, "futures log what their callbacks raise"


def test_cancelling_a_list_stops_the_feeding():
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=2) as batcher:
        bulk = batcher.submit_all(range(1000), range(1000))
        handed_in = batcher.pending
        assert bulk.cancel()
        handler.gate.set()
        batcher.close(PATIENCE_S)
        assert batcher.pending == 0
    assert len(handler.seen) <= handed_in == 8


def test_the_waiting_items_of_a_cancelled_list_never_reach_the_handler():
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        running = batcher.submit(1000)
        handler.wait_until_busy()
        bulk = batcher.submit_all(range(20), range(20))
        assert bulk.cancel()
        handler.gate.set()
        assert running.result(PATIENCE_S) == 2000
        batcher.close(PATIENCE_S)
    assert handler.seen == [1000]


def test_lists_and_single_items_of_many_callers_do_not_mix_up():
    answers: dict[int, list[int]] = {}
    with batching(Handler(), max_batch_size=7, workers=3) as batcher:

        def call(caller):
            items = range(1000 * caller, 1000 * caller + 200)
            singles = [batcher.submit(item) for item in items[:50]]
            bulk = batcher.submit_all(items, list(reversed(range(200))))
            answers[caller] = [*results(singles), *bulk.result(PATIENCE_S)]

        callers = [threading.Thread(target=call, args=(caller,)) for caller in range(6)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE_S)
    for caller in range(6):
        expected = [2 * item for item in range(1000 * caller, 1000 * caller + 200)]
        assert answers[caller] == expected[:50] + expected
