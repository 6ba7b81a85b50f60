"""Several routers on one store, in one process or in many: each comes to see what the others change."""

import logging
import threading
from typing import Self

import numpy as np
import pytest
from places import SERVERS
from watching import ENCODER, FAREWELL, GREETING, NEVER, OFTEN, WAIT_S, eventually, look, router_on, state, stored

from synaptoroute_core import AdaptiveRouter, Decision, Route, RouterConfig

ON_SERVERS = pytest.mark.parametrize("new_place", SERVERS, indirect=True)


@pytest.fixture
def shared(place):
    """A place with one route, at revision 1."""
    with router_on(place, NEVER, routes=[GREETING]):
        return place


# --- seeing what others change ---------------------------------------------------------------------


def test_every_kind_of_change_in_another_process_arrives(shared, neighbour) -> None:
    """Elsewhere, two workers on one store never saw each other, and deletions were not passed on at all."""
    with router_on(shared, OFTEN) as router, neighbour.on(shared):
        for change in (
            ("add_route", {"name": "weather", "utterances": ["weather report", "will it rain"]}),
            ("change", "add_utterances", "weather", ["is it sunny"]),
            ("change", "remove_utterances", "weather", ["will it rain"]),
            ("change", "update_threshold", "weather", 0.25),
            ("add_route", {"name": "greeting", "utterances": ["hi"]}),
            ("change", "remove_route", "greeting"),
        ):
            before = state(router)  # the cache now knows the old decisions
            revision = neighbour.tell(*change)
            eventually(lambda revision=revision: router.revision == revision)
            assert before != state(router) == stored(shared)
        expected = Route("weather", ["weather report", "is it sunny"], threshold=0.25)
        assert dict(router.routes) == {"weather": expected}


def test_a_change_is_made_on_top_of_what_another_process_changed_last(shared, neighbour) -> None:
    with router_on(shared, NEVER) as router, neighbour.on(shared):
        for number in range(20):
            revision = neighbour.tell("change", "add_utterances", "greeting", [f"theirs {number}"])
            assert revision == 2 * number + 2
            assert router.add_utterances("greeting", [f"ours {number}", f"theirs {number}"]).changed == 1
        assert state(router) == stored(shared)
        assert len(router.routes["greeting"].utterances) == 42


class Reader(threading.Thread):
    """Asks without a pause, and keeps the decisions that mix two versions of a route."""

    def __init__(self, router: AdaptiveRouter) -> None:
        super().__init__()
        self.router = router
        self.stop = threading.Event()
        self.torn: list[Decision] = []
        self.seen: set[int] = set()

    def run(self) -> None:
        while not self.stop.is_set():
            decision = self.router.route("version of the greeting")
            if decision.candidates and decision.revision > 1:
                self.seen.add(decision.revision)
                if decision.candidates[0].utterance.split()[0] != str(round(decision.threshold * 1000)):
                    self.torn.append(decision)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(WAIT_S)


def test_a_query_sees_one_whole_version_while_another_process_overwrites(shared, neighbour) -> None:
    config = RouterConfig(follow_interval_s=0.001, cache_size=0)
    with router_on(shared, config) as router, neighbour.on(shared), Reader(router) as reader:
        for number in range(150):
            if number % 10 == 9:
                neighbour.tell("change", "remove_route", "greeting")
            texts = [f"{number} version of the {word}" for word in ("greeting", "house", "hour")]
            neighbour.tell("add_route", {"name": "greeting", "utterances": texts, "threshold": number / 1000})
        eventually(lambda: len(reader.seen) > 5)
    assert not reader.torn


def test_two_routers_of_one_process_share_a_store(shared) -> None:
    with router_on(shared, OFTEN) as first, router_on(shared, OFTEN) as second:
        first.add_route(FAREWELL)
        eventually(lambda: second.revision == 2)
        second.remove_route("greeting")
        eventually(lambda: first.revision == 3)
        assert state(first) == state(second) == stored(shared)


def test_a_router_told_never_to_follow_catches_up_with_its_next_change(shared) -> None:
    with router_on(shared, NEVER) as still, router_on(shared, OFTEN) as following, router_on(shared) as writing:
        for number in range(3):
            receipt = writing.add_route(Route(f"new{number}", [f"text {number}"]))
            eventually(lambda revision=receipt.revision: following.revision == revision)
        assert (still.revision, list(still.routes)) == (1, ["greeting"])
        assert still.add_route(FAREWELL).revision == 5
        assert state(still) == stored(shared)


def test_what_cannot_be_read_is_reported_once_and_read_again_later(shared, caplog: pytest.LogCaptureFixture) -> None:
    with (
        router_on(shared, OFTEN) as router,
        router_on(shared, NEVER) as author,
        caplog.at_level(logging.ERROR),
    ):
        before = state(router)
        shared.exchange("vector", np.full(ENCODER.dim, np.nan, np.float32).tobytes(), "hello there")
        author.update_threshold("greeting", 0.125)
        eventually(lambda: router.sync_status().failing and router.sync_status().behind_s > 0.5)
        assert "the route 'greeting' in the " in router.sync_status().failing
        assert caplog.text.count("the route 'greeting' in the ") == 1
        assert state(router) == before
        shared.exchange("vector", ENCODER.encode(["hello there"]).tobytes(), "hello there")
        eventually(lambda: router.revision == 2 and router.sync_status().failing is None)
        assert router.routes["greeting"].threshold == 0.125
        assert state(router) == stored(shared)


# --- hints, and looking without any ----------------------------------------------------------------


@ON_SERVERS
def test_a_change_is_heard_of_without_waiting_for_the_next_look(place, neighbour) -> None:
    with router_on(place.open(poll_interval_s=3600)) as router, neighbour.on(place):
        for number in range(5):
            revision = neighbour.tell("add_route", {"name": f"new{number}", "utterances": [f"text {number}"]})
            eventually(lambda revision=revision: router.revision == revision)
        assert state(router) == stored(place)


@ON_SERVERS
@pytest.mark.parametrize("deaf", ["reader", "author", "both"])
def test_a_change_is_found_where_nobody_tells_of_it(place, deaf: str) -> None:
    with (
        router_on(place.open(notify=deaf == "author", poll_interval_s=0.05)) as reader,
        router_on(place.open(notify=deaf == "reader", poll_interval_s=3600)) as author,
    ):
        author.add_route(GREETING)
        eventually(lambda: reader.revision == 1)
        assert state(reader) == state(author)


@ON_SERVERS
def test_a_router_that_does_not_listen_waits_for_its_next_look(place) -> None:
    with (
        router_on(place.open(notify=False, poll_interval_s=3600)) as deaf,
        router_on(place.open(notify=False, poll_interval_s=3600)) as author,
        router_on(place.open(poll_interval_s=3600)) as listening,
    ):
        author.add_route(GREETING)
        eventually(lambda: listening.revision == 1)
        assert deaf.revision == 0
        assert state(look(deaf)) == state(author)


def test_how_long_ago_a_router_was_up_to_date_is_known(shared) -> None:
    with router_on(shared, OFTEN) as following, router_on(shared, NEVER) as still:
        eventually(lambda: still.sync_status().behind_s > 0.3)
        assert following.sync_status().behind_s < still.sync_status().behind_s
        assert following.sync_status().digest == still.sync_status().digest
