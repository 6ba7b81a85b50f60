"""Changing a router: receipts, refusals, durability, and what is there after a restart."""

import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    EncoderError,
    HashingEncoder,
    InvalidTextError,
    Receipt,
    Route,
    RouteExistsError,
    RouteNotFoundError,
    RouterConfig,
    StorageError,
    SynaptoRouteError,
)

GREETING = Route("greeting", ["hello there", "good morning to you"], description="Says hello.", metadata={"team": [1]})
FAREWELL = Route("farewell", ["goodbye then", "see you soon"], threshold=0.3)
QUERIES = ("hello there", "good morning", "see you then", "weather report", "nothing of the kind")


class CountingEncoder(HashingEncoder):
    """Counts texts, and fails on those that say poison."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__(dim)
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.texts.extend(texts)
        vectors = super().encode(texts)
        vectors[["poison" in text for text in texts]] = np.nan
        return vectors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routes.db"


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def router(path: Path, encoder: CountingEncoder) -> Iterator[AdaptiveRouter]:
    """A router with two routes in a file, at revision 1."""
    with AdaptiveRouter([GREETING, FAREWELL], encoder=encoder, store=path) as opened:
        yield opened


def state(router: AdaptiveRouter) -> tuple:
    """What can be seen of a router."""
    return router.revision, dict(router.routes), list(router.routes), router.route_batch(QUERIES)


def on_disk(path: Path, dim: int = 32) -> tuple:
    """The same of a router that is opened now."""
    with AdaptiveRouter(encoder=HashingEncoder(dim), store=path) as reopened:
        return state(reopened)


# --- changes ---------------------------------------------------------------------------------------

Edit = Callable[[AdaptiveRouter], Receipt]
EDITS: dict[str, tuple[Edit, int]] = {
    "add a route": (lambda router: router.add_route(Route("weather", ["weather report", "will it rain"])), 2),
    "replace a route": (lambda router: router.add_route(Route("greeting", ["hi"]), overwrite=True), 1),
    "remove a route": (lambda router: router.remove_route("greeting"), 2),
    "add utterances": (lambda router: router.add_utterances("greeting", ["hi", "hello you", "HI"]), 2),
    "remove an utterance": (lambda router: router.remove_utterances("greeting", [" HELLO  there "]), 1),
    "set a threshold": (lambda router: router.update_threshold("greeting", 0.9), 1),
    "clear a threshold": (lambda router: router.update_threshold("farewell", None), 1),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_is_one_revision_and_says_how_much_it_touched(router: AdaptiveRouter, edit: str) -> None:
    change, changed = EDITS[edit]
    assert change(router) == Receipt(revision=2, changed=changed)
    assert router.revision == 2
    assert router.route("hello there").revision == 2


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_is_on_disk_and_in_force_as_a_restart_sees_it(router: AdaptiveRouter, path: Path, edit: str) -> None:
    before = state(router)
    EDITS[edit][0](router)
    assert state(router) != before
    assert state(router) == on_disk(path)


def test_changes_show_in_the_routes(router: AdaptiveRouter) -> None:
    router.add_utterances("greeting", (text for text in ["hi", "Hello  There"]))
    router.remove_utterances("greeting", ["good morning to you"])
    router.update_threshold("greeting", 0.25)
    router.remove_route("farewell")
    expected = Route(
        "greeting", ["hello there", "hi"], description="Says hello.", threshold=0.25, metadata={"team": [1]}
    )
    assert dict(router.routes) == {"greeting": expected}


@pytest.mark.parametrize(
    "edit",
    [
        lambda router: router.add_utterances("greeting", ["Hello   THERE", "hello there "]),
        lambda router: router.add_utterances("greeting", []),
        lambda router: router.remove_utterances("greeting", []),
        lambda router: router.add_route(GREETING, overwrite=True),
    ],
    ids=["known utterances", "no utterances to add", "no utterances to remove", "the same route"],
)
def test_a_change_that_changes_nothing_makes_no_revision(router: AdaptiveRouter, edit: Edit) -> None:
    before = state(router)
    assert edit(router) == Receipt(revision=1, changed=0)
    assert state(router) == before


def test_awaitable_changes_do_what_the_blocking_ones_do(router: AdaptiveRouter, path: Path) -> None:
    async def edit() -> list[Receipt]:
        return [
            await router.aadd_route(Route("weather", ["weather report"])),
            await router.aadd_utterances("weather", ["will it rain"]),
            await router.aremove_utterances("weather", ["weather report"]),
            await router.aupdate_threshold("weather", 0.5),
            await router.aremove_route("greeting"),
        ]

    assert [receipt.revision for receipt in asyncio.run(edit())] == [2, 3, 4, 5, 6]
    assert dict(router.routes) == {"farewell": FAREWELL, "weather": Route("weather", ["will it rain"], threshold=0.5)}
    assert state(router) == on_disk(path)


def test_a_query_after_an_acknowledged_change_always_sees_it(path: Path) -> None:
    """Elsewhere, about one query in ten asked right after a change missed it."""
    with AdaptiveRouter([GREETING], encoder=HashingEncoder(dim=64), store=path) as router:
        for number in range(250):
            text = f"probe {number}"
            router.add_route(Route("probe", [text]), overwrite=True)
            assert router.route(text).candidates[0].utterance == text
            receipt = router.add_utterances("probe", ["the same question"])
            assert router.route("the same question").candidates[0].utterance == "the same question"
            router.update_threshold("probe", number / 250)
            assert router.route("the same question").threshold == number / 250
            receipt = router.remove_utterances("probe", ["the same question"])
            after = router.route("the same question")
            assert "the same question" not in [candidate.utterance for candidate in after.candidates]
            assert after.revision == receipt.revision == 1 + 4 * (number + 1)


def test_changes_from_many_threads_are_all_made(router: AdaptiveRouter, path: Path) -> None:
    def add(number: int) -> Receipt:
        return router.add_route(Route(f"route{number}", [f"text {number}"]))

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(add, range(200)))
    assert sorted(receipt.revision for receipt in receipts) == list(range(2, 202))
    assert {f"route{number}" for number in range(200)} <= set(router.routes)
    assert state(router) == on_disk(path)


def test_of_many_that_add_the_same_route_one_succeeds(router: AdaptiveRouter) -> None:
    def add(number: int) -> str:
        try:
            router.add_route(Route("wanted", [f"text {number}"]))
        except RouteExistsError:
            return "exists"
        return f"text {number}"

    with ThreadPoolExecutor(8) as pool:
        (winner,) = set(pool.map(add, range(40))) - {"exists"}
    assert router.routes["wanted"].utterances == (winner,)


# --- refusals --------------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Edit, type[SynaptoRouteError], str]] = {
    "the name is taken": (lambda router: router.add_route(Route("greeting", ["hi"])), RouteExistsError, "overwrite"),
    "a slip in the name": (lambda router: router.remove_route("greting"), RouteNotFoundError, "mean 'greeting'"),
    "no such route to add to": (lambda router: router.add_utterances("x", ["hi"]), RouteNotFoundError, "2 routes"),
    "no such route to take from": (lambda router: router.remove_utterances("x", ["hi"]), RouteNotFoundError, "'x'"),
    "no such route to set": (lambda router: router.update_threshold("x", 0.5), RouteNotFoundError, "'x'"),
    "a blank among texts": (lambda router: router.add_utterances("greeting", ["hi", " "]), InvalidTextError, "blank"),
    "no string": (lambda router: router.add_utterances("greeting", ["hi", 7]), InvalidTextError, "7"),
    "one string": (lambda router: router.add_utterances("greeting", "hi"), ConfigurationError, "list"),
    "an unknown utterance": (
        lambda router: router.remove_utterances("greeting", ["hello there", "unheard"]),
        InvalidTextError,
        "'unheard'",
    ),
    "the last utterances": (
        lambda router: router.remove_utterances("greeting", ["HELLO there", "good morning to you"]),
        ConfigurationError,
        "remove the route",
    ),
    "a threshold above 1": (lambda router: router.update_threshold("greeting", 1.5), ConfigurationError, "1.5"),
    "a text that cannot be encoded": (
        lambda router: router.add_utterances("greeting", ["hi", "poison"]),
        EncoderError,
        "poison",
    ),
    "a route that cannot be encoded": (
        lambda router: router.add_route(Route("new", ["hi", "poison"])),
        EncoderError,
        "poison",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refused_change_says_why_and_leaves_nothing_behind(router: AdaptiveRouter, path: Path, case: str) -> None:
    edit, error, message = REFUSALS[case]
    before = state(router)
    with pytest.raises(error, match=message):
        edit(router)
    assert state(router) == before == on_disk(path)
    assert router.add_utterances("greeting", ["hi"]).revision == 2


def test_a_router_that_cannot_encode_its_first_routes_stores_none_of_them(path: Path) -> None:
    with pytest.raises(EncoderError, match="poison"):
        AdaptiveRouter([GREETING, Route("bad", ["poison"])], encoder=CountingEncoder(), store=path)
    assert on_disk(path)[:2] == (0, {})


def test_a_description_that_cannot_be_stored_is_refused_as_such(router: AdaptiveRouter, path: Path) -> None:
    """A lone surrogate comes in through JSON; the database does not take it."""
    try:
        route = Route("odd", ["words"], description="half a \ud83d face", metadata={"key": "\ud83d"})
    except ConfigurationError:
        return
    router.add_route(route)
    assert state(router) == on_disk(path)


# --- failed writes ---------------------------------------------------------------------------------

TRAP = "CREATE TRIGGER trap AFTER INSERT ON changes BEGIN {}; END"
FAULTS = {
    "the statement fails": [TRAP.format("SELECT RAISE(FAIL, 'struck')")],
    "the transaction is rolled back": [TRAP.format("SELECT RAISE(ROLLBACK, 'struck')")],
    "the commit fails": [
        "CREATE TABLE pit (route INTEGER REFERENCES routes (id) DEFERRABLE INITIALLY DEFERRED)",
        TRAP.format("INSERT INTO pit VALUES (-1)"),
    ],
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_write_reaches_the_caller_and_leaves_memory_and_disk_as_they_were(
    router: AdaptiveRouter, path: Path, fault: str, edit: str
) -> None:
    """The fault strikes after the change's rows were written. Elsewhere, memory kept what the disk had refused."""
    before = state(router)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for statement in FAULTS[fault]:
            raw.execute(statement)
        with pytest.raises(StorageError, match=r"routes\.db: (struck|FOREIGN KEY constraint failed)"):
            EDITS[edit][0](router)
        assert state(router) == before == on_disk(path)
        raw.execute("DROP TRIGGER trap")
    EDITS[edit][0](router)
    assert state(router) == on_disk(path)


