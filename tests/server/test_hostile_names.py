"""Names, paths and headers that mean harm."""

import json

import pytest
from wire import ROUTES, SAFE, head, post, send

from synaptoroute_core import HashingEncoder


@pytest.fixture(scope="module")
def service(serve_all):
    return serve_all(routes=ROUTES, encoder=HashingEncoder(), max_queue_s=None)


def get(service, target: str, *lines: str, host: str = "localhost"):
    """The answer to a GET, byte by byte as given: client libraries tidy paths up."""
    (answer,) = send(service.url, head(f"GET {target} HTTP/1.1", *lines, host=host))
    assert answer.status >= 400 or answer.headers["content-type"]
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    return answer


NOWHERE = [
    *("/routes/../stats", "/./routes", "/routes/./refund", "//routes", "/routes/refund/", "/ROUTES", "/routes/a%2Fb"),
    *("/playground/../settings.py", "/playground/%2e%2e/settings.py", "/playground/..%2f..%2fsettings.py"),
    *("/playground/....//settings.py", "/playground//etc/passwd", "/playground/%2fetc%2fpasswd"),
    *("/playground/app.js%00.png", "/playground/", "/docs/assets/../../server/settings.py", "/docs/assets/%2e%2e/x"),
    *("/docs/assets/..%5c..%5csettings.py", "/%00", "/%ff", "/%2e%2e/%2e%2e/etc/passwd", "/routes%00", "/metrics/"),
]


@pytest.mark.parametrize("target", NOWHERE)
def test_a_path_that_leads_nowhere_leads_nowhere(service, target):
    answer = get(service, target)
    assert (answer.status, answer.slug) == (404, "not-found")
    assert b"import" not in answer.body


@pytest.mark.parametrize("target", ["/routes/%00", "/routes/%0d%0aSet-Cookie:x", "/routes/..", "/routes/%1b[31m"])
def test_an_odd_name_in_a_path_is_a_route_that_is_not_there(service, target):
    answer = get(service, target)
    assert (answer.status, answer.slug) == (404, "route-not-found")
    assert "set-cookie" not in answer.headers


def test_a_name_in_a_path_has_an_end(service):
    assert get(service, "/routes/" + "x" * 129).slug == "invalid-request"
    assert get(service, "/jobs/" + "x" * 65).slug == "invalid-request"


@pytest.mark.parametrize("job", ["x", "..", "%00", "0" * 32, "0" * 31, "%2e%2e%2fkeys", "A" * 32])
def test_an_odd_number_of_a_job_is_a_job_that_is_not_there(service, job):
    assert get(service, f"/jobs/{job}").slug == "not-found"


def test_a_target_with_a_host_in_it_is_read_as_its_path(service):
    assert get(service, "http://localhost/routes").status == 200
    assert get(service, "http://evil.example/routes", host="evil.example").status == 403


@pytest.mark.parametrize("name", ["..", "."])
def test_a_name_that_no_url_can_hold_is_refused(service, name):
    for answer in (
        service.client.post("/routes", json={"name": name, "utterances": ["x"]}),
        service.client.put("/routes/%2e%2e" if name == ".." else "/routes/%2e", json={"utterances": ["x"]}),
    ):
        assert answer.status_code in (404, 422)
    assert not {".", ".."} & set(service.router.routes)


@pytest.mark.parametrize("name", ["a b", "a/b", "", "x" * 129, "a\n", "a\r\nX: y", "\x1b[31m", "a\0", "<b>", "\u202e"])
def test_what_cannot_be_a_name_is_refused(service, name):
    assert service.client.post("/routes", json={"name": name, "utterances": ["x"]}).status_code == 422
    assert service.client.post("/route", json={"text": "x", "extra": [{"name": name, "utterances": ["x"]}]}).is_error


@pytest.mark.parametrize("name", ["возврат", "返品", "a.b-c_d", "...", "x" * 128, "é", "__proto__", "constructor"])
def test_a_name_of_any_script_is_reached_by_its_location(service, name):
    answer = service.client.post("/routes", json={"name": name, "utterances": ["ein ganz eigener Satz"]})
    assert answer.status_code == 201
    assert service.client.get(answer.headers["location"]).json()["name"] == name
    assert service.ask("ein ganz eigener Satz").json()["route"] == name
    put = service.client.put(answer.headers["location"], json={"utterances": ["noch einer"]})
    assert put.status_code == 200
    assert service.client.delete(answer.headers["location"]).status_code == 200


def test_a_put_of_a_new_name_of_any_script_says_where_it_is(service):
    answer = service.client.put("/routes/возврат", json={"utterances": ["x"]})
    assert answer.status_code == 201
    assert service.client.get(answer.headers["location"]).json()["name"] == "возврат"
    assert service.client.delete(answer.headers["location"]).status_code == 200


# --- choices --------------------------------------------------------------------------------------


