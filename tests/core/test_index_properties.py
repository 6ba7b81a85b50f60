"""The index against a plain model: whatever was done to it, it scores as if made anew."""

from functools import lru_cache
from zlib import crc32

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from synaptoroute_core import Route
from synaptoroute_core.changes import AddUtterances, DropRoutes, DropUtterances, EncodedRoute, PutRoutes, SetThresholds
from synaptoroute_core.decision import evidence
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes

DIM = 11  # rows then begin at every alignment
TRUST = 0.7
NAMES = ("b", "a", "zebra", "m.1", "ö", "C")
WORDS = tuple(f"text {number}" for number in range(30))
BULK = 350

names = st.sampled_from(NAMES)
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6, unique=True)
thresholds = st.none() | st.floats(-1, 1).map(lambda value: value + 0.0)  # -0.0 never gets as far as the index


@lru_cache(maxsize=10_000)
def vector(text):
    """A unit vector that depends on the text alone."""
    drawn = np.random.default_rng(crc32(text.encode())).standard_normal(DIM).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def stack(some):
    return np.stack([vector(text) for text in some])


QUERIES = tuple(vector(text) for text in ("query one", "query two", "text 3"))


def encoded(name, some, threshold=None):
    return EncodedRoute(Route(name, some, threshold=threshold), stack(some))


def plain_score(query, some):
    """The formula, straight from the vectors of a route's texts."""
    rows = stack(some).astype(np.float64)
    mean = rows.mean(axis=0)
    length = np.linalg.norm(mean)
    pull = TRUST * length * length
    cosine = mean @ query / length if length else 0.0
    return float(np.clip((1 - pull) * (rows @ query).max() + pull * cosine, -1.0, 1.0))


def bits(snapshot):
    """All that a snapshot says of the queries, to the last bit."""
    said = []
    for query in QUERIES:
        scored = score_routes(snapshot, query)
        proofs = tuple(evidence(snapshot, scored, position) for position in range(len(snapshot.names)))
        said.append((scored.routes.tobytes(), proofs))
    return snapshot.revision, snapshot.names, snapshot.thresholds.tobytes(), said


class IndexMachine(RuleBasedStateMachine):
    """Any sequence of edits, with snapshots at any moment; the model is a dict of texts."""

    snapshots = Bundle("snapshots")

    def __init__(self):
        super().__init__()
        self.index = RouteIndex(DIM)
        self.routes = {}  # name -> [threshold, texts]
        self.revision = 0
        self.bulk = 0

    def apply(self, *changes):
        self.revision += 1
        self.index.apply(changes, self.revision)

    # --- edits ---------------------------------------------------------------------------------

    @rule(name=names, some=texts, threshold=thresholds)
    def put(self, name, some, threshold):
        self.apply(PutRoutes((encoded(name, some, threshold),)))
        self.routes[name] = [threshold, list(some)]

    @rule(chosen=st.lists(names, min_size=1, max_size=4, unique=True), some=texts, reset=st.booleans())
    def put_several(self, chosen, some, reset):
        self.apply(PutRoutes(tuple(encoded(name, some) for name in chosen), reset=reset))
        if reset:
            self.routes.clear()
        for name in chosen:
            self.routes[name] = [None, list(some)]

    @rule(name=names, times=st.integers(1, 5))
    def overwrite_with_many(self, name, times):
        """Enough rows for the matrix to grow, and to be left behind when most of them are idle."""
        for _ in range(times):
            self.bulk += 1
            some = [f"bulk {self.bulk} {number}" for number in range(BULK)]
            self.apply(PutRoutes((encoded(name, some),)))
            self.routes[name] = [None, some]

    @rule(name=names)
    def drop(self, name):
        self.apply(DropRoutes((name,)))
        self.routes.pop(name, None)

    @rule(name=names, some=texts)
    def add(self, name, some):
        if name in self.routes:
            new = [text for text in some if text not in self.routes[name][1]]
            if new:
                self.apply(AddUtterances(name, tuple(new), stack(new)))
                self.routes[name][1] += new

    @rule(name=names, picks=st.lists(st.integers(0, BULK - 1), max_size=4))
    def drop_utterances(self, name, picks):
        if name in self.routes:
            had = self.routes[name][1]
            gone = list(dict.fromkeys(had[pick % len(had)] for pick in picks))[: len(had) - 1]
            self.apply(DropUtterances(name, tuple(gone)))
            self.routes[name][1] = [text for text in had if text not in gone]

    @rule(chosen=st.lists(names, max_size=3, unique=True), threshold=thresholds)
    def set_thresholds(self, chosen, threshold):
        known = {name: threshold for name in chosen if name in self.routes}
        self.apply(SetThresholds(known))
        for name in known:
            self.routes[name][0] = threshold

    @rule(name=names, some=texts)
    def replace_and_edit_at_once(self, name, some):
        """Several changes in one revision, as a follower gets them."""
        self.apply(
            DropRoutes((name,)),
            PutRoutes((encoded(name, some),)),
            AddUtterances(name, ("extra",), stack(["extra"])),
            DropUtterances(name, tuple(some[:1])),
            SetThresholds({name: 0.25}),
        )
        self.routes.pop(name, None)
        self.routes[name] = [0.25, [*some[1:], "extra"]]

    # --- looks ---------------------------------------------------------------------------------

    @rule(gone=names, new=names, some=texts)
    def exchange_between_two_looks(self, gone, new, some):
        """As many routes as before, but not the same ones."""
        self.take_a_snapshot()
        self.drop(gone)
        self.put(new, some, 0.5)
        self.take_a_snapshot()

    @rule(target=snapshots)
    def take_a_snapshot(self):
        snapshot = self.index.snapshot()
        self.compare_with_model(snapshot)
        self.compare_with_one_bulk_load(snapshot)
        self.compare_memory(snapshot)
        return snapshot, bits(snapshot)

    @rule(taken=snapshots)
    def an_old_snapshot_says_what_it_said(self, taken):
        snapshot, said = taken
        assert bits(snapshot) == said

    @invariant()
    def the_index_counts_what_it_has(self):
        assert self.index.names() == list(self.routes)
        assert len(self.index) == len(self.routes)
        assert self.index.utterance_count == sum(len(some) for _, some in self.routes.values())

    @precondition(lambda self: self.routes)
    @rule(data=st.data())
    def a_route_comes_back(self, data):
        name = data.draw(st.sampled_from(sorted(self.routes)))
        threshold, some = self.routes[name]
        assert self.index.route(name) == Route(name, some, threshold=threshold)
        assert self.index.keys_of(name) == frozenset(some)
        assert [(text, row.tobytes()) for text, row in self.index.vectors_of(name).items()] == [
            (text, vector(text).tobytes()) for text in some
        ]

    def compare_with_model(self, snapshot):
        assert snapshot.names == tuple(sorted(self.routes))
        assert snapshot.revision == self.revision
        for query in QUERIES:
            scored = score_routes(snapshot, query)
            for position, name in enumerate(snapshot.names):
                threshold, some = self.routes[name]
                assert [snapshot.texts[row] for row in snapshot.rows_of(position)] == some
                assert abs(scored.routes[position] - plain_score(query, some)) <= 1e-6
                nearest = max(float(vector(text) @ query) for text in some)
                proof = evidence(snapshot, scored, position)
                assert proof in some
                assert abs(vector(proof) @ query - nearest) <= 1e-6
                own = snapshot.thresholds[position]
                assert np.isnan(own) if threshold is None else own == threshold

    def compare_with_one_bulk_load(self, snapshot):
        """A router and its restart agree to the last digit."""
        fresh = RouteIndex(DIM)
        routes = tuple(encoded(name, some, threshold) for name, (threshold, some) in self.routes.items())
        fresh.apply([PutRoutes(routes, reset=True)], self.revision)
        assert bits(fresh.snapshot()) == bits(snapshot)

    def compare_memory(self, snapshot):
        """At most as many rows idle as are live, or a fixed few, and half as much room again."""
        live = sum(len(some) for _, some in self.routes.values()) + 2 * len(self.routes)
        assert len(snapshot.matrix.base) <= 1.5 * (2 * live + 1024) + 64


IndexMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestIndex = IndexMachine.TestCase


@settings(deadline=None)
@given(st.lists(st.tuples(names, texts), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_routes_score_alike_in_whatever_order_they_came(pairs, random):
    routes = {name: encoded(name, some) for name, some in pairs}
    shuffled = list(routes.values())
    random.shuffle(shuffled)
    said = []
    for order in (list(routes.values()), shuffled):
        index = RouteIndex(DIM)
        index.apply([PutRoutes(tuple(order))], 1)
        said.append(bits(index.snapshot()))
    assert said[0] == said[1]


@settings(deadline=None)
@given(texts, st.integers(1, 5))
def test_utterances_one_by_one_or_all_at_once_give_the_same_bits(some, size):
    """Looked at after every step, so that each step compiles a snapshot of its own."""
    slow = RouteIndex(DIM)
    slow.apply([PutRoutes((encoded("a", some[:1]),))], 1)
    for start in range(1, len(some), size):
        slow.snapshot()
        part = some[start : start + size]
        slow.apply([AddUtterances("a", tuple(part), stack(part))], 1)
    fast = RouteIndex(DIM)
    fast.apply([PutRoutes((encoded("a", some),))], 1)
    assert bits(slow.snapshot()) == bits(fast.snapshot())


def test_old_snapshots_live_through_growth_and_compaction():
    """Each is read again after all that came later, while the rows it points at were left behind."""
    index = RouteIndex(DIM)
    index.apply([PutRoutes((encoded("still", WORDS[:20]), encoded("hot", WORDS[:2])))], 0)
    taken, matrices = [], []
    for number in range(1, 40):
        some = [f"round {number} {part}" for part in range(200)]
        index.apply([PutRoutes((encoded("hot", some),))], number)
        snapshot = index.snapshot()
        taken.append((snapshot, bits(snapshot)))
        if not any(np.shares_memory(snapshot.matrix, seen) for seen in matrices):
            matrices.append(snapshot.matrix)
    assert len(matrices) > 5
    assert max(map(len, matrices)) < 40 * 200
    for snapshot, said in taken:
        assert bits(snapshot) == said
