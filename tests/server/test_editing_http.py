"""Routes are seen and changed over HTTP, and two who do so lose nothing."""

import threading

import pytest
from wire import ROUTES

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route


@pytest.fixture
def service(serve):
    return serve(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None)


NEW = {"name": "cancel", "utterances": ["cancel my order", "stop my order"], "threshold": 0.4}


def slug(answer) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["type"].removeprefix("urn:synaptoroute:")


# --- every change ---------------------------------------------------------------------------------


def test_a_route_is_added_once_and_in_force_when_that_is_answered(service):
    answer = service.client.post("/routes", json={**NEW, "description": "d", "metadata": {"queue": [1, None]}})
    assert answer.status_code == 201
    assert answer.json() == {"revision": 2, "changed": 2}
    assert answer.headers["location"] == "/routes/cancel"
    assert answer.headers["etag"] == '"2"'
    assert service.ask("stop my order").json()["route"] == "cancel"
    assert service.client.get("/routes/cancel").json() == {
        **NEW,
        "description": "d",
        "metadata": {"queue": [1, None]},
    }
    again = service.client.post("/routes", json=NEW)
    assert (again.status_code, slug(again), again.json()["name"]) == (409, "route-exists", "cancel")
    assert service.router.revision == 2


def test_a_route_is_put_in_the_place_of_another(service):
    body = {key: value for key, value in NEW.items() if key != "name"}
    assert service.client.put("/routes/cancel", json=body).status_code == 201
    assert service.client.put("/routes/cancel", json=body).json()["changed"] == 0
    answer = service.client.put("/routes/cancel", json={"utterances": ["call it off"]})
    assert (answer.status_code, answer.json()["changed"]) == (200, 1)
    assert service.router.routes["cancel"] == Route("cancel", ["call it off"])
    assert service.client.put("/routes/cancel", json=NEW).status_code == 422  # the path has the name


def test_a_threshold_is_set_and_taken_back(service):
    assert service.client.patch("/routes/refund", json={"threshold": 0.99}).json() == {"revision": 2, "changed": 1}
    assert service.ask("refund my parcel").json()["route"] is None
    assert service.client.patch("/routes/refund", json={"threshold": None}).status_code == 200
    assert service.router.routes["refund"].threshold is None
    for body in ({}, {"threshold": 2}, {"threshold": "0.5"}, {"threshold": 0.5, "name": "x"}, {"threshold": True}):
        assert service.client.patch("/routes/refund", json=body).status_code == 422


def test_utterances_come_and_go(service):
    path = "/routes/refund/utterances"
    answer = service.client.post(path, json={"utterances": ["pay me back", "PAY  me back", "Refund my order"]})
    assert answer.json() == {"revision": 2, "changed": 1}
    assert service.ask("pay me back").json()["route"] == "refund"
    gone = service.client.request("DELETE", path, json={"utterances": ["pay  ME back"]})
    assert gone.json() == {"revision": 3, "changed": 1}
    missing = service.client.request("DELETE", path, json={"utterances": ["pay me back"]})
    assert (missing.status_code, slug(missing)) == (422, "invalid-text")
    rest = list(service.router.routes["refund"].utterances)
    last = service.client.request("DELETE", path, json={"utterances": rest})
    assert (last.status_code, slug(last)) == (422, "invalid-request")
    assert list(service.router.routes["refund"].utterances) == rest


def test_a_route_is_removed(service):
    assert service.client.delete("/routes/refund").json() == {"revision": 2, "changed": 2}
    assert service.client.get("/routes/refund").status_code == 404
    assert service.ask("I want my money back").json()["route"] is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/routes/refnd", None),
        ("DELETE", "/routes/refnd", None),
        ("PATCH", "/routes/refnd", {"threshold": 0.5}),
        ("POST", "/routes/refnd/utterances", {"utterances": ["x"]}),
        ("DELETE", "/routes/refnd/utterances", {"utterances": ["x"]}),
    ],
)
def test_a_route_that_is_not_there_is_named(service, method, path, body):
    answer = service.client.request(method, path, json=body)
    assert (answer.status_code, slug(answer), answer.json()["name"]) == (404, "route-not-found", "refnd")
    assert "did you mean 'refund'" in answer.json()["detail"]
    assert service.router.revision == 1


@pytest.mark.parametrize("utterances", [[], ["  "], ["x", ""], ["x" * 16_385], "x", [1], None])
def test_utterances_that_cannot_be_used_change_nothing(service, utterances):
    for method, path in (("POST", "/routes"), ("PUT", "/routes/new"), ("POST", "/routes/refund/utterances")):
        body = {"utterances": utterances} | ({"name": "new"} if path == "/routes" else {})
        assert service.client.request(method, path, json=body).status_code == 422
    assert service.router.revision == 1


def test_metadata_has_a_bound(service):
    body = {**NEW, "metadata": {"k": "x" * 16_384}}
    answer = service.client.post("/routes", json=body)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")


# --- revisions ------------------------------------------------------------------------------------


