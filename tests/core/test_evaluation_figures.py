"""Figures that rest on sureness, confidence, time and money, against cases small enough to do by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from judged import CASE, abstained, decided, evaluate, pairs_of

from synaptoroute_core import ConfigurationError, Decision
from synaptoroute_core.learning.evaluation.evaluating import coverage_at, risk_curve
from synaptoroute_core.learning.evaluation.figures import mcnemar, sureness_of


@pytest.fixture(scope="module")
def report():
    return evaluate(CASE)


def test_auroc_is_how_often_an_in_scope_text_is_surer_than_another(report):
    """In scope: 0.90, 0.85, 0.80, 0.70, 0.40. Out of scope: 0.60 and 0.30. One of ten pairs is the wrong way round."""
    assert report.auroc == pytest.approx(9 / 10)


def test_of_equally_sure_texts_half_a_pair_counts():
    pairs = [("a", decided("a", 0.5)), ("a", decided("a", 0.7)), (None, decided("a", 0.5))]
    assert evaluate(pairs).auroc == pytest.approx((0.5 + 1) / 2)


def test_the_share_accepted_is_taken_where_95_percent_of_the_in_scope_texts_are():
    """Of 20 in-scope texts 19 must be accepted, so the least sure, at 0.1, may be left out, and 0.3 may not."""
    inside = [("a", decided("a", score)) for score in [0.1, 0.3, *[0.8] * 18]]
    outside = [(None, abstained("a", score)) for score in (0.05, 0.2, 0.3, 0.5)]
    assert evaluate(inside + outside).fpr_at_95 == pytest.approx(2 / 4)


@pytest.mark.parametrize("count", [20, 40, 60, 140, 160])
def test_95_percent_of_a_count_is_a_whole_number_where_it_is_one(count):
    """In floats, 0.95 * 140 is more than 133, and one more text would have to be accepted."""
    inside = [("a", decided("a", 0.5 if rank < 0.95 * count - 0.5 else 0.1)) for rank in range(count)]
    assert evaluate([*inside, (None, abstained("a", 0.3))]).fpr_at_95 == 0.0


def test_calibration_error_is_the_distance_of_stated_from_true_confidence_weighted_by_texts():
    pairs = [
        ("a", decided("a", 0.5, confidence=0.95)),
        ("a", decided("b", 0.5, confidence=0.97)),  # stated 0.96, true 1/2
        ("a", decided("a", 0.5, confidence=0.50)),  # stated 0.5, true 1
        (None, decided("a", 0.5, confidence=0.01, answered=False)),  # out of scope: no candidate is right
    ]
    report = evaluate(pairs)
    assert report.calibration_error == pytest.approx((2 * 0.46 + 0.5 + 0.01) / 4)
    filled = [(each.count, each.confidence, each.right) for each in report.calibration if each.count]
    assert filled == [(1, 0.01, 0.0), (1, 0.5, 1.0), (2, pytest.approx(0.96), 0.5)]


def test_there_are_fifteen_bins_and_none_of_the_confidences_falls_between_them():
    pairs = [("a", decided("a", 0.5, confidence=number / 60)) for number in range(61)]
    bins = evaluate(pairs).calibration
    assert [each.lower for each in bins] == pytest.approx([number / 15 for number in range(15)])
    assert [each.upper for each in bins] == pytest.approx([number / 15 for number in range(1, 16)])
    assert sum(each.count for each in bins) == 61
    assert all(each.lower - 1e-9 <= each.confidence <= each.upper for each in bins)


def test_an_empty_bin_has_no_confidence():
    empty = evaluate([("a", decided("a", 0.5, confidence=1.0))]).calibration[0]
    assert (empty.count, empty.confidence, empty.right) == (0, None, None)


def test_without_confidence_there_is_no_calibration(report):
    assert (report.calibration, report.calibration_error) == ((), None)


def test_decisions_without_confidence_take_no_part_in_the_calibration():
    pairs = [("a", decided("a", 0.5, confidence=0.9)), ("a", Decision(route=None, reason="no_routes"))]
    assert evaluate(pairs).calibration_error == pytest.approx(0.1)


def test_every_answer_saves_a_call_and_its_price():
    report = evaluate(CASE, price_per_call=0.02)
    assert (report.llm_calls_saved, report.money_saved) == (5, pytest.approx(0.10))


def test_what_could_be_saved_within_an_error_follows_from_the_coverage():
    pairs = [("a", decided("b" if n in {50, 60} else "a", 1 - n / 200)) for n in range(1, 101)]
    rows = evaluate(pairs, price_per_call=0.5).at_error
    found = [(each.error, each.coverage, each.calls_saved, each.money_saved) for each in rows]
    assert found == [(0.01, 0.49, 49, 24.5), (0.02, 1.0, 100, 50.0), (0.05, 1.0, 100, 50.0)]


def test_without_a_price_no_money_is_named(report):
    assert report.money_saved is report.price_per_call is None
    assert {each.money_saved for each in report.at_error} == {None}


def test_the_time_of_all_texts_is_shared_out():
    latency = evaluate(CASE, seconds=0.7).latency
    assert (latency.queries, latency.total_s, latency.mean_ms) == (7, 0.7, pytest.approx(100))
    assert evaluate(CASE).latency is None


@pytest.mark.parametrize("name", ["seconds", "price_per_call"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "3"])
def test_what_is_no_amount_is_refused(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} = .*finite number"):
        evaluate(CASE, **{name: value})


# --- against a plain model ---------------------------------------------------------------------


def auroc_by_pairs(pairs):
    inside = [decision.score for label, decision in pairs if label is not None]
    outside = [decision.score for label, decision in pairs if label is None]
    wins = [(one > other) + (one == other) / 2 for one in inside for other in outside]
    return np.mean(wins) if wins else None


def accepted_by_threshold(pairs):
    """The least share of out-of-scope texts over all thresholds that 95 % of the others reach."""
    inside = [decision.score for label, decision in pairs if label is not None]
    outside = [decision.score for label, decision in pairs if label is None]
    if not inside or not outside:
        return None
    enough = [at for at in inside if 20 * sum(score >= at for score in inside) >= 19 * len(inside)]
    return min(np.mean([score >= at for score in outside]) for at in enough)


@settings(deadline=None)
@given(pairs_of)
def test_the_figures_of_scope_are_what_counting_pairs_and_thresholds_gives(pairs):
    report = evaluate(pairs)
    assert report.auroc == pytest.approx(auroc_by_pairs(pairs))
    assert report.fpr_at_95 == pytest.approx(accepted_by_threshold(pairs))


@settings(deadline=None)
@given(pairs_of)
def test_coverage_can_be_had_from_the_curve_and_sureness_alone(pairs):
    """What a benchmark does with figures of its own."""
    right = np.array([label == decision.candidates[0].route for label, decision in pairs])
    risks, ends = risk_curve(np.array([sureness_of(decision) for _, decision in pairs]), right)
    report = evaluate(pairs)
    for error, coverage in report.coverage_at_error.items():
        assert coverage_at(risks[ends], (ends + 1) / len(pairs), error) == coverage
    assert report.aurc == risks.mean()


@pytest.mark.parametrize(
    ("gained", "lost", "expected"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 1, 14 / 64), (1, 5, 14 / 64), (3, 3, 1.0), (10, 0, 2 / 1024)],
)
def test_mcnemars_test_is_twice_the_tail_of_a_fair_coin(gained, lost, expected):
    assert mcnemar(gained, lost) == pytest.approx(expected)


def test_mcnemars_test_takes_thousands_of_changes():
    assert 0 <= mcnemar(6000, 100) < 1e-300
    assert mcnemar(5000, 5000) == 1.0
    assert mcnemar(5050, 4950) == pytest.approx(math.erfc(99 / 100 / math.sqrt(2)), rel=0.001)
