"""The SQLite store: its file, and what becomes of it. What every store must do is in tests/stores."""

import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, SqliteStore, StorageError
from synaptoroute_core.changes import Change, DropRoutes, EncodedRoute, PutRoutes
from synaptoroute_core.storage import sqlite

WAIT_S = 30.0
ENCODER = HashingEncoder(dim=32)


def encoded(name: str, *texts: str) -> EncodedRoute:
    return EncodedRoute(Route(name, texts), ENCODER.encode(texts))


def commit(store: SqliteStore, change: Change | None) -> int:
    return store.commit(0, ENCODER.fingerprint, lambda _: change)


def routes_in(store: SqliteStore) -> list[str]:
    changes = store.read(0).changes
    return [each.route.name for change in changes if isinstance(change, PutRoutes) for each in change.routes]


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
    commit(store, PutRoutes((encoded("b", "something else"),)))
    return store


# --- writing ---------------------------------------------------------------------------------------


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
        before = routes_in(hasty)
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"routes\.db: database is locked"):
            commit(hasty, DropRoutes(("a",)))
        assert routes_in(hasty) == before == ["a", "b"]
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


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO utterances (route_id, text, vector) VALUES (77, 'nobody''s', x'00')",
        "UPDATE utterances SET text = CAST(x'ff' AS TEXT) WHERE text = 'first words'",
        "UPDATE utterances SET vector = 'text'",
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


@pytest.mark.parametrize("fate", ["removed", "moved", "replaced"])
def test_a_file_that_is_no_longer_where_it_was_is_reported_and_not_written_to(
    filled: SqliteStore, path: Path, fate: str
) -> None:
    """What is written to a file that nobody else can open is lost, and must not be acknowledged."""
    with AdaptiveRouter(encoder=ENCODER, store=path) as router:
        if fate == "replaced":
            with closing(SqliteStore(path.with_name("other.db"))) as other:
                commit(other, PutRoutes((encoded("c", "of another file"),)))
            path.with_name("other.db").replace(path)
        else:
            path.unlink() if fate == "removed" else path.rename(path.with_name("elsewhere.db"))
        with pytest.raises(StorageError, match=r"routes\.db was moved, removed or replaced"):
            router.add_utterances("a", ["third words"])
        deadline = time.monotonic() + WAIT_S
        while router.sync_status().failing is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "routes.db was moved, removed or replaced" in router.sync_status().failing
        assert router.routes["a"].utterances == ("first words", "second words")


def test_overwritten_pages_are_reported(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        commit(store, PutRoutes((encoded("a", *(f"words {number}" for number in range(300))),)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"routes\.db"):
        AdaptiveRouter(encoder=ENCODER, store=path)
