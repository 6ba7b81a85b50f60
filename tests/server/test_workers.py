"""Several workers that serve one store: they agree, are replaced when they die, and end together."""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest
from launched import (
    NONE,
    WHOLE,
    Clients,
    Got,
    Launch,
    Launched,
    SlowRequest,
    connect,
    figures,
    free_port,
    get,
    is_ready,
    launch,  # noqa: F401  # fixtures
    launch_serve,  # noqa: F401
    text,
    wait_until,
)

import synaptoroute_integrations
from synaptoroute_core import AdaptiveRouter, load_routes

ROUTES = Path(synaptoroute_integrations.__file__).parent / "samples" / "support_routes.yaml"
WORKERS = 3
CROWD = 8
"""Clients at once, among which the workers share."""


@pytest.fixture
def start(launch_serve: Launch, tmp_path):  # noqa: F811
    """Starts a service with workers, all of which are at work when it returns."""

    def start(*arguments: str, workers: int = WORKERS, **environment: str) -> Launched:
        store = str(tmp_path / "routes.sqlite")
        served = launch_serve("--db", store, "--workers", str(workers), *arguments, **environment)
        wait_until(lambda: served.process.poll() is not None or served.text().count("ready: ") >= workers)
        assert served.process.poll() is None, served.text()
        return served

    return start


def post(url: str, path: str, body: object, **options: object) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, timeout=30, trust_env=False, **options)


def met(served: Launched, path: str = "/stats") -> dict[int, Got]:
    """The answer of every worker, by process number."""
    found: dict[int, Got] = {}
    everybody = {worker.pid for worker in served.workers()}

    def look() -> None:
        with closing(connect(served.url)) as connection:
            answer = get(served.url, path, connection)
            found[get(served.url, "/stats", connection).json()["pid"]] = answer

    def look_around() -> bool:
        with ThreadPoolExecutor(CROWD) as pool:  # one after the other, the same worker might take them all
            for _ in range(2 * CROWD):
                pool.submit(look)
        return everybody <= set(found)

    wait_until(look_around)
    return found


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_workers_agree_on_routes_figures_and_jobs(start):
    served = start()
    asked = 0
    answer = post(served.url, "/routes", {"name": "refund", "utterances": ["I want my money back", "refund please"]})
    assert answer.status_code == 201
    # Every worker sees the change, and decides by it.
    wait_until(lambda: {each.json()["revision"] for each in met(served, "/routes").values()} == {1})
    workers = {worker.pid for worker in served.workers()}
    assert set(met(served)) == workers
    assert len(workers) == WORKERS
    for _ in range(40):
        asked += 1
        decision = post(served.url, "/route", {"text": "refund please"}).json()
        assert (decision["route"], decision["revision"]) == ("refund", 1)

    # A change that was made by way of another revision is refused by all.
    conflict = post(served.url, "/routes", {"name": "b", "utterances": ["b"]}, headers={"If-Match": '"0"'})
    assert conflict.status_code == 412

    # The figures are those of all of them, whoever is asked.
    name = 'synaptoroute_requests_total{method="POST",path="/route",status="200"}'
    wait_until(lambda: all(figures(served.url).get(name) == asked for _ in range(10)))
    assert figures(served.url)["synaptoroute_revision"] == 1
    assert figures(served.url)["synaptoroute_routes"] == 1

    # A job is known to all of them.
    job = post(served.url, "/evaluate", {"examples": [{"text": "money back", "label": "refund"}]})
    wait_until(lambda: get(served.url, job.headers["location"]).json()["state"] == "done")
    found = met(served, job.headers["location"])
    assert set(found) == workers
    assert {each.json()["state"] for each in found.values()} == {"done"}

    # They end together, and cleanly.
    family = served.family()
    served.signal(signal.SIGTERM)
    assert served.end() == 0
    wait_until(lambda: are_gone(family))
    assert served.text().count("stopped") == WORKERS
    assert "Traceback" not in served.text()


def test_a_killed_worker_is_replaced_and_its_momentary_figures_are_forgotten(start, tmp_path):
    with AdaptiveRouter(load_routes(ROUTES), store=tmp_path / "routes.sqlite") as router:
        revision = router.revision
    served = start(workers=2)
    slow = SlowRequest(served.url, "/route", text("never finished"))
    wait_until(lambda: figures(served.url)["synaptoroute_in_flight"] == 1)
    busy = [worker for worker in served.workers() if holds(worker, slow)]
    assert len(busy) == 1
    busy[0].kill()
    assert slow.answer().kind == NONE
    wait_until(lambda: served.text().count("ready: ") == 3)
    assert f"worker {busy[0].pid} ended with code -9" in served.text()
    pids = {worker.pid for worker in served.workers()}
    assert len(pids) == 2
    assert busy[0].pid not in pids
    wait_until(lambda: figures(served.url)["synaptoroute_in_flight"] == 0)
    wait_until(lambda: set(met(served)) == pids)
    assert {each.json()["revision"] for each in met(served, "/routes").values()} == {revision}


