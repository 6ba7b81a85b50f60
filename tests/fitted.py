"""Small routers with a fitted head, and what they say of some texts."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gates import PATIENCE_S

from synaptoroute_core import AdaptiveRouter, Decision, Encoder, HashingEncoder, Route, RouterConfig
from synaptoroute_core.fits import head_to_bytes
from synaptoroute_core.learning.heads import make_head

ENCODER = HashingEncoder(dim=64)
ROUTES = (
    Route(
        "refund",
        [
            "i want my money back",
            "refund my order please",
            "how long does a refund take",
            "the refund has not arrived",
            "give me my money back for the shoes",
            "refund status",
        ],
    ),
    Route(
        "parcel",
        [
            "where is my parcel",
            "track a parcel",
            "my parcel is late",
            "when will the parcel arrive",
            "the courier has lost my parcel",
            "parcel tracking does not move",
        ],
    ),
    Route(
        "password",
        [
            "i forgot my password",
            "reset my password",
            "the password link has expired",
            "my password is not accepted",
            "choose a new password",
            "locked out after a wrong password",
        ],
    ),
    Route(
        "invoice",
        [
            "send me an invoice",
            "i need an invoice for my company",
            "where do i download the invoice",
            "the invoice has a wrong name",
            "invoice for last month",
            "vat invoice",
        ],
    ),
    Route(
        "hours",
        [
            "when do you open",
            "opening hours on sunday",
            "are you open today",
            "until when is the shop open",
            "is the shop closed at christmas",
            "opening times",
        ],
    ),
)
NEW = Route("weather", ["will it rain tomorrow", "weather report", "how warm is it outside"])
STRANGERS = [
    "the piano sonata in b minor",
    "convert ten miles to kilometres",
    "who won the cup final",
    "recipe for lentil soup",
    "blorp fnargle wub",
    "17 times 23",
    "translate this poem",
    "book a flight to oslo",
]
ODD = ["?!?", "退款 在哪里", "😀🎉", "a", "PARCEL " * 600, "stra\u00dfe u\u0308ber", "\ud800 refund", "my my my my"]
QUERIES = [
    *(f"hello, {text} now" for route in ROUTES for text in route.utterances),
    *(f"{first.utterances[0]} and {second.utterances[1]}" for first in ROUTES for second in ROUTES),
    *STRANGERS,
    *ODD,
]

INSIDE = [(f"hello, {text}", route.name) for route in ROUTES for text in route.utterances]
OUTSIDE = [(f"{text} {number}", None) for number in range(6) for text in STRANGERS]
EXAMPLES = [*INSIDE, *OUTSIDE]
MANY = [(f"{text} {number}", label) for number in range(8) for text, label in EXAMPLES]


def open_router(
    routes: Sequence[Route] = ROUTES, *, store: str | Path = ":memory:", encoder: Encoder = ENCODER, **settings
) -> AdaptiveRouter:
    """A router that does not fit again by itself, unless it is told to."""
    return AdaptiveRouter(
        routes, encoder=encoder, store=store, config=RouterConfig(**{"auto_refit": False, "workers": 2, **settings})
    )


def answers(router: AdaptiveRouter, texts: Sequence[str] = QUERIES) -> list[Decision]:
    """Decisions without the revision, in which routers that decide alike may differ."""
    return [decision.model_copy(update={"revision": 0}) for decision in router.route_batch(texts)]


def scorers(router: AdaptiveRouter) -> set[str]:
    return {decision.scorer for decision in router.route_batch(QUERIES)}


def newest_head(router: AdaptiveRouter) -> bytes:
    """The bytes of the head of the newest fit."""
    return head_to_bytes(router.fits[-1].head)


class GatedMaking:
    """Stands for ``make_head`` and waits before it works, as long as its gate is shut; counts its calls."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls = 0

    def __call__(self, snapshot, request, encode, step: Callable[[float], None], threads: int = 1):
        self.calls += 1
        self.entered.release()
        for _ in range(100 * PATIENCE_S):
            if self.gate.wait(0.01):
                return make_head(snapshot, request, encode, step, threads)
            step(0.0)  # where a router that is being closed stops it
        raise TimeoutError

    def wait_until_busy(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE_S)
