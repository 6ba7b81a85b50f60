"""Where a store is said to be: URLs, namespaces, what messages show of them, and what is found there."""

import logging
import pickle
import subprocess
import sys
import traceback
from contextlib import closing

import pytest
from places import SERVERS, RedisPlace, SqlitePlace
from servers import PrivateRedis
from watching import ENCODER, GREETING, NEVER, eventually, router_on, state, stored

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, StorageError
from synaptoroute_core.storage import open_store
from synaptoroute_core.storage.migrations import MIGRATIONS

ON_SERVERS = pytest.mark.parametrize("new_place", SERVERS, indirect=True)
PASSWORD = "s3cr3t-p4ss"  # noqa: S105  # of nobody
NOWHERE = {
    "postgresql": f"postgresql://user:{PASSWORD}@127.0.0.1:1/database",
    "postgresql, in the query": f"postgresql://127.0.0.1:1/database?user=u&password={PASSWORD}",
    "redis": f"redis://user:{PASSWORD}@127.0.0.1:1/0",
    "redis, in the query": f"redis://127.0.0.1:1/0?password={PASSWORD}",
}
NO_URLS = (
    f"postgresql://user:{PASSWORD}[@host/database",
    f"postgresql://user:{PASSWORD}@host:1/database?no_such_option=1",
    f"postgresql://user:{PASSWORD}@{PASSWORD}@host/database",
    f"redis://user:{PASSWORD}/@host:1/0",
    f"redis://user:{PASSWORD}[@host:1/0",
    f"redis://user:{PASSWORD}@host:1/0?no_such_option=1",
    f"redis://user:{PASSWORD}@host:1/0?socket_timeout=soon",
    f"redis://user:{PASSWORD}@host:1/abc",
    f"mysql://user:{PASSWORD}@host/database",
    f"mysql://user:{PASSWORD}[@host/database",
    "://",
)


# --- addresses --------------------------------------------------------------------------------------


@ON_SERVERS
def test_one_server_keeps_as_many_sets_of_routes_as_there_are_namespaces(new_place) -> None:
    first, second = new_place(), new_place()
    with router_on(first, NEVER, routes=[GREETING]), router_on(second, NEVER) as other:
        assert (other.revision, dict(other.routes)) == (0, {})
        other.add_route(Route("weather", ["will it rain"]))
        assert list(dict(stored(first)[1])) == ["greeting"]


@ON_SERVERS
def test_an_address_may_say_more_than_the_namespace(place) -> None:
    more = {"postgres": "connect_timeout=3", "redis": "health_check_interval=30"}
    separate = "&".join(
        [more["redis" if isinstance(place, RedisPlace) else "postgres"], f"namespace={place.namespace}"]
    )
    with AdaptiveRouter([GREETING], encoder=ENCODER, store=f"{place.url}?{separate}") as router:
        assert state(router) == stored(place)


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
@pytest.mark.parametrize("namespace", ["", "a%20b", "a%2Fb", "a;b", "x" * 129, "%00", "{a}"])
def test_a_namespace_that_cannot_be_one_is_refused(scheme: str, namespace: str) -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        open_store(f"{scheme}://127.0.0.1:1/0?namespace={namespace}")


@pytest.mark.parametrize(
    "address", [f"postgresql:/user:{PASSWORD}@host/database", "Redis:cache", "unix:/run/redis.sock"]
)
def test_half_a_url_makes_no_file(address: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="is followed by //") as raised:
        AdaptiveRouter(encoder=ENCODER, store=address)
    assert PASSWORD not in str(raised.value)
    assert not list(tmp_path.iterdir())


@ON_SERVERS
def test_an_address_may_give_the_time_out_and_have_its_scheme_in_capitals(place) -> None:
    scheme, rest = place.url.split("://", 1)
    url = f"{scheme.upper()}://{rest}?timeout_s=7.5&namespace={place.namespace}"
    with AdaptiveRouter([GREETING], encoder=ENCODER, store=url) as router:
        assert state(router) == stored(place)
    with closing(open_store(url)) as store:
        assert store._timeout_s == 7.5


@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
@pytest.mark.parametrize("timeout", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_time_out_that_cannot_be_one_is_refused(scheme: str, timeout: str) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout_s.*above 0"):
        open_store(f"{scheme}://127.0.0.1:1/0?timeout_s={timeout}")


def test_each_host_of_an_address_is_named_with_its_port() -> None:
    with pytest.raises(StorageError, match=r"the database 127\.0\.0\.1:1,localhost:2/routes"):
        open_store("postgresql://127.0.0.1:1,localhost:2/routes")


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_store(url)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))
    assert "redis://" in str(raised.value) or "postgresql://" in str(raised.value)


