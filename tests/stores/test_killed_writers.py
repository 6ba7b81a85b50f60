"""Killing a writing process: what it was told is stored is stored, and nothing else but what it was at."""

import os
import random
import signal
import time
from contextlib import closing

import pytest
from nursery import DIM, Nursery
from places import Place, SqlitePlace

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route

KILLS = int(os.environ.get("SYNAPTOROUTE_TEST_KILLS", "200"))
ENCODER = HashingEncoder(dim=DIM)
QUERIES = ["text 1 2", "more 3", "words of route 2", "nothing of the kind"]
Model = dict[str, Route]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


class Account:
    """What the routes must be, from what writers said."""

    def __init__(self) -> None:
        self.routes: Model = {}
        self.revision = 0
        self.trying: list | None = None
        self.end: int | None = None

    def note(self, said: list) -> None:
        match said:
            case ["trying", *change]:
                self.trying = change
            case ["stored", revision]:
                assert self.trying is not None
                assert revision == self.revision + 1
                self.routes, self.revision, self.trying = changed(self.routes, *self.trying), revision, None
            case ["dead", end]:
                self.end = end

    def settle(self, place: Place) -> None:
        """Check a place against the account: at most the change that was not acknowledged may be in it or not."""
        check(place)
        with AdaptiveRouter(encoder=ENCODER, store=place.argument) as reopened:
            if self.trying is not None and reopened.revision == self.revision + 1:
                self.routes, self.revision = changed(self.routes, *self.trying), self.revision + 1
            self.trying = None
            assert reopened.revision == self.revision
            assert dict(reopened.routes) == self.routes
            with AdaptiveRouter(self.routes.values(), encoder=ENCODER) as rebuilt:
                assert answers(reopened) == answers(rebuilt)


def changed(routes: Model, kind: str, name: str, value: list[str] | float | None) -> Model:
    """The routes after a change, worked out without the engine."""
    routes = dict(routes)
    if kind == "remove":
        del routes[name]
    elif kind in ("add", "replace"):
        routes[name] = Route(name, value, metadata={"replaced": True} if kind == "replace" else {})
    elif kind == "threshold":
        routes[name] = routes[name].model_copy(update={"threshold": value})
    else:
        texts = list(routes[name].utterances)
        texts = [text for text in texts if text not in value] if kind == "shorten" else [*texts, *value]
        old = routes[name]
        routes[name] = Route(name, texts, threshold=old.threshold, metadata=old.metadata)
    return routes


def answers(router: AdaptiveRouter) -> list[tuple]:
    return [
        (decision.route, decision.reason, decision.score, decision.candidates)
        for decision in router.route_batch(QUERIES)
    ]


def check(place: Place) -> None:
    """The log has no gap, and SQLite finds nothing wrong with its file."""
    if isinstance(place, SqlitePlace):
        with place.raw() as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    with closing(place.open()) as store:
        # A server goes on with what it was told before the writer died: this waits until it has.
        newest = store.commit(0, ENCODER.fingerprint, lambda _: None)
    assert place.log() == list(range(1, newest + 1))


def test_a_writer_killed_at_any_moment_loses_nothing_that_was_acknowledged(
    nursery: Nursery, new_place, place: Place
) -> None:
    """Elsewhere, 171 of 200 acknowledged routes were gone after a kill: a thread was to write them later."""
    chance, account = random.Random(1), Account()
    acknowledged, kills = 0, round(KILLS * place.effort)
    for kill in range(kills):
        if kill % 8 == 0:  # a new place: some kills strike while it is made
            account, place = Account(), new_place()
        pid = nursery.start(place.argument, seed=chance.randrange(2**32))
        quota, before = chance.choice([0, 0, chance.randrange(20), chance.randrange(60)]), account.revision
        words = nursery.words()
        while account.revision < before + quota:
            account.note(next(words))
        time.sleep(chance.random() * place.moment_s)  # where in the work it strikes
        os.kill(pid, signal.SIGKILL)
        for said in words:
            account.note(said)
        assert account.end == -signal.SIGKILL
        acknowledged += account.revision - before
        account.settle(place)
    assert acknowledged > kills


def test_a_writer_killed_before_any_statement_leaves_a_whole_file(nursery: Nursery, tmp_path) -> None:
    """Every statement of making a file, of its layout and of each kind of change is the last one once."""
    kinds: set[str] = set()
    for fatal in range(1, 1000):
        account, place = Account(), SqlitePlace(tmp_path)
        nursery.start(place.argument, seed=101, changes=8, fatal=fatal)
        for said in nursery.words():
            account.note(said)
            kinds.update(said[1:2] if said[0] == "trying" else ())
        account.settle(place)
        if account.end == 0:
            break
        assert account.end == -signal.SIGKILL
    assert (account.end, account.revision) == (0, 8)
    assert kinds == {"add", "replace", "extend", "shorten", "threshold", "remove"}
