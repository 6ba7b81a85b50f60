"""Each store has an epoch of its own, drawn when it was made, so that a revision of one is not taken for another's."""

import pytest
from places import Place, SqlitePlace
from watching import ENCODER, FAREWELL, GREETING, NEVER, OFTEN, eventually, look, router_on

from synaptoroute_core import AdaptiveRouter, RevisionConflictError, StorageError


def make_anew(place: Place) -> None:
    """Have nothing there, as if it had never been."""
    if isinstance(place, SqlitePlace):
        for file in place.path.parent.glob(f"{place.path.stem}.*"):
            file.unlink()
    else:
        place.clear()


def test_all_who_share_a_store_name_its_epoch_and_have_one_digest(place) -> None:
    with router_on(place, NEVER, routes=[GREETING]) as first, router_on(place, NEVER) as second:
        assert first.epoch is not None
        assert {each.sync_status().epoch for each in (first, second)} == {first.epoch}
        second.add_route(FAREWELL)
        assert look(first).epoch == second.epoch
        assert first.sync_status().digest == second.sync_status().digest
        before = first.epoch
    with router_on(place, NEVER) as reopened:
        assert reopened.epoch == before


def test_a_store_that_is_made_anew_has_another_epoch(place) -> None:
    with router_on(place, NEVER, routes=[GREETING]) as router:
        before = router.epoch, router.revision
    make_anew(place)
    with router_on(place, NEVER, routes=[GREETING]) as router:
        assert router.revision == before[1]
        assert router.epoch not in (None, before[0])


def test_the_digest_of_routes_is_that_of_the_same_routes_elsewhere(new_place) -> None:
    with router_on(new_place(), routes=[GREETING]) as first, router_on(new_place(), routes=[GREETING]) as second:
        assert first.epoch != second.epoch
        assert first.sync_status().digest == second.sync_status().digest


def test_routes_in_memory_have_no_epoch() -> None:
    with AdaptiveRouter([GREETING], encoder=ENCODER) as router:
        assert router.epoch is router.sync_status().epoch is None
        router.add_route(FAREWELL, expected_revision=1)
        assert router.epoch is None


def test_a_router_that_follows_a_store_made_anew_names_the_new_epoch(place) -> None:
    if isinstance(place, SqlitePlace):
        pytest.skip("a file that is replaced is not followed")
    with router_on(place, OFTEN, routes=[GREETING]) as router:
        before = router.epoch
        make_anew(place)
        with router_on(place, routes=[FAREWELL]) as other:
            eventually(lambda: list(router.routes) == ["farewell"])
            assert router.epoch == other.epoch != before


@pytest.mark.parametrize("seen", [1, 2])
def test_a_change_meant_for_a_revision_of_the_store_before_is_refused(place, seen: int) -> None:
    """Whether or not the router knew so many revisions of it; the new one has got to the very number."""
    if isinstance(place, SqlitePlace):
        pytest.skip("a file that is replaced is not followed")
    with router_on(place, NEVER, routes=[GREETING]) as router:
        make_anew(place)
        with router_on(place, NEVER, routes=[FAREWELL]) as other:
            if seen > 1:
                other.add_utterances("farewell", ["so long"])
            with pytest.raises(RevisionConflictError, match=f"revision {seen}, whose number the store has given out"):
                router.add_route(GREETING, expected_revision=seen)
            assert router.epoch == other.epoch
            assert router.add_route(GREETING, expected_revision=seen).revision == seen + 1


def test_a_file_without_its_epoch_is_damaged(tmp_path) -> None:
    place = SqlitePlace(tmp_path)
    with router_on(place, NEVER, routes=[GREETING]):
        place.execute("DELETE FROM epoch")
    with pytest.raises(StorageError, match="epoch"):
        router_on(place, NEVER)
