"""How often, how many at once, and what becomes of those who leave."""

import asyncio
import threading
import time

import httpx
import pytest
from launched import wait_until
from wire import ROUTES, SAFE, SlowEncoder, connected, head, post, read_one, send

from synaptoroute_core import HashingEncoder, RouterConfig
from synaptoroute_integrations.server.pulse import Pulse
from synaptoroute_integrations.server.rates import CLIENTS_KEPT, RateLimiter


@pytest.fixture
def gate():
    """Opened at the latest when the test ends: the encoder waits for it."""
    opened = threading.Event()
    opened.set()
    yield opened
    opened.set()


@pytest.fixture
def slow(serve, gate):
    """``slow(...)``: a service whose encoder waits at the gate, and the encoder."""

    def start(**settings):
        encoder = SlowEncoder(gate)
        config = RouterConfig(workers=1, cache_size=0, max_batch_size=1, **settings.pop("config", {}))
        service = serve(routes=ROUTES, encoder=encoder, config=config, max_queue_s=None, **settings)
        encoder.asked.clear()
        gate.clear()
        return service, encoder

    return start


class Asking:
    """Requests that wait, each on its own connection."""

    def __init__(self, url: str, *texts: str) -> None:
        self.answers: dict[str, httpx.Response] = {}
        self.threads = [threading.Thread(target=self._ask, args=(url, text), daemon=True) for text in texts]
        for thread in self.threads:
            thread.start()

    def _ask(self, url: str, text: str) -> None:
        self.answers[text] = httpx.post(f"{url}/route", json={"text": text}, timeout=60, trust_env=False)

    def wait(self) -> dict[str, httpx.Response]:
        for thread in self.threads:
            thread.join(60)
        return self.answers


# --- how often ------------------------------------------------------------------------------------


