"""What the log may hold, and what an answer may tell of the insides."""

import json
import logging
import re
import sqlite3

import pytest
from launched import wait_until
from wire import ROUTES, FailingEncoder, head, post, send

from synaptoroute_core import AdaptiveRouter, StorageError
from synaptoroute_integrations.server import ServerSettings
from synaptoroute_integrations.server.logs import JsonFormatter, TextFormatter, cause_of, configure_logging

SECRET = "my-card-is-4111"  # noqa: S105  # what a user typed
INSIDES = re.compile(
    r"Traceback|File \"|\.py|/opt/|\.onnx|sqlite|SELECT|INSERT|0x[0-9a-f]{6}|RuntimeError|Error:", re.IGNORECASE
)


@pytest.fixture
def log(caplog):
    """All that is logged, at every level, as both forms of the log have it."""
    caplog.set_level(logging.DEBUG, logger="synaptoroute_core")
    caplog.set_level(logging.DEBUG, logger="synaptoroute_integrations")

    def lines() -> list[str]:
        return [form().format(record) for record in caplog.records for form in (TextFormatter, JsonFormatter)]

    return lines


@pytest.fixture
def service(serve):
    return serve(routes=ROUTES, encoder=FailingEncoder(), max_queue_s=None)


def assert_is_reticent(answer) -> None:
    assert not INSIDES.search(answer.text), answer.text


# --- what users typed -----------------------------------------------------------------------------


def test_no_case_of_failure_brings_a_text_into_the_log(service, log):
    client, bad = service.client, f"{SECRET} explode"
    texts = {"good": f"{SECRET} refund my order", "blank": "  ", "bad": bad, "odd": f"{SECRET} \x1b[31m\r\n\u202e"}
    for text in texts.values():
        service.ask(text)
        service.ask(text, allowed=["nowhere"])
        service.ask(text, extra=[{"name": "x", "utterances": [bad]}])
        service.ask(text, timeout_s=1e-9)
        client.post("/explain", json={"text": text})
        client.post("/routes", json={"name": "x", "utterances": [text], "description": text})
        client.put("/routes/refund", json={"utterances": [bad]})
        client.post("/routes/refund/utterances", json={"utterances": [text, bad]})
        client.request("DELETE", "/routes/refund/utterances", json={"utterances": [text]})
        client.post("/evaluate", json={"examples": [{"text": text, "label": "refund"}]})
        client.post("/fit", json={"method": "thresholds", "examples": [{"text": text, "label": "refund"}]})
    client.post("/route", json={"texts": list(texts.values())})
    client.post("/route", content=f'{{"text": "{SECRET}'.encode(), headers={"Content-Type": "application/json"})
    client.post("/route", json={"text": SECRET, SECRET: SECRET})
    stream = "".join(f"{json.dumps(text)}\n" for text in texts.values()) + SECRET
    client.post("/route/stream", content=stream.encode(), headers={"Content-Type": "application/x-ndjson"})
    wait_until(lambda: all(job["finished_at"] for job in client.get("/jobs").json()["jobs"]))
    lines = log()
    assert len(lines) > 50
    assert not [line for line in lines if SECRET in line]


def test_texts_are_logged_where_that_was_asked_for(serve, log):
    service = serve(routes=ROUTES, encoder=FailingEncoder(), log_queries=True)
    service.ask(f"{SECRET} zebra\r\nforged\x1b[31m")
    (line,) = [line for line in log() if SECRET in line and not line.startswith("{")]
    assert "\n" not in line
    assert "\x1b" not in line


def test_no_text_is_kept_for_those_who_run_the_service_if_that_was_ruled_out(serve):
    service = serve(routes=ROUTES, encoder=FailingEncoder(), abstentions_kept=0)
    service.ask("zebra")
    assert service.client.get("/abstentions").json()["abstentions"] == []


# --- one line -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/a%0d%0aINFO forged", "/%1b%5b31mred", "/a%E2%80%AEb", "/" + "x" * 5_000, "/%00", "/%ff"]
)
def test_a_line_of_the_log_stays_one_line(service, log, path):
    send(service.url, head(f"GET {path.replace(' ', '%20')} HTTP/1.1"))
    lines = [line for line in log() if "404" in line]
    assert len(lines) == 2
    for line in lines:
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e]", line)
        assert len(line) < 1_000


def test_json_lines_are_json_whatever_they_hold():
    record = logging.LogRecord("x", logging.INFO, "f", 1, "a\n\u2028\ud800 %s", ("\x1b",), None)
    record.fields = {"path": "/\r\n", "odd": object()}
    line = JsonFormatter().format(record)
    assert line.isascii() or "\n" not in line
    assert json.loads(line)["path"] == "/\r\n"


