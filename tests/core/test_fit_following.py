"""Fits and several routers on one file: what one learns all decide by, and nothing acknowledged is lost to a kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest
from fitted import NEW, QUERIES, answers, newest_head, open_router, scorers
from gates import PATIENCE_S

from synaptoroute_core import refitting

OFTEN = {"follow_interval_s": 0.02}

NEIGHBOUR = """
import json, sys
from synaptoroute_core import AdaptiveRouter, HashingEncoder, RouterConfig, Route, refitting

refitting.QUIET_S = 0.05
config = RouterConfig(**json.loads(sys.argv[2]))
with AdaptiveRouter(encoder=HashingEncoder(dim=64), store=sys.argv[1], config=config) as router:
    print("ready", flush=True)
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        if method == "route_batch":
            decisions = router.route_batch(*arguments)
            print(json.dumps([decision.model_dump(mode="json") for decision in decisions]), flush=True)
        elif method == "wait_for_refit":
            print(json.dumps(router.wait_for_refit(30)), flush=True)
        elif method == "add_route":
            print(router.add_route(Route.model_validate(*arguments)).revision, flush=True)
        else:
            print(json.dumps(getattr(router, method)(*arguments).revision), flush=True)
"""


@contextmanager
def neighbour_on(path, **settings):
    """A router in another process; a call is a call there and returns what it says."""
    command = [sys.executable, "-c", NEIGHBOUR, str(path), json.dumps({"auto_refit": False, **settings})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout.readline() == "ready\n"

        def call(method, *arguments):
            process.stdin.write(json.dumps([method, *arguments]) + "\n")
            return json.loads(process.stdout.readline())

        yield call


@pytest.fixture
def path(tmp_path):
    """A file with the routes, at revision 1."""
    with open_router(store=tmp_path / "routes.db"):
        return tmp_path / "routes.db"


def eventually(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


def dumped(router):
    return [decision.model_dump(mode="json") for decision in router.route_batch(QUERIES)]


# --- following ------------------------------------------------------------------------------------


def test_a_fit_in_another_process_is_seen_with_equal_decisions_and_so_is_its_end(path):
    with open_router((), store=path, **OFTEN) as router, neighbour_on(path) as neighbour:
        before = answers(router)
        revision = neighbour("fit")
        eventually(lambda: router.revision == revision)
        assert scorers(router) == {"head"}
        assert dumped(router) == neighbour("route_batch", QUERIES)
        revision = neighbour("add_utterances", "hours", ["is it open"])
        eventually(lambda: router.revision == revision)
        assert scorers(router) == {"similarity"}
        assert [fit.fresh for fit in router.fits] == [False]
        assert dumped(router) == neighbour("route_batch", QUERIES)
        revision = neighbour("undo_fit")
        eventually(lambda: router.revision == revision)
        assert router.fits == ()
        neighbour("remove_utterances", "hours", ["is it open"])
        eventually(lambda: answers(router) == before)


def test_a_fit_is_seen_within_a_second_by_routers_that_follow_as_they_do_by_default(path):
    with open_router((), store=path, follow_interval_s=0.25) as router, open_router((), store=path) as other:
        other.fit()
        seen = time.monotonic()
        while router.revision != other.revision and time.monotonic() < seen + 10:
            time.sleep(0.01)
        assert answers(router) == answers(other)


def test_a_description_alone_leaves_the_head_in_force_here_elsewhere_and_after_a_restart(path):
    with open_router((), store=path, **OFTEN) as router, open_router((), store=path, **OFTEN) as other:
        router.fit()
        before = answers(router)
        described = router.routes["hours"].model_copy(update={"description": "When the shop is open."})
        revision = router.add_route(described, overwrite=True).revision
        assert answers(router) == before
        eventually(lambda: other.revision == revision)
        assert other.routes["hours"].description == "When the shop is open."
        assert answers(other) == before
    with open_router((), store=path) as again:
        assert answers(again) == before


def test_a_follower_makes_the_head_again_where_the_author_of_an_edit_is_gone(path, monkeypatch):
    monkeypatch.setattr(refitting, "FOLLOWER_QUIET_S", 0.05)
    with open_router((), store=path, auto_refit=True, **OFTEN) as follower:
        follower.fit()
        with open_router((), store=path) as author:  # auto_refit=False, as the command line
            edited = author.add_route(NEW).revision
        eventually(lambda: follower.revision > edited)
        assert [fit.fresh for fit in follower.fits] == [True]
        assert NEW.name in follower.fits[-1].head.names
        assert scorers(follower) == {"head"}


def test_a_follower_gives_the_author_of_an_edit_time_to_make_the_head_again(path):
    with open_router((), store=path, auto_refit=True, **OFTEN) as follower:
        follower.fit()
        with open_router((), store=path) as author:
            edited = author.add_route(NEW).revision
        eventually(lambda: follower.revision == edited)
        assert not follower.wait_for_refit(0.5)
        assert follower.revision == edited


def test_a_head_that_another_router_made_again_is_followed(path, soon):
    with (
        open_router((), store=path, **OFTEN) as router,
        open_router((), store=path, auto_refit=True, **OFTEN) as other,
    ):
        router.fit()
        eventually(lambda: other.revision == router.revision)
        other.add_route(NEW)
        assert other.wait_for_refit(PATIENCE_S)
        eventually(lambda: router.revision == other.revision)
        assert scorers(router) == {"head"}
        assert newest_head(router) == newest_head(other)
        assert answers(router) == answers(other)


def test_a_fit_made_on_top_of_fits_and_thresholds_that_others_set_is_fresh(path):
    """No utterance changed, so there is nothing that it could have left behind."""
    with open_router((), store=path, follow_interval_s=0) as router, open_router((), store=path) as other:
        other.fit(seed=1)
        other.undo_fit()
        other.fit(seed=2)
        snapshot = router._index.snapshot()
        report = router.fit(seed=3)
        assert router._index.edits == snapshot.edits
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True)] * 2
        assert report.revision == other.revision + 1
        assert scorers(router) == {"head"}


def test_a_fit_of_routes_that_another_router_has_changed_does_not_decide(path):
    with open_router((), store=path, follow_interval_s=0) as router, open_router((), store=path) as other:
        other.add_route(NEW)
        report = router.fit()
        assert "The routes were changed meanwhile" in report.reason
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", False)]
        assert scorers(router) == {"similarity"}
        assert router.route("weather report").route == "weather"


def test_two_processes_that_fit_the_same_file_again_end_with_one_fresh_head(path, soon):
    with (
        open_router((), store=path, auto_refit=True, **OFTEN) as router,
        neighbour_on(path, auto_refit=True, **OFTEN) as neighbour,
    ):
        router.fit()
        for number in range(3):
            router.add_utterances("hours", [f"is it open on day {number}"])
            neighbour("add_utterances", "parcel", [f"parcel number {number}"])
        assert router.wait_for_refit(PATIENCE_S)
        assert neighbour("wait_for_refit")
        eventually(lambda: dumped(router) == neighbour("route_batch", QUERIES))
        assert scorers(router) == {"head"}
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True)]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*), min(fresh) FROM fits").fetchone() == (1, 1)
        assert raw.execute("SELECT count(*) FROM heads").fetchone() == (1,)
    with open_router((), store=path) as again, open_router(again.routes.values()) as fresh:
        fresh.fit()
        assert newest_head(again) == newest_head(fresh)


# --- kills ----------------------------------------------------------------------------------------

NURSERY = """
import json, os, signal, sys
from synaptoroute_core import AdaptiveRouter, HashingEncoder, RouterConfig
import sklearn.linear_model, sklearn.utils.extmath, scipy.optimize

