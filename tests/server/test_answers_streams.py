"""Streams, and the figures that answers leave behind."""

import json
import re

import pytest
from wire import ROUTES, head, post, send

from synaptoroute_core import HashingEncoder

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def service(serve):
    return serve(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None)


def stream(service, body: bytes, **more):
    answer = service.client.post("/route/stream", content=body, headers=NDJSON, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


BAD = {
    b"{": "malformed-json",
    b'"\xff"': "malformed-json",
    b"NaN": "malformed-json",
    b"[" * 5_000: "malformed-json",
    b"17": "invalid-request",
    b"null": "invalid-request",
    b'{"text": 1}': "invalid-request",
    b'{"text": "a", "allowed": []}': "invalid-request",
    b'{"texts": ["a"]}': "invalid-request",
    b'""': "invalid-text",
    json.dumps("x" * 16_385).encode(): "invalid-text",
}


def test_two_thousand_lines_with_bad_ones_among_them_keep_their_order(service):
    good = {"refund my order": "refund", "track my order": "track", "zebra": None}
    lines: list[bytes] = []
    expected: list[tuple[str, str | None]] = []
    for number in range(2_000):
        if number % 7 == 3:
            line, slug = list(BAD.items())[number % len(BAD)]
            lines.append(line)
            expected.append(("error", slug))
        else:
            text, route = list(good.items())[number % len(good)]
            lines.append(json.dumps(text if number % 2 else {"text": text}).encode())
            expected.append(("route", route))
    got = stream(service, b"\n".join(lines))
    assert len(got) == 2_000
    for each, (kind, value) in zip(got, expected, strict=True):
        if kind == "error":
            assert each["decision"] is None
            assert each["error"]["type"] == f"urn:synaptoroute:{value}"
        else:
            assert each["error"] is None
            assert each["decision"]["route"] == value


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"", 0),
        (b"\n\n\n", 0),
        (b'"a"', 1),
        (b'"a"\n', 1),
        (b'"a"\r\n"b"\r\n', 2),
        (b' \n\t"a" \n\n"b"', 2),
        (b'"a"\n' * 129, 129),
    ],
)
def test_a_line_in_a_line_out_and_blank_ones_are_passed_over(service, body, count):
    assert len(stream(service, body)) == count


def test_a_line_separator_within_a_text_ends_no_line(service):
    """Other characters than a line feed end lines for people, not here."""
    text = "refund\u2028my\u2029order\x0b\x0c\x85"
    (got,) = stream(service, json.dumps(text, ensure_ascii=False).replace("\x0b\x0c", "").encode())
    assert got["decision"]["route"] == "refund"


def test_a_stream_among_unknown_routes_is_refused_before_it_begins(service):
    answer = service.client.post("/route/stream", params={"allowed": "refnd"}, content=b'"a"', headers=NDJSON)
    assert answer.status_code == 422
    assert (answer.json()["type"], answer.json()["name"]) == ("urn:synaptoroute:route-not-found", "refnd")


# --- figures --------------------------------------------------------------------------------------


def figures(service) -> dict[str, float]:
    text = service.client.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^synaptoroute_(\S+) (\S+)$", text, re.MULTILINE)}


def test_the_figures_agree_with_what_was_asked(service):
    for _ in range(3):
        service.ask("refund my order")
    service.ask("zebra")
    service.client.post("/route", json={"texts": ["track my order", "zebra", ""]})
    stream(service, b'"track my order"\n"zebra"\n17\n')
    service.ask("zebra", allowed=[])
    found = figures(service)
    assert found['decisions_total{reason="matched",route="refund"}'] == 3
    assert found['decisions_total{reason="matched",route="track"}'] == 2
    assert found['decisions_total{reason="below_threshold",route=""}'] == 3
    assert found['decisions_total{reason="no_routes",route=""}'] == 1
    assert found['abstentions_total{reason="below_threshold"}'] == 3
    assert found['requests_total{method="POST",path="/route",status="200"}'] == 6
    assert found['requests_total{method="POST",path="/route/stream",status="200"}'] == 1
    assert found['request_seconds_count{path="/route"}'] == 6
    assert (found["routes"], found["utterances"], found["revision"]) == (2, 4, 1)
    assert (found["pending"], found["in_flight"]) == (0, 0)
    stats = service.client.get("/stats").json()["router"]
    assert found["encoded_total"] == stats["encoded"] == 3
    assert found["cache_hits_total"] == stats["cache_hits"] == 6
    assert stats["answered"] == 9


def test_a_trial_leaves_no_trace(service):
    service.ask("zebra", trial=True)
    service.client.post("/route", json={"texts": ["refund my order", "zebra"], "trial": True})
    assert not [name for name in figures(service) if name.startswith("decisions_total")]
    assert service.client.get("/abstentions").json()["abstentions"] == []


def test_strangers_make_no_labels(service):
    before = len(figures(service))
    for number in range(30):
        service.client.get(f"/nowhere/{number}")
        service.client.get(f"/routes/r{number}")
        service.client.get(f"/jobs/{number}")
        service.client.get(f"/playground/{number}.js")
        send(service.url, head(f"M{number} /stats HTTP/1.1"), head("PROPFIND /stats HTTP/1.1"))
        extra = [{"name": f"x{number}", "utterances": [f"word{number}"]}]
        assert service.ask(f"word{number}", extra=extra).json()["route"] == f"x{number}"
        service.ask("zebra", allowed=[f"r{number}"])
    found = figures(service)
    assert found['decisions_total{reason="matched",route="(extra)"}'] == 30
    assert len(found) - before < 150
    assert not [name for name in found if re.search(r"x\d|r\d|M\d|PROPFIND|nowhere", name)]


def test_abstentions_are_shown_newest_first_and_bounded(serve):
    service = serve(routes=ROUTES, encoder=HashingEncoder(), abstentions_kept=3, max_queue_s=None)
    for number in range(5):
        service.ask(f"zebra {number}")
    service.ask("refund my order")
    service.client.post("/route", json={"texts": ["zebra \u0000\u202e"]})
    shown = service.client.get("/abstentions").json()["abstentions"]
    assert [each["text"] for each in shown] == ["zebra \u0000\u202e", "zebra 4", "zebra 3"]
    assert all(each["decision"]["route"] is None and each["at"].endswith("Z") for each in shown)


def test_stats_say_what_the_process_holds(service):
    service.ask("refund my order")
    stats = service.client.get("/stats").json()
    assert stats["state"] == "ready"
    assert stats["router"]["answered"] == 1
    assert stats["encoder"] == {"fingerprint": "hashing-1/256", "dim": 256, "batch_invariant": True}
    assert stats["config"] == {"threshold": 0.5, "min_margin": 0.05, "min_confidence": pytest.approx(2 / 3)}
    assert stats["in_flight"] == 1  # itself
    assert service.client.get("/health/live").json()["status"] == "alive"
    assert service.client.get("/health/ready").json() == {"status": "ready", "revision": 1}


def test_every_answer_has_a_number_of_its_own(service):
    requests = [post("/route", b'{"text": "zebra"}', close=number == 9) for number in range(10)]
    answers = send(service.url, b"".join(requests))
    assert len({answer.headers["x-request-id"] for answer in answers}) == 10
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)
