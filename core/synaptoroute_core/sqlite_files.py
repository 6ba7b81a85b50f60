"""What every SQLite file of ours needs before its first statement."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from synaptoroute_core.errors import StorageError

BUSY_TIMEOUT_S = 30.0
RETRY_S = 0.01


def make_private(path: Path, what: str) -> None:
    """Make a new file that only its owner can read; SQLite gives its side files the same mode.

    Raises:
        StorageError: It cannot be made there; ``what`` says what it was to be.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        if isinstance(error, PermissionError) and path.is_file():
            return  # SQLite opens a read-only file, and says so when it is written
        hint = "it is a folder" if path.is_dir() else "does its folder exist, and may you write there?"
        raise StorageError(f"cannot open the {what} {path}: {error.strerror}; {hint}") from error


def set_up(prepare: Callable[[], None]) -> None:
    """Set a file up, waiting for other processes that do the same at this moment.

    SQLite switches a file to its write-ahead log without regard to the busy timeout.

    Args:
        prepare: Does it; harmless when repeated.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            prepare()
        except sqlite3.OperationalError as error:
            # The last byte is the kind of error, the others say more of it.
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_S)
        else:
            return
