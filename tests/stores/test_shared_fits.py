"""Fits and several routers on one store: what one learns all decide by, now and after a restart."""

import json
import pickle

import pytest
from fitted import EXAMPLES, MANY, NEW, QUERIES, ROUTES, answers, newest_head, open_router, scorers
from gates import PATIENCE_S
from places import Place, SqlitePlace
from watching import eventually

from synaptoroute_core import AdaptiveRouter, HashingEncoder, RouterConfig, StorageError, refitting

OFTEN = {"follow_interval_s": 0.02}
DIM = 64


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of edits ends after 50 ms."""
    monkeypatch.setattr(refitting, "QUIET_S", 0.05)


@pytest.fixture
def shared(place) -> Place:
    """A place with the routes, at revision 1."""
    with open_router(store=place.argument):
        return place


@pytest.fixture
def fitted(shared) -> Place:
    """A place with a head, calibrated."""
    with open_router((), store=shared.argument) as router:
        router.fit(EXAMPLES, out_of_scope_share=0.3, seed=2)
        assert router.calibrate(MANY, max_error=0.2).changed
    return shared


def router_on(place: Place, **settings) -> AdaptiveRouter:
    return open_router((), store=place.argument, **settings)


def dumped(router: AdaptiveRouter) -> list:
    return [decision.model_dump(mode="json") for decision in router.route_batch(QUERIES)]


def digest(router: AdaptiveRouter) -> str:
    return router.sync_status().digest


# --- following ------------------------------------------------------------------------------------


def test_a_fit_in_another_process_is_seen_with_equal_decisions_and_so_is_its_end(shared, neighbour) -> None:
    with router_on(shared, **OFTEN) as router, neighbour.on(shared, dim=DIM, auto_refit=False):
        before = answers(router)
        for change, scorer, fresh in (
            (["fit"], "head", [True]),
            (["add_utterances", "hours", ["is it open"]], "similarity", [False]),
            (["undo_fit"], "similarity", []),
        ):
            revision = neighbour.tell("change", *change)
            eventually(lambda revision=revision: router.revision == revision)
            assert scorers(router) == {scorer}
            assert [fit.fresh for fit in router.fits] == fresh
            assert dumped(router) == neighbour.tell("decide", QUERIES)
            assert neighbour.tell("catch_up", revision) == [revision, digest(router)]
        neighbour.tell("change", "remove_utterances", "hours", ["is it open"])
        eventually(lambda: answers(router) == before)


def test_a_description_alone_leaves_the_head_in_force_here_elsewhere_and_after_a_restart(shared) -> None:
    with router_on(shared, **OFTEN) as router, router_on(shared, **OFTEN) as other:
        router.fit()
        before = answers(router)
        described = router.routes["hours"].model_copy(update={"description": "When the shop is open."})
        revision = router.add_route(described, overwrite=True).revision
        assert answers(router) == before
        eventually(lambda: other.revision == revision)
        assert other.routes["hours"].description == "When the shop is open."
        assert answers(other) == before
        assert digest(other) == digest(router)
    with router_on(shared) as again:
        assert answers(again) == before


def test_a_head_that_another_router_made_again_is_followed(shared, soon) -> None:
    with router_on(shared, **OFTEN) as router, router_on(shared, auto_refit=True, **OFTEN) as other:
        router.fit()
        eventually(lambda: other.revision == router.revision)
        other.add_route(NEW)
        assert other.wait_for_refit(PATIENCE_S)
        eventually(lambda: router.revision == other.revision)
        assert scorers(router) == {"head"}
        assert newest_head(router) == newest_head(other)
        assert answers(router) == answers(other)


def test_a_fit_made_on_top_of_fits_and_thresholds_that_others_set_is_fresh(shared) -> None:
    """No utterance changed, so there is nothing that it could have left behind."""
    with router_on(shared, follow_interval_s=0) as router, router_on(shared, follow_interval_s=0) as other:
        other.fit(seed=1)
        other.undo_fit()
        other.fit(seed=2)
        snapshot = router._index.snapshot()
        report = router.fit(seed=3)
        assert router._index.edits == snapshot.edits
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True)] * 2
        assert report.revision == other.revision + 1
        assert scorers(router) == {"head"}


def test_a_fit_of_routes_that_another_router_has_changed_does_not_decide(shared) -> None:
    with router_on(shared, follow_interval_s=0) as router, router_on(shared) as other:
        other.add_route(NEW)
        report = router.fit()
        assert "The routes were changed meanwhile" in report.reason
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", False)]
        assert scorers(router) == {"similarity"}
        assert router.route("weather report").route == "weather"


def test_two_processes_that_fit_the_same_store_again_end_with_one_fresh_head(shared, neighbour, soon) -> None:
    with (
        router_on(shared, auto_refit=True, **OFTEN) as router,
        neighbour.on(shared, dim=DIM, auto_refit=True, **OFTEN),
    ):
        router.fit()
        for number in range(3):
            router.add_utterances("hours", [f"is it open on day {number}"])
            neighbour.tell("change", "add_utterances", "parcel", [f"parcel number {number}"])
        assert router.wait_for_refit(PATIENCE_S)
        assert neighbour.tell("wait_for_refit")
        eventually(lambda: dumped(router) == neighbour.tell("decide", QUERIES))
        assert scorers(router) == {"head"}
        assert [(fit.kind, fit.fresh) for fit in router.fits] == [("head", True)]
    assert shared.heads() == 1
    with router_on(shared) as again, open_router(again.routes.values()) as fresh:
        fresh.fit()
        assert newest_head(again) == newest_head(fresh)


# --- restarts -------------------------------------------------------------------------------------


def test_a_reopened_router_decides_alike_to_the_bit(fitted) -> None:
    with open_router() as before:
        before.fit(EXAMPLES, out_of_scope_share=0.3, seed=2)
        before.calibrate(MANY, max_error=0.2)
        for _ in range(2):
            with router_on(fitted) as again:
                assert answers(again) == answers(before)
                assert newest_head(again) == newest_head(before)
                for kept, written in zip(again.fits, before.fits, strict=True):
                    assert (kept.kind, kept.threshold, kept.fresh) == (written.kind, written.threshold, written.fresh)
                    assert dict(kept.replaced) == dict(written.replaced)
                    assert kept.details == json.loads(json.dumps(written.details))


def test_what_was_fitted_can_be_taken_back_after_a_restart(fitted) -> None:
    assert fitted.heads() == 1  # once, however many fits share it
    with router_on(fitted) as again, open_router(ROUTES) as plain, pickle.loads(pickle.dumps(again)) as twin:
        assert answers(twin) == answers(again)
        again.undo_fit()
        assert {decision.threshold for decision in again.route_batch(QUERIES)} == {again.config.min_confidence}
        again.undo_fit()
        assert answers(again) == answers(plain)
    assert fitted.heads() == 0


def test_another_encoder_leaves_the_head_behind_and_has_it_made_again(fitted, soon) -> None:
    config, encoder = RouterConfig(auto_refit=False), HashingEncoder(dim=48)
    with AdaptiveRouter(encoder=encoder, store=fitted.argument, config=config) as router:
        assert scorers(router) == {"similarity"}
        assert [fit.fresh for fit in router.fits] == [False, False]
    with AdaptiveRouter(encoder=encoder, store=fitted.argument) as router:
        assert router.wait_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}


# --- damage ---------------------------------------------------------------------------------------


def test_a_damaged_head_is_named_with_its_remedy_and_the_remedy_helps(fitted) -> None:
    for content in (b"weights", b""):
        fitted.exchange("head", content)
        with pytest.raises(StorageError, match=r"a fitted head in the .* is damaged") as raised:
            router_on(fitted)
    if isinstance(fitted, SqlitePlace):
        assert "delete all rows of the table fits, open it again and fit again" in str(raised.value)
        fitted.execute("DELETE FROM fits")
    else:
        assert "open it again and fit again" in str(raised.value)
        assert "[]" in str(raised.value)
        fitted.exchange("fits", "[]")
    with router_on(fitted) as router, open_router() as plain:
        assert answers(router) == answers(plain)
        router.fit()
        assert scorers(router) == {"head"}
    assert fitted.heads() == 1
