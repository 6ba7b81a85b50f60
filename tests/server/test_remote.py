"""A router elsewhere answers as one in this process does: the same decisions, edits and errors, over real HTTP."""

import asyncio
import itertools

import pytest

from synaptoroute_core import (
    ConfigurationError,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouteOptions,
)
from synaptoroute_integrations.remote import RemoteRouter

GREETING = Route("greeting", ["hello there", "good morning"], description="Says hello", metadata={"team": 1})
OPENINGS = ("", "hi, ", "please help: ", "URGENT ", "so... ")


# --- asking ----------------------------------------------------------------------------------------


def test_five_hundred_queries_are_decided_as_they_are_here(remote, local, support_examples):
    pairs = itertools.product(OPENINGS, [text for text, _ in support_examples])
    texts = [opening + text for opening, text in pairs][:500]
    assert len(texts) == 500
    expected = local.route_batch(texts)
    assert remote.route_batch(texts) == expected
    assert remote.route_each(texts) == expected
    assert [remote.route(text) for text in texts[:50]] == expected[:50]
    assert len({decision.route for decision in expected}) > 10


async def test_awaitable_methods_decide_alike(remote, local, support_examples):
    texts = [text for text, _ in support_examples][:100]
    expected = local.route_batch(texts)
    assert await asyncio.gather(*map(remote.aroute, texts)) == expected
    assert await remote.aroute_batch(texts) == expected
    assert await remote.aroute_each(texts) == expected
    assert await remote.aexplain(texts[0]) == local.explain(texts[0])
    assert await remote.aroutes() == dict(local.routes)
    assert (await remote.aencoder()).fingerprint == local.encoder.fingerprint
    assert (await remote.astats()).routes == len(local.routes)
    await remote.aclose()


@pytest.mark.parametrize(
    "options",
    [
        RouteOptions(threshold=0.9),
        RouteOptions(threshold=-1, min_margin=1.5),
        RouteOptions(max_candidates=14),
        RouteOptions(allowed=["refund_status", "order_status"]),
        RouteOptions(allowed=[]),
    ],
)
def test_options_reach_the_service(remote, local, options):
    text = "when do I get my money back"
    assert remote.route(text, options=options) == local.route(text, options=options)
    assert remote.route_batch([text], options=options) == [local.route(text, options=options)]


def test_each_text_may_have_options_of_its_own(remote, local):
    texts = ["my money", "  ", "where is my parcel", "cancel it", "my money", "cancel it"]
    strict = RouteOptions(threshold=0.9)
    options = [None, None, None, strict, strict, RouteOptions(allowed=["nowhere"])]
    there, here = remote.route_each(texts, options=options), local.route_each(texts, options=options)
    assert there[0] == here[0]
    assert there[2:5] == here[2:5]
    for place, kind in ((1, InvalidTextError), (5, RouteNotFoundError)):
        assert type(there[place]) is type(here[place]) is kind
        assert str(there[place]) == str(here[place])


@pytest.mark.parametrize(
    "text", ["lost \ud800 parcel", "\ud83d\ude00 my parcel", "parcel" + "x" * 20_000, "📦 päck\u0000et"]
)
def test_unusual_text_survives_the_trip(remote, local, text):
    assert remote.route(text) == local.route(text)
    assert remote.route_batch([text, text]) == local.route_batch([text, text])


def test_many_long_texts_travel_in_several_requests(remote, local):
    texts = [f"parcel {number} " + "日本" * 8_000 for number in range(12)]  # 48 KB each: more than one body takes
    assert remote.route_batch(texts) == local.route_batch(texts)


def test_a_query_is_explained_as_here(remote, local):
    assert remote.explain("my money", allowed=["refund_status"]) == local.explain("my money", allowed=["refund_status"])


def test_labelled_texts_are_evaluated_as_here(remote, local, support_examples):
    there, here = remote.evaluate(support_examples), local.evaluate(support_examples)
    assert (there.accuracy, there.routes, there.mistakes) == (here.accuracy, here.routes, here.mistakes)
    with pytest.raises(RouteNotFoundError):
        remote.evaluate([("text", "nowhere")])


def test_an_empty_list_of_texts_needs_no_request(served):
    served.router.close()
    with RemoteRouter(served.url) as remote:
        assert remote.route_batch([]) == remote.route_each([]) == []


# --- choices ---------------------------------------------------------------------------------------


def test_choices_may_hold_routes_that_the_service_does_not_have(remote, local):
    there = remote.choices(["refund_status"], [GREETING])
    here = local.choices(["refund_status"], [GREETING])
    assert list(there) == list(here)
    for text in ("hello there", "my money", "nothing of this"):
        assert remote.route(text, allowed=there) == local.route(text, allowed=here)
        assert remote.route_each([text], options=RouteOptions(allowed=there)) == [local.route(text, allowed=here)]
    only = remote.choices(extra=[GREETING])
    assert remote.route("my money", allowed=only) == local.route("my money", allowed=local.choices(extra=[GREETING]))
    assert "greeting" not in remote.routes
    with pytest.raises(ConfigurationError, match="among its own"):
        remote.explain("hello", allowed=there)


def test_a_choice_passes_over_a_route_that_is_removed_later(remote, local):
    for extra in ([], [GREETING]):
        local.add_route(Route("short_lived", ["gone soon"]))
        there = remote.choices(["short_lived", "refund_status"], extra)
        here = local.choices(["short_lived", "refund_status"], extra)
        assert remote.route("gone soon", allowed=there).route == "short_lived"
        local.remove_route("short_lived")
        assert remote.route("gone soon", allowed=there) == local.route("gone soon", allowed=here)


def test_a_choice_is_checked_when_it_is_made(remote, local):
    for router in (remote, local):
        with pytest.raises(RouteNotFoundError, match="refund_status"):
            router.choices(["refund_statu"])
        with pytest.raises(ConfigurationError, match="two of the choices"):
            router.choices(["refund_status"], [Route("refund_status", ["x"])])


def test_choices_of_a_router_here_are_refused_there(remote, local):
    with pytest.raises(ConfigurationError, match="prepared by a router here"):
        remote.route("hello", allowed=local.choices(["refund_status"]))
    with pytest.raises(RouteNotFoundError):
        local.route("hello", allowed=remote.choices(extra=[GREETING]))


# --- looking ---------------------------------------------------------------------------------------


def test_routes_are_those_of_now_and_travel_only_when_they_have_changed(remote, local, served):
    first = remote.routes
    assert dict(first) == dict(local.routes)
    assert remote.routes is first
    local.add_route(GREETING)
    assert set(remote.routes) - set(first) == {"greeting"}
    with pytest.raises(TypeError):
        remote.routes["x"] = GREETING


def test_the_revision_is_that_of_the_last_answer(remote, local):
    assert remote.revision == local.revision
    local.add_route(GREETING)
    assert remote.revision == local.revision - 1
    remote.route("hello")
    assert remote.revision == local.revision


def test_counts_and_the_encoder_are_those_of_the_service(remote, local):
    remote.route("hello")
    assert remote.stats() == local.stats()
    encoder = remote.encoder
    assert (encoder.fingerprint, encoder.dim) == (local.encoder.fingerprint, local.encoder.dim)
    assert encoder.batch_invariant is local.encoder.batch_invariant
    assert not hasattr(encoder, "encode")
