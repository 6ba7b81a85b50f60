"""What is known of texts that were asked before."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from synaptoroute_core.changes import Vectors
from synaptoroute_core.options import DEFAULT_OPTIONS, RouteOptions
from synaptoroute_core.types import Decision


@dataclass(slots=True)
class _Known:
    vector: Vectors
    options: RouteOptions = DEFAULT_OPTIONS
    decision: Decision | None = None
    edits: int = 0


class TextCache:
    """Vectors of the texts asked last, each with the last decision made of it.

    A vector stays good as long as the encoder; a decision only for the same version of the routes and
    equal options. Safe for threads.

    Args:
        size: How many texts to keep; the one not asked for longest goes first. 0 = none.

    Attributes:
        recalled: Decisions given out.
    """

    def __init__(self, size: int) -> None:
        self.recalled = 0
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def decision(self, text: str, version: tuple[int, int], options: RouteOptions) -> Decision | None:
        """The decision made of the text at this version (see :class:`Version`), if it is remembered."""
        with self._lock:
            known = self._known.get(text)
            if known is None or known.decision is None:
                return None
            if (known.decision.revision, known.edits) != version or known.options != options:
                return None
            self._known.move_to_end(text)
            self.recalled += 1
            return known.decision

    def vector(self, text: str) -> Vectors | None:
        """The text's vector, if it is remembered."""
        with self._lock:
            known = self._known.get(text)
            if known is None:
                return None
            self._known.move_to_end(text)
            return known.vector

    def remember(
        self,
        text: str,
        vector: Vectors,
        options: RouteOptions = DEFAULT_OPTIONS,
        decision: Decision | None = None,
        edits: int = 0,
    ) -> None:
        """Keep a vector and the decision made with it at this count of edits, if there was one."""
        if not self._size:
            return
        with self._lock:
            self._known[text] = _Known(vector, options, decision, edits)
            self._known.move_to_end(text)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
