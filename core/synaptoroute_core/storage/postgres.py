"""Routes in PostgreSQL, shared by any number of machines: one transaction a change, a gap-free log."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from synaptoroute_core.changes import Change, Feed
from synaptoroute_core.errors import CommitUncertainError, ConfigurationError, StorageError
from synaptoroute_core.storage.logged import Mark
from synaptoroute_core.storage.postgres_driver import conninfo, psycopg, sql
from synaptoroute_core.storage.postgres_layout import create_layout
from synaptoroute_core.storage.postgres_sessions import Listener, Session
from synaptoroute_core.storage.postgres_tables import PostgresTables

Result = TypeVar("Result")
LIMITS = """
    SELECT set_config('extra_float_digits', '1', true),
        set_config('statement_timeout', coalesce(%(statement)s, current_setting('statement_timeout')), true),
        set_config('lock_timeout', %(lock)s, true), set_config('idle_in_transaction_session_timeout', %(idle)s, true),
        set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN 'on' ELSE current_setting('synchronous_commit') END, true)
"""
"""A client that hangs, or whose machine is gone, must not keep all others out; what is answered is on disk; and what is
read is what was written, to the last digit."""
SOONER = 0.8
"""Share of the time-out after which the server itself ends what it waits for: it then says what it was."""
IDLE_READING_S = 60.0
"""Nobody waits for one who reads, and what was read may take a while to look through."""


class PostgresStore(PostgresTables):
    """A store in a PostgreSQL database, version 12 or newer.

    Its tables are in a schema of their own. A change is one transaction that locks the one row of the table
    ``state``, so changes form one line without gaps, whoever makes them. ``NOTIFY`` tells others that there is
    something new; they would find it without, when they look again after ``poll_interval_s``.

    Needs the extra ``postgres``.

    Args:
        url: As libpq takes it, such as ``postgresql://user@host:5432/database``.
        namespace: Name of the schema: routers with the same one share their routes.
        timeout_s: How long the database may leave a request without any answer; afterwards it counts as away. A
            change then fails after twice this in general, and after three times if what became of it is in doubt.
        notify: Whether to listen for others' changes.
        poll_interval_s: How often to look whether there are any.

    Raises:
        ConfigurationError: An argument is not valid.
        StorageError: The database cannot be reached, or is of a newer version of the library.
    """

    namespaces = re.compile(r"[a-z_][a-z0-9_]{0,47}")
    namespaces_are = "1 to 48 lower-case letters, digits and '_', no digit first"

    def _prepare(self) -> str:
        self._conninfo, place = _read_url(self._url, self._namespace)
        self._session = Session(self._conninfo, place, self._timeout_s)
        return place

    def _open(self) -> None:
        with self._session.use("open") as connection:
            create_layout(connection, self._namespace, self.place, self._session.answered)

    def _listen(self, wake: Callable[[], None]) -> Listener:
        listen = sql.SQL("LISTEN {}").format(sql.Identifier(self._channel))
        return Listener(self._conninfo, listen, self._timeout_s, wake)

    def _hang_up(self) -> None:
        self._session.drop()

    # --- the store -----------------------------------------------------------------------------

    def read(self, since: int) -> Feed:
        """What leads from a revision to the newest; see :meth:`Store.read`."""

        def work() -> tuple[Feed, Mark]:
            with self._transaction("read", reading=True):
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
            with self._transaction("write"):
                mark = self._mark(lock=True)
                feed = self._feed(self._known(since, self._holds))
                change = self._ask(prepare, feed, mark)
                if change is not None:
                    self._require_encoder(feed.fingerprint, fingerprint, change)
                    self._write(change, fingerprint)
                    self._append_to_log(feed.revision + 1, change, token)
                    self._execute("SELECT pg_notify(%s, %s)", (self._channel, str(feed.revision + 1)))
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
            with self._transaction("read"):
                return self._mark() != self._seen

        return self._repeated(work)

    # --- transactions --------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, verb: str, *, reading: bool = False) -> Iterator[None]:
        """One transaction: of a picture that stays the same, if it is only for ``reading``."""
        with self._session.use(verb) as connection, connection.transaction(), connection.cursor() as cursor:
            self._cursor = cursor
            self._session.answered()  # that it has begun
            if reading:
                self._execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            limit = f"{round(1000 * SOONER * self._timeout_s)}ms"
            idle = f"{IDLE_READING_S:.0f}s" if reading else limit
            # No limit of a statement that reads: the time in which its rows are fetched counts as well.
            cursor.execute(LIMITS, {"statement": None if reading else limit, "lock": limit, "idle": idle})
            self._session.answered()
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
            with self._transaction("reach"):
                return True
        except StorageError:
            return False

    def _settle(self, revision: int, token: str, error: StorageError) -> None:
        """Find out whether a change was committed whose answer did not come.

        The lock is waited for: once it is had, the broken transaction has ended one way or the other.
        """
        self._session.drop()
        try:
            with self._transaction("read"):
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
    hosts, ports = str(parts.get("host", "")).split(","), str(parts.get("port", "")).split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)  # one for all
    at = ",".join(f"{host or 'localhost'}:{port or 5432}" for host, port in zip(hosts, ports, strict=True))
    return conninfo.make_conninfo("", **parts), f"the database {at}/{parts.get('dbname', '')}, schema {namespace}"
