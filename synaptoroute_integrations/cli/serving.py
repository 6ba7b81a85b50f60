"""``synaptoroute serve`` and ``synaptoroute key``."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synaptoroute_integrations.cli.app import FAILED, app
from synaptoroute_integrations.cli.options import Db, EncoderName, Json, MinMargin, Threshold

if TYPE_CHECKING:
    from synaptoroute_integrations.server import ServerSettings

logger = logging.getLogger(__name__)


@app.command()
def serve(
    *,
    db: Db = None,
    routes: Annotated[
        Path | None, typer.Option("--routes", metavar="FILE", help="Route file to serve from memory, without --db.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on, 0 = any; default: 8000.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that serve the store; default: 1.")
    ] = None,
    keys_file: Annotated[
        Path | None, typer.Option("--keys-file", metavar="FILE", help="Keys that may ask, from `synaptoroute key`.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", metavar="text|json", help="How to log; default: text.")
    ] = None,
    encoder: EncoderName = None,
    threshold: Threshold = None,
    min_margin: MinMargin = None,
) -> None:
    """Serve the router over HTTP, with a page to try it at `/`.

    More settings are read from the environment: `SYNAPTOROUTE_MAX_TEXTS=64` and the like; `docs/http.md`
    lists them. SIGTERM or Ctrl-C answers what was accepted and ends with exit code 0; a second one ends at once.
    """
    from synaptoroute_core import ConfigurationError

    _require_extra()
    from synaptoroute_integrations.server import ServerSettings
    from synaptoroute_integrations.server.running import serve as run

    settings = ServerSettings.from_environment(
        db=db,
        routes=None if routes is None else str(routes),
        host=host,
        port=port,
        workers=workers,
        keys_file=None if keys_file is None else str(keys_file),
        log_format=log_format,
        encoder=encoder,
        threshold=threshold,
        min_margin=min_margin,
    )
    if settings.db is None and settings.routes is None:
        raise ConfigurationError("no routes to serve: name a store with --db, or a route file with --routes FILE")
    run(settings, partial(_announce, settings))


def _require_extra() -> None:
    """Check that the service is installed, or say how to install it."""
    from synaptoroute_integrations.cli.output import show_error

    try:
        import synaptoroute_integrations.server  # noqa: F401
    except ImportError as error:
        show_error(str(error))
        raise typer.Exit(FAILED) from None


def _announce(settings: ServerSettings, url: str, routes: int, utterances: int) -> None:
    """Say that it serves, and where; in a log of JSON, as JSON."""
    from synaptoroute_core.words import counted
    from synaptoroute_integrations.cli.output import show_note

    held = f"{counted(routes, 'route')}, {counted(utterances, 'utterance')}"
    notes = []
    if settings.db is None:
        notes.append("changes are kept in memory only; with --db they outlive the service")
    if not settings.has_keys:
        notes.append("there are no keys: only this machine is answered")
    if settings.log_format == "json":
        for line in (f"serving {held} on {url}", *notes):
            logger.info(line)
        return
    typer.echo(f"serving {held} on {url}  (page: {url}/  interface: {url}/docs  stop: Ctrl-C)", err=True)
    for note in notes:
        show_note(note)


@app.command()
def key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is; it shows in the log.")],
    *,
    scope: Annotated[str, typer.Option("--scope", metavar="route|admin", help="What it may do.")] = "route",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Add its line to this file; made if need be.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key for the service. It is shown once: what the service keeps is its hash.

    Scope `route` may ask and look; `admin` may also change routes and see recent abstentions.
    """
    from synaptoroute_core import ConfigurationError
    from synaptoroute_integrations.cli.output import show_note, write_json

    _require_extra()
    from synaptoroute_integrations.server.auth import add_key, make_key

    if scope not in ("route", "admin"):
        raise ConfigurationError(f"scope {scope!r}: use route or admin")
    made, secret = make_key(name, "admin" if scope == "admin" else "route")
    if file is not None:
        add_key(file, made)
    if as_json:
        write_json({"name": made.name, "scope": made.scope, "key": secret, "line": made.line()})
        return
    typer.echo(secret)
    show_note(f"added to {file}" if file is not None else f"line for the keys file: {made.line()}")
    show_note("keep the key safe: it is not shown again")
