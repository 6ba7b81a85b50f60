"""Settings of a router: one frozen value, checked when it is made."""

from __future__ import annotations

import threading
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.text import MAX_TEXT_CHARS
from synaptoroute_core.types import Score

Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(strict=True)]
Seconds: TypeAlias = Annotated[Number, Field(ge=0, le=threading.TIMEOUT_MAX)]
"""At most what a lock can wait: beyond, it raises OverflowError in the middle of a query."""


MIN_CONFIDENCE = 2 / 3
"""Answering is worth it from here on if a wrong answer undoes two right ones."""


class RouterConfig(FrozenModel):
    """Settings of :class:`~synaptoroute_core.AdaptiveRouter`; units are in the names.

    The default threshold and margin were chosen with the bundled model on the validation splits of
    four public data sets (``docs/decisions.md``). Other models put cosines on another scale: give
    them a threshold of their own.

    Attributes:
        threshold: Least score at which a route without a threshold of its own is chosen, -1 to 1, unless
            ``fit_thresholds()`` or ``calibrate()`` set another.
        min_confidence: Least confidence at which a router with a fitted head answers, unless ``calibrate()`` set
            another; 0 to 1. The default is where a wrong answer undoes two right ones.
        min_margin: Least lead over the second best route; a smaller one is ``ambiguous``. Not used where a fitted
            head decides.
        auto_refit: Fit again in the background after utterances were changed, if there was a fitted head. Until
            then decisions go by similarity.
        max_candidates: How many candidates a decision lists.
        max_pending: Bound on queries waiting and running; one more is refused at once.
        max_queue_s: Bound on the time that what is pending takes, as measured, in seconds; beyond it a query is
            refused at once. A full batch for each worker is admitted in any case. None = only ``max_pending`` bounds.
        max_batch_size: Most queries that a worker takes at once.
        max_wait_ms: How long a worker waits for company for a query, in milliseconds.
        workers: Worker threads; None = one for each processor that the process may use.
        timeout_s: Time that a query gets unless its call says otherwise; None = no limit.
        cache_size: Texts whose vectors are kept, least recently used dropped first; 0 = none.
        max_text_chars: What lies beyond in a query is not read.
        drain_timeout_s: How long ``close()`` goes on answering what was accepted.
        follow_interval_s: How often a router looks whether another process changed its store; 0 = never. None =
            four times a second for a file, and as often as the store says for one on another machine, which tells
            when there is something new.
        on_encoder_change: What to do when the store was made with another encoder: ``reencode`` its
            texts, or ``raise`` :class:`~synaptoroute_core.EncoderMismatchError`.
    """

    threshold: Score = 0.50
    min_confidence: Annotated[Number, Field(ge=0.0, le=1.0)] = MIN_CONFIDENCE
    min_margin: Annotated[Number, Field(ge=0.0, le=2.0)] = 0.05
    auto_refit: Annotated[bool, Field(strict=True)] = True
    max_candidates: Annotated[Count, Field(ge=1, le=1000)] = 5
    max_pending: Annotated[Count, Field(ge=1)] = 10_000
    max_queue_s: Seconds | None = None
    max_batch_size: Annotated[Count, Field(ge=1, le=4096)] = 32
    max_wait_ms: Annotated[Number, Field(ge=0, le=10_000)] = 0.0
    workers: Annotated[Count, Field(ge=1, le=256)] | None = None
    timeout_s: Seconds | None = None
    cache_size: Annotated[Count, Field(ge=0)] = 4096
    max_text_chars: Annotated[Count, Field(ge=1, le=MAX_TEXT_CHARS)] = MAX_TEXT_CHARS
    drain_timeout_s: Seconds = 10.0
    follow_interval_s: Seconds | None = None
    on_encoder_change: Literal["reencode", "raise"] = "reencode"
