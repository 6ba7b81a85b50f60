"""Explanations: the nearest utterances, and advice that does what it says."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig
from synaptoroute_core.changes import AddUtterances, DropUtterances, EncodedRoute, PutRoutes
from synaptoroute_core.explaining import NEIGHBOURS, nearest_utterances
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes

ENCODER = HashingEncoder(64)
ROUTES = (
    Route("refund", ["I want my money back", "refund my order", "money back please"]),
    Route("delivery", ["where is my order", "track my parcel", "when does my parcel arrive"]),
    Route("password", ["I forgot my password"]),
)


def opened(*routes, **settings):
    return AdaptiveRouter(routes or ROUTES, encoder=ENCODER, config=RouterConfig(**settings))


def numbers(text):
    return [float(found) for found in re.findall(r"-?\d+\.\d+", text)]


# --- neighbours --------------------------------------------------------------------------------


def test_the_neighbours_are_the_nearest_utterances_over_all_routes():
    with opened() as router:
        explanation = router.explain("please refund my parcel order")
    query = ENCODER.encode(["please refund my parcel order"])[0]
    plain = [
        (route.name, text, float(ENCODER.encode([text])[0] @ query)) for route in ROUTES for text in route.utterances
    ]
    plain.sort(key=lambda row: -row[2])
    found = [(near.route, near.utterance, near.similarity) for near in explanation.neighbours]
    assert [row[:2] for row in found] == [row[:2] for row in plain]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in plain], abs=1e-6)


def test_at_most_eight_neighbours_are_shown():
    many = Route("many", [f"question number{number}" for number in range(50)])
    with opened(many, *ROUTES) as router:
        assert len(router.explain("question number7").neighbours) == NEIGHBOURS == 8


def test_an_empty_router_has_no_neighbours_and_says_how_to_go_on():
    with AdaptiveRouter(encoder=ENCODER) as router:
        explanation = router.explain("anything")
    assert explanation.neighbours == ()
    assert explanation.decision.reason == "no_routes"
    assert "add one" in explanation.advice


words = st.sampled_from([f"word{number}" for number in range(25)])


@settings(deadline=None)
@given(st.lists(st.lists(words, min_size=1, max_size=6, unique=True), min_size=1, max_size=5), st.data())
def test_neighbours_come_from_what_is_there_now(groups, data):
    """After utterances went and came, every neighbour belongs to the route it is said to belong to."""
    index = RouteIndex(ENCODER.dim)
    model = {f"r{number}": list(group) for number, group in enumerate(groups)}
    index.apply([PutRoutes(tuple(EncodedRoute(Route(n, t), ENCODER.encode(t)) for n, t in model.items()))], 1)
    index.snapshot()
    name = data.draw(st.sampled_from(sorted(model)))
    index.apply([AddUtterances(name, ("new",), ENCODER.encode(["new"])), DropUtterances(name, (model[name][0],))], 2)
    model[name] = [*model[name][1:], "new"]
    snapshot, query = index.snapshot(), ENCODER.encode(["word1 word2"])[0]
    near = nearest_utterances(snapshot, score_routes(snapshot, query))
    plain = sorted(
        (float(ENCODER.encode([text])[0] @ query) for texts in model.values() for text in texts), reverse=True
    )
    assert [each.similarity for each in near] == pytest.approx(plain[:NEIGHBOURS], abs=1e-6)
    assert all(each.utterance in model[each.route] for each in near)
    for each in near:
        assert each.similarity == pytest.approx(float(ENCODER.encode([each.utterance])[0] @ query), abs=1e-6)


# --- the decision and the advice ---------------------------------------------------------------


@pytest.mark.parametrize("text", ["I want my money back", "my order", "the weather in Glasgow", "I forgot my password"])
def test_an_explanation_is_of_the_decision_that_a_query_gets(text):
    with opened() as router:
        assert router.explain(text).decision == router.route(text)
        assert router.explain(text, allowed=["refund"]).decision == router.route(text, allowed=["refund"])


def test_advice_on_a_score_too_low_says_by_how_much_and_lowering_the_threshold_by_it_helps():
    with opened(threshold=0.9, min_margin=0.0) as router:
        explanation = router.explain("give my money back")
        decision = explanation.decision
        assert decision.reason == "below_threshold"
        assert decision.candidates[0].route in explanation.advice
        score, needed, missing = numbers(explanation.advice)
        assert (score, needed) == (pytest.approx(decision.score, abs=5e-4), 0.9)
        assert missing == pytest.approx(0.9 - decision.score, abs=5e-4)
        router.update_threshold(decision.candidates[0].route, needed - missing - 1e-3)
        assert router.route("give my money back").route == decision.candidates[0].route


def test_advice_on_a_score_too_low_says_to_add_the_text_and_adding_it_helps():
    with opened() as router:
        explanation = router.explain("reimburse the purchase")
        assert explanation.decision.reason == "below_threshold"
        assert "add it to the route as an utterance" in explanation.advice
        router.add_utterances("refund", ["reimburse the purchase"])
        assert router.route("reimburse the purchase").route == "refund"


def test_advice_on_a_lead_too_small_names_both_routes_and_both_numbers():
    twins = (Route("one", ["open an account"]), Route("two", ["open an account now"]))
    with opened(*twins, min_margin=0.5) as router:
        explanation = router.explain("open an account")
    assert explanation.decision.reason == "ambiguous"
    assert explanation.advice.startswith("one leads two by")
    lead, needed = numbers(explanation.advice)
    assert lead == pytest.approx(explanation.decision.margin, abs=5e-4)
    assert needed == 0.5


def test_advice_on_a_lead_too_small_does_without_the_second_when_only_one_is_listed():
    twins = (Route("one", ["open an account"]), Route("two", ["open an account now"]))
    with opened(*twins, min_margin=0.5, max_candidates=1) as router:
        assert router.explain("open an account").advice.startswith("one leads the next by")


def test_advice_on_a_choice_says_what_it_would_take_to_abstain():
    with opened() as router:
        explanation = router.explain("I forgot my password")
        decision = explanation.decision
        assert decision.route == "password"
        score, needed, lead, headroom = numbers(explanation.advice)
    assert (score, needed) == (pytest.approx(decision.score, abs=5e-4), decision.threshold)
    assert lead == pytest.approx(decision.margin, abs=5e-4)
    tightest = min(decision.score - decision.threshold, decision.margin - RouterConfig().min_margin)
    assert headroom == pytest.approx(tightest, abs=5e-4)


def test_advice_on_an_only_route_says_that_it_is_the_only_one():
    with opened(ROUTES[0]) as router:
        assert "no other" in router.explain("I want my money back").advice


def test_advice_on_an_only_allowed_route_does_not_deny_the_others():
    with opened() as router:
        assert "there is no other route." not in router.explain("I want my money back", allowed=["refund"]).advice


def test_with_nothing_allowed_the_advice_is_to_allow_more():
    with opened() as router:
        explanation = router.explain("I want my money back", allowed=[])
    assert explanation.decision.reason == "no_routes"
    assert "allowed" in explanation.advice


def test_a_near_miss_is_not_explained_with_two_equal_numbers():
    """ "scores 0.900 and needs 0.900: 0.000 too little" would explain nothing."""
    with opened(ROUTES[2]) as router:
        score = router.route("I forgot the password").score
        router.update_threshold("password", float(np.nextafter(np.float32(score), np.float32(1))))
        explanation = router.explain("I forgot the password")
    assert explanation.decision.reason == "below_threshold"
    shown, needed, missing = numbers(explanation.advice)
    assert shown < needed
    assert missing > 0
