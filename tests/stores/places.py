"""Places where routes can be kept, each for one test: what a store says of them, and what no store would do to them."""

import json
import re
import secrets
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from synaptoroute_core.storage import SqliteStore, Store
from synaptoroute_core.storage.postgres import PostgresStore
from synaptoroute_core.storage.postgres_layout import LAYOUT
from synaptoroute_core.storage.redis import RedisStore

SERVERS = (
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("redis", marks=pytest.mark.redis),
)
KINDS = (pytest.param("sqlite"), *SERVERS)

LEFT_S = 86_400
"""Older than this, what a test has made was left behind by one that was killed."""

VALUES = {
    "vector": "UPDATE utterances SET vector = ? WHERE text = ?",
    "text": "UPDATE utterances SET text = ? WHERE text = ?",
    "metadata": "UPDATE routes SET metadata = ? WHERE name = ?",
    "threshold": "UPDATE routes SET threshold = ? WHERE name = ?",
    "log": "UPDATE changes SET routes = ? WHERE routes <> ? AND revision = (SELECT max(revision) FROM changes)",
    "head": "UPDATE heads SET content = ? WHERE digest <> ?",
    "fits": "UPDATE state SET fits = ? WHERE fits <> ?",
}
"""What is exchanged by hand, behind the back of all routers."""


def new_namespace() -> str:
    """A name that nobody else has, and that tells when it was made."""
    return f"t_{int(time.time()):08x}_{secrets.token_hex(4)}"


def is_left(namespace: str) -> bool:
    """Whether a test that was killed has left it behind: it is one of ours, and old."""
    found = re.fullmatch(r"t_([0-9a-f]{8})_[0-9a-f]{8}", namespace)
    return found is not None and int(found[1], 16) < time.time() - LEFT_S


class Place(ABC):
    """Where one set of routes is kept.

    Attributes:
        argument: What ``AdaptiveRouter(store=...)`` takes.
        effort: How many examples a test may try, as a share of those that a file bears.
        struck: What the error says of a write that was made to fail.
        gone: What the error says where nothing is left.
        moment_s: About how long a change takes.
    """

    effort = 1.0
    moment_s = 0.004
    struck = "struck"
    gone = "does not exist"

    def __init__(self, argument: str) -> None:
        self.argument = argument

    @abstractmethod
    def open(self, **options: Any) -> Store:
        """A store."""

    @abstractmethod
    def log(self) -> list[int]:
        """Revisions in the log, in their order."""

    @abstractmethod
    def heads(self) -> int:
        """How many fitted heads are kept."""

    @abstractmethod
    def strike(self) -> Any:
        """A context in which every write fails in its middle."""

    @abstractmethod
    def save(self) -> None:
        """Keep a copy of all there is now."""

    @abstractmethod
    def restore(self) -> None:
        """Bring the copy back, while routers have the place open."""

    @abstractmethod
    def clear(self) -> None:
        """Take everything away, while routers have the place open."""

    @abstractmethod
    def exchange(self, what: str, value: Any, where: str = "") -> None:
        """Put a value in the place of another by hand (see ``VALUES``); None removes an utterance."""

    @abstractmethod
    def set_layout(self, number: int) -> None:
        """Have it look as if another version of the library had made it."""

    @abstractmethod
    def occupy(self) -> None:
        """Put something there that is not a router's."""

    @abstractmethod
    def remove(self) -> None:
        """Leave nothing behind."""


