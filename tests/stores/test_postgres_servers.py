"""PostgreSQL set up in other ways: encodings, users with few rights, defaults, standbys, and a pool before it."""

from collections.abc import Iterator

import psycopg
import pytest
from places import PostgresPlace
from servers import PrivateBouncer, PrivatePostgres
from watching import ENCODER, FAREWELL, GREETING, NEVER, OFTEN, eventually, look, router_on, state, stored

from synaptoroute_core import AdaptiveRouter, Route, StorageError
from synaptoroute_core.storage.postgres import PostgresStore

pytestmark = pytest.mark.postgres

FOREIGN = Route(
    "grüße", ["日本語のテキスト", "naïve café", "null \x00 inside"], description="🙂 \x00", metadata={"k": "ü\x00"}
)
MAKE = "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    """A server of one's own."""
    with PrivatePostgres() as started:
        yield started


@pytest.fixture
def spot(server: PrivatePostgres) -> Iterator[PostgresPlace]:
    """A place on it."""
    place = PostgresPlace(server.url)
    yield place
    place.remove()


def run(server: PrivatePostgres, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as raw:
        for statement in statements:
            raw.execute(statement)


# --- encodings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII"])
def test_any_text_is_kept_by_a_database_that_can_hold_it(
    encoding: str, server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever encoding the client's environment names."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    run(server, MAKE.format(name=(name := f"texts_{encoding.lower()}"), encoding=encoding))
    url = server.url.removesuffix("/postgres") + f"/{name}"
    with (
        AdaptiveRouter(encoder=ENCODER, store=url, config=NEVER) as router,
        AdaptiveRouter(encoder=ENCODER, store=url, config=NEVER) as other,
    ):
        router.add_route(FOREIGN)
        router.add_utterances(FOREIGN.name, ["更多"])
        router.remove_utterances(FOREIGN.name, ["naïve café"])
        assert look(other).routes[FOREIGN.name].utterances == (FOREIGN.utterances[0], FOREIGN.utterances[2], "更多")
        assert state(other) == state(router)


def test_a_database_that_cannot_hold_every_text_is_refused_and_left_alone(server: PrivatePostgres) -> None:
    run(server, MAKE.format(name="narrow", encoding="LATIN1"))
    url = server.url.removesuffix("/postgres") + "/narrow"
    with pytest.raises(StorageError, match=r"encoding LATIN1.*UTF8"):
        PostgresStore(url)
    with psycopg.connect(url) as raw:
        found = raw.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'synaptoroute'").fetchone()
    assert found == (0,)


# --- rights and defaults ---------------------------------------------------------------------------


def test_a_user_without_the_right_to_create_works_with_what_another_has_made(
    server: PrivatePostgres, spot: PostgresPlace
) -> None:
    run(server, "CREATE ROLE plain LOGIN", "CREATE ROLE looker LOGIN")
    url = server.url.replace("postgres@", "plain@")
    with pytest.raises(StorageError, match="permission denied"):
        PostgresStore(url, namespace=spot.namespace)
    with router_on(spot, OFTEN, routes=[GREETING]) as owner:
        run(
            server,
            f"GRANT USAGE ON SCHEMA {spot.namespace} TO plain, looker",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {spot.namespace} TO plain",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {spot.namespace} TO looker",
        )
        with router_on(PostgresStore(url, namespace=spot.namespace), NEVER) as plain:
            plain.add_route(FAREWELL)
            plain.remove_route("greeting")
            eventually(lambda: state(owner) == state(plain))
        looking = PostgresStore(server.url.replace("postgres@", "looker@"), namespace=spot.namespace)
        with router_on(looking, OFTEN) as looker:
            owner.add_utterances("farewell", ["so long"])
            eventually(lambda: state(looker) == state(owner))
            with pytest.raises(StorageError, match="permission denied"):
                looker.remove_route("farewell")
            assert state(looker) == stored(spot)


def test_a_user_who_may_not_create_schemas_can_be_given_one(server: PrivatePostgres) -> None:
    run(server, "CREATE ROLE tenant LOGIN", "CREATE SCHEMA tenant AUTHORIZATION tenant")
    url = server.url.replace("postgres@", "tenant@")
    with router_on(PostgresStore(url, namespace="tenant"), NEVER, routes=[GREETING]) as tenant:
        assert tenant.revision == 1
    with pytest.raises(StorageError, match="permission denied"):
        PostgresStore(url, namespace="another")


@pytest.mark.parametrize(
    "default",
    [
        "search_path=nowhere",
        "default_transaction_isolation=serializable",
        "default_transaction_deferrable=on",
        "synchronous_commit=off",
        "bytea_output=escape",
        "standard_conforming_strings=off",
        "DateStyle=German",
        "extra_float_digits=-3",
        "statement_timeout=20s",
        "row_security=off",
        "jit_above_cost=0",
    ],
)
def test_it_does_not_matter_what_the_defaults_of_the_database_are(default: str, spot: PostgresPlace) -> None:
    url = f"{spot.url}?options=-c%20{default.replace('=', '%3D')}"
    route = Route("exact", ["a \\ b ' c"], threshold=0.1 + 0.2, metadata={"path": "C:\\x"})
    with (
        router_on(PostgresStore(url, namespace=spot.namespace), NEVER) as router,
        router_on(PostgresStore(url, namespace=spot.namespace), NEVER) as other,
    ):
        router.add_route(route)
        other.add_route(GREETING)
        router.update_threshold("exact", 1 / 3)
        assert look(other).routes["exact"].threshold == 1 / 3
        assert state(other) == state(router) == stored(spot)


def test_what_the_url_says_of_a_connection_holds(spot: PostgresPlace) -> None:
    url = f"{spot.url}?connect_timeout=17&application_name=mine&client_encoding=LATIN1"
    with router_on(PostgresStore(url, namespace=spot.namespace), NEVER) as router:
        connection = router._store._session._connection
        assert connection.info.get_parameters()["connect_timeout"] == "17"
        assert connection.info.parameter_status("application_name") == "mine"
        assert connection.info.encoding == "utf-8"  # but for what must be so


@pytest.mark.parametrize("namespace", ["pg_routes", "a" * 48, "select", "user", "public"])
def test_a_namespace_is_a_name_and_no_word_of_the_language(namespace: str, server: PrivatePostgres) -> None:
    if namespace.startswith("pg_"):
        with pytest.raises(StorageError, match=r"reserved|unacceptable"):
            PostgresStore(server.url, namespace=namespace)
        return
    with (
        router_on(PostgresStore(server.url, namespace=namespace), OFTEN) as router,
        router_on(PostgresStore(server.url, namespace=namespace), NEVER) as other,
    ):
        other.add_route(GREETING)
        eventually(lambda: state(router) == state(other))


# --- other servers ---------------------------------------------------------------------------------


def test_a_standby_is_followed_and_refuses_changes(server: PrivatePostgres, spot: PostgresPlace) -> None:
    with router_on(spot, NEVER, routes=[GREETING]) as author, server.standby() as url:
        with router_on(PostgresStore(url, namespace=spot.namespace), OFTEN) as reader:
            author.add_route(FAREWELL)
            eventually(lambda: state(reader) == state(author))
            with pytest.raises(StorageError, match="read-only"):
                reader.remove_route("greeting")
            author.remove_route("greeting")
            eventually(lambda: state(reader) == state(author))
        with pytest.raises(StorageError, match="read-only"):
            PostgresStore(url, namespace="not_there")


def test_a_pool_that_gives_each_transaction_another_connection_may_stand_between(
    server: PrivatePostgres, spot: PostgresPlace
) -> None:
    """Nothing is left on a connection that the next transaction needs. Only the hint is lost that there is news."""
    with PrivateBouncer(server.port) as pool:
        stores = [PostgresStore(pool.url, namespace=spot.namespace, poll_interval_s=0.1) for _ in range(4)]
        routers = [router_on(store) for store in stores]
        for number in range(40):
            routers[number % 4].add_route(Route(f"route{number}", [f"text {number}"]))
        eventually(lambda: len({router.sync_status().digest for router in routers}) == 1)
        assert routers[0].revision == 40
        assert state(routers[0]) == stored(spot)
        for router in routers:
            router.close()
