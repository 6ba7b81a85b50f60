"""Opening a file: its layout and the vectors of its encoder are brought up to date whole, or not at all."""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    EncoderError,
    EncoderMismatchError,
    HashingEncoder,
    Route,
    RouterConfig,
    SqliteStore,
    StorageError,
)
from synaptoroute_core.storage import migrations, open_store

ENCODER = HashingEncoder(dim=32)
ROUTES = (
    Route("greeting", ["hello there", "good morning to you"], description="Says hello."),
    Route("farewell", ["goodbye then", "see you soon"], threshold=0.3, metadata={"team": [1, 2]}),
)
QUERIES = ["hello there", "good morning", "see you then", "nothing of the kind"]

GOOD_STEP = ("CREATE TABLE notes (text TEXT)", "INSERT INTO notes SELECT name FROM routes ORDER BY id")
FAILING_STEP = ("CREATE TABLE half (text TEXT)", "INSERT INTO missing VALUES (1)")


class TurnedEncoder(HashingEncoder):
    """Another encoder with vectors of the same length, as when a model is exchanged for its next version."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__(dim)
        self.fingerprint = "turned"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.roll(super().encode(texts), 5, axis=1)


class UnnamedEncoder(HashingEncoder):
    """An encoder whose fingerprint forgets to name its dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.fingerprint = "always the same"


class BrokenEncoder(TurnedEncoder):
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        raise OSError("the model is gone")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routes.db"


@pytest.fixture
def filled(path: Path) -> Path:
    with AdaptiveRouter(ROUTES, encoder=ENCODER, store=path):
        return path


def layout(path: Path) -> tuple[int, set[str]]:
    """Version and tables of a file."""
    with closing(sqlite3.connect(path)) as raw:
        (version,) = raw.execute("PRAGMA user_version").fetchone()
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return version, {name for name in tables if not name.startswith("sqlite_")}


def add_steps(monkeypatch: pytest.MonkeyPatch, *steps: tuple[str, ...]) -> int:
    """Let the library know further steps; returns the version before them."""
    known = migrations.MIGRATIONS
    monkeypatch.setattr(migrations, "MIGRATIONS", (*known, *steps))
    return len(known)


def answers(router: AdaptiveRouter) -> list[tuple]:
    """Decisions without the revision, in which two routers with the same routes may differ."""
    return [tuple(decision.model_copy(update={"revision": 0})) for decision in router.route_batch(QUERIES)]


# --- layout ----------------------------------------------------------------------------------------


def test_a_new_file_gets_the_newest_layout(path: Path) -> None:
    with closing(SqliteStore(path)):
        tables = {"encoder", "routes", "utterances", "changes", "heads", "fits", "epoch"}
        assert layout(path) == (len(migrations.MIGRATIONS), tables) == (3, tables)


