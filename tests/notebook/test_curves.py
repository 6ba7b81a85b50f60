"""Curves of an evaluation are exact: at every threshold what the router would have done, as the report counts it."""

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
    one_threshold,
    several_thresholds,
    shown,
    value_at,
)
from hypothesis import given
from hypothesis import strategies as st

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations.notebook.charts import Line, Note, Points, Rule
from synaptoroute_integrations.notebook.evaluations import calibration_curve, risk_coverage, threshold_curves


@pytest.fixture(scope="module")
def support(bundled, support_routes, support_examples):
    return evaluate_really(bundled, support_routes, support_examples)


# --- thresholds ------------------------------------------------------------------------------------


@QUICK
@given(one_threshold, st.sampled_from([None, *ROUTES]))
def test_curves_are_what_another_threshold_would_have_done(rows, route):
    """Every score and every middle between two, each decided anew."""
    report = judged(rows)
    supported = [quality for quality in report.routes if quality.support]
    if not supported or (route is not None and all(row.best != route for row in report.rows)):
        return
    lines = layers_of(threshold_curves(report, route), Line)
    scores = np.unique([row[2] for row in rows])
    inside = [each for each in (*scores, *(scores[1:] + scores[:-1]) / 2) if lines[0].x[0] < each <= lines[0].x[-1]]
    for threshold in inside:
        moved = [
            (label, best, score if not close or score < own else -1.0, own, False)
            for label, best, score, own, close in rows
        ]
        again = judged(moved, threshold)
        quality = {each.route: each for each in again.routes}.get(route)
        figures = (
            (again.macro_precision, again.macro_recall, again.macro_f1)
            if quality is None
            else (quality.precision, quality.recall, quality.f1)
        )
        np.testing.assert_allclose([value_at(line, threshold) for line in lines], shown(figures))


def test_at_the_threshold_in_force_the_curves_have_the_figures_of_the_report(support):
    picture = threshold_curves(support)
    (rule,) = layers_of(picture, Rule)
    figures = [support.macro_precision, support.macro_recall, support.macro_f1]
    assert [value_at(line, rule.at) for line in layers_of(picture, Line)] == pytest.approx(figures)
    assert layers_of(picture, Points)[0].y == pytest.approx(figures)


@QUICK
@given(several_thresholds, st.sampled_from(ROUTES))
def test_at_its_own_threshold_a_route_has_the_figures_of_the_report(rows, route):
    rows = [
        (label, best, score, {"a": 0.25, "b": 0.5, "c": 0.625}[best], close) for label, best, score, _, close in rows
    ]
    report = judged(rows)
    quality = next(each for each in report.routes if each.route == route)
    if all(row.best != route for row in report.rows):
        return
    picture = threshold_curves(report, route)
    (rule,) = layers_of(picture, Rule)
    found = [value_at(line, rule.at) for line in layers_of(picture, Line)]
    np.testing.assert_allclose(found, shown([quality.precision, quality.recall, quality.f1]))


def test_the_best_f1_is_marked(support):
    picture = threshold_curves(support)
    (note,) = layers_of(picture, Note)
    f1 = layers_of(picture, Line)[2]
    assert note.y == np.nanmax(f1.y) == pytest.approx(value_at(f1, note.x))


def test_without_labels_there_is_no_precision():
    with pytest.raises(ConfigurationError, match="no text of the report is labelled with a route"):
        threshold_curves(OUTSIDE)
    with pytest.raises(ConfigurationError, match="no text of the report is labelled 'c'"):
        threshold_curves(evaluate([("a", decided("b", 0.9))]), "c")


# --- risk ------------------------------------------------------------------------------------------


@QUICK
@given(several_thresholds)
def test_risk_is_the_error_among_all_texts_that_are_as_sure(rows):
    report = judged(rows)
    (line,) = layers_of(risk_coverage(report), Line)
    expected = []
    for sureness in sorted({row.sureness for row in report.rows}, reverse=True):
        surer = [row for row in report.rows if row.sureness >= sureness]
        wrong = sum(row.expected is None or row.best != row.expected for row in surer)
        expected.append((len(surer) / report.total, wrong / len(surer)))
    np.testing.assert_allclose(np.stack([line.x, line.y], axis=1), expected)


@QUICK
@given(several_thresholds, st.sampled_from([0.01, 0.02, 0.05]))
def test_the_mark_is_the_coverage_that_the_report_has_at_the_error(rows, error):
    report = judged(rows)
    picture = risk_coverage(report, error=error)
    (mark,) = [rule for rule in layers_of(picture, Rule) if rule.axis == "x"]
    assert mark.at == report.coverage_at_error[error]


def test_the_router_as_it_is_stands_where_the_report_says(support):
    (_, now) = layers_of(risk_coverage(support), Points)
    assert (now.x[0], now.y[0]) == (support.answered, support.error)


def test_without_ambiguous_texts_the_router_stands_on_the_curve():
    scores = [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    report = evaluate([("a", decided("b" if score in (0.8, 0.5) else "a", score)) for score in scores])
    picture = risk_coverage(report)
    line, now = layers_of(picture, Line)[0], layers_of(picture, Points)[-1]
    assert np.interp(now.x[0], line.x, line.y) == pytest.approx(report.error) == now.y[0]


def test_the_label_says_how_many_calls_are_skipped():
    pairs = [*[("a", decided("a", 0.9))] * 71, *[("a", decided("b", 0.4))] * 29]
    picture = risk_coverage(evaluate(pairs))
    assert "LLM calls skipped at 2 % error: 71 %" in {rule.label for rule in layers_of(picture, Rule)}
    assert "LLM calls skipped at 2 % error: 71 % of 100" in picture.chart.summary


def test_other_reports_are_further_lines(support):
    picture = risk_coverage(support, others={"this router": NOTHING_ANSWERED, "later": support})
    assert [line.name for line in layers_of(picture, Line)] == ["this router", "this router", "later"]
    assert "later: " in picture.chart.summary


@pytest.mark.parametrize("error", [-0.1, 1, True, "2 %", float("nan")])
def test_an_error_that_is_no_share_is_refused(error):
    with pytest.raises(ConfigurationError, match="error = "):
        risk_coverage(NOTHING_ANSWERED, error=error)


# --- confidence ------------------------------------------------------------------------------------


@QUICK
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_calibration_has_the_bins_of_the_report(texts):
    report = evaluate([("a", decided("a" if right else "b", 0.5, confidence=stated)) for right, stated in texts])
    picture = calibration_curve(report)
    _, line = layers_of(picture, Line)
    filled = [each for each in report.calibration if each.count]
    assert list(zip(line.x, line.y, strict=True)) == [(each.confidence, each.right) for each in filled]
    assert f"Expected calibration error {report.calibration_error:.3f} over {len(texts)} text" in picture.chart.summary


def test_the_more_texts_the_larger_the_dot():
    texts = [0.95] * 64 + [0.5] * 16 + [0.1]
    report = evaluate([("a", decided("a", 0.5, confidence=stated)) for stated in texts])
    small, middle, large = (layer.size for layer in layers_of(calibration_curve(report), Points))
    assert small < middle == large / 2


def test_without_confidence_the_remedy_is_named():
    with pytest.raises(ConfigurationError, match=r"call router\.fit\(\) first"):
        calibration_curve(NOTHING_ANSWERED)
