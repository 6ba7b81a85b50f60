"""The log: for machines and for people, without what people asked, and without what strangers make of it."""

import json
import logging
import signal
from contextlib import closing
from pathlib import Path

import pytest
from launched import (
    NDJSON,
    Launch,
    ask,
    connect,
    launch,  # noqa: F401  # fixtures
    launch_serve,  # noqa: F401
    lines,
    text,
    texts,
)

import synaptoroute_integrations
from synaptoroute_integrations.server.logs import JsonFormatter, TextFormatter

ROUTES = str(Path(synaptoroute_integrations.__file__).parent / "samples" / "support_routes.yaml")
SECRET = "xylophone"  # noqa: S105  # the word that must not be seen


def ask_in_every_way(url: str) -> None:
    """Send a text by every way that there is, well and badly."""
    with closing(connect(url)) as connection:
        ask(connection, "/route", text(f"where is my {SECRET}"))
        ask(connection, "/route", texts(f"{SECRET} and more", f"{SECRET} again"))
        ask(connection, "/route/stream", lines(SECRET, f"{SECRET}?"), NDJSON)
        ask(connection, "/explain", text(SECRET))
        ask(connection, "/route", text(SECRET * 5000))
        ask(connection, "/route", json.dumps({"text": SECRET, SECRET: 1}).encode())
        ask(connection, "/route", f'{{"text": "{SECRET}"'.encode())
        ask(connection, "/routes", json.dumps({"name": "new", "utterances": [SECRET]}).encode())
        ask(connection, "/evaluate", json.dumps({"examples": [{"text": SECRET, "label": None}]}).encode())


def test_every_line_of_a_json_log_is_json_and_none_has_a_text(launch_serve: Launch):  # noqa: F811
    served = launch_serve("--routes", ROUTES, "--log-format", "json").wait_ready()
    with closing(connect(served.url)) as connection:
        connection.request("GET", "/routes/refund", headers={"X-Request-ID": "from-a-client.1"})
        assert connection.getresponse().getheader("X-Request-ID") == "from-a-client.1"
    ask_in_every_way(served.url)
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    found = [json.loads(line) for line in served.lines]
    assert all({"time", "level", "logger", "message"} <= set(each) for each in found)
    (line,) = [each for each in found if each.get("request_id") == "from-a-client.1"]
    assert line["logger"] == "synaptoroute_integrations.server.access"
    assert (line["method"], line["path"], line["key"]) == ("GET", "/routes/{name}", None)
    assert line["status"] in (200, 404)
    assert line["ms"] >= 0
    messages = [each["message"] for each in found]
    assert any(each.startswith("serving ") for each in messages)
    assert any(each.startswith("stopping") for each in messages)
    assert messages[-1] == "stopped"
    assert SECRET not in served.text()


def test_what_strangers_send_stays_on_its_line(launch_serve: Launch):  # noqa: F811
    served = launch_serve("--routes", ROUTES).wait_ready()
    with closing(connect(served.url)) as connection:
        connection.request("GET", "/nowhere%0aFORGED%1b%5b31mRED", headers={"X-Request-ID": "not allowed; forged=1"})
        response = connection.getresponse()
        assert response.status == 404
        assert response.getheader("X-Request-ID") != "not allowed; forged=1"
    ask_in_every_way(served.url)
    served.signal(signal.SIGTERM)
    served.end()
    (line,) = [each for each in served.lines if "FORGED" in each]
    assert not line.startswith("FORGED")
    assert "\\x1b[31mRED" in line
    assert "\x1b" not in served.text()
    assert "forged=1" not in served.text()
    assert SECRET not in served.text()


def test_abstentions_are_logged_with_their_text_only_if_that_is_wished(launch_serve: Launch):  # noqa: F811
    environment = {"SYNAPTOROUTE_LOG_QUERIES": "true", "SYNAPTOROUTE_THRESHOLD": "1"}
    served = launch_serve("--routes", ROUTES, "--log-format", "json", **environment).wait_ready()
    with closing(connect(served.url)) as connection:
        ask(connection, "/route", text(f"{SECRET}\n\u202eforged"))
    served.signal(signal.SIGTERM)
    served.end()
    (found,) = [json.loads(line) for line in served.lines if SECRET in line]
    assert found["message"] == f'abstained: "{SECRET}\\n\\u202eforged"'
    assert found["reason"] == "below_threshold"
    assert 0 < found["score"] < 1


def test_a_quiet_log_has_no_line_for_each_request(launch_serve: Launch):  # noqa: F811
    served = launch_serve("--routes", ROUTES, SYNAPTOROUTE_LOG_LEVEL="warning").wait_ready()
    ask_in_every_way(served.url)
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    assert not [line for line in served.lines if " INFO " in line]


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_whatever_a_record_holds_its_line_can_be_written(formatter):
    record = logging.makeLogRecord(
        {
            "name": "somebody",
            "levelname": "ERROR",
            "msg": "a %s\x1b[2J\u2028\ud800 b",
            "args": ("new\nline",),
            "fields": {"ms": 1.5, "key": "k\ud800", "request_id": None, "path": Path("/tmp")},  # noqa: S108
        }
    )
    line = formatter.format(record)
    line.encode()
    assert "\n" not in line
    assert "\x1b" not in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["path"] == "/tmp"  # noqa: S108


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_an_exception_cannot_forge_a_line(formatter):
    record = logging.makeLogRecord({"msg": "it failed", "levelname": "ERROR"})
    try:
        raise ValueError("first\n2026-01-01 INFO    forged\x1b[2J")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    first, *rest = formatter.format(record).splitlines()
    assert "it failed" in first
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in first + "".join(rest)
