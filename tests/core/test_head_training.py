"""How a head is made: the recipe, the confidence that is learned by hiding routes, and the steps between."""

import random
from dataclasses import replace

import numpy as np
import pytest
from fitted import ENCODER, EXAMPLES, INSIDE, NEW, QUERIES, ROUTES, open_router

from synaptoroute_core.head import FEATURES, judge_sight, letters_of
from synaptoroute_core.learning.heads import HeadRequest, make_head, retrain_head
from synaptoroute_core.learning.heads.choosing import DEFAULT, FEWEST, choose_recipe
from synaptoroute_core.learning.heads.confidence import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    fit_acceptor,
    leave_routes_out,
    thin,
    train_acceptor,
)
from synaptoroute_core.learning.heads.evidence import Evidence, held_out, shares_of
from synaptoroute_core.learning.heads.making import gather
from synaptoroute_core.learning.heads.prior import MEANS, PRIOR, SCALES
from synaptoroute_core.learning.heads.training import Recipe, Trial, blended, train_classifier
from synaptoroute_core.lexical import bag_of
from synaptoroute_core.scoring import add_logits, score_routes


@pytest.fixture(scope="module")
def snapshot():
    with open_router() as router:
        return router._index.snapshot()


@pytest.fixture(scope="module")
def material(snapshot):
    return gather(snapshot, HeadRequest(), ENCODER.encode)[1]


@pytest.fixture(scope="module")
def enough(snapshot):
    """Material with enough texts to choose a recipe by."""
    return gather(snapshot, HeadRequest(tuple(INSIDE)), ENCODER.encode)[1]


def nothing(_: float) -> None:
    pass


# --- material -------------------------------------------------------------------------------------


def test_each_text_is_gathered_once_and_strangers_apart(snapshot):
    examples = (
        ("Track A  Parcel", "refund"),
        ("a new one", "hours"),
        ("A new ONE", "hours"),
        ("nothing for us", None),
    )
    texts, material, strangers = gather(snapshot, HeadRequest(examples), ENCODER.encode)
    assert len(texts) == len(material) == 31
    assert material.stored.sum() == 30
    assert texts[-1] == "A new ONE"
    assert material.names[material.labels[-1]] == "hours"
    assert strangers.labels.tolist() == [-1]
    assert material.vectors == pytest.approx(ENCODER.encode(texts))
    for text, label in zip(texts[:30], material.labels, strict=False):
        assert text in {route.name: route.utterances for route in ROUTES}[material.names[label]]


def test_a_request_comes_back_from_what_is_kept_without_what_is_gone():
    request = HeadRequest(tuple(EXAMPLES), 0.25, 7)
    assert HeadRequest.from_details(request.as_details(), [route.name for route in ROUTES]) == request
    some = HeadRequest.from_details(request.as_details(), ["hours"])
    assert {label for _, label in some.examples} == {"hours", None}


def test_thinning_takes_from_the_routes_that_have_most():
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    kept = thin(labels, 30, np.random.default_rng(0))
    counts = np.bincount(labels[kept])
    assert counts[1] == 3
    assert counts[0] == counts[2] <= 14
    assert len(kept) <= 30
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert thin(labels, 100, np.random.default_rng(0)).tolist() == list(range(73))
    assert np.bincount(labels[thin(labels, 1, np.random.default_rng(0))]).tolist() == [1, 1, 1]


# --- training -------------------------------------------------------------------------------------


def test_training_sees_what_a_query_will_be_judged_by(snapshot, material):
    """Else the confidence would be learned of other features than it is asked about."""
    trial = Trial(material, seed=0)
    head = trial.head(Recipe(blend=6.0))
    asked = replace(
        material.take(np.zeros(len(QUERIES), np.intp)),
        vectors=ENCODER.encode(QUERIES),
        bags=[bag_of(text) for text in QUERIES],
    )
    sight = trial.see(head, asked)
    for row, text in enumerate(QUERIES):
        scored = add_logits(score_routes(snapshot, asked.vectors[row]), head, text, asked.vectors[row])
        assert sight.logits[row] == pytest.approx(scored.logits, abs=1e-4)
        assert sight.scores[row] == pytest.approx(scored.routes, abs=1e-5)
        assert sight.nearest[row] == pytest.approx(np.maximum.reduceat(scored.utterances, snapshot.starts), abs=1e-5)
        assert sight.letters[row] == pytest.approx(letters_of(scored.letters), abs=1e-5)
    assert sight.nearest_weights == pytest.approx(snapshot.nearest_weights, abs=1e-6)


def test_another_blend_needs_no_other_training(material):
    trial = Trial(material, seed=0)
    head = trial.head(Recipe(blend=3.0))
    logits = blended(head, trial.see(head, material), 10.0)
    assert logits == pytest.approx(trial.see(trial.head(Recipe(blend=10.0)), material).logits, abs=1e-4)


