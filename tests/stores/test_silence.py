"""A server that does not answer, or answers slowly: how long a router waits, and what it then says."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from partitions import HEALED_S, PLACES
from places import Place, PostgresPlace
from proxy import BOTH, HALF_OPEN, Fault, Proxy
from replica import open_store
from watching import ENCODER, FAREWELL, GREETING, NEVER, eventually, look, router_on, state, stored

from synaptoroute_core import AdaptiveRouter, CommitUncertainError, HashingEncoder, Route, StorageError
from synaptoroute_core.contact import FIRST_WAIT_S, LONGEST_WAIT_S, Contact
from synaptoroute_core.storage import Store

KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "redis")]
SILENT_S = 10.0
SHORT_S, LONG_S = 0.5, 1.0
Open = Callable[..., Store]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What kind of server it is."""
    return request.param


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    """Where it is."""
    return request.getfixturevalue(f"{kind}_url")


@pytest.fixture
def spot(kind: str, url: str) -> Iterator[Place]:
    """A place on it."""
    place = PLACES[kind](url)
    yield place
    place.remove()


@pytest.fixture
def opened(kind: str, spot: Place) -> Open:
    """Opens stores on the place: ``opened(url, **options)``."""
    return lambda through, **options: open_store(kind, {"url": through, "namespace": spot.namespace, **options})


# --- catching up ---------------------------------------------------------------------------------


def test_a_router_is_up_to_date_soon_after_a_network_that_swallowed_everything(url: str, opened: Open) -> None:
    """With the settings that everybody has, whatever it waits for at that moment."""
    taken: dict[float, float] = {}

    def suffer(lasting_s: float) -> None:
        with Proxy(url) as proxy, router_on(opened(proxy.url)) as far:
            proxy.suffer(HALF_OPEN)
            time.sleep(lasting_s)
            near.update_threshold("greeting", lasting_s / 100)
            proxy.heal()
            healed = time.monotonic()
            eventually(lambda: far.revision == near.revision and far.sync_status().failing is None)
            taken[lasting_s] = time.monotonic() - healed

    with router_on(opened(url), routes=[GREETING]) as near:
        threads = [threading.Thread(target=suffer, args=(lasting_s,)) for lasting_s in (0.5, 2.5, 4.2, 5.5, 6.6, 7.7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == len(threads)
    assert max(taken.values()) < HEALED_S, taken


def test_the_time_of_a_look_that_failed_counts_as_waiting() -> None:
    contact = Contact()
    waits = [contact.failed("no answer", 0.0) for _ in range(20)]
    assert LONGEST_WAIT_S / 2 <= waits[-1] <= LONGEST_WAIT_S
    assert FIRST_WAIT_S / 2 <= contact.failed("no answer", LONGEST_WAIT_S) <= FIRST_WAIT_S


# --- changes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "in the middle", "at the commit"])
def test_a_change_against_a_server_that_fell_silent_fails_in_bounded_time(when: str, url: str, opened: Open) -> None:
    """It took up to 25 s; and it is uncertain only where it may have been made."""
    with Proxy(url) as proxy, router_on(opened(proxy.url), NEVER, routes=[GREETING]) as router:
        if when != "in the middle":
            proxy.suffer(Fault(lost=BOTH, at_commit=when == "at the commit"))
        else:
            whole = router._store._write
            router._store._write = lambda *change: (proxy.suffer(HALF_OPEN), whole(*change))
        began = time.monotonic()
        with pytest.raises(StorageError) as raised:
            router.add_route(FAREWELL)
        assert time.monotonic() - began < SILENT_S
        uncertain = when == "at the commit" or (when == "in the middle" and "redis" in url)
        assert isinstance(raised.value, CommitUncertainError) is uncertain
        assert list(router.routes) == ["greeting"]


def test_a_server_that_answers_slowly_each_time_is_not_away(url: str, opened: Open) -> None:
    """Its answers take longer together than one of them may."""
    with (
        Proxy(url) as proxy,
        router_on(opened(proxy.url, timeout_s=SHORT_S), NEVER, routes=[GREETING]) as far,
        router_on(opened(url), NEVER) as near,
    ):
        proxy.suffer(Fault(delay_s=0.2 * SHORT_S))
        assert far.add_route(FAREWELL).revision == 2
        near.add_utterances("greeting", ["hi"])
        assert look(far).sync_status().failing is None
        assert far.revision == 3


def test_routes_that_take_longer_to_arrive_than_an_answer_may_are_written_and_read(
    url: str, opened: Open, spot: Place
) -> None:
    """Such as a hundred thousand utterances on an ordinary network."""
    encoder = HashingEncoder(dim=1024)
    route = Route("long", [f"utterance number {number}" for number in range(1000)])
    with Proxy(url) as proxy, router_on(opened(url), NEVER, encoder=encoder) as near:
        proxy.suffer(Fault(bytes_per_s=4_000_000))
        with router_on(opened(proxy.url, timeout_s=LONG_S), NEVER, encoder=encoder) as far:
            began = time.monotonic()
            assert far.add_route(route).revision == 1
            assert time.monotonic() - began > LONG_S
            assert look(near).routes["long"] == route
            near.update_threshold("long", 0.5)
            assert look(far).routes["long"].threshold == 0.5
            assert np.array_equal(far.vectors("long"), near.vectors("long"))
            assert state(far) == state(near) == stored(spot, encoder)


# --- what became of a change -----------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.parametrize(("pause_s", "known"), [(1.4, True), (4.0, False)])
def test_a_commit_that_the_database_is_slow_to_make_is_waited_for_before_it_is_judged(
    pause_s: float,
    known: bool,  # noqa: FBT001
    postgres_url: str,
) -> None:
    """It may still be made when it is asked for: only the lock of the one who makes it tells when it has ended."""
    place = PostgresPlace(postgres_url)
    with AdaptiveRouter([GREETING], encoder=ENCODER, store=place.open(timeout_s=1.0), config=NEVER) as router:
        place._all(
            f"CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep({pause_s}); "
            "RETURN NULL; END$$; CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON changes DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION pause()"
        )
        if known:
            assert router.add_route(FAREWELL).revision == 2
        else:
            with pytest.raises(CommitUncertainError):
                router.add_route(FAREWELL)
            eventually(lambda: place.log() == [1, 2])
        assert look(router).revision == 2
        assert list(router.routes) == ["greeting", "farewell"]
    place.remove()
