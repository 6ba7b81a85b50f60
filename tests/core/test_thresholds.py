"""Fitted thresholds: exact where they are fitted, proven on other texts, and harmless otherwise."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from labelled import outcomes, population

from synaptoroute_core import ConfigurationError
from synaptoroute_core.learning.thresholds import fitting
from synaptoroute_core.learning.thresholds.fitting import Task, fit_common, fit_own
from synaptoroute_core.learning.thresholds.planning import OBJECTIVES, plan_thresholds
from synaptoroute_core.learning.thresholds.sweeping import EDGE, place_cuts, sweep

LIMITS = {"f1": None, "max_fpr": 0.1, "max_error": 0.1}
NAN = float("nan")


def task(data, objective="f1", *, default=0.5, own=None, limit=None, guarded=False):
    own = np.full(len(data.names), NAN) if own is None else np.array(own)
    return Task(objective, limit or LIMITS[objective] or 0.0, default, own, guarded, folds=5, seed=0)


def plan(data, objective="f1", *, default=0.5, own=None, limit=None, **arguments):
    own = np.full(len(data.names), NAN) if own is None else np.array(own, np.float64)
    return plan_thresholds(data, own, default, objective=objective, limit=limit or LIMITS[objective], **arguments)


def in_force(made):
    return np.where(np.isnan(made.own), made.default, made.own)


# --- the sweep against brute force -------------------------------------------------------------

GRID = np.round(np.arange(-1.0, 1.0001, 1 / 64), 6)
sureness = st.integers(-8, 15).map(lambda number: number / 16)  # few values, so that ties are common
rows = st.lists(
    st.tuples(st.integers(-1, 2), sureness, st.integers(-1, 2), st.booleans()), min_size=1, max_size=20
).map(lambda each: outcomes(each, routes=3))


@settings(deadline=None)
@given(rows)
def test_the_common_threshold_has_the_best_mean_f1_of_all_thresholds(data):
    found = fit_common(data, task(data))
    assume(found is not None)

    def f1(threshold):
        thresholds = np.where(data.support > 0, threshold, 0.5)
        return data.figures(data.accepted(thresholds)).f1 or 0.0

    assert f1(found) == pytest.approx(max(f1(threshold) for threshold in GRID))


@settings(deadline=None)
@given(rows)
def test_each_routes_own_threshold_has_the_best_f1_of_all_thresholds(data):
    telling = task(data).telling(data)
    found = fit_own(data, task(data), np.full(3, 0.5))
    for place in np.flatnonzero(telling):
        best = max(data.route_f1(data.accepted(np.full(3, threshold)))[place] for threshold in GRID)
        assert data.route_f1(data.accepted(found))[place] == pytest.approx(best)
    assert (found[~telling] == 0.5).all()


@settings(deadline=None)
@given(rows, st.sampled_from(["max_fpr", "max_error"]), st.sampled_from([0.1, 0.25, 0.5]))
def test_under_a_limit_the_common_threshold_answers_most_of_all_that_keep_it(data, objective, limit):
    wanted = task(data, objective, limit=limit)
    free = ~wanted.fixed(data)
    found = fit_common(data, wanted)

    def answered(threshold):
        """How much is answered; nothing if the limit is broken or no route that may change answers."""
        accepted = data.accepted(np.where(free, threshold, 0.5))
        broken = (accepted & wanted.bad(data)).sum() > limit * wanted.judged(data, accepted).sum()
        return 0 if broken or not (accepted & free[data.best]).any() else accepted.sum()

    best = max(answered(threshold) for threshold in GRID)
    assert (0 if found is None else answered(found)) == best


# --- where a threshold goes --------------------------------------------------------------------


def cut(scores, values_of, floor=-1.0):
    """The threshold for one group whose cuts are worth ``values_of(number of accepted texts)``."""
    cuts = sweep(np.zeros(len(scores), np.intp), np.array(scores))
    counts = cuts.running(np.ones(len(scores)))
    return place_cuts(cuts, np.array([float(values_of(count)) for count in counts]), np.array([floor]))[0]


def test_ties_go_to_the_middle_of_the_widest_gap_and_not_to_the_highest_cut():
    """Elsewhere, the highest of equally good thresholds was taken: it cuts off the next text of the route."""
    assert cut([0.9, 0.8, 0.2, 0.1], lambda count: count == 2) == pytest.approx(0.5)
    data = outcomes([(0, 0.9, 0), (0, 0.8, 0), (0, 0.2, -1), (0, 0.1, -1)], routes=1)
    assert fit_common(data, task(data)) == pytest.approx(0.5)


def test_of_several_equally_good_gaps_the_widest_is_taken():
    assert cut([0.9, 0.85, 0.6, 0.55], lambda count: count in {1, 2}) == pytest.approx((0.9 + 0.6) / 2)  # joined
    assert cut([0.9, 0.85, 0.6, 0.55], lambda count: count in {1, 3}) == pytest.approx((0.9 + 0.85) / 2)
    assert cut([0.9, 0.85, 0.6, 0.3], lambda count: count in {1, 3}) == pytest.approx((0.6 + 0.3) / 2)


def test_the_outermost_thresholds_stay_near_the_texts():
    assert cut([0.9, 0.4], lambda count: count == 2) == pytest.approx(0.4 - EDGE / 2)
    assert cut([0.9, 0.4], lambda count: count == 0) == pytest.approx(0.9 + EDGE / 2)


def test_no_threshold_leaves_the_range_of_scores():
    assert cut([1.0, 0.4], lambda count: -count) == pytest.approx(0.7)  # nothing can leave out a score of 1
    assert cut([-1.0], lambda count: count) == -1.0
    assert 0.999 < cut([0.999], lambda count: -count) <= 1.0


def test_between_neighbouring_numbers_the_upper_one_is_the_threshold():
    upper = np.nextafter(0.5, 1.0)
    assert cut([upper, 0.5], lambda count: count == 1) == upper


def test_a_floor_bounds_the_threshold_from_below():
    assert cut([0.9, 0.4], lambda count: count, floor=0.6) == pytest.approx((0.6 + 0.9) / 2)
    assert np.isnan(cut([0.4], lambda count: count, floor=0.6))


# --- the plan ----------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_new_thresholds_are_better_on_texts_that_nobody_saw(objective):
    made = plan(population(1, 1200), objective)
    other = population(2, 20_000)
    before, after = (other.figures(other.accepted(each)) for each in (np.full(8, 0.5), in_force(made)))
    assert made.changed
    if objective == "f1":
        assert after.f1 > before.f1
        assert made.after.f1 > made.before.f1
        assert after.f1 == pytest.approx(made.after.f1, abs=0.03)  # the figures promise no more than comes
    elif objective == "max_fpr":
        assert before.out_of_scope_accepted > 0.2
        assert after.out_of_scope_accepted == pytest.approx(0.1, abs=0.04)
    else:
        assert before.error > 0.11
        assert after.error == pytest.approx(0.1, abs=0.012)


def test_routes_get_their_own_thresholds_where_their_scores_differ():
    made = plan(population(3, 1600, spread=0.15))
    assert made.changed
    own = [place for place in range(8) if f"r{place}" in made.kept_own]
    assert {0, 7} <= set(own)
    assert made.own[0] < made.default < made.own[7]
    assert np.isnan(np.delete(made.own, own)).all()


def test_routes_share_one_threshold_where_their_scores_do_not_differ():
    made = plan(population(4, 1600, spread=0.0), default=0.2)
    assert made.changed
    assert len(made.kept_own) <= 2  # of eight, one may look better by chance


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.integers(10, 120),
    st.sampled_from(OBJECTIVES),
    st.sampled_from([0.0, 0.4, 0.5, 0.6]),
    st.sampled_from([0.0, 0.1]),
)
def test_a_change_is_better_out_of_fold_and_else_there_is_none(seed, texts, objective, default, spread):
    data = population(seed, texts, routes=3, spread=spread)
    assume(not data.in_scope.all())
    made = plan(data, objective, default=default)
    assert made.reason
    if not made.changed:
        assert (made.default, np.isnan(made.own).all()) == (default, True)
    elif objective == "f1":
        assert made.after.f1 > made.before.f1
    else:
        name = "error" if objective == "max_error" else "out_of_scope_accepted"
        was, now = (getattr(each, name) or 0.0 for each in (made.before, made.after))
        if was > 0.1:
            assert now < was
        else:
            right = [each.answered * (1 - (each.error or 0.0)) for each in (made.before, made.after)]
            assert right[1] > right[0]


def test_the_same_seed_gives_the_same_plan():
    first, second = (plan(population(5, 400), seed=3) for _ in range(2))
    assert (first.default, first.reason, first.after) == (second.default, second.reason, second.after)
    np.testing.assert_array_equal(first.own, second.own)


def test_thresholds_that_are_the_best_already_stay():
    data = outcomes([(0, 0.8, 0)] * 20 + [(0, 0.2, -1)] * 20, routes=1)
    made = plan(data)
    assert (made.changed, made.default) == (False, 0.5)
    assert (made.before.f1, made.after.f1) == (1.0, 1.0)
    assert "the best already" in made.reason


def test_a_gain_within_chance_changes_nothing():
    """Sixty texts of routes that do not differ: most fits that look better are luck."""
    populations = [population(seed, 60, spread=0.0) for seed in range(40)]
    made = [plan(data, default=0.52) for data in populations]
    other = population(99, 20_000, spread=0.0)
    was = other.figures(other.accepted(np.full(8, 0.52))).f1
    worse = [other.figures(other.accepted(in_force(each))).f1 < was - 0.02 for each in made]
    assert sum(worse) <= 2
    assert any("not by more than chance" in each.reason for each in made)


# --- routes without labels ---------------------------------------------------------------------


def with_strangers():
    """Two labelled routes, and three that no text is labelled with though some come to them."""
    known = population(6, 600, routes=2, spread=0.05)
    strangers = [(place, score, -1) for place in (2, 3) for score in np.linspace(0.3, 0.7, 5)]
    return outcomes([*zip(known.best, known.sureness, known.label, known.clear, strict=True), *strangers], routes=5)


@pytest.mark.parametrize("objective", ["f1", "max_error"])
def test_routes_without_labels_keep_what_they_have_and_are_not_set_to_one(objective):
    """Elsewhere, a route without labels got the threshold 1.0 and was never chosen again."""
    made = plan(with_strangers(), objective, default=0.2, own=[NAN, NAN, 0.33, NAN, NAN])
    assert made.changed
    assert made.labelled == ("a", "b")
    assert in_force(made)[2:].tolist() == [0.33, 0.2, 0.2]
    assert made.default > 0.2


def test_a_limit_on_false_positives_needs_no_labels_of_routes():
    """A pile of out-of-scope texts is enough to say how much of it may come through."""
    random = np.random.default_rng(0)
    data = outcomes([(place % 2, score, -1) for place, score in enumerate(random.uniform(0, 1, 400))], routes=3)
    made = plan(data, "max_fpr")
    assert made.changed
    assert made.labelled == ("a", "b")
    assert made.default == pytest.approx(0.9, abs=0.03)
    assert in_force(made)[2] == 0.5  # nothing came to the third


def test_a_route_with_few_labels_keeps_an_own_threshold_and_shares_otherwise():
    few = [(2, 0.7, 2), (2, 0.4, -1)]
    known = population(6, 600, routes=2, spread=0.0)
    data = outcomes([*zip(known.best, known.sureness, known.label, known.clear, strict=True), *few], routes=3)
    assert plan(data, default=0.2, own=[NAN, NAN, 0.33]).own[2] == 0.33
    assert np.isnan(plan(data, default=0.2).own[2])


def test_a_good_own_threshold_stays_and_a_bad_one_goes():
    data = population(7, 1600, spread=0.15)
    good, bad = plan(data).own, np.full(8, NAN)
    bad[4] = 0.95
    made = plan(data, own=bad)
    assert made.changed
    assert in_force(made)[4] < 0.7
    again = plan(data, default=plan(data).default, own=good)
    assert not again.changed


def test_without_out_of_scope_examples_no_threshold_falls():
    """All that a threshold keeps out would be missing from the examples, and lowering it look free."""
    data = population(8, 800, outside=0.0)
    made = plan(data)
    assert (in_force(made) >= 0.5).all()
    assert "the label None" in made.reason
    assert plan(population(8, 800)).changed


def test_without_out_of_scope_examples_a_threshold_may_rise():
    made = plan(population(8, 800, outside=0.0), default=-0.5)
    assert made.changed
    assert made.default > 0.0


# --- what cannot be planned for ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "recall"}, "'recall'.*'f1', 'max_fpr', 'max_error'"),
        ({"objective": "max_fpr", "limit": 0.0}, r"max_fpr = 0\.0"),
        ({"objective": "max_fpr", "limit": 1}, "max_fpr = 1"),
        ({"objective": "max_error", "limit": None}, "max_error = None"),
        ({"objective": "max_error", "limit": NAN}, "max_error = nan"),
        ({"objective": "max_error", "limit": True}, "max_error = True"),
        ({"objective": "f1", "limit": 0.1}, "leave it out"),
        ({"folds": 1}, "folds = 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        plan_thresholds(population(0, 40), np.full(8, NAN), 0.5, **arguments)


def test_no_examples_are_refused():
    with pytest.raises(ConfigurationError, match="no examples"):
        plan(outcomes([]))


def test_a_limit_on_false_positives_without_out_of_scope_examples_is_refused():
    with pytest.raises(ConfigurationError, match="needs out-of-scope examples"):
        plan(population(0, 40, outside=0.0), "max_fpr")


@pytest.mark.parametrize(
    ("data", "objective", "reason"),
    [
        (outcomes([(0, 0.9, 0)] * 9), "f1", "9 examples are too few"),
        (outcomes([(0, 0.9, -1)] * 20), "f1", "No example tells anything about a route"),
        (outcomes([(-1, -1.0, -1)] * 20, routes=0), "f1", "No example tells anything about a route"),
        (outcomes([(1, 0.9, 0)] * 20), "f1", "No example reaches"),
        (outcomes([(0, 0.9, -1)] * 10 + [(0, 0.5, 0)] * 10), "max_error", "the surest answers"),
    ],
)
def test_where_nothing_can_be_learned_nothing_changes_and_the_reason_says_so(data, objective, reason):
    made = plan(data, objective)
    assert not made.changed
    assert reason in made.reason
    assert (made.default, made.before, made.after, made.held_out) == (0.5, None, None, 0)


# --- size --------------------------------------------------------------------------------------


def test_the_work_of_a_fit_does_not_grow_with_the_routes(monkeypatch):
    """50 routes of 200 examples: as many sweeps over all texts as for 2 routes, and none for single routes."""
    counts = {}

    def counted(group, scores):
        counts[routes] = counts.get(routes, 0) + 1
        return sweep(group, scores)

    monkeypatch.setattr(fitting, "sweep", counted)
    for routes in (2, 50):
        plan(population(9, 200 * routes, routes=routes))
    assert counts[50] == counts[2]


def test_the_memory_of_a_fit_does_not_grow_with_routes_times_texts():
    data = population(10, 15_000, routes=150)
    tracemalloc.start()
    plan(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15_000 * 150 * 8  # what one number for each route and text would take
