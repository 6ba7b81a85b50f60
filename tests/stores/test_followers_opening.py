"""Routers that open a store while others write, and routers with another encoder than the store's."""

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from places import Place
from watching import (
    ENCODER,
    FAREWELL,
    GREETING,
    NEVER,
    OFTEN,
    OTHER_ENCODER,
    QUERIES,
    eventually,
    look,
    router_on,
    state,
    stored,
)

from synaptoroute_core import AdaptiveRouter, EncoderMismatchError, Feed, HashingEncoder, Route
from synaptoroute_core.storage import Store


@pytest.fixture
def shared(place):
    """A place with one route, at revision 1."""
    with router_on(place, NEVER, routes=[GREETING]):
        return place


# --- opening while others write --------------------------------------------------------------------


class WatchedStore:
    """A store that tells when its router has followed it, after reading it once."""

    shared = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.followed = threading.Event()
        self.commit, self.close = self._store.commit, self._store.close

    def read(self, since: int) -> Feed:
        feed = self._store.read(since)
        self.reads += 1
        return feed

    def changed(self) -> bool:
        if self.reads > 1:
            self.followed.set()
        return self._store.changed()


class SlowEncoder:
    """An encoder that lets something happen once while a router opens: at its comparison, or while it encodes."""

    batch_invariant = True
    dim = 32

    def __init__(self, store: WatchedStore, at: str, meanwhile: Callable[[], object]) -> None:
        self._store, self._at, self._meanwhile = store, at, meanwhile

    def _pass(self, place: str) -> None:
        if place == self._at and self._store.reads:
            self._at = "never again"
            self._meanwhile()
            # A router that keeps its store to itself while it opens does not follow now: go on then.
            self._store.followed.wait(0.5)

    @property
    def fingerprint(self) -> str:
        self._pass("fingerprint")
        return ENCODER.fingerprint

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self._pass("encode")
        return ENCODER.encode(texts)


def adder(place: Place, encoder: HashingEncoder) -> Callable[[], None]:
    """Something that another router does meanwhile."""

    def add() -> None:
        with router_on(place, NEVER, encoder=encoder) as other:
            other.add_route(FAREWELL)

    return add


def test_a_change_by_another_router_while_one_opens_is_not_missed(shared) -> None:
    store = WatchedStore(shared.open())
    encoder = SlowEncoder(store, "fingerprint", adder(shared, ENCODER))
    with AdaptiveRouter(encoder=encoder, store=store, config=OFTEN) as router:
        eventually(lambda: "farewell" in router.routes, timeout_s=5.0)
        assert router.revision == 2


def test_a_change_by_another_router_while_one_re_encodes_is_not_lost(place, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does the router take its own store for one that another router has re-encoded."""
    with router_on(place, NEVER, encoder=OTHER_ENCODER, routes=[GREETING]):
        pass
    store = WatchedStore(place.open())
    with (
        caplog.at_level(logging.ERROR),
        AdaptiveRouter(
            encoder=SlowEncoder(store, "encode", adder(place, OTHER_ENCODER)), store=store, config=OFTEN
        ) as router,
        AdaptiveRouter([GREETING, FAREWELL], encoder=ENCODER) as fresh,
    ):
        assert dict(router.routes) == dict(fresh.routes)
        assert [d.candidates for d in router.route_batch(QUERIES)] == [d.candidates for d in fresh.route_batch(QUERIES)]
    assert caplog.text == ""


# --- different encoders ----------------------------------------------------------------------------


def test_a_router_makes_its_own_vectors_of_what_one_with_another_encoder_changed(
    shared, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        router_on(shared, OFTEN) as old,
        router_on(shared, OFTEN, encoder=OTHER_ENCODER) as new,
        caplog.at_level(logging.WARNING),
    ):
        new.add_route(FAREWELL)
        new.remove_route("greeting")
        eventually(lambda: old.revision == new.revision)
        assert dict(old.routes) == {"farewell": FAREWELL}
        with AdaptiveRouter([FAREWELL], encoder=ENCODER) as alone:
            for query in QUERIES:
                assert old.route(query).candidates == alone.route(query).candidates
        assert caplog.text.count(OTHER_ENCODER.fingerprint) == 1


class FailingEncoder(HashingEncoder):
    """Fails as long as it is told to."""

    broken = False

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if self.broken:
            raise OSError("the model is gone")
        return super().encode(texts)


def test_what_could_not_be_encoded_is_reported_and_taken_over_once_it_can(shared) -> None:
    """The store tells of a change once; whoever could not use it then must not count as up to date."""
    encoder = FailingEncoder(dim=32)
    with (
        router_on(shared, NEVER, encoder=encoder) as old,
        router_on(shared, NEVER, encoder=OTHER_ENCODER) as new,
    ):
        new.add_route(FAREWELL)
        encoder.broken = True
        for _ in range(2):
            assert "the model is gone" in look(old).sync_status().failing
        assert list(old.routes) == ["greeting"]
        encoder.broken = False
        assert look(old).sync_status().failing is None
        assert (list(old.routes), old.revision) == (["greeting", "farewell"], new.revision)


def test_a_router_whose_encoder_is_not_that_of_the_store_changes_nothing(shared) -> None:
    with (
        router_on(shared, NEVER) as old,
        router_on(shared, OFTEN, encoder=OTHER_ENCODER) as new,
    ):
        before = stored(shared, OTHER_ENCODER)
        for change in (
            lambda: old.add_route(Route("weather", ["rain"])),
            lambda: old.remove_route("greeting"),
            lambda: old.update_threshold("greeting", 0.1),
        ):
            with pytest.raises(EncoderMismatchError, match=f"{OTHER_ENCODER.fingerprint}.*{ENCODER.fingerprint}"):
                change()
        assert state(new) == stored(shared, OTHER_ENCODER) == before


def test_a_router_takes_part_again_when_the_store_is_back_with_its_encoder(shared) -> None:
    with router_on(shared, OFTEN) as old:
        with router_on(shared, encoder=OTHER_ENCODER) as new:
            new.add_route(FAREWELL)
        with router_on(shared) as back:
            eventually(lambda: old.revision == back.revision)
            assert state(old) == state(back) == stored(shared)
            before = back.revision
            assert old.remove_route("greeting").revision == before + 1


def test_routes_removed_before_another_encoder_took_over_do_not_live_on(shared) -> None:
    with router_on(shared, NEVER) as old:
        with router_on(shared) as other:
            other.remove_route("greeting")
        with router_on(shared, encoder=OTHER_ENCODER):
            pass  # it re-encodes a store without routes, which then belongs to no encoder
        old.add_route(FAREWELL)
        assert list(old.routes) == ["farewell"]
        assert state(old) == stored(shared)
