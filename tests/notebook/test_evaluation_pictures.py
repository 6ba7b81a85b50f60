"""Pictures of an evaluation say what the report says, to the last text."""

from collections import Counter

import numpy as np
import pytest
from evaluated import (
    NOTHING_ANSWERED,
    OUTSIDE,
    QUICK,
    ROUTES,
    decided,
    evaluate,
    evaluate_really,
    judged,
    layers_of,
    several_thresholds,
)
from hypothesis import given
from hypothesis import strategies as st

from synaptoroute_core import ConfigurationError, Decision, RouteNotFoundError, evaluate_decisions
from synaptoroute_integrations.notebook.charts import Bars, Grid, Rule
from synaptoroute_integrations.notebook.evaluations import (
    calibration_curve,
    confusion_matrix,
    risk_coverage,
    score_histograms,
    threshold_curves,
)

NO_CANDIDATES = evaluate(
    [("a", Decision(route=None, reason="no_routes")), (None, Decision(route=None, reason="no_routes"))]
)
AWKWARD = {
    "one text": evaluate([("a", decided("a", 0.9))]),
    "one wrong text": evaluate([("a", decided("b", 0.9))]),
    "nothing answered": NOTHING_ANSWERED,
    "no candidates": NO_CANDIDATES,
    "all in scope": evaluate([("a", decided("a", 0.9)), ("b", decided("a", 0.7))]),
    "least score": evaluate([("a", decided("a", -1.0)), ("b", decided("b", 1.0)), (None, decided("a", -1.0))]),
}
shares = st.one_of(st.floats(0, 1), st.integers(0, 1000).map(lambda number: number / 1000))
PICTURES = (confusion_matrix, score_histograms, threshold_curves, risk_coverage)


@pytest.fixture(scope="module")
def support(bundled, support_routes, support_examples):
    return evaluate_really(bundled, support_routes, support_examples)


# --- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("report", AWKWARD.values(), ids=AWKWARD)
def test_reports_of_few_kinds_of_texts_have_pictures(draw, report):
    picture = draw(report)
    assert picture.chart.layers
    assert picture.chart.summary
    assert picture.figure.to_json()
    picture.static().canvas.draw()


@pytest.mark.parametrize("draw", [confusion_matrix, score_histograms, risk_coverage])
def test_a_report_without_in_scope_texts_has_pictures(draw):
    assert draw(OUTSIDE).figure.to_json()


@pytest.mark.parametrize("draw", [*PICTURES, calibration_curve])
def test_what_is_no_report_is_refused(draw):
    with pytest.raises(ConfigurationError, match="is no report"):
        draw([("t1", "a")])
    with pytest.raises(ConfigurationError, match="no texts in the report"):
        draw(NOTHING_ANSWERED.model_copy(update={"rows": ()}))


# --- confusions ------------------------------------------------------------------------------------


@QUICK
@given(several_thresholds)
def test_every_text_is_in_one_cell_of_the_matrix(rows):
    report = judged(rows)
    picture = confusion_matrix(report, normalise=False)
    (grid,) = layers_of(picture, Grid)
    expected = Counter((row.expected or "(out of scope)", row.chosen or "(abstained)") for row in report.rows)
    counts = {
        (label, chosen): grid.values[y, x]
        for y, label in enumerate(picture.chart.y.categories)
        for x, chosen in enumerate(picture.chart.x.categories)
        if np.isfinite(grid.values[y, x])
    }
    assert counts == expected
    assert np.nansum(grid.values) == report.total


def test_rows_of_the_matrix_are_shares_that_make_up_a_whole(support):
    (grid,) = layers_of(confusion_matrix(support), Grid)
    assert np.nansum(grid.values, axis=1) == pytest.approx(100.0)
    recalls = [100 * quality.recall for quality in support.routes]
    assert np.nan_to_num(np.diag(grid.values[:, :-1])) == pytest.approx([*recalls, 0.0][: len(grid.values) - 1])


def test_texts_sent_to_routes_that_are_not_shown_have_a_column():
    report = evaluate([("a", decided("a", 0.9)), ("a", decided("c", 0.9)), ("b", decided("b", 0.9))])
    picture = confusion_matrix(report, routes=["a"], normalise=False)
    assert picture.chart.y.categories == ("a",)
    assert picture.chart.x.categories == ("a", "(another route)", "(abstained)")
    np.testing.assert_array_equal(layers_of(picture, Grid)[0].values, [[1.0, 1.0, np.nan]])