def test_names_that_are_not_there_are_named(service):
    answer = service.ask("x", allowed=["refund", "refnd"])
    assert (answer.status_code, answer.json()["name"]) == (422, "refnd")
    assert "did you mean 'refund'" in answer.json()["detail"]
    assert service.ask("x", allowed=[""]).status_code == 422


def test_names_that_are_given_twice_count_once(service):
    once, twice = (service.ask("refund my order", allowed=["refund"] * count).json() for count in (1, 2))
    assert once == twice
    assert once["route"] == "refund"


def test_among_nothing_nothing_is_chosen(service):
    assert service.ask("refund my order", allowed=[]).json()["reason"] == "no_routes"
    assert service.ask("refund my order", extra=[]).json()["reason"] == "no_routes"


def test_an_extra_route_may_have_the_name_of_a_stored_one_that_is_not_asked(service):
    extra = [{"name": "refund", "utterances": ["quite another thing"]}]
    decision = service.ask("quite another thing", extra=extra).json()
    assert (decision["route"], decision["candidates"][0]["utterance"]) == ("refund", "quite another thing")
    assert service.ask("quite another thing").json()["route"] is None  # it was for that request only
    both = service.ask("x", allowed=["refund"], extra=extra)
    assert (both.status_code, both.json()["detail"]) == (422, "two of the choices are named 'refund'")


def test_two_extra_routes_of_one_name_are_refused(service):
    extra = [{"name": "x", "utterances": ["a"]}, {"name": "x", "utterances": ["b"]}]
    assert service.ask("x", extra=extra).status_code == 422


def test_a_choice_with_a_route_that_was_removed_since_is_refused(service):
    service.client.put("/routes/gone", json={"utterances": ["quite gone"]})
    extra = [{"name": "x", "utterances": ["quite another thing"]}]
    assert service.ask("quite gone", allowed=["gone"], extra=extra).json()["route"] == "gone"
    service.client.delete("/routes/gone")
    assert service.ask("quite gone", allowed=["gone"], extra=extra).status_code == 422


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["abc-1.2_3", "x" * 64])
def test_the_number_that_a_caller_gives_to_a_request_is_kept(service, value):
    assert get(service, "/stats", f"X-Request-ID: {value}").headers["x-request-id"] == value
    assert get(service, "/nowhere", f"X-Request-ID: {value}").problem["request_id"] == value


@pytest.mark.parametrize("value", ["x" * 65, "a b", "a;b", "é", "a\tb", '"a"', ""])
def test_a_number_that_could_do_harm_is_replaced(service, value):
    answer = get(service, "/nowhere", f"X-Request-ID: {value}")
    assert len(answer.headers["x-request-id"]) == 16
    assert answer.problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("line", ["X-Request-ID: a\rInjected: 1", "X-Request-ID: a\n Injected: 1", "X: a\x00b"])
def test_line_ends_and_nul_in_headers_do_not_come_back(service, line):
    for answer in send(service.url, head("GET /stats HTTP/1.1", line)):
        assert "injected" not in answer.headers
        assert "Injected" not in answer.headers.get("x-request-id", "")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "evil:80", "", "[::2]"])
@pytest.mark.parametrize("target", ["/stats", "/", "/openapi.json", "/metrics"])
def test_without_keys_a_name_that_others_can_point_here_is_not_answered(service, host, target):
    answer = get(service, target, host=host)
    assert (answer.status, answer.slug) == (403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8000", "[::1]:80", "[::1]"])
def test_the_names_of_this_machine_are_answered(service, host):
    assert get(service, "/stats", host=host).status == 200


def test_health_is_answered_by_any_name(service):
    """Who watches over containers asks by address."""
    assert get(service, "/health/live", host="10.0.0.7:8000").status == 200
    assert get(service, "/health/ready", host="10.0.0.7:8000").status == 200


def test_allowed_hosts_hold_with_keys_too(serve, keys):
    service = serve(routes=ROUTES, encoder=HashingEncoder(), keys=keys.setting, allowed_hosts=("router.example",))
    key = f"Authorization: Bearer {keys.admin}"
    assert get(service, "/stats", key, host="router.example:443").status == 200
    assert get(service, "/stats", key, host="evil.example").status == 403
    assert get(service, "/health/ready", host="10.0.0.7").status == 200


@pytest.mark.parametrize("tag", ["7", "'7'", '"seven"', '"7', '""', '"-1"', '"1", "2"', "\u00b2", '"' + "9" * 19 + '"'])
def test_a_tag_that_is_none_of_ours_changes_nothing(service, tag):
    request = post("/routes", json.dumps({"name": "x", "utterances": ["y"]}).encode(), f"If-Match: {tag}")
    (answer,) = send(service.url, request)
    assert answer.status in (412, 422)
    assert "x" not in service.router.routes
