"""Two reports of the same texts, side by side."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import abstained, decided, evaluate, labels, tables_of

from synaptoroute_core import AdaptiveRouter, ConfigurationError, RouterConfig, evaluate_decisions
from synaptoroute_core.learning.evaluation.comparing import ComparisonReport

KINDS = {
    "broken": ("a", decided("a", 0.9), decided("b", 0.9), 0, 1),
    "now_wrong": ("a", abstained("b", 0.4), decided("b", 0.9), -1, 1),
    "changed_wrong": ("a", decided("b", 0.9), decided("c", 0.9), 0, 0),
    "now_abstained": ("a", decided("a", 0.9), abstained("a", 0.4), 1, 0),
    "withdrawn": ("a", decided("b", 0.9), abstained("b", 0.4), 1, -1),
    "now_answered": ("a", abstained("a", 0.4), decided("a", 0.9), -1, 0),
    "fixed": ("a", decided("b", 0.9), decided("a", 0.9), 0, -1),
}
"""Of each kind: label, decisions before and after, LLM calls and wrong answers that it adds."""


def compare(triples, **options):
    """Compare what (label, before, after) triples were and are."""
    before = evaluate([(label, old) for label, old, _ in triples])
    return before.compare(evaluate([(label, new) for label, _, new in triples]), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flip_is_named_by_what_it_was_and_is_and_by_its_cost(kind):
    label, old, new, calls, wrong = KINDS[kind]
    comparison = compare([(label, old, new)])
    (flip,) = comparison.flips
    assert (flip.text, flip.expected, flip.before, flip.after) == ("t1", "a", old.route, new.route)
    assert (flip.kind, flip.llm_calls, flip.wrong_answers) == (kind, calls, wrong)
    assert (comparison.llm_calls, comparison.wrong_answers) == (calls, wrong)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (abstained("a", 0.4), decided("a", 0.9), "now_wrong"),
        (decided("a", 0.9), abstained("a", 0.4), "withdrawn"),
        (decided("a", 0.9), decided("b", 0.9), "changed_wrong"),
    ],
)
def test_any_answer_to_an_out_of_scope_text_is_wrong(old, new, kind):
    assert compare([(None, old, new)]).flips[0].kind == kind


def test_what_is_decided_alike_is_no_flip_even_if_surer():
    same = [("a", decided("a", 0.5), decided("a", 0.9)), ("a", abstained("a", 0.1), abstained("b", 0.3))]
    comparison = compare(same)
    assert (comparison.total, comparison.flips, comparison.llm_calls, comparison.wrong_answers) == (2, (), 0, 0)
    assert set(comparison.kinds.values()) == {0}


def test_flips_are_listed_worst_kind_first_and_within_it_surest_first():
    triples = [KINDS[kind][:3] for kind in reversed(KINDS)]
    triples.append(("a", decided("a", 0.9), decided("b", 0.95)))
    comparison = compare(triples)
    assert [flip.kind for flip in comparison.flips] == ["broken", *KINDS]
    assert comparison.flips[0].text == "t8"
    assert comparison.kinds == {**dict.fromkeys(KINDS, 1), "broken": 2}


def test_the_headline_figures_are_set_side_by_side():
    deltas = {each.figure: each for each in compare([KINDS["fixed"][:3], KINDS["now_answered"][:3]]).deltas}
    assert (deltas["accuracy"].before, deltas["accuracy"].after, deltas["accuracy"].change) == (0.5, 1.0, 0.5)
    assert (deltas["answered"].before, deltas["answered"].after) == (0.5, 1.0)
    assert (deltas["coverage_at_0.01"].before, deltas["coverage_at_0.01"].after) == (0.0, 1.0)
    assert not deltas.keys() & {"auroc", "calibration_error", "mean_ms"}, "neither report has them"


def test_a_figure_that_one_report_lacks_has_no_change():
    before = evaluate([("a", decided("a", 0.9))])
    after = evaluate([("a", decided("a", 0.9, confidence=0.9))], seconds=0.1)
    deltas = {each.figure: each for each in before.compare(after).deltas}
    for figure, value in (("calibration_error", 0.1), ("mean_ms", 100)):
        assert (deltas[figure].before, deltas[figure].change) == (None, None)
        assert deltas[figure].after == pytest.approx(value)


def test_chance_is_tested_for_fixed_against_broken_and_for_all_wrong_answers():
    fixed, broken, withdrawn = (KINDS[kind][:3] for kind in ("fixed", "broken", "withdrawn"))
    comparison = compare([fixed] * 5 + [broken] + [withdrawn] * 4)
    assert comparison.p_value == pytest.approx(2 * (1 + 6) / 2**6)
    assert comparison.p_value_wrong == pytest.approx(2 * (1 + 10) / 2**10)
    assert compare([KINDS["now_answered"][:3]]).p_value == 1.0


def test_money_is_calls_times_price_and_the_price_may_stand_in_a_report():
    pairs = [("a", decided("a", 0.9)), ("a", decided("a", 0.8))]
    fewer = [("a", abstained("a", 0.4)), ("a", abstained("a", 0.3))]
    assert evaluate(pairs).compare(evaluate(fewer)).money is None
    assert evaluate(pairs, price_per_call=3).compare(evaluate(fewer)).money == 6
    assert evaluate(pairs, price_per_call=3).compare(evaluate(fewer, price_per_call=0)).money == 0
    assert evaluate(fewer, price_per_call=3).compare(evaluate(pairs), price_per_call=0.5).money == -1
    with pytest.raises(ConfigurationError, match="price_per_call = -1"):
        evaluate(pairs).compare(evaluate(fewer), price_per_call=-1)


def test_texts_are_matched_wherever_they_stand():
    rows = [("x", "a", decided("a", 0.9)), ("y", "b", decided("b", 0.8)), ("z", None, abstained("a", 0.1))]
    before, after = (
        evaluate_decisions([row[:2] for row in order], [row[2] for row in order], ["a", "b"])
        for order in (rows, rows[::-1])
    )
    assert before.compare(after).flips == ()


def report_of(*examples):
    return evaluate_decisions(examples, [decided("a", 0.9)] * len(examples), ["a"])


@pytest.mark.parametrize(
    ("examples", "complaint"),
    [
        ([("x", "a"), ("y", "a")], r"1 of 3 are in the first alone and 0 of 2 in the second alone, such as 'x'"),
        ([("x", "a"), ("x", "a"), ("z", "a")], r"1 of 3 .* and 1 of 3 .* such as 'y' labelled 'a'"),
        ([("x", "a"), ("x", None), ("y", "a")], r"1 of 3 .* and 1 of 3 .* such as 'x' labelled 'a'"),
        ([("x", "a"), ("x", "a"), ("y", "a"), ("y", "a")], r"0 of 3 .* and 1 of 4 .* such as 'y'"),
    ],
)
def test_reports_of_other_examples_are_refused_with_how_many_differ(examples, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        report_of(("x", "a"), ("x", "a"), ("y", "a")).compare(report_of(*examples))


def test_a_comparison_survives_json():
    comparison = compare([KINDS[kind][:3] for kind in KINDS], price_per_call=0.5)
    assert ComparisonReport.model_validate_json(comparison.to_json()) == comparison


def test_a_report_that_was_read_back_compares_like_the_one_that_was_written():
    before, after = evaluate([("a", decided("b", 0.9))]), evaluate([("a", decided("a", 0.9))])
    assert type(before).from_json(before.to_json()).compare(after) == before.compare(after)


def test_markdown_shows_what_it_comes_to_the_figures_and_the_flips():
    comparison = compare([KINDS["fixed"][:3], KINDS["withdrawn"][:3]], price_per_call=2)
    markdown = comparison.to_markdown()
    assert "**2 of 2 texts are decided otherwise**: 1 fixed, 0 broken (p = 1.000)." in markdown
    assert "Wrong answers: -2 (p = 0.500). LLM calls: +1, +2.00 in money." in markdown
    figures, flips = tables_of(markdown)
    assert ["answered", "1.000", "0.500", "-0.500"] in figures
    assert flips[1:] == [
        ["withdrawn", "t2", "a", "b", "abstained", "+1", "-1"],
        ["fixed", "t1", "a", "b", "a", "0", "-1"],
    ]


def test_markdown_says_how_many_flips_it_leaves_out():
    markdown = compare([KINDS["broken"][:3]] * 33).to_markdown()
    assert len(tables_of(markdown)[1]) == 31
    assert markdown.endswith("And 3 more.\n")


decisions = st.builds(decided, st.sampled_from("ab"), st.just(0.5), answered=st.booleans())


@settings(deadline=None)
@given(st.lists(st.tuples(labels, decisions, decisions), min_size=1, max_size=12))
def test_costs_add_up_to_the_difference_of_the_reports(triples):
    before = evaluate([(label, old) for label, old, _ in triples])
    after = evaluate([(label, new) for label, _, new in triples])
    there, back = before.compare(after), after.compare(before)
    assert there.llm_calls == before.llm_calls_saved - after.llm_calls_saved == -back.llm_calls
    assert there.wrong_answers == len(after.mistakes) - len(before.mistakes) == -back.wrong_answers
    assert (there.p_value, there.p_value_wrong) == (back.p_value, back.p_value_wrong)
    assert len(there.flips) == sum(old.route != new.route for _, old, new in triples)


def test_a_lower_threshold_answers_more_and_changes_no_answer(bundled, support_routes, support_examples):
    reports = []
    for threshold in (0.5, 0.4):
        with AdaptiveRouter(support_routes, encoder=bundled, config=RouterConfig(threshold=threshold)) as router:
            reports.append(router.evaluate(support_examples))
    comparison = reports[0].compare(reports[1])
    assert {flip.kind for flip in comparison.flips} == {"now_answered", "now_wrong"}
    assert comparison.llm_calls == -len(comparison.flips) < 0
    assert {each.figure for each in comparison.deltas if each.change} >= {"answered", "error"}
    assert not any(each.change for each in comparison.deltas if each.figure in {"accuracy", "auroc", "aurc"})
