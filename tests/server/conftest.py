"""The service as its clients meet it: real servers on loopback, in a thread or as processes of their own."""

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from browsing import Playground, chromium, playground

from synaptoroute_core import AdaptiveRouter, BundledEncoder, Encoder, RouterConfig
from synaptoroute_integrations.remote import RemoteRouter
from synaptoroute_integrations.server import ServerSettings, create_app
from synaptoroute_integrations.server.auth import make_key
from synaptoroute_integrations.server.logs import LOGGERS
from synaptoroute_integrations.server.protocol import PatientProtocol

# Places in databases, and servers and networks that fail, are those of the tests of stores.
sys.path.append(str(Path(__file__).parents[1] / "stores"))

START_S = 60
END_S = 30


@dataclass
class Served:
    """A service in a thread of this process, and a client for it."""

    url: str
    router: AdaptiveRouter
    app: Any
    client: httpx.Client

    def ask(self, text: str, **more: Any) -> httpx.Response:
        return self.client.post("/route", json={"text": text, **more})


Serve = Callable[..., Served]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A service sets up the log of its process; a test's process has others to run, with another standard error."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def serve(support_routes, bundled: BundledEncoder) -> Iterator[Serve]:
    """Starts services: ``serve(routes=..., encoder=..., router=..., config=..., **settings)``."""
    yield from _serving(support_routes, bundled)


@pytest.fixture(scope="module")
def serve_all(support_routes, bundled: BundledEncoder) -> Iterator[Serve]:
    """The same, for services that all tests of a module ask and none harms."""
    yield from _serving(support_routes, bundled)


def _serving(support_routes: Any, bundled: BundledEncoder) -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(
            *,
            routes: Any = support_routes,
            encoder: Encoder | None = None,
            router: AdaptiveRouter | None = None,
            config: RouterConfig | None = None,
            key: str | None = None,
            **settings: Any,
        ) -> Served:
            if router is None:
                router = stack.enter_context(AdaptiveRouter(routes, encoder=encoder or bundled, config=config))
            app = create_app(ServerSettings(**settings), router=router)
            url = stack.enter_context(running(app))
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False))
            return Served(url, router, app, client)

        yield start


@contextlib.contextmanager
def running(app: Any) -> Iterator[str]:
    """A server in a thread; its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), START_S)
        assert server.started, "the server did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(END_S)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


@dataclass
class Process:
    """``synaptoroute serve`` as a process of its own."""

    process: subprocess.Popen[str]
    url: str
    log: list[str] = field(default_factory=list)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = END_S) -> int:
        """Its exit code."""
        return self.process.wait(timeout)


@pytest.fixture
def serve_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts ``synaptoroute serve --port 0`` with more arguments; what is left at the end is killed."""
    started: list[Process] = []

    def start(*arguments: str, **environment: str) -> Process:
        command = [sys.executable, "-m", "synaptoroute_integrations", "serve", "--port", "0", *arguments]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        served = Process(process, "")
        started.append(served)
        assert process.stderr is not None
        for line in process.stderr:
            served.log.append(line)
            if "serving " in line and " on http" in line:  # as JSON, if that is how it logs
                served.url = re.findall(r"http://[^\s\"/]+", line)[0]
                break
        assert served.url, "".join(served.log)
        # Read on, or the pipe fills and the service waits for ever.
        threading.Thread(target=lambda: served.log.extend(process.stderr or ()), daemon=True).start()
        wait_until(lambda: is_ready(served.url), START_S)
        return served

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait(END_S)
        if served.process.stderr is not None:
            time.sleep(0.05)
            served.process.stderr.close()


@pytest.fixture
def keys() -> "Keys":
    """A key of each scope."""
    return Keys()


class Keys:
    """Keys of both scopes: ``keys.setting`` for the service, ``keys.route`` and ``keys.admin`` for clients."""

    def __init__(self) -> None:
        asks, self.route = make_key("asker", "route")
        edits, self.admin = make_key("editor", "admin")
        self.lines = [asks.line(), edits.line()]
        self.setting = ",".join(self.lines)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Callable[[], Any], timeout: float = 30, every: float = 0.01) -> Any:
    """What ``condition`` gives once it is truthy; fails if that takes too long."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(every)
    return found


# --- clients -----------------------------------------------------------------------------------------


@pytest.fixture
def served(serve: Serve) -> Served:
    """The sample routes behind a service without keys."""
    return serve()


@pytest.fixture
def local(served: Served) -> AdaptiveRouter:
    """The engine that the service asks."""
    return served.router


@pytest.fixture
def remote(served: Served) -> Iterator[RemoteRouter]:
    """A client of it."""
    with RemoteRouter(served.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; of a module, since while it is open no event loop can be run in this thread."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Playground]]:
    """Opens the playground of a service."""
    with contextlib.ExitStack() as stack:
        yield lambda url, **context: stack.enter_context(playground(browser, url, **context))


@pytest.fixture
def expect() -> Any:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect

    return expect
