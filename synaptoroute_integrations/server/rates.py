"""How often each client may ask: a token bucket for each, and a bound on how many are remembered."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

CLIENTS_KEPT = 10_000


class RateLimiter:
    """Token buckets. For one event loop.

    Args:
        rate: Tokens that each client gets back per second.
        burst: Most that a client can save up.
        clock: Seconds that never run backwards.
    """

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, client: str) -> float:
        """Take a token.

        Returns:
            Seconds until there will be one; 0 = one was taken.
        """
        now = self._clock()
        tokens, counted = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - counted) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > CLIENTS_KEPT:
            self._buckets.popitem(last=False)
        return wait
