"""Fitting again in the background: by itself, seldom, in nobody's way, and over when the router is."""

import copy
import gc
import logging
import pickle
import subprocess
import sys
import threading
import time
import warnings

import pytest
from fitted import NEW, QUERIES, ROUTES, answers, newest_head, open_router, scorers
from gates import PATIENCE_S

from synaptoroute_core import RouterClosedError
from synaptoroute_core.refitting import Refitter

AUTO = {"auto_refit": True}


def our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("synaptoroute")}


def eventually(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fitted_anew(*edits, **settings):
    """A router of the edited routes, fitted in the foreground, to compare with."""
    router = open_router(**settings)
    for edit in edits:
        edit(router)
    router.fit()
    return router


# --- a router that fits again ---------------------------------------------------------------------

EDITS = {
    "a new route": lambda router: router.add_route(NEW),
    "a route overwritten": lambda router: router.add_route(
        ROUTES[0].model_copy(update={"utterances": ("something else", "refund")}), overwrite=True
    ),
    "a route removed": lambda router: router.remove_route("hours"),
    "an utterance more": lambda router: router.add_utterances("hours", ["is it open"]),
    "an utterance less": lambda router: router.remove_utterances("hours", ["opening times"]),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_after_an_edit_the_head_comes_back_by_itself(soon, edit):
    """The same, to the bit, as if the edited routes had been fitted by hand."""
    with open_router(**AUTO) as router, fitted_anew(edit) as expected:
        router.fit()
        edit(router)
        assert router.wait_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}
        assert newest_head(router) == newest_head(expected)
        assert answers(router) == answers(expected)
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True)]


def test_what_was_learned_from_examples_is_learned_from_again(soon):
    """Those of a route that is gone are left out."""
    examples = [*[(f"thing {number}", "hours") for number in range(4)], ("some text", "refund"), ("else", None)]
    with open_router(**AUTO) as router, open_router() as expected:
        router.fit(examples, out_of_scope_share=0.3, seed=5)
        router.remove_route("hours")
        assert router.wait_for_refit(PATIENCE_S)
        expected.remove_route("hours")
        expected.fit([example for example in examples if example[1] != "hours"], out_of_scope_share=0.3, seed=5)
        assert newest_head(router) == newest_head(expected)


async def test_the_awaitable_wait_is_the_same(soon):
    with open_router(**AUTO) as router:
        await router.afit()
        await router.aadd_route(NEW)
        assert await router.await_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}


def test_a_burst_of_edits_makes_one_fit(making, monkeypatch):
    monkeypatch.setattr("synaptoroute_core.refitting.QUIET_S", 0.5)
    making.gate.set()
    with open_router(**AUTO) as router:
        router.fit()
        for number in range(30):
            router.add_utterances("hours", [f"is it open on day {number}"])
        assert scorers(router) == {"similarity"}
        assert router.wait_for_refit(PATIENCE_S)
        assert making.calls == 2
        assert router.revision == 1 + 1 + 30 + 1
        assert scorers(router) == {"head"}


def test_queries_and_edits_go_on_while_a_head_is_made(soon, making):
    with open_router(**AUTO) as router:
        making.gate.set()
        router.fit()
        making.wait_until_busy()
        making.gate.clear()
        router.add_route(NEW)
        making.wait_until_busy()
        assert not router.wait_for_refit(0.01)
        with open_router([*ROUTES, NEW]) as plain:
            assert answers(router) == answers(plain)
            assert router.route("weather report", timeout=PATIENCE_S).route == "weather"
            router.add_utterances("hours", ["is it open"])
            assert router.route("is it open").candidates[0].utterance == "is it open"
        making.gate.set()
        assert router.wait_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}
        assert making.calls >= 3, "the head of routes that have changed since is of no use"


def test_without_a_head_and_without_leave_nothing_is_fitted(soon, making):
    making.gate.set()
    with open_router(**AUTO) as unfitted, open_router() as unasked:
        unasked.fit()
        for router in (unfitted, unasked):
            router.add_route(NEW)
            assert router.wait_for_refit(PATIENCE_S)
            assert scorers(router) == {"similarity"}
    assert making.calls == 1


def test_a_threshold_is_no_edit_of_utterances(soon, making):
    making.gate.set()
    with open_router(**AUTO) as router:
        router.fit()
        router.update_threshold("hours", 0.9)
        assert router.wait_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}
    assert making.calls == 1


