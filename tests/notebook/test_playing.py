"""The playground: real widgets, driven as a browser drives them, and what they then show."""

import re
import sys

import pytest
from ipywidgets import HTML, Button, Widget
from tried import EXAMPLES, ROUTES, THRESHOLDS

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    HashingEncoder,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterConfig,
)
from synaptoroute_integrations.notebook import playground
from synaptoroute_integrations.notebook.trying import Session

HOSTILE = "<img src=x onerror=alert(1)> & \u202e\x1b[31m"


@pytest.fixture
def router(hashing):
    with AdaptiveRouter(ROUTES, encoder=hashing, config=RouterConfig(threshold=0.5)) as opened:
        yield opened


@pytest.fixture(scope="module")
def fitted():
    config = RouterConfig(threshold=0.5, auto_refit=False)
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), config=config) as opened:
        opened.fit(progress=False)
        yield opened


class Page:
    """A playground as its user sees it."""

    def __init__(self, router, examples=()):
        self.widget = playground(router, examples)

    def parts(self, widget=None):
        for child in (widget or self.widget).children:
            yield child
            if hasattr(child, "children"):
                yield from self.parts(child)

    def find(self, description, kind=Widget):
        (found,) = (
            part
            for part in self.parts()
            if isinstance(part, kind) and getattr(part, "description", "").startswith(description)
        )
        return found

    def type(self, text):
        self.find("Message").value = text

    def click(self, description):
        button = self.find(description, Button)
        assert not button.disabled
        button.click()

    @property
    def html(self):
        return "".join(re.sub(r"<style>.*?</style>", "", part.value) for part in self.parts() if isinstance(part, HTML))

    @property
    def text(self):
        return re.sub(r"<[^>]*>", " ", self.html)

    @property
    def alarm(self):
        """What an error message says."""
        return "".join(re.findall(r'<span role="alert"[^>]*>(.*?)</span>', self.html))

    @property
    def routes(self):
        return [name for name, _ in self.find("Belongs to").options]


@pytest.fixture
def page(router):
    return Page(router)


# --- asking ----------------------------------------------------------------------------------------


def test_a_message_shows_its_decision_and_its_best_route_to_add_it_to(page, router):
    page.type("where is the parcel")
    assert router.route("where is the parcel")._repr_html_() in "".join(
        part.value for part in page.parts() if isinstance(part, HTML)
    )
    assert page.find("Belongs to").value == "parcel"


def test_why_shows_the_explanation_instead(page):
    page.type("where is the parcel")
    assert "Nearest utterances" not in page.text
    page.find("Why?").value = True
    assert "Nearest utterances" in page.text
    page.find("Why?").value = False
    assert "Nearest utterances" not in page.text


def test_the_button_asks_again_and_a_blank_message_shows_nothing(page):
    page.type("where is the parcel")
    page.type(" ")
    assert "Decision" not in page.text
    page.click("Route")
    assert "Type a message first." in page.text
    assert page.alarm == ""


async def test_it_works_inside_a_running_event_loop(page):
    page.type("reset it please")
    page.click("Add as utterance")
    assert "0.5" in page.text
    assert page.alarm == ""


# --- changing --------------------------------------------------------------------------------------


def test_a_message_is_added_to_a_route_and_the_decision_follows(page, router):
    page.type("will my shoes come today")
    assert not router.route("will my shoes come today")
    page.find("Belongs to").value = "parcel"
    page.click("Add as utterance")
    assert router.routes["parcel"].utterances[-1] == "will my shoes come today"
    assert "Added the message to parcel." in page.text
    assert "10 utterances" in page.text
    assert '<strong class="sr-chosen"><bdi>parcel</bdi></strong>' in page.html


def test_changes_are_taken_back_one_by_one_the_last_first(page, router):
    before = dict(router.routes)
    page.type("will my shoes come today")
    page.find("Belongs to").value = "parcel"
    page.click("Add as utterance")
    page.type("who won the cup final")
    page.find("or to a new").value = "sports"
    page.click("New route")
    assert page.routes == ["refund", "parcel", "password", "sports"]
    page.find("Threshold").value = "refund"
    page.find("at").value = 0.7
    page.click("Set for refund")
    assert router.routes["refund"].threshold == 0.7
    page.click("Undo")
    assert router.routes["refund"].threshold is None
    page.click("Undo")
    assert page.routes == ["refund", "parcel", "password"]
    assert "Undone: added the route sports." in page.text
    page.click("Undo")
    assert router.routes == before
    assert page.find("Undo").disabled


