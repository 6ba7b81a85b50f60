"""Fits and several routers on one file: who makes a head again, and nothing acknowledged is lost to a kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from fitted import NEW, answers, newest_head, open_router, scorers
from gates import PATIENCE_S

from synaptoroute_core import refitting

OFTEN = {"follow_interval_s": 0.02}


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


# --- following ------------------------------------------------------------------------------------


def test_a_fit_is_seen_within_a_second_by_routers_that_follow_as_they_do_by_default(path):
    with open_router((), store=path, follow_interval_s=0.25) as router, open_router((), store=path) as other:
        other.fit()
        seen = time.monotonic()
        while router.revision != other.revision and time.monotonic() < seen + 10:
            time.sleep(0.01)
        assert answers(router) == answers(other)


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