def test_a_head_that_was_calibrated_is_made_again_under_its_threshold(soon):
    with open_router(**AUTO) as router:
        router.fit()
        examples = [
            (f"{text} {number}", route.name) for route in ROUTES for text in route.utterances for number in "abcd"
        ]
        threshold = router.calibrate(examples, max_error=0.2).threshold
        router.add_utterances("hours", ["is it open"])
        assert {decision.threshold for decision in router.route_batch(QUERIES)} == {router.config.threshold}
        assert router.wait_for_refit(PATIENCE_S)
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True), ("calibration", True)]
        assert {decision.threshold for decision in router.route_batch(QUERIES)} == {threshold}
        assert scorers(router) == {"head"}


def test_a_fit_taken_back_to_a_head_that_was_left_behind_has_it_made_again(soon):
    """As it is after a restart: what is in force must not depend on that."""
    with open_router(**AUTO) as router, fitted_anew(lambda router: router.add_route(NEW)) as expected:
        router.fit()
        router.fit(seed=1)
        router.add_route(NEW)
        assert router.wait_for_refit(PATIENCE_S)
        router.undo_fit()
        assert router.wait_for_refit(PATIENCE_S)
        assert newest_head(router) == newest_head(expected)


def test_with_one_route_left_there_is_nothing_to_fit_and_two_bring_the_head_back(soon):
    with open_router(ROUTES[:2], **AUTO) as router:
        router.fit()
        router.remove_route("parcel")
        assert router.wait_for_refit(PATIENCE_S)
        assert router.route("refund status").scorer == "similarity"
        router.add_route(NEW)
        assert router.wait_for_refit(PATIENCE_S)
        assert router.route("refund status").scorer == "head"


def test_a_store_whose_head_was_left_behind_is_fitted_again_when_it_is_opened(soon, tmp_path):
    path = tmp_path / "routes.db"
    with open_router(store=path) as router:
        router.fit()
        router.add_route(NEW)
    with open_router((), store=path, **AUTO) as router, fitted_anew(lambda router: router.add_route(NEW)) as expected:
        assert router.wait_for_refit(PATIENCE_S)
        assert newest_head(router) == newest_head(expected)
    with open_router((), store=path) as again:
        assert scorers(again) == {"head"}


def test_a_router_that_was_pickled_with_a_head_left_behind_fits_it_again(soon):
    with open_router(**AUTO) as router:
        router.fit()
        with pickle.loads(pickle.dumps(router)) as twin:
            assert answers(twin) == answers(router)
            assert copy.copy(twin) is twin
        router._config = router.config.model_copy(update={"auto_refit": False})
        router.add_route(NEW)
        router._config = router.config.model_copy(update={"auto_refit": True})
        with pickle.loads(pickle.dumps(router)) as twin:
            assert twin.wait_for_refit(PATIENCE_S)
            assert scorers(twin) == {"head"}


# --- endings --------------------------------------------------------------------------------------


def test_a_router_can_be_closed_while_a_head_is_made(soon, making, tmp_path, caplog):
    path, before = tmp_path / "routes.db", our_threads()
    making.gate.set()
    with open_router(store=path, **AUTO) as router, caplog.at_level(logging.WARNING):
        router.fit()
        making.wait_until_busy()
        making.gate.clear()
        router.add_route(NEW)
        making.wait_until_busy()
        started = time.monotonic()
        router.close()
        assert time.monotonic() - started < router.config.drain_timeout_s
    assert our_threads() == before
    assert router.wait_for_refit(0)
    assert caplog.text == ""
    with open_router((), store=path) as again, open_router([*ROUTES, NEW]) as plain:
        assert [fit.fresh for fit in again.fits] == [False]
        assert answers(again) == answers(plain)


