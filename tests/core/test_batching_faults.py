"""The queue when things go wrong: every accepted item ends, exactly once, and the workers live on."""

import threading

import pytest
from gates import PATIENCE_S, Handler, batching, results

from synaptoroute_core import RouterOverloadedError, RouterTimeoutError, SynaptoRouteError
from synaptoroute_core.batching import MicroBatcher

# --- giving up -------------------------------------------------------------------------------------


def test_a_cancelled_item_never_reaches_the_handler_and_frees_its_place():
    handler = Handler(shut=True)
    with batching(handler, max_pending=3) as batcher:
        running = batcher.submit(0)
        handler.wait_until_busy()
        cancelled, kept = batcher.submit(1), batcher.submit(2)
        assert cancelled.cancel()
        handler.gate.set()
        assert results([running, kept]) == [0, 4]
        batcher.close(PATIENCE_S)
        assert batcher.pending == 0
        assert batcher.counts.dropped == 1
    assert handler.seen == [0, 2]


def test_an_item_out_of_time_never_reaches_the_handler():
    """Clients that gave up must not make the encoder work for nobody."""
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        running = batcher.submit(0)
        handler.wait_until_busy()
        late, patient = batcher.submit(1, timeout_s=0), batcher.submit(2, timeout_s=3600)
        handler.gate.set()
        error = late.exception(PATIENCE_S)
        assert isinstance(error, RouterTimeoutError)
        assert error.timeout_s == 0
        assert results([running, patient]) == [0, 4]
        batcher.close(PATIENCE_S)
        assert batcher.pending == 0
        assert batcher.counts.dropped == 1
    assert handler.seen == [0, 2]


def test_a_batch_of_nothing_but_given_up_items_is_not_run():
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        running = batcher.submit(0)
        handler.wait_until_busy()
        for number in range(1, 5):
            batcher.submit(number).cancel()
        handler.gate.set()
        running.result(PATIENCE_S)
        batcher.close(PATIENCE_S)
        assert (batcher.counts.batches, batcher.counts.dropped) == (1, 4)
    assert handler.batches == [[0]]


def test_counts_add_up():
    handler = Handler(shut=True)

    def handle(items):
        return [
            ValueError(item) if item % 5 == 0 else answer for item, answer in zip(items, handler(items), strict=True)
        ]

    with batching(handle, max_pending=40) as batcher:
        futures = [batcher.submit(number) for number in range(40)]
        handler.wait_until_busy()
        for _ in range(7):
            with pytest.raises(RouterOverloadedError):
                batcher.submit(0)
        cancelled = sum(future.cancel() for future in futures[-3:])
        handler.gate.set()
        batcher.close(PATIENCE_S)
        counts = batcher.counts
        assert cancelled == counts.dropped == 3
        assert (counts.answered, counts.failed, counts.rejected) == (29, 8, 7)  # 0, 5, ... 35 fail
        assert counts.batches == len(handler.batches)


# --- callers ---------------------------------------------------------------------------------------


def test_an_item_that_is_running_cannot_be_cancelled_and_is_answered():
    handler = Handler(shut=True)
    with batching(handler) as batcher:
        running = batcher.submit(1)
        handler.wait_until_busy()
        assert not running.cancel()
        handler.gate.set()
        assert running.result(PATIENCE_S) == 2


def test_cancelling_after_the_answer_changes_nothing():
    with batching(Handler()) as batcher:
        answered = batcher.submit(1)
        answered.result(PATIENCE_S)
        assert not answered.cancel()
        assert answered.result() == 2


def test_callers_that_cancel_while_workers_take_their_items_never_kill_a_worker():
    """A client that hangs up at the wrong moment must not end the loop that serves all others."""
    with batching(Handler(), workers=2, max_batch_size=3) as batcher:
        for round_ in range(200):
            futures = [batcher.submit(number) for number in range(10)]
            for future in futures[round_ % 3 :: 2]:
                future.cancel()
            for number, future in enumerate(futures):
                assert future.cancelled() or future.result(PATIENCE_S) == 2 * number
        assert batcher.submit(21).result(PATIENCE_S) == 42
        batcher.close(PATIENCE_S)
        assert batcher.pending == 0


