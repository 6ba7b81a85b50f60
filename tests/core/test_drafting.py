"""Drafts of changes: which answers become which edits, and which edits become which routes."""

import pytest

from synaptoroute_core import ConfigurationError, InvalidTextError, Route, RouteNotFoundError
from synaptoroute_core.learning.feedback.drafting import Edit, changed_routes, draft_edits

ROUTES = {
    "refund": Route("refund", ["I want my money back", "refund me"], threshold=0.4, metadata={"team": "billing"}),
    "order": Route("order", ["where is my order", "track my parcel"], description="Where it is."),
    "hours": Route("hours", ["when do you open"]),
}


def added(route, *texts):
    return [Edit(action="add", route=route, utterance=text) for text in texts]


def test_answers_become_utterances_of_their_routes():
    assert draft_edits([("give it back", "refund"), ("open on Sunday?", "hours")], ROUTES) == (
        *added("refund", "give it back"),
        *added("hours", "open on Sunday?"),
    )


def test_what_a_route_has_already_but_for_case_and_spacing_is_passed_over():
    assert draft_edits([("Where  is MY order", "order")], ROUTES) == ()


def test_an_answer_that_it_is_none_of_the_routes_is_never_an_utterance():
    assert draft_edits([("tell me a joke", None), ("where is my order", None)], ROUTES) == ()


def test_of_two_answers_to_one_text_the_later_counts():
    examples = [("give it", "refund"), ("Give  it", "order"), ("what now", "hours"), ("what now", None)]
    assert draft_edits(examples, ROUTES) == tuple(added("order", "Give  it"))


def test_an_utterance_of_another_route_is_moved():
    (edit,) = draft_edits([("track my PARCEL", "refund")], ROUTES)
    assert edit == Edit(action="move", route="refund", utterance="track my PARCEL", from_route="order")


def test_a_move_never_takes_a_routes_last_utterance():
    assert draft_edits([("when do you open", "order")], ROUTES) == ()
    moves = draft_edits([("where is my order", "hours"), ("track my parcel", "hours")], ROUTES)
    assert [edit.utterance for edit in moves] == ["track my parcel"]


def test_an_unknown_route_is_passed_over_unless_it_may_be_created():
    examples = [("sing", "music"), ("hum", "music")]
    assert draft_edits(examples, ROUTES) == ()
    assert draft_edits(examples, ROUTES, create=True) == (
        Edit(action="create", route="music", utterance="sing"),
        Edit(action="create", route="music", utterance="hum"),
    )


def test_of_too_many_answers_for_a_route_the_newest_are_drafted():
    examples = [(f"question {number}", route) for number in range(6) for route in ("order", "hours")]
    examples = [(f"{text} about {route}", route) for text, route in examples]
    edits = draft_edits(examples, ROUTES, max_per_route=2)
    assert [edit.utterance for edit in edits] == [
        "question 4 about order",
        "question 4 about hours",
        "question 5 about order",
        "question 5 about hours",
    ]


@pytest.mark.parametrize(
    ("example", "error"),
    [
        ("just a text", ConfigurationError),
        (("text", "order", "more"), ConfigurationError),
        (("text", "no such name!"), ConfigurationError),
        ((" ", "order"), InvalidTextError),
        ((None, "order"), InvalidTextError),
    ],
)
def test_what_is_no_example_is_refused(example, error):
    with pytest.raises(error):
        draft_edits([example], ROUTES)


def test_changed_routes_are_whole_routes_in_the_order_of_the_routes():
    edits = [
        *added("order", "parcel?"),
        Edit(action="move", route="hours", utterance="Refund ME", from_route="refund"),
        Edit(action="create", route="music", utterance="sing"),
        Edit(action="create", route="music", utterance="hum"),
    ]
    assert changed_routes(edits, ROUTES) == [
        Route("refund", ["I want my money back"], threshold=0.4, metadata={"team": "billing"}),
        Route("order", ["where is my order", "track my parcel", "parcel?"], description="Where it is."),
        Route("hours", ["when do you open", "Refund ME"]),
        Route("music", ["sing", "hum"]),
    ]


def test_routes_that_no_edit_touches_are_not_among_the_changed():
    assert changed_routes([], ROUTES) == []
    assert [route.name for route in changed_routes(added("hours", "open?"), ROUTES)] == ["hours"]


def test_edits_of_routes_that_are_gone_are_refused():
    with pytest.raises(RouteNotFoundError, match="'music'"):
        changed_routes(added("music", "sing"), ROUTES)
    with pytest.raises(ConfigurationError, match="at least one utterance"):
        changed_routes([Edit(action="move", route="order", utterance="when do you open", from_route="hours")], ROUTES)
