"""Services as processes of their own on one store, which can be taken away from all of them."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from launched import Launched, figures, launching, serving, wait_until
from places import PostgresPlace
from proxy import AWAY, Proxy
from servers import PrivateRedis

POSTGRES = os.environ.get("SYNAPTOROUTE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "redis")]
PASSWORD = "hunter2"  # noqa: S105  # nobody's
STALE_S = 3
"""Stores are looked at every two seconds, so that a service is a little more than that behind while all is well."""


@dataclass(frozen=True)
class SharedStore:
    """A store.

    Attributes:
        url: Its URL.
        take_away: Cuts everybody off, as a crash of its server does.
        bring_back: Ends that.
    """

    url: str
    take_away: Callable[[], None]
    bring_back: Callable[[], None]

    @property
    def password(self) -> str | None:
        """The password in its URL."""
        return urlsplit(self.url).password

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Have it away as long as the block runs."""
        self.take_away()
        try:
            yield
        finally:
            self.bring_back()


@contextlib.contextmanager
def shared_store(kind: str, folder: Path) -> Iterator[SharedStore]:
    """A store with nothing in it, on a server that nobody else uses or behind a network that nobody else uses."""
    if kind == "redis":
        with PrivateRedis(folder) as server:
            yield SharedStore(f"{server.url}?namespace=pods", server.kill, server.start)
        return
    try:
        place = PostgresPlace(POSTGRES)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server answers ({type(error).__name__}): make test-services")
    with contextlib.ExitStack() as stack:
        stack.callback(place.remove)
        proxy = stack.enter_context(Proxy(with_password(place.argument)))
        yield SharedStore(proxy.url, lambda: proxy.suffer(AWAY), proxy.heal)


def with_password(url: str) -> str:
    """The URL with a password, which a server that trusts everybody does not look at."""
    parts = urlsplit(url)
    front = f"{parts.username}:{parts.password or PASSWORD}"
    return urlunsplit(parts._replace(netloc=f"{front}@{parts.hostname}:{parts.port or 5432}"))


@dataclass(frozen=True)
class Pods:
    """Two services on one store.

    Attributes:
        store: The store.
        first: One.
        second: Another, perhaps with several workers.
    """

    store: SharedStore
    first: Launched
    second: Launched

    @property
    def both(self) -> tuple[Launched, Launched]:
        """Each of them."""
        return self.first, self.second

    def are_alike(self) -> bool:
        """Whether both decide by the same routes, as their figures say."""
        names = "synaptoroute_revision", "synaptoroute_routes_digest"
        first, second = ([figures(each.url)[name] for name in names] for each in self.both)
        return first == second


@contextlib.contextmanager
def pods_on(store: SharedStore, folder: Path, workers: int) -> Iterator[Pods]:
    """Services on a store, ready."""
    with launching(folder) as launch:
        serve = serving(launch)
        arguments = ["--db", store.url]
        environment = {"SYNAPTOROUTE_MAX_STALENESS_S": str(STALE_S)}
        first = serve(*arguments, **environment)
        second = serve(*arguments, "--workers", str(workers), **environment)
        wait_until(lambda: second.process.poll() is not None or second.text().count("ready: ") == workers)
        yield Pods(store, first.wait_ready(), second.wait_ready())
