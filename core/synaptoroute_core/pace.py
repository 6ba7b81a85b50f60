"""How fast workers get through what waits for them, as measured."""

from __future__ import annotations

SMOOTHING = 0.2
"""Weight of the newest batch."""


class Pace:
    """The measured pace of some workers. Not safe for threads by itself.

    Seconds and items are summed apart, and the mean of their quotients is not taken: a lone item costs more than
    one of a full batch, and what waits is worked off in full ones. A batch's time is wall time, so
    that what workers lose to each other is in it when they are busy, which is when it matters.

    Args:
        workers: How many work at the same time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._seconds = 0.0
        self._items = 0.0

    def note(self, items: int, seconds: float) -> None:
        """Take a batch into account that one worker has done."""
        self._seconds += (seconds - self._seconds) * SMOOTHING
        self._items += (items - self._items) * SMOOTHING

    def seconds_for(self, items: int) -> float:
        """How long all workers take for some items together; 0 before anything was measured."""
        return items * self._seconds / self._items / self._workers if self._items else 0.0

    def items_in(self, seconds: float, *, most: int) -> int:
        """How many items all workers get through in some time, or ``most`` if those are fewer."""
        one = self.seconds_for(1)
        # Not rounded before it is bounded: a clock with coarse ticks makes the quotient as good as infinite.
        return int(min(most, seconds / one)) if one else most
