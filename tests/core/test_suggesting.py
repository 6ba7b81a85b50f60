"""Which unlabelled texts are suggested: missing routes and doubtful decisions, never easy or repeated ones."""

import numpy as np
import pytest

from synaptoroute_core import AdaptiveRouter, Candidate, ConfigurationError, Decision
from synaptoroute_core.encoders import encode_texts
from synaptoroute_core.learning.audit.suggesting import suggest_texts

MISSING = "delete_account"
STRANGERS = [
    "what is the capital of Mongolia",
    "write me a poem about autumn leaves",
    "how many moons does Jupiter have",
    "teach me to play the violin",
    "who won the election in 1984",
]


def decided(score, *, threshold=0.5, margin=None, reason=None, confidence=None):
    """A decision on two candidates."""
    reason = reason or ("matched" if (score if confidence is None else confidence) >= threshold else "below_threshold")
    names = ("a", "b") if margin is not None else ("a",)
    return Decision(
        route="a" if reason == "matched" else None,
        reason=reason,
        score=score,
        threshold=threshold,
        margin=margin,
        confidence=confidence,
        candidates=tuple(Candidate(route=name, score=score, utterance="x") for name in names),
    )


def distance(decision):
    """By how much a score or a margin would have to be another to turn a decision."""
    to_threshold = abs(decision.score - decision.threshold)
    return {
        "below_threshold": to_threshold,
        "ambiguous": decision.margin,
        "matched": min(to_threshold, decision.margin),
    }[decision.reason]


def apart(count):
    """Vectors that have nothing in common."""
    return np.eye(count, dtype=np.float32)


def texts_of(count):
    return [f"t{number}" for number in range(count)]


# --- on real texts ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked(bundled, support_routes):
    """Texts, decisions and vectors of a router that lacks a route: users ask for it among easy and strange texts."""
    (missing,) = (route for route in support_routes if route.name == MISSING)
    kept = [route for route in support_routes if route.name != MISSING]
    easy = [text for route in kept for text in route.utterances[:4]]  # known word for word
    texts = [*easy, *missing.utterances, *STRANGERS]
    with AdaptiveRouter(kept, encoder=bundled) as router:
        decisions = router.route_batch(texts)
    return texts, decisions, encode_texts(bundled, texts, label="test"), set(missing.utterances), set(easy)


def test_a_route_that_is_missing_is_the_first_suggestion_and_stands_for_its_texts(asked):
    texts, decisions, vectors, missing, _ = asked
    first = suggest_texts(texts, decisions, vectors, 5)[0]
    abstained = [text for text, decision in zip(texts, decisions, strict=True) if text in missing and not decision]
    assert first.why == "cluster"
    assert {first.text, *first.members} <= missing
    assert first.size >= len(abstained) / 2


def test_easy_texts_are_not_suggested_however_many_are_asked_for(asked):
    texts, decisions, vectors, _, easy = asked
    found = suggest_texts(texts, decisions, vectors, len(texts))
    assert found
    assert {each.text for each in found} & easy == set()


def test_no_text_that_is_left_out_is_more_doubtful_than_those_suggested(bundled, support_routes, support_examples):
    texts = [text for text, _ in support_examples]
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        decisions = router.route_batch(texts)
    found = suggest_texts(texts, decisions, encode_texts(bundled, texts, label="test"), 12)
    doubtful = [each for each in found if each.why != "cluster"]
    assert {"boundary", "ambiguous"} == {each.why for each in doubtful}
    for each in doubtful:
        assert each.decision == decisions[texts.index(each.text)]
        assert each.route == each.decision.candidates[0].route
    # Those of a cluster are spoken for; it shows five of them, so that only small ones are known in full.
    assert all(each.size == 1 + len(each.members) for each in found)
    spoken_for = {text for each in found for text in (each.text, *each.members)}
    left = [distance(each) for text, each in zip(texts, decisions, strict=True) if text not in spoken_for]
    assert max(distance(each.decision) for each in doubtful) <= min(left)