def test_a_key_gets_its_burst_and_then_waits(serve, keys):
    service = serve(
        routes=ROUTES, encoder=HashingEncoder(), keys=keys.setting, key=keys.route, rate_limit=0.01, rate_burst=3
    )
    answers = [service.ask("refund my order") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    refused = answers[-1]
    assert refused.json()["type"] == "urn:synaptoroute:rate-limited"
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert int(refused.headers["retry-after"]) - 1 < refused.json()["retry_after_s"] <= 100
    assert {name: refused.headers[name] for name in SAFE} == SAFE
    other = {"Authorization": f"Bearer {keys.admin}"}
    assert service.client.get("/stats", headers=other).status_code == 200  # has a bucket of its own
    assert 'rejected_total{reason="rate-limited"} 2.0' in service.client.get("/metrics").text
    assert service.client.get("/health/ready").status_code == 200  # is never refused


def test_a_wrong_key_uses_up_nobodys_rate(serve, keys):
    service = serve(
        routes=ROUTES, encoder=HashingEncoder(), keys=keys.setting, key=keys.route, rate_limit=0.01, rate_burst=1
    )
    for _ in range(5):
        assert service.client.get("/stats", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert service.ask("refund my order").status_code == 200


def test_without_keys_the_address_has_a_rate(serve):
    service = serve(routes=ROUTES, encoder=HashingEncoder(), rate_limit=0.01, rate_burst=1)
    assert [service.client.get("/stats").status_code for _ in range(2)] == [200, 429]


def test_tokens_come_back_with_time_and_are_not_saved_without_end():
    now = [0.0]
    limiter = RateLimiter(2.0, 3, clock=lambda: now[0])
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limiter.take("b") == 0
    now[0] = 0.5
    assert [limiter.take("a") for _ in range(2)] == [0, 0.5]
    now[0] = 1000.0
    assert [limiter.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_refusals_do_not_put_off_the_next_token():
    now = [0.0]
    limiter = RateLimiter(1.0, 1, clock=lambda: now[0])
    limiter.take("a")
    for now[0] in (0.25, 0.5, 0.75):
        assert limiter.take("a") == 1.0 - now[0]
    now[0] = 1.0
    assert limiter.take("a") == 0


def test_strangers_do_not_fill_the_memory():
    limiter = RateLimiter(1.0, 1, clock=lambda: 0.0)
    for number in range(CLIENTS_KEPT + 10):
        limiter.take(f"client {number}")
    assert len(limiter._buckets) == CLIENTS_KEPT
    assert limiter.take(f"client {CLIENTS_KEPT}") > 0


# --- how many at once -----------------------------------------------------------------------------


def test_more_requests_than_may_be_inside_are_refused_at_once(slow, gate):
    service, _ = slow(max_in_flight=2)
    asking = Asking(service.url, "first", "second")
    wait_until(lambda: service.app.state.service.in_flight == 2)
    refused = service.ask("third")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:synaptoroute:overloaded")
    assert refused.headers["retry-after"] == "1"
    assert service.client.get("/health/ready").status_code == 200
    assert "synaptoroute_in_flight 2.0" in service.client.get("/metrics").text
    gate.set()
    assert {answer.status_code for answer in asking.wait().values()} == {200}
    assert service.ask("third").status_code == 200


def test_more_texts_than_may_wait_are_refused_with_a_time_to_come_back(slow, gate):
    service, _ = slow(config={"max_pending": 2})
    asking = Asking(service.url, "first", "second")
    wait_until(lambda: service.router.stats().pending == 2)
    refused = service.ask("third")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:synaptoroute:overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    several = service.client.post("/route", json={"texts": ["third", "fourth"]})
    assert several.status_code == 429
    gate.set()
    assert {answer.status_code for answer in asking.wait().values()} == {200}
    assert 'rejected_total{reason="overloaded"} 2.0' in service.client.get("/metrics").text


def test_a_stream_waits_for_room_where_a_request_is_refused(slow, gate):
    service, _ = slow(config={"max_pending": 2})
    asking = Asking(service.url, "first", "second")
    wait_until(lambda: service.router.stats().pending == 2)
    threading.Timer(0.3, gate.set).start()
    answer = service.client.post(
        "/route/stream", content=b'"third"\n"fourth"\n', headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 200
    assert b'"error":null' in answer.content.splitlines()[0]
    assert b'"error":null' in answer.content.splitlines()[1]
    asking.wait()


async def test_one_slow_step_is_no_overload_but_many_are():
    pulse = Pulse()
    try:
        time.sleep(0.3)  # noqa: ASYNC251  # what a page that is made for the first time does to the event loop
        for _ in range(5):
            await asyncio.sleep(0.02)
            assert pulse.late_s < 0.25
        for _ in range(6):
            time.sleep(0.1)  # noqa: ASYNC251
            await asyncio.sleep(0)
        assert pulse.late_s > 0.05
    finally:
        pulse.stop()


# --- how long -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"text": "second"}, {"texts": ["second", "third"]}])
def test_a_request_that_runs_out_of_time_says_so_and_is_not_encoded(slow, gate, body):
    service, encoder = slow()
    asking = Asking(service.url, "first")
    wait_until(lambda: service.router.stats().pending == 1)
    answer = service.client.post("/route", json={**body, "timeout_s": 0.05})
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:synaptoroute:timeout")
    gate.set()
    asking.wait()
    wait_until(lambda: service.router.stats().pending == 0)
    assert encoder.asked == ["first"]


# --- those who leave ------------------------------------------------------------------------------

NDJSON = "Content-Type: application/x-ndjson"
LEAVING = {
    "one text": post("/route", b'{"text": "second"}'),
    "several": post("/route", b'{"texts": ["second", "third"]}'),
    "a stream": head("POST /route/stream HTTP/1.1", NDJSON, "Content-Length: 18") + b'"second"\n"third"\n\n',
}


@pytest.mark.parametrize("request_", LEAVING.values(), ids=LEAVING)
def test_a_client_that_leaves_frees_its_place_and_is_not_encoded(slow, gate, request_):
    service, encoder = slow()
    inside = service.app.state.service
    asking = Asking(service.url, "first")
    wait_until(lambda: service.router.stats().pending == 1)
    with connected(service.url) as connection:
        connection.sendall(request_)
        wait_until(lambda: service.router.stats().pending > 1)
    wait_until(lambda: inside.in_flight == 1)
    gate.set()
    assert asking.wait()["first"].status_code == 200
    wait_until(lambda: service.router.stats().pending == 0)
    assert encoder.asked == ["first"]
    assert inside.in_flight == 0
    if request_ is not LEAVING["a stream"]:
        assert 'requests_total{method="POST",path="/route",status="499"} 1.0' in service.client.get("/metrics").text


def test_a_client_that_leaves_in_the_middle_of_its_body_frees_its_place(serve):
    service = serve(routes=ROUTES, encoder=HashingEncoder(), body_timeout_s=60.0)
    with connected(service.url) as connection:
        connection.sendall(head("POST /route HTTP/1.1", "Content-Type: application/json", "Content-Length: 99"))
        wait_until(lambda: service.app.state.service.in_flight == 1)
    wait_until(lambda: service.app.state.service.in_flight == 0)
    assert service.ask("refund my order").status_code == 200


def test_one_client_leaving_disturbs_no_other(slow, gate):
    service, _ = slow()
    asking = Asking(service.url, *(f"text {number}" for number in range(10)))
    wait_until(lambda: service.router.stats().pending == 10)
    for _ in range(10):
        with connected(service.url) as connection:
            connection.sendall(post("/route", b'{"text": "left"}'))
    gate.set()
    assert {answer.status_code for answer in asking.wait().values()} == {200}
    wait_until(lambda: service.router.stats().pending == 0)


def test_a_connection_serves_on_after_a_refusal(serve):
    service = serve(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None)
    with connected(service.url) as connection:
        for body, status in ((b"{", 400), (b'{"text": ""}', 422), (b'{"text": "refund my order"}', 200)):
            connection.sendall(post("/route", body, close=False))
            assert read_one(connection).status == status
    assert send(service.url, post("/route", b"{"))[0].headers["connection"] == "close"