def test_two_routes_get_the_probabilities_of_a_logistic_regression():
    """scikit-learn then gives one row of weights, for the second of them."""
    from sklearn.linear_model import LogisticRegression

    chance = np.random.default_rng(0)
    rows = chance.normal(size=(60, 5)).astype(np.float32)
    labels = (rows[:, 0] + 0.3 * chance.normal(size=60) > 0).astype(np.intp)
    weights, biases = train_classifier(rows, labels)
    logits = rows @ weights.T + biases
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = LogisticRegression(C=30.0, max_iter=200, tol=1e-4).fit(rows, labels).predict_proba(rows)
    assert shares == pytest.approx(expected, abs=1e-5)


def test_a_head_learns_the_texts_that_it_was_trained_on(material):
    trial = Trial(material, seed=0)
    judged = judge_sight(trial.see(trial.head(DEFAULT), material))
    assert np.mean(trial.routes[judged.best] == material.labels) > 0.95


def test_a_head_for_other_utterances_keeps_the_recipe_and_the_acceptor(snapshot):
    made = make_head(snapshot, HeadRequest(), ENCODER.encode, nothing)
    with open_router([*ROUTES, NEW]) as router:
        other = retrain_head(router._index.snapshot(), HeadRequest(), made.head, ENCODER.encode)
    assert other.names == tuple(sorted([*(route.name for route in ROUTES), "weather"]))
    assert other.acceptor.tolist() == made.head.acceptor.tolist()
    assert (other.blend, other.lexical_weight) == (made.head.blend, made.head.lexical_weight)


# --- the recipe -----------------------------------------------------------------------------------


def test_with_few_texts_to_judge_by_nothing_is_chosen(material):
    few = material.take(np.flatnonzero(material.labels < 2)[:8])
    choice = choose_recipe(few, 0, nothing)
    assert (choice.recipe, choice.accuracy) == (DEFAULT, None)
    assert choice.judged < FEWEST


def test_the_choice_and_the_work_done_do_not_depend_on_threads(enough):
    steps = []
    choices = [choose_recipe(enough, 3, steps.append, threads) for threads in (1, 3)]
    assert choices[0] == choices[1]
    assert choices[0].judged >= FEWEST
    assert 0.5 < choices[0].accuracy <= 1.0
    assert sum(steps) == pytest.approx(2.0)


def test_copies_with_typing_errors_are_taken_only_where_there_are_some(enough):
    assert choose_recipe(enough, 0, nothing).corrupted is None
    assert not choose_recipe(enough, 0, nothing).recipe.copies
    with_copies = replace(enough, copies=enough)
    choice = choose_recipe(with_copies, 0, nothing)
    assert choice.corrupted == choice.accuracy
    assert not choice.recipe.copies, "they gain nothing"


# --- the confidence -------------------------------------------------------------------------------


def test_hidden_routes_are_strangers_and_known_ones_are_not(material):
    answers = list(leave_routes_out(material, None, DEFAULT, seed=0))
    assert MIN_ROUNDS <= len(answers) <= MAX_ROUNDS
    assert sum(share for _, share in answers) == pytest.approx(1.0)
    for evidence, _ in answers:
        hidden = 2  # 30 % of 5 routes, rounded
        assert evidence.stranger.sum() == 6 * hidden
        assert len(set(evidence.labels[~evidence.stranger])) == 5 - hidden
        assert not evidence.right[evidence.stranger].any()
        assert set(evidence.chosen) <= set(evidence.labels[~evidence.stranger])
        assert (evidence.right == (evidence.chosen == evidence.labels)).all()


def test_no_head_is_asked_about_a_text_that_it_was_trained_on(material):
    """A text of a known route that was trained on would be its own nearest utterance."""
    nearest = FEATURES.index("nearest")
    for evidence, _ in leave_routes_out(material, None, DEFAULT, seed=1):
        assert evidence.features[:, nearest].max() < 1.0 - 1e-6


def test_out_of_scope_examples_are_asked_about_in_every_round_and_count_more(snapshot):
    _, material, strangers = gather(snapshot, HeadRequest(tuple(EXAMPLES)), ENCODER.encode)
    assert len(strangers) > 40
    for evidence, _ in leave_routes_out(material, strangers, DEFAULT, seed=0):
        assert evidence.stranger.sum() >= len(strangers)
        assert set(evidence.weights.tolist()) == {1.0, 4.0}


@pytest.mark.parametrize("routes", [1, 2])
def test_with_two_routes_none_can_be_hidden(material, routes):
    few = material.take(np.flatnonzero(material.labels < routes))
    assert list(leave_routes_out(few, None, DEFAULT, seed=0)) == []


def test_without_evidence_the_acceptor_is_the_shipped_one(material):
    shipped = train_acceptor(None, 0.2, 30)
    features = np.array([MEANS, MEANS + SCALES])
    logits = features @ shipped[:-1] + shipped[-1]
    assert logits == pytest.approx([PRIOR[-1], PRIOR.sum()])
    few = next(iter(leave_routes_out(material.take(np.arange(0, 30, 5)), None, DEFAULT, seed=0)))[0]
    assert train_acceptor(few, 0.2, 6).tolist() == shipped.tolist()


