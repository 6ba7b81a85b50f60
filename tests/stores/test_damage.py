"""What somebody else has spoilt is reported, with the route and the place, and never taken for a route."""

import json

import numpy as np
import pytest
from feeding import commit, encoded, fill, loaded
from places import Place, PostgresPlace, RedisPlace, SqlitePlace
from watching import ENCODER, NEVER, router_on

from synaptoroute_core import StorageError
from synaptoroute_core.changes import PutRoutes, SetThresholds

VECTOR = ENCODER.encode(["text"])[0]
DAMAGES = {
    "a vector is cut short": ("vector", VECTOR[:-1].tobytes(), "first words"),
    "a vector has a NaN": ("vector", np.full_like(VECTOR, np.nan).tobytes(), "first words"),
    "a vector is infinite": ("vector", np.full_like(VECTOR, np.inf).tobytes(), "first words"),
    "a vector is zero": ("vector", bytes(4 * ENCODER.dim), "first words"),
    "a vector is far too long": ("vector", (VECTOR * 1000).tobytes(), "first words"),
    "metadata is no JSON": ("metadata", '{"half":', "a"),
    "metadata is no object": ("metadata", "[]", "a"),
    "a threshold is out of range": ("threshold", 77.0, "a"),
    "a threshold is no number": ("threshold", float("nan"), "a"),
    "an utterance is blank": ("text", "  ", "first words"),
    "an utterance is there twice": ("text", "SECOND words", "first words"),
}


@pytest.fixture
def filled(place) -> Place:
    """A place with two routes, at revision 2."""
    store = place.open()
    fill(store)
    store.close()
    return place


def where(place: Place) -> str:
    """How messages name it."""
    return place.path.name if isinstance(place, SqlitePlace) else place.namespace


def is_reported(place: Place, pattern: str) -> None:
    """Check what a store and a router say."""
    store = place.open()
    with pytest.raises(StorageError, match=pattern):
        store.read(0)
    store.close()
    with pytest.raises(StorageError, match=pattern):
        router_on(place, NEVER)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_reported_with_the_route_and_the_place(filled, damage: str) -> None:
    """Other projects check a stored vector's length in bytes alone, and cannot open a store with a blank text."""
    what, value, of = DAMAGES[damage]
    if value != value and isinstance(filled, SqlitePlace):  # noqa: PLR0124  # a NaN
        value = "high"  # SQLite has no NaN, and takes a text where a number should be
    filled.exchange(what, value, of)
    is_reported(filled, rf"'a'.*{where(filled)}")


def test_a_route_that_lost_its_utterances_is_reported(filled) -> None:
    for text in ("first words", "second words"):
        filled.exchange("text", None, text)
    is_reported(filled, rf"'a'.*{where(filled)}")


def test_damage_to_the_log_is_reported_and_mended_by_a_restart(filled) -> None:
    store, other = filled.open(), filled.open()
    index = loaded(store.read(0))
    commit(other, SetThresholds({"a": 0.5}))
    for spoilt in ("no JSON", "5", "[[]]"):
        filled.exchange("log", spoilt)
        with pytest.raises(StorageError, match=rf"log of .*{where(filled)} is damaged"):
            store.read(index.revision)
    assert loaded(store.read(0)).names() == ["a", "b"]
    store.close()
    other.close()


STATEMENTS = {
    "an utterance of a text that is none": "UPDATE utterances SET text = 'no JSON'",
    "a description that is none": "UPDATE routes SET description = 'no JSON'",
    "no encoder": "UPDATE state SET fingerprint = NULL",
    "another length of vectors": "UPDATE state SET dim = 5",
    "no state": "DELETE FROM state",
    "a table is gone": "DROP TABLE utterances",
}


@pytest.mark.postgres
@pytest.mark.parametrize("new_place", ["postgres"], indirect=True)
@pytest.mark.parametrize("damage", STATEMENTS)
def test_damage_of_tables_is_reported_with_the_schema(filled: PostgresPlace, damage: str) -> None:
    store = filled.open()
    filled.raw.execute(STATEMENTS[damage])
    with pytest.raises(StorageError, match=rf"schema {filled.namespace}"):
        store.read(0)
    with pytest.raises(StorageError, match=rf"schema {filled.namespace}"):
        commit(store, PutRoutes((encoded("c", "words"),)))
    store.close()


FIELDS = {
    "revision": ["", "many", None],
    "count": ["", "many", "7", None],
    "places": ["many", None],
    "dim": ["many", "5", "0", None],
    "fingerprint": [b"\xff"],
    "fits": ["{", "5", '[{"head": "gone"}]', '["no fit"]', None],
    "epoch": [None, b"\xff"],
}


@pytest.mark.redis
@pytest.mark.parametrize("new_place", ["redis"], indirect=True)
@pytest.mark.parametrize("field", FIELDS)
def test_damage_of_the_state_is_reported_with_the_namespace(filled: RedisPlace, field: str) -> None:
    store, key = filled.open(), filled.key("state")
    before = filled.raw.hget(key, field)
    for value in FIELDS[field]:
        filled.raw.hdel(key, field) if value is None else filled.raw.hset(key, field, value)
        with pytest.raises(StorageError, match=rf"namespace {filled.namespace}"):
            store.read(0)
        with pytest.raises(StorageError, match=rf"namespace {filled.namespace}"):
            commit(store, PutRoutes((encoded("c", "words"),)))
    filled.raw.hset(key, field, before)
    assert loaded(store.read(0)).names() == ["a", "b"]
    store.close()


@pytest.mark.redis
@pytest.mark.parametrize("new_place", ["redis"], indirect=True)
@pytest.mark.parametrize(
    "record",
    [b"no JSON", b"[]", b"5", b"{}", b"\xff", json.dumps({"place": "first", "utterances": ["first words"]}).encode()],
)
def test_damage_of_a_record_is_reported_with_the_namespace(filled: RedisPlace, record: bytes) -> None:
    filled.raw.hset(filled.key("routes"), "a", record)
    is_reported(filled, rf"route.*namespace {filled.namespace}")


@pytest.mark.redis
@pytest.mark.parametrize("new_place", ["redis"], indirect=True)
@pytest.mark.parametrize("part", ["state", "routes", "vectors", "log"])
def test_a_key_of_something_else_is_reported_and_left_alone(filled: RedisPlace, part: str) -> None:
    with router_on(filled, NEVER) as router:
        filled.raw.set(filled.key(part), "something else's")
        before = {key: filled.raw.dump(key) for key in filled.own_keys()}
        with pytest.raises(StorageError, match=filled.namespace):
            router.add_utterances("a", ["more words"])
        with pytest.raises(StorageError, match=rf"{filled.namespace}.*something else's"):
            filled.open()
        assert {key: filled.raw.dump(key) for key in filled.own_keys()} == before


@pytest.mark.redis
@pytest.mark.parametrize("new_place", ["redis"], indirect=True)
@pytest.mark.parametrize("part", ["routes", "vectors"])
def test_keys_that_the_server_threw_away_are_missed(filled: RedisPlace, part: str) -> None:
    """It may be set up to make room when its memory is full."""
    filled.raw.delete(filled.key(part))
    is_reported(filled, rf"namespace {filled.namespace} is damaged: not all of its routes are there")
