"""The way of a query: what is checked, what is encoded, what is remembered, who fails."""

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    EncoderError,
    HashingEncoder,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterConfig,
    SynaptoRouteError,
)

PATIENCE_S = 30
ROUTES = [
    Route("refund", ["i want my money back", "refund my order please"]),
    Route("cancel", ["cancel my subscription", "stop the plan"]),
    Route("greeting", ["hello there", "good morning"]),
]
GOOD = [f"please refund order number {number} and cancel the rest" for number in range(31)]


class Recorder(HashingEncoder):
    """Remembers the texts that it was given, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def encode(self, texts):
        self.calls.append(list(texts))
        return super().encode(texts)

    @property
    def counts(self) -> Counter:
        return Counter(text for call in self.calls for text in call)


def fail(_vectors):
    raise RuntimeError("poison")


def with_value(value):
    def spoil(vectors):
        vectors[-1, 3] = value
        return vectors

    return spoil


POISONS = {
    "raise": fail,
    "nan": with_value(np.nan),
    "infinity": with_value(np.inf),
    "zero": np.zeros_like,
    "double": lambda vectors: 2 * vectors,
    "short": lambda vectors: vectors[:-1],
    "wide": lambda vectors: np.hstack([vectors, vectors]),
    "words": lambda _: ["these", "are", "no", "numbers"],
    "nothing": lambda _: None,
}


class Poisonable(Recorder):
    """Gives wrong vectors, or none, when one of the texts begins with the name of a poison."""

    def encode(self, texts):
        vectors = super().encode(texts)
        for text in texts:
            vectors = POISONS.get(text.split()[0], lambda same: same)(vectors)
        return vectors


class Gathering(Poisonable):
    """Holds up the worker at its first text, so that the next ones gather to a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.busy, self.gate = threading.Event(), threading.Event()

    def encode(self, texts):
        if texts == ["first"]:
            self.busy.set()
            assert self.gate.wait(PATIENCE_S)
        return super().encode(texts)


async def gathered(router, encoder, texts) -> list:
    """What becomes of queries that are waiting for the worker together; errors stand in their places."""
    first = asyncio.create_task(router.aroute("first"))
    await asyncio.to_thread(encoder.busy.wait, PATIENCE_S)
    others = [asyncio.create_task(router.aroute(text)) for text in texts]
    await asyncio.sleep(0)
    encoder.gate.set()
    await first
    return await asyncio.gather(*others, return_exceptions=True)


def router_with(encoder, **settings) -> AdaptiveRouter:
    """A router of which everything encoded so far is forgotten by the recorder."""
    router = AdaptiveRouter(ROUTES, encoder=encoder, config=RouterConfig(**{"workers": 1, **settings}))
    encoder.calls.clear()
    return router


# --- what is encoded -------------------------------------------------------------------------------


async def test_a_text_that_is_in_a_batch_twice_is_encoded_once():
    encoder = Gathering()
    with router_with(encoder, cache_size=0) as router:
        one, two, three, four = await gathered(router, encoder, ["hello", "refund", "hello", " hello "])
    assert one == three == four != two
    assert encoder.calls == [["first"], ["hello", "refund"]]


def test_a_text_that_was_asked_before_is_not_encoded_again():
    encoder = Recorder()
    with router_with(encoder) as router:
        decisions = [router.route("hello"), router.route(" hello\n"), *router.route_batch(["hello", "hello"])]
        decisions.append(router.route("hello", timeout=PATIENCE_S))
        assert router.explain("hello").decision == decisions[0]
    assert len(set(map(repr, decisions))) == 1
    assert encoder.counts == {"hello": 1}


def test_a_text_is_decided_anew_but_not_encoded_again_for_another_choice():
    encoder = Recorder()
    with router_with(encoder) as router:
        assert router.route("hello there").route == "greeting"
        assert router.route("hello there", allowed=["cancel"]).candidates[0].route == "cancel"
        assert router.route("hello there", allowed=("greeting", "cancel")).route == "greeting"
    assert encoder.counts == {"hello there": 1}


def test_the_next_query_sees_a_change_without_encoding_the_text_again():
    """A cache that outlives a change answers from routes that are no more."""
    encoder = Recorder()
    with router_with(encoder) as router:
        assert router.route("where is my parcel").route is None
        router.add_route(Route("parcel", ["where is my parcel"]))
        assert router.route("where is my parcel").route == "parcel"
        router.update_threshold("parcel", 1.0)
        router.remove_utterances("refund", ["i want my money back"])
        router.remove_route("parcel")
        assert router.route("where is my parcel").route is None
        assert router.route("where is my parcel").revision == router.revision
    assert encoder.counts["where is my parcel"] == 2, "once as a query, once as an utterance"