def test_an_acceptor_learns_what_tells_right_from_wrong_and_little_evidence_leaves_it_as_shipped():
    chance = np.random.default_rng(0)
    rows = np.column_stack([chance.normal(size=(400, 2)), np.ones(400)])
    right = rows[:, 0] > 0
    prior = np.array([0.0, 1.0, 0.0])
    learned = fit_acceptor(rows, right, np.ones(400), prior, 0.3)
    assert learned[0] > 2.0
    assert abs(learned[1]) < 0.5
    assert fit_acceptor(rows[:1], right[:1], np.ones(1), prior, 0.3) == pytest.approx(prior, abs=0.3)
    assert fit_acceptor(rows, right, np.zeros(400), prior, 0.3) == pytest.approx(prior, abs=1e-6)


def test_asking_the_same_texts_in_more_rounds_is_no_more_evidence(material):
    answers = [evidence for evidence, _ in leave_routes_out(material, None, DEFAULT, seed=0)]
    once, twice = Evidence.joined(answers), Evidence.joined([*answers, *answers])
    assert train_acceptor(twice, 0.2, 30) == pytest.approx(train_acceptor(once, 0.2, 30), abs=1e-2)


def evidence_of(rows):
    """Evidence of rows (score, right, stranger)."""
    scores, right, stranger = (np.array(column) for column in zip(*rows, strict=True))
    labels = np.where(stranger, -1, 0)
    chosen = np.where(right, 0, 1)
    return Evidence(
        features=np.zeros((len(rows), len(FEATURES))),
        right=right,
        stranger=stranger,
        weights=np.ones(len(rows)),
        scores=scores.astype(float),
        leads=np.ones(len(rows)),
        score_right=right,
        labels=labels,
        chosen=chosen,
        score_chosen=chosen,
    )


ROWS = [(0.9, True, False), (0.8, False, True), (0.7, True, False), (0.6, False, False), (0.2, False, True)]


def test_strangers_get_the_share_that_they_have_in_the_traffic():
    counted = shares_of(evidence_of(ROWS), 0.1)
    assert counted.sum() == pytest.approx(5.0)
    assert counted[[1, 4]].sum() == pytest.approx(0.5)
    assert shares_of(evidence_of(ROWS), 0.0)[[1, 4]].tolist() == [0.0, 0.0]
    assert shares_of(evidence_of(ROWS[:1]), 0.9).tolist() == [1.0]


def test_the_figures_of_held_out_texts_are_those_of_a_reckoning_by_hand():
    evidence = evidence_of(ROWS)
    figures = held_out(evidence, np.ones(5), evidence.scores >= 0.5)
    assert figures.accuracy == pytest.approx(2 / 3)
    assert figures.answered == pytest.approx(4 / 5)
    assert figures.error == pytest.approx(2 / 4)
    assert figures.out_of_scope_accepted == pytest.approx(1 / 2)
    assert figures.f1 == pytest.approx(2 * 2 / (2 + 3))
    assert figures.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4 + 3 / 5) / 5)


def test_where_there_are_said_to_be_no_strangers_they_count_nothing():
    evidence = evidence_of([ROWS[1], *ROWS[2:]])
    figures = held_out(evidence, shares_of(evidence, 0.0), evidence.scores >= 0.5)
    assert figures.out_of_scope_accepted is None
    assert figures.error == pytest.approx(1 / 2)
    assert figures.aurc == pytest.approx((0 + 1 / 2) / 2)


# --- the whole ------------------------------------------------------------------------------------


def test_making_a_head_tells_how_far_it_is_and_can_be_stopped_at_any_step(snapshot):
    steps = []
    make_head(snapshot, HeadRequest(), ENCODER.encode, steps.append)
    assert sum(steps) == pytest.approx(1.0, abs=0.01)
    for number in range(len(steps)):
        left = [number]

        def stop(_, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            make_head(snapshot, HeadRequest(), ENCODER.encode, stop)


def test_threads_change_nothing_of_the_head(snapshot):
    one, many = (make_head(snapshot, HeadRequest(tuple(EXAMPLES)), ENCODER.encode, nothing, n) for n in (1, 4))
    assert one.head.weights.tobytes() == many.head.weights.tobytes()
    assert one.head.acceptor.tobytes() == many.head.acceptor.tobytes()
    assert one.choice == many.choice


def test_chance_outside_does_not_reach_a_head(snapshot):
    heads = []
    for seed in range(2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # what others may do to the process
        heads.append(make_head(snapshot, HeadRequest(), ENCODER.encode, nothing).head)
    assert heads[0].weights.tobytes() == heads[1].weights.tobytes()
    assert heads[0].lexicon.projection.tobytes() == heads[1].lexicon.projection.tobytes()
