"""A change that names the revision it was meant for: two editors cannot overwrite each other unawares."""

import threading
from pathlib import Path

import pytest
from fitted import ENCODER, ROUTES, open_router
from gates import PATIENCE_S

from synaptoroute_core import AdaptiveRouter, ConfigurationError, RevisionConflictError, Route

REFUND, PARCEL = ROUTES[:2]
CHANGES = {
    "add_route": lambda router, **seen: router.add_route(Route("weather", ["will it rain"]), **seen),
    "replace a route": lambda router, **seen: router.add_route(Route("refund", ["cash back"]), overwrite=True, **seen),
    "remove_route": lambda router, **seen: router.remove_route("refund", **seen),
    "add_utterances": lambda router, **seen: router.add_utterances("refund", ["cash back"], **seen),
    "remove_utterances": lambda router, **seen: router.remove_utterances("refund", ["refund status"], **seen),
    "update_threshold": lambda router, **seen: router.update_threshold("refund", 0.7, **seen),
    "undo_fit": lambda router, **seen: router.undo_fit(**seen),
}
AWAITABLE = {
    "aadd_route": lambda router, **seen: router.aadd_route(Route("weather", ["will it rain"]), **seen),
    "aremove_route": lambda router, **seen: router.aremove_route("refund", **seen),
    "aadd_utterances": lambda router, **seen: router.aadd_utterances("refund", ["cash back"], **seen),
    "aremove_utterances": lambda router, **seen: router.aremove_utterances("refund", ["refund status"], **seen),
    "aupdate_threshold": lambda router, **seen: router.aupdate_threshold("refund", 0.7, **seen),
    "aundo_fit": lambda router, **seen: router.aundo_fit(**seen),
}
IDLE = {
    "a route that is there": lambda router, **seen: router.add_route(REFUND, overwrite=True, **seen),
    "an utterance that is there": lambda router, **seen: router.add_utterances("refund", ["Refund  STATUS"], **seen),
    "no utterance": lambda router, **seen: router.remove_utterances("refund", [], **seen),
    "a threshold that is set": lambda router, **seen: router.update_threshold("refund", None, **seen),
}


def state(router: AdaptiveRouter) -> tuple:
    return router.revision, dict(router.routes), router.fits


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    """A file with two routes and a head, at revision 2."""
    path = tmp_path_factory.mktemp("expected") / "routes.db"
    with open_router(ROUTES[:2], store=path) as router:
        router.fit()
    return path


@pytest.fixture
def path(fitted, tmp_path) -> Path:
    copy = tmp_path / "routes.db"
    copy.write_bytes(fitted.read_bytes())
    return copy


@pytest.fixture
def router(path):
    with open_router((), store=path) as opened:
        yield opened


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_meant_for_the_present_revision_is_made(router, change):
    before = state(router)
    assert change(router, expected_revision=2).revision == 3
    assert state(router) != before


@pytest.mark.parametrize("seen", [0, 1, 3, 99])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_meant_for_another_revision_is_refused_and_nothing_changes(router, path, change, seen):
    before = state(router)
    with pytest.raises(RevisionConflictError) as raised:
        change(router, expected_revision=seen)
    assert (raised.value.expected, raised.value.current) == (seen, 2)
    assert state(router) == before
    with open_router((), store=path) as reopened:
        assert (reopened.revision, dict(reopened.routes), len(reopened.fits)) == (2, before[1], 1)


@pytest.mark.parametrize("change", AWAITABLE.values(), ids=AWAITABLE)
async def test_the_awaitable_changes_take_it_too(router, change):
    with pytest.raises(RevisionConflictError):
        await change(router, expected_revision=1)
    assert router.revision == 2
    assert (await change(router, expected_revision=2)).revision == 3


@pytest.mark.parametrize("change", IDLE.values(), ids=IDLE)
def test_a_change_that_would_change_nothing_is_refused_too_if_the_routes_have_moved_on(router, change):
    """Its author believes in routes that are no longer there."""
    assert (change(router, expected_revision=2).revision, router.revision) == (2, 2)
    with pytest.raises(RevisionConflictError):
        change(router, expected_revision=1)


def test_a_stale_change_hears_of_the_conflict_before_anything_else(router):
    """What is wrong with it may be no more than that: the route that it names was removed meanwhile."""
    router.remove_route("refund")
    with pytest.raises(RevisionConflictError):
        router.remove_route("refund", expected_revision=2)
    with pytest.raises(RevisionConflictError):
        router.add_route(PARCEL, expected_revision=2)


def test_what_another_router_committed_is_known_before_the_revisions_are_compared(path):
    """The second router follows nobody: it hears of the first one's change only when it writes."""
    with (
        open_router((), store=path) as first,
        open_router((), store=path, follow_interval_s=0) as second,
    ):
        first.add_utterances("refund", ["cash back"], expected_revision=2)
        assert second.revision == 2
        with pytest.raises(RevisionConflictError) as raised:
            second.add_route(REFUND, overwrite=True, expected_revision=2)
        assert (raised.value.expected, raised.value.current) == (2, 3)
        # The refusal has brought it up to date: the remedy in the message works at once.
        assert second.routes["refund"] == first.routes["refund"]
        second.add_route(REFUND, overwrite=True, expected_revision=3)
        assert second.revision == 4


def test_of_editors_that_saw_the_same_revision_one_gets_through(path):
    outcomes: list[object] = []
    start = threading.Barrier(6)

    def edit(router, number):
        start.wait(PATIENCE_S)
        try:
            outcomes.append(router.add_utterances("refund", [f"cash back {number}"], expected_revision=2))
        except RevisionConflictError as error:
            outcomes.append(error)

    with open_router((), store=path) as first, open_router((), store=path) as second:
        editors = [threading.Thread(target=edit, args=((first, second)[number % 2], number)) for number in range(6)]
        for editor in editors:
            editor.start()
        for editor in editors:
            editor.join(PATIENCE_S)
    errors = [outcome for outcome in outcomes if isinstance(outcome, RevisionConflictError)]
    assert (len(outcomes), len(errors)) == (6, 5)
    assert {(error.expected, error.current) for error in errors} == {(2, 3)}
    with open_router((), store=path) as router:
        assert len(router.routes["refund"].utterances) == len(REFUND.utterances) + 1


def test_a_router_in_memory_takes_it_as_well():
    with open_router(ROUTES[:2], encoder=ENCODER) as router:
        assert router.remove_route("refund", expected_revision=1).revision == 2
        with pytest.raises(RevisionConflictError):
            router.remove_route("parcel", expected_revision=1)
        assert list(router.routes) == ["parcel"]


@pytest.mark.parametrize("seen", ["2", 2.0, True, b"2"], ids=repr)
def test_a_revision_is_a_number(router, seen):
    with pytest.raises(ConfigurationError, match="expected_revision"):
        router.remove_route("refund", expected_revision=seen)
    assert router.revision == 2
