"""What is decided over HTTP is what the router decides, to the last bit."""

import json
import random

import pytest

from synaptoroute_core import AdaptiveRouter, Decision, Route, RouteOptions

NDJSON = {"Content-Type": "application/x-ndjson"}
QUERIES = 500


def variations(texts: list[str], count: int) -> list[str]:
    """The texts and, up to ``count``, others with typing errors, other case, other spacing, and more around them."""
    chance = random.Random(7)
    found = list(dict.fromkeys(texts))
    while len(found) < count:
        text = chance.choice(texts)
        place = chance.randrange(len(text))
        found.append(
            chance.choice(
                [
                    text[:place] + text[place + 1 :],
                    text[:place] + text[place] + text[place:],
                    text.upper(),
                    text.replace(" ", "  "),
                    f"hello, {text} thanks \U0001f600",
                    text[: max(3, place)],
                ]
            )
        )
    return found


@pytest.fixture(scope="module")
def queries(support_examples) -> list[str]:
    return variations([text for text, _ in support_examples], QUERIES)


@pytest.fixture(scope="module", params=["similarity", "head"])
def reference(request, support_routes, bundled):
    """A router that answers no request, so that the service cannot repeat what it has said."""
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        if request.param == "head":
            router.fit()
        yield router


@pytest.fixture(scope="module")
def service(reference, serve_all, support_routes, bundled):
    with AdaptiveRouter(support_routes, encoder=bundled) as router:
        scorer = reference.stats().scorer
        if scorer == "head":
            router.fit()
        service = serve_all(router=router, max_queue_s=None, max_texts=QUERIES)
        assert service.client.get("/stats").json()["router"]["scorer"] == scorer
        yield service


def plain(decision: Decision) -> dict:
    return decision.model_dump(mode="json")


def ask(service, texts: list[str], **more) -> list[dict]:
    answer = service.client.post("/route", json={"texts": texts, **more})
    assert answer.status_code == 200, answer.text
    return [each["decision"] for each in answer.json()["results"]]


def test_one_by_one(service, reference, queries):
    some = queries if reference.stats().scorer == "similarity" else queries[::3]  # a question of time
    expected = [plain(reference.route(text)) for text in some]
    assert [service.ask(text).json() for text in some] == expected
    assert {each["reason"] for each in expected} > {"matched"}


def test_together_in_any_order(service, reference, queries):
    shuffled = random.Random(3).sample(queries, len(queries))
    assert ask(service, shuffled) == [plain(reference.route(text)) for text in shuffled]


def test_as_a_stream(service, reference, queries):
    body = "".join(f"{json.dumps(text)}\n" for text in queries)
    answer = service.client.post("/route/stream", content=body.encode(), headers=NDJSON)
    got = [json.loads(line) for line in answer.text.splitlines()]
    assert got == [{"decision": plain(reference.route(text)), "error": None} for text in queries]


def test_among_some_routes(service, reference, queries):
    allowed = ["refund_status", "cancel_order", "order_status"]
    expected = [plain(reference.route(text, allowed=allowed)) for text in queries]
    assert ask(service, queries, allowed=allowed) == expected
    body = "".join(f"{json.dumps({'text': text})}\n" for text in queries)
    names = [("allowed", name) for name in allowed]
    answer = service.client.post("/route/stream", params=names, content=body.encode(), headers=NDJSON)
    assert [json.loads(line)["decision"] for line in answer.text.splitlines()] == expected


@pytest.mark.parametrize("allowed", [None, ["refund_status", "cancel_order"]])
def test_with_routes_of_the_request(service, reference, queries, allowed, support_routes):
    """Routes with the utterances of stored ones, so that there is something to confuse."""
    extra = [
        {"name": f"extra_{number}", "utterances": list(route.utterances[:4]), "threshold": 0.4 if number else None}
        for number, route in enumerate(support_routes[:5])
    ]
    routes = [Route(each["name"], each["utterances"], threshold=each["threshold"]) for each in extra]
    choices = reference.choices(allowed or (), routes)
    expected = [plain(reference.route(text, allowed=choices)) for text in queries]
    more = {} if allowed is None else {"allowed": allowed}
    assert ask(service, queries, extra=extra, **more) == expected
    assert {each["route"] for each in expected} > {"extra_3", None}


OPTIONS = [{"threshold": 0.9}, {"threshold": -1.0}, {"min_margin": 0.3}, {"max_candidates": 1}]
OPTIONS += [{"threshold": 0.2, "min_margin": 0.0, "max_candidates": 1000}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_with_settings_of_the_request(service, reference, queries, options):
    some = queries[::5]
    expected = [plain(reference.route(text, options=RouteOptions(**options))) for text in some]
    assert ask(service, some, **options) == expected
    assert [service.ask(text, **options).json() for text in some] == expected


def test_explained(service, reference, queries):
    for text in queries[::25]:
        answer = service.client.post("/explain", json={"text": text, "allowed": ["refund_status", "cancel_order"]})
        expected = reference.explain(text, allowed=["refund_status", "cancel_order"])
        assert answer.json() == expected.model_dump(mode="json")


def test_routes_come_as_they_are_stored(service, support_routes):
    got = service.client.get("/routes").json()["routes"]
    assert got == [route.model_dump(mode="json") for route in support_routes]
