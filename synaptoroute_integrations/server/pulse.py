"""How late the event loop is: what requests wait before anybody looks at them."""

from __future__ import annotations

import asyncio

BEAT_S = 0.01


class Pulse:
    """Measures how late the event loop comes to what is due. When there is more to read than it can look at, this
    is where it shows: the engine's queue is short then, and yet everybody waits.

    Attributes:
        late_s: Seconds by which the last beat was late.
    """  # noqa: D205  # one thought

    def __init__(self) -> None:
        self.late_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._beat_next()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        self.late_s = max(0.0, self._loop.time() - self._due)
        self._beat_next()

    def _beat_next(self) -> None:
        self._due = self._loop.time() + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)
