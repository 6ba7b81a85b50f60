"""The index: what a change does to the next snapshot, and what it leaves alone."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_core.changes import AddUtterances, DropRoutes, DropUtterances, EncodedRoute, PutRoutes, SetThresholds
from synaptoroute_core.decision import evidence
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes

ENCODER = HashingEncoder(32)
WAIT_S = 30.0


def encoded(name, texts, **settings):
    route = Route(name, texts, **settings)
    return EncodedRoute(route, ENCODER.encode(route.utterances))


def put(*routes, reset=False):
    return PutRoutes(routes, reset=reset)


def add(name, *texts):
    return AddUtterances(name, texts, ENCODER.encode(texts))


def drop(name, *texts):
    return DropUtterances(name, texts)


def index_of(*changes):
    """An index with these changes, each a revision of its own."""
    index = RouteIndex(ENCODER.dim)
    for revision, change in enumerate(changes, start=1):
        index.apply([change], revision)
    return index


def said(snapshot):
    """Texts of every route in a snapshot."""
    return {
        name: [snapshot.texts[row] for row in snapshot.rows_of(position)]
        for position, name in enumerate(snapshot.names)
    }


def scores(snapshot, text):
    """Score of every route for a text, by name."""
    scored = score_routes(snapshot, ENCODER.encode([text])[0])
    return dict(zip(snapshot.names, scored.routes.tolist(), strict=True))


FRUIT = encoded("fruit", ["red apple", "ripe mango"])
CARS = encoded("cars", ["fast car"], threshold=0.7)
BIRDS = encoded("birds", ["small bird", "grey parrot", "night owl"])


# --- what a change does ------------------------------------------------------------------------


def test_an_empty_index_has_an_empty_snapshot():
    snapshot = RouteIndex(ENCODER.dim).snapshot()
    assert snapshot.names == ()
    assert snapshot.revision == 0
    assert scores(snapshot, "anything") == {}


def test_a_snapshot_names_routes_in_sorted_order_and_the_index_as_they_came():
    index = index_of(put(FRUIT, CARS), put(BIRDS))
    assert index.snapshot().names == ("birds", "cars", "fruit")
    assert index.names() == ["fruit", "cars", "birds"]


def test_a_new_route_is_there_with_its_texts_and_its_threshold():
    snapshot = index_of(put(FRUIT, CARS)).snapshot()
    assert said(snapshot) == {"cars": ["fast car"], "fruit": ["red apple", "ripe mango"]}
    assert snapshot.thresholds[snapshot.positions["cars"]] == 0.7
    assert np.isnan(snapshot.thresholds[snapshot.positions["fruit"]])


def test_an_overwritten_route_keeps_nothing_of_its_past():
    """Vectors of an overwritten route once stayed in the index until none of the live ones fitted."""
    index = index_of(put(FRUIT, CARS))
    index.snapshot()
    index.apply([put(encoded("cars", ["old bicycle"]))], 3)
    snapshot = index.snapshot()
    assert said(snapshot)["cars"] == ["old bicycle"]
    assert np.isnan(snapshot.thresholds[snapshot.positions["cars"]])
    assert scores(snapshot, "fast car") == scores(
        index_of(put(encoded("cars", ["old bicycle"]), FRUIT)).snapshot(), "fast car"
    )


def test_an_overwritten_route_keeps_its_place():
    assert index_of(put(FRUIT, CARS), put(encoded("fruit", ["plum"]))).names() == ["fruit", "cars"]


def test_a_dropped_route_is_gone():
    index = index_of(put(FRUIT, CARS), DropRoutes(("fruit",)))
    assert index.snapshot().names == ("cars",)
    assert "fruit" not in index
    assert list(scores(index.snapshot(), "red apple")) == ["cars"]


def test_a_route_that_comes_back_is_the_new_one():
    index = index_of(put(FRUIT, CARS))
    index.snapshot()
    index.apply([DropRoutes(("cars",)), put(encoded("cars", ["slow cart", "hand cart"]))], 2)
    assert said(index.snapshot()) == {"cars": ["slow cart", "hand cart"], "fruit": ["red apple", "ripe mango"]}


def test_a_route_can_take_the_place_of_another_between_two_snapshots():
    index = index_of(put(FRUIT, CARS))
    index.snapshot()
    index.apply([DropRoutes(("cars",)), put(BIRDS)], 2)
    assert list(said(index.snapshot())) == ["birds", "fruit"]


def test_dropping_a_route_that_is_not_there_is_passed_over():
    assert index_of(put(FRUIT), DropRoutes(("unknown",))).snapshot().names == ("fruit",)


def test_added_utterances_come_behind_the_others():
    index = index_of(put(FRUIT, CARS))
    index.snapshot()
    index.apply([add("cars", "blue van", "long truck")], 2)
    assert said(index.snapshot())["cars"] == ["fast car", "blue van", "long truck"]


def test_dropped_utterances_are_gone_and_the_others_keep_their_order():
    index = index_of(put(BIRDS, FRUIT))
    index.snapshot()
    index.apply([drop("birds", "small bird")], 2)
    assert said(index.snapshot()) == {"birds": ["grey parrot", "night owl"], "fruit": ["red apple", "ripe mango"]}


def test_a_threshold_can_be_set_and_taken_back():
    index = index_of(put(FRUIT, CARS), SetThresholds({"fruit": 0.3, "cars": None}))
    snapshot = index.snapshot()
    assert snapshot.thresholds[snapshot.positions["fruit"]] == 0.3
    assert np.isnan(snapshot.thresholds[snapshot.positions["cars"]])
    assert index.route("fruit").threshold == 0.3


def test_a_reset_leaves_only_what_comes_with_it():
    index = index_of(put(FRUIT, CARS), put(BIRDS, reset=True))
    assert said(index.snapshot()) == {"birds": ["small bird", "grey parrot", "night owl"]}


def test_counts_follow_every_change():
    index = index_of(put(FRUIT, CARS), add("cars", "van"), drop("fruit", "red apple"), DropRoutes(("fruit",)))
    assert (len(index), index.utterance_count) == (1, 2)


def test_changes_applied_together_show_together_under_their_revision():
    index = index_of(put(FRUIT))
    before = index.snapshot()
    index.apply([put(CARS), add("fruit", "plum"), SetThresholds({"fruit": 0.1})], 9)
    after = index.snapshot()
    assert (before.revision, after.revision, index.revision) == (1, 9, 9)
    assert said(after) == {"cars": ["fast car"], "fruit": ["red apple", "ripe mango", "plum"]}


def test_a_snapshot_is_made_once_for_a_version():
    index = index_of(put(FRUIT))
    assert index.snapshot() is index.snapshot()


def test_the_evidence_is_the_nearest_utterance_of_the_route_itself():
    snapshot = index_of(put(FRUIT, BIRDS, CARS)).snapshot()
    scored = score_routes(snapshot, ENCODER.encode(["a grey parrot"])[0])
    assert evidence(snapshot, scored, snapshot.positions["birds"]) == "grey parrot"
    assert evidence(snapshot, scored, snapshot.positions["cars"]) == "fast car"


# --- what comes back out -----------------------------------------------------------------------


def test_a_route_comes_back_as_it_was_put():
    full = encoded("full", ["one", "two"], description="d", threshold=0.4, metadata={"a": [1]})
    assert index_of(put(full)).route("full") == full.route


def test_a_route_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError):
        RouteIndex(ENCODER.dim).route("unknown")


def test_vectors_come_back_bit_by_bit():
    vectors = index_of(put(FRUIT), add("fruit", "plum")).vectors_of("fruit")
    assert list(vectors) == ["red apple", "ripe mango", "plum"]
    for text, vector in vectors.items():
        assert np.array_equal(vector, ENCODER.encode([text])[0])


def test_vectors_are_not_the_callers_any_more():
    vectors = ENCODER.encode(["plum"])
    index = index_of(put(EncodedRoute(Route("fruit", ["plum"]), vectors)))
    vectors[:] = 0
    assert scores(index.snapshot(), "plum")["fruit"] == pytest.approx(1.0)


@pytest.mark.parametrize("hand", ["given", "taken"])
def test_metadata_changed_in_hand_changes_nothing_in_the_index(hand):
    """Routes that callers could change behind the router's back drifted from what was on disk."""
    route = Route("fruit", ["plum"], metadata={"tags": ["a"]})
    index = index_of(put(EncodedRoute(route, ENCODER.encode(["plum"]))))
    in_hand = route if hand == "given" else index.route("fruit")
    in_hand.metadata["tags"].append("b")
    assert index.route("fruit").metadata == {"tags": ["a"]}