def test_of_many_routes_the_most_confused_are_shown():
    names = [f"r{number}" for number in range(150)]
    wrong = [(names[n], decided(names[n + 1], 0.9)) for n in range(0, 120, 2) for _ in range(120 - n)]
    report = evaluate([*((name, decided(name, 0.9)) for name in names), *wrong], routes=names)
    picture = confusion_matrix(report)
    assert picture.chart.y.categories == tuple(names[:30])
    assert not layers_of(picture, Grid)[0].written
    held = sum(120 - n for n in range(0, 30, 2))
    assert f"Shown: 30 of 150 routes, with {held:,} of {len(wrong):,} wrong answers" in picture.chart.summary


def test_a_cell_names_its_routes_and_some_of_its_texts():
    texts = ["<b>bold</b>\x1b[31m\nred", "z" * 500, *(f"t{number}" for number in range(5))]
    decisions = [decided("b", 0.9)] * len(texts)
    report = evaluate_decisions([(text, "a") for text in texts], decisions, ROUTES)
    lines = layers_of(confusion_matrix(report), Grid)[0].hover[0][1].split("\n")
    assert lines[:3] == ["true: a", "predicted: b", "7 texts, 100 % of the label's 7"]
    assert lines[3] == "· <b>bold</b>\\x1b[31m red"
    assert len(lines[4]) < 100
    assert lines[-1] == "and 2 more"


def test_a_route_that_is_not_there_is_refused_by_name():
    with pytest.raises(RouteNotFoundError, match="'x'"):
        confusion_matrix(NOTHING_ANSWERED, routes=["a", "x"])
    with pytest.raises(RouteNotFoundError, match="'x'"):
        threshold_curves(NOTHING_ANSWERED, "x")


@pytest.mark.parametrize("routes", ["a", []])
def test_routes_must_be_a_list_of_names(routes):
    with pytest.raises(ConfigurationError, match="routes = "):
        confusion_matrix(NOTHING_ANSWERED, routes=routes)


# --- sureness --------------------------------------------------------------------------------------


@QUICK
@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), shares), min_size=1, max_size=20), shares, st.booleans())
def test_bars_have_every_text_on_its_side_of_the_threshold(texts, threshold, confident):
    report = evaluate(
        [(label, decided("a", score, threshold, confidence=score if confident else None)) for label, score in texts]
    )
    picture = score_histograms(report)
    bars, (rule,) = layers_of(picture, Bars), layers_of(picture, Rule)
    assert rule.at == threshold
    assert sum(layer.heights.sum() for layer in bars) == report.total
    assert sum(layer.heights[layer.edges[:-1] >= threshold].sum() for layer in bars) == report.llm_calls_saved
    assert all((np.diff(layer.edges) > 0).all() for layer in bars)


def test_shares_of_each_kind_of_texts_make_up_a_whole(support):
    bars = layers_of(score_histograms(support, normalise=True), Bars)
    assert [layer.name for layer in bars] == ["right best candidate", "wrong best candidate", "out of scope"]
    assert [layer.heights.sum() for layer in bars] == pytest.approx([1.0, 1.0, 1.0])


def test_the_summary_says_how_many_of_each_kind_were_answered():
    report = evaluate(
        [
            ("a", decided("a", 0.9)),
            ("a", decided("a", 0.7, close=True)),
            ("a", decided("b", 0.8)),
            (None, decided("a", 0.6)),
            (None, decided("a", 0.2)),
        ]
    )
    assert score_histograms(report).chart.summary == (
        "Answered: 1 of 2 texts whose best candidate is right; 1 of 1 text whose best candidate is wrong; 1 of 2 texts "
        "out of scope. The others were left unanswered. The threshold is 0.500."
    )


def test_of_several_thresholds_the_most_common_is_marked_and_the_others_are_spoken_of():
    pairs = [("a", decided("a", 0.9, 0.3)), ("b", decided("b", 0.8, 0.6)), ("b", decided("b", 0.5, 0.6))]
    picture = score_histograms(evaluate(pairs))
    assert [rule.at for rule in layers_of(picture, Rule)] == [0.6]
    assert "from 0.300 to 0.600" in picture.chart.summary
