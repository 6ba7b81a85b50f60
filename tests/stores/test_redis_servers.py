"""Redis servers that are set up in other ways: users with few rights, little memory, another protocol, replicas."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from places import RedisPlace
from servers import PrivateRedis
from watching import ENCODER, FAREWELL, GREETING, NEVER, OFTEN, eventually, look, router_on, state, stored

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, StorageError
from synaptoroute_core.fits import Fit
from synaptoroute_core.storage import open_store

pytestmark = pytest.mark.redis

PASSWORD = "s3cr3t-p4ss"  # noqa: S105  # of nobody
NEEDED = (
    "eval",
    "hmget",
    "hget",
    "hset",
    "hdel",
    "hlen",
    "hkeys",
    "xadd",
    "xrange",
    "get",
    "set",
    "del",
    "exists",
    "type",
    "client|setname",
)
"""What docs/scaling.md says that a user needs."""
HINTING = ("publish", "subscribe")
WRITING = ("hset", "hdel", "xadd", "del")


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    """A server of one's own."""
    with PrivateRedis(None) as started:
        yield started


@pytest.fixture
def spot(server: PrivateRedis) -> Iterator[RedisPlace]:
    """A place on it."""
    place = RedisPlace(server.url)
    yield place
    place.remove()


def with_rights(place: RedisPlace, *rights: str) -> str:
    """The URL of a user who may do no more than this."""
    place.raw.execute_command("ACL", "SETUSER", "limited", "reset", "on", f">{PASSWORD}", *rights)
    return place.argument.replace("redis://", f"redis://limited:{PASSWORD}@")


def contents(place: RedisPlace) -> dict[bytes, object]:
    """All that a reader looks at."""
    kept = {key: place.raw.dump(key) for key in place.own_keys() if not key.endswith((b":turn", b":state"))}
    return {**kept, b"state": {**place.raw.hgetall(place.key("state")), b"fence": None}}


CHANGES = {
    "add": lambda router: router.add_route(Route("weather", ["will it rain"])),
    "replace": lambda router: router.add_route(Route("greeting", ["good day"]), overwrite=True),
    "extend": lambda router: router.add_utterances("greeting", ["hi"]),
    "drop": lambda router: router.remove_route("greeting"),
    "threshold": lambda router: router.update_threshold("greeting", 0.5),
    "fit": lambda router: router._editor.restore_fits((Fit(kind="thresholds", threshold=0.4),)),
}


# --- rights ----------------------------------------------------------------------------------------


def test_a_user_with_the_rights_that_the_page_names_can_make_every_change(spot: RedisPlace) -> None:
    rights = ("~{synaptoroute:*", "&{synaptoroute:*", *(f"+{name}" for name in (*NEEDED, *HINTING)))
    url = with_rights(spot, *rights)
    with router_on(spot.open(), OFTEN) as other, AdaptiveRouter(encoder=ENCODER, store=url, config=NEVER) as router:
        router.add_route(FAREWELL)
        for number, change in enumerate(CHANGES):
            router.add_route(GREETING, overwrite=True)
            CHANGES[change](router)
            assert router.revision >= number
        eventually(lambda: other.revision == router.revision)
        assert state(router) == stored(spot) == state(other)


@pytest.mark.parametrize("missing", WRITING)
@pytest.mark.parametrize("change", CHANGES)
def test_a_user_who_may_make_a_part_of_a_change_only_makes_none(missing: str, change: str, spot: RedisPlace) -> None:
    """A script that is refused a command in its middle leaves what it has done so far."""
    with router_on(spot, NEVER, routes=[GREETING, FAREWELL]) as author:
        url = with_rights(spot, "~*", "&*", "+@all", f"-{missing}")
        with AdaptiveRouter(encoder=ENCODER, store=url, config=NEVER) as router:
            before = contents(spot)
            with pytest.raises(StorageError, match="cannot write"):
                CHANGES[change](router)
            assert contents(spot) == before
            assert state(router) == stored(spot)
        CHANGES[change](author)
        assert author.revision == 2
        assert state(author) == stored(spot)


def test_a_user_who_may_only_read_follows(spot: RedisPlace) -> None:
    with router_on(spot, routes=[GREETING]) as author:
        url = with_rights(spot, "~*", "&*", "+@all", "-@write")
        with AdaptiveRouter(encoder=ENCODER, store=url) as reader:
            author.add_route(FAREWELL)
            eventually(lambda: list(reader.routes) == ["greeting", "farewell"])
            with pytest.raises(StorageError, match="cannot write"):
                reader.remove_route("greeting")
            assert state(reader) == state(author) == stored(spot)