def test_a_failed_write_keeps_what_others_had_changed_before_it(path: Path) -> None:
    config = RouterConfig(follow_interval_s=0)
    with (
        AdaptiveRouter([GREETING], encoder=HashingEncoder(dim=32), store=path, config=config) as router,
        closing(sqlite3.connect(path, isolation_level=None)) as raw,
    ):
        with AdaptiveRouter([FAREWELL], encoder=HashingEncoder(dim=32), store=path) as other:
            other.remove_route("greeting")
        raw.execute(FAULTS["the statement fails"][0])
        with pytest.raises(StorageError, match="struck"):
            router.add_route(Route("weather", ["rain"]))
        assert state(router) == on_disk(path)


# --- what callers do afterwards --------------------------------------------------------------------


def test_what_a_caller_does_to_its_own_lists_does_not_reach_the_router(path: Path) -> None:
    texts, metadata, more = ["hello there"], {"team": [1]}, ["good day"]
    route = Route("greeting", texts, metadata=metadata)
    with AdaptiveRouter([route], encoder=HashingEncoder(dim=32), store=path) as router:
        router.add_utterances("greeting", more)
        before = state(router)
        texts.clear()
        more.append("unheard")
        metadata["team"].append(2)
        assert state(router) == before


def test_metadata_changed_in_a_route_that_was_added_does_not_reach_the_router(path: Path) -> None:
    route = Route("greeting", ["hello there"], metadata={"team": [1]})
    with AdaptiveRouter([route], encoder=HashingEncoder(dim=32), store=path) as router:
        route.metadata["team"].append(2)
        assert router.routes["greeting"].metadata == {"team": [1]}
        router.routes["greeting"].metadata["team"].clear()
        assert router.routes["greeting"].metadata == {"team": [1]}


