"""Fitting, calibrating and taking back: what each puts in force, and what it refuses."""

import math
import sqlite3
import sys
import threading
from contextlib import closing

import pytest
from fitted import EXAMPLES, INSIDE, MANY, NEW, OUTSIDE, QUERIES, ROUTES, answers, newest_head, open_router, scorers
from gates import PATIENCE_S, Gated

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterClosedError,
    StorageError,
)


@pytest.fixture
def router():
    with open_router() as fresh:
        yield fresh


def confidences(router):
    return [decision.confidence for decision in router.route_batch(QUERIES)]


# --- fit ------------------------------------------------------------------------------------------


def test_a_fit_needs_no_example_and_is_one_revision(router):
    assert scorers(router) == {"similarity"}
    report = router.fit()
    assert (report.kind, report.changed, report.revision, router.revision) == ("head", True, 2, 2)
    assert (report.routes, report.utterances, report.examples) == (5, 30, 0)
    assert report.held_out > 30
    assert report.after.aurc < report.before.aurc
    assert scorers(router) == {"head"}
    assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True)]
    assert "area under the risk-coverage curve" in report.to_markdown()


async def test_the_awaitable_fit_is_the_same(router):
    with open_router() as other:
        other.fit(seed=4)
        await router.afit(seed=4)
        assert newest_head(router) == newest_head(other)
        await router.aundo_fit()
        assert scorers(router) == {"similarity"}


def test_the_same_routes_and_seed_give_the_same_head_to_the_bit(router):
    """However many threads are at work, and whatever the routers did before."""
    router.fit(EXAMPLES, seed=3)
    with open_router(workers=1) as other:
        other.route_batch(QUERIES)
        other.fit(seed=1)
        other.fit(EXAMPLES, seed=3)
        assert newest_head(other) == newest_head(router)
        assert answers(other) == answers(router)
        other.fit(EXAMPLES, seed=5)
        assert newest_head(other) != newest_head(router)


def test_real_texts_give_the_same_head_twice(bundled, support_routes):
    some = support_routes[:4]
    with AdaptiveRouter(some, encoder=bundled) as first, AdaptiveRouter(some, encoder=bundled) as second:
        first.fit()
        second.fit()
        assert newest_head(first) == newest_head(second)


def test_examples_that_are_utterances_already_teach_nothing_new(router):
    router.fit()
    plain = newest_head(router)
    router.fit([(f"  {text.upper()} ", route.name) for route in ROUTES for text in route.utterances])
    assert newest_head(router) == plain


def test_in_scope_examples_are_learned_from_and_are_no_evidence(router):
    text = "the thing with the shiny buttons"
    router.fit()
    before = router.route(text, allowed=["hours", "invoice"])
    router.fit([(f"{text} {number}", "hours") for number in range(5)])
    after = router.route(text, allowed=["hours", "invoice"])
    assert after.candidates[0].route == "hours"
    assert after.candidates[0].score > before.candidates[0].score or before.candidates[0].route != "hours"
    assert all(candidate.utterance in router.routes[candidate.route].utterances for candidate in after.candidates)
    assert len(router.routes["hours"].utterances) == 6


def test_more_strangers_in_the_traffic_make_every_answer_less_sure(router):
    means = []
    for share in (0.0, 0.2, 0.6, 0.95):
        router.fit(out_of_scope_share=share)
        means.append(math.fsum(confidences(router)) / len(QUERIES))
    assert means == sorted(means, reverse=True)
    assert means[0] > means[-1] + 0.1


def test_examples_say_how_many_strangers_there_are_unless_they_are_few(router):
    assert router.fit(EXAMPLES).settings["out_of_scope_share"] == len(OUTSIDE) / len(EXAMPLES)
    assert router.fit(EXAMPLES, out_of_scope_share=0.1).settings["out_of_scope_share"] == 0.1
    assert router.fit(EXAMPLES[:49]).settings["out_of_scope_share"] == 0.2
    assert router.fit(INSIDE * 2).settings["out_of_scope_share"] == 0.2