def test_a_request_is_logged_with_what_finds_it_again(serve, keys, log):
    service = serve(routes=ROUTES, encoder=FailingEncoder(), keys=keys.setting, key=keys.admin)
    answer = service.client.get("/routes/refund?secret=1", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 200
    (line,) = [json.loads(line) for line in log() if '"request_id": "mine"' in line]
    assert (line["method"], line["path"], line["status"], line["key"]) == ("GET", "/routes/{name}", 200, "editor")
    assert not [line for line in log() if keys.admin in line or "secret" in line]


def test_logs_are_set_up_for_the_process_that_serves_alone(capsys):
    names = ("synaptoroute_core", "synaptoroute_integrations", "uvicorn")
    before = {name: vars(logging.getLogger(name)).copy() for name in names}
    try:
        configure_logging(ServerSettings(log_format="json"))
        logging.getLogger("synaptoroute_integrations.server").info("a\nb")
        assert json.loads(capsys.readouterr().err)["message"] == "a\nb"
    finally:
        for name, held in before.items():
            vars(logging.getLogger(name)).update(held)
            logging.getLogger(name).setLevel(held["level"])


# --- insides --------------------------------------------------------------------------------------


def test_a_failing_model_tells_clients_nothing_and_the_log_where(service, log):
    answer = service.ask(f"{SECRET} explode")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:synaptoroute:encoder-error")
    assert_is_reticent(answer)
    assert [line for line in log() if answer.json()["request_id"] in line and "EncoderError at" in line]
    several = service.client.post("/route", json={"texts": ["refund my order", f"{SECRET} explode", "track my order"]})
    results = several.json()["results"]
    assert [each["decision"] and each["decision"]["route"] for each in results] == ["refund", None, "track"]
    assert results[1]["error"]["type"] == "urn:synaptoroute:encoder-error"
    assert_is_reticent(several)
    number = several.headers["x-request-id"]
    assert [line for line in log() if f"{number}: 1 texts failed: RuntimeError at" in line and "wire.py" in line]


def test_an_extra_route_that_the_model_fails_on_tells_nothing(service):
    answer = service.ask("x", extra=[{"name": "x", "utterances": ["explode"]}])
    assert answer.status_code == 500
    assert_is_reticent(answer)


@pytest.mark.parametrize(
    "error",
    [
        StorageError("INSERT INTO routes: /var/lib/routes.sqlite is full"),
        sqlite3.OperationalError("no such table: routes"),
    ],
)
def test_a_failing_store_tells_clients_nothing(service, log, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(service.router._editor, "_commit", fail)
    answer = service.client.post("/routes", json={"name": "x", "utterances": ["y"]})
    expected = 503 if isinstance(error, StorageError) else 500
    assert answer.status_code == expected
    assert_is_reticent(answer)
    assert [line for line in log() if answer.headers["x-request-id"] in line and type(error).__name__ in line]
    assert (answer.headers.get("retry-after") == "1") == (expected == 503)
    assert service.ask("refund my order").json()["route"] == "refund"


def test_an_error_that_nobody_thought_of_is_found_in_the_log_by_its_number(service, log, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("at /opt/secret.py")

    monkeypatch.setattr(AdaptiveRouter, "stats", fail)
    answer = service.client.get("/stats")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:synaptoroute:internal")
    assert_is_reticent(answer)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [line for line in log() if answer.json()["request_id"] in line and "ZeroDivisionError" in line]
    monkeypatch.undo()
    assert 'path="/stats",status="500"} 1.0' in service.client.get("/metrics").text


def test_a_failing_job_tells_clients_nothing_and_the_log_where(service, log):
    job = service.client.post("/evaluate", json={"examples": [{"text": "explode", "label": None}]}).json()
    done = wait_until(lambda: (now := service.client.get(f"/jobs/{job['id']}")).json()["finished_at"] and now)
    assert done.json()["state"] == "failed"
    assert done.json()["error"]["type"] == "urn:synaptoroute:encoder-error"
    assert_is_reticent(done)
    assert [line for line in log() if f"job {job['id']} failed: RuntimeError at" in line]


def test_the_cause_of_an_error_is_told_without_its_words():
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise StorageError(SECRET) from error
    except StorageError as error:
        told = cause_of(error)
    assert told.startswith("ValueError at ")
    assert SECRET not in told
    assert cause_of(KeyError(SECRET)) == "KeyError"


def test_no_answer_names_the_software_behind_it(serve_process, tmp_path):
    served = serve_process("--db", str(tmp_path / "routes.sqlite"))
    for request in (head("GET /stats HTTP/1.1"), head("GET /nowhere HTTP/1.1"), post("/route", b"{")):
        (answer,) = send(served.url, request)
        assert "server" not in answer.headers
        assert not re.search(b"uvicorn|starlette|fastapi|python|pydantic", answer.body, re.IGNORECASE)
