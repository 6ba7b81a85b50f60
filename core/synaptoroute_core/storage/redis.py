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

from synaptoroute_core.changes import Change, Feed
from synaptoroute_core.errors import CommitUncertainError, ConfigurationError, StorageError, shorten
from synaptoroute_core.storage.logged import Mark, describe
from synaptoroute_core.storage.redis_driver import NoBackoff, Retry, redis
from synaptoroute_core.storage.redis_keys import RedisKeys
from synaptoroute_core.storage.redis_scripts import COMMIT, CREATE, SETTLE

NAMESPACE = re.compile(r"[\w.\-]{1,128}", re.ASCII)
TIMEOUT_S = 5.0
WAIT_FOR_TURN_S = 0.005
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
LAYOUT = "1"
LOST, TURN = 0, -1
LOST_BEFORE_TURN = 3
TURN_MS = 1000


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
        timeout_s: How long the server may take to answer; afterwards it counts as away.
        notify: Whether to listen for others' changes.
        poll_interval_s: How often to look whether there are any.

    Raises:
        ConfigurationError: An argument is not valid.
        StorageError: The server cannot be reached, or the keys are something else's.
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
            raise ConfigurationError(f"namespace = {shorten(namespace)}: use 1 to 128 letters, digits, '_', '.' or '-'")
        self._arguments = {
            "namespace": namespace,
            "timeout_s": timeout_s,
            "notify": notify,
            "poll_interval_s": poll_interval_s,
        }
        self._url = url
        self._notify = notify
        self.poll_interval_s = poll_interval_s
        self._listener: _Listener | None = None
        self._timeout_s = timeout_s
        self._me = uuid.uuid4().hex
        client, place = _connect(url, namespace, timeout_s)
        super().__init__(client, namespace, place)
        try:
            with self._reaching("open"):
                self._create()
        except BaseException:
            client.close()
            raise

    def __repr__(self) -> str:
        return f"RedisStore({self.place})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it is, to be opened anew: a connection belongs to its process."""
        return _reopen, (type(self), self._url, self._arguments)

    # --- the store -----------------------------------------------------------------------------

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from another thread, whenever others may have changed something."""
        if self._notify and self._listener is None:
            self._listener = _Listener(self._client, self._keys["state"], wake)

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
        token, deadline, lost = uuid.uuid4().hex, time.monotonic() + self._timeout_s, 0
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
            if time.monotonic() > deadline:
                raise StorageError(f"cannot write {self.place}: others changed it for {self._timeout_s:g} s on end")
            since, lost = mark.revision, lost + 1
            self._give_way(lost, outcome)

    def changed(self) -> bool:
        """Whether another router may have changed it since it was last read."""
        with self._reaching("read"):
            return self._newest() != self._seen

    def close(self) -> None:
        """Let go of the connections."""
        if self._listener is not None:
            self._listener.close()
        self._client.close()

    # --- steps ---------------------------------------------------------------------------------

    def _create(self) -> None:
        layout, key = self._run(CREATE, LAYOUT, uuid.uuid4().hex)
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
        except (redis.ConnectionError, redis.TimeoutError) as error:
            return self._settle(self._picture.mark.revision + 1, token, error)
        except redis.RedisError as error:
            raise StorageError(f"cannot write {self.place}: {error}") from error

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
            raise StorageError(f"cannot {verb} {self.place}: {error}") from error


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


def _reopen(kind: type[RedisStore], url: str, arguments: dict[str, Any]) -> RedisStore:
    return kind(url, **arguments)


def _connect(url: str, namespace: str, timeout_s: float) -> tuple[Any, str]:
    """A client, and what the store is called in messages: no password in it."""
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # What is tried again is ours to say: a change that was made twice would be two.
            retry=Retry(NoBackoff(), 0),
            client_name="synaptoroute",
        )
        settings = client.get_connection_kwargs()
        client.connection_pool.connection_class(**settings)  # an option that there is not would be found out late
    except (ValueError, TypeError, redis.RedisError):
        # Not even as the cause: the driver's message may quote the password.
        raise ConfigurationError("this is no URL of a Redis server: use redis://user@host:6379/0") from None
    where = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    return client, f"the Redis database {where}/{settings.get('db', 0)}, namespace {namespace}"
