"""Thresholds fitted and answers promised on a router: put in force whole, taken back whole, refused where idle."""

import pytest
from fitted import EXAMPLES, MANY, NEW, QUERIES, answers, open_router, scorers

from synaptoroute_core import ConfigurationError


@pytest.fixture
def router():
    with open_router() as fresh:
        yield fresh


# --- thresholds -----------------------------------------------------------------------------------


def test_thresholds_are_fitted_and_taken_back(router):
    router.update_threshold("refund", 0.9)
    before, routes = answers(router), dict(router.routes)
    report = router.fit_thresholds(MANY)
    assert (report.kind, report.changed) == ("thresholds", True)
    assert report.after.f1 > report.before.f1
    assert {decision.threshold for decision in router.route_batch(QUERIES)} >= {report.threshold}
    assert all(router.routes[name].threshold == value for name, value in report.thresholds.items())
    router.undo_fit()
    assert answers(router) == before
    assert dict(router.routes) == routes


def test_fitted_thresholds_outlive_an_edit(router):
    report = router.fit_thresholds(MANY)
    router.add_route(NEW)
    assert router.route("weather report").threshold == report.threshold


def test_a_fitted_threshold_holds_for_choices_that_are_not_stored_as_well(router):
    report = router.fit_thresholds(MANY)
    assert router.route("weather report", allowed=router.choices(["hours"], [NEW])).threshold == report.threshold


def test_thresholds_that_are_no_better_change_nothing(router):
    router.fit_thresholds(MANY)
    state = answers(router), router.fits, router.revision
    report = router.fit_thresholds(MANY)
    assert not report.changed
    assert (answers(router), router.fits, router.revision) == state


def test_under_a_head_thresholds_of_scores_are_not_fitted(router):
    router.fit()
    with pytest.raises(ConfigurationError, match=r"use calibrate\(\), or take the head back with undo_fit\(\)"):
        router.fit_thresholds(MANY)
    router.undo_fit()
    assert router.fit_thresholds(MANY).kind == "thresholds"


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "f2"},
        {"objective": "max_error"},
        {"max_fpr": 0.1, "max_error": 0.1},
        {"objective": "max_error", "max_fpr": 0.1},
        {"max_error": 1.5},
    ],
)
def test_an_aim_that_is_none_is_refused(router, settings):
    with pytest.raises(ConfigurationError):
        router.fit_thresholds(MANY, **settings)


# --- calibration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_head", [True, False])
def test_a_calibration_keeps_its_promise_on_its_examples_and_can_be_taken_back(router, with_head):
    if with_head:
        router.fit()
    router.update_threshold("hours", 0.1)
    before, routes = answers(router), dict(router.routes)
    report = router.calibrate(MANY, max_error=0.1)
    assert report.changed
    assert report.bound <= 0.1
    evaluation = router.evaluate(MANY)
    assert evaluation.error <= 0.1
    assert round(evaluation.answered * len(MANY)) == report.answered
    assert {decision.threshold for decision in router.route_batch(QUERIES)} == {report.threshold}
    assert scorers(router) == {"head" if with_head else "similarity"}
    assert router.routes["hours"].threshold == (0.1 if with_head else None)
    router.undo_fit()
    assert answers(router) == before
    assert dict(router.routes) == routes


def test_a_promise_that_cannot_be_made_changes_nothing(router):
    router.fit()
    state = answers(router), router.fits, router.revision
    report = router.calibrate(EXAMPLES[:20], max_error=0.001)
    assert not report.changed
    assert report.threshold is None
    assert (answers(router), router.fits, router.revision) == state


def test_routes_that_change_during_a_calibration_end_it_and_no_fit_is_lost(router, monkeypatch):
    """Four fits are kept: one that is put in force and taken back again would cost the oldest."""
    for seed in range(4):
        router.fit(seed=seed)
    outcomes = router._outcomes

    def slowly(examples):
        found = outcomes(examples)
        router.add_route(NEW)
        return found

    monkeypatch.setattr(router, "_outcomes", slowly)
    with pytest.raises(ConfigurationError, match="changed meanwhile: start over"):
        router.calibrate(MANY, max_error=0.1)
    assert [fit.kind for fit in router.fits] == ["head"] * 4


def test_a_calibrated_head_can_be_made_again_however_often_it_was_calibrated(router, making):
    making.gate.set()
    router.fit(seed=9)
    for _ in range(5):
        assert router.calibrate(MANY, max_error=0.2).changed
    assert [fit.kind for fit in router.fits] == ["head", *["calibration"] * 3]
    router.add_utterances("hours", ["is it open"])
    router._refit(lambda: False)
    assert [fit.fresh for fit in router.fits] == [True] * 4
    assert scorers(router) == {"head"}


@pytest.mark.parametrize("settings", [{"max_error": 0}, {"max_error": 1}, {"confidence": 1.0}, {"max_error": "few"}])
def test_a_promise_that_is_none_is_refused(router, settings):
    with pytest.raises(ConfigurationError):
        router.calibrate(MANY, **settings)


async def test_the_awaitable_twins_do_the_same(router):
    report = await router.acalibrate(MANY, max_error=0.2)
    await router.aundo_fit()
    assert router.calibrate(MANY, max_error=0.2) == report.model_copy(update={"revision": router.revision})
    with open_router(threshold=0.99) as one, open_router(threshold=0.99) as other:
        thresholds = await one.afit_thresholds(MANY)
        assert thresholds == other.fit_thresholds(MANY).model_copy(update={"seconds": thresholds.seconds})
        assert thresholds.changed
