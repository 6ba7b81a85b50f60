"""How close a router is to its store: when it last knew that it had all that is there."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
import time
from collections.abc import Iterable

from synaptoroute_core.fits import Fit, digest_of, head_to_bytes
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.types import Route

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0
"""As often as a store is looked at that is there: no more of a burden, and all are alike soon after an outage."""


class SyncStatus(FrozenModel):
    """How close a router is to its store.

    Attributes:
        revision: The revision that is in force.
        shared: Whether other processes may change the store; a store in memory is never behind.
        behind_s: Seconds since the router last knew that it had all that is in the store.
        failing: Why it cannot know, in one sentence; None = it can.
        epoch: Which store the revision is one of: a store that is made anew, under the same URL or path, draws another.
            None where there is none, as in memory.
        digest: sha256 of the revision, routes, thresholds and fits: routers on one store with equal digests decide
            alike.
    """

    revision: int
    shared: bool
    behind_s: float
    failing: str | None
    digest: str
    epoch: str | None = None


class Contact:
    """Notes when the store was reached, and how long to wait after a failure. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reached = time.monotonic()
        self._failing: str | None = None
        self._wait_s = FIRST_WAIT_S

    def reached(self) -> None:
        """Note that the router has all that is in the store."""
        with self._lock:
            was, self._failing = self._failing, None
            self._reached = time.monotonic()
            self._wait_s = FIRST_WAIT_S
        if was is not None:
            logger.warning("the store is followed again")

    def failed(self, reason: str, taken_s: float) -> float:
        """Note that it could not be found out, and say how long to wait until the next try: longer each time.

        Args:
            reason: Why, in one sentence.
            taken_s: How long it took to fail. Who waited for an answer for long need not wait again.

        Returns:
            Seconds. Chance is in them, so that many routers do not come back all at once.
        """
        with self._lock:
            first = self._failing is None
            self._failing = reason
            wait_s = self._wait_s * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        if first:
            logger.error("the store cannot be followed, which is tried again; queries go on: %s", reason)
        return max(FIRST_WAIT_S / 2, wait_s - taken_s)

    def state(self) -> tuple[float, str | None]:
        """Seconds since the store was reached, and why it cannot be; None = it can."""
        with self._lock:
            return time.monotonic() - self._reached, self._failing


def digest_routes(revision: int, routes: Iterable[Route], fits: Iterable[Fit]) -> str:
    """What two routers must have in common to decide alike, as a sha256 in hexadecimal digits."""
    content = {
        "revision": revision,
        "routes": [route.model_dump(mode="json") for route in routes],
        "fits": [
            {
                "kind": fit.kind,
                "threshold": fit.threshold,
                "head": None if fit.head is None else digest_of(head_to_bytes(fit.head)),
                "fresh": fit.fresh,
                "replaced": dict(fit.replaced),
            }
            for fit in fits
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
