"""What became of labelled texts agrees with the decisions that it was taken from."""

import numpy as np
import pytest
from labelled import outcomes, population

from synaptoroute_core import AdaptiveRouter, Candidate, Decision, RouteNotFoundError, RouterConfig
from synaptoroute_core.learning.evaluation.evaluating import evaluate_decisions
from synaptoroute_core.learning.thresholds.outcomes import outcomes_of


def test_outcomes_hold_what_became_of_each_text():
    def decided(best, score, **rest):
        return Decision(
            route=best,
            reason="matched",
            score=score,
            candidates=(Candidate(route=best, score=score, utterance="x"),),
            **rest,
        )

    decisions = [
        decided("b", 0.6, margin=0.02),
        decided("a", 0.5, margin=0.05, confidence=0.9),
        decided("a", 0.4),
        Decision(route=None, reason="no_routes"),
    ]
    found = outcomes_of([("1", "b"), ("2", "b"), ("3", None), ("4", "a")], decisions, ["a", "b"], 0.05)
    assert found.best.tolist() == [1, 0, 0, -1]
    assert found.sureness.tolist() == [0.6, 0.9, 0.4, -1.0]
    assert found.clear.tolist() == [False, True, True, True]
    assert found.label.tolist() == [1, 1, -1, 0]
    assert found.right.tolist() == [True, False, False, False]
    assert found.accepted(np.array([0.5, 0.0])).tolist() == [False, True, False, False]
    assert found.accepted(np.array([-1.0, -1.0])).tolist() == [False, True, True, False]


def test_a_label_that_is_no_routes_name_is_refused():
    with pytest.raises(RouteNotFoundError, match="refnd"):
        outcomes_of([("t", "refnd")], [Decision(route=None, reason="no_routes")], ["refund"], 0.05)


def test_outcomes_and_thresholds_answer_what_the_router_answers(bundled, support_routes, support_examples):
    """The sweep and the rule that decides must not drift apart."""
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        names = sorted(router.routes)
        decisions = router.route_batch([text for text, _ in support_examples])
        report = router.evaluate(support_examples)
    config = RouterConfig()
    found = outcomes_of(support_examples, decisions, names, config.min_margin)
    accepted = found.accepted(np.full(len(names), config.threshold))
    assert accepted.tolist() == [decision.route is not None for decision in decisions]
    figures = found.figures(accepted)
    for name in ("accuracy", "answered", "error", "out_of_scope_accepted", "aurc"):
        assert getattr(figures, name) == pytest.approx(getattr(report, name))


def test_figures_count_a_labelled_route_that_is_never_chosen_as_zero():
    data = outcomes([(0, 0.9, 0), (0, 0.8, 1), (1, 0.1, -1)], routes=3)
    figures = data.figures(np.array([True, True, False]))
    assert figures.f1 == pytest.approx((2 / 3 + 0) / 2)
    assert (figures.accuracy, figures.error, figures.out_of_scope_accepted) == (0.5, 0.5, 0.0)


def test_the_influence_of_texts_gives_the_standard_error_of_f1():
    """Against the spread of the same figure over populations drawn anew."""
    thresholds = np.full(8, 0.5), np.full(8, 0.6)

    def gain(data):
        was, now = (data.figures(data.accepted(each)).f1 for each in thresholds)
        return now - was

    spread = np.std([gain(population(seed, 500)) for seed in range(200)])
    data = population(0, 500)
    was, now = (data.f1_influence(data.accepted(each)) for each in thresholds)
    assert now.sum() == pytest.approx(0.0, abs=1e-12)
    assert np.sqrt(np.square(now - was).sum()) == pytest.approx(spread, rel=0.25)


def test_an_evaluation_agrees_with_the_figures_of_a_plan():
    """Figures are those of an evaluation in which every decision is made anew."""
    data = population(11, 60, routes=3)
    accepted = data.accepted(np.full(3, 0.5))
    decisions = [
        Decision(
            route=data.names[best] if taken else None,
            reason="matched" if taken else "below_threshold",
            score=score,
            candidates=(Candidate(route=data.names[best], score=score, utterance="x"),),
        )
        for best, score, taken in zip(data.best, data.sureness, accepted, strict=True)
    ]
    examples = [("t", None if label < 0 else data.names[label]) for label in data.label]
    report, figures = evaluate_decisions(examples, decisions, data.names), data.figures(accepted)
    for name in ("accuracy", "answered", "error", "out_of_scope_accepted", "aurc"):
        assert getattr(figures, name) == pytest.approx(getattr(report, name))