def test_an_utterance_that_is_there_already_leaves_nothing_to_undo(page, router):
    page.type("Track  a PARCEL")
    page.click("Add as utterance")
    assert "The message is an utterance of parcel already." in page.text
    assert page.find("Undo").disabled


def test_a_change_that_somebody_else_took_back_is_forgotten(page, router):
    page.type("will my shoes come today")
    page.find("Belongs to").value = "parcel"
    page.click("Add as utterance")
    router.remove_utterances("parcel", ["will my shoes come today"])
    page.click("Undo")
    assert "will my shoes come today" in page.alarm
    page.type("where is the parcel")
    assert page.find("Undo").disabled


def test_routes_that_others_changed_show_after_the_next_message(page, router):
    router.add_route(Route("weather", ["will it rain tomorrow"]))
    page.type("rain tomorrow")
    assert page.find("Belongs to").value == "weather"
    page.find("Threshold").value = "weather"
    router.remove_route("weather")
    page.type("where is the parcel")
    assert page.routes == ["refund", "parcel", "password"]
    assert (page.find("Threshold").value, page.find("at").value) == ("", 0.5)


def test_a_router_without_routes_gets_its_first_one(hashing):
    with AdaptiveRouter(encoder=hashing) as router:
        page = Page(router)
        page.type("where is my parcel")
        assert page.find("Add as utterance").disabled
        page.find("or to a new").value = "parcel"
        page.click("New route")
        assert list(router.routes) == ["parcel"]
        assert not page.find("Add as utterance").disabled


# --- considering -----------------------------------------------------------------------------------


def test_the_slider_tells_what_would_become_of_the_labelled_texts(router):
    page = Page(router, EXAMPLES)
    assert page.find("at").value == 0.5
    page.find("at").value = 0.0
    outlook = Session(router, EXAMPLES).consider(0.0)
    assert f"{len(outlook.flips)}  of 11 texts would change" in page.text
    assert "answered rightly" in page.text
    assert "answered wrongly" in page.text
    assert f"{outlook.before.wrong} → {outlook.after.wrong}" in page.text
    assert [flip.kind for flip in outlook.flips] == ["now_wrong", "now_wrong", "now_answered"]


def test_no_query_is_routed_while_the_slider_moves(router):
    page = Page(router, EXAMPLES)
    before = router.stats().answered
    for threshold in THRESHOLDS:
        page.find("at").value = threshold
    assert router.stats().answered == before


def test_without_examples_the_messages_typed_are_considered(page):
    assert "Type a few messages" in page.text
    page.type("how late is my parcel")
    page.type("reset the password link")
    page.find("at").value = 1.0
    assert "2  of 2 texts would change" in page.text
    assert "no longer answered" in page.text
    assert "wrong" not in page.text


def test_of_many_flips_the_first_are_listed(router):
    page = Page(router, [(f"my parcel is late {number}", "parcel") for number in range(40)])
    page.find("at").value = 1.0
    assert page.html.count("a right answer given up") == 12
    assert "and 28 more" in page.text


def test_a_threshold_can_be_set_for_one_route_only(page, router):
    assert page.find("Set", Button).disabled
    page.find("Threshold").value = "parcel"
    assert page.find("at").value == 0.4
    page.find("at").value = 0.45
    page.click("Set for parcel")
    assert router.routes["parcel"].threshold == 0.45
    assert "Set the threshold of parcel to 0.450." in page.text


def test_under_a_fitted_head_no_threshold_can_be_set_and_it_says_why(fitted):
    page = Page(fitted, EXAMPLES)
    assert "a fitted head decides" in page.text
    assert "own threshold has no effect" in page.text
    assert page.find("Set", Button).disabled
    assert [name for name, _ in page.find("Threshold").options] == ["every route"]
    assert page.find("at").value == fitted.route(EXAMPLES[0][0]).threshold
    with pytest.raises(ConfigurationError, match="a fitted head decides"):
        Session(fitted).set_threshold("parcel", 0.5)


