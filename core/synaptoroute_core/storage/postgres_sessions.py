"""Connections to PostgreSQL that never wait for ever: each answer has a deadline, and a broken one is replaced."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from synaptoroute_core.errors import StorageError
from synaptoroute_core.storage.postgres_driver import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0


class Session:
    """One connection, opened when it is needed and given up when it fails. For one thread.

    A server, or a proxy before it, may take what is sent and never answer, and the driver would wait for ever.
    So where ``timeout_s`` pass without an answer, the socket is shut down, which the driver reports as an error.

    Args:
        conninfo: As psycopg takes it.
        place: What the database is called in messages: without a password.
        timeout_s: How long each answer may take.
    """

    def __init__(self, conninfo: str, place: str, timeout_s: float) -> None:
        self._conninfo = conninfo
        self._place = place
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._watch: Watch | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection from an earlier use."""
        return self._connection is not None and not self._connection.closed

    @contextmanager
    def use(self, verb: str) -> Iterator[Connection]:
        """The connection, for one use.

        Raises:
            StorageError: The database cannot be reached, did not answer in time, or refused.
        """
        try:
            connection = self._connected()
            with watched(connection, self._timeout_s) as self._watch:
                yield connection
        except psycopg.Error as error:
            late = self._watch is not None and self._watch.late
            # A server that only lets read may have become a standby: a new connection may lead to another one.
            if late or isinstance(error, psycopg.errors.ReadOnlySqlTransaction) or not self.is_open:
                self.drop()
            reason = f"no answer within {self._timeout_s:g} s" if late else explain(error)
            raise StorageError(f"cannot {verb} {self._place}: {reason}") from error
        finally:
            self._watch = None

    def answered(self) -> None:
        """Note that an answer came: the time for the next begins."""
        if self._watch is not None:
            self._watch.renew()

    def drop(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            close_quietly(connection)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._conninfo, self._timeout_s)
        return self._connection


class Listener:
    """A thread that hears notifications. It is only a hint: what it misses, looking at the store finds.

    Args:
        conninfo: As psycopg takes it.
        listen: The statement that begins it.
        timeout_s: How long connecting may take.
        heard: Called, in the thread, after each notification and after each time of deafness.
    """

    def __init__(self, conninfo: str, listen: Any, timeout_s: float, heard: Callable[[], None]) -> None:
        self._conninfo = conninfo
        self._listen = listen
        self._timeout_s = timeout_s
        self._heard = heard
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._wait_s = FIRST_WAIT_S
        self._thread = threading.Thread(target=self._run, name="synaptoroute-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            shut_down(connection)
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._hear()
            except psycopg.Error:
                # Nothing is lost: the store is looked at anyway, and reports that it cannot be reached.
                self._stopping.wait(self._wait_s)
                self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _hear(self) -> None:
        connection = connect(self._conninfo, self._timeout_s, autocommit=True)
        try:
            self._connection = connection
            with watched(connection, self._timeout_s):
                connection.execute(self._listen)
            self._wait_s = FIRST_WAIT_S
            self._heard()
            while not self._stopping.is_set():
                for _ in connection.notifies(timeout=1.0):
                    self._heard()
                    if self._stopping.is_set():
                        break
        finally:
            self._connection = None
            close_quietly(connection)


def connect(conninfo: str, timeout_s: float, *, autocommit: bool = False) -> Connection:
    """A new connection. Where the URL has settings of its own, such as ``connect_timeout``, they hold.

    Raises:
        psycopg.OperationalError: There is none to be had, or not in time.
    """
    usual: dict[str, Any] = {
        "connect_timeout": max(2, round(timeout_s)),  # libpq knows whole seconds, and no single one
        "tcp_user_timeout": round(1000 * timeout_s),
        "application_name": "synaptoroute",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    connection = psycopg.connect(
        conninfo,
        autocommit=autocommit,
        prepare_threshold=None,  # a pool between us and the server may give each transaction another connection
        **{name: value for name, value in usual.items() if name not in given},
        client_encoding="UTF8",  # whatever the database's or the environment's
    )
    # Whatever the database's default: who waited for the lock must see what the one before wrote.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return connection


class Watch:
    """Shuts a connection's socket down, from a thread of its own, once an answer takes too long.

    Attributes:
        late: Whether it did.
    """

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._ended = threading.Event()
        self.late = False
        self.renew()
        threading.Thread(target=self._run, name="synaptoroute-watch", daemon=True).start()

    def renew(self) -> None:
        """Give it the whole time again."""
        self._until = time.monotonic() + self._timeout_s

    def end(self) -> None:
        """Leave the connection alone from now on."""
        self._ended.set()

    def _run(self) -> None:
        while (left_s := self._until - time.monotonic()) > 0:
            if self._ended.wait(left_s):
                return
        self.late = True
        shut_down(self._connection)


@contextmanager
def watched(connection: Connection, timeout_s: float) -> Iterator[Watch]:
    """Shut a connection's socket down if an answer takes longer than ``timeout_s``."""
    watch = Watch(connection, timeout_s)
    try:
        yield watch
    finally:
        watch.end()


def shut_down(connection: Connection) -> None:
    """Break a connection from another thread: whoever waits for it gets an error."""
    # A copy of the descriptor: closing the Python socket must not close the driver's.
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)


def close_quietly(connection: Connection) -> None:
    """Close a connection that may be broken."""
    with contextlib.suppress(psycopg.Error, OSError):
        connection.close()


def explain(error: psycopg.Error) -> str:
    """What the driver says, which may be a paragraph, on one line."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "others kept it locked for too long: try it again"
    return " ".join(str(error).split()) or type(error).__name__
