"""Changes proposed from feedback: what is held out, what passes, what is left out, and what is refused."""

import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    Candidate,
    ConfigurationError,
    Decision,
    Route,
)
from synaptoroute_core.learning.feedback.drafting import changed_routes
from synaptoroute_core.learning.feedback.proposing import Proposal, propose_change, split_feedback

ROUTES = {
    "refund": Route("refund", ["I want my money back"]),
    "order": Route("order", ["where is my order"]),
    "hours": Route("hours", ["when do you open"]),
}

FEW = {
    "order": ["where is my order", "track my parcel"],
    "refund": ["I want my money back", "please refund me"],
    "password": ["I forgot my password", "reset my password"],
}
FEEDBACK = [
    ("the courier has not come yet", "order"),
    ("my shipment is late", "order"),
    ("the delivery still has not arrived", "order"),
    ("has my shipment arrived at the depot", "order"),
    ("the courier is late with my delivery", "order"),
    ("nothing has been delivered so far", "order"),
    ("reimburse the amount I was charged", "refund"),
    ("return the payment to my card", "refund"),
    ("I was charged twice, reverse the payment", "refund"),
    ("reverse the charge on my card", "refund"),
    ("give back the amount I paid", "refund"),
    ("I want to be reimbursed", "refund"),
    ("I cannot log in to my account", "password"),
    ("the login does not accept me", "password"),
    ("locked out of my account", "password"),
    ("my account is locked and I cannot sign in", "password"),
    ("sign in does not work any more", "password"),
    ("let me log in again", "password"),
    ("what is the weather in Rome", None),
    ("tell me a joke", None),
]
GOLDEN = [
    ("where is the parcel I ordered", "order"),
    ("track my order please", "order"),
    ("I would like my money back please", "refund"),
    ("can I get a refund", "refund"),
    ("reset the password", "password"),
    ("I do not remember my password", "password"),
    ("how tall is the Eiffel tower", None),
    ("sing a song for me", None),
]


# --- splitting ---------------------------------------------------------------------------------


def split(examples, golden=(), **settings):
    return split_feedback(examples, golden, ROUTES, **{"holdout": 0.3, "seed": 0, "create": False, **settings})


MANY = [(f"question {number}", "order") for number in range(100)]


def test_a_share_of_the_feedback_is_held_out_and_the_rest_is_drafted():
    drafted, held_out = split(MANY)
    assert (len(drafted), len(held_out)) == (70, 30)
    assert sorted(drafted + held_out) == sorted(MANY)


def test_which_texts_are_held_out_depends_on_them_and_the_seed_alone():
    assert set(split(MANY)[1]) == set(split(MANY[::-1])[1])
    assert set(split(MANY)[1]) != set(split(MANY, seed=1)[1])


def test_what_cannot_be_drafted_is_all_tested():
    others = [("a joke", None), ("some music", "music")]
    assert split(others, holdout=0.0) == ([], others)


def test_golden_queries_and_known_utterances_are_neither_drafted_nor_held_out():
    examples = [("where is MY order", "order"), ("Open  today", "hours")]
    assert split(examples, golden=[("open today", "hours")]) == ([], [])


# --- proposing ---------------------------------------------------------------------------------


class Judged:
    """A router as the judge; counts how often it was asked with other routes than its own."""

    def __init__(self, encoder, routes):
        self.encoder = encoder
        self.routes = {name: Route(name, texts) for name, texts in routes.items()}
        self.trials = 0

    def __call__(self, routes, texts):
        self.trials += routes is not None
        replaced = {**self.routes, **{route.name: route for route in routes or ()}}
        with AdaptiveRouter(replaced.values(), encoder=self.encoder) as router:
            return router.route_batch(texts)

    def propose(self, examples, golden=(), **settings) -> Proposal:
        return propose_change(examples, golden, self.routes, self, **settings)


@pytest.fixture
def judged(bundled):
    return Judged(bundled, FEW)


def test_good_feedback_is_accepted_and_answers_more_of_what_was_held_out(judged):
    proposal = judged.propose(FEEDBACK, GOLDEN, revision=4)
    assert proposal.accepted
    assert not proposal.applied
    assert proposal.left_out == proposal.regressions == ()
    assert (proposal.golden, proposal.held_out, proposal.revision) == (8, 7, 4)
    assert len(proposal.edits) == 13
    assert proposal.held_out_after.answered > proposal.held_out_before.answered
    assert proposal.held_out_after.error in (None, 0.0)
    assert proposal.golden_after.answered >= proposal.golden_before.answered
    assert (proposal.trials, judged.trials) == (1, 1)