def test_a_file_of_an_older_layout_is_brought_up_to_date_with_what_it_holds(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = add_steps(monkeypatch, GOOD_STEP)
    with AdaptiveRouter(encoder=ENCODER, store=filled) as router:
        assert dict(router.routes) == {route.name: route for route in ROUTES}
    with closing(sqlite3.connect(filled)) as raw:
        assert layout(filled)[0] == old + 1
        assert raw.execute("SELECT text FROM notes").fetchall() == [("greeting",), ("farewell",)]


def test_a_failing_step_is_undone_whole_and_those_before_it_stay(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = add_steps(monkeypatch, GOOD_STEP, FAILING_STEP)
    _, tables = layout(filled)
    with pytest.raises(StorageError, match=r"routes\.db: no such table: missing"):
        SqliteStore(filled)
    assert layout(filled) == (old + 1, tables | {"notes"})


def test_a_file_is_whole_after_a_failing_step_and_goes_on_from_there(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        add_steps(patch, FAILING_STEP)
        with pytest.raises(StorageError):
            SqliteStore(filled)
    with AdaptiveRouter(encoder=ENCODER, store=filled) as router:
        assert dict(router.routes) == {route.name: route for route in ROUTES}
    add_steps(monkeypatch, GOOD_STEP)
    with AdaptiveRouter(encoder=ENCODER, store=filled) as router:
        assert router.add_utterances("greeting", ["hi"]).revision == 2


def test_a_file_of_a_newer_version_is_refused_and_left_alone(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as raw:
        raw.execute("PRAGMA user_version = 99")
    before = filled.read_bytes()
    with pytest.raises(StorageError, match=r"layout 99.*upgrade") as raised:
        SqliteStore(filled)
    assert str(filled) in str(raised.value)
    assert filled.read_bytes() == before


OPENER = """
import sys
from synaptoroute_core import SqliteStore

print("ready", flush=True)
for line in sys.stdin:
    try:
        SqliteStore(line.strip()).close()
        print("opened", flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


@pytest.fixture
def openers() -> Iterator[list[subprocess.Popen]]:
    """Eight processes that open each file they are told of."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", OPENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
                )
            )
            for _ in range(8)
        ]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 8
        yield processes


def test_processes_that_open_a_new_file_at_the_same_moment_all_succeed(
    openers: list[subprocess.Popen], tmp_path: Path
) -> None:
    """One that changes the journal mode may not wait for the lock, whatever its busy timeout."""
    for number in range(25):
        for process in openers:
            process.stdin.write(f"{tmp_path / str(number)}.db\n")
        assert [process.stdout.readline() for process in openers] == ["opened\n"] * 8
        assert layout(tmp_path / f"{number}.db")[0] == len(migrations.MIGRATIONS)


# --- refusals --------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("routes: []\n" * 200)
    with pytest.raises(StorageError, match=r"routes\.db: file is not a database"):
        SqliteStore(path)
    assert path.read_text() == "routes: []\n" * 200


@pytest.mark.parametrize("place", ["", "missing/routes.db"])
def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(StorageError, match=str(tmp_path)):
        open_store(tmp_path / place)


UNPRIVILEGED = """
import os, sys
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, StorageError

def use(path):
    with AdaptiveRouter(encoder=HashingEncoder(dim=32), store=path) as router:
        print(router.route("hello there").route)
        router.add_route(Route("c", ["new"]))

use(":memory:")  # loads what is loaded late, while it still may
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    use(sys.argv[1])
except StorageError as error:
    print("StorageError:", error)
"""


@pytest.mark.parametrize(("folder_mode", "served"), [(0o777, "greeting"), (0o555, "")])
def test_a_read_only_file_is_served_where_side_files_can_be_made_and_never_changed(
    folder_mode: int, served: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routes.db"
        with AdaptiveRouter(ROUTES, encoder=ENCODER, store=path):
            pass
        path.chmod(0o444)
        before = path.read_bytes()
        Path(folder).chmod(folder_mode)
        run = subprocess.run([sys.executable, "-c", UNPRIVILEGED, path], capture_output=True, text=True, check=False)
        Path(folder).chmod(0o700)
        assert "readonly database" in run.stdout.splitlines()[-1], run.stderr
        assert run.stdout.splitlines()[1:-1] == ([served] if served else [])
        assert path.read_bytes() == before


# --- encoder ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [HashingEncoder(dim=48), TurnedEncoder()], ids=["other length", "same length"])
def test_a_router_with_another_encoder_decides_as_if_the_routes_were_new(filled: Path, encoder: HashingEncoder) -> None:
    """Elsewhere, vectors of a model with the same dimension were compared with those of the next one."""
    with AdaptiveRouter(encoder=encoder, store=filled) as router, AdaptiveRouter(ROUTES, encoder=encoder) as fresh:
        assert dict(router.routes) == dict(fresh.routes)
        assert answers(router) == answers(fresh)
        assert router.revision == 2
    with AdaptiveRouter(encoder=encoder, store=filled) as again:
        assert (again.revision, again.routes["farewell"]) == (2, ROUTES[1])


def test_another_encoder_is_refused_if_the_settings_say_so(filled: Path) -> None:
    before = filled.read_bytes()
    with pytest.raises(EncoderMismatchError, match=f"{ENCODER.fingerprint}.*turned") as raised:
        AdaptiveRouter(encoder=TurnedEncoder(), store=filled, config=RouterConfig(on_encoder_change="raise"))
    assert (raised.value.stored, raised.value.current) == (ENCODER.fingerprint, "turned")
    assert filled.read_bytes() == before


def empty(path: Path) -> None:
    with AdaptiveRouter(encoder=ENCODER, store=path) as router:
        for name in list(router.routes):
            router.remove_route(name)


def test_a_store_that_once_had_routes_still_belongs_to_its_encoder(filled: Path) -> None:
    empty(filled)
    with pytest.raises(EncoderMismatchError):
        AdaptiveRouter(encoder=TurnedEncoder(), store=filled, config=RouterConfig(on_encoder_change="raise"))


def test_a_store_that_once_had_routes_takes_another_encoder(filled: Path) -> None:
    empty(filled)
    with AdaptiveRouter(encoder=HashingEncoder(dim=48), store=filled) as router:
        router.add_route(ROUTES[0])
        assert router.route("hello there").route == "greeting"
    with AdaptiveRouter(
        encoder=HashingEncoder(dim=48), store=filled, config=RouterConfig(on_encoder_change="raise")
    ) as again:
        assert again.route("hello there").route == "greeting"


def test_a_store_that_never_had_routes_takes_any_encoder(path: Path) -> None:
    for encoder in (ENCODER, TurnedEncoder()):
        with AdaptiveRouter(encoder=encoder, store=path, config=RouterConfig(on_encoder_change="raise")) as router:
            assert router.revision == 0


def test_an_encoder_that_fails_while_re_encoding_leaves_the_file_as_it_was(filled: Path) -> None:
    before = filled.read_bytes()
    with pytest.raises(EncoderError, match="the model is gone"):
        AdaptiveRouter(encoder=BrokenEncoder(), store=filled)
    assert filled.read_bytes() == before


@pytest.mark.parametrize("policy", ["reencode", "raise"])
def test_vectors_of_another_length_are_refused_even_under_the_same_fingerprint(path: Path, policy: str) -> None:
    with AdaptiveRouter(ROUTES, encoder=UnnamedEncoder(32), store=path):
        pass
    with pytest.raises(EncoderError, match=r"32.*16|16.*32"):
        AdaptiveRouter(encoder=UnnamedEncoder(16), store=path, config=RouterConfig(on_encoder_change=policy))


def test_what_is_acknowledged_under_a_reused_fingerprint_can_be_opened_again(path: Path) -> None:
    """The store is empty, so no vector tells that the length has changed; the next one must not damage the file."""
    with AdaptiveRouter(ROUTES, encoder=UnnamedEncoder(32), store=path):
        pass
    with AdaptiveRouter(encoder=UnnamedEncoder(32), store=path) as router:
        for route in ROUTES:
            router.remove_route(route.name)
    try:
        with AdaptiveRouter(encoder=UnnamedEncoder(16), store=path) as router:
            router.add_route(ROUTES[0])
    except EncoderError:
        return  # refusing it is as good
    with AdaptiveRouter(encoder=UnnamedEncoder(16), store=path) as router:
        assert router.route("hello there").route == "greeting"
