"""What a notebook shows of a route, a decision and an explanation."""

import re

import pytest
from pages import decision, shown

from synaptoroute_core import AdaptiveRouter, Candidate, Decision, Explanation, Neighbour, Route
from synaptoroute_core.views.bars import bar_text, scale_of

ABSTENTIONS = {
    "below_threshold": "the best score is too low",
    "ambiguous": "the two best are too close",
    "low_confidence": "the fitted head is not sure enough",
    "no_routes": "there was nothing to choose from",
}


def places(page, part):
    """Where the bars or ticks are, in percent of the axis: the beginning and, of a bar, the width."""
    return [[float(number) for number in re.findall(r"[\d.]+", each["style"])] for each in page.has_class(part)]


def candidates(*scores, threshold=0.5):
    return tuple(Candidate(route="a", score=score, utterance="x", threshold=threshold) for score in scores)


# --- decisions -------------------------------------------------------------------------------------


def test_a_decision_tells_the_route_and_what_it_rests_on():
    page, text = shown(decision(margin=0.5, near_boundary=True, revision=7))
    for sign in ("refund", "score 0.800", "threshold 0.500", "margin 0.500", "similarity"):
        assert sign in page.text
        assert sign in text
    assert "near the boundary" in page.text
    assert "revision 7" in page.text


def test_what_a_fitted_head_gives_is_called_a_confidence_and_told_once():
    page, text = shown(decision(margin=0.5, confidence=0.8, scorer="head"))
    assert text.startswith("Decision: refund (confidence 0.800, threshold 0.500, margin 0.500, fitted head)")
    assert "confidence 0.800 · threshold 0.500 · margin 0.500 · fitted head" in page.text
    assert page.all("span", role="img", aria_label="confidence 0.300, threshold 0.500: not enough")
    assert "score" not in page.text


@pytest.mark.parametrize("reason", ABSTENTIONS)
def test_an_abstention_tells_its_reason(reason):
    page, text = shown(Decision(route=None, reason=reason))
    assert f"abstained: {reason} · {ABSTENTIONS[reason]}" in page.text
    assert text == f"Decision: abstained: {reason} (similarity)"
    assert page.all("table") == []


def test_a_score_that_only_seems_to_be_the_threshold_has_more_digits():
    page, text = shown(decision(route=None, scores=(0.49996,)))
    assert "score 0.49996 · threshold 0.50000" in page.text
    assert "score 0.49996, threshold 0.50000" in text


def test_a_bar_ends_at_the_score_and_has_a_tick_at_the_threshold():
    page, _ = shown(decision(scores=(0.8, 0.3)))
    assert places(page, "sr-fill") == [[0, 80], [0, 30]]
    assert places(page, "sr-tick") == [[50], [50]]
    assert page.all("span", role="img", aria_label="score 0.300, threshold 0.500: not enough")


def test_negative_scores_go_to_the_left_of_zero():
    page, _ = shown(decision(route=None, candidates=candidates(0.5, -1.0, threshold=-0.5)))
    assert places(page, "sr-zero") == [[50], [50]]
    assert places(page, "sr-fill") == [[50, 25], [0, 50]]
    assert places(page, "sr-tick") == [[25], [25]]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_has_no_bar(score):
    page, text = shown(decision(candidates=candidates(score, 0.5, threshold=None)))
    assert places(page, "sr-fill") == [[0, 50]]
    assert str(score) in text


@pytest.mark.parametrize(
    ("score", "threshold", "expected"),
    [
        (1.0, None, "█" * 20),
        (0.0, 0.0, "┃" + "░" * 19),
        (0.5, 1.0, "█" * 10 + "░" * 9 + "┃"),
        (-1.0, 0.5, "█" * 10 + "░" * 5 + "┃" + "░" * 4),
    ],
)
def test_a_bar_of_text_shows_score_and_threshold(score, threshold, expected):
    assert bar_text(scale_of([score, threshold]), score, threshold) == expected


def test_only_the_chosen_route_stands_out():
    chosen, _ = shown(decision(candidates=(*candidates(0.8), Candidate(route="refund", score=0.7, utterance="x"))))
    abstained, _ = shown(decision(route=None))
    assert len(chosen.has_class("sr-strong")) == 1
    assert abstained.has_class("sr-strong") == []


def test_a_router_shows_what_it_decided(bundled, support_routes):
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        page, text = shown(router.route("where is my order"))
        nothing, _ = shown(router.route("where is my order", allowed=[]))
    assert len(page.has_class("sr-tick")) == 5
    assert text.startswith("Decision: order_status (score 0.")
    assert "where is my order" in page.text
    assert "abstained: no_routes" in nothing.text


def test_a_fitted_router_shows_its_confidence(fitted_support):
    decided = fitted_support.route("where is my order")
    page, _ = shown(decided)
    assert f"confidence {decided.confidence:.3f} · threshold" in page.text
    assert places(page, "sr-fill")[0][1] == pytest.approx(100 * decided.confidence, abs=0.1)


# --- explanations ----------------------------------------------------------------------------------


def test_an_explanation_shows_decision_advice_and_neighbours(bundled, support_routes):
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        explanation = router.explain("where is my order")
    page, text = shown(explanation)
    for each in (page.text, text):
        assert explanation.advice in each
        assert all(neighbour.utterance[:40] in each for neighbour in explanation.neighbours)
    assert [table["aria-label"] for table in page.all("table")] == ["Candidates", "Nearest utterances"]


def test_an_explanation_without_neighbours_has_no_table_of_them():
    page, text = shown(Explanation(decision=Decision(route=None, reason="no_routes"), neighbours=(), advice="Add one."))
    assert page.all("table") == []
    assert "Nearest" not in page.text + text


def test_neighbours_of_the_best_route_stand_out():
    neighbours = tuple(Neighbour(route=name, utterance="x", similarity=0.5) for name in ("refund", "other"))
    page, _ = shown(Explanation(decision=decision(candidates=()), neighbours=neighbours, advice="None."))
    assert page.has_class("sr-strong") == []
    page, _ = shown(Explanation(decision=decision(route=None), neighbours=neighbours, advice="None."))
    assert len(page.has_class("sr-strong")) == 1


# --- routes ----------------------------------------------------------------------------------------


def test_a_route_shows_all_that_it_is():
    route = Route("refund", ["my money back"], description="Money.", threshold=0.62, metadata={"team": ["billing"]})
    page, text = shown(route)
    assert "refund" in page.text
    assert "utterances 1 · threshold 0.62" in page.text
    assert '"billing"' in page.text
    for each in (page.text, text):
        assert "my money back" in each
        assert "Money." in each


def test_a_route_without_threshold_metadata_and_description_says_no_more_than_that():
    page, _ = shown(Route("refund", ["my money back"]))
    assert "threshold the router's" in page.text
    assert page.all("details") == []


def test_utterances_after_the_tenth_are_folded_away_and_listed_up_to_a_hundred():
    page, text = shown(Route("refund", [f"say {number}" for number in range(130)]))
    assert len(page.all("details")) == 1
    assert "120 more" in page.text
    assert "say 99" in page.text
    assert "say 100" not in page.text
    assert "and 30 more" in page.text
    assert text.endswith("and 125 more")