def test_the_figures_are_those_of_the_routes_that_the_edits_make(judged, bundled):
    proposal = judged.propose(FEEDBACK, GOLDEN)
    changed = {**judged.routes, **{route.name: route for route in changed_routes(proposal.edits, judged.routes)}}
    with AdaptiveRouter(changed.values(), encoder=bundled) as router:
        report = router.evaluate(GOLDEN)
    assert (report.answered, report.error) == (proposal.golden_after.answered, proposal.golden_after.error)
    drafted = {edit.utterance for edit in proposal.edits}
    assert not drafted & {text for text, _ in GOLDEN}


def test_the_same_feedback_gives_the_same_proposal(judged):
    assert judged.propose(FEEDBACK, GOLDEN, seed=5) == judged.propose(FEEDBACK, GOLDEN, seed=5)


def test_a_source_that_is_always_wrong_cannot_make_a_golden_query_wrong(judged):
    """Held-out answers of the same source agree with the drafted ones: only golden queries can tell."""
    wrong = {"order": "refund", "refund": "password", "password": "order"}
    texts = [
        *((text, label) for text, label in FEEDBACK if label),
        ("where is the order of mine", "order"),
        ("I want to get my money back", "refund"),
    ]
    proposal = judged.propose([(text, wrong[label]) for text, label in texts], GOLDEN, holdout=0.1)
    left_out = {each.edit.utterance for each in proposal.left_out}
    assert {"where is the order of mine", "I want to get my money back"} <= left_out
    before, after = (
        judged(None, [text for text, _ in GOLDEN]),
        judged(changed_routes(proposal.edits, judged.routes), [text for text, _ in GOLDEN]),
    )
    assert [decision.route for decision in after] == [decision.route for decision in before]


def test_one_wrong_answer_is_left_out_and_the_rest_accepted(judged):
    poison = ("track my order please now", "refund")
    proposal = judged.propose([*FEEDBACK, poison], GOLDEN, holdout=0.2, seed=1)
    assert proposal.accepted
    assert [(each.edit.utterance, each.edit.route) for each in proposal.left_out] == [poison]
    assert "'track my order please'" in proposal.left_out[0].reason
    assert {edit.route for edit in proposal.edits} == {"order", "refund", "password"}
    assert proposal.regressions == ()


def test_a_golden_query_that_would_go_wrong_blocks_a_change_of_nothing_else(judged):
    poison = [("track my order please now", "refund"), ("please track the order", "refund")]
    proposal = judged.propose(poison, GOLDEN, holdout=0.0)
    assert not proposal.accepted
    assert proposal.regressions == ("track my order please",)
    assert "golden queries that were right and would be wrong: 1, allowed 0" in proposal.reason
    assert [edit.utterance for edit in proposal.edits] == [text for text, _ in poison]
    assert judged.trials == proposal.trials <= 12


def test_regressions_may_be_allowed(judged):
    poison = [("track my order please now", "refund"), ("please track the order", "refund")]
    proposal = judged.propose(poison, GOLDEN, holdout=0.0, max_regressions=1)
    assert proposal.accepted
    assert proposal.regressions == ("track my order please",)


def test_an_utterance_is_moved_where_the_fallback_says_it_belongs(bundled):
    judged = Judged(bundled, {**FEW, "refund": [*FEW["refund"], "the courier is late"]})
    proposal = judged.propose([("the courier is late", "order")], GOLDEN, holdout=0.0)
    assert proposal.accepted
    assert [(edit.action, edit.from_route, edit.route) for edit in proposal.edits] == [("move", "refund", "order")]


def test_answers_of_a_new_route_are_tested_as_none_of_the_routes_unless_it_is_created(judged):
    songs = [(f"play {what}", "music") for what in ("a song", "some jazz", "my favourite album", "the radio", "music")]
    refused = judged.propose([*FEEDBACK, *songs], GOLDEN)
    assert not {edit.route for edit in refused.edits} & {"music"}
    assert refused.held_out == 7 + len(songs)
    created = judged.propose([*FEEDBACK, *songs], GOLDEN, create=True)
    assert created.accepted
    assert "music" in {edit.route for edit in created.edits if edit.action == "create"}


def test_nothing_to_change_is_said_and_nothing_is_asked(judged):
    proposal = judged.propose([("where is MY order", "order"), ("tell me a joke", None)], GOLDEN)
    assert (proposal.accepted, proposal.edits, judged.trials) == (False, (), 0)
    assert "nothing to change" in proposal.reason


def test_no_feedback_is_nothing_to_change(judged):
    assert "nothing to change" in judged.propose([]).reason


