"""The file of a feedback log: its layout, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from synaptoroute_core.errors import StorageError
from synaptoroute_core.sqlite_files import BUSY_TIMEOUT_S, make_private, set_up

MEMORY = ":memory:"

APPLICATION_ID = 0x53594E46
"""Marks the file as a feedback log: ``SYNF``. SQLite keeps it in the file's header for just that."""
VERSION = 1
LAYOUT = (
    """CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        text TEXT NOT NULL,
        answer TEXT,
        route TEXT,
        reason TEXT NOT NULL,
        score REAL,
        confidence REAL,
        revision INTEGER NOT NULL,
        source TEXT NOT NULL,
        created_at TEXT NOT NULL
    )""",
    "PRAGMA application_id = 0x53594E46",
    "PRAGMA user_version = 1",
)
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA secure_delete = ON",  # what is forgotten is overwritten, not only unlinked
)


def open_log(path: str) -> sqlite3.Connection:
    """Open a feedback log, made if it is not there; its owner sees to it that one thread uses it at a time.

    Raises:
        StorageError: It is not a feedback log, is of a newer version, or cannot be made there.
        sqlite3.Error: It is no SQLite database, or cannot be written.
    """
    if path != MEMORY:
        make_private(Path(path), "feedback log")
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        set_up(lambda: _prepare(connection, path))
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check that the file is ours or empty, and set it up."""
    _require_ours(connection, path)  # before anything is written to a file that may be another's
    for pragma in PRAGMAS:
        connection.execute(pragma)
    _lay_out(connection)


def _require_ours(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN")  # one look: another process may be laying it out between two
    try:
        application, version = (_pragma(connection, name) for name in ("application_id", "user_version"))
        blank = _is_blank(connection)
    finally:
        connection.execute("ROLLBACK")
    if application == APPLICATION_ID and version > VERSION:
        raise StorageError(
            f"the feedback log {path} has layout {version}, this version of the library knows up to {VERSION}: "
            "upgrade the library"
        )
    if application != APPLICATION_ID and not blank:
        raise StorageError(f"the database {path} is not a feedback log; give the log a file of its own")


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_blank(connection):  # another process may have been here first
            for statement in LAYOUT:
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_blank(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever made in the database."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not (tables or _pragma(connection, "application_id") or _pragma(connection, "user_version"))


def _pragma(connection: sqlite3.Connection, name: Literal["application_id", "user_version"]) -> int:
    statements = {"application_id": "PRAGMA application_id", "user_version": "PRAGMA user_version"}
    return int(connection.execute(statements[name]).fetchone()[0])
