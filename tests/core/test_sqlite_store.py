"""The SQLite store: what it gives back, what it refuses, and what it leaves behind when it fails."""

import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import (
    AdaptiveRouter,
    EncoderMismatchError,
    Feed,
    HashingEncoder,
    Route,
    SqliteStore,
    StorageError,
)
from synaptoroute_core.changes import (
    AddUtterances,
    Change,
    DropRoutes,
    DropUtterances,
    EncodedRoute,
    PutRoutes,
    SetThresholds,
)
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes
from synaptoroute_core.storage import sqlite

ENCODER = HashingEncoder(dim=32)
QUERIES = ENCODER.encode(["a word 1", "b 2", "other words", "c 3 word 4"])


def encoded(name: str, *texts: str, threshold: float | None = None) -> EncodedRoute:
    return EncodedRoute(Route(name, texts, threshold=threshold), ENCODER.encode(texts))


def commit(store: SqliteStore, change: Change | None) -> int:
    return store.commit(0, ENCODER.fingerprint, lambda _: change)


def loaded(feed: Feed, index: RouteIndex | None = None) -> RouteIndex:
    """An index after a feed; an empty one is made if none is given."""
    if index is None:
        index = RouteIndex(ENCODER.dim)
    index.apply(feed.changes, feed.revision)
    return index


def seen_in(index: RouteIndex) -> tuple[int, dict[str, Route], list[list[float]]]:
    """Revision, routes and the exact scores of some queries."""
    snapshot = index.snapshot()
    scores = [score_routes(snapshot, query).routes.tolist() for query in QUERIES]
    return index.revision, {name: index.route(name) for name in snapshot.names}, scores


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routes.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as opened:
        yield opened


@pytest.fixture
def filled(store: SqliteStore) -> SqliteStore:
    """A store with two routes, at revision 2."""
    commit(store, PutRoutes((encoded("a", "first words", "second words"),)))
    commit(store, PutRoutes((encoded("b", "something else", threshold=0.4),)))
    return store


# --- feeds -----------------------------------------------------------------------------------------