class SqlitePlace(Place):
    """A file."""

    gone = "was moved, removed or replaced"

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{secrets.token_hex(4)}.db"
        super().__init__(str(self.path))

    def open(self, **options: Any) -> Store:
        return SqliteStore(self.path, **options)

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            yield connection

    def log(self) -> list[int]:
        with self.raw() as raw:
            return [revision for (revision,) in raw.execute("SELECT revision FROM changes ORDER BY revision")]

    def execute(self, statement: str) -> list[tuple]:
        with self.raw() as raw:
            return raw.execute(statement).fetchall()

    def heads(self) -> int:
        return self.execute("SELECT count(*) FROM heads")[0][0]

    @contextmanager
    def strike(self) -> Iterator[None]:
        with self.raw() as raw:
            raw.execute("CREATE TRIGGER trap AFTER INSERT ON changes BEGIN SELECT RAISE(ABORT, 'struck'); END")
            yield
            raw.execute("DROP TRIGGER trap")

    def save(self) -> None:
        with self.raw() as raw, closing(sqlite3.connect(self.path.with_suffix(".copy"))) as copy:
            raw.backup(copy)

    def restore(self) -> None:
        with self.raw() as raw, closing(sqlite3.connect(self.path.with_suffix(".copy"))) as copy:
            copy.backup(raw)

    def clear(self) -> None:
        with self.raw() as raw:
            for statement in ("utterances", "routes", "encoder", "fits", "heads", "changes"):
                raw.execute(f"DELETE FROM {statement}")  # noqa: S608  # none of them comes from outside

    def exchange(self, what: str, value: Any, where: str = "") -> None:
        with self.raw() as raw:
            if value is None:
                raw.execute("DELETE FROM utterances WHERE text = ?", (where,))
            else:
                raw.execute(VALUES[what], (value, where))

    def set_layout(self, number: int) -> None:
        with self.raw() as raw:
            raw.execute(f"PRAGMA user_version = {number:d}")

    def occupy(self) -> None:
        self.path.write_text("routes: []\n" * 200)

    def remove(self) -> None:
        for file in self.path.parent.glob(f"{self.path.stem}.*"):
            file.unlink()


