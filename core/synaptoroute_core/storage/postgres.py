"""Routes in PostgreSQL, shared by any number of machines: one transaction a change, a gap-free log."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

from synaptoroute_core.changes import Change, Feed
from synaptoroute_core.errors import CommitUncertainError, ConfigurationError, StorageError, shorten
from synaptoroute_core.storage.logged import Mark
from synaptoroute_core.storage.postgres_driver import conninfo, psycopg, sql
from synaptoroute_core.storage.postgres_layout import create_layout
from synaptoroute_core.storage.postgres_sessions import Listener, Session
from synaptoroute_core.storage.postgres_tables import PostgresTables

NAMESPACE = re.compile(r"[a-z_][a-z0-9_]{0,47}")
TIMEOUT_S = 5.0
Result = TypeVar("Result")
LIMITS = """
    SELECT set_config('statement_timeout', %(limit)s, true), set_config('lock_timeout', %(limit)s, true),
        set_config('idle_in_transaction_session_timeout', %(limit)s, true),
        set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN 'on' ELSE current_setting('synchronous_commit') END, true)
"""
"""A client that hangs, or whose machine is gone, must not keep all others out; and what is answered is on disk."""


class PostgresStore(PostgresTables):
    """A store in a PostgreSQL database, version 12 or newer.

    Its tables are in a schema of their own. A change is one transaction that locks the one row of the table
    ``state``, so changes form one line without gaps, whoever makes them. ``NOTIFY`` tells others that there is
    something new; they would find it without, when they look again after ``poll_interval_s``.

    Needs the extra ``postgres``.

    Args:
        url: As libpq takes it, such as ``postgresql://user@host:5432/database``.
        namespace: Name of the schema: routers with the same one share their routes.
        timeout_s: How long the database may take to answer; afterwards it counts as away.
        notify: Whether to listen for others' changes.
        poll_interval_s: How often to look whether there are any.

    Raises:
        ConfigurationError: An argument is not valid.
        StorageError: The database cannot be reached, or is of a newer version of the library.
    """

    shared = True

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "synaptoroute",
        timeout_s: float = TIMEOUT_S,
        notify: bool = True,
        poll_interval_s: float = 2.0,
    ) -> None:
        if not NAMESPACE.fullmatch(namespace):
            raise ConfigurationError(
                f"namespace = {shorten(namespace)}: use 1 to 48 lower-case letters, digits and '_', no digit first"
            )
        self._arguments = {
            "namespace": namespace,
            "timeout_s": timeout_s,
            "notify": notify,
            "poll_interval_s": poll_interval_s,
        }
        self._url = url
        self._conninfo, place = _read_url(url, namespace)
        super().__init__(namespace, place)
        self._timeout_s = timeout_s
        self._notify = notify
        self.poll_interval_s = poll_interval_s
        self._session = Session(self._conninfo, self.place, timeout_s)
        self._listener: Listener | None = None
        try:
            with self._session.use("open") as connection:
                create_layout(connection, namespace, self.place)
        except BaseException:
            self._session.drop()
            raise

    def __repr__(self) -> str:
        return f"PostgresStore({self.place})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it is, to be opened anew: a connection belongs to its process."""
        return _reopen, (type(self), self._url, self._arguments)

    # --- the store -----------------------------------------------------------------------------

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from another thread, whenever others may have changed something."""
        if self._notify and self._listener is None:
            listen = sql.SQL("LISTEN {}").format(sql.Identifier(self._channel))
            self._listener = Listener(self._conninfo, listen, self._timeout_s, wake)

    def read(self, since: int) -> Feed:
        """What leads from a revision to the newest; see :meth:`Store.read`."""

        def work() -> tuple[Feed, Mark]:
            with self._transaction("read", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"):
                mark = self._mark()
                return self._feed(self._known(since, self._holds)), mark

        feed, self._seen = self._repeated(work)
        return feed

    def commit(self, since: int, fingerprint: str, prepare: Callable[[Feed], Change | None]) -> int:
        """Write one change as one transaction; see :meth:`Store.commit`.

        Raises:
            CommitUncertainError: The connection broke while the change was being committed, and the database
                could not be asked since whether it was.
        """
        if self._session.is_open and not self._answers():
            self._session.drop()
        token = uuid.uuid4().hex
        at_commit: list[int] = []
        try:
            with self._transaction("write", None):
                mark = self._mark(lock=True)
                feed = self._feed(self._known(since, self._holds))
                change = self._ask(prepare, feed, mark)
                if change is not None:
                    self._require_encoder(feed.fingerprint, fingerprint, change)
                    self._write(change, fingerprint)
                    self._append_to_log(feed.revision + 1, change, token)
                    self._cursor.execute("SELECT pg_notify(%s, %s)", (self._channel, str(feed.revision + 1)))
                    at_commit.append(feed.revision + 1)
        except StorageError as error:
            if not at_commit:
                raise
            self._settle(at_commit[0], token, error)
        self._seen = Mark(mark.epoch, at_commit[0], token) if at_commit else mark
        return self._seen.revision

    def changed(self) -> bool:
        """Whether another router may have changed it since it was last read."""

        def work() -> bool:
            with self._transaction("read", None):
                return self._mark() != self._seen

        return self._repeated(work)

    def close(self) -> None:
        """Let go of the connections."""
        if self._listener is not None:
            self._listener.close()
        self._session.drop()

    # --- transactions --------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, verb: str, first: LiteralString | None) -> Iterator[None]:
        with self._session.use(verb) as connection, connection.transaction(), connection.cursor() as cursor:
            self._cursor = cursor
            if first is not None:
                cursor.execute(first)
            cursor.execute(LIMITS, {"limit": f"{round(1000 * self._timeout_s)}ms"})
            yield

    def _repeated(self, work: Callable[[], Result]) -> Result:
        """Do something that changes nothing; once more if a connection from before turns out to be broken."""
        had_connection = self._session.is_open
        try:
            return work()
        except StorageError:
            if not had_connection or self._session.is_open:
                raise
            return work()

    def _answers(self) -> bool:
        """Whether the connection from before still works: found out before anything is at stake."""
        try:
            with self._transaction("reach", None):
                return True
        except StorageError:
            return False

    def _settle(self, revision: int, token: str, error: StorageError) -> None:
        """Find out whether a change was committed whose answer did not come.

        The lock is waited for: once it is had, the broken transaction has ended one way or the other.
        """
        self._session.drop()
        try:
            with self._transaction("read", None):
                self._mark(lock=True)
                made = self._token(revision) == token
        except StorageError:
            raise CommitUncertainError(
                f"{error}; whether the change was stored is not known: look at the routes when {self.place} "
                "is back, before you make it again"
            ) from error
        if not made:
            raise error

    @property
    def _channel(self) -> str:
        return f"synaptoroute_{self._namespace}"


def _reopen(kind: type[PostgresStore], url: str, arguments: dict[str, Any]) -> PostgresStore:
    return kind(url, **arguments)


def _read_url(url: str, namespace: str) -> tuple[str, str]:
    """What the driver takes, and what messages say: no password in it."""
    parts: dict[str, Any] | None = None
    with contextlib.suppress(psycopg.Error):
        parts = conninfo.conninfo_to_dict(url)
    if parts is None or "@" in str(parts.get("host")):
        # Without a cause: the driver's message may quote the password. One with '@' in it ends up in the host.
        raise ConfigurationError(
            "this is no URL of a PostgreSQL database: use postgresql://user@host:5432/database, and write '@' in a "
            "password as %40"
        )
    host, port = parts.get("host", "localhost"), parts.get("port", 5432)
    place = f"the database {host}:{port}/{parts.get('dbname', '')}, schema {namespace}"
    return conninfo.make_conninfo("", **parts), place