def test_metadata_changed_in_hand_and_put_again_is_stored(tmp_path):
    """The router must not take the changed route for the one it has, and acknowledge nothing."""
    route = Route("fruit", ["plum"], metadata={"version": 1})
    with AdaptiveRouter([route], encoder=ENCODER, store=tmp_path / "routes.sqlite") as router:
        route.metadata["version"] = 2
        router.add_route(route, overwrite=True)
    with AdaptiveRouter(encoder=ENCODER, store=tmp_path / "routes.sqlite") as router:
        assert router.routes["fruit"].metadata == {"version": 2}


# --- what a change costs -----------------------------------------------------------------------


def many(name, count, version=0):
    return encoded(name, [f"{name} {version} number{number}" for number in range(count)])


def test_a_snapshot_shares_the_vectors_of_the_one_before():
    """Adding one utterance must not copy all the others."""
    index = index_of(put(many("big", 150), CARS))
    before = index.snapshot()
    index.apply([add("cars", "blue van")], 2)
    after = index.snapshot()
    assert np.shares_memory(before.matrix, after.matrix)
    assert len(after.matrix) - len(before.matrix) <= 2  # the utterance and the new centre of its route


def test_other_routes_keep_their_rows_when_one_changes():
    index = index_of(put(FRUIT, CARS, BIRDS))
    before = index.snapshot()
    index.apply([add("cars", "blue van"), drop("birds", "night owl")], 2)
    after = index.snapshot()
    fruit = after.positions["fruit"]
    assert np.array_equal(after.rows_of(fruit), before.rows_of(fruit))
    assert after.centres[fruit] == before.centres[fruit]


