"""A router's questions about its own routes, and the changes that it proposes, makes and takes back."""

import sqlite3
import threading
from contextlib import closing

import pytest
from fitted import NEW, QUERIES, ROUTES, STRANGERS, answers, newest_head, open_router, scorers
from gates import PATIENCE_S

from synaptoroute_core import ConfigurationError, FeedbackLog, InvalidTextError, Route, RouterClosedError, StorageError

FEEDBACK = [
    *[(f"is the store open on {day}", "hours") for day in ("monday", "tuesday", "friday", "saturday", "easter")],
    *[(f"cash back for my {thing}", "refund") for thing in ("coat", "lamp", "table", "phone", "trousers")],
    *[(f"the package with the {thing} did not come", "parcel") for thing in ("coat", "lamp", "table", "phone")],
]
GOLDEN = [(f"hello, {route.utterances[0]}", route.name) for route in ROUTES]
COLLIDING = Route("times", ["opening times", "when do you open", "opening hours on sunday"])


@pytest.fixture(params=[True, False], ids=["with a head", "without a head"])
def router(request):
    with open_router() as either:
        if request.param:
            either.fit()
        yield either


def learned(router, change) -> int:
    """How many queries of the feedback are answered as it says."""
    return sum(router.route(text).route == label for text, label in change)


# --- audit and suggest ----------------------------------------------------------------------------


def test_an_audit_finds_what_collides_whether_or_not_a_head_decides(router):
    assert [finding for finding in router.audit().findings if finding.kind == "duplicate"] == []
    router.add_route(COLLIDING)
    found = {(finding.kind, frozenset({finding.route, finding.other_route})) for finding in router.audit().findings}
    assert ("duplicate", frozenset({"hours", "times"})) in found
    with pytest.raises(ConfigurationError):
        router.audit(limit=-1)


async def test_the_awaitable_twins_say_the_same(router):
    assert await router.aaudit(limit=3) == router.audit(limit=3)
    assert await router.asuggest(QUERIES, 5, seed=1) == router.suggest(QUERIES, 5, seed=1)
    proposal = await router.apropose(FEEDBACK, golden=GOLDEN)
    assert proposal == router.propose(FEEDBACK, golden=GOLDEN)


def test_suggestions_are_some_of_the_queries_each_once(router):
    suggested = [suggestion.text for suggestion in router.suggest([*QUERIES, *QUERIES], 7)]
    assert 0 < len(suggested) == len(set(suggested)) <= 7
    assert set(suggested) <= set(QUERIES)
    assert router.suggest([]) == []
    for text, k in (("", 3), ("hello", 0)):
        with pytest.raises((InvalidTextError, ConfigurationError)):
            router.suggest([text], k)


def test_queries_that_are_clear_need_no_look(router):
    decisions = router.route_batch(QUERIES)
    far = [decision and min(decision.score - decision.threshold, decision.margin) > 0.2 for decision in decisions]
    clear = [text for text, is_far in zip(QUERIES, far, strict=True) if is_far]
    assert clear
    assert not {suggestion.text for suggestion in router.suggest(QUERIES, 40)} & set(clear)


# --- propose --------------------------------------------------------------------------------------


def test_a_proposal_alone_changes_nothing(router):
    before = answers(router), router.revision, dict(router.routes), router.fits
    proposal = router.propose(FEEDBACK, golden=GOLDEN)
    assert proposal.accepted, proposal.reason
    assert not proposal.applied
    assert proposal.edits
    assert before == (answers(router), router.revision, dict(router.routes), router.fits)
    with pytest.raises(ConfigurationError, match="not applied"):
        router.withdraw(proposal)


def test_a_proposal_that_is_applied_is_what_was_tested_in_one_revision(router):
    before = router.revision
    proposal = router.propose(FEEDBACK, golden=GOLDEN, apply=True)
    assert proposal.applied
    assert (proposal.revision, router.revision) == (before + 1, before + 1)
    for edit in proposal.edits:
        assert edit.utterance in router.routes[edit.route].utterances
    assert learned(router, FEEDBACK) > 0.7 * len(FEEDBACK)
    assert scorers(router) == {"similarity"}, "until it is fitted again"