def holds(worker: psutil.Process, request: SlowRequest) -> bool:
    """Whether a worker has the other end of a request's connection."""
    port = request.socket.getsockname()[1]
    return any(each.raddr and each.raddr.port == port for each in worker.net_connections("tcp"))


def test_ctrl_c_in_a_terminal_reaches_all_of_them_and_still_all_are_answered(start):
    served = start(workers=2)
    clients = Clients(served.url)
    for each in range(4):
        clients.add("/route", lambda number, each=each: text(f"hello {each} {number}"))
    slow = [SlowRequest(served.url, "/route", text("please be patient with me")) for _ in range(4)]
    wait_until(lambda: figures(served.url)["synaptoroute_in_flight"] >= len(slow))
    os.killpg(served.process.pid, signal.SIGINT)
    wait_until(lambda: served.text().count("stopping: ") == 2)
    for request in slow:
        request.finish()
    assert [(answer.kind, answer.status) for answer in (each.answer() for each in slow)] == [(WHOLE, 200)] * len(slow)
    assert served.end() == 0
    clients.stop()
    assert {answer.kind for answer in clients.answers} <= {WHOLE, NONE}
    assert "Traceback" not in served.text()


def test_a_service_manager_may_signal_every_process(start):
    served = start(workers=2)
    slow = SlowRequest(served.url, "/route", text("please be patient with me"))
    wait_until(lambda: figures(served.url)["synaptoroute_in_flight"] == 1)
    os.killpg(served.process.pid, signal.SIGTERM)
    wait_until(lambda: served.text().count("stopping: ") == 2)
    slow.finish()
    assert slow.answer().status == 200
    assert served.end() == 0


def test_a_second_signal_ends_all_of_them_at_once(start, tmp_path):
    served = start(workers=2, SYNAPTOROUTE_DRAIN_TIMEOUT_S="600")
    slow = SlowRequest(served.url, "/route", text("never finished"))
    wait_until(lambda: figures(served.url)["synaptoroute_in_flight"] == 1)
    family = served.family()
    served.signal(signal.SIGTERM)
    wait_until(lambda: served.text().count("stopping: ") == 2)
    served.signal(signal.SIGTERM)
    assert served.end() == 143
    assert slow.answer().kind == NONE
    wait_until(lambda: are_gone(family))
    assert not list(tmp_path.glob("synaptoroute-*"))
    assert "Traceback" not in served.text()


def test_workers_do_not_outlive_their_parent(start):
    served = start(workers=2)
    family = served.family()
    served.signal(signal.SIGKILL)
    served.end()
    wait_until(lambda: are_gone(family))
    assert not is_ready(served.url)


def test_several_services_may_make_one_new_store_at_once(launch_serve: Launch, tmp_path):  # noqa: F811
    store = tmp_path / "new.sqlite"
    services = [launch_serve("--db", str(store)) for _ in range(WORKERS)]
    for number, served in enumerate(services):
        served.wait_ready()
        assert post(served.url, "/routes", {"name": f"route{number}", "utterances": ["a text"]}).status_code == 201
    for served in services:
        wait_until(lambda served=served: len(get(served.url, "/routes").json()["routes"]) == WORKERS)


def test_under_uvicorn_workers_drain_too(launch: Launch, tmp_path):  # noqa: F811
    port = free_port()
    command = ["-m", "uvicorn", "synaptoroute_integrations.server:create_app", "--factory", "--port", str(port)]
    store = tmp_path / "new.sqlite"
    (shared := tmp_path / "figures").mkdir()
    environment = {"SYNAPTOROUTE_DB": str(store), "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    served = launch([*command, "--workers", "2"], port, **environment)
    wait_until(lambda: served.text().count("ready: ") >= 2)
    slow = [SlowRequest(served.url, "/route", text("please be patient with me")) for _ in range(4)]
    wait_until(lambda: figures(served.url)["synaptoroute_in_flight"] == len(slow))
    served.signal(signal.SIGTERM)
    wait_until(lambda: len(re.findall(r"stopping: \d", served.text())) == 2)
    for request in slow:
        request.finish()
    assert [each.answer().status for each in slow] == [200] * len(slow)
    assert served.end() == 0
    assert "Traceback" not in served.text()
