"""How late the event loop is: what requests wait before anybody looks at them."""

from __future__ import annotations

import asyncio
from collections import deque

BEAT_S = 0.01
BEATS = 3
"""One late beat is one slow step, and no reason to refuse what comes next; several in a row are too much work."""


class Pulse:
    """Measures how late the event loop comes to what is due. When there is more to read than it can look at, this
    is where it shows: the engine's queue is short then, and yet everybody waits.

    Attributes:
        late_s: Seconds by which each of the last beats was late, or more.
    """  # noqa: D205  # one thought

    def __init__(self) -> None:
        self.late_s = 0.0
        self._last = deque([0.0] * BEATS, maxlen=BEATS)
        self._loop = asyncio.get_running_loop()
        self._beat_next()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        self._last.append(max(0.0, self._loop.time() - self._due))
        self.late_s = min(self._last)
        self._beat_next()

    def _beat_next(self) -> None:
        self._due = self._loop.time() + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)
