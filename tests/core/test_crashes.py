"""What a crash of the whole machine may leave of a file: some version that was acknowledged, whole.

Writers that are killed are in tests/stores.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route

ENCODER = HashingEncoder(dim=32)


def check_file(path: Path) -> None:
    """SQLite finds nothing wrong, and the log has no gap."""
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        if raw.execute("PRAGMA user_version").fetchone()[0]:
            revisions = [row[0] for row in raw.execute("SELECT revision FROM changes ORDER BY revision")]
            assert revisions == list(range(1, len(revisions) + 1))


def test_a_write_ahead_log_cut_anywhere_yields_a_whole_older_version(tmp_path: Path) -> None:
    """What a power cut may leave of a log that was not yet flushed: any part of its end is missing."""
    path, versions = tmp_path / "routes.db", []
    with AdaptiveRouter(encoder=ENCODER, store=path) as router:
        versions.append({})
        for number in range(12):
            router.add_route(Route(f"route{number % 5}", [f"text {number} {row}" for row in range(9)]), overwrite=True)
            versions.append(dict(router.routes))
        main, log = path.read_bytes(), path.with_name("routes.db-wal").read_bytes()
    found = set()
    for cut in range(0, len(log) + 1, max(1, len(log) // 60)):
        copy = tmp_path / f"cut{cut}.db"
        copy.write_bytes(main)
        copy.with_name(f"cut{cut}.db-wal").write_bytes(log[:cut])
        check_file(copy)
        with AdaptiveRouter(encoder=ENCODER, store=copy) as reopened:
            assert dict(reopened.routes) == versions[reopened.revision]
            found.add(reopened.revision)
    assert len(found) > 6


def test_a_copy_of_the_file_and_its_log_holds_what_was_acknowledged(tmp_path: Path) -> None:
    """What a crash of the whole machine leaves when everything acknowledged has reached the disk."""
    path, copies = tmp_path / "routes.db", []
    with AdaptiveRouter(encoder=ENCODER, store=path) as router:
        for number in range(10):
            router.add_utterances("a", [f"text {number}"]) if number else router.add_route(Route("a", ["text 0"]))
            folder = tmp_path / str(number)
            folder.mkdir()
            shutil.copy(path, folder)
            shutil.copy(path.with_name("routes.db-wal"), folder)
            copies.append((folder / path.name, router.routes["a"]))
    for copy, route in copies:
        with AdaptiveRouter(encoder=ENCODER, store=copy) as reopened:
            assert dict(reopened.routes) == {"a": route}
