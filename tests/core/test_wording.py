"""Texts and numbers are written as people read them, one thing as one."""

import numpy as np
import pytest
from labelled import outcomes
from pages import decision, samples, shown

from synaptoroute_core import AdaptiveRouter, FitReport, HashingEncoder, Proposal, Route, evaluate_decisions
from synaptoroute_core.learning.thresholds.calibration import plan_calibration
from synaptoroute_core.learning.thresholds.planning import plan_thresholds
from synaptoroute_core.words import counted, cut, number, verb


def test_one_thing_is_one_and_others_are_many():
    assert [counted(count, "route") for count in (0, 1, 2, 1234)] == ["0 routes", "1 route", "2 routes", "1,234 routes"]
    assert [counted(count, "query", "queries") for count in (1, 2)] == ["1 query", "2 queries"]
    assert [verb(count) for count in (0, 1, 2)] == ["are", "is", "are"]
    assert [verb(count, "goes", "go") for count in (1, 2)] == ["goes", "go"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (0.5, "0.5"),
        (0.62, "0.62"),
        (1e-5, "1e-05"),
        (12_345_678, "12,345,678"),
    ],
)
def test_numbers_are_grouped_from_a_thousand_and_have_no_idle_zeros(value, written):
    assert number(value) == written


def test_a_cut_text_ends_with_its_last_sign_and_not_with_a_blank():
    assert cut("to be cut here", 7) == "to be…"
    assert cut("to be", 5) == "to be"


def test_a_router_with_one_route_says_so():
    with AdaptiveRouter([Route("refund", ["my money back"])], encoder=HashingEncoder(dim=64)) as router:
        assert repr(router) == "AdaptiveRouter(1 route, 1 utterance, revision 1, HashingEncoder(dim=64))"
        assert repr(router.routes) == "<1 route: refund>"
        assert shown(router.routes)[0].text.startswith("1 route")


def test_a_report_of_one_text_speaks_of_one():
    before = evaluate_decisions([("x", "a")], [decision("a", route="a")], ["a"])
    after = evaluate_decisions([("x", "a")], [decision("a", route=None)], ["a"])
    assert before.to_markdown().startswith("**1 text**, 0 of them out of scope, on 1 route: 1 LLM call saved.")
    assert before.compare(after).to_markdown().startswith("**1 of 1 text is decided otherwise**:")


def test_reports_of_a_fit_and_a_proposal_of_one_speak_of_one():
    fit = samples("x")["FitReport"].model_copy(update={"routes": 1, "utterances": 1, "examples": 1, "held_out": 1})
    assert isinstance(fit, FitReport)
    assert "1 route, 1 utterance, 1 example, 0.0 s; judged on 1 held-out text." in fit.to_markdown()
    proposal = samples("x")["Proposal"].model_copy(update={"trials": 1, "held_out": 1})
    assert isinstance(proposal, Proposal)
    assert "1 edit, 1 left out; 1 trial on 0 golden and 1 held-out query." in proposal.to_markdown()


def test_a_refusal_and_a_promise_speak_of_one_wrong_answer_as_one():
    rows = [(0, 0.9 - place / 1000, 0) for place in range(100)]
    refused = plan_calibration(outcomes([*rows[:7], (0, 0.95, 1)]), max_error=0.05)
    assert ", 1 is wrong" in refused.reason
    assert "1 are" not in refused.reason
    promised = plan_calibration(outcomes([(0, 0.9, 0)]), max_error=0.99, confidence=0.5)
    assert promised.reason.startswith("1 of 1 example is answered, 0 of them wrongly")
    many = plan_calibration(outcomes(rows), max_error=0.2)
    assert many.reason.startswith("100 of 100 examples are answered")


def test_one_example_is_too_few_for_thresholds():
    plan = plan_thresholds(outcomes([(0, 0.9, 0)]), np.full(2, np.nan), 0.5)
    assert plan.reason == "1 example is too few: give 10 or more."


def test_an_audit_of_one_route_speaks_of_one():
    with AdaptiveRouter([Route("refund", ["my money back"])], encoder=HashingEncoder()) as router:
        report = router.audit()
    assert report.to_markdown().startswith("**1 route, 1 utterance**:")
    assert "refund has 1 utterance" in report.to_markdown()
