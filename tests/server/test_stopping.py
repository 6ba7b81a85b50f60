"""A signal to stop: who was let in gets a whole answer, who comes later a refusal, and the process ends."""

import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from launched import (
    BROKEN,
    NDJSON,
    NONE,
    WHOLE,
    Clients,
    Launch,
    Launched,
    SlowRequest,
    free_port,
    get,
    launch,  # noqa: F401  # fixtures
    launch_script,  # noqa: F401
    launch_serve,  # noqa: F401
    lines,
    text,
    texts,
    wait_until,
)

import synaptoroute_integrations
from synaptoroute_core import AdaptiveRouter, load_routes

ROUTES = str(Path(synaptoroute_integrations.__file__).parent / "samples" / "support_routes.yaml")
BUSY = 6
"""Clients that never stop asking."""


@pytest.fixture(scope="module")
def filled(bundled, tmp_path_factory):
    """A store with the sample routes, to be copied."""
    path = tmp_path_factory.mktemp("filled") / "routes.sqlite"
    with AdaptiveRouter(load_routes(ROUTES), encoder=bundled, store=path):
        pass
    return path


@pytest.fixture
def store(filled, tmp_path):
    path = tmp_path / "routes.sqlite"
    path.write_bytes(filled.read_bytes())
    return path


def crowd(url: str) -> Clients:
    """Clients of every kind, with new texts all the time."""
    clients = Clients(url)
    for each in range(BUSY - 2):
        clients.add("/route", lambda number, each=each: text(f"where is my parcel {each} {number}"))
    clients.add("/route", lambda number: texts(*(f"cancel order {number} {each}" for each in range(8))))
    clients.add("/route/stream", lambda number: lines(*(f"refund {number} {each}" for each in range(20))), NDJSON)
    return clients


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_under_load_every_request_that_was_let_in_gets_its_whole_answer(launch_serve: Launch, store, number):  # noqa: F811
    served = launch_serve("--db", str(store)).wait_ready()
    clients = crowd(served.url)
    wait_until(lambda: len(clients.answers) > 20 * BUSY)
    slow = [SlowRequest(served.url, "/route", text("please be patient with me")) for _ in range(3)]
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] > len(slow))
    told = time.monotonic()
    served.signal(number)
    wait_until(lambda: get(served.url, "/health/ready").status_code == 503)
    assert get(served.url, "/health/live").status_code == 200
    for request in slow:
        request.finish()
    patient = [request.answer() for request in slow]
    assert served.end() == 0
    clients.stop()

    assert [(answer.kind, answer.status) for answer in patient] == [(WHOLE, 200)] * len(slow)
    before = [answer for answer in clients.answers if answer.sent_at < told]
    after = [answer for answer in clients.answers if answer.sent_at >= told and answer.kind != NONE]
    assert not [answer for answer in clients.answers if answer.kind == BROKEN]
    assert {answer.kind for answer in before} == {WHOLE}
    assert {answer.status for answer in before} <= {200, 429, 503}
    assert 503 in {answer.status for answer in after} <= {200, 429, 503}
    refusals = [answer.json() for answer in after if answer.status == 503]
    assert {refusal["type"] for refusal in refusals} == {"urn:synaptoroute:draining"}
    assert "stopping: " in served.text()
    assert "stopped" in served.text()
    assert "Traceback" not in served.text()
    assert [path.name for path in store.parent.glob("routes.sqlite*")] == ["routes.sqlite"]  # checkpointed and closed
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_slow_reader_gets_the_end_of_a_long_answer(launch_serve: Launch, store):  # noqa: F811
    served = launch_serve("--db", str(store)).wait_ready()
    reader = SlowRequest(served.url, "/route/stream", lines(*["hello"] * 5000), NDJSON, receive_bytes=4096)
    reader.finish()
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    found = []
    thread = threading.Thread(target=lambda: found.append(reader.answer_slowly(every=0.01)))
    thread.start()
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    thread.join()
    assert (found[0].kind, found[0].status) == (WHOLE, 200)
    assert found[0].body.count(b"\n") == 5000