def test_a_proposal_that_is_withdrawn_leaves_what_was_there_and_what_others_added(router):
    routes = {name: set(route.utterances) for name, route in router.routes.items()}
    proposal = router.propose([*FEEDBACK, *[(f"snow {n}", "weather") for n in range(9)]], create=True, apply=True)
    assert proposal.applied
    router.add_utterances("hours", ["are you there at night"])
    router.withdraw(proposal)
    routes["hours"].add("are you there at night")
    assert {name: set(route.utterances) for name, route in router.routes.items()} == routes


def test_a_router_with_a_head_tests_heads_and_finds_the_applied_change_as_it_was_tested(soon):
    """The head is made again after it, and does on the held-out feedback what the proposal said."""
    with open_router(auto_refit=True) as router:
        router.fit()
        proposal = router.propose(FEEDBACK, golden=GOLDEN, apply=True)
        assert proposal.applied
        assert router.wait_for_refit(PATIENCE_S)
        assert scorers(router) == {"head"}
        assert router.evaluate(GOLDEN).accuracy == pytest.approx(proposal.golden_after.accuracy)
        with_edits = newest_head(router)
        router.withdraw(proposal)
        assert router.wait_for_refit(PATIENCE_S)
        assert newest_head(router) != with_edits
        assert scorers(router) == {"head"}


def test_a_proposal_is_possible_however_often_the_head_was_calibrated():
    """Its trials make heads as the one in force was made, which must still be known."""
    examples = [(f"{text} {number}", route.name) for route in ROUTES for text in route.utterances for number in "abcd"]
    with open_router() as router:
        router.fit()
        for _ in range(5):
            assert router.calibrate(examples, max_error=0.2).changed
        assert router.propose(FEEDBACK, golden=GOLDEN).trials > 0


def test_feedback_that_would_spoil_golden_queries_is_not_applied(router):
    before = dict(router.routes)
    spoiling = [(f"{text} {number}", "invoice") for text, _ in GOLDEN[:1] for number in range(12)]
    proposal = router.propose(
        spoiling, golden=[(f"{text} {n}", label) for text, label in GOLDEN for n in "ab"], apply=True
    )
    assert not proposal.applied or not proposal.regressions
    assert proposal.applied or dict(router.routes) == before
    evaluated = router.evaluate(GOLDEN)
    assert evaluated.error in (None, 0.0)


def test_a_log_of_feedback_is_as_good_as_a_list(router, tmp_path):
    with FeedbackLog(tmp_path / "feedback.db") as log:
        for text, label in FEEDBACK:
            log.record(text, router.route(text), answer=label)
        assert router.propose(log, golden=GOLDEN).edits == router.propose(FEEDBACK, golden=GOLDEN).edits


def test_routes_that_change_while_a_proposal_is_tested_are_not_overwritten(router, monkeypatch):
    decide_all = router._service.decide_all
    changed = threading.Event()

    def meanwhile(*arguments):
        if not changed.is_set():
            changed.set()
            router.add_route(NEW)
        return decide_all(*arguments)

    monkeypatch.setattr(router._service, "decide_all", meanwhile)
    with pytest.raises(ConfigurationError, match="changed meanwhile: start over"):
        router.propose(FEEDBACK, golden=GOLDEN, apply=True)
    assert set(router.routes) == {*(route.name for route in ROUTES), "weather"}
    assert len(router.routes["hours"].utterances) == 6


def test_a_change_that_cannot_be_stored_is_not_made(tmp_path):
    path = tmp_path / "routes.db"
    with open_router(store=path) as router, closing(sqlite3.connect(path, isolation_level=None)) as raw:
        router.fit()
        before = answers(router), dict(router.routes), router.revision
        raw.execute("CREATE TRIGGER trap BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'struck'); END")
        with pytest.raises(StorageError, match="struck"):
            router.propose(FEEDBACK, golden=GOLDEN, apply=True)
        assert before == (answers(router), dict(router.routes), router.revision)


def test_a_closed_router_proposes_nothing():
    with open_router() as router:
        pass
    with pytest.raises(RouterClosedError):
        router.propose(FEEDBACK, golden=[(text, None) for text in STRANGERS])