def test_a_threshold_costs_no_row():
    index = index_of(put(FRUIT, CARS))
    before = index.snapshot()
    index.apply([SetThresholds({"fruit": 0.9})], 2)
    assert len(index.snapshot().matrix) == len(before.matrix)


def test_two_thousand_appends_copy_the_vectors_a_handful_of_times():
    """Stacking a new array for every insert made each one cost as much as all before it."""
    index = index_of(put(CARS))
    moves, last = 0, index.snapshot()
    for number in range(2_000):
        index.apply([add("cars", f"van {number}")], number + 2)
        current = index.snapshot()
        moves += not np.shares_memory(current.matrix, last.matrix)
        last = current
    assert moves <= 20


@pytest.mark.parametrize("every", [1, 7, None], ids=["a query each", "a query at times", "no query at all"])
def test_memory_stays_bounded_however_often_a_route_is_overwritten(every):
    """Slots of overwritten routes that nobody freed once filled an index of fixed size for good.

    A process that only writes, such as a nightly import, must not grow either.
    """
    versions = [many("hot", 20, version) for version in range(10)]
    index = index_of(put(CARS))
    tracemalloc.start()
    try:
        for number in range(4_000):
            index.apply([put(versions[number % len(versions)])], number + 2)
            if every and number % every == 0:
                index.snapshot()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    written = 4_000 * 20 * ENCODER.dim * 4
    assert peak < written / 4
    assert said(index.snapshot())["hot"] == list(versions[3_999 % len(versions)].route.utterances)


def test_memory_stays_bounded_however_often_utterances_come_and_go():
    index = index_of(put(CARS, FRUIT))
    passing = [f"passing by {number}" for number in range(50)]
    changes = [add("cars", *passing), drop("cars", *passing)]
    for number in range(400):
        index.apply(changes, number + 2)
        assert len(index.snapshot().matrix.base) < 4_000
    assert said(index.snapshot())["cars"] == ["fast car"]


# --- readers beside a writer -------------------------------------------------------------------

VERSIONS = 1_500


def texts_of_version(number):
    return [f"version {number} part{part}" for part in range(1 + number % 4)]


def pair_of_version(number):
    """Two routes, always changed together, with new utterances, a new threshold and a new size."""
    texts, threshold = texts_of_version(number), number / VERSIONS
    return put(encoded("left", texts, threshold=threshold), encoded("right", texts, threshold=threshold))


def check_pair(snapshot):
    """Everything in the snapshot belongs to one version."""
    number = snapshot.revision
    texts = texts_of_version(number)
    assert said(snapshot) == {"left": texts, "right": texts}
    assert snapshot.thresholds.tolist() == [number / VERSIONS] * 2
    scored = score_routes(snapshot, ENCODER.encode(texts[-1:])[0])
    assert scored.routes[0] == scored.routes[1]
    assert evidence(snapshot, scored, 0) == texts[-1]


def test_readers_see_whole_versions_while_a_writer_goes_on():
    index = RouteIndex(ENCODER.dim)
    index.apply([pair_of_version(0)], 0)
    done, started, seen = threading.Event(), threading.Barrier(4), set()

    def read():
        started.wait(WAIT_S)
        while not done.is_set():
            snapshot = index.snapshot()
            check_pair(snapshot)
            seen.add(snapshot.revision)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            started.wait(WAIT_S)
            for number in range(1, VERSIONS):
                index.apply([pair_of_version(number)], number)
        finally:
            done.set()
        for reader in readers:
            reader.result(WAIT_S)
    assert len(seen) > 1
    check_pair(index.snapshot())
