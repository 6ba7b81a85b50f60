"""Routers, texts and files that the tests of bulk routing share."""

import random

import pytest

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig

WORDS = [
    "where",
    "is",
    "my",
    "parcel",
    "track",
    "delivery",
    "refund",
    "money",
    "back",
    "please",
    "order",
    "cancel",
    "it",
]


@pytest.fixture(scope="session")
def routes():
    return (
        Route("refund", ["I want my money back", "please refund me", "refund the order"]),
        Route("parcel", ["where is my parcel", "track my delivery", "the parcel is late"], threshold=0.4),
        Route("cancel", ["cancel my order", "I do not want it now"]),
    )


@pytest.fixture
def router(routes):
    """One without a model: meaning does not matter here."""
    with AdaptiveRouter(routes, encoder=HashingEncoder(), config=RouterConfig(threshold=0.45)) as opened:
        yield opened


@pytest.fixture(scope="session")
def texts():
    """Texts of all outcomes, some of them twice."""
    chooser = random.Random(0)
    return [" ".join(chooser.choices(WORDS, k=chooser.randint(1, 6))) for _ in range(500)] + ["xyzzy", "refund"]


@pytest.fixture
def judged():
    """What a router decides on texts, as rows of the columns that are added."""

    def rows(router, texts, **arguments):
        decisions = router.route_batch(texts, **arguments)
        return [(each.route, each.score, each.margin, each.confidence, each.reason) for each in decisions]

    return rows