def test_under_a_fitted_head_a_confidence_is_called_one_and_no_score(fitted, router):
    by_head, by_similarity = Page(fitted, EXAMPLES), Page(router, EXAMPLES)
    for page, measure, other in ((by_head, "confidence", "score"), (by_similarity, "score", "confidence")):
        page.type("where is the parcel")
        page.find("Why?").value = True
        page.find("at").value = 0.999
        assert page.find("at").description == f"at a {measure} of"
        assert f"at a {measure} of 0.999 for every route" in page.text
        assert f'<th scope="col" class="sr-number">{measure}</th>' in page.html
        assert f"{measure} and threshold" in page.html
        assert other not in re.sub(r'<p><span class="sr-quiet">A fitted head.*?</p>', "", page.html)


def test_the_slider_says_what_it_is_a_threshold_of_after_a_fit(router):
    page = Page(router, EXAMPLES)
    router.fit(progress=False)
    page.type("where is the parcel")
    assert page.find("at").description == "at a confidence of"
    router.undo_fit()
    page.type("where is the parcel now")
    assert page.find("at").description == "at a score of"


def test_a_fit_shows_after_the_next_message(router):
    page = Page(router, EXAMPLES)
    page.find("Threshold").value = "parcel"
    router.fit(progress=False)
    page.type("where is the parcel")
    assert page.find("Set", Button).disabled
    assert page.find("at").value == router.route("where is the parcel").threshold
    router.undo_fit()
    page.type("where is the parcel now")
    page.find("Threshold").value = "parcel"
    assert not page.find("Set", Button).disabled


# --- errors ----------------------------------------------------------------------------------------


def test_what_cannot_be_done_is_said_and_changes_nothing(page, router):
    page.click("Add as utterance")
    assert "an utterance is blank" in page.alarm
    page.type("where is the parcel")
    assert page.alarm == ""
    page.find("or to a new").value = "my route!"
    page.click("New route")
    assert "&#x27;my route!&#x27; cannot be a route&#x27;s name" in page.alarm
    page.find("or to a new").value = "refund"
    page.click("New route")
    assert "a route named &#x27;refund&#x27; exists already" in page.alarm
    assert dict(router.routes) == {route.name: route for route in ROUTES}
    assert page.find("Undo").disabled


def test_an_error_of_the_router_is_said_and_the_old_decision_goes(page, router):
    page.type("where is the parcel")
    router.close()
    page.type("where is the refund")
    assert "closed" in page.alarm
    assert "Decision" not in page.text


def test_an_error_of_an_encoder_of_ones_own_is_said_too(capfd):
    class Broken(HashingEncoder):
        def encode(self, texts):
            if "boom" in texts:
                raise ZeroDivisionError("no words")
            return super().encode(texts)

    with AdaptiveRouter(ROUTES, encoder=Broken()) as router:
        page = Page(router)
        page.type("boom")
        assert "no words" in page.alarm
        page.type("where is the parcel")
        assert page.alarm == ""
    assert "Traceback" not in "".join(capfd.readouterr())


def test_texts_are_shown_and_never_obeyed(router):
    page = Page(router, [(f"{HOSTILE} my parcel is late", "parcel")])
    page.type(HOSTILE)
    page.click("Add as utterance")
    page.find("Why?").value = True
    page.find("at").value = 1.0
    page.find("or to a new").value = HOSTILE
    page.click("New route")
    assert HOSTILE in router.routes[page.find("Belongs to").value].utterances
    assert "<img" not in page.html
    assert not set(page.html) & {"\u202e", "\x1b"}
    assert page.html.count("&lt;img") >= 4


@pytest.mark.parametrize(
    ("examples", "error"),
    [
        ([("hello", "nowhere")], RouteNotFoundError),
        ([("  ", "parcel")], InvalidTextError),
        (["hello"], ConfigurationError),
    ],
)
def test_examples_that_cannot_be_used_are_refused_at_once(router, examples, error):
    with pytest.raises(error):
        playground(router, examples)


@pytest.mark.parametrize("value", [None, "routes.yaml", ROUTES])
def test_what_is_no_router_is_refused(value):
    with pytest.raises(ConfigurationError, match="give an AdaptiveRouter or a RemoteRouter"):
        playground(value)


def test_without_ipywidgets_it_says_what_to_install(router, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "synaptoroute_integrations.notebook.panels", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'synaptoroute-integrations\[notebook\]'"):
        playground(router)


# --- closing ---------------------------------------------------------------------------------------


def test_closing_takes_every_part_off_the_page_and_leaves_the_router_open(page, router):
    parts = [page.widget, *page.parts()]
    page.widget.close()
    assert [part for part in parts if part.comm is not None] == []
    assert router.route("where is my parcel")