def test_routes_are_sent_again_only_when_they_have_changed(service):
    first = service.client.get("/routes")
    tag = first.headers["etag"]
    assert first.json()["revision"] == 1
    for given in (tag, f"W/{tag}", f'"0", {tag}', "*"):
        same = service.client.get("/routes", headers={"If-None-Match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    for given in ('"0"', "1", '"11"', "garbage"):
        assert service.client.get("/routes", headers={"If-None-Match": given}).status_code == 200
    service.client.post("/routes", json=NEW)
    changed = service.client.get("/routes", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"], len(changed.json()["routes"])) == (200, '"2"', 3)
    assert service.client.get("/routes/cancel").headers["etag"] == '"2"'


CHANGES = {
    "add": ("POST", "/routes", NEW),
    "put": ("PUT", "/routes/cancel", {"utterances": ["x"]}),
    "replace": ("PUT", "/routes/track", {"utterances": ["x"]}),
    "threshold": ("PATCH", "/routes/track", {"threshold": 0.7}),
    "remove": ("DELETE", "/routes/track", None),
    "add utterances": ("POST", "/routes/track/utterances", {"utterances": ["x"]}),
    "remove utterances": ("DELETE", "/routes/track/utterances", {"utterances": ["track my order"]}),
    "undo": ("DELETE", "/fit", None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_of_two_editors_the_slower_one_is_told_and_nothing_is_lost(service, change):
    method, path, body = change
    seen = service.client.get("/routes").headers["etag"]
    quicker = service.client.patch("/routes/refund", json={"threshold": 0.6}, headers={"If-Match": seen})
    assert quicker.status_code == 200
    before = dict(service.router.routes)
    slower = service.client.request(method, path, json=body, headers={"If-Match": seen})
    assert (slower.status_code, slug(slower)) == (412, "revision-conflict")
    assert (slower.json()["expected"], slower.json()["revision"]) == (1, 2)
    assert dict(service.router.routes) == before
    if path != "/fit":  # there was none
        again = service.client.request(method, path, json=body, headers={"If-Match": quicker.headers["etag"]})
        assert again.status_code in (200, 201)
        assert service.router.routes["refund"].threshold == 0.6


def test_a_tag_that_a_proxy_made_weak_and_a_star_are_good(service):
    for tag in ('W/"1"', '"2"', "*"):
        body = {"utterances": [f"x {tag}"]}
        assert service.client.post("/routes/refund/utterances", json=body, headers={"If-Match": tag}).status_code == 200


def test_many_editors_with_revisions_lose_no_change(service):
    """Each reads, changes and, told that another was quicker, begins again."""

    def edit(number: int) -> None:
        for part in range(5):
            while True:
                seen = service.client.get("/routes").headers["etag"]
                body = {"utterances": [f"editor{number} part{part}"]}
                answer = service.client.post("/routes/refund/utterances", json=body, headers={"If-Match": seen})
                if answer.status_code == 200:
                    break
                assert answer.status_code == 412

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(service.router.routes["refund"].utterances) == 2 + 20
    assert service.router.revision == 1 + 20


def test_many_who_put_one_new_route_add_it_once(service):
    statuses: list[int] = []

    def put(number: int) -> None:
        body = {"utterances": [f"new thing {number}"]}
        statuses.append(service.client.put("/routes/new", json=body).status_code)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [200] * 7 + [201]


def test_what_was_acknowledged_is_in_the_file(serve, tmp_path):
    store = tmp_path / "routes.sqlite"
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=store) as router:
        service = serve(router=router)
        service.client.post("/routes", json={**NEW, "metadata": {"ключ": "знач\u0000"}})
        service.client.delete("/routes/track")
        with AdaptiveRouter(encoder=HashingEncoder(), store=store) as other:
            assert dict(other.routes) == dict(router.routes)
            assert other.routes["cancel"].metadata == {"ключ": "знач\u0000"}


def test_a_tag_of_a_store_that_was_there_before_is_no_longer_good(serve, tmp_path, support_routes, bundled):
    """The new one gives its numbers out again; plain revisions cannot tell."""
    tags = []
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        store = tmp_path / folder / "routes.db"
        with AdaptiveRouter(support_routes, encoder=bundled, store=store) as router:
            client = serve(router=router).client
            tags.append(client.get("/routes").headers["etag"])
            path = f"/routes/{support_routes[0].name}"
            refused = [client.delete(path, headers={"If-Match": tag}) for tag in tags[:-1]]
            assert [(answer.status_code, slug(answer)) for answer in refused] == [(412, "revision-conflict")] * len(
                refused
            )
            assert client.get("/routes", headers={"If-None-Match": tags[0]}).status_code == (200 if refused else 304)
            other = client.patch(path, json={"threshold": 0.6}, headers={"If-Match": tags[-1]})
            assert other.status_code == 200
            assert other.headers["etag"] == client.get(path).headers["etag"]
    assert len({tag.partition(".")[0] for tag in tags}) == 1 < len(set(tags))
