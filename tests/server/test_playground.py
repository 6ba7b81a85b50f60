"""The playground: asking, teaching, editing, in a real browser against the real service."""

import json
import re
from typing import Any

import pytest
from browsing import Playground

from synaptoroute_core import HashingEncoder, Route

FOREIGN = "do you ship to Norway"
"""A text that the sample routes abstain on."""


def decided(**changes: Any) -> dict[str, Any]:
    """A decision as the service might send it."""
    candidates = [
        {"route": "refund", "score": 0.52, "utterance": "money back", "threshold": 0.5},
        {"route": "cancel", "score": 0.5, "utterance": "stop it", "threshold": 0.5},
    ]
    plain = {"route": "refund", "reason": "matched", "score": 0.52, "threshold": 0.5, "margin": 0.02}
    rest = {"confidence": None, "scorer": "similarity", "near_boundary": False, "revision": 1}
    return {**plain, **rest, "candidates": candidates, **changes}


def answer_with(opened: Playground, decision: dict[str, Any]) -> None:
    """Put a decision in the place of what the service says."""
    body = json.dumps(decision)
    opened.page.route("**/route", lambda route: route.fulfill(body=body, content_type="application/json"))


# --- asking ------------------------------------------------------------------------------------------


def test_a_query_is_answered_with_bars_while_it_is_typed(serve, visit, expect):
    opened = visit(serve().url)
    expect(opened.query).to_be_focused()
    opened.page.keyboard.type("where is my order")
    expect(opened.decision).to_have_text("goes to order_status")
    expect(opened.candidates).to_have_count(5)
    best = opened.candidates.first
    expect(best).to_contain_text("order_status")
    expect(best).to_contain_text("nearest: where is my order")
    expect(best).to_contain_text("needs 0.50")
    fill, bar, tick = (best.locator(part).bounding_box() for part in (".fill", ".bar", ".tick"))
    assert 0.5 * bar["width"] < fill["width"] <= bar["width"]
    assert tick["x"] == pytest.approx(bar["x"] + bar["width"] / 2, abs=3)
    expect(opened.page.locator("#figures")).to_contain_text(re.compile(r"Margin0\.\d\d.*Answered in[\d.]+ ms"))


def test_the_header_says_what_answers(serve, visit, expect):
    served = serve()
    opened = visit(served.url)
    expect(opened.page.locator("#state")).to_have_text("ready")
    expect(opened.page.locator("#revision")).to_have_text(str(served.router.revision))
    expect(opened.page.locator("#rule")).to_have_text("similarity")
    expect(opened.page.locator("#encoder")).to_have_text("all-MiniLM-L6-v2")


def test_an_abstention_names_the_score_and_the_threshold(serve, visit, expect):
    served = serve()
    score = served.router.route(FOREIGN).score
    opened = visit(served.url)
    opened.query.fill(FOREIGN)
    expect(opened.decision).to_have_text(f"abstains: the best score {score:.2f} is below its threshold 0.50")


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        ({"route": None, "reason": "ambiguous"}, "abstains: refund leads cancel by 0.02 and needs a lead of 0.05"),
        (
            {"route": None, "reason": "low_confidence", "score": 0.6, "threshold": 0.667, "scorer": "head"},
            "abstains: the confidence 0.60 is below the least confidence 0.67",
        ),
        (
            {"route": None, "reason": "below_threshold", "score": 0.4999},
            "abstains: the best score 0.4999 is below its threshold 0.5000",
        ),
        (
            {"route": None, "reason": "no_routes", "score": None, "threshold": None, "margin": None, "candidates": []},
            "abstains: there is no route to choose from",
        ),
    ],
)
def test_every_reason_has_its_sentence(serve, visit, expect, decision, sentence):
    opened = visit(serve().url)
    answer_with(opened, decided(**decision))
    opened.query.fill("money")
    expect(opened.decision).to_have_text(sentence)


def test_confidence_and_a_near_boundary_are_shown_where_there_are_any(serve, visit, expect):
    opened = visit(serve().url)
    answer_with(opened, decided(confidence=0.71, scorer="head", near_boundary=True))
    opened.query.fill("money")
    expect(opened.page.locator("#figures")).to_contain_text("Confidence0.71Rulehead")
    expect(opened.page.get_by_text("Near the boundary")).to_be_visible()
    expect(opened.page.locator("#rule")).to_have_text("head")


