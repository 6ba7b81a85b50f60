"""Settings of the service: one frozen value, and the only place that reads the environment."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from synaptoroute_core import ConfigurationError
from synaptoroute_core.config import Count, Number, Seconds
from synaptoroute_core.errors import shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.types import Score
from synaptoroute_integrations.addresses import address_of, masked

PREFIX = "SYNAPTOROUTE_"
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes keep their figures; the metrics library's own variable."""
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
NONE = "none"
"""What a number may be that need not be there; an empty variable leaves the default."""


class ServerSettings(FrozenModel):
    """Settings of the service; units are in the names.

    Each may be given in the environment, in capitals and with the prefix ``SYNAPTOROUTE_``, such as
    ``SYNAPTOROUTE_DB``; lists are separated by commas.

    Attributes:
        db: SQLite file that keeps the routes, made if it is not there; or URL of a PostgreSQL or Redis database.
            None = in memory.
        routes: Route file to serve from memory, in the place of ``db``: changes are gone when it ends.
        host: Address to listen on; a public one needs keys.
        port: Port to listen on; 0 = any that is free.
        workers: Processes that serve the same store.
        keys_file: File with a key a line, as ``synaptoroute key`` prints them.
        keys: The same lines in place of a file, separated by commas.
        encoder: Name or folder of a fastembed model; None = the bundled model.
        threshold: Least score of a route without a threshold of its own; None = the engine's.
        min_margin: Least lead over the second best route; None = the engine's.
        max_texts: Most texts of one ``POST /route``.
        max_body_bytes: Largest body of a request.
        max_stream_bytes: Largest body of ``POST /route/stream``.
        max_in_flight: Most requests at work; one more is refused with 429.
        max_pending: Most texts waiting and running in the engine.
        max_queue_s: Longest time that a text may expect to wait; one more is refused with 429.
        cache_size: Texts whose vectors and decisions are kept; 0 = none.
        timeout_s: Time that a text gets to be decided, unless its request says otherwise.
        rate_limit: Requests per second of each key; without keys, of each client address. None = no limit.
        rate_burst: Requests that a key may send at once before the limit holds; None = two seconds' worth.
        body_timeout_s: Longest time that the body of a request may take to arrive.
        max_staleness_s: How long the store may be out of reach before ``/health/ready`` says ``stale``. None = never.
        drain_timeout_s: How long to go on answering what was accepted after a request to stop.
        cors_origins: Web origins whose pages may ask; ``*`` = all. None may by default.
        allowed_hosts: Host names to answer to; empty = all with keys, and this machine's without.
        playground: Whether to serve the page at ``/``.
        abstentions_kept: How many recent abstentions to keep in memory, with their texts, for admins; 0 = none.
        log_format: ``text`` for people, ``json`` for machines.
        log_level: Least level of what is logged.
        log_queries: Whether abstentions are logged with their text.
        runtime_dir: Folder that the workers share for what is known of jobs; None = a temporary one.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # there are passwords in it

    db: str | None = None
    routes: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[Count, Field(ge=0, le=65535)] = 8000
    workers: Annotated[Count, Field(ge=1, le=64)] = 1
    keys_file: str | None = None
    keys: SecretStr | None = None
    encoder: str | None = None
    threshold: Score | None = None
    min_margin: Annotated[Number, Field(ge=0.0, le=2.0)] | None = None
    max_texts: Annotated[Count, Field(ge=1, le=10_000)] = 64
    max_body_bytes: Annotated[Count, Field(ge=1024)] = 262_144
    max_stream_bytes: Annotated[Count, Field(ge=1024)] = 8_388_608
    max_in_flight: Annotated[Count, Field(ge=1)] = 1_000
    max_pending: Annotated[Count, Field(ge=1)] = 10_000
    max_queue_s: Seconds | None = 0.1
    cache_size: Annotated[Count, Field(ge=0)] = 4096
    timeout_s: Annotated[Seconds, Field(gt=0)] = 30.0
    rate_limit: Annotated[Number, Field(gt=0)] | None = None
    rate_burst: Annotated[Count, Field(ge=1)] | None = None
    body_timeout_s: Annotated[Seconds, Field(gt=0)] = 10.0
    max_staleness_s: Annotated[Seconds, Field(gt=0)] | None = 30.0
    drain_timeout_s: Seconds = 10.0
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    playground: bool = True
    abstentions_kept: Annotated[Count, Field(ge=0, le=10_000)] = 50
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_queries: bool = False
    runtime_dir: str | None = None

    @field_validator("db")
    @classmethod
    def _as_it_was_meant(cls, value: str | None) -> str | None:
        return None if value is None else address_of(value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.db is not None and self.routes is not None:
            raise ConfigurationError(
                f"db and routes are both given; put the route file into the store first: "
                f"synaptoroute add --from {self.routes} --db {masked(self.db)}"
            )
        if self.workers > 1 and self.db is None:
            raise ConfigurationError(
                f"workers = {self.workers}, but there is no store that they could share: name one with db"
            )
        if self.keys is not None and self.keys_file is not None:
            raise ConfigurationError("keys and keys_file are both given: name one of them")
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What is shown of it: no password."""
        for name, value in super().__repr_args__():
            yield name, masked(value) if name == "db" and value is not None else value

    @property
    def has_keys(self) -> bool:
        """Whether requests need a key."""
        return self.keys is not None or self.keys_file is not None

    @property
    def is_public(self) -> bool:
        """Whether other machines may reach ``host``, as far as can be told without asking a name server."""
        if self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True

    def require_keys(self) -> None:
        """Check that nobody but this machine can reach a service without keys.

        Raises:
            ConfigurationError: Anybody could.
        """
        if self.is_public and not self.has_keys:
            raise ConfigurationError(
                f"host = {self.host!r} can be reached from other machines, and there are no keys: make one with "
                "`synaptoroute key NAME --scope admin` and name its file with --keys-file, or listen on 127.0.0.1"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:
        """Settings from environment variables.

        Args:
            environment: The variables; None = the process's.
            **given: Settings that go before them.

        Raises:
            ConfigurationError: A value is not valid, or a variable with the prefix is no setting.
        """
        variables = os.environ if environment is None else environment
        found: dict[str, Any] = {}
        for variable, text in variables.items():
            if variable.startswith(PREFIX) and variable not in OTHER_VARIABLES:
                name = variable.removeprefix(PREFIX).lower()
                if name not in cls.model_fields:
                    raise ConfigurationError(f"{variable} is no setting of the service: there is {_names(cls)}")
                if text != "":
                    found[name] = _parsed(variable, text, cls.model_fields[name].annotation)
        return cls(**{**found, **{name: value for name, value in given.items() if value is not None}})


def metrics_folder() -> Path | None:
    """Where the workers of one service keep their figures; None = there is one worker."""
    folder = os.environ.get(SHARED_METRICS)
    return None if folder is None else Path(folder)


def share_metrics(folder: Path) -> None:
    """Have the processes that this one starts keep their figures in a folder."""
    os.environ[SHARED_METRICS] = str(folder)


OTHER_VARIABLES: frozenset[str] = frozenset()
"""Variables with the prefix that are no settings of the service."""


def _names(cls: type[ServerSettings]) -> str:
    return ", ".join(PREFIX + name.upper() for name in cls.model_fields)


def _parsed(variable: str, text: str, annotation: Any) -> object:
    """The value of a variable: pydantic is strict about numbers, which the environment has as text."""
    kinds = set(get_args(annotation)) | {annotation}
    kinds |= {base for kind in kinds for base in get_args(kind)}
    if bool in kinds:
        if text.lower() not in (*TRUE, *FALSE):
            raise ConfigurationError(f"{variable} = {shorten(text)}: use true or false")
        return text.lower() in TRUE
    if str in kinds or SecretStr in kinds:
        return tuple(part.strip() for part in text.split(",") if part.strip()) if tuple in _origins(kinds) else text
    if type(None) in kinds and text.lower() == NONE and {int, float} & kinds:
        return None
    for kind in (int, float):
        if kind in kinds:
            return _number(variable, text, kind)
    return text


def _number(variable: str, text: str, kind: type[int | float]) -> int | float:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigurationError(f"{variable} = {shorten(text)}: use {wanted}") from None


def _origins(kinds: set[Any]) -> set[Any]:
    return {getattr(kind, "__origin__", kind) for kind in kinds}
