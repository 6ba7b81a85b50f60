"""A log of queries that went to the fallback, with what the fallback answered: what a router can learn from."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import warnings
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from synaptoroute_core.closing import Closing
from synaptoroute_core.errors import ConfigurationError, StorageError, shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.logfile import MEMORY, open_log
from synaptoroute_core.text import clean_query, replace_surrogates, utterance_key
from synaptoroute_core.types import Decision, Example, Reason, clean_name

MAX_RECORDS = 100_000
MAX_SOURCE_CHARS = 128


class FeedbackRecord(FrozenModel):
    """One query, what the router decided and what the fallback answered.

    Attributes:
        id: Number of the record; they grow, and none is given twice.
        text: The query, stripped.
        answer: The route that the fallback chose; None = none of the routes.
        route: The route that the router chose; None if it abstained.
        reason: Why it decided so, as in :class:`~synaptoroute_core.Decision`.
        score: The best candidate's score; None without candidates.
        confidence: The best candidate's confidence; None unless fitted.
        revision: Revision of the routes that were asked.
        source: Who answered, such as ``llm`` or ``person``.
        created_at: When it was recorded: UTC, ISO 8601, with microseconds.
    """

    id: int
    text: str
    answer: str | None
    route: str | None
    reason: Reason
    score: float | None
    confidence: float | None
    revision: int
    source: str
    created_at: str


class FeedbackLog(Closing):
    """Keeps what the router was unsure of and what the fallback answered, in a SQLite file of its own.

    A router writes no log by itself: whoever wants to learn from the fallback's answers opens one and
    records them. **Queries are kept in plain text.** The file can be read by its owner alone (mode
    0600), :meth:`forget` and :meth:`clear` overwrite what they delete, and at most ``max_records`` are kept.

    For any number of threads; several processes may have the same file open. It must lie on a local
    disk. When :meth:`record` returns, the record is on disk.

    Args:
        path: The file, made if it is not there; or ``:memory:``.
        max_records: A record is dropped when this many newer ones have been made.

    Raises:
        StorageError: The file cannot be opened, or is not a feedback log.
        ConfigurationError: ``max_records`` is not a positive whole number.
    """

    def __init__(self, path: str | Path = MEMORY, *, max_records: int = MAX_RECORDS) -> None:
        self._path = str(path)
        self._max_records = _require_count(max_records, "max_records", least=1)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        with self._translated("open"):
            self._connection = open_log(self._path)
        self._finalizer = weakref.finalize(self, _close_forgotten, self._connection, self._pid)

    def __repr__(self) -> str:
        return f"FeedbackLog({self._path!r}, max_records={self._max_records})"

    # --- writing -------------------------------------------------------------------------------

    def record(self, text: str, decision: Decision, answer: str | None, *, source: str = "llm") -> int:
        """Keep a query with the fallback's answer. The same query may be recorded again: the latest answer counts.

        Args:
            text: The query as it was routed.
            decision: What the router said of it: an abstention, or a choice that turned out wrong.
            answer: Name of the route that the fallback chose; None = none of the routes.
            source: Who answered: ``llm``, ``person``, or a word of your own.

        Returns:
            The record's number.

        Raises:
            InvalidTextError: ``text`` is not a string, or is blank.
            ConfigurationError: Another argument is not valid.
            StorageError: It could not be stored.
        """
        if not isinstance(decision, Decision):
            raise ConfigurationError(f"expected a Decision, got {type(decision).__name__}: {shorten(decision)}")
        row = (
            clean_query(text),
            None if answer is None else clean_name(answer),
            decision.route,
            decision.reason,
            decision.score,
            decision.confidence,
            decision.revision,
            _require_source(source),
            _timestamp(datetime.now(UTC)),
        )
        with self._transaction("write") as connection:
            number = connection.execute(
                "INSERT INTO feedback (text, answer, route, reason, score, confidence, revision, source, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            if number is None:
                raise StorageError(f"the feedback log {self._path} did not number a record")
            connection.execute("DELETE FROM feedback WHERE id <= ?", (number - self._max_records,))
        return number

    async def arecord(self, text: str, decision: Decision, answer: str | None, *, source: str = "llm") -> int:
        """The awaitable twin of :meth:`record`."""
        return await asyncio.to_thread(self.record, text, decision, answer, source=source)

    def forget(self, ids: Iterable[int] = (), *, before: datetime | None = None) -> int:
        """Delete records and overwrite their text.

        Args:
            ids: Numbers of records; those that are not there are passed over.
            before: Delete all that were made before this moment, which must have a time zone.

        Returns:
            How many were deleted.

        Raises:
            ConfigurationError: An argument is not valid, or there was none.
            StorageError: They could not be deleted.
        """
        if not isinstance(ids, Iterable):
            raise ConfigurationError(f"ids = {shorten(ids)}: give a list of numbers")
        numbers = [(_require_count(number, "id", least=0),) for number in ids]
        if before is not None and (not isinstance(before, datetime) or before.tzinfo is None):
            raise ConfigurationError(f"before = {shorten(before)}: give a datetime with a time zone")
        if not numbers and before is None:
            raise ConfigurationError("forget() was told neither ids nor a moment; clear() deletes everything")
        with self._transaction("write") as connection:
            count = connection.executemany("DELETE FROM feedback WHERE id = ?", numbers).rowcount if numbers else 0
            if before is not None:
                count += connection.execute("DELETE FROM feedback WHERE created_at < ?", (_timestamp(before),)).rowcount
        self._empty_log()
        return count

    def clear(self) -> int:
        """Delete all records and overwrite their text; returns how many there were.

        Raises:
            StorageError: They could not be deleted.
        """
        with self._transaction("write") as connection:
            count = connection.execute("DELETE FROM feedback").rowcount
        self._empty_log()
        return count

    # --- reading -------------------------------------------------------------------------------

    def records(self, *, since: int = 0, limit: int | None = None) -> list[FeedbackRecord]:
        """The records, oldest first.

        Args:
            since: Number of a record: only later ones are given.
            limit: At most so many; None = all.

        Raises:
            ConfigurationError: An argument is not valid.
            StorageError: The log could not be read, or is damaged.
        """
        bounds = (
            _require_count(since, "since", least=0),
            -1 if limit is None else _require_count(limit, "limit", least=0),
        )
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, text, answer, route, reason, score, confidence, revision, source, created_at "
                "FROM feedback WHERE id > ? ORDER BY id LIMIT ?",
                bounds,
            ).fetchall()
        names = tuple(FeedbackRecord.model_fields)
        try:
            return [FeedbackRecord(**dict(zip(names, row, strict=True))) for row in rows]
        except ConfigurationError as error:
            raise StorageError(f"the feedback log {self._path} is damaged: {error}") from error

    def examples(self) -> list[Example]:
        """Each query once, but for case and spacing, with its latest answer; in the order of those answers.

        Raises:
            StorageError: The log could not be read.
        """
        with self._reading() as connection:
            rows = connection.execute("SELECT text, answer FROM feedback ORDER BY id DESC").fetchall()
        latest: dict[str, Example] = {}
        for text, answer in rows:
            latest.setdefault(utterance_key(text), (text, answer))
        return list(latest.values())[::-1]

    def __len__(self) -> int:
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM feedback").fetchone()[0])

    def __bool__(self) -> bool:
        """True, like anything that is open or shut: ``if log`` asks whether there is one, not what is in it."""
        return True

    # --- ending --------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file. Harmless when repeated."""
        if os.getpid() != self._pid:
            return  # the parent's connection: closing it here would take the parent's locks away
        with self._lock:
            self._closed = True
            self._finalizer.detach()
            self._connection.close()

    # --- transactions --------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._pid:  # before the lock, which the child may find taken for ever
            raise StorageError(
                f"this feedback log belongs to process {self._pid} and cannot be used in its forked child: "
                "open one in the child"
            )
        with self._lock:
            if self._closed:
                raise StorageError(f"the feedback log {self._path} is closed")
            with self._translated("use"):
                yield self._connection

    @contextmanager
    def _transaction(self, verb: str) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection, self._translated(verb):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _empty_log(self) -> None:
        """Move the write-ahead log into the file and cut it: it holds the pages as they were before."""
        with self._reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"cannot {verb} the feedback log {self._path}: {error}") from error


def _require_count(value: object, what: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:  # what SQLite can hold
        raise ConfigurationError(f"{what} = {shorten(value)}: give a whole number of at least {least}")
    return value


def _require_source(source: object) -> str:
    if not isinstance(source, str) or not source.strip() or len(source) > MAX_SOURCE_CHARS:
        raise ConfigurationError(f"source = {shorten(source)}: give a word of 1 to {MAX_SOURCE_CHARS} characters")
    return replace_surrogates(source.strip())


def _timestamp(moment: datetime) -> str:
    """UTC in a form of fixed length, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _close_forgotten(connection: sqlite3.Connection, pid: int) -> None:
    """Close the file of a log that nobody closed."""
    if os.getpid() == pid:
        connection.close()
        warnings.warn("a FeedbackLog was not closed: use it in a with statement", ResourceWarning, stacklevel=2)
