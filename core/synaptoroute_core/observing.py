"""Telling someone of each batch, without their mistakes reaching those who asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What became of the queries that were decided together.

    Attributes:
        queries: How many they were.
        encoded: Texts among them that had to be encoded; others were cached, came twice, or came with a vector.
        encode_s: How long the encoder took, in seconds; 0 if there was nothing to encode.
    """

    queries: int
    encoded: int
    encode_s: float


class Observer:
    """Calls a hook with reports.

    Args:
        hook: The hook; None = nobody listens.
    """

    def __init__(self, hook: Callable[[BatchReport], None] | None = None) -> None:
        self._hook = hook
        self._logging = threading.Lock()
        self._logged: set[type[Exception]] = set()

    def report(self, *, queries: int, encoded: int, encode_s: float) -> None:
        """Call the hook. What it raises is logged, once for each kind of error: it may come with every batch."""
        if self._hook is None:
            return
        try:
            self._hook(BatchReport(queries=queries, encoded=encoded, encode_s=encode_s))
        except Exception as error:  # the hook is not ours, nor are its errors
            with self._logging:
                known = type(error) in self._logged
                self._logged.add(type(error))
            if not known:
                logger.exception("a hook for batches failed; the next %s is not logged", type(error).__name__)
