"""Parts with a gate: a test shuts it, looks at what waits behind it, and opens it again."""

import threading
from concurrent.futures import Future
from contextlib import contextmanager

from synaptoroute_core import HashingEncoder, Route
from synaptoroute_core.batching import MicroBatcher

PATIENCE_S = 30
ROUTES = [
    Route("refund", ["i want my money back", "refund my order please"]),
    Route("greeting", ["hello there", "good morning"]),
]


class Handler:
    """Answers every item with its double, remembers its batches, and waits where the gate is shut."""

    def __init__(self, *, shut: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        if not shut:
            self.gate.set()

    def __call__(self, items):
        self.batches.append(list(items))
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        return [2 * item for item in items]

    @property
    def seen(self) -> list[int]:
        return [item for batch in self.batches for item in batch]

    def wait_until_busy(self, batches: int = 1) -> None:
        for _ in range(batches):
            assert self.entered.acquire(timeout=PATIENCE_S)


@contextmanager
def batching(handler, **settings):
    defaults = {"max_batch_size": 8, "max_pending": 1000, "max_wait_s": 0.0, "workers": 1}
    batcher = MicroBatcher(handler, **{**defaults, **settings})
    try:
        yield batcher
    finally:
        if isinstance(handler, Handler):
            handler.gate.set()
        batcher.close(PATIENCE_S)


def results(futures: list[Future]) -> list[int]:
    return [future.result(PATIENCE_S) for future in futures]


class Gated(HashingEncoder):
    """Waits at texts that begin with "slow" until the gate is open; remembers what it encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.texts: list[str] = []

    def encode(self, texts):
        self.texts += texts
        if any(text.startswith("slow") for text in texts):
            self.entered.release()
            assert self.gate.wait(PATIENCE_S)
        return super().encode(texts)
