"""Fits and evaluations as jobs: handed in, watched, finished or failed, and taken back."""

import json
import threading

import pytest
from launched import wait_until
from wire import ROUTES, SlowEncoder

from synaptoroute_core import AdaptiveRouter, HashingEncoder
from synaptoroute_integrations.server.jobs import JOBS_KEPT, MAX_WAITING

EXAMPLES = [{"text": "refund my order", "label": "refund"}, {"text": "zebra", "label": None}]
LONG_S = 120


@pytest.fixture
def service(serve):
    return serve(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None)


def slug(problem: dict) -> str:
    return problem["type"].removeprefix("urn:synaptoroute:")


def hand_in(service, path: str, **body) -> dict:
    answer = service.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["report"], job["error"]) == (path[1:], "queued", None, None)
    return job


def watch(service, job: dict) -> list[dict]:
    """All that could be seen of a job until it ended."""
    seen: list[dict] = []

    def look() -> bool:
        answer = service.client.get(f"/jobs/{job['id']}")
        assert answer.status_code == 200
        seen.append(answer.json())
        return seen[-1]["state"] in ("done", "failed")

    wait_until(look, LONG_S)
    return seen


def test_a_head_is_fitted_as_the_router_fits_it_and_taken_back(serve, support_routes, bundled, support_examples):
    service = serve(max_queue_s=None)
    seen = watch(service, hand_in(service, "/fit"))
    done = seen[-1]
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    steps = [each["progress"] for each in seen]
    assert steps == sorted(steps)
    assert any(0 < step < 1 for step in steps)
    assert {each["state"] for each in seen} >= {"running", "done"}
    text = support_examples[5][0]
    assert service.ask(text).json()["scorer"] == "head"
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        report = router.fit()
        assert service.ask(text).json() == router.route(text).model_dump(mode="json")
    timeless = {name: value for name, value in report.to_dict().items() if not name.endswith(("_s", "seconds"))}
    assert timeless.items() <= done["report"].items()
    undone = service.client.delete("/fit")
    assert (undone.status_code, undone.json()["revision"]) == (200, 3)
    assert service.ask(text).json()["scorer"] == "similarity"
    nothing = service.client.delete("/fit")
    assert (nothing.status_code, slug(nothing.json())) == (422, "invalid-request")


def test_thresholds_are_fitted(service):
    examples = [{"text": text, "label": route.name} for route in ROUTES for text in route.utterances] + EXAMPLES
    job = hand_in(service, "/fit", method="thresholds", examples=examples, objective="max_fpr", max_fpr=0.1)
    done = watch(service, job)[-1]
    assert done["state"] == "done", done
    assert done["report"]


def test_an_evaluation_counts_as_the_router_does(serve, support_examples):
    service = serve(max_queue_s=None)
    examples = [{"text": text, "label": label} for text, label in support_examples]
    done = watch(service, hand_in(service, "/evaluate", examples=examples, price_per_call=0.01))[-1]
    expected = service.router.evaluate(support_examples, price_per_call=0.01).to_dict()
    got = done["report"]
    assert got.keys() == expected.keys()
    assert got.pop("latency")["queries"] == expected.pop("latency")["queries"] == len(examples)
    assert got == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/evaluate", {"examples": [{"text": "x", "label": "refnd"}]}, "route-not-found"),
        ("/evaluate", {"examples": [{"text": " ", "label": None}]}, "invalid-text"),
        ("/fit", {"method": "thresholds", "examples": [{"text": "x", "label": "refnd"}]}, "route-not-found"),
        ("/fit", {"method": "thresholds"}, "invalid-request"),
        ("/fit", {"method": "thresholds", "examples": EXAMPLES, "objective": "max_fpr"}, "invalid-request"),
        ("/fit", {"examples": [{"text": "x", "label": "refnd"}]}, "route-not-found"),
    ],
)
def test_a_job_that_cannot_be_done_says_why(service, path, body, expected):
    done = watch(service, hand_in(service, path, **body))[-1]
    assert (done["state"], done["report"]) == ("failed", None)
    assert slug(done["error"]) == expected
    assert done["finished_at"] > done["created_at"]
    assert service.router.revision == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/evaluate", {}),
        ("/evaluate", {"examples": []}),
        ("/evaluate", {"examples": [{"text": "x"}]}),
        ("/evaluate", {"examples": [["x", None]]}),
        ("/evaluate", {"examples": EXAMPLES, "price_per_call": -1}),
        ("/fit", {"method": "magic"}),
        ("/fit", {"seed": -1}),
        ("/fit", {"seed": 2**32}),
        ("/fit", {"out_of_scope_share": 1.0}),
        ("/fit", {"max_fpr": 2}),
    ],
)
def test_what_is_no_job_is_refused_at_once(service, path, body):
    answer = service.client.post(path, json=body)
    assert (answer.status_code, slug(answer.json())) == (422, "invalid-request")
    assert service.client.get("/jobs").json() == {"jobs": []}


def test_more_jobs_than_may_wait_are_refused(serve):
    gate = threading.Event()
    gate.set()
    encoder = SlowEncoder(gate)
    service = serve(routes=ROUTES, encoder=encoder, max_queue_s=None)
    gate.clear()
    try:
        first = hand_in(service, "/evaluate", examples=[{"text": "slow", "label": None}])
        wait_until(lambda: "slow" in encoder.asked)
        waiting = [hand_in(service, "/evaluate", examples=EXAMPLES) for _ in range(MAX_WAITING)]
        refused = service.client.post("/evaluate", json={"examples": EXAMPLES})
        assert (refused.status_code, slug(refused.json()), refused.headers["retry-after"]) == (429, "overloaded", "10")
        listed = service.client.get("/jobs").json()["jobs"]
        assert [job["id"] for job in reversed(listed)] == [first["id"], *(job["id"] for job in waiting)]
        assert {job["state"] for job in listed} == {"running", "queued"}
    finally:
        gate.set()
    assert all(watch(service, job)[-1]["state"] == "done" for job in (first, *waiting))
    hand_in(service, "/evaluate", examples=EXAMPLES)


def test_the_last_jobs_are_remembered(service):
    number = JOBS_KEPT + 5
    jobs = []
    for _ in range(number):
        jobs.append(hand_in(service, "/evaluate", examples=EXAMPLES))
        watch(service, jobs[-1])
    listed = service.client.get("/jobs").json()["jobs"]
    assert JOBS_KEPT <= len(listed) <= JOBS_KEPT + 1
    assert service.client.get(f"/jobs/{jobs[0]['id']}").status_code == 404
    assert service.client.get(f"/jobs/{jobs[-1]['id']}").status_code == 200


def test_queries_go_on_while_a_job_runs(serve, support_examples):
    service = serve(max_queue_s=None)
    examples = [{"text": f"{text} {number}", "label": label} for number in range(3) for text, label in support_examples]
    job = hand_in(service, "/evaluate", examples=examples)
    asked = 0
    while service.client.get(f"/jobs/{job['id']}").json()["state"] != "done":
        assert service.ask(f"where is my order {asked}").status_code == 200
        asked += 1
    assert asked > 5
