"""What a store tells of the past: whoever follows it ends where one that starts anew does."""

from contextlib import closing

import pytest
from feeding import KINDS, Writer, commit, encoded, fill, loaded, seen_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watching import ENCODER

from synaptoroute_core import EncoderMismatchError, Feed, StorageError
from synaptoroute_core.changes import DropRoutes, PutRoutes, SetThresholds
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.storage.logged import LoggedStore

Edits = st.lists(st.tuples(st.sampled_from((*KINDS, "read")), st.sampled_from("abc"), st.integers(0, 5)), max_size=25)


@pytest.fixture
def store(place):
    with closing(place.open()) as opened:
        yield opened


@pytest.fixture
def filled(store):
    """A store with two routes, at revision 2."""
    return fill(store)


# --- following -------------------------------------------------------------------------------------


def test_a_reader_that_follows_ends_where_one_that_starts_anew_does(new_place, place) -> None:
    @settings(max_examples=round(150 * place.effort), deadline=None, suppress_health_check=list(HealthCheck))
    @given(edits=Edits, log_length=st.sampled_from([1, 3, 10_000]))
    def follow(edits: list, log_length: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LoggedStore, "log_length", log_length)
            place = new_place()
            with closing(place.open()) as writing, closing(place.open()) as reading:
                writer, follower = Writer(writing), RouteIndex(ENCODER.dim)
                for kind, name, number in [*edits, ("read", "", 0)]:
                    if kind == "read":
                        loaded(reading.read(follower.revision), follower)
                    else:
                        writer.edit(kind, name, number)
                assert seen_in(follower) == seen_in(loaded(reading.read(0)))
                assert follower.names() == loaded(reading.read(0)).names()
                assert {name: list(route.utterances) for name, route in seen_in(follower)[1].items()} == writer.texts
            place.remove()

    follow()


def test_a_route_dropped_and_added_again_is_last_for_a_follower_as_for_a_restart(filled) -> None:
    follower = loaded(filled.read(0))
    commit(filled, DropRoutes(("a",)))
    commit(filled, PutRoutes((encoded("a", "first words"),)))
    loaded(filled.read(follower.revision), follower)
    assert loaded(filled.read(0)).names() == ["b", "a"]
    assert follower.names() == ["b", "a"]


def test_a_follower_forgets_its_routes_when_the_store_is_emptied(filled) -> None:
    """Emptied by a router with another encoder, so that no encoder is on record either."""
    follower = loaded(filled.read(0))
    filled.commit(0, "another encoder", lambda _: PutRoutes((), reset=True))
    assert loaded(filled.read(follower.revision), follower).names() == []


def test_a_store_that_did_not_change_feeds_nothing(filled) -> None:
    feed = filled.read(2)
    assert (feed.revision, feed.changes) == (2, ())


def test_a_feed_carries_only_the_routes_touched_since(filled, place) -> None:
    filled.read(0)
    with closing(place.open()) as other:
        commit(other, SetThresholds({"b": 0.9}))
    changes = filled.read(2).changes
    put = [encoded.route.name for change in changes if isinstance(change, PutRoutes) for encoded in change.routes]
    assert put == ["b"]
    assert not any(isinstance(change, PutRoutes) and change.reset for change in changes)


def test_a_revision_that_the_store_never_had_gets_everything_anew(filled) -> None:
    stranger = loaded(Feed(99, None, (PutRoutes((encoded("ghost", "from another store"),)),)))
    assert seen_in(loaded(filled.read(99), stranger)) == seen_in(loaded(filled.read(0)))


def test_a_revision_older_than_the_log_gets_everything_anew(filled, place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoggedStore, "log_length", 3)
    old = loaded(filled.read(0))
    with closing(place.open()) as other:
        for number in range(5):
            commit(other, SetThresholds({"b": number / 10}))
        commit(other, DropRoutes(("a",)))
    assert place.log() == [6, 7, 8]
    assert loaded(filled.read(old.revision), old).names() == ["b"]


def test_revisions_count_up_without_a_gap(filled, place) -> None:
    commit(filled, SetThresholds({"a": 0.1}))
    commit(filled, None)
    with pytest.raises(ZeroDivisionError):
        filled.commit(0, ENCODER.fingerprint, lambda _: 1 // 0)
    commit(filled, DropRoutes(("a", "b")))
    with closing(place.open()) as other:
        assert commit(other, PutRoutes((encoded("c", "back again"),))) == 5
    assert place.log() == [1, 2, 3, 4, 5]


def test_only_the_commits_of_others_count_as_a_change(filled, place) -> None:
    filled.read(0)
    commit(filled, SetThresholds({"a": 0.1}))
    assert not filled.changed()
    with closing(place.open()) as other:
        commit(other, SetThresholds({"a": 0.2}))
    assert filled.changed()
    filled.read(3)
    assert not filled.changed()


# --- writing ---------------------------------------------------------------------------------------


def test_a_commit_shows_its_caller_what_it_missed(filled, place) -> None:
    index, missed = loaded(filled.read(0)), []
    with closing(place.open()) as other:
        commit(other, DropRoutes(("a",)))
    filled.commit(index.revision, ENCODER.fingerprint, missed.append)
    assert loaded(missed[0], index).names() == ["b"]


def test_a_plan_that_raises_leaves_the_store_as_it_was_and_usable(filled, place) -> None:
    before = seen_in(loaded(filled.read(0)))
    with pytest.raises(ZeroDivisionError):
        filled.commit(0, ENCODER.fingerprint, lambda _: 1 // 0)
    assert seen_in(loaded(filled.read(0))) == before
    with closing(place.open()) as other:
        assert commit(other, DropRoutes(("a",))) == 3
    assert commit(filled, DropRoutes(("b",))) == 4


def test_a_write_that_fails_in_its_middle_leaves_the_store_as_it_was_and_usable(filled, place) -> None:
    before = seen_in(loaded(filled.read(0)))
    with place.strike(), pytest.raises(StorageError, match=place.struck):
        commit(filled, PutRoutes((encoded("c", "never stored"), encoded("a", "other words"))))
    assert (seen_in(loaded(filled.read(0))), place.log()) == (before, [1, 2])
    with closing(place.open()) as other:
        assert seen_in(loaded(other.read(0))) == before
    assert commit(filled, DropRoutes(("b",))) == 3


def test_what_was_told_before_a_write_failed_is_not_told_again(filled, place) -> None:
    index = loaded(filled.read(0))
    with closing(place.open()) as other:
        commit(other, PutRoutes((encoded("c", "new words"),)))
    with place.strike(), pytest.raises(StorageError):
        filled.commit(2, ENCODER.fingerprint, lambda missed: loaded(missed, index) and DropRoutes(("a",)))
    assert index.names() == ["a", "b", "c"]
    assert filled.read(3).changes == ()


def test_vectors_of_another_encoder_are_refused(filled) -> None:
    before = seen_in(loaded(filled.read(0)))
    with pytest.raises(EncoderMismatchError, match="another encoder"):
        filled.commit(0, "another encoder", lambda _: PutRoutes((encoded("c", "words"),)))
    assert seen_in(loaded(filled.read(0))) == before
