"""What a client sends again and what it does not, with a service that fails as it is told to."""

import asyncio
import itertools
import json

import httpx
import pytest

from synaptoroute_core import (
    EncoderError,
    Route,
    RouterClosedError,
    RouterConfig,
    RouterOverloadedError,
    RouterTimeoutError,
    StorageError,
)
from synaptoroute_integrations.remote import RemoteError, RemoteRouter
from synaptoroute_integrations.remote.exchange import Deadline, Exchange, Request

DECIDED = {"route": "refund", "reason": "matched", "score": 0.9, "revision": 3}


def problem(status, slug, headers=None, **more):
    body = {"type": f"urn:synaptoroute:{slug}", "title": slug, "status": status, "detail": f"it is {slug}", **more}
    return httpx.Response(
        status, content=json.dumps(body), headers={"Content-Type": "application/problem+json", **(headers or {})}
    )


def ok(data=DECIDED):
    return httpx.Response(200, json=data)


OVERLOADED = {"status": 429, "slug": "overloaded", "retry_after_s": 0.01, "headers": {"Retry-After": "1"}}
DRAINING = {"status": 503, "slug": "draining", "retry_after_s": 0.01}


class Script:
    """Answers with what it was given, one after the other, and keeps what was asked."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        # A new one each time: httpx ties a response to the colour of the client that it was given to.
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    def router(self, **arguments):
        return RemoteRouter("http://service.test", transport=httpx.MockTransport(self), **arguments)


def in_thread(router, name, *arguments, **more):
    with router:
        return getattr(router, name)(*arguments, **more)


def in_loop(router, name, *arguments, **more):
    async def call():
        async with router:
            return await getattr(router, f"a{name}")(*arguments, **more)

    return asyncio.run(call())


both_colours = pytest.mark.parametrize("call", [in_thread, in_loop])


# --- questions -------------------------------------------------------------------------------------

PASSING = {
    "overloaded": problem(**OVERLOADED),
    "draining": problem(**DRAINING),
    "store busy": problem(503, "storage-error", retry_after_s=0.01),
    "proxy without a server": httpx.Response(502, text="<html>Bad Gateway</html>"),
    "refused": httpx.ConnectError("refused"),
    "no way there": httpx.ConnectTimeout("no answer"),
    "broken": httpx.ReadError("reset"),
    "closed": httpx.RemoteProtocolError("Server disconnected without sending a response."),
}


@both_colours
@pytest.mark.parametrize("name", PASSING)
def test_a_question_is_asked_again_after_what_passes(call, name):
    script = Script(PASSING[name], PASSING[name], ok())
    assert call(script.router(), "route", "hello").route == "refund"
    assert len(script.asked) == 3


LASTING = {
    "timeout": (problem(504, "timeout"), RouterTimeoutError),
    "encoder": (problem(500, "encoder-error"), EncoderError),
    "internal": (problem(500, "internal", request_id="abc"), RemoteError),
    "not a service": (httpx.Response(404, text="<html>nginx</html>"), RemoteError),
    "elsewhere": (httpx.Response(307, headers={"Location": "http://other.test/route"}), RemoteError),
}


@both_colours
@pytest.mark.parametrize("name", LASTING)
def test_a_question_is_not_asked_again_after_what_lasts(call, name):
    response, kind = LASTING[name]
    script = Script(response)
    with pytest.raises(kind):
        call(script.router(), "route", "hello")
    assert [str(request.url) for request in script.asked] == ["http://service.test/route"]


@both_colours
def test_after_the_last_attempt_the_error_is_that_of_the_service(call):
    for refusal, kind in ((OVERLOADED, RouterOverloadedError), (DRAINING, RouterClosedError)):
        script = Script(*(problem(**refusal) for _ in range(3)))
        with pytest.raises(kind):
            call(script.router(retries=2), "route", "hello")
        assert len(script.asked) == 3


@both_colours
def test_a_pause_that_would_outlast_the_call_is_not_begun(call):
    script = Script(problem(429, "rate-limited", headers={"Retry-After": "60"}))
    with pytest.raises(RouterOverloadedError, match="it is rate-limited") as caught:
        call(script.router(), "route", "hello", timeout=5)
    assert caught.value.retry_after_s == 60
    assert len(script.asked) == 1


def test_without_an_answer_the_error_says_whom_it_asked():
    script = Script(httpx.ConnectError("refused"))
    with script.router(retries=0) as remote, pytest.raises(RemoteError, match="did not answer: refused") as caught:
        remote.route("hello")
    assert (caught.value.url, caught.value.status) == ("http://service.test/route", None)
    assert "whether" not in str(caught.value)


def test_the_service_is_told_how_much_time_is_left():
    script = Script(problem(**OVERLOADED), ok(), ok({"results": [{"decision": DECIDED, "error": None}]}))
    with script.router(timeout_s=7) as remote:
        remote.route("hello", timeout=5)
        remote.route_batch(["hello"])
    first, second, third = (json.loads(request.content)["timeout_s"] for request in script.asked)
    assert 5 >= first > second > 0
    assert 5 < third <= 7


# --- edits -----------------------------------------------------------------------------------------

UNDONE = {name: PASSING[name] for name in ("overloaded", "draining", "refused", "no way there")}
UNCERTAIN = {
    "store": (problem(503, "storage-error", retry_after_s=0.01), StorageError, False),
    "proxy": (PASSING["proxy without a server"], RemoteError, False),
    "broken": (PASSING["broken"], RemoteError, True),
    "closed": (PASSING["closed"], RemoteError, True),
    "late": (httpx.ReadTimeout("late"), RouterTimeoutError, True),
}


@both_colours
@pytest.mark.parametrize("name", UNDONE)
def test_an_edit_is_sent_again_where_it_surely_was_not_made(call, name):
    script = Script(UNDONE[name], httpx.Response(201, json={"revision": 4, "changed": 1}))
    assert call(script.router(), "add_route", Route("refund", ["money back"])).revision == 4
    assert len(script.asked) == 2


@both_colours
@pytest.mark.parametrize("name", UNCERTAIN)
def test_an_edit_that_may_have_been_made_is_not_sent_again(call, name):
    outcome, kind, unknown = UNCERTAIN[name]
    script = Script(outcome)
    with pytest.raises(kind) as caught:
        call(script.router(), "update_threshold", "refund", 0.4)
    assert len(script.asked) == 1
    said = str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))
    assert ("is not known" in said) is unknown


# --- pauses ----------------------------------------------------------------------------------------


def exchange(timeout_s=100.0, retries=10, chance=0.0, **more):
    now = itertools.count()
    deadline = Deadline(timeout_s, clock=lambda: next(now) * 0.0)
    request = Request(method="POST", path="/route", deadline=deadline, **more)
    return Exchange(request, url="http://service.test/route", retries=retries, chance=lambda: chance)


def answer_of(judge, response):
    return judge.answer(response, [response.content])


def test_pauses_double_up_to_a_bound_and_are_spread_by_chance():
    lost = httpx.ConnectError("refused")
    even, late = exchange(), exchange(chance=1.0)
    pauses = [even.pause_after_failure(lost) for _ in range(11)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, None]
    assert [late.pause_after_failure(lost) for _ in range(2)] == [0.05 * 1.25, 0.1 * 1.25]


@pytest.mark.parametrize(
    ("more", "header", "expected"),
    [
        ({"retry_after_s": 0.31}, "1", 0.31),
        ({}, "2", 2.0),
        ({}, None, 0.05),
        ({"retry_after_s": 0.001}, "1", 0.05),
        ({"retry_after_s": "soon"}, "3", 3.0),
        ({"retry_after_s": -4}, "nan", 0.05),
        ({}, "Wed, 21 Oct 2026 07:28:00 GMT", 0.05),
    ],
)
def test_the_service_says_how_long_to_wait_at_least(more, header, expected):
    judge = exchange()
    response = problem(429, "overloaded", headers={} if header is None else {"Retry-After": header}, **more)
    assert judge.pause_after(answer_of(judge, response)) == expected


def test_the_steps_of_an_attempt_share_the_time():
    """A wait for a free connection is no extra time for the answer."""
    now = [0.0]
    request = Request(method="GET", path="/routes", deadline=Deadline(10.0, clock=lambda: now[0]))
    limits = Exchange(request, url="http://service.test/routes", retries=0).extensions()["timeout"]
    assert (limits.get("pool"), limits.get("connect"), limits.get("read")) == (10.0, 3.0, 10.0)
    now[0] = 8.0
    assert (limits.get("connect"), limits.get("write"), limits.get("read")) == (2.0, 2.0, 2.0)
    now[0] = 11.0
    assert 0 < limits.get("read") < 0.01
    assert limits.get("other") is None


# --- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>Welcome</html>"),
        httpx.Response(200, text="ok", headers={"Content-Type": "application/json"}),
        httpx.Response(204),
        ok([1, 2]),
        ok({"route": "refund"}),
        ok({**DECIDED, "score": "high"}),
        httpx.Response(500, text="{}", headers={"Content-Type": "application/problem+json"}),
        httpx.Response(500, text="[]", headers={"Content-Type": "application/problem+json"}),
    ],
)
def test_an_answer_that_is_not_this_services_is_reported_as_such(response):
    with Script(response).router() as remote, pytest.raises(RemoteError, match=r"service\.test/route answered"):
        remote.route("hello")


@pytest.mark.parametrize("results", [[], [None], [{"decision": DECIDED}] * 3, "two", [{"error": 7}, {}]])
def test_results_that_do_not_fit_the_texts_are_refused(results):
    with Script(ok({"results": results})).router() as remote, pytest.raises(RemoteError):
        remote.route_batch(["hello", "there"])


def test_fields_of_a_newer_service_are_left_out():
    candidate = {"route": "refund", "score": 0.9, "utterance": "money", "colour": "red"}
    newer = {**DECIDED, "mood": "good", "candidates": [candidate, candidate]}
    with Script(ok(newer)).router() as remote:
        decision = remote.route("hello")
    assert decision.route == "refund"
    assert decision.candidates[1].utterance == "money"


def test_an_error_of_one_text_is_its_own():
    failed = {"type": "urn:synaptoroute:encoder-error", "title": "", "status": 500, "detail": "no vector"}
    results = {"results": [{"decision": DECIDED, "error": None}, {"decision": None, "error": failed}]}
    with Script(ok(results), ok(results)).router() as remote:
        good, bad = remote.route_each(["hello", "there"])
        assert good.route == "refund"
        assert isinstance(bad, EncoderError)
        with pytest.raises(EncoderError, match="no vector"):
            remote.route_batch(["hello", "there"])


# --- a real service --------------------------------------------------------------------------------


def test_a_client_keeps_to_the_rate_that_it_is_allowed(serve):
    with RemoteRouter(serve(rate_limit=20).url, timeout_s=60, retries=20) as remote:
        assert len([remote.route("where is my parcel") for _ in range(60)]) == 60


async def test_more_callers_than_the_service_admits_are_all_answered_in_time(serve):
    served = serve(config=RouterConfig(max_pending=4, cache_size=0))
    async with RemoteRouter(served.url, timeout_s=60, retries=100) as remote:
        decisions = await asyncio.gather(*(remote.aroute(f"where is parcel {number}") for number in range(80)))
    assert served.router.stats().rejected > 0
    assert len(decisions) == 80