def test_a_reader_who_takes_nothing_does_not_hold_it(launch_serve: Launch, store):  # noqa: F811
    served = launch_serve("--db", str(store), SYNAPTOROUTE_DRAIN_TIMEOUT_S="0.5").wait_ready()
    reader = SlowRequest(served.url, "/route/stream", lines(*["hello"] * 20_000), NDJSON, receive_bytes=4096)
    reader.finish()
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    assert reader.answer().kind == BROKEN  # it can tell that this is not all
    assert "Traceback" not in served.text()


def test_answers_that_are_given_while_it_stops_close_their_connections(launch_serve: Launch, store):  # noqa: F811
    served = launch_serve("--db", str(store)).wait_ready()
    slow = SlowRequest(served.url, "/route", text("please be patient with me"))
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    served.signal(signal.SIGTERM)
    answer = wait_until(lambda: (found := get(served.url, "/health/ready")).status_code == 503 and found)
    assert answer.headers["connection"] == "close"
    assert answer.json()["status"] == "draining"
    refused = get(served.url, "/routes")
    assert refused.status_code == 503
    assert refused.headers["connection"] == "close"
    assert refused.headers["retry-after"] == "1"
    slow.finish()
    assert slow.answer().status == 200
    assert served.end() == 0


def test_a_second_signal_ends_it_at_once(launch_serve: Launch, store, tmp_path):  # noqa: F811
    served = launch_serve("--db", str(store), SYNAPTOROUTE_DRAIN_TIMEOUT_S="600").wait_ready()
    slow = SlowRequest(served.url, "/route", text("never finished"))
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    served.signal(signal.SIGTERM)
    wait_until(lambda: get(served.url, "/health/ready").status_code == 503)
    served.signal(signal.SIGTERM)
    assert served.end() == 143
    assert slow.answer().kind == NONE
    assert not list(tmp_path.glob("synaptoroute-*"))
    with AdaptiveRouter(store=store) as router:
        assert len(router.routes) == len(load_routes(ROUTES))


def test_a_signal_right_after_the_announcement_is_heard(launch_serve: Launch, store):  # noqa: F811
    served = launch_serve("--db", str(store))
    wait_until(lambda: "serving " in served.text(), every=0.001)
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    assert "Traceback" not in served.text()


def test_a_body_that_never_comes_does_not_hold_it_beyond_the_drain_timeout(launch_serve: Launch, store):  # noqa: F811
    served = launch_serve("--db", str(store), SYNAPTOROUTE_DRAIN_TIMEOUT_S="0.5").wait_ready()
    stuck = SlowRequest(served.url, "/route", text("never finished"))
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    answer = stuck.answer()
    assert (answer.kind, answer.status) == (WHOLE, 503)
    assert answer.json()["type"] == "urn:synaptoroute:draining"
    assert "1 requests were not answered in time" in served.text()
    assert "Traceback" not in served.text()


# --- as uvicorn's application ------------------------------------------------------------------------


def test_under_uvicorn_what_was_let_in_is_answered_and_the_process_ends_as_uvicorn_does(launch: Launch, store):  # noqa: F811
    served = as_uvicorn_does(launch, SYNAPTOROUTE_DB=str(store))
    clients = crowd(served.url)
    wait_until(lambda: len(clients.answers) > 10 * BUSY)
    slow = SlowRequest(served.url, "/route", text("please be patient with me"))
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] > 1)
    told = time.monotonic()
    served.signal(signal.SIGTERM)
    wait_until(lambda: get(served.url, "/health/ready").status_code == 503)
    slow.finish()
    assert slow.answer().status == 200
    assert served.end() == -signal.SIGTERM
    clients.stop()
    assert not [answer for answer in clients.answers if answer.kind == BROKEN]
    assert {answer.kind for answer in clients.answers if answer.sent_at < told} == {WHOLE}
    assert "stopped" in served.text()
    assert "Traceback" not in served.text()
    assert not store.with_name("routes.sqlite-wal").exists()


def as_uvicorn_does(launch: Launch, *arguments: str, **environment: str) -> Launched:  # noqa: F811
    port = free_port()
    command = ["-m", "uvicorn", "synaptoroute_integrations.server:create_app", "--factory", "--port", str(port)]
    return launch([*command, *arguments], port, **environment).wait_ready()