def test_strangers_among_the_examples_make_the_like_of_them_less_sure(bundled, support_routes, support_examples):
    strangers = [(text, label) for text, label in support_examples if label is None]
    shown, held = strangers[::2], [text for text, _ in strangers[1::2]]
    with AdaptiveRouter(support_routes[:6], encoder=bundled) as router:
        router.fit(out_of_scope_share=0.3)
        before = [decision.confidence for decision in router.route_batch(held)]
        router.fit(shown, out_of_scope_share=0.3)
        after = [decision.confidence for decision in router.route_batch(held)]
    assert math.fsum(after) < math.fsum(before)


def test_a_head_ranks_real_queries_no_worse_than_similarity(fitted_support, support_examples):
    """And answers more of them for it."""
    head = fitted_support.evaluate(support_examples)
    fitted_support.undo_fit()
    similarity = fitted_support.evaluate(support_examples)
    assert head.aurc < similarity.aurc
    assert head.answered_in_scope > similarity.answered_in_scope
    assert head.calibration_error is not None
    assert similarity.calibration_error is None


@pytest.mark.parametrize("share", [-0.1, 1.0, 1, math.nan, math.inf, True, "0.2"])
def test_a_share_that_is_none_is_refused(router, share):
    with pytest.raises(ConfigurationError, match="out_of_scope_share = "):
        router.fit(out_of_scope_share=share)
    assert router.fits == ()


@pytest.mark.parametrize(
    ("examples", "error"),
    [
        ([("hello", "nowhere")], RouteNotFoundError),
        ([("", "refund")], InvalidTextError),
        ([(5, "refund")], InvalidTextError),
    ],
)
def test_an_example_that_is_not_usable_is_refused_and_nothing_is_fitted(router, examples, error):
    for fit in (router.fit, router.fit_thresholds, router.calibrate):
        with pytest.raises(error):
            fit([*EXAMPLES, *examples])
    assert (router.fits, router.revision) == ((), 1)


@pytest.mark.parametrize("routes", [(), ROUTES[:1]])
def test_with_less_than_two_routes_there_is_nothing_to_tell_apart(routes):
    with (
        open_router(routes) as router,
        pytest.raises(ConfigurationError, match=rf"with {len(routes)} route.* at least two"),
    ):
        router.fit()


def test_a_closed_router_refuses_a_fit_before_it_encodes_anything():
    encoder = Gated()
    encoder.gate.set()
    with open_router(encoder=encoder) as router:
        pass
    encoded = len(encoder.texts)
    for fit in (router.fit, router.fit_thresholds, router.calibrate):
        with pytest.raises(RouterClosedError):
            fit(EXAMPLES)
    assert len(encoder.texts) == encoded