def test_a_route_whose_metadata_was_changed_in_place_can_be_stored_again(path: Path) -> None:
    route = Route("greeting", ["hello there"], metadata={"team": 1})
    with AdaptiveRouter([route], encoder=HashingEncoder(dim=32), store=path) as router:
        route.metadata["team"] = 2
        router.add_route(route, overwrite=True)
        assert router.routes["greeting"].metadata == {"team": 2}
        assert state(router) == on_disk(path)


# --- restart ---------------------------------------------------------------------------------------


def test_a_restart_encodes_nothing_and_gives_identical_decisions(path: Path) -> None:
    chance = random.Random(1)
    words = [f"word{number}" for number in range(500)]
    routes = [
        Route(f"route{number}", [f"{number} {row} {' '.join(chance.choices(words, k=5))}" for row in range(100)])
        for number in range(100)
    ]
    queries = [" ".join(chance.choices(words, k=4)) for _ in range(200)]
    with AdaptiveRouter(routes, encoder=HashingEncoder(dim=32), store=path) as router:
        for route in routes[:50]:
            router.remove_utterances(route.name, chance.sample(route.utterances, 20))
        decisions = router.route_batch(queries)
    encoder = CountingEncoder()
    with AdaptiveRouter(encoder=encoder, store=path) as reopened:
        assert encoder.texts == []
        assert reopened.stats().utterances == 9_000
        assert reopened.route_batch(queries) == decisions


