"""Scores: the formula, and that nothing but a route's own utterances has a say in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import Route
from synaptoroute_core.changes import EncodedRoute, PutRoutes
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import centre_of, score_each, score_routes

DIMS = st.sampled_from([8, 11, 32, 129, 384])
SEEDS = st.integers(0, 2**32 - 1)
TRUST = 0.7


def unit(rows):
    """Rows scaled to length 1, as float32."""
    rows = np.atleast_2d(np.asarray(rows, np.float64))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_rows(seed, count, dim):
    return unit(np.random.default_rng(seed).standard_normal((count, dim)))


def at_cosine(query, cosine, seed=0):
    """A unit vector at a given cosine to the query."""
    other = np.random.default_rng(seed).standard_normal(len(query))
    other -= (other @ query) * query
    return unit(cosine * query + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other))[0]


def snapshot_of(routes):
    """A snapshot of routes, given by name and vectors."""
    index = RouteIndex(next(iter(routes.values())).shape[1])
    encoded = [
        EncodedRoute(Route(name, [f"{name} {row}" for row in range(len(rows))]), rows) for name, rows in routes.items()
    ]
    index.apply([PutRoutes(tuple(encoded))], 1)
    return index.snapshot()


def scores(routes, query):
    """Score of each route by name."""
    snapshot = snapshot_of(routes)
    return dict(zip(snapshot.names, score_routes(snapshot, query).routes, strict=True))


def formula(rows, query):
    """The documented formula, in double precision."""
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    mean = rows.mean(axis=0)
    length = np.linalg.norm(mean)
    pull = TRUST * length**2
    return np.clip((1 - pull) * (rows @ query).max() + pull * (mean @ query) / length, -1, 1)


# --- the formula -------------------------------------------------------------------------------


@settings(deadline=None)
@given(SEEDS, DIMS)
def test_a_route_of_one_utterance_scores_its_cosine(seed, dim):
    rows = random_rows(seed, 2, dim)
    assert scores({"a": rows[:1]}, rows[1])["a"] == pytest.approx(float(rows[0] @ rows[1]), abs=1e-6)


@settings(deadline=None)
@given(SEEDS, DIMS, st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0, 5))
def test_every_route_scores_by_the_formula(seed, dim, counts, tightness):
    """From routes whose utterances have nothing in common to routes that say one thing in many words."""
    rng = np.random.default_rng(seed)
    routes = {
        f"route{number}": unit(rng.standard_normal((count, dim)) + tightness * rng.standard_normal(dim))
        for number, count in enumerate(counts)
    }
    query = unit(rng.standard_normal(dim))[0]
    for name, score in scores(routes, query).items():
        assert score == pytest.approx(formula(routes[name], query), abs=1e-6)


def test_a_tight_route_is_scored_mostly_by_its_centre_and_a_loose_one_by_its_nearest_utterance():
    query = random_rows(1, 1, 384)[0]
    tight = np.stack([at_cosine(query, cosine) for cosine in (0.5, 0.52, 0.54)])  # nearly the same direction
    loose = np.stack([at_cosine(query, cosine, seed) for seed, cosine in enumerate((0.54, 0.0, 0.0, 0.0, 0.0))])
    found = scores({"tight": tight, "loose": loose}, query)
    assert found["tight"] == pytest.approx(0.3 * 0.54 + 0.7 * 0.52, abs=0.005)
    assert found["loose"] > 0.48
    assert centre_of(loose.sum(axis=0, dtype=np.float64), 5)[1] > 0.8


@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_and_the_opposite_vector_score_one_and_minus_one(sign):
    rows = random_rows(3, 50, 384)
    for row in rows:
        score = scores({"a": row[np.newaxis]}, sign * row)["a"]
        assert score == pytest.approx(sign, abs=1e-6)
        assert -1.0 <= score <= 1.0


def test_a_score_stays_within_one_though_lengths_are_one_only_nearly():
    """Encoders may give vectors a little too long."""
    long = random_rows(3, 1, 64) * np.float32(1.0005)
    assert scores({"a": long}, long[0])["a"] == 1.0
    assert scores({"a": long}, -long[0])["a"] == -1.0


def test_utterances_that_cancel_out_leave_the_nearest_one():
    """Their mean has no direction, which must not become a division by zero."""
    rows = random_rows(4, 2, 16)
    opposed = np.stack([rows[0], -rows[0]])
    assert scores({"a": opposed}, rows[1])["a"] == pytest.approx(abs(float(rows[0] @ rows[1])), abs=1e-6)


def test_the_same_utterance_many_times_scores_as_once():
    rows = random_rows(5, 2, 64)
    assert scores({"a": np.repeat(rows[:1], 200, axis=0)}, rows[1])["a"] == pytest.approx(rows[0] @ rows[1], abs=1e-6)


# --- fairness ----------------------------------------------------------------------------------


def test_a_query_that_is_an_utterance_of_a_wide_route_beats_a_mediocre_rival(bundled, support_routes):
    """A mean over everything that a wide route says would drown its own examples."""
    texts = [text for route in support_routes for text in route.utterances]
    wide = bundled.encode(texts)
    rival = bundled.encode(["I have a question about something else"])
    snapshot = snapshot_of({"rival": rival, "wide": wide})
    for text, query in zip(texts, wide, strict=True):
        rival_score, wide_score = score_routes(snapshot, query).routes
        assert wide_score > max(rival_score, 0.8), text


def test_a_wordy_route_does_not_crowd_out_another():
    """A search for the k nearest utterances over all routes saw nothing but those of the wordy one."""
    query = random_rows(6, 1, 128)[0]
    wordy = np.stack([at_cosine(query, 0.8, seed) for seed in range(2_000)])
    terse = at_cosine(query, 0.79)[np.newaxis]
    found = scores({"wordy": wordy, "terse": terse}, query)
    assert found["terse"] == pytest.approx(0.79, abs=1e-6)


@settings(deadline=None)
@given(SEEDS, DIMS, st.integers(1, 6), st.integers(1, 200), st.sampled_from(["a", "zz"]))
def test_a_score_has_the_same_bits_whatever_other_routes_there_are(seed, dim, own, others, other_name):
    """One query must not be answered otherwise because somebody added a route."""
    rows = random_rows(seed, own + others + 1, dim)
    alone = scores({"mine": rows[:own]}, rows[-1])["mine"]
    among = scores({other_name: rows[own:-1], "mine": rows[:own]}, rows[-1])["mine"]
    assert alone.tobytes() == among.tobytes()


@settings(deadline=None)
@given(SEEDS, DIMS, st.integers(1, 40))
def test_a_pair_of_vectors_has_the_same_product_at_any_place_in_the_matrix(seed, dim, count):
    rows = random_rows(seed, count + 1, dim)
    scored = score_routes(snapshot_of({"a": rows[:count]}), rows[-1])
    for place in range(count):
        alone = score_routes(snapshot_of({"a": rows[place : place + 1]}), rows[-1])
        assert alone.utterances[0].tobytes() == scored.utterances[place].tobytes()


@settings(deadline=None)
@given(SEEDS, DIMS, st.sampled_from(["row", "column", "every other", "odd address"]))
def test_a_query_has_the_same_score_however_it_lies_in_memory(seed, dim, layout):
    """Encoders hand out rows of a batch; how the batch lies in memory must not turn a decision."""
    rows = random_rows(seed, 9, dim)
    query = rows[-1].copy()
    if layout == "row":
        laid = rows[-1]
    elif layout == "column":
        laid = np.asfortranarray(rows)[-1]
    elif layout == "every other":
        laid = np.repeat(query, 2)[::2]
    else:
        laid = np.concatenate([np.zeros(1, np.float32), query])[1:]
    snapshot = snapshot_of({"a": rows[:3], "b": rows[3:8]})
    assert np.array_equal(laid, query)
    assert score_routes(snapshot, laid).routes.tobytes() == score_routes(snapshot, query).routes.tobytes()


@settings(deadline=None)
@given(SEEDS, DIMS, st.integers(1, 700), st.integers(1, 40))
def test_a_query_has_the_same_scores_to_the_last_bit_alone_and_among_others(seed, dim, utterances, queries):
    """Of many queries, each meets a part of the matrix before the next part is read."""
    rows = random_rows(seed, utterances + queries, dim)
    snapshot = snapshot_of({"a": rows[: utterances // 2 + 1], "b": rows[utterances // 2 : utterances]})
    together = score_each(snapshot, rows[utterances:])
    for query, scored in zip(rows[utterances:], together, strict=True):
        alone = score_routes(snapshot, query)
        assert alone.routes.tobytes() == scored.routes.tobytes()
        assert alone.utterances.tobytes() == scored.utterances.tobytes()


def test_without_routes_there_are_no_scores():
    assert [len(scored.routes) for scored in score_each(RouteIndex(8).snapshot(), random_rows(0, 3, 8))] == [0, 0, 0]
    scored = score_routes(RouteIndex(8).snapshot(), random_rows(0, 1, 8)[0])
    assert len(scored.routes) == len(scored.utterances) == 0
