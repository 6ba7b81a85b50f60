"""Fixtures of the tests that every store must pass: each is run on a file, on PostgreSQL and on Redis."""

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis
from neighbours import Neighbour
from nursery import Nursery, start_nursery
from places import KINDS, Place, PostgresPlace, RedisPlace, SqlitePlace, is_left

POSTGRES = os.environ.get("SYNAPTOROUTE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
REDIS = os.environ.get("SYNAPTOROUTE_TEST_REDIS", "redis://127.0.0.1:6379/0")
WAIT_S = 2


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A PostgreSQL database, if there is one."""
    try:
        with psycopg.connect(POSTGRES, connect_timeout=WAIT_S, autocommit=True) as raw:
            for (namespace,) in raw.execute("SELECT nspname FROM pg_namespace").fetchall():
                if is_left(namespace):
                    raw.execute(f"DROP SCHEMA IF EXISTS {namespace} CASCADE")
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server answers ({type(error).__name__}): make test-services says how to start one")
    return POSTGRES


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A Redis database, if there is one."""
    try:
        with redis.Redis.from_url(REDIS, socket_connect_timeout=WAIT_S) as client:
            left = [key for key in client.scan_iter(match="{synaptoroute:t_*", count=10_000) if is_left(owner_of(key))]
            client.delete("nothing", *left)
    except redis.RedisError as error:
        pytest.skip(f"no Redis server answers ({type(error).__name__}): make test-services says how to start one")
    return REDIS


def owner_of(key: bytes) -> str:
    """The namespace of a key."""
    return key.decode().removeprefix("{synaptoroute:").partition("}")[0]


@pytest.fixture(params=KINDS)
def new_place(request, tmp_path) -> Iterator[Callable[[], Place]]:
    """Makes places of one kind, where there is nothing yet; they are gone when the test ends."""
    places: list[Place] = []

    def make() -> Place:
        match request.param:
            case "sqlite":
                place = SqlitePlace(tmp_path)
            case "postgres":
                place = PostgresPlace(request.getfixturevalue("postgres_url"))
            case _:
                place = RedisPlace(request.getfixturevalue("redis_url"))
        places.append(place)
        return place

    yield make
    for place in places:
        place.remove()


@pytest.fixture
def place(new_place) -> Place:
    """A place where there is nothing yet."""
    return new_place()


@pytest.fixture(scope="session")
def neighbourhood() -> Iterator[list[Neighbour]]:
    """Three other processes, used again and again."""
    started = [Neighbour() for _ in range(3)]
    yield started
    for neighbour in started:
        neighbour.close()


@pytest.fixture
def neighbours(neighbourhood) -> list[Neighbour]:
    """Three other processes, whatever the test before left of them."""
    for neighbour in neighbourhood:
        neighbour.forget()
    return neighbourhood


@pytest.fixture
def neighbour(neighbours) -> Neighbour:
    """One of them."""
    return neighbours[0]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Starts writers that are to be killed."""
    with start_nursery() as process:
        yield Nursery(process)
