"""Serving: one process or several, over one socket."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from synaptoroute_core import AdaptiveRouter, ConfigurationError
from synaptoroute_integrations.server.app import create_app
from synaptoroute_integrations.server.lifecycle import SIGNALS
from synaptoroute_integrations.server.logs import configure_logging
from synaptoroute_integrations.server.protocol import PatientProtocol
from synaptoroute_integrations.server.service import open_router
from synaptoroute_integrations.server.settings import ServerSettings, share_metrics

BACKLOG = 2048
KEEP_ALIVE_S = 75
LAST_WORDS_S = 2
"""What the server gets to close connections, after what was accepted has been answered."""

Announce = Callable[[str, int, int], None]


def serve(settings: ServerSettings, announce: Announce) -> None:
    """Serve until a signal to stop.

    Args:
        settings: Settings.
        announce: Called with the URL and the numbers of routes and utterances before the first request is taken.

    Raises:
        ConfigurationError: A setting is not valid, the address is taken, or a public one has no keys.
        EncoderError: The model cannot be loaded.
        StorageError: The store cannot be opened.
    """
    settings.require_keys()
    configure_logging(settings)
    with _listening(settings) as listener:
        # Opened here even where workers will do it again: what is wrong with it is then said once, and clearly.
        with open_router(settings) as router:
            stats = router.stats()
            announce(_url(settings.host, listener.getsockname()[1]), stats.routes, stats.utterances)
            if settings.workers == 1:
                _serve_alone(settings, listener, router)
                return
        _serve_together(settings, listener)


def _serve_alone(settings: ServerSettings, listener: socket.socket, router: AdaptiveRouter) -> None:
    app = create_app(settings, router=router)
    with _ending_well():
        uvicorn.Server(_config(app)).run(sockets=[listener])


def _serve_together(settings: ServerSettings, listener: socket.socket) -> None:
    with tempfile.TemporaryDirectory(prefix="synaptoroute-") as folder:
        shared = settings.model_copy(update={"runtime_dir": settings.runtime_dir or folder})
        figures = Path(folder) / "metrics"
        figures.mkdir()
        share_metrics(figures)
        config = _config(partial(_create_worker, shared), factory=True, workers=settings.workers)
        supervisor = Multiprocess(config, sockets=[listener])
        signals: list[int] = []

        def on_signal(number: int, _: FrameType | None) -> None:
            signals.append(number)
            if len(signals) == 1:
                supervisor.signal_queue.append(number)
                return
            for process in supervisor.processes:
                process.kill()
            os._exit(128 + number)

        for number in SIGNALS:
            signal.signal(number, on_signal)
        supervisor.run()


def _create_worker(settings: ServerSettings) -> Any:
    configure_logging(settings)
    for number in SIGNALS:
        signal.signal(number, _ignore)  # what the server finds, and raises again when it has ended
    return create_app(settings)


def _config(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LAST_WORDS_S,
        **more,
    )


@contextmanager
def _ending_well() -> Iterator[None]:
    """The server raises the signal that ended it again; whoever was asked to stop and did has not failed."""
    before = {number: signal.signal(number, _ignore) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Nothing is left to do."""


@contextmanager
def _listening(settings: ServerSettings) -> Iterator[socket.socket]:
    address = settings.host, settings.port
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; choose another address with --host and --port"
        ) from error
    listener.set_inheritable(True)
    with listener:
        yield listener


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
