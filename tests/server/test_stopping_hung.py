"""A signal to stop while something takes for ever: a model that hangs, a fit that is at work."""

import json
import signal
import threading
from pathlib import Path

import httpx
import pytest
from launched import (
    Launch,
    get,
    launch,  # noqa: F401  # fixtures
    launch_script,  # noqa: F401
    launch_serve,  # noqa: F401
    wait_until,
)

import synaptoroute_integrations
from synaptoroute_core import AdaptiveRouter, HashingEncoder

ROUTES = str(Path(synaptoroute_integrations.__file__).parent / "samples" / "support_routes.yaml")

HANGING = """
import sys, threading
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig
from synaptoroute_integrations.server import ServerSettings, create_app, lifecycle, running

class Hanging(HashingEncoder):
    def encode(self, texts):
        if any("hang" in text for text in texts):
            threading.Event().wait()
        return super().encode(texts)

lifecycle.FORCE_S = 3.0
settings = ServerSettings(port=int(sys.argv[1]), drain_timeout_s=0.5)
config = RouterConfig(drain_timeout_s=0.5)

def router(_=None):
    return AdaptiveRouter([Route("greeting", ["hello", "good morning"])], encoder=Hanging(), config=config)
"""
SLOW = """
import time
from synaptoroute_core import SqliteStore

class Slow(SqliteStore):
    def commit(self, since, *more):
        time.sleep(1.5 if since else 0)
        return super().commit(since, *more)

def router(_=None):
    return AdaptiveRouter([Route("greeting", ["hello"])], encoder=HashingEncoder(), store=Slow({file!r}), config=config)
"""
OURS = """
running.open_router = router
running.serve(settings, lambda *_: None)
"""
UVICORNS = """
import uvicorn
with router() as made:
    uvicorn.run(create_app(settings, router=made), port=settings.port, log_level="warning")
"""


def ask_in_background(url: str, path: str, body: dict) -> tuple[threading.Thread, list]:
    found: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: found.append(httpx.post(f"{url}{path}", json=body, timeout=60, trust_env=False)), daemon=True
    )
    thread.start()
    return thread, found


@pytest.mark.parametrize(("server", "code"), [(OURS, 0), (UVICORNS, -signal.SIGTERM)], ids=["ours", "uvicorn"])
def test_a_query_whose_model_hangs_is_refused_when_the_time_is_over(launch_script: Launch, server, code):  # noqa: F811
    served = launch_script(HANGING + server).wait_ready()
    asking = [ask_in_background(served.url, "/route", body) for body in ({"text": "hang"}, {"texts": ["hang", "b"]})]
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == len(asking) + 1)
    served.signal(signal.SIGTERM)
    for thread, found in asking:
        thread.join()
        assert found[0].status_code == 503
        assert found[0].json()["type"] == "urn:synaptoroute:draining"
    assert served.end(30) == code
    assert "Traceback" not in served.text()


@pytest.mark.parametrize(("server"), [OURS, UVICORNS], ids=["ours", "uvicorn"])
def test_a_change_whose_model_hangs_cannot_keep_the_process(launch_script: Launch, server):  # noqa: F811
    served = launch_script(HANGING + server).wait_ready()
    thread, found = ask_in_background(served.url, "/routes", {"name": "new", "utterances": ["hang"]})
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    served.signal(signal.SIGTERM)
    assert served.end(30) in (143, -signal.SIGTERM)
    thread.join()
    assert found[0].status_code == 503
    assert found[0].json()["type"] == "urn:synaptoroute:commit-uncertain"


def test_a_change_that_is_made_after_all_is_not_called_undone_by_a_service_that_stops(
    launch_script: Launch,  # noqa: F811
    tmp_path,
):
    file = tmp_path / "routes.sqlite"
    served = launch_script(HANGING + SLOW.format(file=str(file)) + OURS).wait_ready()
    thread, found = ask_in_background(served.url, "/routes", {"name": "new", "utterances": ["please"]})
    wait_until(lambda: get(served.url, "/stats").json()["in_flight"] == 2)
    served.signal(signal.SIGTERM)
    thread.join()
    assert (found[0].status_code, found[0].json()["type"]) == (503, "urn:synaptoroute:commit-uncertain")
    assert "retry-after" not in found[0].headers
    served.end(30)
    with AdaptiveRouter(encoder=HashingEncoder(), store=file) as router:
        assert "new" in router.routes


def test_a_job_whose_model_hangs_cannot_keep_the_process(launch_script: Launch):  # noqa: F811
    served = launch_script(HANGING + OURS).wait_ready()
    thread, found = ask_in_background(served.url, "/evaluate", {"examples": [{"text": "hang", "label": "greeting"}]})
    thread.join()
    wait_until(lambda: get(served.url, found[0].headers["location"]).json()["state"] == "running")
    served.signal(signal.SIGTERM)
    assert served.end(30) == 0
    assert "Traceback" not in served.text()


def test_a_fit_at_work_ends_as_failed_and_the_next_process_says_so(launch_serve: Launch, tmp_path):  # noqa: F811
    runtime = tmp_path / "runtime"
    environment = {"SYNAPTOROUTE_RUNTIME_DIR": str(runtime)}
    served = launch_serve("--routes", ROUTES, **environment).wait_ready()
    places = [
        httpx.post(f"{served.url}/fit", json={"method": "head"}, timeout=30, trust_env=False).headers["location"]
        for _ in range(2)
    ]
    wait_until(lambda: get(served.url, places[0]).json()["state"] == "running")
    assert get(served.url, places[1]).json()["state"] == "queued"
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    assert "Traceback" not in served.text()

    jobs = [json.loads(path.read_text())["job"] for path in runtime.glob("jobs/*.json")]
    assert [(job["state"], job["error"]["type"]) for job in jobs] == [("failed", "urn:synaptoroute:draining")] * 2
    assert all(job["finished_at"] for job in jobs)

    again = launch_serve("--routes", ROUTES, **environment).wait_ready()
    assert get(again.url, places[0]).json()["state"] == "failed"
    assert len(get(again.url, "/jobs").json()["jobs"]) == len(places)


def test_a_fit_whose_process_was_killed_is_reported_as_failed(launch_serve: Launch, tmp_path):  # noqa: F811
    environment = {"SYNAPTOROUTE_RUNTIME_DIR": str(tmp_path / "runtime")}
    served = launch_serve("--routes", ROUTES, **environment).wait_ready()
    answer = httpx.post(f"{served.url}/fit", json={"method": "head"}, timeout=30, trust_env=False)
    wait_until(lambda: get(served.url, answer.headers["location"]).json()["state"] == "running")
    served.signal(signal.SIGKILL)
    served.end()
    again = launch_serve("--routes", ROUTES, **environment).wait_ready()
    job = get(again.url, answer.headers["location"]).json()
    assert job["state"] == "failed"
    assert "hand it in again" in job["error"]["detail"]
