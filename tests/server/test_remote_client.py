"""The client as an object: its keys and arguments, what it shows of them, and how it is copied and closed."""

import inspect
import pickle
import re
from copy import copy, deepcopy
from pathlib import Path

import pytest

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, Router, RouterClosedError
from synaptoroute_integrations.remote import RemoteError, RemoteRouter

GREETING = Route("greeting", ["hello there", "good morning"])


# --- keys ------------------------------------------------------------------------------------------


def test_a_key_opens_what_its_scope_allows(serve, keys):
    url = serve(keys=keys.setting).url
    with RemoteRouter(url, keys.route) as asker, RemoteRouter(url, keys.admin) as editor:
        assert asker.route("my money").candidates
        assert editor.add_route(GREETING).changed == 2
        with pytest.raises(RemoteError, match="--scope admin") as caught:
            asker.remove_route("greeting")
        assert caught.value.status == 403
    for key in (None, "wrong"):
        with RemoteRouter(url, key) as stranger, pytest.raises(RemoteError, match="key=") as caught:
            stranger.route("my money")
        assert caught.value.status == 401
        assert caught.value.request_id in str(caught.value)


def test_the_key_is_not_shown(keys):
    with RemoteRouter("http://localhost:1", keys.admin, headers={"X-Gate": "s3cret"}, retries=0) as remote:
        assert repr(remote) == "RemoteRouter('http://localhost:1')"
        assert keys.admin not in repr(vars(remote))
        assert "s3cret" not in repr(vars(remote))
        with pytest.raises(RemoteError) as caught:
            remote.route("x")
        assert keys.admin not in str(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"url": "127.0.0.1:8000"}, "http://"),
        ({"url": "ftp://host"}, "http://"),
        ({"url": "http://"}, "http://"),
        ({"url": 8000}, "http://"),
        ({"url": "http://host/?key=x"}, "http://"),
        ({"url": "http://host:port"}, "http://"),
        ({"url": "http://user:secret@host"}, "key=..."),
        ({"key": "two words"}, "key"),
        ({"key": "line\r\nX-Evil: 1"}, "key"),
        ({"key": ""}, "key"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"retries": -1}, "retries"),
        ({"max_texts": 0}, "max_texts"),
        ({"headers": {"Authorization": "x"}}, "Authorization"),
        ({"headers": {"X-A": "line\r\nX-Evil: 1"}}, "X-A"),
        ({"headers": ["x"]}, "mapping"),
    ],
)
def test_arguments_are_checked(arguments, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        RemoteRouter(**{"url": "http://localhost:8000", **arguments})
    assert "secret" not in str(caught.value)


# --- being a router --------------------------------------------------------------------------------


def test_it_has_the_methods_of_the_engine_with_the_same_arguments():
    for name, member in inspect.getmembers(RemoteRouter, inspect.isfunction):
        twin = getattr(AdaptiveRouter, name, None)
        if not name.startswith("_") and twin is not None:
            assert list(inspect.signature(member).parameters) == list(inspect.signature(twin).parameters), name
    asked_and_edited = {"route", "route_batch", "route_each", "choices", "explain", "evaluate", "stats"} | {
        "add_route", "remove_route", "add_utterances", "remove_utterances", "update_threshold", "close",
    }  # fmt: skip
    for name in asked_and_edited:
        assert hasattr(RemoteRouter, name)
        assert inspect.iscoroutinefunction(getattr(RemoteRouter, f"a{name}"))


def test_both_are_routers_and_finding_that_out_asks_nothing(local):
    with RemoteRouter("http://localhost:1") as remote:
        assert isinstance(remote, Router)
    assert isinstance(local, Router)
    assert not isinstance(object(), Router)


def test_copies_share_the_connections_and_a_pickled_one_makes_its_own(remote, local):
    assert copy(remote) is deepcopy(remote) is remote
    with pickle.loads(pickle.dumps(remote)) as other:
        assert other is not remote
        assert other.route("my money") == local.route("my money")


async def test_a_closed_one_says_so(served):
    remote = RemoteRouter(served.url)
    async with remote:
        assert (await remote.aroute("my money")).candidates
        assert remote.route("my money").candidates
    remote.close()
    with pytest.raises(RouterClosedError, match="closed"):
        remote.route("my money")
    with pytest.raises(RouterClosedError, match="closed"):
        await remote.aroute("my money")


def test_one_that_nobody_closed_is_reported(served):
    remote = RemoteRouter(served.url)
    remote.route("my money")
    with pytest.warns(ResourceWarning, match="RemoteRouter was not closed"):
        del remote


# --- the document ----------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[2] / "docs" / "remote.md"


def test_the_examples_of_the_document_run_and_print_what_they_say(serve, capsys):
    url, namespace = serve().url, {"__name__": "documented"}
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 4
    for code in examples:
        exec(compile(code.replace("http://127.0.0.1:8000", url), "remote.md", "exec"), namespace)  # noqa: S102  # ours
        assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
