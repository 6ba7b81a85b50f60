"""Connections that mean harm: too much, too slow, too many, out of order."""

import contextlib
import json
import os
import socket
import threading
import time

import psutil
import pytest
from wire import PATIENCE_S, ROUTES, SAFE, connected, head, post, read_all, read_one, send

from synaptoroute_core import HashingEncoder
from synaptoroute_integrations.server import protocol

TEXT = b'{"text": "refund my order"}'
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def service(serve_all):
    return serve_all(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None, body_timeout_s=0.5)


@pytest.fixture
def impatient(monkeypatch):
    """A server that waits for nothing longer than a moment."""
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(protocol, "UNREAD_TIMEOUT_S", 0.3)


def is_well(service) -> bool:
    return service.ask("refund my order").json()["route"] == "refund"


# --- too much -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/route", "/routes", "/stats", "/nowhere"])
def test_a_body_that_says_it_is_too_large_is_not_waited_for(service, path):
    (answer,) = send(service.url, head(f"POST {path} HTTP/1.1", JSON, "Content-Length: 20000000"))
    assert (answer.status, answer.slug) == (413, "payload-too-large")
    assert {name: answer.headers[name] for name in SAFE} == SAFE


def test_a_stream_may_be_larger_than_other_bodies(service):
    lines = b'"refund my order"\n' * 20_000
    assert len(lines) > 262_144
    answer = service.client.post("/route/stream", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert len(answer.content.splitlines()) == 20_000
    (answer,) = send(service.url, head("POST /route/stream HTTP/1.1", "Content-Length: 8388609"))
    assert answer.status == 413


def chunks(piece: bytes, count: int) -> bytes:
    return (b"%x\r\n%s\r\n" % (len(piece), piece)) * count


def test_a_body_in_pieces_is_refused_when_it_becomes_too_large(service):
    request = head("POST /route HTTP/1.1", JSON, "Transfer-Encoding: chunked")
    (answer,) = send(service.url, request, chunks(b"x" * 50_000, 6))
    assert (answer.status, answer.slug) == (413, "payload-too-large")


def test_twenty_megabytes_are_refused_without_being_kept(service):
    memory = psutil.Process(os.getpid())
    before, seen = memory.memory_info().rss, 0
    for framing in ("Content-Length: 20000000", "Transfer-Encoding: chunked"):
        with connected(service.url) as connection:
            connection.sendall(head("POST /route HTTP/1.1", JSON, framing, close=False))
            piece = b" " * 100_000 if "Length" in framing else chunks(b" " * 100_000, 1)
            with contextlib.suppress(ConnectionError):
                for _ in range(200):
                    connection.sendall(piece)
                    seen = max(seen, memory.memory_info().rss)
            assert read_one(connection).status == 413
    assert seen - before < 10_000_000
    assert is_well(service)


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "0x10", "1, 2", "99999999999999999999999", "\u00b2", "+5"])
def test_a_length_that_is_no_number_is_refused(service, length):
    answers = send(service.url, head("POST /route HTTP/1.1", JSON, f"Content-Length: {length}") + TEXT)
    assert [answer.status for answer in answers] == [400]
    assert is_well(service)


def test_two_ways_to_frame_one_body_are_refused(service):
    """What one server takes for the body, another takes for the next request."""
    both = head("POST /route HTTP/1.1", JSON, "Content-Length: 5", "Transfer-Encoding: chunked")
    assert [answer.status for answer in send(service.url, both + b"0\r\n\r\nGET /stats HTTP/1.1\r\n\r\n")] == [400]
    twice = head("POST /route HTTP/1.1", JSON, "Content-Length: 5", "Content-Length: 6")
    assert [answer.status for answer in send(service.url, twice + TEXT)] == [400]


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n", b"GET\r\n\r\n", b"\0" * 100])
def test_what_is_no_http_is_refused(service, garbage):
    assert [answer.status for answer in send(service.url, garbage)] == [400]
    assert is_well(service)


def test_a_head_without_end_is_cut_off(service):
    with connected(service.url) as connection:
        connection.sendall(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n")
        with pytest.raises(ConnectionError):  # noqa: PT012  # it takes a while until the sender learns of it
            for number in range(1_000_000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 100))
    assert is_well(service)


def test_a_head_that_grows_too_large_is_told_so(service):
    with connected(service.url) as connection:
        connection.sendall(b"GET /stats HTTP/1.1\r\nHost: localhost\r\nX: ")
        for _ in range(9):
            connection.sendall(b"x" * 4_000)
            time.sleep(0.01)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


# --- too slow -------------------------------------------------------------------------------------


def test_a_body_that_does_not_come_in_time_is_refused(service):
    with connected(service.url) as connection:
        connection.sendall(head("POST /route HTTP/1.1", JSON, "Content-Length: 27", close=False) + b'{"te')
        answer = read_one(connection)
        assert (answer.status, answer.slug) == (408, "request-timeout")
        assert answer.headers["connection"] == "close"
        assert read_all(connection) == b""


def test_a_body_of_a_byte_at_a_time_has_no_longer_than_any_other(service):
    with connected(service.url) as connection:
        connection.sendall(head("POST /route HTTP/1.1", JSON, "Content-Length: 1000", close=False))
        answers: list = []
        reader = threading.Thread(target=lambda: answers.append(read_one(connection)))
        reader.start()
        with contextlib.suppress(ConnectionError):
            while reader.is_alive():
                connection.sendall(b" ")
                time.sleep(0.05)
        reader.join(PATIENCE_S)
        assert answers[0].status == 408