config = RouterConfig(auto_refit=False, follow_interval_s=0)

def say(*values):
    os.write(1, json.dumps(values).encode() + b"\\n")

def fit(path, seed, fatal):
    with AdaptiveRouter(encoder=HashingEncoder(dim=64), store=path, config=config) as router:
        left = [fatal]

        def count(statement):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        router._editor._store._connection.set_trace_callback(count)
        say("stored", router.fit(seed=seed).revision)
        router._editor._store._connection.set_trace_callback(None)
        if fatal < 0:
            os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        fit(*json.loads(line))
        os._exit(0)
    say("dead", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture(scope="module")
def fitter():
    """Fits in a process of its own that dies at the given statement, or, below zero, right after; what it said."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as process:

        def run(path, seed, fatal):
            process.stdin.write(json.dumps([str(path), seed, fatal]) + "\n")
            said = []
            while not said or said[-1][0] != "dead":
                said.append(json.loads(process.stdout.readline()))
            return said

        yield run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fit_killed_before_any_statement_is_there_whole_or_not_at_all(fitter, path):
    """And what was acknowledged before it is in force as it was."""
    with open_router((), store=path) as router:
        router.fit(seed=0)
        expected, revision = answers(router), router.revision
    for fatal in range(1, 100):
        *acknowledged, (_, end) = fitter(path, fatal, fatal)
        with closing(sqlite3.connect(path)) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        if acknowledged:
            assert acknowledged == [["stored", revision + 1]]
            break
        assert end == -signal.SIGKILL
        with open_router((), store=path) as router:
            assert router.revision == revision
            assert answers(router) == expected
    assert (end, fatal > 8) == (0, True)
    with open_router((), store=path) as router, open_router() as same:
        same.fit(seed=fatal)
        assert newest_head(router) == newest_head(same)
        assert scorers(router) == {"head"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fit_that_was_acknowledged_survives_a_kill_right_after(fitter, path):
    for seed in range(3):
        acknowledged, (_, end) = fitter(path, seed, -1)
        assert (acknowledged, end) == (["stored", seed + 2], -signal.SIGKILL)
        with open_router((), store=path) as router, open_router() as same:
            same.fit(seed=seed)
            assert router.revision == seed + 2
            assert newest_head(router) == newest_head(same)
