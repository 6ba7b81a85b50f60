"""Services on one store in PostgreSQL or Redis: they follow each other, and go on when it is away."""

import contextlib
import time
from collections.abc import Iterator

import httpx
import pytest
from launched import WHOLE, Answer, Clients, Launched, figures, get, text, wait_until
from sharing import KINDS, STALE_S, Pods, pods_on, shared_store
from typer.testing import CliRunner

from synaptoroute_core import RevisionConflictError, Route
from synaptoroute_integrations.addresses import masked
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.remote import RemoteRouter


@pytest.fixture(params=KINDS, scope="module")
def pods(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """Two services, which the tests of a kind of store share; on PostgreSQL, the second has two workers."""
    folder = tmp_path_factory.mktemp("pods")
    workers = 2 if request.param == "postgres" else 1
    with shared_store(request.param, folder) as store, pods_on(store, folder, workers) as pods:
        yield pods


def post(pod: Launched, path: str, body: object, **headers: str) -> httpx.Response:
    return httpx.post(f"{pod.url}{path}", json=body, headers=headers, timeout=30, trust_env=False)


def route_of(pod: Launched, query: str) -> str | None:
    return post(pod, "/route", {"text": query}).json()["route"]


def wait_for(pod: Launched, query: str, route: str) -> None:
    """Wait until every worker answers so: enough answers in a row that none of two was passed over."""
    wait_until(lambda: all(route_of(pod, query) == route for _ in range(8)))


def test_a_route_added_on_one_is_answered_by_the_other(pods):
    made = post(pods.first, "/routes", {"name": "refund", "utterances": ["I want my money back"]})
    assert made.status_code == 201
    wait_for(pods.second, "I want my money back", "refund")
    wait_until(pods.are_alike)
    digests = {get(pod.url, "/stats").json()["store"]["digest"] for pod in pods.both}
    assert len(digests) == 1


def test_an_etag_of_one_holds_on_the_other(pods):
    wait_until(pods.are_alike)
    seen = get(pods.first.url, "/routes").headers["etag"]
    late = {"name": "late", "utterances": ["where is my late parcel"]}
    assert post(pods.second, "/routes", late, **{"If-Match": seen}).status_code == 201
    refused = post(pods.first, "/routes", {"name": "b", "utterances": ["b"]}, **{"If-Match": seen})
    assert refused.status_code == 412


def test_what_the_command_line_puts_into_the_store_is_answered_by_all(pods, tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text("routes: [{name: cancel, utterances: [please cancel my order]}]", encoding="utf-8")
    done = CliRunner().invoke(app, ["add", "--from", str(file), "--store", pods.store.url])
    assert done.exit_code == 0, done.output
    for pod in pods.both:
        wait_for(pod, "please cancel my order", "cancel")
    again = CliRunner().invoke(app, ["add", "--from", str(file), "--db", pods.store.url])
    assert "nothing to do" in again.stdout
    assert str(pods.store.password) not in again.output
    removed = CliRunner().invoke(app, ["remove", "cancel", "--db", pods.store.url])
    assert removed.exit_code == 0, removed.output
    listed = CliRunner().invoke(app, ["list", "--db", pods.store.url, "--json"])
    assert '"cancel"' not in listed.stdout


def test_remote_routers_meet_through_the_store(pods):
    with RemoteRouter(pods.first.url) as one, RemoteRouter(pods.second.url) as other:
        receipt = one.add_route(Route("invoice", ["send me the invoice again"]))
        wait_until(lambda: all(other.route("send me the invoice again").route == "invoice" for _ in range(8)))
        other.update_threshold("invoice", 0.6, expected_revision=receipt.revision)
        with pytest.raises(RevisionConflictError):
            one.update_threshold("invoice", 0.7, expected_revision=receipt.revision)
        wait_until(lambda: one.routes["invoice"].threshold == 0.6)


def health(pod: Launched) -> tuple[int, str]:
    answer = get(pod.url, "/health/ready")
    return answer.status_code, answer.json()["status"]


@contextlib.contextmanager
def asking(pods: Pods) -> Iterator[list[Answer]]:
    """Clients of both ask all the time; gives their answers, which are complete after the block."""
    answers: list[Answer] = []
    clients = [Clients(pod.url) for pod in pods.both]
    for each in clients:
        each.add("/route", lambda number: text("hello there" if number % 2 else f"hello {number}"))
    try:
        yield answers
    finally:
        for each in clients:
            each.stop()
            answers += each.answers


def test_without_the_store_queries_go_on_and_readiness_and_edits_say_so(pods):
    farewell = {"name": "farewell", "utterances": ["goodbye then"]}
    post(pods.first, "/routes", {"name": "greeting", "utterances": ["hello there"]})
    for pod in pods.both:
        wait_for(pod, "hello there", "greeting")
    with asking(pods) as answers:
        with pods.store.away():
            cut_off = time.monotonic()
            refused = post(pods.second, "/routes", farewell)
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:synaptoroute:storage-error")
            for pod in pods.both:
                wait_until(lambda pod=pod: all(health(pod) == (503, "stale") for _ in range(8)))
                wait_until(lambda pod=pod: figures(pod.url)["synaptoroute_store_behind_seconds"] > STALE_S)
                assert figures(pod.url)["synaptoroute_store_failing"] == 1
                assert get(pod.url, "/stats").json()["store"]["failing"]
                assert get(pod.url, "/health/live").status_code == 200
            back = time.monotonic()
        for pod in pods.both:
            wait_until(lambda pod=pod: all(health(pod) == (200, "ready") for _ in range(8)))
            wait_until(lambda pod=pod: figures(pod.url)["synaptoroute_store_failing"] == 0)
        assert post(pods.second, "/routes", farewell).status_code == 201
        wait_for(pods.first, "goodbye then", "farewell")
        wait_until(pods.are_alike)
    assert {(answer.kind, answer.status) for answer in answers} == {(WHOLE, 200)}
    assert len([answer for answer in answers if cut_off < answer.sent_at < back]) > 100
    for pod in pods.both:
        assert "cannot be followed" in pod.text()
        assert f"kept in {masked(pods.store.url)}" in pod.text()
        assert str(pods.store.password) not in pod.text()
