"""Serving: one process or several, over one socket."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from synaptoroute_core import AdaptiveRouter, ConfigurationError, RouterStats, SynaptoRouteError
from synaptoroute_integrations.server.app import create_app
from synaptoroute_integrations.server.auth import KeyRing
from synaptoroute_integrations.server.lifecycle import FORCE_S
from synaptoroute_integrations.server.logs import configure_logging
from synaptoroute_integrations.server.metrics import forget_dead
from synaptoroute_integrations.server.processes import SIGNALS
from synaptoroute_integrations.server.protocol import PatientProtocol
from synaptoroute_integrations.server.service import Service, open_router
from synaptoroute_integrations.server.settings import ServerSettings, share_metrics
from synaptoroute_integrations.server.supervising import CANNOT_START, Supervisor

logger = logging.getLogger(__name__)

BACKLOG = 2048
KEEP_ALIVE_S = 75
LAST_WORDS_S = 2.0
"""What slow readers get at the least to take what was sent to them, after all is answered."""

Announce = Callable[[str, int, int], None]


def serve(settings: ServerSettings, announce: Announce) -> None:
    """Serve until a signal to stop.

    Args:
        settings: Settings.
        announce: Called with the URL and the numbers of routes and utterances before the first request is taken.

    Raises:
        ConfigurationError: A setting is not valid, a folder cannot be made, the address is taken, or a public one
            has no keys.
        EncoderError: The model cannot be loaded.
        StorageError: The store cannot be opened.
        SystemExit: A second signal came, or no worker can start.
    """
    settings.require_keys()
    KeyRing.from_settings(settings)  # here, so that what is wrong with the keys is said before anything else
    _make_folder(settings)
    configure_logging(settings)
    with _listening(settings) as listener:

        def say(stats: RouterStats) -> None:
            announce(_url(settings.host, listener.getsockname()[1]), stats.routes, stats.utterances)

        if settings.workers == 1:
            with open_router(settings) as router:
                _serve_alone(settings, listener, router, lambda: say(router.stats()))
        else:
            stats = _looked_into(settings)
            _serve_together(settings, listener, lambda: say(stats))


def _looked_into(settings: ServerSettings) -> RouterStats:
    """Open what the workers will open: what is wrong with it is then said once, and clearly."""
    with open_router(settings) as router:
        return router.stats()


def _serve_alone(
    settings: ServerSettings, listener: socket.socket, router: AdaptiveRouter, ready: Callable[[], None]
) -> None:
    app = create_app(settings, router=router)
    config = uvicorn.Config(
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
    )
    server = _Server(config, app.state.service)
    with _ending_well(server):
        ready()
        server.run(sockets=[listener])


def _serve_together(settings: ServerSettings, listener: socket.socket, ready: Callable[[], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="synaptoroute-") as folder:
        shared = settings.model_copy(update={"runtime_dir": settings.runtime_dir or folder})
        figures = Path(folder) / "metrics"
        figures.mkdir()
        share_metrics(figures)
        supervisor = Supervisor(
            partial(_work, shared, listener),
            settings.workers,
            grace_s=settings.drain_timeout_s + FORCE_S + LAST_WORDS_S,
            buried=partial(forget_dead, figures),
        )
        with supervisor.listening():
            ready()
            supervisor.run()


def _work(settings: ServerSettings, listener: socket.socket) -> None:
    """What a worker does."""
    configure_logging(settings)
    try:
        with open_router(settings) as router:
            _serve_alone(settings, listener, router, lambda: None)
    except SynaptoRouteError as error:
        logger.error("this worker cannot start: %s", error)  # noqa: TRY400  # it says all there is to know
        sys.exit(CANNOT_START)


class _Server(uvicorn.Server):
    """Gives slow readers what is left of the time to drain.

    Args:
        config: Uvicorn's settings.
        service: Knows until when.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is open."""
        left = max(LAST_WORDS_S, self._service.stop_by - time.monotonic())
        self.config.timeout_graceful_shutdown = left  # type: ignore[assignment]  # it is only waited for
        await super().shutdown(sockets)


@contextmanager
def _ending_well(server: uvicorn.Server) -> Iterator[None]:
    """Whoever was asked to stop and did has not failed: the server raises the signal that ended it again. And
    a signal that comes before the server listens for it is not lost.
    """  # noqa: D205  # one thought

    def on_signal(_: int, __: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    with listener:
        yield listener


def _make_folder(settings: ServerSettings) -> None:
    try:
        if settings.runtime_dir is not None:
            Path(settings.runtime_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"runtime_dir = {settings.runtime_dir!r}: {error}") from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