def test_without_scikit_learn_the_error_names_the_command_that_installs_it(router, monkeypatch):
    for name in ("sklearn", "sklearn.linear_model", "sklearn.utils.extmath"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'synaptoroute-integrations\[fit\]'"):
        router.fit()
    assert scorers(router) == {"similarity"}


@pytest.mark.parametrize("lose", ["fit", "fit_thresholds", "calibrate", "undo_fit"])
def test_a_write_that_fails_changes_nothing(tmp_path, lose):
    path = tmp_path / "routes.db"
    with open_router(store=path, threshold=0.99) as router, closing(sqlite3.connect(path, isolation_level=None)) as raw:
        if lose == "undo_fit":
            router.fit()
        before = answers(router), router.fits, dict(router.routes), router.revision
        raw.execute("CREATE TRIGGER trap BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'struck'); END")
        with pytest.raises(StorageError, match="struck"):
            router.undo_fit() if lose == "undo_fit" else getattr(router, lose)(MANY)
        assert before == (answers(router), router.fits, dict(router.routes), router.revision)
        raw.execute("DROP TRIGGER trap")
    with open_router((), store=path) as again:
        assert len(again.fits) == len(before[1])


def test_routes_that_change_while_a_fit_is_at_work_leave_it_behind(router, making):
    fitting = threading.Thread(target=router.fit)
    fitting.start()
    making.wait_until_busy()
    router.add_route(NEW)
    making.gate.set()
    fitting.join(PATIENCE_S)
    assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", False)]
    assert scorers(router) == {"similarity"}
    assert router.route("weather report").route == "weather"


def test_fits_that_overlap_leave_the_threads_of_the_process_as_they_were():
    from threadpoolctl import threadpool_info

    from synaptoroute_core.learning.heads.running import load_libraries

    def threads():
        return {each["filepath"]: each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    def begin(router, encoder):
        at_work = threading.Thread(target=router.fit, args=([("slow one", "refund")],))
        at_work.start()
        assert encoder.entered.acquire(timeout=PATIENCE_S)
        return at_work

    def end(at_work, encoder):
        encoder.gate.set()
        at_work.join(PATIENCE_S)

    load_libraries()
    encoders = Gated(), Gated()
    with open_router(encoder=encoders[0]) as first, open_router(encoder=encoders[1]) as second:
        before = threads()
        works = begin(first, encoders[0]), begin(second, encoders[1])
        assert set(threads().values()) == {1}
        end(works[0], encoders[0])
        assert set(threads().values()) == {1}, "the second is still at work"
        end(works[1], encoders[1])
        assert threads() == before


# --- taking back ----------------------------------------------------------------------------------


def test_taking_a_fit_back_restores_the_decisions_before_to_the_bit(router):
    before = answers(router)
    router.fit()
    with_head = answers(router)
    router.fit(seed=1)
    assert router.undo_fit().revision == 4
    assert answers(router) == with_head
    router.undo_fit()
    assert answers(router) == before
    with pytest.raises(ConfigurationError, match="no fit to take back"):
        router.undo_fit()


def test_up_to_four_fits_can_be_taken_back(router):
    heads = []
    for seed in range(6):
        router.fit(seed=seed)
        heads.append(newest_head(router))
    assert len(router.fits) == 4
    for expected in heads[:1:-1]:
        assert newest_head(router) == expected
        router.undo_fit()
    assert router.fits == ()
    assert scorers(router) == {"similarity"}


def test_a_fit_taken_back_after_an_edit_gives_way_to_similarity_not_to_what_was_before(router):
    router.fit()
    router.fit(seed=1)
    router.add_route(NEW)
    router.undo_fit()
    assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", False)]
    assert scorers(router) == {"similarity"}


# --- editing --------------------------------------------------------------------------------------

EDITS = {
    "a new route": lambda router: router.add_route(NEW),
    "a route overwritten": lambda router: router.add_route(replaced(ROUTES[0]), overwrite=True),
    "a route removed": lambda router: router.remove_route("hours"),
    "an utterance more": lambda router: router.add_utterances("hours", ["is it open"]),
    "an utterance less": lambda router: router.remove_utterances("hours", ["opening times"]),
}


def replaced(route: Route) -> Route:
    return Route(route.name, [*route.utterances[:3], "something else"])


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_after_an_edit_decisions_go_by_similarity_as_if_nothing_had_been_fitted(router, edit):
    router.fit()
    edit(router)
    with open_router() as plain:
        edit(plain)
        assert answers(router) == answers(plain)
    assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", False)]
    assert router.wait_for_refit(0)


def test_a_new_route_can_be_chosen_at_once(router):
    router.fit()
    router.add_route(NEW)
    assert router.route("weather report").route == "weather"


def test_an_edit_that_changes_nothing_leaves_the_head_in_force(router):
    router.fit()
    before = answers(router)
    router.add_utterances("hours", ["Opening  TIMES"])
    router.add_route(ROUTES[0], overwrite=True)
    assert answers(router) == before
    assert scorers(router) == {"head"}
