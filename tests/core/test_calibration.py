"""The promise of a calibration, held against populations whose every error is known."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import ConfigurationError
from synaptoroute_core.learning.thresholds.calibration import (
    CalibrationReport,
    binomial_tail,
    candidate_count,
    candidates,
    plan_calibration,
    report_of,
    upper_bound,
)
from synaptoroute_core.learning.thresholds.outcomes import Outcomes

POPULATION = 20_000
EXAMPLES = 600
DRAWS = 400


def outcomes(sureness, right, clear=None):
    """Texts of one route; those that are not right are out of scope."""
    sureness, right = np.asarray(sureness, np.float64), np.asarray(right, np.bool_)
    return Outcomes(
        names=("a",),
        best=np.zeros(len(sureness), np.intp),
        sureness=sureness,
        clear=np.ones(len(sureness), np.bool_) if clear is None else clear,
        label=np.where(right, 0, -1).astype(np.intp),
    )


def population(kind):
    """A population whose error, among all that is answered at some threshold, is just over the limit.

    That is the hardest there is: a threshold that should not pass then looks as if it might.
    """
    random = np.random.default_rng(7)
    sureness = random.beta(4, 2, POPULATION)
    if kind == "falling":
        error = 0.005 + 0.3 * np.clip(0.5 - sureness, 0, 1)
    elif kind == "borderline":  # the error of every threshold is just over the limit
        error = np.full(POPULATION, 0.0525)
    elif kind == "surest are worst":  # wrong where they are sure: sureness means nothing
        error = np.where(sureness > 0.8, 0.07, 0.03)
    else:  # heavy ties
        sureness = np.round(sureness, 1)
        error = 0.01 + 0.25 * np.clip(0.6 - sureness, 0, 1)
    return outcomes(sureness, random.random(POPULATION) >= error)


def slack(level, draws):
    """The most broken promises that have more than one chance in a thousand, if each has the chance ``level``."""
    return next(count for count in range(draws) if binomial_tail(count, draws, level) > 0.999)


KINDS = ["falling", "borderline", "surest are worst", "heavy ties"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_a_promise_is_broken_no_more_often_than_the_confidence_allows(kind, confidence):
    """Of 400 draws of 600 examples, on the rest of the population."""
    whole = population(kind)
    random = np.random.default_rng(11)
    broken, coverages = 0, []
    for _ in range(DRAWS):
        order = random.permutation(POPULATION)
        plan = plan_calibration(whole.at(order[:EXAMPLES]), max_error=0.05, confidence=confidence)
        coverages.append(plan.coverage if plan.threshold is not None else 0.0)
        if plan.threshold is not None:
            rest = whole.at(order[EXAMPLES:])
            error = rest.figures(rest.accepted(np.array([plan.threshold]))).error
            broken += error is not None and error > 0.05
    assert broken <= slack(1 - confidence, DRAWS)
    if kind in {"falling", "heavy ties"}:
        assert np.mean(coverages) > 0.7  # a promise that answers nothing is easily kept


def test_promises_cannot_be_had_by_trying_thresholds_until_one_fits():
    """The mistake guarded against: the loosest threshold whose error on the examples is within the limit."""
    whole = population("borderline")
    random = np.random.default_rng(11)
    naive = careful = 0
    for _ in range(100):
        data = whole.at(random.permutation(POPULATION)[:EXAMPLES])
        ranking = np.argsort(-data.sureness)
        risks = np.cumsum(~data.right[ranking]) / np.arange(1, EXAMPLES + 1)
        naive += bool((risks[50:] <= 0.05).any())
        careful += plan_calibration(data, max_error=0.05).threshold is not None
    assert naive > 50
    assert careful <= slack(0.05, 100)


texts = st.lists(st.tuples(st.integers(-8, 16), st.sampled_from([True] * 15 + [False])), min_size=1, max_size=300)


def of(pairs):
    return outcomes([number / 16 for number, _ in pairs], [right for _, right in pairs])


@settings(deadline=None)
@given(texts, st.sampled_from([0.01, 0.05, 0.1, 0.3]), st.sampled_from([0.5, 0.8, 0.95]))
def test_what_is_promised_is_what_the_threshold_does_and_its_bound_is_within_the_limit(pairs, max_error, confidence):
    data = of(pairs)
    plan = plan_calibration(data, max_error=max_error, confidence=confidence)
    assert plan.examples == len(data)
    assert plan.coverage == plan.answered / len(data)
    if plan.threshold is None:
        assert plan.bound > max_error
    else:
        accepted = data.accepted(np.array([plan.threshold]))
        assert (plan.answered, plan.wrong) == (accepted.sum(), (accepted & ~data.right).sum())
        assert plan.wrong / plan.answered < plan.bound <= max_error


@settings(deadline=None)
@given(texts)
def test_a_looser_promise_never_answers_less(pairs):
    def answered(**promise):
        plan = plan_calibration(of(pairs), **promise)
        return plan.answered if plan.threshold is not None else 0

    by_error = [answered(max_error=error, confidence=0.8) for error in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)]
    by_confidence = [answered(max_error=0.1, confidence=level) for level in (0.99, 0.95, 0.9, 0.8, 0.5)]
    assert by_error == sorted(by_error)
    assert by_confidence == sorted(by_confidence)


@settings(deadline=None)
@given(texts, st.randoms(use_true_random=False))
def test_the_order_of_the_examples_makes_no_difference(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert plan_calibration(of(pairs), max_error=0.1) == plan_calibration(of(shuffled), max_error=0.1)


@settings(deadline=None)
@given(texts)
def test_which_thresholds_are_tested_does_not_depend_on_the_labels(pairs):
    """The tests would not be exact otherwise."""
    data = of(pairs)
    found, flipped = candidates(data.sureness, data.right), candidates(data.sureness, ~data.right)
    assert [each.threshold for each in found] == [each.threshold for each in flipped]
    assert len(found) == candidate_count(len(data))


def test_no_text_is_torn_from_its_equals():
    found = candidates(np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1]), np.ones(8, np.bool_))
    assert [each.answered for each in found] == [1, 1, 1, 8]


def test_texts_that_are_ambiguous_are_not_answered_and_count_as_examples():
    clear = np.arange(1200) % 2 == 0
    plan = plan_calibration(outcomes(np.linspace(0, 1, 1200), clear, clear))
    assert (plan.answered, plan.wrong, plan.coverage) == (600, 0, 0.5)
    assert plan.threshold == -1.0


def test_wrong_routes_count_as_wrong_as_do_out_of_scope_texts():
    data = outcomes(np.linspace(0, 1, 400), np.arange(400) >= 100)
    other = Outcomes(("a", "b"), data.best, data.sureness, data.clear, np.where(data.right, 0, 1))
    assert plan_calibration(other, max_error=0.1) == plan_calibration(data, max_error=0.1)


# --- refusals ----------------------------------------------------------------------------------


def test_too_few_examples_are_refused_with_the_number_that_is_needed():
    plan = plan_calibration(outcomes(np.linspace(0, 1, 100), np.ones(100)))
    assert plan.threshold is None
    assert "about 217 examples are needed" in plan.reason
    needed = plan_calibration(outcomes(np.linspace(0, 1, 217), np.ones(217)))
    assert needed.threshold is not None
    assert plan_calibration(outcomes(np.linspace(0, 1, 216), np.ones(216))).threshold is None


def test_examples_whose_surest_are_wrong_too_often_are_refused():
    plan = plan_calibration(outcomes(np.linspace(0, 1, 1000), np.arange(1000) % 4 > 0), max_error=0.1)
    assert plan.threshold is None
    assert "too many for any number of examples like these" in plan.reason


def test_a_near_miss_says_how_many_more_examples_would_do():
    """3 wrong of 600 are just too many for 1 %; the same share of more is not."""
    plan = plan_calibration(outcomes(np.ones(600), np.arange(600) % 200 > 0), max_error=0.01)
    assert (plan.threshold, plan.answered, plan.wrong) == (None, 600, 3)
    wanted = int(plan.reason.split("about ")[1].split(" ")[0].replace(",", ""))
    assert wanted > 600
    more = outcomes(np.ones(wanted), np.arange(wanted) % 200 > 0)
    assert plan_calibration(more, max_error=0.01).threshold is not None


def test_examples_that_are_all_ambiguous_are_refused():
    plan = plan_calibration(outcomes(np.ones(300), np.ones(300), np.zeros(300, np.bool_)))
    assert (plan.threshold, plan.answered, plan.coverage, plan.bound) == (None, 0, 0.0, 1.0)
    assert "no example can be answered" in plan.reason


@pytest.mark.parametrize("name", ["max_error", "confidence"])
@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, float("nan"), True, "0.1", None])
def test_promises_that_are_no_shares_are_refused(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} = "):
        plan_calibration(outcomes([0.5], [True]), **{name: value})


def test_no_examples_are_refused():
    with pytest.raises(ConfigurationError, match="no examples"):
        plan_calibration(outcomes([], []))


# --- the binomial distribution -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "trials", "chance"),
    [
        (0, 1, 0.5),
        (0, 149, 0.02),
        (5, 600, 0.02),
        (7, 7, 0.3),
        (300, 15_000, 0.02),
        (90, 100, 0.99),
        (2900, 15_000, 0.2),
    ],
)
def test_the_tail_and_the_bound_agree_with_scipy(count, trials, chance):
    stats = pytest.importorskip("scipy.stats")
    assert binomial_tail(count, trials, chance) == pytest.approx(stats.binom.cdf(count, trials, chance), rel=1e-8)
    bound = stats.beta.ppf(0.95, count + 1, trials - count) if count < trials else 1.0
    assert upper_bound(count, trials, 0.05) == pytest.approx(bound, rel=1e-9)


def test_the_tail_is_a_sum_of_binomial_terms():
    assert binomial_tail(1, 3, 0.25) == pytest.approx(0.75**3 + 3 * 0.25 * 0.75**2)
    assert (binomial_tail(-1, 3, 0.25), binomial_tail(3, 3, 0.25), binomial_tail(0, 0, 0.25)) == (0.0, 1.0, 1.0)


def test_the_bound_is_where_the_tail_has_the_level():
    assert binomial_tail(4, 321, upper_bound(4, 321, 0.01)) == pytest.approx(0.01)


# --- the report --------------------------------------------------------------------------------


def test_a_report_says_what_is_promised_and_for_what():
    plan = plan_calibration(population("falling").at(np.arange(2000)), max_error=0.05)
    report = report_of(plan, 7)
    assert (report.changed, report.revision, report.threshold) == (True, 7, plan.threshold)
    text = report.to_markdown()
    assert "At most 5.00% of the answers are wrong, with 95.0% confidence, for traffic like the examples" in text
    assert CalibrationReport.model_validate(json.loads(report.to_json())) == report


def test_a_report_of_a_refusal_promises_nothing():
    report = report_of(plan_calibration(outcomes(np.ones(20), np.ones(20))), 7)
    assert (report.changed, report.threshold) == (False, None)
    assert "At most" not in report.to_markdown()
    assert "examples are needed" in report.to_markdown()
