"""What another threshold would change is what it then changes."""

import pytest
from tried import EXAMPLES, ROUTES, THRESHOLDS

from synaptoroute_core import AdaptiveRouter, HashingEncoder, RouteOptions, RouterConfig
from synaptoroute_integrations.notebook.trying import Session


@pytest.fixture
def router(hashing):
    with AdaptiveRouter(ROUTES, encoder=hashing, config=RouterConfig(threshold=0.5)) as opened:
        yield opened


@pytest.fixture(scope="module")
def fitted():
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), config=RouterConfig(auto_refit=False)) as opened:
        opened.fit(progress=False)
        yield opened


def decided(router, examples, options=None):
    return {text: router.route(text, options=options).route for text, _ in examples}


def changed(before, after):
    return {(text, before[text], after[text]) for text in before if before[text] != after[text]}


@pytest.mark.parametrize("rule", ["router", "fitted"])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_flips_for_every_route_are_those_of_a_call_with_that_threshold(rule, threshold, request):
    router = request.getfixturevalue(rule)
    outlook = Session(router, EXAMPLES).consider(threshold)
    after = decided(router, EXAMPLES, RouteOptions(threshold=threshold))
    assert {(flip.text, flip.before, flip.after) for flip in outlook.flips} == changed(decided(router, EXAMPLES), after)
    labels = dict(EXAMPLES)
    assert outlook.after.answered == sum(route is not None for route in after.values())
    assert outlook.after.wrong == sum(route not in (None, labels[text]) for text, route in after.items())


@pytest.mark.parametrize("route", [route.name for route in ROUTES])
def test_the_flips_for_one_route_are_those_that_setting_it_brings(router, route):
    before = decided(router, EXAMPLES)
    session = Session(router, EXAMPLES)
    promised = {threshold: session.consider(threshold, route).flips for threshold in THRESHOLDS}
    for threshold, flips in promised.items():
        router.update_threshold(route, threshold)
        brought = changed(before, decided(router, EXAMPLES))
        assert {(flip.text, flip.before, flip.after) for flip in flips} == brought
    assert any(promised.values())


def test_a_text_that_is_there_twice_counts_twice(router):
    outlook = Session(router, [EXAMPLES[0]] * 2).consider(1.0)
    assert (outlook.before.answered, outlook.after.answered, len(outlook.flips)) == (2, 0, 2)


def test_edits_are_seen_by_the_next_look(router):
    session = Session(router, EXAMPLES)
    before = session.consider(0.9)
    router.add_utterances("refund", ["my money, I want it back"])
    assert len(session.consider(0.9).flips) == len(before.flips) - 1
