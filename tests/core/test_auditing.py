"""What an audit finds in routes with planted faults, and what it leaves alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import ConfigurationError, Route
from synaptoroute_core.changes import EncodedRoute, PutRoutes
from synaptoroute_core.encoders import encode_texts
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.learning.audit.auditing import audit_snapshot
from synaptoroute_core.learning.audit.findings import KINDS, SEVERITIES, AuditReport, Finding
from synaptoroute_core.learning.audit.leave_one_out import leave_one_out
from synaptoroute_core.scoring import score_routes


def snapshot_of(encoded):
    """A snapshot of (name, texts, vectors) or of encoded routes."""
    routes = [each if isinstance(each, EncodedRoute) else EncodedRoute(Route(*each[:2]), each[2]) for each in encoded]
    index = RouteIndex(routes[0].vectors.shape[1])
    index.apply([PutRoutes(tuple(routes))], 7)
    return index.snapshot()


def drawn(seed, counts, dim=8):
    """Random routes with so many utterances each: (name, texts, vectors)."""
    rng = np.random.default_rng(seed)
    routes = []
    for number, count in enumerate(counts):
        vectors = rng.normal(size=dim) + rng.normal(size=(count, dim))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        routes.append((f"r{number}", [f"{number} {each}" for each in range(count)], vectors.astype(np.float32)))
    return routes


@pytest.fixture(scope="module")
def audited(bundled):
    """Audits routes given as a dictionary of names and utterances."""

    def audit(routes, *, thresholds=None, **settings):
        made = [Route(name, texts, threshold=(thresholds or {}).get(name)) for name, texts in routes.items()]
        encoded = [EncodedRoute(each, encode_texts(bundled, list(each.utterances), label="test")) for each in made]
        return audit_snapshot(snapshot_of(encoded), **settings)

    return audit


@pytest.fixture
def support(support_routes):
    """The sample routes as a dictionary that a test may spoil."""
    return {route.name: list(route.utterances) for route in support_routes}


def spoken_of(findings):
    """What findings are about, without their numbers."""
    return [(each.severity, each.route, each.other_route) for each in findings]


# --- leaving one out -------------------------------------------------------------------------------

counts_of = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), counts_of)
def test_an_utterance_left_out_scores_as_a_query_does_against_routes_without_it(seed, counts):
    routes = drawn(seed, counts)
    found = leave_one_out(snapshot_of(routes))
    place = -1
    for position, (name, texts, vectors) in enumerate(routes):
        for number, vector in enumerate(vectors):
            place += 1
            rest = [each for each in range(len(texts)) if each != number]
            others = [*routes[:position], *routes[position + 1 :]]
            reduced = [*others, (name, [texts[each] for each in rest], vectors[rest])] if rest else others
            scores = {}
            if reduced:
                left = snapshot_of(reduced)
                scores = dict(zip(left.names, score_routes(left, vector).routes, strict=True))
            own = scores.pop(name, np.nan)
            assert found.own[place] == pytest.approx(own, abs=1e-5, nan_ok=True)
            assert found.other[place] == pytest.approx(max(scores.values(), default=np.nan), abs=1e-5, nan_ok=True)
            if scores:
                assert scores[f"r{found.rival[place]}"] == pytest.approx(max(scores.values()), abs=1e-5)
            else:
                assert found.rival[place] == -1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), counts_of)
def test_the_nearest_utterances_are_those_of_a_search_through_all(seed, counts):
    found = leave_one_out(snapshot_of(drawn(seed, counts)))
    cosines = found.vectors @ found.vectors.T
    np.fill_diagonal(cosines, -np.inf)
    same = found.owners[:, None] == found.owners
    for places, best, wanted in ((found.kin, found.nearest_own, same), (found.twin, found.nearest_other, ~same)):
        allowed = np.where(wanted, cosines, -np.inf)
        assert best == pytest.approx(allowed.max(axis=1), abs=1e-6)
        for row, place in enumerate(places):
            assert (place == -1) if best[row] == -np.inf else allowed[row, place] == pytest.approx(best[row], abs=1e-6)


def test_how_much_is_held_at_once_changes_nothing():
    snapshot = snapshot_of(drawn(3, [9, 1, 14, 5]))
    whole, narrow = leave_one_out(snapshot), leave_one_out(snapshot, block_cells=60)
    for name in ("own", "other", "nearest_own", "nearest_other", "rival", "kin", "twin"):
        assert getattr(narrow, name) == pytest.approx(getattr(whole, name), abs=1e-6, nan_ok=True)


# --- the sample routes -----------------------------------------------------------------------------


def test_carefully_written_routes_give_no_error_and_little_noise(audited, support):
    report = audited(support)
    assert report.worst != "error"
    assert len(report.findings) <= 4
    assert (report.routes, report.utterances, report.revision) == (14, 167, 7)


# --- misplaced -------------------------------------------------------------------------------------


def test_an_utterance_in_the_wrong_route_is_found_with_both_its_neighbours(audited, support):
    moved = support["cancel_order"].pop(0)
    support["talk_to_human"].append(moved)
    (finding,) = (each for each in audited(support).of_kind("misplaced") if each.utterances[0] == moved)
    assert (finding.severity, finding.route, finding.other_route) == ("warning", "talk_to_human", "cancel_order")
    assert finding.owners == ("talk_to_human", "talk_to_human", "cancel_order")
    assert finding.utterances[1] in support["talk_to_human"]
    assert finding.utterances[2] in support["cancel_order"]
    assert finding.score > 0.1
    assert finding.suggestion.startswith(f"move {moved!r} from talk_to_human to cancel_order")


def test_a_lead_that_is_too_small_makes_no_utterance_misplaced(audited, support):
    moved = support["cancel_order"].pop(0)
    support["talk_to_human"].append(moved)
    (finding,) = (each for each in audited(support).of_kind("misplaced") if each.utterances[0] == moved)
    kept = audited(support, min_lead=finding.score - 0.001).of_kind("misplaced")
    dropped = audited(support, min_lead=finding.score + 0.001).of_kind("misplaced")
    assert moved in [each.utterances[0] for each in kept]
    assert moved not in [each.utterances[0] for each in dropped]


def test_a_stray_that_is_near_nothing_is_not_moved_to_the_least_strange_route(audited, support):
    support["talk_to_human"].append("the mitochondria is the powerhouse of the cell")
    assert not [each for each in audited(support).of_kind("misplaced") if "mitochondria" in each.utterances[0]]


# --- collisions ------------------------------------------------------------------------------------


def test_one_intent_in_two_routes_is_a_collision(audited, support):
    texts = support.pop("reset_password")
    support |= {"forgotten": texts[::2], "password": texts[1::2]}
    (finding,) = (each for each in audited(support).of_kind("collision") if each.severity != "info")
    assert (finding.severity, finding.route, finding.other_route) == ("error", "forgotten", "password")
    assert finding.score >= 0.4
    assert set(finding.owners) == {"forgotten", "password"}
    assert all(text in support[owner] for text, owner in zip(finding.utterances, finding.owners, strict=True))


def test_of_routes_that_collide_no_single_utterance_is_called_misplaced(audited, support):
    texts = support.pop("reset_password")
    support |= {"forgotten": texts[::2], "password": texts[1::2]}
    report = audited(support, min_lead=0.0)
    (collision,) = (each for each in report.of_kind("collision") if each.severity != "info")
    pair = {collision.route, collision.other_route}
    assert [each for each in report.of_kind("misplaced") if {each.route, each.other_route} == pair] == []
    assert report.of_kind("misplaced")


def test_two_routes_of_one_utterance_collide_by_their_centres(audited):
    report = audited({"a": ["cancel my order"], "b": ["cancel my order please"], "c": ["hello there"]})
    assert spoken_of(report.of_kind("collision")) == [("warning", "a", "b")]


# --- duplicates ------------------------------------------------------------------------------------


def test_the_same_text_in_three_routes_is_one_error_that_names_them_all(audited, support):
    support["cancel_order"].append("please help me out here")
    support["refund_status"].append("Please  help me OUT here")
    support["order_status"].append("please help me out here")
    report = audited(support)
    (finding,) = report.of_kind("duplicate")
    assert report.findings[0] == finding
    assert (report.worst, finding.severity) == ("error", "error")
    assert finding.owners == ("cancel_order", "order_status", "refund_status")
    assert set(finding.utterances) == {"please help me out here", "Please  help me OUT here"}
    assert all(name in finding.message for name in finding.owners)
    assert report.of_kind("near_duplicate") == ()


def test_nearly_the_same_sentence_in_two_routes_is_a_warning_and_in_one_route_a_note(audited, support):
    support["refund_status"].append("I want to cancel my order.")
    support["order_status"].append("track a parcel.")
    across, within = audited(support).of_kind("near_duplicate")
    assert (across.severity, {across.route, across.other_route}) == ("warning", {"cancel_order", "refund_status"})
    assert set(across.utterances) == {"I want to cancel my order", "I want to cancel my order."}
    assert (within.severity, within.route, within.other_route) == ("info", "order_status", None)
    assert "2 of 13 utterances" in within.message
    assert min(across.score, within.score) >= 0.97


def test_how_near_nearly_is_can_be_set(audited, support):
    support["refund_status"].append("I want to cancel my order.")
    assert audited(support, near_duplicate=1.0).of_kind("near_duplicate") == ()
    support["refund_status"].append("I want to cancel my order!!")
    assert len(audited(support, near_duplicate=0.9).of_kind("near_duplicate")) >= 2


# --- too little ------------------------------------------------------------------------------------


def test_few_utterances_are_a_note_and_one_or_two_a_warning(audited, support):
    support["refund_status"] = support["refund_status"][:7]
    support["cancel_order"] = support["cancel_order"][:2]
    found = audited(support).of_kind("too_few")
    assert spoken_of(found) == [("warning", "cancel_order", None), ("info", "refund_status", None)]
    assert "2 utterances" in found[0].message
    assert "6 or more" in found[0].suggestion


def test_a_route_that_knows_one_wording_is_found(audited, support):
    assert audited(support).of_kind("too_similar") == ()
    support["weather"] = ["what is the weather today", "how is the weather today", "weather today"]
    (finding,) = audited(support).of_kind("too_similar")
    assert (finding.severity, finding.route) == ("warning", "weather")
    assert finding.score >= 0.85


# --- unreachable -----------------------------------------------------------------------------------

SWALLOWED = ["I want to cancel my order", "how do I reset my password", "I would like to talk to a human being"]


def test_a_route_whose_utterances_all_go_elsewhere_is_unreachable(audited, support):
    report = audited(support | {"misc": SWALLOWED})
    (finding,) = report.of_kind("unreachable")
    assert (finding.severity, finding.route) == ("error", "misc")
    assert set(finding.utterances) <= set(SWALLOWED)
    assert "misc" not in [each.route for each in report.of_kind("misplaced")]


def test_a_route_that_queries_reached_is_not_unreachable(audited, support):
    spoilt = support | {"misc": SWALLOWED}
    assert audited(spoilt, reached=["misc"]).of_kind("unreachable") == ()
    assert spoken_of(audited(spoilt, reached=["order_status"]).of_kind("unreachable")) != []


def test_a_threshold_that_no_utterance_of_the_route_meets_makes_it_unreachable(audited, support):
    (finding,) = audited(support, thresholds={"cancel_order": 0.99, "order_status": 0.3}).of_kind("unreachable")
    assert (finding.severity, finding.route) == ("warning", "cancel_order")
    assert "0.99" in finding.message


# --- the report ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    """Routes with all there is to find: random ones that overlap, and small ones."""
    routes = drawn(5, [12, 12, 3, 2, 9, 1], dim=3)
    return snapshot_of([*routes, ("s0", ["0 0", "0 1"], routes[0][2][:2]), ("s1", ["0 0"], routes[1][2][:1])])


def test_findings_are_listed_most_severe_first_then_by_kind_then_by_score(many):
    found = audit_snapshot(many).findings
    ranks = [
        (SEVERITIES.index(each.severity), KINDS.index(each.kind), -(each.score or 0.0), each.route) for each in found
    ]
    assert ranks == sorted(ranks)
    assert len({each.kind for each in found}) >= 4


def test_what_is_not_listed_is_counted_and_is_less_severe(many):
    everything, few = audit_snapshot(many, limit=1000), audit_snapshot(many, limit=1)
    assert everything.hidden == {}
    assert few.worst == everything.worst
    assert few.hidden
    for kind in KINDS:
        every, listed = everything.of_kind(kind), few.of_kind(kind)
        assert listed == every[:1]
        assert few.hidden.get(kind, 0) == max(0, len(every) - 1)


def test_at_least_takes_what_is_as_severe_or_more(many):
    report = audit_snapshot(many)
    assert report.at_least("info") == report.findings
    assert {each.severity for each in report.at_least("warning")} == {"error", "warning"}
    assert {each.severity for each in report.at_least("error")} == {"error"}


def test_the_same_routes_give_the_same_report_whatever_the_order_they_came_in():
    routes = drawn(5, [12, 12, 3, 2, 9, 1], dim=3)
    first, second = (audit_snapshot(snapshot_of(each)) for each in (routes, routes[::-1]))
    assert spoken_of(first.findings) == spoken_of(second.findings)


def test_a_report_survives_json(many):
    report = audit_snapshot(many)
    assert AuditReport.model_validate_json(report.to_json()) == report


def test_markdown_tells_all_findings_and_reads_no_text_as_markup():
    finding = Finding(
        kind="duplicate",
        severity="error",
        route="a",
        other_route="b",
        utterances=("<b>x</b> | *y*", "z"),
        owners=("a", "b"),
        message="'<b>x</b> | *y*' is in 2 routes: a, b",
        suggestion="keep it in one",
    )
    shown = AuditReport(revision=1, routes=2, utterances=9, findings=(finding,), hidden={"duplicate": 3}).to_markdown()
    assert "2 routes, 9 utterances" in shown
    assert "1 error, 0 warning, 0 info" in shown
    assert "and 3 more" in shown
    assert "keep it in one" in shown
    assert "<b>" not in shown
    assert " *y*" not in shown


# --- edges -----------------------------------------------------------------------------------------


def test_no_routes_give_an_empty_report():
    report = audit_snapshot(RouteIndex(4).snapshot())
    assert (report.routes, report.utterances, report.findings, report.worst) == (0, 0, (), None)


def test_a_single_route_has_no_other_to_be_taken_for():
    report = audit_snapshot(snapshot_of(drawn(1, [9])))
    assert {each.kind for each in report.findings} <= {"near_duplicate", "too_similar"}


def test_a_single_utterance_is_only_too_few():
    assert [each.kind for each in audit_snapshot(snapshot_of(drawn(1, [1]))).findings] == ["too_few"]


def test_opposite_utterances_have_no_centre_and_do_no_harm():
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    report = audit_snapshot(snapshot_of([("a", ["x", "y"], vectors), ("b", ["z"], vectors[:1] @ [[0, 1], [1, 0]])]))
    assert report.of_kind("too_few")


@pytest.mark.parametrize(
    "setting", [{"limit": 0}, {"near_duplicate": 0.0}, {"near_duplicate": 1.1}, {"min_lead": -0.1}, {"min_lead": 2.1}]
)
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        audit_snapshot(RouteIndex(4).snapshot(), **setting)