def test_a_callback_that_raises_harms_nobody_else(caplog):
    def fail(_future):
        raise ValueError("in a callback")

    handler = Handler(shut=True)
    with batching(handler) as batcher:
        futures = [batcher.submit(number) for number in range(4)]
        futures[1].add_done_callback(fail)
        handler.gate.set()
        assert results(futures) == [0, 2, 4, 6]
        assert batcher.submit(5).result(PATIENCE_S) == 10
    assert "exception calling callback" in caplog.text


# --- handlers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("broken"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()]
)
def test_a_handler_that_raises_fails_its_batch_and_the_worker_lives_on(error, caplog):
    """What kills a worker silently leaves its callers, and all later ones, waiting for ever."""
    gate = threading.Event()

    def handle(items):
        assert gate.wait(PATIENCE_S)
        if 0 in items:
            raise error
        return items

    with batching(handle) as batcher:
        futures = [batcher.submit(0) for _ in range(4)]
        gate.set()
        for raised in [future.exception(PATIENCE_S) for future in futures]:
            if isinstance(error, Exception):
                assert raised is error
            else:
                assert isinstance(raised, SynaptoRouteError)
                assert repr(error) in str(raised)
        assert batcher.submit(7).result(PATIENCE_S) == 7
    assert "queries failed" in caplog.text


@pytest.mark.parametrize(
    "answer", [lambda items: items[:-1], lambda items: [*items, 0], lambda _: [], lambda _: None, lambda _: 5]
)
def test_a_handler_that_answers_too_little_or_too_much_leaves_nobody_waiting(answer, caplog):
    gate = threading.Event()

    def handle(items):
        assert gate.wait(PATIENCE_S)
        return items if items == [99] else answer(items)

    with batching(handle) as batcher:
        futures = [batcher.submit(number) for number in range(9)]
        gate.set()
        for future in futures:
            assert isinstance(future.exception(PATIENCE_S), ValueError | TypeError | None)
        assert batcher.submit(99).result(PATIENCE_S) == 99
        batcher.close(PATIENCE_S)
        assert batcher.pending == 0


def test_threads_that_cannot_be_started_leave_nobody_waiting(monkeypatch):
    """A machine out of threads must not turn into a queue that takes items and never answers."""
    start = threading.Thread.start
    attempts = []

    def start_unless_first(thread):
        attempts.append(thread)
        if len(attempts) == 1:
            raise RuntimeError("can't start new thread")
        start(thread)

    batcher = MicroBatcher(Handler(), max_batch_size=8, max_pending=10, max_wait_s=0.0, workers=2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_unless_first)
        with pytest.raises(RuntimeError, match="can't start"):
            batcher.submit(1)
        later = batcher.submit(2)
    assert later.result(PATIENCE_S) == 4
    batcher.close(PATIENCE_S)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), KeyboardInterrupt()])
def test_what_breaks_off_a_caller_at_work_reaches_it_and_frees_its_place(error, caplog):
    """An interrupt of the thread that does the work is its own, and must not cost the queue a worker."""

    def handle(items):
        if items == [0]:
            raise error
        return items

    with batching(handle, max_pending=1) as batcher:
        for _ in range(3):
            with pytest.raises(type(error)) as raised:
                batcher.run(0)
            assert raised.value is error
            assert batcher.pending == 0
        assert batcher.run(7) == 7
        assert batcher.submit(8).result(PATIENCE_S) == 8
        assert batcher.counts.failed == 3
    assert "queries failed" in caplog.text


def test_an_interrupt_beside_the_handler_does_not_cost_a_place_either():
    """Ctrl-C hits a caller at work anywhere: each place it cost would be gone until nobody is served."""

    class Interrupted(MicroBatcher):
        interrupts = 3

        def _run(self, batch):
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super()._run(batch)

    batcher = Interrupted(Handler(), max_batch_size=8, max_pending=1, max_wait_s=0.0, workers=1)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            batcher.run(1)
        assert batcher.pending == 0
    assert batcher.run(7) == 14
    assert batcher.submit(8).result(PATIENCE_S) == 16
    batcher.close(PATIENCE_S)