def test_opening_with_the_routes_that_are_stored_writes_and_encodes_nothing(router: AdaptiveRouter, path: Path) -> None:
    before = state(router)
    router.close()
    content, encoder = path.read_bytes(), CountingEncoder()
    with AdaptiveRouter([GREETING, FAREWELL], encoder=encoder, store=path) as reopened:
        assert encoder.texts == []
        assert state(reopened) == before
    assert path.read_bytes() == content


def test_opening_with_a_changed_route_encodes_only_what_is_new(router: AdaptiveRouter, path: Path) -> None:
    router.close()
    encoder, changed = CountingEncoder(), Route("farewell", ["see you soon", "take care", "Goodbye then"])
    with AdaptiveRouter([GREETING, changed], encoder=encoder, store=path) as reopened:
        assert encoder.texts == ["take care", "Goodbye then"]
        assert (reopened.revision, reopened.routes["farewell"]) == (2, changed)
        assert reopened.route("take care").candidates[0].utterance == "take care"
        assert state(reopened) == on_disk(path)


def test_twins_in_case_and_spacing_do_not_shift_vectors_across_a_restart(path: Path) -> None:
    """Elsewhere, texts were merged on loading but not their vectors, which then belonged to other texts."""
    with AdaptiveRouter([Route("a", [" hi", "zebra", "HI  "])], encoder=HashingEncoder(dim=64), store=path) as router:
        router.add_utterances("a", ["Zebra ", "giraffe", "Hi", "GIRAFFE", "stra\u00dfe", "STRASSE", "lion\u00a0cub"])
        assert router.routes["a"].utterances == ("hi", "zebra", "giraffe", "stra\u00dfe", "lion\u00a0cub")
    with AdaptiveRouter(encoder=HashingEncoder(dim=64), store=path) as reopened:
        for text in reopened.routes["a"].utterances:
            nearest = reopened.explain(text).neighbours[0]
            assert (nearest.utterance, nearest.similarity) == (text, pytest.approx(1.0))


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cc", "Z"]) | st.sampled_from(" \0\n\ud800"), min_size=1))
)
def test_whatever_is_taken_as_an_utterance_comes_back_from_the_disk(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routes.db"
        with AdaptiveRouter([GREETING], encoder=HashingEncoder(dim=32), store=path) as router:
            for text in texts:
                try:
                    router.add_utterances("greeting", [text])
                except InvalidTextError:
                    continue
            before = state(router)
        assert on_disk(path) == before