def test_a_change_that_cannot_be_tested_is_not_accepted(judged):
    proposal = judged.propose(FEEDBACK[:6])
    assert (proposal.accepted, judged.trials) == (False, 0)
    assert "Too few queries to test on" in proposal.reason


@pytest.mark.parametrize("max_trials", [1, 2, 5, 12])
def test_a_draft_without_any_good_part_ends_after_the_allowed_trials(max_trials):
    trials = []

    def judge(changed, texts):
        trials.append(changed)
        return [Decision(route="a" if changed else "b", reason="matched") for _ in texts]

    routes = {name: Route(name, [f"about {name}"]) for name in "abcdefghij"}
    feedback = [(f"{number} more {name}", name) for number in range(3) for name in routes]
    golden = [(f"golden {number}", "b") for number in range(5)]
    proposal = propose_change(feedback, golden, routes, judge, holdout=0.0, max_trials=max_trials)
    assert (proposal.accepted, proposal.left_out, len(proposal.edits)) == (False, (), 30)
    assert len(proposal.regressions) == 5
    assert proposal.trials == len(trials) - 1 <= max_trials  # once as it is


def test_a_judge_without_evidence_is_searched_group_by_group():
    """Decisions without candidates point to no edit: routes are put back one after the other."""
    routes = {name: Route(name, [f"about {name}"]) for name in "abcd"}
    golden = [(f"golden {name}", name) for name in "abcd"]

    def judge(changed, texts):
        harmed = any(route.name == "c" for route in changed or ())
        choices = ["d" if harmed and text == "golden c" else text[-1] for text in texts]
        return [Decision(route=choice, reason="matched") for choice in choices]

    feedback = [(f"{number} more {name}", name) for number in range(2) for name in "abcd"]
    proposal = propose_change(feedback, [*golden, ("also a", "a")], routes, judge, holdout=0.0)
    assert proposal.accepted
    assert {edit.route for edit in proposal.edits} == {"a", "b", "d"}
    assert {each.edit.route for each in proposal.left_out} == {"c"}


def test_what_moves_the_right_route_aside_is_left_out():
    """A route's score may fall by its own new utterances; the rival that then wins has none to blame."""
    routes = {name: Route(name, [f"about {name}"]) for name in "ab"}
    rival = Candidate(route="b", score=0.5, utterance="about b")

    def judge(changed, texts):
        moved = any("odd one" in route.utterances for route in changed or ())
        choices = ["b" if moved and text == "golden 0" else "a" for text in texts]
        return [Decision(route=choice, reason="matched", candidates=(rival,)) for choice in choices]

    golden = [(f"golden {number}", "a") for number in range(5)]
    feedback = [("odd one", "a"), ("plain one", "b")]
    proposal = propose_change(feedback, golden, routes, judge, holdout=0.0)
    assert [edit.utterance for edit in proposal.edits] == ["plain one"]
    assert [each.edit.utterance for each in proposal.left_out] == ["odd one"]


def test_a_judge_that_loses_texts_is_refused():
    with pytest.raises(ConfigurationError, match="0 decisions on 8 texts"):
        propose_change([("open?", "hours")], GOLDEN, ROUTES, lambda _, __: [], holdout=0.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("holdout", 1.0),
        ("holdout", -0.1),
        ("holdout", "0.3"),
        ("max_error", 1.5),
        ("max_error", float("nan")),
        ("max_regressions", -1),
        ("max_trials", 0),
        ("max_trials", True),
        ("max_per_route", 0),
    ],
)
def test_settings_out_of_range_are_refused(judged, name, value):
    with pytest.raises(ConfigurationError, match=f"{name} ="):
        judged.propose(FEEDBACK, GOLDEN, **{name: value})


# --- reports -----------------------------------------------------------------------------------


def test_a_proposal_survives_json(judged):
    proposal = judged.propose([*FEEDBACK, ("track my order please now", "refund")], GOLDEN, holdout=0.2)
    assert Proposal.model_validate_json(proposal.to_json()) == proposal


def test_the_markdown_names_the_edits_and_what_was_left_out(judged):
    feedback = [*FEEDBACK, ("track my order please now", "refund"), ("the *parcel* | is late", "order")]
    text = judged.propose(feedback, GOLDEN, holdout=0.0).to_markdown()
    assert text.startswith("**proposal**: accepted. ")
    assert "| add | order | the courier has not come yet |" in text
    assert r"the \*parcel\* \| is late" in text
    assert "| left out | refund | track my order please now |" in text
    assert "| golden queries | before | after |" in text
