"""Pictures speak as the field does, and of one thing as of one."""

import re

import numpy as np
import pytest
from evaluated import decided, evaluate

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_integrations import notebook
from synaptoroute_integrations.notebook.charts import Grid
from synaptoroute_integrations.notebook.interactive import draw_interactive
from synaptoroute_integrations.notebook.labels import excerpt, percent
from synaptoroute_integrations.notebook.learning import MOST_TICKS
from synaptoroute_integrations.notebook.static import draw_static

CONFIDENT = evaluate([("a", decided("a", 0.9, confidence=0.9)), ("b", decided("a", 0.6, confidence=0.6))])
SCORED = evaluate([("a", decided("a", 0.9)), ("b", decided("a", 0.6))])
ONE = evaluate([("a", decided("b", 0.9))], routes=("a", "b"))
EXAMPLES = [("where is the parcel", "a"), ("tell a joke", "b")]
SIZES = (1, 2, 3, 5, 6)


@pytest.fixture(scope="module")
def router():
    routes = [
        Route("a", ["where is my parcel", *(f"is parcel {number} late" for number in range(9))]),
        Route("b", ["tell a joke", "laugh please"]),
    ]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as opened:
        yield opened


@pytest.fixture(scope="module")
def lonely():
    """A router with one route of one utterance."""
    with AdaptiveRouter([Route("a", ["where is my parcel"])], encoder=HashingEncoder()) as opened:
        yield opened


TERMS = {
    "calibration_curve": (
        lambda _: notebook.calibration_curve(CONFIDENT),
        ("Reliability diagram", "Confidence", "Accuracy"),
    ),
    "confusion_matrix": (
        lambda _: notebook.confusion_matrix(SCORED),
        ("Confusion matrix", "Predicted route", "True route"),
    ),
    "intent_map": (notebook.intent_map, ("Map of the utterances' embeddings", "1st principal")),
    "latency_distribution": (
        lambda router: notebook.latency_distribution(router, ["x", "y"]),
        ("Latency", "Latency (ms)", "Frequency (queries)"),
    ),
    "learning_curve": (
        lambda router: notebook.learning_curve(router, EXAMPLES, sizes=[1, 2], progress=False),
        ("Learning curve", "Training size (utterances per route)", "Share of in-scope texts"),
    ),
    "risk_coverage": (
        lambda _: notebook.risk_coverage(SCORED),
        ("Risk-coverage curve", "Coverage", "Selective risk"),
    ),
    "score_histograms": (
        lambda _: notebook.score_histograms(SCORED),
        ("Distribution of the score", "Score", "Frequency (texts)"),
    ),
    "similarity_heatmap": (notebook.similarity_heatmap, ("Cosine similarity", "Route", "Route")),
    "threshold_curves": (
        lambda _: notebook.threshold_curves(SCORED),
        ("Precision, recall and F1 by threshold, macro average", "Threshold of the score", "Precision, recall, F1"),
    ),
}


@pytest.mark.parametrize("name", TERMS)
def test_a_picture_is_called_by_the_standard_terms(router, name):
    draw, terms = TERMS[name]
    chart = draw(router).chart
    titles = (chart.title, chart.x.title, chart.y.title)
    assert [title.startswith(term) for title, term in zip(titles, terms, strict=False)] == [True] * len(terms)


def test_where_confidences_are_compared_they_are_called_so():
    assert notebook.score_histograms(CONFIDENT).chart.title == "Distribution of the confidence"
    assert notebook.threshold_curves(CONFIDENT).chart.x.title == "Threshold of the confidence"


def test_a_map_of_a_fitted_router_speaks_of_confidence(bundled, support_routes):
    with AdaptiveRouter(support_routes[:4], encoder=bundled) as router:
        before = notebook.intent_map(router, queries=["where is my parcel"]).chart.layers[-1].hover[0]
        router.fit(progress=False)
        after = notebook.intent_map(router, queries=["where is my parcel"]).chart.layers[-1].hover[0]
    assert re.search(r"\bscore 0\.\d\d", before)
    assert re.search(r"\bconfidence 0\.\d\d", after)
    assert "score" not in after


def test_the_columns_of_a_confusion_matrix_in_percent_are_shares_of_the_true_route():
    (grid,) = [layer for layer in notebook.confusion_matrix(SCORED).chart.layers if isinstance(layer, Grid)]
    assert grid.title == "Share of the true route's texts (%)"
    assert np.nansum(grid.values, axis=1)[:2].tolist() == [100, 100]


# --- ticks ---------------------------------------------------------------------------------------------


def test_the_sizes_of_a_learning_curve_are_its_ticks(router, tmp_path):
    picture = notebook.learning_curve(router, EXAMPLES, sizes=SIZES, draws=1, progress=False)
    assert list(draw_interactive(picture.chart).layout.xaxis.ticktext) == ["1", "2", "3", "5", "6"]
    figure = draw_static(picture.chart)
    figure.savefig(tmp_path / "drawn.png")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["1", "2", "3", "5", "6"]


def test_of_many_sizes_as_many_are_ticks_as_have_room(router):
    with AdaptiveRouter([Route("a", [f"say {n}" for n in range(100)])], encoder=HashingEncoder()) as large:
        examples = [("say it", "a")]
        chart = notebook.learning_curve(large, examples, sizes=range(1, 101), draws=1, progress=False).chart
    ticks = chart.x.ticks
    assert ticks[0] == 1
    assert len(ticks) <= MOST_TICKS + 1
    assert set(ticks) <= set(range(1, 101))
    assert np.diff(np.log(ticks)).min() > np.log(100) / MOST_TICKS - 1e-9


# --- counts --------------------------------------------------------------------------------------------

ONES = re.compile(r"\b1 (\w+s|are|were|have)\b(?<!1 is)(?<!1 was)(?<!1 ms)")


def words_of(picture):
    chart = picture.chart
    hovers = [said for layer in chart.layers for said in np.ravel(getattr(layer, "hover", ()))]
    return [chart.title, chart.summary, *map(str, hovers)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda _: notebook.confusion_matrix(ONE),
        lambda _: notebook.confusion_matrix(ONE, routes=["a"]),
        lambda _: notebook.score_histograms(ONE),
        lambda _: notebook.threshold_curves(ONE),
        lambda _: notebook.risk_coverage(ONE),
        lambda router: notebook.intent_map(router, queries=["where"]),
        notebook.similarity_heatmap,
        lambda router: notebook.learning_curve(router, [("parcel", "a")], sizes=[1], draws=1, progress=False),
        lambda router: notebook.latency_distribution(router, ["where"]),
    ],
)
def test_one_of_a_kind_is_spoken_of_as_one(lonely, draw):
    assert [said for said in words_of(draw(lonely)) if ONES.search(said)] == []


def test_what_is_left_out_of_a_matrix_is_told_of_one_as_of_many():
    assert "Shown: 1 of 2 routes, with 0 of 1 wrong answer." in repr(notebook.confusion_matrix(ONE, routes=["a"]))


# --- helpers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (None, "undefined"),
        (float("nan"), "undefined"),
        (0.0, "0 %"),
        (0.0001, "under 0.1 %"),
        (0.125, "12.5 %"),
        (0.9999, "over 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(share, written):
    assert percent(share) == written


def test_an_excerpt_is_one_line_of_eighty_characters():
    assert excerpt("a\nb \x1b[31m") == "a b \\x1b[31m"
    assert excerpt(f"{'word ' * 15}longer than that") == f"{'word ' * 15}long…"
    assert len(excerpt("x" * 10_000)) == 80
