"""The service keeps to its own description: no answer that it does not promise, and no way in without a key."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from wire import ROUTES

from synaptoroute_core import HashingEncoder

HERE = Path(__file__).parent
DEEP_S = 240
KEPT_OPEN = {"/health/live", "/health/ready"}


@pytest.fixture
def service(serve, keys, support_routes):
    """The service with keys and many routes; its encoder is quick."""
    return serve(
        routes=[*support_routes, *ROUTES], encoder=HashingEncoder(), keys=keys.setting, key=keys.admin, max_queue_s=None
    )


@pytest.fixture
def fuzz(service, tmp_path, pytestconfig):
    """Runs schemathesis against the service: ``fuzz(key, ...)``."""

    def run(key: str | None, *arguments: str, cases: int) -> None:
        amount = ["--generation-deterministic", "--max-examples", str(cases)]
        if pytestconfig.getoption("--deep"):
            amount = ["--max-time", str(DEEP_S), "--max-examples", "1000", "--generation-database", "none"]
        command = [
            *(str(Path(sys.executable).parent / "st"), "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{service.url}/openapi.json", "--no-color", "--continue-on-failure", *amount, *arguments),
            *(() if key is None else ("--header", f"Authorization: Bearer {key}")),
        ]
        # Elsewhere: it leaves files where it runs.
        environment = {**os.environ, "PYTHONPATH": str(HERE), "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        said = "\n".join(line[:500] for line in done.stdout.splitlines())
        assert done.returncode == 0, said[-20_000:] + done.stderr
        assert int(re.search(r"(\d+) generated", said)[1]) > 100, said

    return run


@pytest.mark.slow
@pytest.mark.timeout(DEEP_S + 300)
def test_with_all_rights_every_answer_is_as_described(fuzz, keys, service):
    fuzz(keys.admin, cases=20)
    assert service.client.get("/health/ready").status_code == 200
    assert service.client.get("/routes").status_code == 200
    assert service.router.stats().pending == 0


@pytest.mark.slow
@pytest.mark.timeout(DEEP_S + 300)
def test_with_a_key_for_asking_every_answer_is_as_described_and_nothing_changes(fuzz, keys, service):
    before = service.router.revision
    fuzz(keys.route, "--phases", "coverage,fuzzing", "--exclude-checks", "positive_data_acceptance", cases=5)
    assert service.router.revision == before
    assert service.client.get("/jobs").json() == {"jobs": []}


@pytest.mark.slow
@pytest.mark.timeout(DEEP_S + 300)
def test_without_a_key_every_answer_is_as_described_and_nothing_is_asked(fuzz, service):
    fuzz(None, "--phases", "coverage,fuzzing", "--exclude-checks", "positive_data_acceptance", cases=3)
    assert service.router.revision == 1
    assert service.router.stats().answered == 0


def operations(service) -> list[tuple[str, str, dict]]:
    """Method, path and description of all that can be done."""
    answer = service.client.get("/openapi.json")
    assert answer.status_code == 200, answer.text
    paths = answer.json()["paths"]
    return [(method.upper(), path, what) for path, methods in paths.items() for method, what in methods.items()]


def test_nothing_but_health_answers_without_a_key(service):
    for method, path, _ in operations(service):
        answer = httpx.request(method, service.url + path.replace("{name}", "refund"), trust_env=False)
        if path in KEPT_OPEN:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["type"] == "urn:synaptoroute:unauthorized"


def test_the_description_says_what_needs_a_key(service):
    for method, path, what in operations(service):
        assert ("security" in what) == (path not in KEPT_OPEN), (method, path)
        assert path in KEPT_OPEN or {"401", "403", "429", "503"} <= set(what["responses"])


@pytest.mark.parametrize("path", ["/nowhere", "/routes/refund/nowhere", "/jobs/../routes", "//routes", "/metrics/"])
def test_what_does_not_exist_is_no_way_round_the_keys(service, path):
    assert httpx.get(service.url + path, trust_env=False).status_code == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/playground/app.js", "/docs/start.js"])
def test_the_pages_need_no_key(service, path):
    assert httpx.get(service.url + path, trust_env=False).status_code == 200


def test_a_key_for_asking_may_not_change_anything(service, keys):
    headers = {"Authorization": f"Bearer {keys.route}"}
    asks = {("POST", "/route"), ("POST", "/route/stream"), ("POST", "/explain")}
    looks = {"/routes", "/routes/{name}", "/metrics", "/stats"}
    for method, path, _ in operations(service):
        url = service.url + path.replace("{name}", "refund")
        status = httpx.request(method, url, headers=headers, trust_env=False).status_code
        may = path in KEPT_OPEN or (method, path) in asks or (method == "GET" and path in looks)
        assert (status != 403) == may, (method, path, status)


def test_every_problem_is_described_alike(service):
    schema = service.client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    for method, path, what in operations(service):
        for status, answer in what["responses"].items():
            if int(status) >= 400 and path not in KEPT_OPEN:
                content = answer["content"]["application/problem+json"]
                assert content["schema"]["$ref"] == "#/components/schemas/Problem", (method, path, status)