def test_what_a_change_acknowledges_is_seen_at_once_while_others_ask():
    encoder = HashingEncoder()
    with AdaptiveRouter(ROUTES, encoder=encoder, config=RouterConfig(workers=2)) as router:
        stop = threading.Event()
        failures: list[BaseException] = []

        def ask():
            try:
                while not stop.is_set():
                    router.route("is it there")
                    router.route_batch(["hello there", "is it there"])
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        seen = []
        for _ in range(30):
            added = router.add_route(Route("there", ["is it there"])).revision
            seen.append(router.route("is it there"))
            assert seen[-1].revision >= added
            router.remove_route("there")
            seen.append(router.route("is it there"))
        stop.set()
        for asker in askers:
            asker.join(PATIENCE_S)
    assert [decision.route for decision in seen] == ["there", None] * 30
    assert not failures


def test_the_cache_keeps_the_texts_asked_last():
    encoder = Recorder()
    with router_with(encoder, cache_size=3) as router:
        for text in ["one", "two", "three", "four", "three", "four", "two", "one"]:
            router.route(text)
    assert encoder.counts == {"one": 2, "two": 1, "three": 1, "four": 1}


def test_without_a_cache_every_query_is_encoded():
    encoder = Recorder()
    with router_with(encoder, cache_size=0) as router:
        assert router.route("hello") == router.route("hello")
    assert encoder.counts == {"hello": 2}


def test_an_encoder_whose_vectors_depend_on_company_gets_one_text_at_a_time():
    encoder = Recorder()
    encoder.batch_invariant = False
    with router_with(encoder) as router:
        router.add_route(Route("more", ["one more", "two more", "three more"]))
        router.route_batch(GOOD)
    assert {len(call) for call in encoder.calls} == {1}


def test_an_utterance_that_the_router_has_is_not_encoded_again():
    encoder = Recorder()
    with router_with(encoder) as router:
        router.add_route(Route("refund", ["refund my order please", "money"]), overwrite=True)
    assert encoder.counts == {"money": 1}


# --- who fails -------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", POISONS)
async def test_a_poisoned_text_fails_alone(poison):
    """One bad text among 31 good ones: they get the decisions that they get alone."""
    texts = [*GOOD, f"{poison} of an order"]
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as plain:
        alone = [plain.route(text) for text in GOOD]
    encoder = Gathering()
    with router_with(encoder) as router:
        *good, error = await gathered(router, encoder, texts)
    assert max(map(len, encoder.calls)) == 32, "they were in one batch"
    assert isinstance(error, EncoderError)
    assert poison in str(error)
    assert good == alone


@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_text_in_a_list_is_reported(poison):
    with (
        router_with(Poisonable()) as router,
        pytest.raises(EncoderError, match=poison),
    ):
        router.route_batch([*GOOD, f"{poison} of an order"])


@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_utterance_is_refused_and_nothing_changes(poison):
    with router_with(Poisonable()) as router:
        with pytest.raises(EncoderError, match=poison):
            router.add_route(Route("bad", ["a good one", f"{poison} of an order"]))
        with pytest.raises(EncoderError, match=poison):
            router.add_utterances("refund", [f"{poison} of an order"])
        assert router.routes == {route.name: route for route in ROUTES}
        assert router.revision == 1


def test_a_poisoned_text_is_tried_again_when_asked_again():
    encoder = Poisonable()
    with router_with(encoder) as router:
        for _ in range(2):
            with pytest.raises(EncoderError):
                router.route("raise")
        assert router.stats().failed == 2
    assert encoder.counts == {"raise": 2}


def test_an_encoder_that_exits_costs_one_query_not_the_router(caplog):
    class Exiting(Recorder):
        def encode(self, texts):
            if "exit" in texts:
                raise SystemExit
            return super().encode(texts)

    with router_with(Exiting()) as router:
        with pytest.raises(SynaptoRouteError, match="SystemExit"):
            router.route("exit", timeout=PATIENCE_S)
        assert router.route("hello there").route == "greeting"
        assert router.route("good morning", timeout=PATIENCE_S).route == "greeting"
        assert router.stats().pending == 0
    assert "queries failed" in caplog.text


