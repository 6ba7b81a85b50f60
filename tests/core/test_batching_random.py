"""The queue under random faults: every item ends, as what happened to it demands."""

import os
import random
import threading
import time
from concurrent.futures import Future
from contextlib import suppress

import pytest

from synaptoroute_core import RouterClosedError, RouterOverloadedError, RouterTimeoutError, SynaptoRouteError
from synaptoroute_core.batching import MicroBatcher

PATIENCE_S = 30
KINDS = ["good"] * 20 + ["fail", "raise", "exit", "short", "stall"]


class FaultPlan:
    """Clients, a handler and their misdeeds, drawn from a seed; knows what must become of each item."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kinds = [self.random.choice(KINDS) for _ in range(400)]
        self.numbers = iter(range(400))
        self.batches: list[list[int]] = []
        self.singles: dict[int, Future] = {}
        self.bulks: dict[range, Future] = {}
        self.timed: set[int] = set()
        self.cancelled: set[int] = set()
        self.closed = False  # somebody closed without giving time
        self.batcher: MicroBatcher = MicroBatcher(
            self.handle,
            max_batch_size=self.random.randint(1, 6),
            max_pending=self.random.randint(3, 30),
            max_wait_s=self.random.choice([0.0, 0.0005]),
            workers=self.random.randint(1, 3),
            max_queue_s=self.random.choice([None, None, 0.0, 0.001]),
        )

    def handle(self, items):
        self.batches.append(list(items))
        kinds = {self.kinds[item] for item in items}
        if "stall" in kinds:
            time.sleep(0.002)
        if "exit" in kinds:
            raise SystemExit
        if "raise" in kinds:
            raise ZeroDivisionError
        answers = [KeyError(item) if self.kinds[item] == "fail" else 2 * item for item in items]
        return answers[:-1] if "short" in kinds else answers

    def run(self) -> None:
        clients = [threading.Thread(target=self.act, args=(random.Random(self.random.random()),)) for _ in range(2)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(PATIENCE_S)
        self.batcher.close(PATIENCE_S)

    def act(self, dice: random.Random) -> None:
        actions = (
            [self.submit] * 12 + [self.submit_list] * 2 + [self.cancel] * 5 + [self.close] * (dice.random() < 0.03)
        )
        for _ in range(25):
            with suppress(RouterOverloadedError, RouterClosedError):
                dice.choice(actions)(dice)

    def submit(self, dice: random.Random) -> None:
        item = next(self.numbers)
        timeout_s = dice.choice([None, None, None, 0, 0.0002, 3600])
        if timeout_s is not None:
            self.timed.add(item)
        self.singles[item] = self.batcher.submit(item, timeout_s=timeout_s)

    def call(self, dice: random.Random) -> None:
        item = next(self.numbers)
        outcome: Future = Future()
        outcome.set_running_or_notify_cancel()
        try:
            outcome.set_result(self.batcher.run(item))
        except BaseException as error:
            if isinstance(error, RouterOverloadedError):
                raise
            outcome.set_exception(error)
        self.singles[item] = outcome

    def submit_list(self, dice: random.Random) -> None:
        first = next(self.numbers)
        items = range(first, first + 1 + sum(1 for _ in zip(range(dice.randrange(12)), self.numbers, strict=False)))
        self.bulks[items] = self.batcher.submit_all(items, range(len(items)))

    def cancel(self, dice: random.Random) -> None:
        if self.bulks and dice.random() < 0.2:
            dice.choice(list(self.bulks.values())).cancel()
        elif self.singles:
            item = dice.choice(list(self.singles))
            if self.singles[item].cancel():
                self.cancelled.add(item)

    def close(self, dice: random.Random) -> None:
        self.closed = True
        self.batcher.close(0)

    def check(self) -> None:
        self.batch_of = {item: batch for batch in self.batches for item in batch}
        assert sum(map(len, self.batches)) == len(self.batch_of), "no item is handled twice"
        for item, future in self.singles.items():
            assert future.done()
            assert future.cancelled() == (item in self.cancelled)
            if future.cancelled():
                assert item not in self.batch_of
            else:
                self.check_outcome(item, future.exception(0) or future.result(0))
        for items, bulk in self.bulks.items():
            assert bulk.done()
            if bulk.cancelled():
                continue
            if bulk.exception(0) is None:
                for item, outcome in zip(items, bulk.result(0), strict=True):
                    # What is left of a list may be refused, where others fill the queue.
                    if not isinstance(outcome, RouterOverloadedError):
                        self.check_outcome(item, outcome)
                    else:
                        assert item not in self.batch_of
            else:
                assert isinstance(bulk.exception(0), RouterOverloadedError | RouterClosedError)
        assert self.batcher.pending == 0
        counts = self.batcher.counts
        assert counts.answered + counts.failed == len(self.batch_of)

    def check_outcome(self, item: int, outcome: object) -> None:
        batch = self.batch_of.get(item)
        if isinstance(outcome, RouterClosedError):
            assert self.closed
        elif batch is None:
            assert isinstance(outcome, RouterTimeoutError)
            assert item in self.timed
        else:
            assert isinstance(outcome, int | BaseException)
            assert outcome == 2 * item if isinstance(outcome, int) else type(outcome) in self.faults_of(item, batch)

    def faults_of(self, item: int, batch: list[int]) -> set[type[BaseException]]:
        """The errors that may reach an item, given what else is in its batch."""
        kinds = {self.kinds[mate] for mate in batch}
        faults: set[type[BaseException]] = set()
        if "exit" in kinds:
            faults |= {SynaptoRouteError, SystemExit}  # the latter where the caller did the work itself
        if "raise" in kinds:
            faults.add(ZeroDivisionError)
        if "short" in kinds:  # whose answer is missing nobody can tell
            faults.add(ValueError)
        if self.kinds[item] == "fail":
            faults.add(KeyError)
        return faults


SEEDS = int(os.environ.get("SYNAPTOROUTE_TEST_SEEDS", "2000"))
GROUPS = 20


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_goes_wrong_every_item_ends_as_it_must(group):
    """Each seed is a mix of raising, stalling, short answers, cancels, timeouts and closing."""
    for seed in range(group, SEEDS, GROUPS):
        plan = FaultPlan(seed)
        plan.run()
        plan.check()