@pytest.mark.parametrize("url", NOWHERE.values(), ids=NOWHERE)
def test_a_server_that_does_not_answer_is_named_without_showing_the_password(url: str) -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1/.*namespace|127\.0\.0\.1:1/.*schema") as raised:
        AdaptiveRouter(encoder=ENCODER, store=url)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


@ON_SERVERS
def test_a_password_is_shown_nowhere(place, caplog: pytest.LogCaptureFixture, capfd) -> None:
    """Where none is asked for, PostgreSQL does not look at it, and Redis refuses it."""
    user = "" if isinstance(place, RedisPlace) else "postgres"
    place.url = place.url.replace(f"//{user}@" if user else "//", f"//{user}:{PASSWORD}@")
    with caplog.at_level(logging.DEBUG):
        try:
            with router_on(place.open()) as router:
                place.clear()
                eventually(lambda: router.sync_status().failing)
                shown = [repr(router), repr(router._store), str(router._store), router.sync_status().model_dump_json()]
        except StorageError as error:
            shown = traceback.format_exception(error)
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if PASSWORD in text]


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"psycopg", "redis"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from synaptoroute_core import AdaptiveRouter, HashingEncoder

for url in sys.argv[1:]:
    try:
        AdaptiveRouter(encoder=HashingEncoder(dim=32), store=url)
    except ImportError as error:
        sys.stdout.write(f"{error}\\n")
"""


def test_where_the_driver_is_missing_the_error_says_how_to_install_it() -> None:
    command = [sys.executable, "-c", WITHOUT, *NOWHERE.values()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *["psycopg is not installed: pip install 'synaptoroute-integrations[postgres]'"] * 2,
        *["redis is not installed: pip install 'synaptoroute-integrations[redis]'"] * 2,
    ]


# --- what is found there ----------------------------------------------------------------------------


def test_a_place_of_something_else_is_refused_and_left_alone(place) -> None:
    place.occupy()
    before = place.path.read_text() if isinstance(place, SqlitePlace) else None
    for _ in range(2):
        with pytest.raises(StorageError, match=r"not a database|something else's|not a router's"):
            place.open()
    if isinstance(place, SqlitePlace):
        assert place.path.read_text() == before
    elif isinstance(place, RedisPlace):
        assert place.own_keys() == [place.key("routes").encode()]


def test_a_place_of_a_newer_version_is_refused_and_left_alone(place) -> None:
    with router_on(place, NEVER, routes=[GREETING]) as router:
        before = state(router)
    place.set_layout(99)
    with pytest.raises(StorageError, match=r"layout 99.*upgrade the library"):
        router_on(place)
    place.set_layout(len(MIGRATIONS) if isinstance(place, SqlitePlace) else 1)
    assert stored(place) == before


# --- pickles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["address", "store"])
def test_a_pickled_router_carries_where_its_routes_are(place, given: str) -> None:
    with router_on(place if given == "address" else place.open(), routes=[GREETING]) as router:
        data = pickle.dumps(router)
        assert b"hello there" not in data
        with pickle.loads(data) as twin:
            router.add_utterances("greeting", ["good day"])
            twin.add_route(Route("weather", ["will it rain"]))
            assert twin.routes["greeting"].utterances == (*GREETING.utterances, "good day")
            assert state(twin) == stored(place)


@ON_SERVERS
def test_a_pickled_store_keeps_its_settings(place) -> None:
    store = place.open(poll_interval_s=7.0, notify=False, timeout_s=3.0)
    twin = pickle.loads(pickle.dumps(store))
    assert (twin.poll_interval_s, twin._arguments) == (7.0, store._arguments)
    for each in (store, twin):
        each.close()


# --- servers that are set up in another way ----------------------------------------------------------


@pytest.mark.redis
def test_a_redis_user_who_may_not_publish_changes_routes_all_the_same() -> None:
    """As all new users are unless something else is said; others then find what is new when they look."""
    with PrivateRedis(None) as server:
        place = RedisPlace(server.url)
        place.raw.execute_command("ACL", "SETUSER", "limited", "on", f">{PASSWORD}", "~*", "resetchannels", "+@all")
        place.url = server.url.replace("redis://", f"redis://limited:{PASSWORD}@")
        with (
            router_on(place.open(poll_interval_s=0.05)) as author,
            router_on(place.open(poll_interval_s=0.05)) as reader,
        ):
            assert author.add_route(GREETING).revision == 1
            eventually(lambda: reader.revision == 1)
            assert state(reader) == state(author)
        place.raw.close()