def test_no_two_suggestions_say_nearly_the_same(asked, bundled):
    texts, decisions, vectors, *_ = asked
    found = suggest_texts(texts, decisions, vectors, len(texts))
    chosen = encode_texts(bundled, [each.text for each in found], label="test")
    assert (chosen @ chosen.T - 2 * np.eye(len(found))).max() < 0.85


def test_the_same_texts_give_the_same_suggestions(asked):
    texts, decisions, vectors, *_ = asked
    assert suggest_texts(texts, decisions, vectors, 9) == suggest_texts(texts, decisions, vectors, 9)


# --- doubtful decisions ----------------------------------------------------------------------------


def test_the_nearer_a_decision_is_to_another_one_the_earlier_it_comes():
    decisions = [decided(0.9), decided(0.56), decided(0.49), decided(0.42)]
    found = suggest_texts(texts_of(4), decisions, apart(4), 4)
    assert [each.text for each in found] == ["t2", "t1", "t3"]
    assert [each.value for each in found] == pytest.approx([0.9, 0.4, 0.2])
    assert {each.why for each in found} == {"boundary"}


def test_a_small_margin_makes_a_text_ambiguous_whether_it_was_answered_or_not():
    decisions = [
        decided(0.8, margin=0.01, reason="ambiguous"),
        decided(0.8, margin=0.06),
        decided(0.51, margin=0.3),
        decided(0.8, margin=0.3),
    ]
    found = suggest_texts(texts_of(4), decisions, apart(4), 4)
    assert [(each.text, each.why) for each in found] == [("t0", "ambiguous"), ("t2", "boundary"), ("t1", "ambiguous")]


def test_a_confidence_counts_in_the_place_of_the_score():
    decisions = [decided(0.5, confidence=0.99), decided(0.9, confidence=0.51)]
    assert [each.text for each in suggest_texts(texts_of(2), decisions, apart(2), 2)] == ["t1"]


def test_one_of_many_like_texts_is_suggested_and_stands_for_the_others():
    vectors = np.array([[1, 0, 0], [0.99, 0.141, 0], [0, 0, 1]], np.float32)
    found = suggest_texts(texts_of(3), [decided(0.51), decided(0.52), decided(0.53)], vectors, 3)
    assert [(each.text, each.size, each.members) for each in found] == [("t0", 2, ("t1",)), ("t2", 1, ())]


def test_repetitions_are_one_text_and_are_counted():
    texts = ["Where is it", "where  is IT", "something else", "where is it"]
    vectors = apart(2)[[0, 0, 1, 0]]
    found = suggest_texts(texts, [decided(0.51)] * 4, vectors, 4)
    assert [(each.text, each.size) for each in found] == [("Where is it", 3), ("something else", 1)]


# --- clusters --------------------------------------------------------------------------------------


