"""The rule that chooses: every reason, every limit, and that it is the same for any order."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import Route
from synaptoroute_core.changes import EncodedRoute, PutRoutes
from synaptoroute_core.decision import Policy, decide
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import Scored, score_routes

NOISE = 1 / 64
STEP = 1 / 128  # scores are multiples of it, so that every difference is exact


def policy(threshold=0.5, min_margin=0.0625, max_candidates=5, noise=1e-5):
    return Policy(threshold=threshold, min_margin=min_margin, max_candidates=max_candidates, noise=noise)


def ask(scores, *, thresholds=None, allowed=None, revision=7, **settings):
    """The decision for given scores by route name; routes are added in the order of ``scores``."""
    index = RouteIndex(8)
    vectors = np.eye(8, dtype=np.float32)[:2]
    routes = [
        EncodedRoute(
            Route(name, [f"{name} says this", f"{name} says that"], threshold=(thresholds or {}).get(name)), vectors
        )
        for name in scores
    ]
    index.apply([PutRoutes(tuple(routes))], revision)
    snapshot = index.snapshot()
    cosines = score_routes(snapshot, vectors[1]).utterances  # the second utterance of every route is the nearest
    given_scores = np.array([scores[name] for name in snapshot.names], np.float32)
    return decide(snapshot, Scored(given_scores, cosines), policy(**settings), allowed)


# --- reasons -----------------------------------------------------------------------------------


def test_the_best_is_chosen_when_it_is_good_enough_and_leads_by_enough():
    decision = ask({"a": 0.25, "b": 0.75, "c": 0.5})
    assert decision
    assert (decision.route, decision.reason, decision.score) == ("b", "matched", 0.75)
    assert (decision.threshold, decision.margin, decision.scorer, decision.revision) == (0.5, 0.25, "similarity", 7)
    assert decision.confidence is None


def test_the_best_is_not_chosen_below_the_threshold():
    decision = ask({"a": 0.25, "b": 0.4375})
    assert not decision
    assert (decision.route, decision.reason) == (None, "below_threshold")
    assert (decision.score, decision.threshold, decision.margin) == (0.4375, 0.5, 0.1875)


def test_the_best_is_not_chosen_when_the_second_is_too_close():
    decision = ask({"a": 0.75, "b": 0.71875})
    assert (decision.route, decision.reason, decision.margin) == (None, "ambiguous", 0.03125)


def test_a_score_too_low_comes_before_a_lead_too_small():
    assert ask({"a": 0.25, "b": 0.25}).reason == "below_threshold"


@pytest.mark.parametrize("allowed", [None, [], ["unknown"]])
def test_nothing_to_choose_from_is_a_reason_of_its_own(allowed):
    scores = {} if allowed is None else {"a": 0.75}
    decision = ask(scores, allowed=allowed)
    assert (decision.route, decision.reason, decision.candidates) == (None, "no_routes", ())
    assert (decision.score, decision.threshold, decision.margin) == (None, None, None)
    assert decision.revision == 7
    assert not decision.near_boundary


def test_score_and_lead_just_at_their_limits_are_enough():
    assert ask({"a": 0.5, "b": 0.4375}).route == "a"


# --- thresholds --------------------------------------------------------------------------------


def test_a_route_with_a_threshold_of_its_own_goes_by_it():
    assert ask({"a": 0.75}, thresholds={"a": 0.875}).reason == "below_threshold"
    assert ask({"a": 0.25}, thresholds={"a": 0.125}).route == "a"
    assert ask({"a": -0.5}, thresholds={"a": -1.0}).route == "a"
    assert ask({"a": 0.25}, thresholds={"a": 0.0}).threshold == 0.0


def test_the_threshold_of_another_route_does_not_matter():
    assert ask({"a": 0.75, "b": 0.25}, thresholds={"b": 1.0}).route == "a"


def test_a_second_best_does_not_take_the_place_of_a_best_that_fails_its_threshold():
    decision = ask({"a": 0.75, "b": 0.625}, thresholds={"a": 0.875, "b": 0.125})
    assert (decision.route, decision.reason, decision.threshold) == (None, "below_threshold", 0.875)


# --- allowed -----------------------------------------------------------------------------------


def test_allowed_restricts_the_choice_before_the_best_is_taken():
    """Filtering afterwards would abstain whenever the best of all is not allowed."""
    decision = ask({"a": 0.875, "b": 0.75, "c": 0.25}, allowed=["b", "c"])
    assert (decision.route, decision.margin) == ("b", 0.5)
    assert [candidate.route for candidate in decision.candidates] == ["b", "c"]


def test_a_close_rival_that_is_not_allowed_makes_nothing_ambiguous():
    assert ask({"a": 0.75, "b": 0.75}, allowed=["b"]).route == "b"


def test_one_candidate_has_no_margin_and_needs_none():
    for decision in (ask({"a": 0.75}), ask({"a": 0.75, "b": 0.75}, allowed=["a"])):
        assert (decision.route, decision.margin) == ("a", None)


def test_unknown_names_among_the_allowed_are_passed_over():
    assert ask({"a": 0.75, "b": 0.25}, allowed=["a", "unknown"]).route == "a"


@pytest.mark.parametrize("allowed", [["a", "a"], ("a", "b", "a")])
def test_a_name_allowed_twice_is_not_its_own_rival(allowed):
    decision = ask({"a": 0.75, "b": 0.25}, allowed=allowed)
    assert decision.route == "a"
    assert len(decision.candidates) == len(set(allowed))


# --- ties and candidates -----------------------------------------------------------------------


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_a_tie_goes_to_the_name_that_sorts_first_whatever_came_first(order):
    decision = ask(dict.fromkeys(order, 0.75), min_margin=0.0)
    assert (decision.route, decision.margin) == ("a", 0.0)
    assert [candidate.route for candidate in decision.candidates] == ["a", "b", "c"]


def test_a_tie_at_the_end_of_the_list_goes_by_name_too():
    scores = {f"r{number:02}": 0.5 for number in reversed(range(40))} | {"best": 0.75}
    decision = ask(scores, max_candidates=3)
    assert [candidate.route for candidate in decision.candidates] == ["best", "r00", "r01"]


def test_hundreds_of_ties_are_ranked_by_name_throughout():
    scores = {f"r{number:03}": 0.25 + (number * 7 % 3) / 4 for number in range(300)}
    decision = ask(scores, max_candidates=250)
    ranking = sorted(scores, key=lambda name: (-scores[name], name))
    assert [candidate.route for candidate in decision.candidates] == ranking[:250]


@pytest.mark.parametrize("most", [1, 2, 3, 10])
def test_at_most_so_many_candidates_are_listed_best_first(most):
    decision = ask({"a": 0.25, "b": 0.75, "c": 0.5, "d": 0.125}, max_candidates=most)
    assert [(candidate.route, candidate.score) for candidate in decision.candidates] == [
        ("b", 0.75),
        ("c", 0.5),
        ("a", 0.25),
        ("d", 0.125),
    ][:most]
    assert decision.margin == 0.25


def test_every_candidate_brings_its_nearest_utterance():
    assert [candidate.utterance for candidate in ask({"a": 0.75, "b": 0.25}).candidates] == [
        "a says that",
        "b says that",
    ]


# --- near the boundary -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "near"), [(0.5, True), (0.5 + NOISE, True), (0.5 - NOISE, True), (0.5625, False), (0.4375, False)]
)
def test_a_score_within_the_noise_of_its_threshold_is_marked(score, near):
    assert ask({"a": score}, noise=NOISE).near_boundary is near


@pytest.mark.parametrize(
    ("lead", "near"), [(0.125, True), (0.125 + NOISE, True), (0.125 - NOISE, True), (0.25, False), (0.0, False)]
)
def test_a_lead_within_the_noise_of_its_limit_is_marked(lead, near):
    assert ask({"a": 0.875, "b": 0.875 - lead}, min_margin=0.125, noise=NOISE).near_boundary is near


def test_a_lead_moves_by_the_noise_of_both_its_scores():
    assert ask({"a": 0.875, "b": 0.875 - 0.125 - 1.5 * NOISE}, min_margin=0.125, noise=NOISE).near_boundary


def test_a_score_far_too_low_is_not_marked_for_its_lead():
    """It abstains on any machine."""
    assert not ask({"a": 0.25, "b": 0.125}, min_margin=0.125, noise=NOISE).near_boundary


def test_the_boundary_is_that_of_the_routes_own_threshold():
    assert ask({"a": 0.75}, thresholds={"a": 0.75}).near_boundary
    assert not ask({"a": 0.5}, thresholds={"a": 0.75}).near_boundary


# --- properties --------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "B", "c.1", "d-2", "ä", "z"])
steps = st.integers(-128, 128).map(lambda number: number * STEP)
boards = st.dictionaries(names, steps, max_size=7)
limits = st.fixed_dictionaries(
    {"threshold": steps, "min_margin": st.integers(0, 40).map(lambda n: n * STEP), "max_candidates": st.integers(1, 4)}
)
own_thresholds = st.dictionaries(names, steps, max_size=4)
permitted = st.none() | st.lists(names, max_size=5, unique=True)


@settings(deadline=None)
@given(boards, limits, own_thresholds, permitted)
def test_a_decision_follows_from_its_rule_alone(scores, limit, thresholds, allowed):
    decision = ask(scores, thresholds=thresholds, allowed=allowed, **limit)
    ranking = sorted((name for name in scores if allowed is None or name in allowed), key=lambda n: (-scores[n], n))
    assert [candidate.route for candidate in decision.candidates] == ranking[: limit["max_candidates"]]
    if not ranking:
        assert decision.reason == "no_routes"
        return
    best = ranking[0]
    needed = thresholds.get(best, limit["threshold"])
    lead = scores[best] - scores[ranking[1]] if len(ranking) > 1 else None
    good, clear = scores[best] >= needed, lead is None or lead >= limit["min_margin"]
    assert decision.route == (best if good and clear else None)
    assert decision.reason == ("matched" if good and clear else "ambiguous" if good else "below_threshold")
    assert (decision.score, decision.threshold, decision.margin) == (scores[best], needed, lead)


@settings(deadline=None)
@given(boards, limits, own_thresholds, permitted, st.randoms(use_true_random=False))
def test_the_order_in_which_routes_came_does_not_matter(scores, limit, thresholds, allowed, random):
    shuffled = list(scores.items())
    random.shuffle(shuffled)
    first = ask(scores, thresholds=thresholds, allowed=allowed, **limit)
    assert ask(dict(shuffled), thresholds=thresholds, allowed=allowed, **limit) == first


@settings(deadline=None)
@given(boards, limits, own_thresholds, st.lists(names, max_size=5, unique=True))
def test_allowing_some_is_the_same_as_having_no_others(scores, limit, thresholds, allowed):
    rest = {name: score for name, score in scores.items() if name in allowed}
    limited = ask(scores, thresholds=thresholds, allowed=allowed, **limit)
    assert limited == ask(rest, thresholds=thresholds, **limit)


close_steps = st.integers(60, 68).map(lambda number: number * STEP)
close_limits = st.fixed_dictionaries(
    {"threshold": close_steps, "min_margin": st.integers(0, 6).map(lambda n: n * STEP)}
)


@settings(deadline=None)
@given(st.dictionaries(names, close_steps, min_size=1, max_size=3), close_limits)
def test_a_choice_that_noise_could_turn_is_marked(scores, limit):
    """Every score moved by up to the noise: if that gives another route, it must have been said."""
    decision = ask(scores, noise=NOISE, **limit)
    if decision.near_boundary:
        return
    for moves in product((-NOISE, 0.0, NOISE), repeat=len(scores)):
        moved = {name: score + move for (name, score), move in zip(scores.items(), moves, strict=True)}
        assert ask(moved, noise=NOISE, **limit).route == decision.route
