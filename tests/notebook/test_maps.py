"""Maps of utterances and the similarity of routes."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, InvalidTextError, Route
from synaptoroute_integrations.notebook import maps, similarities
from synaptoroute_integrations.notebook.charts import Grid, Note, Points
from synaptoroute_integrations.notebook.maps import intent_map, similarity_heatmap
from synaptoroute_integrations.notebook.placement import LETTER, LINE, free_places
from synaptoroute_integrations.notebook.similarities import order_by_similarity


def layers(picture, kind=Points, **attributes):
    found = [layer for layer in picture.chart.layers if isinstance(layer, kind)]
    return [layer for layer in found if all(getattr(layer, name) == value for name, value in attributes.items())]


def places(picture, shape="dot"):
    return np.concatenate([np.stack([layer.x, layer.y], axis=1) for layer in layers(picture, shape=shape)])


# --- the map ------------------------------------------------------------------------------------------


def test_every_utterance_is_a_point_that_tells_its_text_and_route(router):
    dots = layers(intent_map(router), shape="dot")
    assert [(layer.name, layer.tone) for layer in dots] == [("parcel", 0), ("joke", 1), ("parcel_lost", 2)]
    assert [len(layer.x) for layer in dots] == [2, 3, 2]
    assert list(dots[0].hover) == ["where is my parcel\nparcel", "is my parcel late\nparcel"]


def test_the_map_shows_distances_in_the_directions_of_most_variance(router):
    vectors = np.concatenate([router.vectors(name) for name in router.routes]).astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    expected = centred @ axes[:, [-1, -2]]
    picture = intent_map(router)
    assert np.allclose(np.abs(places(picture)), np.abs(expected), atol=1e-6)
    assert f"{100 * values[-1] / values.sum():.1f} %" in picture.chart.x.title


def test_the_map_is_the_same_each_time(router):
    assert np.array_equal(places(intent_map(router)), places(intent_map(router)))


def test_queries_are_stars_that_tell_the_decision_and_move_nothing(router):
    alone, asked = intent_map(router), intent_map(router, queries=["where is my parcel", "zzz qqq"])
    assert np.array_equal(places(alone), places(asked))
    known, unknown = layers(asked, shape="star")
    assert (known.name, known.tone) == ("query for parcel", 0)
    assert known.hover[0].startswith("where is my parcel\nquery for parcel\nscore 0.96, needed ")
    assert np.allclose([known.x[0], known.y[0]], places(alone)[0])
    assert (unknown.name, unknown.tone) == ("query without a route", "muted")
    assert unknown.hover[0].startswith("zzz qqq\nno route: below threshold\nbest: ")
    assert "Queries that get a route: 1 of 2." in asked.chart.summary


def test_few_routes_are_named_at_their_centres_and_many_are_not(router, large_router):
    assert [note.text for note in layers(intent_map(router), Note)] == list(router.routes)
    many = intent_map(large_router)
    assert layers(many, Note) == []
    assert len(layers(many)) == 150


def test_the_summary_says_how_many_are_next_to_their_own(router):
    assert intent_map(router).chart.summary.startswith("7 utterances of 3 routes, on the two directions")
    assert "the nearest other one is of their own route" in intent_map(router).chart.summary


def test_of_too_many_utterances_some_of_each_route_are_drawn_with_the_seed(large_router, monkeypatch):
    monkeypatch.setattr(maps, "MOST_UTTERANCES", 200)
    picture, again, other = (intent_map(large_router, seed=seed) for seed in (0, 0, 1))
    assert [len(layer.x) for layer in layers(picture)] == [1] * 150
    assert "150 drawn at random of 300 utterances" in picture.chart.summary
    hover, repeated, different = ([layer.hover for layer in layers(each)] for each in (picture, again, other))
    assert hover == repeated != different


def test_places_of_the_users_own_are_taken_route_after_route_then_the_queries(router):
    given = np.arange(16.0).reshape(8, 2)
    picture = intent_map(router, coords=given, queries=["a riddle"])
    assert np.array_equal(places(picture), given[:7])
    assert np.array_equal(places(picture, "star"), given[7:])


def test_a_function_gets_the_vectors_and_gives_the_places(router):
    seen = []

    def reduce(vectors):
        seen.append(vectors)
        return vectors[:, :2].tolist()

    picture = intent_map(router, coords=reduce, queries=["a riddle"])
    expected = np.concatenate([*(router.vectors(name) for name in router.routes), router.encoder.encode(["a riddle"])])
    assert np.array_equal(seen[0], expected)
    assert np.array_equal(places(picture), expected[:7, :2])


@pytest.mark.parametrize("coords", [np.zeros((7, 3)), np.zeros((8, 2)), np.full((7, 2), np.nan), "pca", object()])
def test_places_that_fit_nothing_are_refused(router, coords):
    with pytest.raises(ConfigurationError, match="coords"):
        intent_map(router, coords=coords)


def test_umap_is_used_where_it_is_installed(router, monkeypatch):
    settings = {}

    class Umap:
        def __init__(self, **options):
            settings.update(options)

        def fit_transform(self, rows):
            return rows[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))
    picture = intent_map(router, method="umap", seed=7)
    assert (picture.chart.x.title, settings["random_state"], settings["n_neighbors"]) == ("UMAP 1", 7, 6)


def test_umap_of_too_few_texts_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=None))
    routes = [Route("one", ["one"]), Route("two", ["two"])]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as small, pytest.raises(ConfigurationError, match="3 texts"):
        intent_map(small, method="umap")


def test_without_umap_the_map_says_how_to_install_it(router, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        intent_map(router, method="umap")


def test_another_method_is_refused(router):
    with pytest.raises(ConfigurationError, match="'tsne'"):
        intent_map(router, method="tsne")


@pytest.mark.parametrize(
    ("queries", "error"), [("one text", ConfigurationError), ([" "], InvalidTextError), (3, ConfigurationError)]
)
def test_queries_that_are_none_are_refused(router, queries, error):
    with pytest.raises(error):
        intent_map(router, queries=queries)


@pytest.mark.parametrize("draw", [intent_map, similarity_heatmap])
def test_a_router_without_routes_is_refused(draw):
    with AdaptiveRouter(encoder=HashingEncoder()) as empty, pytest.raises(ConfigurationError, match="add_route"):
        draw(empty)
    with pytest.raises(ConfigurationError, match="AdaptiveRouter"):
        draw("router.yaml")


def test_names_are_moved_off_each_other_and_off_marks():
    points, taken = np.array([[0.0, 0.0], [0.01, 0.01], [1.0, 1.0]]), np.array([[1.0, 1.0]])
    placed = free_places(points, ["first", "second", "third"], taken, (500, 500)) * 500
    assert placed[0].tolist() == [0, 0]
    assert abs(placed[1, 1] - placed[0, 1]) >= LINE
    assert abs(placed[2, 1] - 500) >= LINE
    assert np.allclose(placed[:, 0], points[:, 0] * 500)
    assert LETTER * len("second") > abs(placed[1, 0] - placed[0, 0])


@pytest.mark.parametrize("draw", [intent_map, similarity_heatmap])
@pytest.mark.parametrize("count", [1, 2, 150])
def test_any_number_of_routes_is_drawn_by_both_libraries(draw, count, large_router, tmp_path):
    routes = list(large_router.routes.values())[:count]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as some:
        picture = draw(some)
    picture.save(tmp_path / "drawn.png")
    assert len(picture.figure.data) > 0


# --- similarity ---------------------------------------------------------------------------------------


def test_cells_are_the_cosines_of_the_centres(router):
    picture = similarity_heatmap(router)
    (grid,) = layers(picture, Grid)
    names = picture.chart.x.categories
    means = np.stack([router.vectors(name).mean(axis=0) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    assert names == picture.chart.y.categories
    assert np.allclose(grid.values, means @ means.T, atol=1e-6)


def test_similar_routes_stand_side_by_side(router):
    names = similarity_heatmap(router).chart.x.categories
    assert abs(names.index("parcel") - names.index("parcel_lost")) == 1


def test_an_order_that_was_mixed_up_is_found_again():
    angles = np.random.default_rng(0).permutation(np.linspace(0, np.pi / 2, 30))
    order = order_by_similarity(np.cos(angles[:, None] - angles[None]).astype(np.float32))
    steps = np.diff(angles[order])
    assert sorted(order.tolist()) == list(range(30))
    assert (steps > 0).all() or (steps < 0).all()


def test_pointing_at_a_cell_tells_the_nearest_utterances(router):
    picture = similarity_heatmap(router)
    (grid,) = layers(picture, Grid)
    row, column = (picture.chart.x.categories.index(name) for name in ("parcel_lost", "parcel"))
    cosines = router.vectors("parcel_lost") @ router.vectors("parcel").T
    best = np.unravel_index(cosines.argmax(), cosines.shape)
    first, second = (
        router.routes[name].utterances[at] for name, at in zip(("parcel_lost", "parcel"), best, strict=True)
    )
    names, cosine, found, *texts = grid.hover[row][column].split("\n")
    assert names == "parcel_lost · parcel"
    assert cosine == f"cosine {grid.values[row, column]:.2f}"
    assert found == f"nearest utterances, with {cosines.max():.2f}:"
    assert texts == [f"· {first}", f"· {second}"]
    assert grid.hover[row][row] == "parcel_lost\n2 utterances"


def test_the_summary_names_the_most_similar_pair(router):
    summary = similarity_heatmap(router).chart.summary
    assert summary.startswith("Of 3 routes, parcel and parcel_lost are the most similar")
    assert summary.endswith("with 0.79: 'is my parcel late' and 'my parcel is lost'.")


def test_of_many_routes_only_the_most_similar_pairs_tell_their_utterances(large_router):
    (grid,) = layers(similarity_heatmap(large_router), Grid)
    told = sum("nearest" in said for row in grid.hover for said in row)
    assert told == 2 * similarities.MOST_PAIRS
    assert np.array(grid.hover).shape == (150, 150)


def test_of_too_many_routes_the_most_similar_are_shown(router, monkeypatch):
    monkeypatch.setattr(similarities, "MOST_ROUTES", 2)
    picture = similarity_heatmap(router)
    assert set(picture.chart.x.categories) == {"parcel", "parcel_lost"}
    assert picture.chart.summary.endswith("Shown are the 2 that are most similar to another.")