def grouped(seed, sizes, dim=64, spread=0.05):
    """Vectors around as many directions as there are sizes, and the number of the direction of each."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(len(sizes), dim)[owners] + spread * rng.normal(size=(len(owners), dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), owners


def test_clusters_come_largest_first_and_small_ones_not_at_all():
    vectors, owners = grouped(1, [4, 9, 2, 6, 1])
    texts = texts_of(len(owners))
    found = suggest_texts(texts, [decided(0.1)] * len(texts), vectors, 10)
    assert [each.size for each in found] == [9, 6, 4]
    assert [each.value for each in found] == pytest.approx([9 / 22, 6 / 22, 4 / 22])
    for each, owner in zip(found, (1, 3, 0), strict=True):
        assert {owners[texts.index(text)] for text in (each.text, *each.members)} == {owner}


def test_the_text_nearest_to_the_centre_stands_for_a_cluster_and_five_more_are_shown():
    vectors, owners = grouped(2, [12, 1])
    texts = texts_of(13)
    (found,) = suggest_texts(texts, [decided(0.1)] * 13, vectors, 10)
    nearness = vectors[owners == 0] @ vectors[owners == 0].sum(axis=0)
    assert [found.text, *found.members] == [texts[place] for place in np.argsort(-nearness)[:6]]


def test_one_text_that_came_often_is_a_cluster_of_its_own():
    vectors, _ = grouped(3, [1, 1])
    (found,) = suggest_texts(["help"] * 7 + ["other"], [decided(0.1)] * 8, vectors[[0] * 7 + [1]], 10)
    assert (found.text, found.why, found.size, found.members) == ("help", "cluster", 7, ())


def test_texts_that_were_answered_form_no_cluster():
    vectors, _ = grouped(4, [9])
    assert suggest_texts(texts_of(9), [decided(0.9)] * 9, vectors, 10) == []


def test_without_any_route_texts_are_clustered_all_the_same():
    vectors, _ = grouped(5, [9, 3])
    nothing = Decision(route=None, reason="no_routes")
    found = suggest_texts(texts_of(12), [nothing] * 12, vectors, 10)
    assert [(each.why, each.route, each.size) for each in found] == [("cluster", None, 9), ("cluster", None, 3)]


def test_clusters_and_doubtful_texts_take_turns_and_one_kind_fills_up_for_the_other():
    vectors, owners = grouped(6, [5, 4, 1, 1, 1])
    decisions = [decided(0.1) if owner < 2 else decided(0.51) for owner in owners]
    whys = [each.why for each in suggest_texts(texts_of(12), decisions, vectors, 12)]
    assert whys == ["cluster", "boundary", "cluster", "boundary", "boundary"]
    assert [each.why for each in suggest_texts(texts_of(12), decisions, vectors, 2)] == ["cluster", "boundary"]


def test_a_text_that_a_cluster_stands_for_is_not_suggested_again():
    vectors, _ = grouped(7, [6])
    found = suggest_texts(texts_of(6), [decided(0.499)] * 6, vectors, 10)
    assert [(each.why, each.size) for each in found] == [("cluster", 6)]


def test_encoders_that_find_all_texts_alike_are_allowed_for():
    """Some models give any two texts a cosine of 0.7; two clusters are two all the same."""
    vectors, _ = grouped(8, [8, 7, 6], spread=0.02)
    lifted = np.concatenate([vectors * np.sqrt(0.5), np.full((21, 1), np.sqrt(0.5))], axis=1).astype(np.float32)
    found = suggest_texts(texts_of(21), [decided(0.1)] * 21, lifted, 10)
    assert [each.size for each in found] == [8, 7, 6]


def test_very_many_texts_are_clustered_from_a_sample_that_the_seed_decides():
    vectors, _ = grouped(9, [1500, 900, 30])
    texts, decisions = texts_of(2430), [decided(0.1)] * 2430
    found = suggest_texts(texts, decisions, vectors, 3, seed=5)
    assert found == suggest_texts(texts, decisions, vectors, 3, seed=5)
    assert [each.size for each in found] == [1500, 900, 30]


# --- edges -----------------------------------------------------------------------------------------


def test_never_more_than_asked_for():
    decisions = [decided(0.51)] * 6
    assert [len(suggest_texts(texts_of(6), decisions, apart(6), k)) for k in (1, 2, 6, 99)] == [1, 2, 6, 6]


@pytest.mark.parametrize("k", [0, -1, True, 1.5, None])
def test_less_than_one_is_refused(k):
    with pytest.raises(ConfigurationError, match="k = "):
        suggest_texts(["x"], [decided(0.5)], apart(1), k)


def test_no_texts_give_no_suggestions():
    assert suggest_texts([], [], np.empty((0, 8), np.float32), 3) == []


def test_texts_decisions_and_vectors_must_belong_together():
    with pytest.raises(ConfigurationError, match="2 texts, 1 decisions and 2 vectors"):
        suggest_texts(["x", "y"], [decided(0.5)], apart(2), 3)


def test_a_single_text_is_suggested_if_it_is_doubtful():
    assert [each.text for each in suggest_texts(["x"], [decided(0.49)], apart(1), 3)] == ["x"]
