"""Bodies that are no JSON, or JSON that means harm."""

import json

import pytest
from wire import ROUTES, head, post, send

from synaptoroute_core import HashingEncoder


@pytest.fixture(scope="module")
def service(serve_all):
    return serve_all(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None)


def body_of(service, body: bytes, path: str = "/route", method: str = "POST"):
    return service.client.request(method, path, content=body, headers={"Content-Type": "application/json"})


def slug_of(answer) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["type"].removeprefix("urn:synaptoroute:")


MALFORMED = {
    "nothing but a brace": b"{",
    "truncated string": b'{"text": "mon',
    "truncated escape": b'{"text": "\\u12"}',
    "no JSON": b"text=money",
    "single quotes": b"{'text': 'money'}",
    "comment": b'{"text": "a"} // yes',
    "two values": b'{"text": "a"}{"text": "b"}',
    "trailing comma": b'{"text": "a",}',
    "NaN": b'{"text": "a", "threshold": NaN}',
    "Infinity": b'{"text": "a", "timeout_s": Infinity}',
    "-Infinity": b'{"text": "a", "threshold": -Infinity}',
    "5000 digits": b'{"text": "a", "threshold": ' + b"9" * 5000 + b"}",
    "arrays in arrays": b"[" * 100_000,
    "objects in objects": b'{"a":' * 50_000,
    "closed arrays in arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep metadata": b'{"name":"x","utterances":["y"],"metadata":{"a":' + b"[" * 300 + b"]" * 300 + b"}}",
    "a name twice": b'{"text": "money", "text": "parcel"}',
    "a name twice, further in": b'{"name":"x","utterances":["y"],"metadata":{"a":1,"b":{"c":1,"c":2}}}',
    "no UTF-8": b'{"text": "\xff\xfe"}',
    "a surrogate in UTF-8": b'{"text": "\xed\xa0\x80"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"text": "a"}',
    "raw NUL": b'{"text": "a\x00b"}',
    "only NUL": b"\x00",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused_and_nothing_else_happens(service, body):
    before = service.router.revision
    for path in ("/route", "/routes", "/fit"):
        answer = body_of(service, body, path)
        assert answer.status_code == 400
        assert slug_of(answer) == "malformed-json"
        assert "Traceback" not in answer.text
    assert service.router.revision == before
    assert service.ask("refund my order").json()["route"] == "refund"


WRONG = {
    "null": b"null",
    "a number": b"1",
    "a string": b'"money"',
    "a list": b'["money"]',
    "an empty object": b"{}",
    "another field": b'{"text": "a", "texst": "b"}',
    "both": b'{"text": "a", "texts": ["b"]}',
    "no texts": b'{"texts": []}',
    "a number for a text": b'{"text": 1}',
    "true for a number": b'{"text": "a", "threshold": true}',
    "a string for a number": b'{"text": "a", "threshold": "0.5"}',
    "a huge number": b'{"text": "a", "threshold": 1e999}',
    "a negative time": b'{"text": "a", "timeout_s": -1}',
    "no time": b'{"text": "a", "timeout_s": 0}',
    "half a candidate": b'{"text": "a", "max_candidates": 1.5}',
    "a huge whole number": b'{"text": "a", "max_candidates": ' + b"9" * 4000 + b"}",
    "a string for a list": b'{"text": "a", "allowed": "refund"}',
    "a text too long": json.dumps({"text": "a" * 16_385}).encode(),
    "a name too long": json.dumps({"text": "a", "allowed": ["r" * 129]}).encode(),
    "an extra route without utterances": b'{"text": "a", "extra": [{"name": "x", "utterances": []}]}',
    "too many extra routes": json.dumps(
        {"text": "a", "extra": [{"name": f"r{number}", "utterances": ["x"]} for number in range(65)]}
    ).encode(),
    "too many extra utterances": json.dumps(
        {"text": "a", "extra": [{"name": "x", "utterances": [f"x {number}" for number in range(257)]}]}
    ).encode(),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_what_is_json_but_no_query_is_refused_with_its_place(service, body):
    answer = body_of(service, body)
    assert answer.status_code == 422
    assert slug_of(answer) == "invalid-request"
    for error in answer.json()["errors"]:
        assert set(error) == {"loc", "message"}
        assert error["loc"].startswith("body")
    assert len(answer.text) < 20_000


def test_a_whole_number_may_be_written_with_a_point(service):
    answer = body_of(service, b'{"text": "refund my order", "max_candidates": 1.0}')
    assert len(answer.json()["candidates"]) == 1


def test_a_long_name_of_a_field_is_not_sent_back_whole(service):
    answer = body_of(service, json.dumps({"text": "a", "x" * 100_000: 1}).encode())
    assert answer.status_code == 422
    assert len(answer.content) < 5_000


CONTENT_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "json",
    "*/*",
    "",
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("path", ["/route", "/explain", "/routes", "/fit", "/evaluate", "/route/stream"])
def test_a_body_of_another_type_is_refused(service, content_type, path):
    """A page of another origin can send these three types without being asked first."""
    answer = service.client.post(path, content=b'{"text": "a"}', headers={"Content-Type": content_type})
    assert (answer.status_code, slug_of(answer)) == (415, "unsupported-media-type")


def test_a_body_without_a_type_is_refused(service):
    (answer,) = send(service.url, head("POST /route HTTP/1.1", "Content-Length: 13") + b'{"text": "a"}')
    assert (answer.status, answer.slug) == (415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_is_known_by_its_type_alone(service, content_type):
    answer = service.client.post(
        "/route", content=b'{"text": "refund my order"}', headers={"Content-Type": content_type}
    )
    assert answer.json()["route"] == "refund"


# --- characters -----------------------------------------------------------------------------------


def test_lone_surrogates_become_replacement_characters_everywhere(service):
    body = rb'{"name":"odd","utterances":["a\ud800b"],"description":"\udc00","metadata":{"k\ud800":["\udfff"]}}'
    assert body_of(service, body, "/routes").status_code == 201
    stored = service.client.get("/routes/odd").json()
    assert stored["utterances"] == ["a\ufffdb"]
    assert stored["description"] == "\ufffd"
    assert stored["metadata"] == {"k\ufffd": ["\ufffd"]}
    for text in (rb'"a\ud800b"', rb'"a\ud800\ud800"', '"a\ufffdb"'.encode()):
        assert body_of(service, b'{"text": ' + text + b"}").status_code == 200
    assert body_of(service, rb'{"text": "a", "allowed": ["\ud800"]}').json()["name"] == "\ufffd"
    assert body_of(service, rb'{"name":"\ud800","utterances":["a"]}', "/routes").status_code == 422
    assert body_of(service, rb'{"\ud800": 1}').status_code == 422
    body_of(service, rb'{"text": "zebra \ud800"}')
    assert "\ufffd" in service.client.get("/abstentions").json()["abstentions"][0]["text"]


def test_surrogate_pairs_are_characters(service):
    body_of(service, rb'{"name":"smile","utterances":["\ud83d\ude00 \ud83d\ude00"]}', "/routes")
    assert service.router.routes["smile"].utterances == ("\U0001f600 \U0001f600",)


def test_nul_characters_are_kept_as_data(service):
    service.client.post("/routes", json={"name": "nul", "utterances": ["wholly\0new"], "metadata": {"k\0": "\0"}})
    assert service.client.get("/routes/nul").json()["metadata"] == {"k\0": "\0"}
    assert service.ask("wholly\0new").json()["route"] == "nul"


def test_numbers_of_any_size_come_back_from_metadata_as_they_were(service):
    number = int("9" * 4000)
    body = b'{"name":"big","utterances":["x"],"metadata":{"n":' + str(number).encode() + b"}}"
    assert body_of(service, body, "/routes").status_code == 201
    assert service.client.get("/routes/big").json()["metadata"]["n"] == number
    assert service.client.get("/routes").status_code == 200
    assert body_of(service, b'{"name":"inf","utterances":["x"],"metadata":{"n":1e999}}', "/routes").status_code == 422


def test_metadata_as_deep_as_is_taken_can_be_read_and_removed(service):
    body = b'{"name":"deep","utterances":["x"],"metadata":{"a":' + b"[" * 60 + b"]" * 60 + b"}}"
    assert body_of(service, body, "/routes").status_code == 201
    assert service.client.get("/routes").status_code == 200
    assert service.client.delete("/routes/deep").status_code == 200


# --- texts ----------------------------------------------------------------------------------------

BLANK = ["", " ", "\t\r\n", "\u200b", "\u3164", "\u2028"]


@pytest.mark.parametrize("text", BLANK)
def test_a_blank_text_is_refused(service, text):
    answer = service.ask(text)
    assert (answer.status_code, slug_of(answer)) == (422, "invalid-text")


def test_blank_texts_among_others_keep_nobody_from_an_answer(service):
    answer = service.client.post("/route", json={"texts": ["refund my order", *BLANK, "track my order"]})
    results = answer.json()["results"]
    assert [each["decision"] and each["decision"]["route"] for each in results] == ["refund", *[None] * 6, "track"]
    for each in results[1:-1]:
        assert each["error"]["type"] == "urn:synaptoroute:invalid-text"


def test_a_text_of_the_greatest_length_is_read(service):
    assert service.ask("refund my order ".ljust(16_384, "x")).status_code == 200
    assert service.ask("\U0001f600" * 16_384).status_code == 200


def test_more_texts_than_allowed_are_refused_with_a_way_out(service):
    assert service.client.post("/route", json={"texts": ["a"] * 64}).status_code == 200
    answer = service.client.post("/route", json={"texts": ["a"] * 65})
    assert (answer.status_code, slug_of(answer)) == (413, "payload-too-large")
    assert "/route/stream" in answer.json()["detail"]


def test_a_query_in_a_path_or_twice_is_no_way_round_the_checks(service):
    (answer,) = send(service.url, post("/route?text=a&allowed=nothing", b'{"text": "refund my order"}'))
    assert answer.problem["route"] == "refund"  # unknown parameters are passed over
