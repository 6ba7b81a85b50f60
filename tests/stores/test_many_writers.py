"""Many processes change one store at once: all changes form one line, none is lost, and all end alike."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from feeding import encoded, loaded
from places import SERVERS
from watching import ENCODER, GREETING, NEVER, QUERIES, eventually, look, router_on, state, stored

from synaptoroute_core import Route
from synaptoroute_core.changes import PutRoutes

ROUNDS = 67
"""Of five changes each, in three processes: a few more than a thousand."""


def test_a_thousand_changes_by_three_processes_at_once_form_one_line_and_all_end_alike(place, neighbours) -> None:
    """A transaction that asks for the write lock late fails at once, whatever the busy timeout."""
    with ExitStack() as stack:
        watching = stack.enter_context(router_on(place, routes=[GREETING]))
        for neighbour in neighbours:
            stack.enter_context(neighbour.on(place, follow_interval_s=0.02))
        for me, neighbour in enumerate(neighbours):
            neighbour.say("change_much", str(me), ROUNDS)
        for neighbour in neighbours:
            neighbour.hear()
        newest = 1 + len(neighbours) * ROUNDS * 5
        ends = [neighbour.tell("catch_up", newest) for neighbour in neighbours]
        decisions = [neighbour.tell("decide", QUERIES) for neighbour in neighbours]
        assert place.log() == list(range(1, newest + 1))
        assert ends == [[newest, look(watching).sync_status().digest]] * len(neighbours)
        assert decisions == [decisions[0]] * len(neighbours)
        assert state(watching) == stored(place)
    names = {f"{me}-{number}" for me in range(len(neighbours)) for number in range(0, ROUNDS, 2)}
    hellos = {f"hello from {me}-{number}" for me in range(len(neighbours)) for number in range(1, ROUNDS, 2)}
    assert set(watching.routes) == {"greeting", *names}
    assert set(watching.routes["greeting"].utterances) == hellos | set(GREETING.utterances)


def test_processes_that_come_first_at_the_same_moment_find_one_store(new_place, neighbours) -> None:
    places = [new_place() for _ in range(4)]
    for place in places:
        for neighbour in neighbours:
            neighbour.say("touch", place.argument)
    for place in places:
        for neighbour in neighbours:
            neighbour.hear()
        with router_on(place, NEVER) as router:
            assert router.add_route(GREETING).revision == 1


def test_routers_of_one_process_that_come_first_at_the_same_moment_lose_nothing(place) -> None:
    """Each brings its own routes along."""
    routers = []

    def come(number: int) -> None:
        routers.append(router_on(place, NEVER, routes=[Route(f"route{number}", [f"text {number}"])]))

    threads = [threading.Thread(target=come, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.log() == [1, 2, 3, 4]
    for router in routers:
        assert state(look(router)) == stored(place)
        router.close()
    assert {f"route{number}" for number in range(4)} == set(routers[0].routes)


@pytest.mark.parametrize("new_place", SERVERS, indirect=True)
def test_one_that_is_slow_gets_its_turn_among_others_that_are_fast(place) -> None:
    """Whoever changes a store without locking it may find it changed by others each time."""
    stop, slow_tries = threading.Event(), []

    def be_fast(number: int) -> None:
        with router_on(place, NEVER) as router:
            while not stop.is_set():
                router.add_route(Route(f"fast{number}", [f"text {router.revision}"]), overwrite=True)

    others = [threading.Thread(target=be_fast, args=(number,)) for number in range(2)]
    for other in others:
        other.start()
    store = place.open()
    eventually(lambda: len(place.log()) > 20)
    index = loaded(store.read(0))

    def prepare(missed):
        slow_tries.append(loaded(missed, index))
        stop.wait(0.05)
        return PutRoutes((encoded("slow", "mine at last"),))

    try:
        revision = store.commit(index.revision, ENCODER.fingerprint, prepare)
    finally:
        stop.set()
        for other in others:
            other.join()
    assert len(slow_tries) < 10
    assert revision in place.log()
    assert "slow" in loaded(store.read(0)).names()
    store.close()


@pytest.mark.parametrize("new_place", SERVERS[:1], indirect=True)
def test_writers_get_along_whatever_isolation_the_database_prefers(place) -> None:
    """Under a stricter one than is meant here, whoever had to wait for the lock would be refused."""
    place.url += "?options=-c%20default_transaction_isolation%3Dserializable"

    def write(number: int) -> None:
        with router_on(place.open(), NEVER) as router:
            for change in range(15):
                router.add_route(Route(f"route{number}", [f"text {change}"]), overwrite=True)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(3)))
    assert place.log() == list(range(1, 46))
