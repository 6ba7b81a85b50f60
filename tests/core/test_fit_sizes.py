"""Heads for routes of any number, size and script."""

import pytest
from fitted import ENCODER, QUERIES, open_router

from synaptoroute_core import AdaptiveRouter, Route, RouterConfig


def numbered(routes: int, utterances: int) -> list[Route]:
    return [
        Route(f"r{number}", [f"matter{number} item {row} of subject{number}" for row in range(utterances)])
        for number in range(routes)
    ]


SIZES = {
    "two routes of one utterance": numbered(2, 1),
    "three routes of one utterance": numbered(3, 1),
    "three routes of four": numbered(3, 4),
    "two routes of five hundred": numbered(2, 500),
    "sixty routes of three": numbered(60, 3),
    "one of five hundred beside others of three": [Route("r0", [f"big {n}" for n in range(500)]), *numbered(9, 3)[1:]],
    "one text in two routes": [Route("r0", ["same text", "one"]), Route("r1", ["same text", "two"])],
    "nothing but the same texts": [Route("r0", ["same text"]), Route("r1", ["same text"])],
    "emoji": [Route("r0", ["😀", "😀😀", "🎉"]), Route("r1", ["🚗", "🚙"]), Route("r2", ["❤", "💔"])],
    "punctuation": [Route("r0", ["!!!", "???"]), Route("r1", ["...", "---"])],
    "another script": [Route("r0", ["退款", "我要退款"]), Route("r1", ["包裹在哪里"]), Route("r2", ["你好", "早上好"])],
    "long texts": [Route("r0", ["word " * 3000]), Route("r1", ["other " * 2500])],
}


@pytest.mark.parametrize("routes", SIZES.values(), ids=SIZES)
def test_routes_of_any_size_and_script_can_be_fitted(routes):
    with open_router(routes) as router:
        report = router.fit()
        assert report.changed
        assert report.routes == len(routes)
        texts = [route.utterances[-1] for route in routes]
        decisions = router.route_batch([*texts, *QUERIES])
        assert all(decision.scorer == "head" and 0 < decision.confidence < 1 for decision in decisions)
        shared = len({text for route in routes for text in route.utterances}) < sum(len(r.utterances) for r in routes)
        best = [decision.candidates[0].route for decision in decisions[: len(texts)]]
        assert shared or best == [route.name for route in routes]


def test_with_few_routes_the_report_says_that_the_confidence_is_the_shipped_one():
    for routes in (numbered(2, 1), numbered(2, 50), numbered(3, 1)):
        with open_router(routes) as router:
            assert "the shipped acceptor" in router.fit().reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "routes",
    [numbered(1000, 3), [Route("r0", [f"big {n}" for n in range(10_000)]), *SIZES["emoji"][1:]]],
    ids=["1000 routes", "10000 utterances"],
)
@pytest.mark.timeout(600)
def test_many_routes_and_a_route_of_many_utterances_can_be_fitted(routes):
    with AdaptiveRouter(routes, encoder=ENCODER, config=RouterConfig(auto_refit=False)) as router:
        router.fit()
        for route in routes[:: max(1, len(routes) // 50)]:
            assert router.route(route.utterances[0]).candidates[0].route == route.name