def test_a_router_closed_right_after_an_edit_does_not_wait_for_quiet(tmp_path):
    with open_router(store=tmp_path / "routes.db", **AUTO) as router:
        router.fit()
        router.add_route(NEW)
    with pytest.raises(RouterClosedError):
        router.route("hello")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_router_that_nobody_closed_ends_though_a_fit_is_due(making):
    before = our_threads()

    def use_and_forget():
        making.gate.set()
        router = open_router(**AUTO)
        router.fit()
        router.add_route(NEW)

    with pytest.warns(ResourceWarning, match="was not closed"):
        use_and_forget()
    eventually(lambda: our_threads() <= before)
    assert making.calls == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_router_forgotten_while_a_head_is_made_ends_when_that_is_done(soon, making):
    before = our_threads()

    def use_and_forget():
        making.gate.set()
        router = open_router(**AUTO)
        router.fit()
        making.wait_until_busy()
        making.gate.clear()
        router.add_route(NEW)
        making.wait_until_busy()
        return our_threads() - before

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it comes in the thread that made the head
        begun = use_and_forget()
        assert begun
        making.gate.set()
        # Of this router: others that earlier tests left to the garbage may begin threads of theirs meanwhile.
        eventually(lambda: gc.collect() is not None and not any(thread.is_alive() for thread in begun))


def test_without_scikit_learn_a_warning_is_logged_and_similarity_goes_on(soon, monkeypatch, caplog):
    with open_router(**AUTO) as router, open_router([*ROUTES, NEW]) as plain:
        router.fit()
        for name in ("sklearn", "sklearn.linear_model", "sklearn.utils.extmath"):
            monkeypatch.setitem(sys.modules, name, None)
        with caplog.at_level(logging.WARNING):
            router.add_route(NEW)
            assert router.wait_for_refit(PATIENCE_S)
        assert "decisions go by similarity" in caplog.text
        assert "pip install 'synaptoroute-integrations[fit]'" in caplog.text
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert answers(router) == answers(plain)


def test_a_fit_that_fails_is_logged_and_the_next_edit_tries_again(soon, monkeypatch, caplog):
    with open_router(**AUTO) as router:
        router.fit()
        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr("synaptoroute_core.fitting.make_head", lambda *_: 1 / 0)
            router.add_route(NEW)
            assert router.wait_for_refit(PATIENCE_S)
        assert "ZeroDivisionError" in caplog.text
        assert scorers(router) == {"similarity"}
        router.remove_route(NEW.name)
        assert router.wait_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}


LEAVING = """
import sys, threading, time
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, fitting, refitting

make_head, entered = fitting.make_head, threading.Event()

def late(*arguments):
    entered.set()
    while threading.main_thread().is_alive():
        time.sleep(0.001)
    return make_head(*arguments)

routes = [Route(f"r{number}", [f"matter{number} {row}" for row in range(9)]) for number in range(20)]
router = AdaptiveRouter(routes, encoder=HashingEncoder(dim=64))
router.fit()
fitting.make_head, refitting.QUIET_S = late, 0.01
router.add_utterances("r1", ["another matter"])
assert entered.wait(30)
"""


def test_a_program_that_ends_while_a_head_is_made_ends_in_silence():
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- the thread -----------------------------------------------------------------------------------


class Job:
    """Counts how often it is run, and waits behind a gate."""

    def __init__(self) -> None:
        self.runs, self.gate, self.entered = 0, threading.Event(), threading.Semaphore(0)

    def __call__(self, stopping) -> None:
        self.runs += 1
        self.entered.release()
        while not self.gate.wait(0.005) and not stopping():
            pass


def test_no_thread_is_started_before_there_is_something_to_do():
    before = threading.active_count()
    refitter = Refitter(Job())
    assert refitter.wait(0)
    assert not refitter.pending
    refitter.close(0)
    assert threading.active_count() == before


def test_what_is_asked_for_during_a_job_is_done_after_it(soon):
    job = Job()
    refitter = Refitter(job)
    refitter.request()
    assert job.entered.acquire(timeout=PATIENCE_S)
    refitter.request()
    assert refitter.pending
    job.gate.set()
    assert refitter.wait(PATIENCE_S)
    assert job.runs == 2
    refitter.close(PATIENCE_S)


def test_closing_stops_a_job_and_refuses_others(soon):
    job = Job()
    refitter = Refitter(job)
    refitter.request()
    assert job.entered.acquire(timeout=PATIENCE_S)
    for _ in range(2):
        refitter.close(PATIENCE_S)
    refitter.request()
    assert refitter.wait(0)
    assert job.runs == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "synaptoroute-refit"]


def test_whoever_waits_is_let_go_when_it_is_closed(soon):
    job = Job()
    refitter = Refitter(job)
    refitter.request()
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(refitter.wait()))
    waiting.start()
    refitter.close(PATIENCE_S)
    waiting.join(PATIENCE_S)
    assert waited == [True]
