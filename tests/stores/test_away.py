"""The server is away, or takes what is sent and never answers: queries go on, changes fail, and it is found again."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Self

import pytest
from proxy import AWAY, HALF_OPEN, Fault, Proxy
from replica import open_store
from servers import PrivatePostgres, PrivateRedis
from watching import ENCODER, FAREWELL, GREETING, eventually

from synaptoroute_core import AdaptiveRouter, RouterClosedError, StorageError
from synaptoroute_core.storage import Store

KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "redis")]
PATIENCE_S = 30.0
SETTINGS = {"timeout_s": 0.5, "poll_interval_s": 0.2}
Server = PrivatePostgres | PrivateRedis


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Servers of one's own, by their kind. A test leaves them running."""
    started: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(kind: str) -> Server:
            if kind not in started:
                made = PrivatePostgres() if kind == "postgres" else PrivateRedis(tmp_path_factory.mktemp("redis"))
                started[kind] = stack.enter_context(made)
            return started[kind]

        yield start


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What kind of server it is."""
    return request.param


@pytest.fixture
def server(kind: str, servers: Callable[[str], Server]) -> Server:
    """A server that may be killed."""
    return servers(kind)


@pytest.fixture
def opened(kind: str) -> Callable[[str], Store]:
    """Opens stores: ``opened(url)``; those of one test have the same routes."""
    namespace = f"t_{time.monotonic_ns():x}"
    return lambda url: open_store(kind, {"url": url, "namespace": namespace, **SETTINGS})


class Load:
    """Threads that ask without a pause."""

    def __init__(self, router: AdaptiveRouter) -> None:
        self._router = router
        self._stopping = threading.Event()
        self.answered = 0
        self.errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(3)]

    def _ask(self) -> None:
        while not self._stopping.wait(0.001):
            try:
                assert self._router.route(GREETING.utterances[0]).route == "greeting"
                self.answered += 1
            except Exception as error:  # noqa: BLE001  # the test looks
                self.errors.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


class Editor:
    """A thread that changes routes without a pause.

    Attributes:
        stored: Utterances that it was told are stored.
        refused: The errors of the others.
    """

    def __init__(self, router: AdaptiveRouter) -> None:
        self._router = router
        self._stopping = threading.Event()
        self.stored: list[str] = []
        self.refused: list[StorageError] = []
        self._thread = threading.Thread(target=self._edit)

    def _edit(self) -> None:
        number = 0
        while not self._stopping.wait(0.01):
            text, number = f"hello number {number}", number + 1
            try:
                self._router.add_utterances("greeting", [text])
                self.stored.append(text)
            except StorageError as error:
                self.refused.append(error)
            except RouterClosedError:
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join()


def failing(router: AdaptiveRouter) -> str | None:
    return router.sync_status().failing


# --- killed and started again --------------------------------------------------------------------


def test_queries_go_on_and_changes_fail_while_the_server_is_away(
    server: Server, opened: Callable[[str], Store], caplog: pytest.LogCaptureFixture
) -> None:
    """Changes that fail one after another do not keep the router from seeing that it is cut off."""
    with (
        caplog.at_level(logging.INFO),
        AdaptiveRouter([GREETING], encoder=ENCODER, store=opened(server.url)) as router,
        AdaptiveRouter(encoder=ENCODER, store=opened(server.url)) as other,
        Load(router) as load,
    ):
        with Editor(router) as editor:
            eventually(lambda: len(editor.stored) > 3)
            server.kill()
            eventually(lambda: failing(router) and failing(other) and len(editor.refused) > 3)
            before = load.answered
            ages = [router.behind_s]
            eventually(lambda: load.answered > before + 100)
            ages.append(router.behind_s)
            server.start()
            stored = len(editor.stored)
            eventually(lambda: failing(router) is None and failing(other) is None and len(editor.stored) > stored + 3)
        eventually(lambda: other.revision == router.revision)
        assert ages[0] < ages[1]
        assert load.errors == []
        # Some may be uncertain, of those that were under way: they are there as a whole, or not at all.
        certain = [text for text in router.routes["greeting"].utterances if text in editor.stored]
        assert certain == editor.stored
        assert router.revision == 1 + len(router.routes["greeting"].utterances) - len(GREETING.utterances)
        assert other.sync_status().digest == router.sync_status().digest
    lines = sorted(record.getMessage().partition(",")[0] for record in caplog.records)
    assert lines == ["the store cannot be followed"] * 2 + ["the store is followed again"] * 2


def test_a_router_that_is_cut_off_sees_what_others_changed_meanwhile(
    server: Server, opened: Callable[[str], Store]
) -> None:
    with (
        Proxy(server.url) as proxy,
        AdaptiveRouter([GREETING, FAREWELL], encoder=ENCODER, store=opened(server.url)) as near,
        AdaptiveRouter(encoder=ENCODER, store=opened(proxy.url)) as far,
    ):
        proxy.suffer(AWAY)
        near.remove_route("greeting")
        near.add_utterances("farewell", ["so long"])
        eventually(lambda: failing(far))
        assert "greeting" in far.routes
        with pytest.raises(StorageError):
            far.add_utterances("greeting", ["hi"])
        proxy.heal()
        eventually(lambda: far.sync_status().digest == near.sync_status().digest)
        assert list(far.routes) == ["farewell"]


def test_a_server_that_is_away_is_not_asked_all_the_time(server: Server, opened: Callable[[str], Store]) -> None:
    with Proxy(server.url) as proxy, AdaptiveRouter([GREETING], encoder=ENCODER, store=opened(proxy.url)) as router:
        server.kill()
        eventually(lambda: failing(router))
        before = proxy.accepted
        time.sleep(2.0)
        asked = proxy.accepted - before
        server.start()
        eventually(lambda: failing(router) is None)
        assert 1 <= asked <= 30  # by the router and by its listener; at the usual interval it would be more


# --- nobody answers ------------------------------------------------------------------------------


def test_changes_fail_and_closing_ends_while_nobody_answers(server: Server, opened: Callable[[str], Store]) -> None:
    with Proxy(server.url) as proxy:
        router = AdaptiveRouter([GREETING], encoder=ENCODER, store=opened(proxy.url))
        proxy.suffer(HALF_OPEN)
        with Editor(router) as first, Editor(router) as second:
            with Load(router) as load:
                eventually(lambda: first.refused and failing(router))
            closing = threading.Thread(target=router.close, daemon=True)
            closing.start()
            closing.join(PATIENCE_S)
            assert not closing.is_alive()
    assert load.errors == []
    assert (first.stored, second.stored) == ([], [])
    with AdaptiveRouter(encoder=ENCODER, store=opened(server.url)) as other:
        assert list(other.routes.values()) == [GREETING]


@pytest.mark.parametrize("fault", [AWAY, HALF_OPEN], ids=["away", "half-open"])
def test_opening_a_router_fails_when_there_is_no_server(
    fault: Fault, server: Server, opened: Callable[[str], Store]
) -> None:
    threads = set(threading.enumerate())
    with Proxy(server.url) as proxy:
        store = opened(proxy.url)
        proxy.suffer(fault)
        with pytest.raises(StorageError, match="cannot read"):
            AdaptiveRouter([GREETING], encoder=ENCODER, store=store)
        with pytest.raises(StorageError, match="cannot open"):
            opened(proxy.url)
    assert set(threading.enumerate()) == threads