# --- what is checked -------------------------------------------------------------------------------


def test_an_unknown_name_to_choose_from_is_refused_with_a_suggestion():
    with router_with(Recorder()) as router, pytest.raises(RouteNotFoundError, match="did you mean 'refund'") as raised:
        router.route("hello", allowed=["cancel", "refunds"])
    assert raised.value.name == "refunds"


@pytest.mark.parametrize("allowed", [[], (), set(), {}])
def test_nothing_to_choose_from_is_an_abstention(allowed):
    with router_with(Recorder()) as router:
        decision = router.route("hello there", allowed=allowed)
        assert router.route_batch(["hello there"], allowed=allowed) == [decision]
    assert (decision.route, decision.reason, decision.candidates) == (None, "no_routes", ())


@pytest.mark.parametrize("allowed", ["refund", b"refund", 3, iter(["refund"])])
def test_a_choice_that_is_no_collection_is_refused(allowed):
    """A string is a collection of letters: taken as one it would choose from routes named r, e, f ..."""
    with router_with(Recorder()) as router:
        with pytest.raises(ConfigurationError, match="allowed must be a list of route names"):
            router.route("hello", allowed=allowed)
        with pytest.raises(ConfigurationError, match="allowed"):
            router.route_batch(["hello"], allowed=allowed)


@pytest.mark.parametrize("name", [1, None, ["refund"], ("refund",)])
def test_a_choice_of_something_that_is_no_name_is_refused_with_one_of_our_errors(name):
    with router_with(Recorder()) as router, pytest.raises(SynaptoRouteError):
        router.route("hello", allowed=[name])


@pytest.mark.parametrize("bad", ["", "  \n", None, 5, b"bytes", "\u200b"])
def test_a_list_with_one_unusable_text_names_its_place_and_encodes_nothing(bad):
    encoder = Recorder()
    with router_with(encoder) as router, pytest.raises(InvalidTextError, match=r"texts\[17\]"):
        router.route_batch([*GOOD[:17], bad, *GOOD[17:]])
    assert not encoder.calls


@pytest.mark.parametrize("texts", ["one text", b"one text"])
def test_a_single_text_is_no_list(texts):
    with router_with(Recorder()) as router, pytest.raises(ConfigurationError, match="list of strings"):
        router.route_batch(texts)


def test_an_empty_list_gives_an_empty_list():
    encoder = Recorder()
    with router_with(encoder) as router:
        assert router.route_batch([]) == []
    assert not encoder.calls


@pytest.mark.parametrize("text", ["", " ", "\t\n", None, 3, ["hello"], b"hello"])
def test_an_unusable_text_is_refused(text):
    encoder = Recorder()
    with router_with(encoder) as router, pytest.raises(InvalidTextError):
        router.route(text)
    assert not encoder.calls


def test_a_lone_surrogate_harms_neither_its_query_nor_its_neighbours():
    """Tokenisers and SQLite refuse them, and a whole batch used to fail with the one that had it."""
    with router_with(Recorder()) as router:
        good, broken, also_good = router.route_batch(["hello there", "hello \ud800 there", "good morning"])
        assert (good.route, also_good.route) == ("greeting", "greeting")
        assert broken == router.route("hello \ufffd there")


# --- what is counted -------------------------------------------------------------------------------


def test_counts_add_up():
    with router_with(Poisonable()) as router:
        router.route("hello")
        router.route("hello")
        router.route_batch(["one", "two", "three", "hello"])
        for _ in range(2):
            with pytest.raises(EncoderError):
                router.route("raise")
        router.close()
        stats = router.stats()
    assert (stats.routes, stats.utterances, stats.revision) == (3, 6, 1)
    assert (stats.answered, stats.failed, stats.rejected, stats.dropped, stats.pending) == (6, 2, 0, 0, 0)
    assert (stats.encoded, stats.cache_hits) == (6, 2)


async def test_every_query_was_encoded_or_counts_as_a_cache_hit():
    """Also one whose text stood twice in a batch: it needed no encoding of its own."""
    encoder = Gathering()
    with router_with(encoder) as router:
        await gathered(router, encoder, ["hello", "one", "one", "hello", "two"])
        router.route("hello")
        router.close()
        stats = router.stats()
    assert stats.answered == 7
    assert stats.encoded == 4
    assert stats.cache_hits == 3