class PostgresPlace(Place):
    """A schema of a database."""

    effort = 0.12
    moment_s = 0.015

    def __init__(self, url: str) -> None:
        self.namespace = new_namespace()
        super().__init__(f"{url}{'&' if '?' in url else '?'}namespace={self.namespace}")
        self.url = url
        self.raw = psycopg.connect(url, autocommit=True, options=f"-c search_path={self.namespace}")

    def open(self, **options: Any) -> Store:
        return PostgresStore(self.url, namespace=self.namespace, **options)

    def _all(self, statement: str, *values: object) -> list[tuple]:
        cursor = self.raw.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def log(self) -> list[int]:
        return [revision for (revision,) in self._all("SELECT revision FROM changes ORDER BY revision")]

    def heads(self) -> int:
        return self._all("SELECT count(*) FROM heads")[0][0]

    @contextmanager
    def strike(self) -> Iterator[None]:
        self._all(
            "CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'struck'; END$$;"
            "CREATE TRIGGER trap AFTER INSERT ON changes FOR EACH ROW EXECUTE FUNCTION strike()"
        )
        yield
        self._all("DROP TRIGGER trap ON changes; DROP FUNCTION strike()")

    def save(self) -> None:
        for table in LAYOUT:
            self._all(f"CREATE TABLE copy_of_{table} AS TABLE {table}")

    def restore(self) -> None:
        with self.raw.transaction():
            self._all("DELETE FROM utterances; DELETE FROM heads; DELETE FROM changes; DELETE FROM routes")
            for table in ("routes", "utterances", "heads", "changes"):
                self._all(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE copy_of_{table}")
            self._all("DELETE FROM state; INSERT INTO state TABLE copy_of_state")

    def clear(self) -> None:
        self._all(f"DROP SCHEMA {self.namespace} CASCADE")

    def exchange(self, what: str, value: Any, where: str = "") -> None:
        # Texts are kept as JSON here.
        where = json.dumps(where) if what in ("vector", "text") else where
        if value is None:
            self._all("DELETE FROM utterances WHERE text = %s", where)
        else:
            value = json.dumps(value) if what == "text" else value
            self._all(VALUES[what].replace("?", "%s"), value, where)

    def set_layout(self, number: int) -> None:
        self._all("UPDATE state SET layout = %s", number)

    def occupy(self) -> None:
        self._all(f"CREATE SCHEMA {self.namespace}; CREATE TABLE {self.namespace}.state (id int)")

    def remove(self) -> None:
        if not self.raw.closed:
            self._all(f"DROP SCHEMA IF EXISTS {self.namespace} CASCADE")
            self.raw.close()


class RedisPlace(Place):
    """Keys that have a text in common."""

    effort = 0.2
    moment_s = 0.003
    struck = "heads is a string"
    gone = "was emptied"

    def __init__(self, url: str) -> None:
        self.namespace = new_namespace()
        super().__init__(f"{url}{'&' if '?' in url else '?'}namespace={self.namespace}")
        self.url = url
        self.raw = redis.Redis.from_url(url)
        self._copies: dict[bytes, bytes] = {}

    def open(self, **options: Any) -> Store:
        return RedisStore(self.url, namespace=self.namespace, **options)

    def key(self, part: str) -> str:
        return f"{{synaptoroute:{self.namespace}}}:{part}"

    def own_keys(self) -> list[bytes]:
        return list(self.raw.scan_iter(match=self.key("*"), count=10_000))

    def log(self) -> list[int]:
        return [int(entry.partition(b"-")[0]) for entry, _ in self.raw.xrange(self.key("log"))]

    def heads(self) -> int:
        return self.raw.hlen(self.key("heads"))

    @contextmanager
    def strike(self) -> Iterator[None]:
        assert not self.raw.exists(self.key("heads"))
        self.raw.set(self.key("heads"), "something else's")
        yield
        self.raw.delete(self.key("heads"))

    def save(self) -> None:
        self._copies = {key: self.raw.dump(key) for key in self.own_keys()}

    def restore(self) -> None:
        pipe = self.raw.pipeline()
        pipe.delete(*self.own_keys())
        for key, copy in self._copies.items():
            pipe.restore(key, 0, copy)
        pipe.execute()

    def clear(self) -> None:
        self.raw.delete(*self.own_keys())

    def exchange(self, what: str, value: Any, where: str = "") -> None:
        match what:
            case "log":
                entries = self.raw.xrange(self.key("log"))
                self.raw.delete(self.key("log"))
                entries[-1][1][b"routes"] = value
                for entry, fields in entries:
                    self.raw.xadd(self.key("log"), fields, id=entry)
            case "head":
                for digest in self.raw.hkeys(self.key("heads")):
                    self.raw.hset(self.key("heads"), digest, value)
            case "fits":
                self.raw.hset(self.key("state"), "fits", value)
            case _:
                self._exchange_in_route(what, value, where)

    def _exchange_in_route(self, what: str, value: Any, where: str) -> None:
        records = {name: json.loads(record) for name, record in self.raw.hgetall(self.key("routes")).items()}
        name = next((name for name, record in records.items() if where in record["utterances"]), where.encode())
        texts = records[name]["utterances"]
        number = texts.index(where) if where in texts else 0
        vectors = self.raw.hget(self.key("vectors"), name)
        size = len(vectors) // len(texts)
        if what == "vector":
            vectors = vectors[: number * size] + value + vectors[(number + 1) * size :]
        elif what != "text":
            records[name][what] = value
        elif value is None:
            del texts[number]
            vectors = vectors[: number * size] + vectors[(number + 1) * size :]
        else:
            texts[number] = value
        self.raw.hset(self.key("routes"), name, json.dumps(records[name]))
        self.raw.hset(self.key("vectors"), name, vectors)

    def set_layout(self, number: int) -> None:
        self.raw.hset(self.key("state"), "layout", number)

    def occupy(self) -> None:
        self.raw.hset(self.key("routes"), "id", 1)

    def remove(self) -> None:
        if keys := self.own_keys():
            self.raw.delete(*keys)
        self.raw.close()