def test_a_head_that_does_not_come_is_not_waited_for(service, impatient):
    for start in (b"", b"G", b"GET /stats HTTP/1.1\r\nHost: local", b"\r\n\r\n"):
        with connected(service.url) as connection:
            connection.sendall(start)
            assert read_all(connection) == b""


def test_the_second_head_of_a_connection_is_not_waited_for_either(service, impatient):
    for start in (b"\r\nG", b"G", b"GET /stats HTTP/1.1\r\nHost: local"):
        with connected(service.url) as connection:
            connection.sendall(head("GET /stats HTTP/1.1", close=False))
            assert read_one(connection).status == 200
            connection.sendall(start)
            assert read_all(connection) == b""


def test_the_rest_of_a_refused_body_is_not_waited_for(service, impatient):
    """The answer is there; who goes on sending a byte now and then keeps a connection for nothing."""
    with connected(service.url) as connection:
        connection.sendall(head("POST /nowhere HTTP/1.1", "Content-Length: 100000", close=False))
        assert read_one(connection).status == 404
        with pytest.raises(ConnectionError):  # noqa: PT012  # it takes a while until the sender learns of it
            for _ in range(int(PATIENCE_S / 0.05)):
                connection.sendall(b"x")
                time.sleep(0.05)


def test_a_connection_at_rest_stays_open_for_the_next_request(service, impatient):
    with connected(service.url) as connection:
        for _ in range(3):
            connection.sendall(head("GET /stats HTTP/1.1", close=False))
            assert read_one(connection).status == 200
            time.sleep(0.5)  # more than a head may take


# --- too many, and out of order -------------------------------------------------------------------


def test_many_idle_connections_keep_nobody_out(service):
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connected(service.url)).sendall(b"GET / HTTP/1.1\r\nX: ")
        assert is_well(service)


def test_requests_sent_ahead_are_answered_in_their_order(service):
    texts = ["refund my order", "track my order", "zebra", "where is my parcel"]
    requests = [post("/route", json.dumps({"text": text}).encode(), close=text == texts[-1]) for text in texts]
    answers = send(service.url, b"".join(requests))
    assert [answer.problem["route"] for answer in answers] == ["refund", "track", None, "track"]


def test_a_head_behind_a_long_body_is_measured_by_itself(service):
    """The two may arrive in one piece."""
    text = json.dumps({"texts": ["refund my order " + "x" * 4_000] * 20}).encode()
    requests = post("/route", text, close=False) + head("GET /stats HTTP/1.1")
    answers = send(service.url, requests[:-10], requests[-10:], pause_s=0.1)
    assert [answer.status for answer in answers] == [200, 200]


def test_what_is_left_of_a_refused_body_is_not_taken_for_a_request(service):
    hidden = head("DELETE /routes/refund HTTP/1.1", close=False)
    outer = head("POST /nowhere HTTP/1.1", f"Content-Length: {len(hidden)}", close=False)
    answers = send(service.url, outer + hidden + head("GET /stats HTTP/1.1"))
    assert [answer.status for answer in answers] == [404, 200]
    assert "refund" in service.router.routes


def test_http_1_0_is_answered(service):
    (answer,) = send(service.url, b"GET /stats HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert (answer.status, answer.headers.get("connection", "close")) == (200, "close")  # with 1.0, it need not be said
    (answer,) = send(service.url, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert answer.status == 200


@pytest.mark.parametrize("pieces", [1, 2, 50])
def test_a_client_that_would_like_http_2_is_answered_with_http_1(service, pieces):
    """Java's client asks for it with its first request, which may have a body."""
    lines = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA")
    request = post("/route", TEXT, *lines, close=False) + post("/route", TEXT, *lines, close=False)
    request += head("GET /stats HTTP/1.1")
    size = -(-len(request) // pieces)
    parts = [request[start : start + size] for start in range(0, len(request), size)]
    answers = send(service.url, *parts, pause_s=0.002)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.problem["route"] for answer in answers[:2]] == ["refund", "refund"]


def test_such_a_client_may_send_its_body_in_chunks_or_have_none(service):
    lines = ("Connection: Upgrade", "Upgrade: h2c", JSON, "Transfer-Encoding: chunked")
    request = head("POST /route HTTP/1.1", *lines, close=False) + chunks(TEXT, 1) + b"0\r\n\r\n"
    request += head("GET /stats HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", close=False)
    answers = send(service.url, request + head("GET /routes HTTP/1.1"))
    assert [answer.status for answer in answers] == [200, 200, 200]


def test_a_tunnel_is_not_opened(service):
    answers = send(service.url, b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert all(answer.status >= 400 for answer in answers)
    assert is_well(service)


def test_who_expects_to_be_asked_for_the_body_is_asked_or_refused(service):
    expect = "Expect: 100-continue"
    with connected(service.url) as connection:
        connection.sendall(head("POST /route HTTP/1.1", JSON, f"Content-Length: {len(TEXT)}", expect))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(TEXT)
        assert read_one(connection).problem["route"] == "refund"
    with connected(service.url) as connection:
        connection.sendall(head("POST /route HTTP/1.1", JSON, "Content-Length: 20000000", expect))
        assert read_one(connection).status == 413


def test_a_client_that_closes_its_side_is_answered_all_the_same(service):
    with connected(service.url) as connection:
        connection.sendall(post("/route", TEXT))
        connection.shutdown(socket.SHUT_WR)
        assert read_one(connection).problem["route"] == "refund"
