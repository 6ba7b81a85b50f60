"""What a service shows of itself: metrics and traces."""

import signal
from contextlib import closing

import pytest
from launched import (
    NDJSON,
    Launch,
    SlowRequest,
    ask,
    connect,
    get,
    launch,  # noqa: F401  # fixtures
    launch_serve,  # noqa: F401
    texts,
    wait_until,
)
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from synaptoroute_core import HashingEncoder

SECRET = "xylophone"  # noqa: S105  # the word that must not be seen
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Failing(HashingEncoder):
    """Fails on one word, and says which text it was."""

    def encode(self, texts):
        if any("fail on" in text for text in texts):
            raise ValueError(f"cannot encode {texts}")
        return super().encode(texts)


def figures(served) -> dict[str, float]:
    lines = served.client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name.removeprefix("synaptoroute_"): float(value) for name, value in pairs}


# --- metrics -----------------------------------------------------------------------------------------


def test_figures_of_questions_move_with_the_questions(serve, bundled):
    served = serve(encoder=bundled)
    before = figures(served)
    assert before["encoded_total"] == before["cache_hits_total"] == before["batch_size_count"] == 0
    asked = [served.ask("I want my money back").json(), served.ask("I want my money back").json()]
    served.client.post("/route", json={"texts": ["where is my parcel", "qqq zzz", "sing me a song"], "threshold": 1})
    after = figures(served)
    assert after['requests_total{method="POST",path="/route",status="200"}'] == 3
    assert after['request_seconds_count{path="/route"}'] == 3
    assert after[f'decisions_total{{reason="matched",route="{asked[0]["route"]}"}}'] == 2
    assert after['decisions_total{reason="below_threshold",route=""}'] == 3
    assert after['abstentions_total{reason="below_threshold"}'] == 3
    assert after["encoded_total"] == 4
    assert after["cache_hits_total"] == 1
    assert after["batch_size_sum"] == 4
    assert 1 < after["batch_size_count"] <= 4
    assert 1 < after["encode_seconds_count"] <= 4
    assert after["encode_seconds_sum"] > 0
    assert after["in_flight"] == after["pending"] == 0


def test_figures_of_routes_follow_changes(serve):
    served = serve()
    before = figures(served)
    served.client.post("/routes", json={"name": "new", "utterances": ["one", "two"]}).raise_for_status()
    after = figures(served)
    assert after["routes"] == before["routes"] + 1
    assert after["utterances"] == before["utterances"] + 2
    assert after["revision"] == before["revision"] + 1


def test_strangers_cannot_make_labels(serve):
    served = serve()
    for number in range(3):
        served.client.get(f"/nowhere/{number}")
        served.client.get(f"/routes/unknown{number}")
    served.client.request("PROPFIND", "/route")
    names = [name for name in figures(served) if name.startswith("requests_total")]
    assert 'requests_total{method="other",path="/route",status="405"}' in names
    assert 'requests_total{method="GET",path="other",status="404"}' in names
    assert 'requests_total{method="GET",path="/routes/{name}",status="404"}' in names
    assert not [name for name in names if "nowhere" in name or "unknown" in name or "PROPFIND" in name]


def test_refusals_are_counted_by_their_reason(serve):
    served = serve(rate_limit=0.001, rate_burst=1)
    assert [served.ask("hello").status_code for _ in range(3)] == [200, 429, 429]
    assert figures(served)['rejected_total{reason="rate-limited"}'] == 2


