"""The end of the queue: what was accepted is answered or refused, and nobody is left waiting."""

import threading
from concurrent.futures import Future
from contextlib import suppress

import pytest
from gates import PATIENCE_S, Handler, batching, results

from synaptoroute_core import RouterClosedError, RouterOverloadedError
from synaptoroute_core.batching import MicroBatcher


def close_in_thread(batcher: MicroBatcher, drain_timeout_s: float) -> threading.Thread:
    """Start to close; returns when nothing more is accepted."""
    thread = threading.Thread(target=batcher.close, args=(drain_timeout_s,))
    thread.start()
    with batcher._changed:
        assert batcher._changed.wait_for(lambda: batcher._closed, PATIENCE_S)
    return thread


def test_closing_answers_what_was_accepted_and_refuses_what_comes_later():
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=2) as batcher:
        futures = [batcher.submit(number) for number in range(20)]
        closing = close_in_thread(batcher, PATIENCE_S)
        with pytest.raises(RouterClosedError):
            batcher.submit(20)
        handler.gate.set()
        closing.join(PATIENCE_S)
        assert all(future.done() for future in futures)
        assert results(futures) == [2 * number for number in range(20)]


def test_closing_without_time_refuses_what_waits_and_ends_what_runs():
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=1) as batcher:
        running = batcher.submit(0)
        handler.wait_until_busy()
        waiting = [batcher.submit(number) for number in range(1, 6)]
        batcher.close(0)
        assert {type(future.exception(0)) for future in waiting} == {RouterClosedError}
        handler.gate.set()
        assert isinstance(running.exception(PATIENCE_S), RouterClosedError | None)
    assert handler.seen == [0]


def test_closing_ends_even_the_item_that_a_stuck_handler_holds():
    """Who waits without a timeout for a handler that never returns would hang, closed or not."""
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        running = batcher.submit(0)
        handler.wait_until_busy()
        batcher.close(0)
        assert running.done()
        assert isinstance(running.exception(0), RouterClosedError)


def test_closing_skips_what_its_caller_cancelled():
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        batcher.submit(0)
        handler.wait_until_busy()
        cancelled, waiting = batcher.submit(1), batcher.submit(2)
        cancelled.cancel()
        batcher.close(0)
        assert cancelled.cancelled()
        assert isinstance(waiting.exception(0), RouterClosedError)


def test_closing_between_the_taking_and_the_running_of_a_batch_leaves_nothing_behind(caplog):
    """The item is ended by then: whoever finds it so must neither stumble nor go on counting it."""

    class Hesitant(MicroBatcher):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.taken, self.go_on = threading.Event(), threading.Event()

        def _process(self, batch):
            self.taken.set()
            assert self.go_on.wait(PATIENCE_S)
            super()._process(batch)

    handler = Handler()
    batcher = Hesitant(handler, max_batch_size=8, max_pending=8, max_wait_s=0.0, workers=1)
    future = batcher.submit(1)
    assert batcher.taken.wait(PATIENCE_S)
    batcher.close(0)
    batcher.go_on.set()
    assert isinstance(future.exception(PATIENCE_S), RouterClosedError)
    for thread in batcher._threads:
        thread.join(PATIENCE_S)
    assert batcher.pending == 0
    assert not caplog.records


def test_closing_is_harmless_when_repeated_or_done_by_several_at_once():
    handler = Handler(shut=True)
    with batching(handler, workers=2) as batcher:
        futures = [batcher.submit(number) for number in range(50)]
        closers = [close_in_thread(batcher, PATIENCE_S) for _ in range(4)]
        handler.gate.set()
        for closer in closers:
            closer.join(PATIENCE_S)
            assert not closer.is_alive()
        batcher.close(PATIENCE_S)
        batcher.close(0)
        assert results(futures) == [2 * number for number in range(50)]


def test_closing_ends_the_threads():
    with batching(Handler(), workers=3, name="to-be-ended") as batcher:
        results([batcher.submit(number) for number in range(20)])
        batcher.close(PATIENCE_S)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("to-be-ended")]


def test_a_worker_may_close_the_queue_itself():
    """A callback runs in a worker, which must not wait for its own end."""
    with batching(Handler()) as batcher:
        closed = threading.Event()

        def close(_future):
            batcher.close(0)
            closed.set()

        batcher.submit(1).add_done_callback(close)
        assert closed.wait(PATIENCE_S)
        with pytest.raises(RouterClosedError):
            batcher.submit(2)


def test_a_queue_that_was_never_used_closes():
    batcher = MicroBatcher(Handler(), max_batch_size=1, max_pending=1, max_wait_s=0.0, workers=1)
    batcher.close(PATIENCE_S)
    with pytest.raises(RouterClosedError, match="closed"):
        batcher.submit(1)
    with pytest.raises(RouterClosedError):
        batcher.submit_all([1], [0]).result(PATIENCE_S)


def test_a_list_that_is_half_handed_in_ends_when_the_queue_is_closed():
    handler = Handler(shut=True)
    with batching(handler, max_batch_size=2) as batcher:
        bulk = batcher.submit_all(range(1000), range(1000))
        handler.wait_until_busy()
        batcher.close(0)
        handler.gate.set()
        assert isinstance(bulk.exception(PATIENCE_S), RouterClosedError)


def test_closing_under_load_ends_every_accepted_item():
    """The moment between two states of a queue is where items are forgotten: close it while many submit."""
    for round_ in range(20):
        accepted: list[Future] = []
        handler = Handler()
        with batching(handler, workers=2, max_batch_size=4) as batcher:

            def submit(batcher=batcher, accepted=accepted):
                with suppress(RouterClosedError):
                    while True:
                        with suppress(RouterOverloadedError):
                            accepted.append(batcher.submit(1))

            callers = [threading.Thread(target=submit) for _ in range(3)]
            for caller in callers:
                caller.start()
            handler.wait_until_busy()
            batcher.close(PATIENCE_S if round_ % 2 else 0)
            for caller in callers:
                caller.join(PATIENCE_S)
            batcher.close(PATIENCE_S)
            assert all(future.done() for future in accepted)
            assert batcher.pending == 0


def test_closing_waits_for_a_caller_that_does_the_work_itself():
    """Whoever closes lets go of the parts next, so nobody may be at work with them."""
    handler = Handler(shut=True)
    answers = []
    with batching(handler) as batcher:
        caller = threading.Thread(target=lambda: answers.append(batcher.run(1)))
        caller.start()
        handler.wait_until_busy()
        opener = threading.Timer(0.1, handler.gate.set)
        opener.start()
        batcher.close(PATIENCE_S)
        assert handler.gate.is_set(), "closing returned while a query was running"
        assert batcher.pending == 0
        caller.join(PATIENCE_S)
        opener.join(PATIENCE_S)
    assert answers == [2]