def test_an_answer_that_comes_late_does_not_overwrite_a_newer_one(serve, visit, expect):
    opened = visit(serve().url)
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if "password" in route.request.post_data:
            held.append(route)
        else:
            route.continue_()

    # An aborted request's answer would never reach the page, and the page's own guard would not be seen.
    opened.page.evaluate("AbortController.prototype.abort = () => {}")
    opened.page.route("**/route", hold_the_first)
    opened.query.fill("I forgot my password")
    opened.page.wait_for_function("() => document.querySelector('#answer').ariaBusy === 'true'")
    opened.page.wait_for_timeout(200)
    opened.query.fill("where is my order")
    expect(opened.decision).to_have_text("goes to order_status")
    with opened.page.expect_response("**/route"):
        held[0].continue_()
    opened.page.wait_for_timeout(200)
    expect(opened.decision).to_have_text("goes to order_status")


def test_why_shows_the_neighbours_and_the_advice_and_follows_the_query(serve, visit, expect):
    served = serve()
    opened = visit(served.url)
    opened.query.fill("where is my order")
    opened.page.get_by_text("Why", exact=True).click()
    expect(opened.page.locator("#neighbours tr")).to_have_count(8)
    expect(opened.page.locator("#neighbours tr").first).to_contain_text("where is my order")
    opened.query.fill(FOREIGN)
    expect(opened.page.locator("#advice")).to_have_text(served.router.explain(FOREIGN).advice)


def test_a_text_that_cannot_be_used_is_explained_in_the_services_words(serve, visit, expect):
    opened = visit(serve().url)
    opened.query.fill("\u200b")
    expect(opened.alert).to_contain_text("blank")
    opened.query.fill("where is my order")
    expect(opened.decision).to_have_text("goes to order_status")
    expect(opened.alert).to_be_empty()


def kept(served: Any) -> list[str]:
    """The texts of the abstentions that the service remembers."""
    return [each["text"] for each in served.client.get("/abstentions").json()["abstentions"]]


def test_what_is_typed_is_a_trial_and_enter_asks_in_earnest(serve, visit, expect):
    served = serve()
    opened = visit(served.url)
    opened.query.press_sequentially(FOREIGN, delay=50)
    expect(opened.decision).to_contain_text("abstains")
    opened.add_to("order_status")
    expect(opened.decision).to_contain_text("goes to order_status")
    opened.button("Undo").click()
    expect(opened.decision).to_contain_text("abstains")
    assert kept(served) == []
    assert 'decisions_total{reason="' not in served.client.get("/metrics").text
    opened.query.press("Enter")
    expect(opened.page.locator("#abstentions button")).to_have_text([FOREIGN])
    assert kept(served) == [FOREIGN]


def test_an_abstention_can_be_asked_again_and_is_listed_once(serve, visit, expect):
    served = serve()
    for text in ("the parrot sings opera", FOREIGN, "the parrot sings opera"):
        served.ask(text)
    opened = visit(served.url)
    listed = opened.page.locator("#abstentions button")
    expect(listed).to_have_text(["the parrot sings opera", FOREIGN])
    listed.last.click()
    expect(opened.query).to_have_value(FOREIGN)
    expect(opened.decision).to_contain_text("abstains")
    assert len(kept(served)) == 3


def test_a_service_that_keeps_no_abstentions_says_so(serve, visit, expect):
    served = serve(abstentions_kept=0)
    served.ask(FOREIGN)
    opened = visit(served.url)
    expect(opened.page.locator("#abstentions-text")).to_have_text("This service keeps none.")


def test_a_service_that_stops_says_so(serve, visit, expect):
    served = serve()
    opened = visit(served.url)
    expect(opened.page.locator("#state")).to_have_text("ready")
    served.app.state.service.phase = "draining"
    expect(opened.page.locator("#state")).to_have_text("draining")
    opened.query.fill("where is my order")
    expect(opened.alert).to_contain_text("takes no more")


# --- teaching and editing ----------------------------------------------------------------------------


def test_adding_the_text_turns_the_answer_and_undo_turns_it_back(serve, visit, expect):
    served = serve()
    before = served.router.routes["order_status"].utterances
    opened = visit(served.url)
    opened.query.fill(FOREIGN)
    expect(opened.decision).to_contain_text("abstains")
    opened.add_to("order_status")
    expect(opened.decision).to_have_text("goes to order_status")
    expect(opened.page.locator("#before")).to_contain_text("Before the change it abstained (0.")
    expect(opened.page.locator("#revision")).to_have_text(str(served.router.revision))
    expect(opened.route("order_status")).to_contain_text(str(len(before) + 1))
    assert served.router.routes["order_status"].utterances == (*before, FOREIGN)
    opened.button("Undo").click()
    expect(opened.decision).to_contain_text("abstains")
    expect(opened.page.locator("#before")).to_contain_text("Before the change it went to order_status")
    assert served.router.routes["order_status"].utterances == before