def test_who_leaves_while_waiting_frees_the_place_and_saves_the_work(launch_serve: Launch, tmp_path):  # noqa: F811
    store = tmp_path / "routes.sqlite"
    served = launch_serve("--db", str(store), SYNAPTOROUTE_MAX_QUEUE_S="600").wait_ready()
    with closing(connect(served.url)) as connection:
        ask(connection, "/routes", b'{"name": "refund", "utterances": ["money back"]}')
    clients, each = 4, 64
    waiting = []
    for number in range(clients):
        long = [f"{number} {place} " + "please tell me where it is " * 20 for place in range(each)]
        waiting.append(SlowRequest(served.url, "/route", texts(*long)))
        waiting[-1].finish()
    wait_until(lambda: "synaptoroute_in_flight 4.0" in get(served.url, "/metrics").text, every=0.001)
    for request in waiting:
        request.socket.close()
    wait_until(lambda: "synaptoroute_in_flight 0.0" in get(served.url, "/metrics").text)
    wait_until(lambda: get(served.url, "/stats").json()["router"]["pending"] == 0)
    assert get(served.url, "/stats").json()["router"]["encoded"] < clients * each
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    assert served.text().count("POST /route 499") == clients
    assert "Traceback" not in served.text()


# --- traces ------------------------------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch):
    """What is traced, by a provider that is set up for this test alone."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def the_span(spans: InMemorySpanExporter):
    wait_until(spans.get_finished_spans)  # the answer is sent before its span ends
    (span,) = spans.get_finished_spans()
    spans.clear()
    return span


def test_a_question_is_a_span_below_its_callers_with_the_decision_and_without_the_text(serve, spans):
    served = serve()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = served.client.post("/route", json={"text": f"I want my money back, {SECRET}"}, headers=headers).json()
    span = the_span(spans)
    assert span.name == "POST /route"
    assert span.kind is SpanKind.SERVER
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.attributes["http.request.method"] == "POST"
    assert span.attributes["http.route"] == "/route"
    assert span.attributes["http.response.status_code"] == 200
    for name in ("route", "reason", "score", "threshold", "margin", "revision", "scorer"):
        assert span.attributes.get(f"synaptoroute.{name}") == answer[name]
    assert span.attributes["synaptoroute.decisions"] == 1
    assert SECRET not in span.to_json()


@pytest.mark.parametrize("path", ["/route", "/route/stream"])
def test_several_texts_are_one_span_with_their_number(serve, spans, path):
    served = serve()
    if path == "/route":
        served.client.post(path, json={"texts": ["money back", SECRET, "hello"], "threshold": 1})
    else:
        served.client.post(path, content=f'"money back"\n"{SECRET}"\n"hello"', headers={"content-type": NDJSON})
    span = the_span(spans)
    assert span.name == f"POST {path}"
    assert span.attributes["synaptoroute.decisions"] == 3
    assert span.attributes["synaptoroute.abstentions"] >= 1
    assert "synaptoroute.route" not in span.attributes
    assert SECRET not in span.to_json()


def test_names_of_spans_are_templates(serve, spans):
    served = serve()
    seen = []
    for method, path in (("GET", f"/routes/{SECRET}"), ("GET", f"/{SECRET}"), ("PROPFIND", "/route")):
        served.client.request(method, path)
        seen.append(the_span(spans).name)
    assert seen == ["GET /routes/{name}", "GET other", "other /route"]


def test_a_failure_is_a_failed_span_without_the_words_of_the_error(serve, spans):
    served = serve(encoder=Failing())
    assert served.ask(f"fail on {SECRET}").status_code == 500
    span = the_span(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert SECRET not in span.to_json()
    assert served.ask("hello").status_code == 200
    assert the_span(spans).status.status_code is StatusCode.UNSET


def test_without_a_provider_questions_are_answered_all_the_same(serve):
    served = serve()
    assert served.app.state.service.tracing is not None
    assert served.client.post("/route", json={"text": "hello"}, headers={"traceparent": "rubbish"}).status_code == 200


def test_without_the_sdk_there_are_no_spans(serve, monkeypatch):
    monkeypatch.setattr("synaptoroute_integrations.server.tracing.find_spec", lambda name: None)
    served = serve()
    assert served.app.state.service.tracing is None
    assert served.ask("hello").status_code == 200
