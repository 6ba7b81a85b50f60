"""Every figure of an evaluation, against cases small enough to do by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import CASE, abstained, decided, evaluate, pairs_of

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Decision, EvaluationReport, evaluate_decisions


@pytest.fixture(scope="module")
def report():
    return evaluate(CASE)


def test_texts_are_counted_in_all_and_in_scope(report):
    assert (report.total, report.in_scope) == (7, 5)


def test_accuracy_counts_the_best_candidate_of_in_scope_texts_answered_or_not(report):
    assert report.accuracy == pytest.approx(3 / 5)


def test_answered_is_a_share_of_all_and_of_the_in_scope_texts(report):
    assert report.answered == pytest.approx(5 / 7)
    assert report.answered_in_scope == pytest.approx(4 / 5)


def test_error_is_the_share_of_wrong_answers_among_the_answers(report):
    assert report.error == pytest.approx(3 / 5)


def test_out_of_scope_accepted_is_a_share_of_the_out_of_scope_texts(report):
    assert report.out_of_scope_accepted == pytest.approx(1 / 2)


def test_aurc_is_the_mean_error_of_the_surest_n(report):
    """Surest first: right, wrong, wrong, right, wrong (out of scope), right, wrong (out of scope)."""
    risks = [0 / 1, 1 / 2, 2 / 3, 2 / 4, 3 / 5, 3 / 6, 4 / 7]
    assert report.aurc == pytest.approx(sum(risks) / 7)


def test_coverage_ends_before_the_first_error_that_is_too_much(report):
    assert report.coverage_at_error == {0.01: 1 / 7, 0.02: 1 / 7, 0.05: 1 / 7}


def test_coverage_may_take_in_an_error_that_later_right_answers_make_up_for():
    """100 texts of falling score, the 50th and the 60th wrong."""
    pairs = [("a", decided("b" if n in {50, 60} else "a", 1 - n / 200)) for n in range(1, 101)]
    coverage = evaluate(pairs).coverage_at_error
    assert coverage == {0.01: 0.49, 0.02: 1.0, 0.05: 1.0}


def test_every_route_has_its_precision_recall_and_f1(report):
    a, b, c = report.routes
    assert [quality.route for quality in report.routes] == ["a", "b", "c"]
    assert (a.support, a.answered) == (2, 3)
    assert (a.precision, a.recall, a.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    assert (b.support, b.answered) == (3, 2)
    assert (b.precision, b.recall, b.f1) == pytest.approx((1 / 2, 1 / 3, 2 / 5))
    assert (c.support, c.answered, c.precision, c.recall, c.f1) == (0, 0, None, None, None)


def test_a_route_that_is_never_chosen_has_recall_but_no_precision():
    (quality,) = evaluate([("a", abstained("a", 0.1))], routes=("a",)).routes
    assert (quality.precision, quality.recall, quality.f1) == (None, 0.0, None)


def test_a_route_that_is_only_chosen_wrongly_has_precision_but_no_recall():
    (quality,) = evaluate([(None, decided("a", 0.9))], routes=("a",)).routes
    assert (quality.precision, quality.recall, quality.f1) == (0.0, None, None)


def test_a_route_that_is_always_missed_has_an_f1_of_zero():
    quality = evaluate([("a", decided("b", 0.9)), ("b", decided("a", 0.9))]).routes[0]
    assert (quality.precision, quality.recall, quality.f1) == (0.0, 0.0, 0.0)


def test_routes_come_in_the_order_given():
    assert [quality.route for quality in evaluate(CASE, routes=("c", "b", "a")).routes] == ["c", "b", "a"]


def test_confusions_are_counted_by_label_and_choice_most_frequent_first():
    pairs = [("a", decided("b", 0.9)), (None, decided("b", 0.8)), ("a", decided("b", 0.7)), ("b", decided("a", 0.6))]
    found = [(each.expected, each.chosen, each.count, each.texts) for each in evaluate(pairs).confusions]
    assert found == [("a", "b", 2, ("t1", "t3")), ("b", "a", 1, ("t4",)), (None, "b", 1, ("t2",))]


def test_a_confusion_shows_five_texts_and_counts_them_all():
    (confusion,) = evaluate([("a", decided("b", 0.9))] * 9).confusions
    assert (confusion.count, confusion.texts) == (9, ("t1", "t2", "t3", "t4", "t5"))


def test_mistakes_are_all_wrong_answers_surest_first(report):
    assert [(each.text, each.expected, each.decision.route) for each in report.mistakes] == [
        ("t7", "b", "a"),
        ("t2", "a", "b"),
        ("t5", None, "a"),
    ]


def test_an_abstention_is_never_a_mistake_nor_a_confusion():
    report = evaluate([("a", abstained("b", 0.4)), (None, abstained("a", 0.4))])
    assert report.mistakes == report.confusions == ()


def test_confidence_is_the_sureness_where_there_is_one():
    """The scores would rank the wrong answer first, the confidences rank it last."""
    pairs = [("a", decided("b", 0.9, confidence=0.1)), ("a", decided("a", 0.2, confidence=0.8))]
    assert evaluate(pairs).aurc == pytest.approx((0 / 1 + 1 / 2) / 2)


def test_macro_figures_are_means_over_the_routes_that_texts_are_labelled_with(report):
    """a and b of the case; c has no text, and no say."""
    assert report.macro_precision == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert report.macro_recall == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert report.macro_f1 == pytest.approx(2 / 5)


def test_a_route_that_is_never_chosen_counts_as_zero_in_the_macro_figures():
    report = evaluate([("a", decided("a", 0.9)), ("b", abstained("b", 0.1))])
    assert (report.macro_precision, report.macro_recall, report.macro_f1) == (0.5, 0.5, 0.5)


def test_missed_are_the_in_scope_texts_left_unanswered_surest_first():
    pairs = [
        ("a", abstained("b", 0.2)),
        (None, abstained("a", 0.9)),
        ("b", abstained("b", 0.4)),
        ("b", decided("b", 1.0)),
    ]
    found = [(each.text, each.expected, each.decision.score) for each in evaluate(pairs).missed]
    assert found == [("t3", "b", 0.4), ("t1", "a", 0.2)]


def test_rows_say_what_became_of_each_text_in_order(report):
    found = [(row.text, row.expected, row.chosen, row.best, row.sureness) for row in report.rows]
    assert found[3:5] == [("t4", "b", None, "b", 0.4), ("t5", None, "a", "a", 0.6)]
    assert [row.text for row in report.rows] == [f"t{number}" for number in range(1, 8)]
    assert [row.text for row in report.rows if row.wrong] == ["t2", "t5", "t7"]


# --- edges -------------------------------------------------------------------------------------


def test_no_examples_are_refused():
    with pytest.raises(ConfigurationError, match="no examples"):
        evaluate([])


def test_examples_and_decisions_of_different_number_are_refused():
    with pytest.raises(ValueError, match="zip"):
        evaluate_decisions([("t1", "a"), ("t2", "a")], [decided("a", 0.9)], ["a"])


def test_out_of_scope_texts_alone_leave_the_in_scope_figures_undefined():
    report = evaluate([(None, decided("a", 0.9)), (None, abstained("a", 0.1))])
    assert (report.total, report.in_scope) == (2, 0)
    assert (report.accuracy, report.answered_in_scope) == (None, None)
    assert (report.answered, report.error, report.out_of_scope_accepted) == (0.5, 1.0, 0.5)
    assert report.aurc == 1.0
    assert set(report.coverage_at_error.values()) == {0.0}


def test_in_scope_texts_alone_leave_out_of_scope_accepted_undefined():
    report = evaluate([("a", decided("a", 0.9))])
    assert report.out_of_scope_accepted is None
    assert (report.accuracy, report.error, report.aurc) == (1.0, 0.0, 0.0)
    assert set(report.coverage_at_error.values()) == {1.0}


def test_nothing_answered_leaves_the_error_undefined():
    report = evaluate([("a", abstained("a", 0.4)), (None, abstained("a", 0.3))])
    assert (report.answered, report.answered_in_scope, report.out_of_scope_accepted) == (0.0, 0.0, 0.0)
    assert report.error is None
    assert report.accuracy == 1.0


def test_decisions_of_a_router_without_routes_are_the_least_sure():
    nothing = Decision(route=None, reason="no_routes")
    report = evaluate([("a", nothing), ("a", decided("a", -0.5))])
    assert report.accuracy == 0.5
    assert report.aurc == pytest.approx((0 / 1 + 1 / 2) / 2)


def test_out_of_scope_texts_alone_leave_what_compares_them_undefined():
    report = evaluate([(None, decided("a", 0.9))])
    assert (report.auroc, report.fpr_at_95) == (None, None)
    assert (report.macro_precision, report.macro_recall, report.macro_f1) == (None, None, None)


def test_in_scope_texts_alone_leave_what_compares_them_undefined():
    report = evaluate([("a", decided("a", 0.9))])
    assert (report.auroc, report.fpr_at_95) == (None, None)


def test_a_lone_surrogate_in_a_text_is_replaced_so_that_the_report_can_be_written():
    report = evaluate_decisions([("half \ud83d a sign", "a")], [decided("b", 0.9)], ["a", "b"])
    assert report.mistakes[0].text == report.rows[0].text == "half \ufffd a sign"
    assert EvaluationReport.from_json(report.to_json().encode()) == report


# --- against a plain model ---------------------------------------------------------------------


def coverage_by_threshold(pairs, error):
    """The largest share answered within the error, over every threshold there is."""
    best = 0.0
    for threshold in {decision.score for _, decision in pairs}:
        taken = [(label, decision) for label, decision in pairs if decision.score >= threshold]
        wrong = sum(label != decision.candidates[0].route for label, decision in taken)
        if wrong / len(taken) <= error:
            best = max(best, len(taken) / len(pairs))
    return best


@settings(deadline=None)
@given(pairs_of)
def test_coverage_is_what_one_threshold_can_reach(pairs):
    """A threshold takes all texts of equal score or none: it cannot take the right ones alone."""
    for error, coverage in evaluate(pairs).coverage_at_error.items():
        assert coverage == pytest.approx(coverage_by_threshold(pairs, error))


@settings(deadline=None)
@given(pairs_of, st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_the_examples(pairs, random):
    """The same labelled file, sorted otherwise, must not look better."""
    examples = [(f"t{number}", label, decision) for number, (label, decision) in enumerate(pairs)]
    shuffled = list(examples)
    random.shuffle(shuffled)
    first, second = (
        evaluate_decisions([row[:2] for row in rows], [row[2] for row in rows], ("a", "b")).model_dump(
            exclude={"confusions", "mistakes", "missed", "rows"}
        )
        for rows in (examples, shuffled)
    )
    assert first.pop("aurc") == pytest.approx(second.pop("aurc"))
    assert first == second


def test_a_routers_evaluation_is_that_of_its_decisions(bundled, support_routes, support_examples):
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        report = router.evaluate(support_examples)
        decisions = [router.route(text) for text, _ in support_examples]
    wanted = [label for _, label in support_examples]
    chosen = [decision.route for decision in decisions]
    answers = [(label, route) for label, route in zip(wanted, chosen, strict=True) if route is not None]
    best = [decision.candidates[0].route for decision in decisions]
    inside = [(label, route) for label, route in zip(wanted, best, strict=True) if label is not None]
    assert report.total == len(support_examples)
    assert report.answered == pytest.approx(len(answers) / len(wanted))
    assert report.error == pytest.approx(np.mean([label != route for label, route in answers]))
    assert report.accuracy == pytest.approx(np.mean([label == route for label, route in inside]))
    assert len(report.mistakes) == sum(label != route for label, route in answers)
