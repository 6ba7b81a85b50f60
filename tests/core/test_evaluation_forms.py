"""A report as JSON and as Markdown."""

import json

import pytest
from judged import CASE, abstained, decided, evaluate, tables_of

from synaptoroute_core import ConfigurationError, EvaluationReport, evaluate_decisions

FULL = [
    ("a", decided("a", 0.90, confidence=0.8)),
    ("a", decided("b", 0.80, confidence=0.7)),
    ("b", decided("b", 0.40, confidence=0.2, answered=False)),
    (None, decided("a", 0.60, confidence=0.1)),
]


@pytest.mark.parametrize("pairs", [CASE, FULL, [("a", abstained("a", 0.4))]])
def test_a_report_survives_json(pairs):
    report = evaluate(pairs, seconds=0.1, price_per_call=0.5)
    assert EvaluationReport.from_json(report.to_json()) == report
    assert EvaluationReport.model_validate(report.to_dict()) == report
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_error_levels_are_strings_in_json_and_numbers_in_a_report_read_back():
    report = evaluate(FULL)
    assert list(json.loads(report.to_json())["coverage_at_error"]) == ["0.01", "0.02", "0.05"]
    assert list(EvaluationReport.from_json(report.to_json()).coverage_at_error) == [0.01, 0.02, 0.05]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[:-20], "Invalid JSON"),
        (lambda text: "[]", "EvaluationReport"),
        (lambda text: text.replace('"total"', '"sum"'), "total"),
        (lambda text: text.replace('"matched"', '"guessed"', 1), r"mistakes\.0\.decision\.reason = 'guessed'"),
    ],
)
def test_what_is_no_report_is_refused_with_the_place(change, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        EvaluationReport.from_json(change(evaluate(FULL).to_json()))


def test_markdown_shows_figures_savings_routes_confusions_and_texts():
    figures, savings, routes, confusions, wrong, missed = tables_of(
        evaluate(FULL, seconds=0.4, price_per_call=2.0).to_markdown()
    )
    assert ["accuracy", "0.667"] in figures
    assert ["mean ms", "100.000"] in figures
    assert any(row[0] == "calibration error" for row in figures)
    assert savings[1] == ["1 %", "0.250", "1", "2.00"]
    assert routes[1][:3] == ["b", "1", "1"]
    assert confusions[1:] == [["out of scope", "a", "1", "t4"], ["a", "b", "1", "t2"]]
    assert [row[0] for row in wrong[1:]] == ["t2", "t4"]
    assert missed[1:] == [["t3", "b", "abstained", "b", "0.200"]]


def test_markdown_leaves_out_what_there_is_not():
    markdown = evaluate([("a", decided("a", 0.9))]).to_markdown()
    assert len(tables_of(markdown)) == 3
    for absent in ("calibration", "mean ms", "auroc", "in money", "wrong", "unanswered"):
        assert absent not in markdown


@pytest.mark.parametrize(
    "text",
    [
        "a | b || c",
        "`code` and ``more`",
        r"back\slash \| pipe \\| twice \`",
        "*stars* **two** _under_ __two__ snake_case a__b ~~no~~",
        "[link](http://x.y) ![image](z) <b>bold</b> &amp; <!-- c -->",
        "# no heading, - no list, 1. nor this | --- |",
    ],
)
def test_text_of_users_is_shown_as_it_is_in_markdown(text):
    report = evaluate_decisions([(text, "a")], [decided("b", 0.9)], ["a", "b"])
    assert tables_of(report.to_markdown())[-1][1][0] == text


def test_a_text_of_many_lines_stays_in_its_row():
    report = evaluate_decisions([("one\r\ntwo\n\n| three\x1b[31m", "a")], [decided("b", 0.9)], ["a", "b"])
    assert tables_of(report.to_markdown())[-1][1][0] == "one two | three [31m"


def test_a_long_text_is_cut():
    report = evaluate_decisions([("word " * 200, "a")], [decided("b", 0.9)], ["a", "b"])
    shown = tables_of(report.to_markdown())[-1][1][0]
    assert len(shown) == 160
    assert shown.endswith("…")
