"""Routes in Redis, shared by any number of machines: a change is one script, and a stream is the log."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from synaptoroute_core.changes import Change, Feed
from synaptoroute_core.errors import CommitUncertainError, ConfigurationError, StorageError
from synaptoroute_core.storage.logged import Mark, describe, draw_epoch
from synaptoroute_core.storage.redis_driver import NoBackoff, Retry, redis
from synaptoroute_core.storage.redis_keys import RedisKeys
from synaptoroute_core.storage.redis_scripts import COMMIT, CREATE, SETTLE

WAIT_FOR_TURN_S = 0.005
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
LAYOUT = "1"
LOST, TURN = 0, -1
LOST_BEFORE_TURN = 3
TURN_MS = 1000
KEEP_ALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}
"""Whoever only listens learns after some ten seconds that nobody is there any more."""
SLOWEST_BYTES_PER_S = 1_000_000
"""What a network should carry."""
CROWDED = 2
"""Time-outs after which one gives up to whom others always come before."""


class RedisStore(RedisKeys):
    """A store in Redis, version 6.2 or newer.

    A change is one script, which compares the revision and writes, so changes form one line without gaps, whoever
    makes them. Publishing tells others that there is something new; they would find it without, when they look
    again after ``poll_interval_s``.

    What is answered is as durable as the server is set up to make it: with the append-only file and
    ``appendfsync always`` it is on disk; with ``everysec`` a crash may take the last second with it, and
    without any file a restart takes all.

    Needs the extra ``redis``.

    Args:
        url: As redis-py takes it, such as ``redis://user:password@host:6379/0``.
        namespace: Of the keys: routers with the same one share their routes.
        timeout_s: How long the server may leave a request without any answer; afterwards it counts as away. A
            change then fails after this in general, and after twice this if what became of it is in doubt.
        notify: Whether to listen for others' changes.
        poll_interval_s: How often to look whether there are any.

    Raises:
        ConfigurationError: An argument is not valid.
        StorageError: The server cannot be reached, or the keys are something else's.
    """

    namespaces = re.compile(r"[\w.\-]{1,128}", re.ASCII)
    namespaces_are = "1 to 128 letters, digits, '_', '.' or '-'"

    def _prepare(self) -> str:
        self._me = uuid.uuid4().hex
        self._client, place = _connect(self._url, self._namespace, self._timeout_s)
        return place

    def _open(self) -> None:
        with self._reaching("open"):
            self._create()

    def _listen(self, wake: Callable[[], None]) -> _Listener:
        return _Listener(self._client, self._keys["state"], wake)

    def _hang_up(self) -> None:
        self._client.close()

    # --- the store -----------------------------------------------------------------------------

    def read(self, since: int) -> Feed:
        """What leads from a revision to the newest; see :meth:`Store.read`."""
        feed = self._look(since, "read")
        self._seen = self._picture.mark
        return feed

    def commit(self, since: int, fingerprint: str, prepare: Callable[[Feed], Change | None]) -> int:
        """Write one change in one script; see :meth:`Store.commit`.

        Others are not kept out: where one comes between, ``prepare`` is called again with what it did. Who lost
        several times gets a turn, in which the others wait.

        Raises:
            CommitUncertainError: The connection broke while the change was being committed, and the server could
                not be asked since whether it was.
        """
        token, began, lost = uuid.uuid4().hex, time.monotonic(), 0
        while True:
            feed = self._look(since, "write")
            mark = self._picture.mark
            change = self._ask(prepare, feed, mark)
            if change is None:
                return mark.revision
            self._require_encoder(feed.fingerprint, fingerprint, change)
            outcome = self._try(change, fingerprint, token)
            if outcome not in (LOST, TURN):
                self._seen = Mark(mark.epoch, mark.revision + 1, token)
                return self._seen.revision
            tried_s = time.monotonic() - began
            if tried_s > CROWDED * self._timeout_s:
                raise StorageError(f"cannot write {self.place}: others changed it for {tried_s:.1f} s on end")
            since, lost = mark.revision, lost + 1
            self._give_way(lost, outcome)

    def changed(self) -> bool:
        """Whether another router may have changed it since it was last read."""
        with self._reaching("read"):
            return self._newest() != self._seen

    # --- steps ---------------------------------------------------------------------------------

    def _create(self) -> None:
        layout, key = self._run(CREATE, LAYOUT, draw_epoch())
        if not layout:
            raise StorageError(
                f"{self.place}: the key {key.decode()} is something else's, or was left behind: choose another "
                "namespace, or delete it"
            )
        if layout.decode() != LAYOUT:
            raise StorageError(
                f"{self.place} has layout {layout.decode()}, this version of the library knows {LAYOUT}: "
                "upgrade the library"
            )

    def _look(self, since: int, verb: str) -> Feed:
        with self._reaching(verb):
            self._take_picture(since)
        return self._feed(self._known(since, lambda _: self._picture.reach != "all"))

    def _try(self, change: Change, fingerprint: str, token: str) -> int:
        """Write a change if the store is still as it was looked at; say whether it was."""
        with self._reaching("write"):
            self._begin(change)
            try:
                with self._undamaged("a route"):
                    self._write(change, fingerprint)
            except StorageError:
                if self._newest() == self._picture.mark:
                    raise
                return LOST  # somebody else has removed the route since it was looked at
        flat: list[str | bytes | int] = []
        places = {name: place for place, name in enumerate(self._keys, start=1)}
        for command in self._commands:
            flat += [places[command.key], command.name, len(command.arguments), *command.arguments]
        before = [*self._picture.mark, self._picture.fence, self._me]
        try:
            return int(
                self._run(COMMIT, *before, token, *describe(change), self.log_length, len(self._commands), *flat)
            )
        except redis.ResponseError as error:
            raise self._explained("write", error) from error
        except redis.RedisError as error:
            return self._settle(self._picture.mark.revision + 1, token, error)

    def _give_way(self, lost: int, outcome: int) -> None:
        """After a change that could not be written: wait for others whose turn it is, or ask for one."""
        if outcome == TURN:
            time.sleep(random.uniform(0.5, 1.0) * WAIT_FOR_TURN_S)  # noqa: S311  # no secret
        elif lost >= LOST_BEFORE_TURN:
            with self._reaching("write"):
                self._client.set(self._keys["turn"], self._me, nx=True, px=TURN_MS)

    def _settle(self, revision: int, token: str, error: redis.RedisError) -> int:
        """Find out whether a change was made whose answer did not come, and see to it that it is not made later."""
        try:
            with self._reaching("read"):
                made = int(self._run(SETTLE, revision, token))
        except StorageError:
            raise CommitUncertainError(
                f"cannot write {self.place}: {error}; whether the change was stored is not known: look at the routes "
                "when it is back, before you make it again"
            ) from error
        if not made:
            raise StorageError(f"cannot write {self.place}: {error}") from error
        return made

    @contextmanager
    def _reaching(self, verb: str) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise self._explained(verb, error) from error

    def _explained(self, verb: str, error: redis.RedisError) -> StorageError:
        if isinstance(error, redis.ReadOnlyError):
            # It may have become a replica: a new connection may lead to another server.
            self._client.connection_pool.disconnect(inuse_connections=False)
        return StorageError(f"cannot {verb} {self.place}: {error}")


class _Listener:
    """A thread that hears what is published. It is only a hint: what it misses, looking at the store finds."""

    def __init__(self, client: Any, channel: str, heard: Callable[[], None]) -> None:
        self._client = client
        self._channel = channel
        self._heard = heard
        self._pubsub: Any = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="synaptoroute-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stopping.set()
        # It waits for half a second; breaking its socket, and leaving all else to it, ends that at once.
        waiting = getattr(getattr(self._pubsub, "connection", None), "_sock", None)
        if waiting is not None:
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            try:
                with self._client.pubsub() as heard:
                    self._pubsub = heard
                    heard.subscribe(self._channel)
                    while not self._stopping.is_set():
                        # The confirmation counts too: what happened while nobody listened is worth a look.
                        if heard.get_message(timeout=0.5) is not None:
                            self._heard()
                            wait_s = FIRST_WAIT_S
            except (redis.RedisError, OSError):
                # Nothing is lost: the store is looked at anyway, and reports that it cannot be reached.
                self._stopping.wait(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _patient(kind: Any, timeout_s: float) -> Any:
    """A kind of connection that gives what is long, as a route of many megabytes is, more time than a short question.

    The driver has one time-out: for all of a command to be taken, and for the first of the answer.
    """

    def send_packed_command(connection: Any, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        connection.connect()  # unless it is
        size = len(command) if isinstance(command, (bytes, str)) else sum(map(len, command))
        connection._sock.settimeout(timeout_s + size / SLOWEST_BYTES_PER_S)  # noqa: SLF001  # has no public name
        kind.send_packed_command(connection, command, check_health)

    return type(kind.__name__, (kind,), {"send_packed_command": send_packed_command})


def _connect(url: str, namespace: str, timeout_s: float) -> tuple[Any, str]:
    """A client, and what the store is called in messages: no password in it."""
    alive = {} if url.startswith("unix:") else {"socket_keepalive": True, "socket_keepalive_options": KEEP_ALIVE}
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # What is tried again is ours to say: a change that was made twice would be two.
            retry=Retry(NoBackoff(), 0),
            client_name="synaptoroute",
            **alive,
        )
        settings = client.get_connection_kwargs()
        patient = _patient(client.connection_pool.connection_class, settings["socket_timeout"])
        client.connection_pool.connection_class = patient
        patient(**settings)  # an option that there is not would be found out late
        if settings.get("decode_responses"):
            raise ValueError("what is kept is bytes")
        number = urlsplit(url).path.strip("/")
        if number and not number.isdecimal() and not url.startswith("unix:"):
            raise ValueError("the driver would take the database 0 for it")
    except (ValueError, TypeError, redis.RedisError):
        # Not even as the cause: the driver's message may quote the password.
        raise ConfigurationError("this is no URL of a Redis server: use redis://user@host:6379/0") from None
    where = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    return client, f"the Redis database {where}/{settings.get('db', 0)}, namespace {namespace}"