# --- servers ---------------------------------------------------------------------------------------


def test_a_server_whose_memory_is_full_refuses_a_change_as_a_whole_and_is_read_on(spot: RedisPlace) -> None:
    with router_on(spot, NEVER, routes=[GREETING]) as router:
        before = contents(spot)
        spot.raw.config_set("maxmemory", 1)
        try:
            for change in CHANGES.values():
                with pytest.raises(StorageError, match="maxmemory"):
                    change(router)
            assert contents(spot) == before
            assert stored(spot) == state(router)
        finally:
            spot.raw.config_set("maxmemory", 0)
        assert router.add_route(FAREWELL).revision == 2


@pytest.mark.parametrize("protocol", [2, 3])
def test_either_protocol_will_do(protocol: int, spot: RedisPlace) -> None:
    url = f"{spot.url}?protocol={protocol}&namespace={spot.namespace}"
    with (
        AdaptiveRouter([GREETING], encoder=ENCODER, store=url) as router,
        AdaptiveRouter(encoder=ENCODER, store=url) as other,
    ):
        for change in CHANGES.values():
            if "greeting" in router.routes:
                change(router)
        eventually(lambda: other.revision == router.revision)
        assert state(other) == state(router) == stored(spot)


def test_names_in_any_script_are_found_by_those_who_follow(spot: RedisPlace) -> None:
    """The server's scripts read them out of JSON, in which they are written as pairs of escapes."""
    names = ["grüße", "日本語", "𐌰𐌱𐌲", "ﬁ"]
    with router_on(spot, NEVER) as author, router_on(spot, NEVER) as reader:
        for name in names:
            author.add_route(Route(name, [f"text of {name}"]))
            assert name in look(reader).routes
        author.remove_route(names[2])
        assert state(look(reader)) == state(author) == stored(spot)


def test_a_url_that_asks_for_texts_in_the_place_of_bytes_is_refused(server: PrivateRedis) -> None:
    with pytest.raises(ConfigurationError):
        open_store(f"{server.url}?decode_responses=True")


def test_a_server_may_be_reached_by_a_file_of_this_machine(tmp_path: Path) -> None:
    with PrivateRedis(None, "--unixsocket", str(tmp_path / "s")) as server:
        url = f"unix://{tmp_path / 's'}?namespace=here"
        with (
            AdaptiveRouter([GREETING], encoder=ENCODER, store=url) as router,
            AdaptiveRouter(encoder=ENCODER, store=f"{server.url}?namespace=here") as other,
        ):
            router.add_route(FAREWELL)
            eventually(lambda: state(other) == state(router))


@pytest.mark.parametrize("command", ["HDEL", "XADD", "PUBLISH"])
def test_a_server_on_which_a_command_has_another_name_makes_no_half_a_change(command: str) -> None:
    with PrivateRedis(None, "--rename-command", command, "") as server:
        place = RedisPlace(server.url)
        with router_on(place, NEVER) as router:
            before = contents(place)
            if command == "PUBLISH":  # no more than a hint
                assert router.add_route(GREETING).revision == 1
            else:
                with pytest.raises(StorageError, match="cannot write"):
                    router.add_route(GREETING)
                assert contents(place) == before
        place.raw.close()


def test_a_replica_is_followed_and_refuses_changes_until_it_is_the_one_that_takes_them(spot: RedisPlace) -> None:
    with PrivateRedis(None) as second, router_on(spot, routes=[GREETING]) as author:
        copy = RedisPlace(second.url)
        copy.namespace = spot.namespace
        copy.raw.replicaof("127.0.0.1", int(spot.url.rpartition(":")[2].partition("/")[0]))
        eventually(lambda: copy.raw.info("replication").get("master_link_status") == "up")
        with router_on(copy.open(), OFTEN) as reader:
            author.add_route(FAREWELL)
            eventually(lambda: reader.revision == 2)
            assert state(reader) == state(author)
            with pytest.raises(StorageError, match="cannot write"):
                reader.remove_route("greeting")
            copy.raw.replicaof("NO", "ONE")
            assert reader.remove_route("greeting").revision == 3
            assert list(look(reader).routes) == ["farewell"]
        copy.raw.close()
