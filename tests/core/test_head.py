"""Decisions of a fitted router: the same on every way, abstaining honestly, restricted before the best is taken."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from fitted import ENCODER, QUERIES, ROUTES, STRANGERS, answers, open_router

from synaptoroute_core import AdaptiveRouter, Route, RouteOptions, RouterConfig
from synaptoroute_core.config import MIN_CONFIDENCE
from synaptoroute_core.head import FEATURES, Sight, judge_sight


@pytest.fixture(scope="module")
def router():
    """A fitted router that no test changes."""
    with open_router(cache_size=0) as fitted:
        fitted.fit()
        yield fitted


# --- one decision on every way --------------------------------------------------------------------


async def test_a_fitted_router_decides_alike_to_the_last_bit_on_every_way(fitted_support, support_examples):
    """In whatever batch, order and thread a text comes, and with the real model."""
    router, texts = fitted_support, [text for text, _ in support_examples]
    expected = [router.route(text) for text in texts]
    assert {decision.scorer for decision in expected} == {"head"}
    with AdaptiveRouter(encoder=router.encoder, store=router._store, config=RouterConfig(cache_size=0)) as fresh:
        assert fresh.route_batch(texts) == expected
        assert fresh.route_batch(texts[::-1]) == expected[::-1]
        assert fresh.route_each(texts) == expected
        assert [fresh.explain(text).decision for text in texts[:40]] == expected[:40]
        assert await fresh.aroute_batch(texts) == expected
        assert await fresh.aroute_each(texts) == expected
        assert await asyncio.gather(*map(fresh.aroute, texts)) == expected
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(fresh.route, texts)) == expected
        vectors = router.encoder.encode(texts[:20])
        assert [fresh.route(text, vector=vector) for text, vector in zip(texts[:20], vectors, strict=True)] == expected[
            :20
        ]


def test_a_text_of_any_kind_gets_the_same_decision_alone_and_in_company(router):
    assert len(QUERIES) > 60
    expected = [router.route(text) for text in QUERIES]
    assert router.route_batch(QUERIES) == expected
    for size in (2, 7, 31):
        parts = [QUERIES[start : start + size] for start in range(0, len(QUERIES), size)]
        assert [decision for part in parts for decision in router.route_batch(part)] == expected


def test_what_is_remembered_is_what_is_decided(router):
    with open_router() as remembering:
        remembering.fit()
        assert answers(remembering) == answers(remembering) == answers(router)
        assert remembering.stats().cache_hits >= len(set(QUERIES))


# --- what a decision says -------------------------------------------------------------------------


def test_a_decision_of_a_head_holds_together(router):
    for decision in router.route_batch(QUERIES):
        best = decision.candidates[0]
        assert decision.scorer == "head"
        assert decision.score == decision.confidence == best.score
        assert 0.0 < decision.confidence < 1.0
        assert decision.threshold == MIN_CONFIDENCE
        assert bool(decision) == (decision.confidence >= MIN_CONFIDENCE)
        assert (decision.route, decision.reason) == ((best.route, "matched") if decision else (None, "low_confidence"))
        assert all(first.score >= second.score for first, second in pairwise(decision.candidates))
        assert len({candidate.route for candidate in decision.candidates}) == len(decision.candidates) == len(ROUTES)
        assert decision.margin == best.score - decision.candidates[1].score
        for candidate in decision.candidates:
            assert candidate.utterance in router.routes[candidate.route].utterances


def test_what_it_has_learned_from_is_answered(router):
    known = [(text, route.name) for route in ROUTES for text in route.utterances]
    right = [router.route(text).route == name for text, name in known]
    assert np.mean(right) > 0.9


def test_real_queries_are_answered_and_strangers_are_not(fitted_support, support_examples):
    decisions = fitted_support.route_batch([text for text, _ in support_examples])
    pairs = [(decision.route, label) for decision, (_, label) in zip(decisions, support_examples, strict=True)]
    assert np.mean([route == label for route, label in pairs if label is not None]) > 0.5
    assert np.mean([route is not None for route, label in pairs if label is None]) < 0.1


def test_a_text_without_words_or_of_another_script_is_decided_too(router):
    for text in ("?!?", "退款", "😀", "\u0301x"):
        decision = router.route(text)
        assert decision.scorer == "head"
        assert 0.0 < decision.confidence < 1.0


def test_a_text_between_two_routes_is_surer_of_neither(router):
    clear = router.route("reset my password").confidence
    between = router.route("reset my password and send me an invoice").confidence
    assert between < clear


def test_an_empty_choice_has_no_route_and_no_head(router):
    decision = router.route("refund", allowed=[])
    assert (decision.route, decision.reason, decision.confidence) == (None, "no_routes", None)


# --- restrictions ---------------------------------------------------------------------------------


def test_a_restriction_takes_effect_before_the_best_is_taken(router):
    others = ["parcel", "password", "hours"]
    for text in QUERIES:
        decision = router.route(text, allowed=others)
        assert {candidate.route for candidate in decision.candidates} == set(others)
        assert decision.route in {None, *others}
    free = router.route("refund my order please")
    assert free.route == "refund"
    assert router.route("refund my order please", allowed=["refund", "hours"]).route == "refund"


def test_a_single_allowed_route_does_not_make_strangers_welcome(fitted_support, support_examples):
    """Softmax over one route is always 1, and nothing lies nearer than the only one; texts of others are strangers."""
    alone = [
        (bool(fitted_support.route(text, allowed=[name])), label)
        for text, label in support_examples
        for name in list(fitted_support.routes)[::2]
        if name != label
    ]
    assert np.mean([answered for answered, label in alone if label is None]) < 0.35
    assert np.mean([answered for answered, label in alone if label is not None]) < 0.1


def test_its_own_route_is_found_among_few_as_among_all(router):
    for route in ROUTES:
        for text in route.utterances:
            if router.route(text).route == route.name:
                assert router.route(text, allowed=[route.name, "hours"]).route == route.name


def test_a_call_may_ask_for_more_or_less_confidence(router):
    text = "hello, parcel tracking does not move now"
    decision = router.route(text)
    above, below = (decision.confidence + step for step in (1e-9, -1e-9))
    assert router.route(text, options=RouteOptions(threshold=above)).reason == "low_confidence"
    assert router.route(text, options=RouteOptions(threshold=below)).route == decision.candidates[0].route
    assert router.route(text, options=RouteOptions(threshold=1.0)).route is None
    assert router.route("blorp", options=RouteOptions(threshold=0.0)).reason == "matched"


def test_a_lead_is_asked_for_only_where_the_call_says_so(router):
    """It is part of the confidence already; ``RouterConfig.min_margin`` speaks of similarity scores."""
    text = "track a parcel"
    decision = router.route(text)
    assert router.route(text, options=RouteOptions(min_margin=decision.margin)).reason == "matched"
    assert router.route(text, options=RouteOptions(min_margin=decision.margin + 1e-9)).reason == "ambiguous"
    with open_router(min_margin=2.0) as wide:
        wide.fit()
        assert wide.route(text).reason == "matched"


def test_the_settings_say_how_sure_is_sure_enough():
    with open_router(min_confidence=0.0) as bold, open_router(min_confidence=1.0) as shy:
        for router in (bold, shy):
            router.fit()
        assert all(bold.route_batch(QUERIES))
        assert not any(shy.route_batch(QUERIES))
        assert {decision.threshold for decision in shy.route_batch(QUERIES)} == {1.0}
        with_confidences = [decision.confidence for decision in bold.route_batch(QUERIES)]
        assert [decision.confidence for decision in shy.route_batch(QUERIES)] == with_confidences


def test_thresholds_of_scores_do_not_matter_to_a_head():
    with open_router() as router:
        router.fit()
        before = answers(router)
        router.update_threshold("refund", 1.0)
        assert answers(router) == before


def test_fewer_candidates_are_the_first_ones(router):
    for text in QUERIES[:20]:
        whole, two = router.route(text), router.route(text, options=RouteOptions(max_candidates=2))
        assert two.candidates == whole.candidates[:2]
        assert (two.route, two.margin, two.confidence) == (whole.route, whole.margin, whole.confidence)


# --- choices that the head does not know ----------------------------------------------------------


def test_choices_with_routes_of_their_own_are_decided_by_similarity(router):
    extra = Route("weather", ["will it rain tomorrow", "weather report"])
    choices = router.choices(["refund", "parcel"], [extra])
    with open_router([*(route for route in ROUTES if route.name in ("refund", "parcel")), extra]) as plain:
        for text in ["weather report please", "track a parcel", *STRANGERS]:
            decision = router.route(text, allowed=choices)
            assert (decision.scorer, decision.confidence) == ("similarity", None)
            assert decision.model_copy(update={"revision": 0}) == answers(plain, [text])[0]
        assert router.route("weather report please", allowed=choices).route == "weather"
        assert router.explain("weather report please", allowed=choices).decision.scorer == "similarity"


def test_choices_among_stored_routes_are_decided_by_the_head(router):
    choices = router.choices(["refund", "parcel"])
    for text in QUERIES[:20]:
        assert router.route(text, allowed=choices) == router.route(text, allowed=["refund", "parcel"])
        assert router.route(text, allowed=choices).scorer == "head"


def test_both_kinds_of_choice_may_share_a_batch(router):
    own = router.choices([], [Route("weather", ["weather report"])])
    options = [RouteOptions(allowed=own) if number % 2 else None for number in range(len(QUERIES))]
    together = router.route_each(QUERIES, options=options)
    alone = [router.route(text, options=option) for text, option in zip(QUERIES, options, strict=True)]
    assert together == alone
    assert {decision.scorer for decision in together} == {"similarity", "head"}


# --- near the boundary ----------------------------------------------------------------------------


def test_a_confidence_at_the_threshold_is_near_the_boundary_and_one_far_off_is_not(router):
    text = "when will the parcel arrive"
    decision = router.route(text)
    assert not decision.near_boundary
    for step in (-1e-12, 0.0, 1e-12):
        at = router.route(text, options=RouteOptions(threshold=decision.confidence + step))
        assert at.near_boundary
    assert not router.route(text, options=RouteOptions(threshold=decision.confidence / 2)).near_boundary


def test_no_confidence_moves_further_than_the_gain_when_a_vector_does(router):
    """That is what ``near_boundary`` counts on."""
    chance, head = np.random.default_rng(0), router.fits[-1].head
    for text in QUERIES[:30]:
        vector = ENCODER.encode([text])[0]
        moved = vector + chance.normal(scale=1e-4, size=len(vector)).astype(np.float32)
        moved /= np.linalg.norm(moved)
        first, second = (router.route(text, vector=each).confidence for each in (vector, moved))
        assert abs(first - second) <= head.gain * float(np.linalg.norm(moved - vector)) + 1e-6


# --- explanations ---------------------------------------------------------------------------------


def test_an_explanation_of_a_doubt_names_the_probability_and_what_to_do(router):
    explanation = router.explain("who won the cup final")
    best = explanation.decision.candidates[0].route
    assert explanation.decision.reason == "low_confidence"
    assert f"gives {best} a confidence of {explanation.decision.score:.3f} and it needs 0.667" in explanation.advice
    assert "as an utterance and fit again" in explanation.advice


def test_an_explanation_of_an_answer_asks_for_no_lead_that_a_head_does_not_need(router):
    """By the margin of similarity scores, a lead of 0.04 would be 0.01 too little, and the answer none."""
    for text in QUERIES:
        advice = router.explain(text).advice
        assert "-0." not in advice
        assert "needs 0.050" not in advice


def test_an_explanation_shows_the_nearest_utterances_under_a_head_as_well(router):
    explanation = router.explain("track a parcel")
    assert explanation.neighbours[0].utterance == "track a parcel"
    assert explanation.neighbours[0].similarity == pytest.approx(1.0, abs=1e-6)


# --- features -------------------------------------------------------------------------------------


def sight(logits, scores=None, nearest=None, weights=None):
    logits = np.array(logits, np.float64)
    scores = np.zeros(logits.shape, np.float32) if scores is None else np.array(scores, np.float32)
    return Sight(
        logits=logits,
        scores=scores,
        nearest=scores if nearest is None else np.array(nearest, np.float32),
        nearest_weights=np.ones(logits.shape[1], np.float32) if weights is None else np.array(weights, np.float32),
        letters=np.zeros((len(logits), 3)),
    )


def feature(judged, name):
    return judged.features[:, FEATURES.index(name)].tolist()


def test_the_features_are_what_their_names_say():
    judged = judge_sight(sight([[1.0, 3.0, 2.0]], [[0.2, 0.6, 0.5]], [[0.3, 0.7, 0.8]], [0.5, 0.5, 0.5]))
    total = np.exp([1.0, 3.0, 2.0]).sum()
    assert judged.best.tolist() == [1]
    assert judged.shares[0] == pytest.approx(np.exp([1.0, 3.0, 2.0]) / total)
    assert feature(judged, "log_probability") == pytest.approx([3.0 - np.log(total)])
    assert feature(judged, "log_sum") == pytest.approx([np.log(total)])
    assert feature(judged, "odds") == pytest.approx([3.0 - np.log(np.exp(1.0) + np.exp(2.0) + np.exp(2.0))])
    assert feature(judged, "logit") == [3.0]
    assert feature(judged, "nearest") == pytest.approx([0.7])
    assert feature(judged, "score") == pytest.approx([0.6])
    assert feature(judged, "centre") == pytest.approx([(0.6 - 0.5 * 0.7) / 0.5])
    assert feature(judged, "score_lead") == pytest.approx([0.1])
    assert feature(judged, "nearest_gap") == pytest.approx([0.1], abs=1e-6)


def test_of_a_few_that_are_allowed_the_best_is_seen_against_all():
    """Not against nothing: of a single route, softmax is 1, the lead is great, and nothing lies nearer."""
    seen = sight([[1.0, 3.0, 2.0]], [[0.2, 0.6, 0.5]], [[0.3, 0.7, 0.8]])
    judged = judge_sight(seen, np.array([0]))
    assert judged.best.tolist() == [0]
    assert judged.shares.tolist() == [[1.0]]
    assert feature(judged, "log_probability") == [0.0]
    assert feature(judged, "odds") == pytest.approx([1.0 - 2.0])
    assert feature(judged, "log_sum") == pytest.approx([np.log(np.exp([1.0, 3.0, 2.0]).sum())])
    assert feature(judged, "score_lead") == pytest.approx([0.2 - 0.6])
    assert feature(judged, "nearest_gap") == pytest.approx([0.8 - 0.3])


def test_to_allow_all_is_to_allow_what_one_likes():
    seen = sight([[1.0, 3.0, 2.0], [0.5, 0.1, 0.2]], [[0.2, 0.6, 0.5], [0.3, 0.2, 0.1]])
    free, restricted = judge_sight(seen), judge_sight(seen, np.arange(3))
    assert all(np.array_equal(first, second) for first, second in zip(free, restricted, strict=True))


@pytest.mark.parametrize("logits", [[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4], [0.0, 1e-300, 0.0]])
def test_extreme_logits_give_finite_features(logits):
    judged = judge_sight(sight([logits, logits]))
    assert np.isfinite(judged.features).all()
    assert np.isfinite(judged.shares).all()
    assert judged.shares.sum(axis=1) == pytest.approx(1.0)