def test_adding_what_is_there_already_offers_no_undo_that_would_take_it_away(serve, visit, expect):
    opened = visit(serve().url)
    opened.query.fill("track a parcel")
    expect(opened.decision).to_have_text("goes to order_status")
    opened.add_to("order_status")
    expect(opened.notice).to_contain_text("Nothing to change")
    expect(opened.button("Undo")).to_have_count(0)


def test_a_change_upon_somebody_elses_is_not_saved_until_it_was_seen(serve, visit, expect):
    served = serve()
    opened = visit(served.url)
    opened.query.fill(FOREIGN)
    expect(opened.decision).to_contain_text("abstains")
    served.router.add_utterances("talk_to_human", ["put me through"])
    opened.add_to("order_status")
    expect(opened.alert).to_contain_text("Not saved: the routes were changed meanwhile")
    expect(opened.page.locator("#revision")).to_have_text(str(served.router.revision))
    assert FOREIGN not in served.router.routes["order_status"].utterances
    opened.button("Add").click()
    expect(opened.decision).to_have_text("goes to order_status")
    expect(opened.alert).to_be_empty()


def test_somebody_elses_change_is_announced_and_loaded_on_request(serve, visit, expect):
    served = serve(routes=[Route("refund", ["money back"])], encoder=HashingEncoder())
    opened = visit(served.url)
    expect(opened.page.locator("#count")).to_have_text("1 route")
    served.router.add_route(Route("cancel", ["stop it"]))
    expect(opened.page.get_by_text("The routes have moved on to revision 2.")).to_be_visible()
    expect(opened.page.locator("#count")).to_have_text("1 route")
    opened.button("Reload them").click()
    expect(opened.page.locator("#count")).to_have_text("2 routes")


def test_utterances_and_thresholds_are_edited_in_the_list_and_each_can_be_undone(serve, visit, expect):
    served = serve(routes=[Route("refund", ["money back", "repay me"])], encoder=HashingEncoder())
    opened = visit(served.url)
    refund = opened.route("refund")
    refund.locator("summary").click()
    refund.get_by_label("Threshold").fill("0.6")
    refund.get_by_role("button", name="Save").click()
    expect(refund.locator("summary")).to_contain_text("needs 0.60")
    assert served.router.routes["refund"].threshold == 0.6
    opened.button("Undo").click()
    expect(refund.locator("summary")).not_to_contain_text("needs")
    refund.get_by_role("button", name="Remove “repay me”").click()
    expect(refund.get_by_role("listitem")).to_have_count(1)
    expect(refund.get_by_role("button", name="Remove “money back”")).to_be_focused()
    opened.button("Undo").click()
    expect(refund.get_by_role("listitem")).to_have_count(2)
    assert set(served.router.routes["refund"].utterances) == {"money back", "repay me"}


def test_a_route_is_made_and_removed_and_comes_back_whole(serve, visit, expect):
    kept = Route("refund", ["money back"], description="Money.", threshold=0.4, metadata={"team": "billing"})
    served = serve(routes=[kept], encoder=HashingEncoder())
    opened = visit(served.url)
    opened.page.get_by_text("New route", exact=True).first.click()
    opened.page.get_by_label("Name").fill("cancel order")
    opened.page.get_by_label("Utterances, one a line").fill("stop it\n\nI do not want it\n")
    opened.button("Create").click()
    expect(opened.alert).to_contain_text("name")
    opened.page.get_by_label("Name").fill("cancel_order")
    opened.button("Create").click()
    expect(opened.notice).to_contain_text("Created the route cancel_order.")
    assert served.router.routes["cancel_order"].utterances == ("stop it", "I do not want it")
    opened.route("refund").locator("summary").click()
    opened.route("refund").get_by_role("button", name="Remove this route").click()
    expect(opened.route("refund")).to_have_count(0)
    opened.button("Undo").click()
    expect(opened.route("refund")).to_have_count(1)
    assert served.router.routes["refund"] == kept


def test_a_hundred_and_fifty_routes_are_filtered_by_name_and_content(serve, visit, expect):
    routes = [Route(f"route_{number:03d}", [f"say {number}"]) for number in range(149)]
    served = serve(routes=[*routes, Route("parrots", ["a bird that sings"])], encoder=HashingEncoder())
    opened = visit(served.url)
    expect(opened.page.locator("#count")).to_have_text("150 routes")
    expect(opened.page.locator("#routes > li")).to_have_count(150)
    opened.page.get_by_label("Filter the routes").fill("BIRD")
    expect(opened.page.locator("#count")).to_have_text("1 of 150 routes")
    expect(opened.route("parrots")).to_be_visible()
    opened.query.fill("say 7")
    expect(opened.page.get_by_label("Add this text to").locator("option")).to_have_count(150)
