"""A history told from another of the same numbers: a store may lose its newest changes, as a restored backup has.

What is in force must be what a router has that starts now, and nothing that was remembered of the lost revisions
may come back.
"""

from collections.abc import Callable

import pytest
from feeding import commit, fill, loaded
from places import Place, SqlitePlace
from watching import ENCODER, FAREWELL, GREETING, NEVER, OFTEN, eventually, look, router_on, state, stored

from synaptoroute_core import AdaptiveRouter, RevisionConflictError, Route, StorageError
from synaptoroute_core.changes import DropRoutes

WEATHER = Route("weather", ["weather report", "will it rain"])


@pytest.fixture
def old(place):
    """A router that knows a history of four revisions, and never looks by itself."""
    with router_on(place, NEVER, routes=[GREETING]) as router:
        router.add_route(FAREWELL)
        place.save()
        router.add_route(WEATHER)
        router.update_threshold("greeting", 0.9)
        yield router


def write_other_history(place: Place, changes: int) -> None:
    """Other changes than were lost, by a router that knows nothing of those."""
    steps: list[Callable[[AdaptiveRouter], object]] = [
        lambda router: router.add_utterances("greeting", ["hi"]),
        lambda router: router.update_threshold("greeting", 0.1),
        lambda router: router.remove_route("farewell"),
    ]
    with router_on(place, NEVER) as router:
        for step in steps[:changes]:
            step(router)


@pytest.mark.parametrize("again", range(4), ids="{}-given-out-again".format)
def test_a_follower_of_changes_that_were_lost_ends_where_a_restart_does(place, old, again: int) -> None:
    state(old)  # its decisions are remembered
    place.restore()
    write_other_history(place, again)
    assert state(look(old)) == stored(place)
    assert old.revision == 2 + again
    assert "weather" not in old.routes


def test_a_router_of_changes_that_were_lost_changes_what_there_is_instead(place, old) -> None:
    state(old)
    place.restore()
    write_other_history(place, 2)
    assert old.add_utterances("greeting", ["good day"]).revision == 5
    assert state(old) == stored(place)
    assert old.routes["greeting"].utterances == (*GREETING.utterances, "hi", "good day")
    assert place.log() == [1, 2, 3, 4, 5]


def test_no_decision_of_a_lost_revision_is_given_out_again(place) -> None:
    """Both have the same number, and but for a threshold they are the same routes."""
    with router_on(place, NEVER, routes=[GREETING]) as author, router_on(place, NEVER) as follower:
        place.save()
        author.update_threshold("greeting", -1.0)
        assert [look(router).route("goodbye now").route for router in (author, follower)] == ["greeting"] * 2
        place.restore()
        with router_on(place, NEVER) as other:
            other.update_threshold("greeting", 1.0)
        for router in (author, follower):
            assert look(router).route("goodbye now").route is None
            assert router.revision == 2


def test_a_store_made_anew_behind_the_back_of_a_router_is_followed(place, old) -> None:
    """It has as many revisions as the one before."""
    state(old)
    place.clear()
    with router_on(place, NEVER, routes=[WEATHER]) as other:
        for number in range(3):
            other.add_utterances("weather", [f"is it day {number} of the storm"])
        assert other.revision == old.revision == 4
    assert state(look(old)) == stored(place)
    assert list(old.routes) == ["weather"]


def test_an_empty_store_in_the_place_of_one_with_routes_is_followed_by_nobody(place, old) -> None:
    """Whoever opened it to look, as a command that lists routes does, emptied all routers that were running."""
    before = state(old)
    place.clear()
    with router_on(place, NEVER) as other:
        assert not other.routes
        look(old)
        assert "nothing in it" in old.sync_status().failing
        with pytest.raises(StorageError, match="nothing in it"):
            old.add_utterances("greeting", ["hi"])
        assert state(old) == before
        other.add_route(WEATHER)
        assert list(look(old).routes) == ["weather"]
        assert old.sync_status().failing is None


def test_a_store_that_is_gone_is_reported_and_what_was_known_of_it_goes_on(place, old) -> None:
    if isinstance(place, SqlitePlace):
        place.remove()
    else:
        place.clear()
    before = state(old)
    look(old)
    assert place.gone in old.sync_status().failing
    assert state(old) == before
    with pytest.raises(StorageError):
        old.add_utterances("greeting", ["hi"])
    assert state(old) == before


def test_a_copy_brought_back_is_followed_without_being_told(place) -> None:
    with router_on(place, OFTEN, routes=[GREETING]) as router:
        place.save()
        revision = router.add_route(FAREWELL).revision
        place.restore()
        eventually(lambda: router.revision == revision - 1)
        assert state(router) == stored(place)


# --- changes that name their revision --------------------------------------------------------------


def test_a_change_meant_for_a_lost_revision_is_refused_where_its_number_was_given_out_again(place, old) -> None:
    place.restore()
    write_other_history(place, 2)
    with pytest.raises(RevisionConflictError):
        old.update_threshold("greeting", 0.7, expected_revision=4)
    assert state(old) == stored(place)
    assert old.update_threshold("greeting", 0.7, expected_revision=4).revision == 5


def test_a_change_that_would_overwrite_one_of_another_router_is_refused(place) -> None:
    with router_on(place, NEVER, routes=[GREETING]) as first, router_on(place, NEVER) as second:
        first.add_utterances("greeting", ["hi"], expected_revision=1)
        with pytest.raises(RevisionConflictError) as raised:
            second.add_route(GREETING.model_copy(update={"threshold": 0.5}), overwrite=True, expected_revision=1)
        assert (raised.value.expected, raised.value.current) == (1, 2)
        assert state(second) == state(first) == stored(place)
        assert second.remove_utterances("greeting", ["hi"], expected_revision=2).revision == 3


# --- a store that has told something, and then failed ----------------------------------------------


def test_what_was_told_in_a_change_that_failed_is_told_from_another_history_too(place) -> None:
    store = fill(place.open())
    index = loaded(store.read(0))
    place.save()
    other = place.open()
    commit(other, DropRoutes(("b",)))
    with place.strike(), pytest.raises(StorageError):
        store.commit(2, ENCODER.fingerprint, lambda missed: loaded(missed, index) and DropRoutes(("a",)))
    assert index.names() == ["a"]
    place.restore()
    commit(other, DropRoutes(("a",)))
    assert loaded(store.read(3), index).names() == ["b"]
    for each in (store, other):
        each.close()
