"""Who is let in, with what, and what pages of other origins may do."""

import hashlib

import pytest
from wire import ROUTES, SAFE, head, post, send

from synaptoroute_core import HashingEncoder
from synaptoroute_integrations.server.auth import KeyRing, make_key, parse_keys, required_scope
from synaptoroute_integrations.server.guarding import _is_local


@pytest.fixture(scope="module")
def keyed(serve_all):
    """A service with keys, and a key of each scope."""
    asks, asking = make_key("asker", "route")
    edits, editing = make_key("editor", "admin")
    setting = f"{asks.line()},{edits.line()}"
    return serve_all(routes=ROUTES, encoder=HashingEncoder(), keys=setting, max_queue_s=None), asking, editing


WRONG = {
    "nothing": "",
    "no scheme": "{key}",
    "no key": "Bearer",
    "no key but a blank": "Bearer ",
    "another scheme": "Basic {key}",
    "a scheme like it": "Bearers {key}",
    "a list": "Bearer {key}, Bearer {key}",
    "two keys": "Bearer {key} {key}",
    "quotes": 'Bearer "{key}"',
    "other case": "Bearer {KEY}",
    "a part": "Bearer {part}",
    "more": "Bearer {key}x",
    "not ASCII": "Bearer \u00e9\u00ff{key}",
    "very long": "Bearer " + "x" * 16_000,
    "its hash": "Bearer {hash}",
    "the line": "Bearer sha256:{hash}",
    "an escape": "Bearer %73{key}",
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_what_is_no_key_is_refused(keyed, value):
    service, _, key = keyed
    digest = hashlib.sha256(key.encode()).hexdigest()
    value = value.format(key=key, KEY=key.swapcase(), part=key[:-1], hash=digest)
    (answer,) = send(service.url, head("GET /stats HTTP/1.1", f"Authorization: {value}"))
    assert (answer.status, answer.slug) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert {name: answer.headers[name] for name in SAFE} == SAFE
    assert key[:12].encode() not in answer.body


@pytest.mark.parametrize("value", ["Bearer {key}", "bearer {key}", "BEARER   {key}  "])
def test_a_key_is_known_by_itself(keyed, value):
    service, _, key = keyed
    line = "Authorization: " + value.format(key=key)
    assert send(service.url, head("GET /stats HTTP/1.1", line))[0].status == 200


def test_of_two_headers_the_first_counts(keyed):
    service, _, key = keyed
    right, wrong = f"Authorization: Bearer {key}", "Authorization: Bearer x"
    assert send(service.url, head("GET /stats HTTP/1.1", wrong, right))[0].status == 401
    assert send(service.url, head("GET /stats HTTP/1.1", right, wrong))[0].status == 200


@pytest.mark.parametrize("where", ["?key={key}", "?authorization=Bearer%20{key}", "?access_token={key}"])
def test_a_key_in_the_address_is_none(keyed, where):
    """Addresses end up in logs."""
    service, _, key = keyed
    assert send(service.url, head(f"GET /stats{where.format(key=key)} HTTP/1.1"))[0].status == 401
    assert send(service.url, head("GET /stats HTTP/1.1", f"Cookie: Authorization={key}"))[0].status == 401


def test_a_key_for_asking_learns_what_it_lacks(keyed):
    service, key, _ = keyed
    (answer,) = send(service.url, post("/routes", b"{}", f"Authorization: Bearer {key}"))
    assert (answer.status, answer.slug) == (403, "forbidden")
    assert "'admin'" in answer.problem["detail"]
    assert answer.problem["detail"].endswith("yours is 'route'")


def test_a_refused_body_is_not_read(keyed):
    service, _, _ = keyed
    (answer,) = send(service.url, head("POST /routes HTTP/1.1", "Content-Length: 20000"))
    assert answer.status == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ANY"])
@pytest.mark.parametrize("path", ["/jobs", "/fit", "/evaluate", "/abstentions", "/routes/x/utterances", "/new", ""])
def test_what_nobody_thought_of_needs_all_rights(method, path):
    looks = method in ("GET", "HEAD") and path.startswith("/routes/")
    assert required_scope(method, path) == ("route" if looks else "admin")


@pytest.mark.parametrize(
    "path", ["/docsx", "/doc", "/health", "/health/live/", "/playground", "/Docs/", "/docs/../fit"]
)
def test_what_looks_like_an_open_path_is_none(path):
    open_folder = path.startswith("/docs/")  # nothing but files lies there, and .. is not followed
    assert required_scope("POST", path) == (None if open_folder else "admin")


def test_two_services_do_not_know_each_others_keys():
    (ours, secret), (theirs, other) = make_key("a", "route"), make_key("a", "route")
    assert secret != other
    ring = KeyRing([ours])
    assert ring.find(secret) is ours
    assert ring.find(other) is None
    assert ring.find("\ud800") is None
    assert parse_keys([theirs.line()], "x") == [theirs]


# --- without keys ---------------------------------------------------------------------------------


LOCAL = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
FOREIGN = ["10.0.0.1", "::ffff:10.0.0.1", "0.0.0.0", "::", "testclient", ""]  # noqa: S104


@pytest.mark.parametrize("address", LOCAL + FOREIGN)
def test_without_keys_only_this_machine_is_answered(address):
    assert _is_local({"client": (address, 1)}) == (address in LOCAL)


# --- pages of other origins -----------------------------------------------------------------------

PREFLIGHT = ("Origin: https://app.example", "Access-Control-Request-Method: POST")
ASKED = "Access-Control-Request-Headers: authorization,content-type"


def test_pages_of_other_origins_may_not_ask_by_default(keyed):
    service, _, key = keyed
    (answer,) = send(service.url, head("OPTIONS /route HTTP/1.1", *PREFLIGHT))
    assert answer.status == 401
    line = f"Authorization: Bearer {key}"
    (answer,) = send(service.url, post("/route", b'{"text": "refund my order"}', line, PREFLIGHT[0]))
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_pages_of_named_origins_may_ask_and_no_others(serve, keys):
    service = serve(routes=ROUTES, encoder=HashingEncoder(), keys=keys.setting, cors_origins=("https://app.example",))
    (answer,) = send(service.url, head("OPTIONS /route HTTP/1.1", *PREFLIGHT, ASKED))
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-credentials" not in answer.headers
    (answer,) = send(service.url, head("OPTIONS /route HTTP/1.1", "Origin: https://evil.example", PREFLIGHT[1]))
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (400, None)
    for line, status in ((f"Authorization: Bearer {keys.route}", 200), ("X: y", 401)):
        (answer,) = send(service.url, post("/route", b'{"text": "refund my order"}', line, PREFLIGHT[0]))
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == "https://app.example"  # or it could not read the 401
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        assert {name: answer.headers[name] for name in SAFE} == SAFE


def test_what_cannot_be_done_at_a_path_says_what_can(keyed):
    service, _, key = keyed
    line = f"Authorization: Bearer {key}"
    allowed = {"/routes": "GET, POST", "/routes/x": "DELETE, GET, PATCH, PUT", "/fit": "DELETE, POST", "/stats": "GET"}
    for path, methods in allowed.items():
        for method in ("OPTIONS", "TRACE", "PROPFIND"):
            (answer,) = send(service.url, head(f"{method} {path} HTTP/1.1", line))
            assert (answer.status, answer.headers["allow"]) == (405, methods)