class Writer:
    """Another connection's edits, drawn at random; those that make no sense at the moment are left out."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.texts: dict[str, list[str]] = {}

    def edit(self, kind: str, name: str, number: int) -> None:
        change = getattr(self, kind)(name, number)
        if change is not None:
            commit(self.store, change)

    def _encoded(self, name: str, number: int) -> EncodedRoute:
        self.texts[name] = [f"{name} {number}", f"word {number + 1}"]
        return encoded(name, *self.texts[name], threshold=number / 10)

    def put(self, name: str, number: int) -> Change:
        return PutRoutes((self._encoded(name, number),))

    def put_two(self, name: str, number: int) -> Change:
        return PutRoutes((self._encoded(name, number), self._encoded(f"{name}2", number)))

    def reset(self, name: str, number: int) -> Change:
        self.texts.clear()
        return PutRoutes((self._encoded(name, number),) if number else (), reset=True)

    def drop(self, name: str, number: int) -> Change:
        self.texts.pop(name, None)
        return DropRoutes((name,))

    def add(self, name: str, number: int) -> Change | None:
        text = f"more {number}"
        if name not in self.texts or text in self.texts[name]:
            return None
        self.texts[name].append(text)
        return AddUtterances(name, (text,), ENCODER.encode([text]))

    def remove(self, name: str, number: int) -> Change | None:
        if len(self.texts.get(name, ())) < 2:
            return None
        return DropUtterances(name, (self.texts[name].pop(0),))

    def threshold(self, name: str, number: int) -> Change | None:
        return SetThresholds({name: number / 10 or None}) if name in self.texts else None


KINDS = ("put", "put_two", "reset", "drop", "add", "remove", "threshold")
Edits = st.lists(st.tuples(st.sampled_from((*KINDS, "read")), st.sampled_from("abc"), st.integers(0, 5)), max_size=25)


@settings(max_examples=150, deadline=None)
@given(edits=Edits, log_length=st.sampled_from([1, 3, 10_000]))
def test_a_reader_that_follows_ends_where_one_that_starts_anew_does(edits: list, log_length: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "LOG_LENGTH", log_length)
        path = Path(folder) / "routes.db"
        with closing(SqliteStore(path)) as writing, closing(SqliteStore(path)) as reading:
            writer, follower = Writer(writing), RouteIndex(ENCODER.dim)
            for kind, name, number in [*edits, ("read", "", 0)]:
                if kind == "read":
                    loaded(reading.read(follower.revision), follower)
                else:
                    writer.edit(kind, name, number)
            assert seen_in(follower) == seen_in(loaded(reading.read(0)))
            assert {name: list(route.utterances) for name, route in seen_in(follower)[1].items()} == writer.texts


def test_a_route_dropped_and_added_again_is_last_for_a_follower_as_for_a_restart(filled: SqliteStore) -> None:
    follower = loaded(filled.read(0))
    commit(filled, DropRoutes(("a",)))
    commit(filled, PutRoutes((encoded("a", "first words"),)))
    loaded(filled.read(follower.revision), follower)
    assert loaded(filled.read(0)).names() == ["b", "a"]
    assert follower.names() == ["b", "a"]


def test_a_follower_forgets_its_routes_when_the_store_is_emptied(filled: SqliteStore) -> None:
    """Emptied by a router with another encoder, so that no encoder is on record either."""
    follower = loaded(filled.read(0))
    filled.commit(0, "another encoder", lambda _: PutRoutes((), reset=True))
    assert loaded(filled.read(follower.revision), follower).names() == []


def test_a_store_that_did_not_change_feeds_nothing(filled: SqliteStore) -> None:
    feed = filled.read(2)
    assert (feed.revision, feed.changes) == (2, ())


def test_a_feed_carries_only_the_routes_touched_since(filled: SqliteStore) -> None:
    commit(filled, SetThresholds({"b": 0.9}))
    changes = filled.read(2).changes
    put = [encoded.route.name for change in changes if isinstance(change, PutRoutes) for encoded in change.routes]
    assert put == ["b"]
    assert not any(isinstance(change, PutRoutes) and change.reset for change in changes)


def test_a_revision_beyond_the_newest_gets_everything_anew(filled: SqliteStore) -> None:
    stranger = loaded(Feed(99, None, (PutRoutes((encoded("ghost", "from another file"),)),)))
    assert seen_in(loaded(filled.read(99), stranger)) == seen_in(loaded(filled.read(0)))


def test_a_revision_older_than_the_log_gets_everything_anew(
    filled: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOG_LENGTH", 3)
    old = loaded(filled.read(1))
    for number in range(5):
        commit(filled, SetThresholds({"b": number / 10}))
    commit(filled, DropRoutes(("a",)))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM changes").fetchone() == (3,)
    assert loaded(filled.read(old.revision), old).names() == ["b"]


def test_revisions_count_up_without_a_gap(filled: SqliteStore, path: Path) -> None:
    commit(filled, SetThresholds({"a": 0.1}))
    commit(filled, None)
    with pytest.raises(ZeroDivisionError):
        filled.commit(0, ENCODER.fingerprint, lambda _: 1 // 0)
    commit(filled, DropRoutes(("a", "b")))
    with closing(SqliteStore(path)) as other:
        assert commit(other, PutRoutes((encoded("c", "back again"),))) == 5
    with closing(sqlite3.connect(path)) as raw:
        assert [row[0] for row in raw.execute("SELECT revision FROM changes ORDER BY 1")] == [1, 2, 3, 4, 5]


def test_only_the_commits_of_others_count_as_a_change(filled: SqliteStore, path: Path) -> None:
    filled.read(0)
    commit(filled, SetThresholds({"a": 0.1}))
    assert not filled.changed()
    with closing(SqliteStore(path)) as other:
        commit(other, SetThresholds({"a": 0.2}))
    assert filled.changed()
    filled.read(3)
    assert not filled.changed()


# --- writing ---------------------------------------------------------------------------------------


def test_a_commit_shows_its_caller_what_it_missed(filled: SqliteStore, path: Path) -> None:
    index, missed = loaded(filled.read(0)), []
    with closing(SqliteStore(path)) as other:
        commit(other, DropRoutes(("a",)))
    filled.commit(index.revision, ENCODER.fingerprint, missed.append)
    assert loaded(missed[0], index).names() == ["b"]


def test_a_plan_that_raises_leaves_the_store_as_it_was_and_usable(filled: SqliteStore, path: Path) -> None:
    before = seen_in(loaded(filled.read(0)))
    with pytest.raises(ZeroDivisionError):
        filled.commit(0, ENCODER.fingerprint, lambda _: 1 // 0)
    assert seen_in(loaded(filled.read(0))) == before
    with closing(SqliteStore(path)) as other:
        assert commit(other, DropRoutes(("a",))) == 3
    assert commit(filled, DropRoutes(("b",))) == 4


def test_vectors_of_another_encoder_are_refused(filled: SqliteStore) -> None:
    before = seen_in(loaded(filled.read(0)))
    with pytest.raises(EncoderMismatchError, match="another encoder"):
        filled.commit(0, "another encoder", lambda _: PutRoutes((encoded("c", "words"),)))
    assert seen_in(loaded(filled.read(0))) == before


def test_every_commit_is_written_through_to_the_disk(store: SqliteStore) -> None:
    """Write-ahead logging with FULL: NORMAL may lose acknowledged commits in a power cut."""
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    values = [store._connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in pragmas]
    assert values == ["wal", 2, 1, 0]


def test_a_new_file_and_its_side_files_belong_to_their_owner_alone(filled: SqliteStore, path: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"routes.db": 0o600, "routes.db-wal": 0o600, "routes.db-shm": 0o600}


def test_a_closed_store_is_one_file(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        commit(store, PutRoutes((encoded("a", "words"),)))
    assert [file.name for file in path.parent.iterdir()] == ["routes.db"]


# --- faults ----------------------------------------------------------------------------------------


def test_a_lock_held_too_long_is_reported_and_nothing_is_half_done(
    filled: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    with closing(SqliteStore(path)) as hasty, closing(sqlite3.connect(path, isolation_level=None)) as raw:
        before = seen_in(loaded(hasty.read(0)))
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"routes\.db: database is locked"):
            commit(hasty, DropRoutes(("a",)))
        assert seen_in(loaded(hasty.read(0))) == before
        raw.execute("ROLLBACK")
        assert commit(hasty, DropRoutes(("a",))) == 3


def test_a_router_opens_a_file_that_is_being_written(filled: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with AdaptiveRouter(encoder=ENCODER, store=path) as router:
            assert list(router.routes) == ["a", "b"]


def test_a_full_disk_is_reported_and_the_router_works_on(filled: SqliteStore) -> None:
    router = AdaptiveRouter(encoder=ENCODER, store=filled)
    with router:
        before = (dict(router.routes), router.revision, router.route("first words"))
        (pages,) = filled._connection.execute("PRAGMA page_count").fetchone()
        filled._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match=r"routes\.db: database or disk is full"):
            router.add_route(Route("big", [f"many words {number}" for number in range(500)]))
        assert (dict(router.routes), router.revision, router.route("first words")) == before
        filled._connection.execute(f"PRAGMA max_page_count = {10 * pages}")
        assert router.add_route(Route("small", ["few words"])).revision == 3
        assert router.route("few words").route == "small"


VECTOR = ENCODER.encode(["text"])[0]
DAMAGES = {
    "a vector is cut short": ("UPDATE utterances SET vector = ? WHERE text = 'first words'", VECTOR[:-1].tobytes()),
    "a vector is no bytes": ("UPDATE utterances SET vector = ?", "text"),
    "a vector has a NaN": ("UPDATE utterances SET vector = ?", np.full_like(VECTOR, np.nan).tobytes()),
    "a vector is infinite": ("UPDATE utterances SET vector = ?", np.full_like(VECTOR, np.inf).tobytes()),
    "a vector is zero": ("UPDATE utterances SET vector = ?", bytes(4 * ENCODER.dim)),
    "a vector is far too long": ("UPDATE utterances SET vector = ?", (VECTOR * 1000).tobytes()),
    "metadata is no JSON": ("UPDATE routes SET metadata = ?", '{"half":'),
    "metadata is no object": ("UPDATE routes SET metadata = ?", "[]"),
    "a threshold is no number": ("UPDATE routes SET threshold = ?", "high"),
    "an utterance is blank": ("UPDATE utterances SET text = ? WHERE text = 'first words'", "  "),
    "an utterance is there twice": ("UPDATE utterances SET text = ? WHERE text = 'first words'", "SECOND words"),
    "a route lost its utterances": ("DELETE FROM utterances WHERE text != ?", ""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_reported_with_the_route_and_the_file(filled: SqliteStore, path: Path, damage: str) -> None:
    """Other projects check a stored vector's length in bytes alone, and cannot open a file with a blank text."""
    statement, value = DAMAGES[damage]
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(statement, (value,))
        raw.commit()
    with pytest.raises(StorageError, match=r"'a'.*routes\.db"):
        filled.read(0)
    with pytest.raises(StorageError, match=r"'a'.*routes\.db"):
        AdaptiveRouter(encoder=ENCODER, store=path)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO utterances (route_id, text, vector) VALUES (77, 'nobody''s', x'00')",
        "UPDATE utterances SET text = CAST(x'ff' AS TEXT) WHERE text = 'first words'",
        "DELETE FROM encoder",
        "DROP TABLE routes",
    ],
)
def test_damage_that_no_route_owns_is_reported_with_the_file(filled: SqliteStore, path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(statement)
        raw.commit()
    with pytest.raises(StorageError, match=r"routes\.db"):
        filled.read(0)


def test_damage_to_the_log_is_reported_with_the_file_and_mended_by_a_restart(filled: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE changes SET routes = 'no JSON'")
        raw.commit()
    with pytest.raises(StorageError, match=r"routes\.db"):
        filled.read(1)
    assert loaded(filled.read(0)).names() == ["a", "b"]


def test_overwritten_pages_are_reported(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        commit(store, PutRoutes((encoded("a", *(f"words {number}" for number in range(300))),)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"routes\.db"):
        AdaptiveRouter(encoder=ENCODER, store=path)
