"""What notebooks do with a router in this process they do with one elsewhere, over real HTTP."""

import re

import httpx
import pandas as pd
import pytest

from synaptoroute_core import ConfigurationError, Route, RouteNotFoundError
from synaptoroute_integrations.notebook import aroute_frame, playground, route_frame
from synaptoroute_integrations.notebook.trying import Session
from synaptoroute_integrations.remote import RemoteRouter


@pytest.fixture
def queries(support_examples):
    return pd.DataFrame(support_examples[:100], columns=["text", "label"])


async def test_a_frame_is_routed_as_it_is_here(remote, local, queries):
    expected = route_frame(local, queries)
    pd.testing.assert_frame_equal(route_frame(remote, queries, batch_size=30), expected)
    pd.testing.assert_frame_equal(await aroute_frame(remote, queries, batch_size=30), expected)


async def test_allowed_routes_and_unusable_texts_are_as_they_are_here(remote, local):
    frame = pd.DataFrame({"text": ["where is my parcel", None, " ", 7]}, dtype=object)
    extra = [Route("greeting", ["hello there"])]
    chosen = {"allowed": ["order_status", "refund_status"], "errors": "keep"}
    expected = route_frame(local, frame, **chosen)
    pd.testing.assert_frame_equal(route_frame(remote, frame, **chosen), expected)
    pd.testing.assert_frame_equal(await aroute_frame(remote, frame, **chosen), expected)
    choices = remote.choices(["order_status"], extra)
    assert route_frame(remote, frame[:1].assign(text="hello there"), allowed=choices)["route"][0] == "greeting"
    with pytest.raises(RouteNotFoundError, match="order_state"):
        await aroute_frame(remote, frame, allowed=["order_state"], errors="keep")


def test_a_session_sees_and_does_what_it_does_here(remote, local, support_examples):
    here, there = Session(local, support_examples), Session(remote, support_examples)
    assert there.lineup == here.lineup
    assert there.ask("where is my parcel") == here.ask("where is my parcel")
    assert there.explain("where is my parcel") == here.explain("where is my parcel")
    for route in (None, "order_status"):
        assert there.consider(0.4, route) == here.consider(0.4, route)
        assert there.consider(0.4, route).flips
    there.add_route("greeting", "hello there")
    there.add_utterance("greeting", "good morning")
    there.set_threshold("greeting", 0.7)
    assert local.routes["greeting"] == Route("greeting", ["hello there", "good morning"], threshold=0.7)
    for _ in range(3):
        there.undo()
    assert "greeting" not in local.routes
    with pytest.raises(ConfigurationError, match="nothing to undo"):
        there.undo()


def test_the_playground_shows_a_router_elsewhere(remote, local):
    widget = playground(remote)
    message, answer = widget.children[1].children[0], widget.children[3]
    message.value = "where is my parcel"
    assert answer.value == local.route("where is my parcel")._repr_html_()
    widget.close()


# --- the client itself -----------------------------------------------------------------------------


def shown(remote):
    """What one reads of the client in a notebook."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>|<wbr>", "", remote._repr_html_()))


class Counting(httpx.HTTPTransport):
    """Counts the requests."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def handle_request(self, request):
        self.count += 1
        return super().handle_request(request)


def test_a_client_shows_itself_without_a_request(served, local):
    transport = Counting()
    with RemoteRouter(served.url, transport=transport) as remote:
        assert served.url in shown(remote)
        assert "not asked for yet" in shown(remote)
        assert transport.count == 0
        routes = remote.routes
        before = transport.count
        text = shown(remote)
        assert transport.count == before
    assert all(name in text for name in routes)
    assert f"revision  {local.revision} " in text
    assert "closed" in shown(remote)
    assert "closed" not in text


def test_a_client_says_when_the_routes_that_it_shows_may_be_old(remote, local):
    assert len(remote.routes) == len(local.routes)
    seen = local.revision
    local.add_route(Route("greeting", ["hello there"]))
    remote.route("where is my parcel")  # the answer speaks of the new revision
    assert f"routes as they were at revision {seen}" in shown(remote)
    assert "greeting" not in shown(remote)
    assert "greeting" in remote.routes
    assert "greeting" in shown(remote)
    assert "routes as last seen" in shown(remote)


def test_a_client_shows_that_it_has_a_key_and_not_which(keys):
    with RemoteRouter("http://localhost:1", keys.admin, headers={"X-Gate": "s3cret"}) as remote:
        html = remote._repr_html_()
    assert "given" in html
    assert keys.admin not in html
    assert "s3cret" not in html
    with RemoteRouter("http://localhost:1/<b>") as remote:
        assert "<b>" not in remote._repr_html_()
