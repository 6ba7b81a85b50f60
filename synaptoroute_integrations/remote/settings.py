"""Settings of a client, and what is wrong with them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TypeAlias

import httpx

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten

Transport: TypeAlias = httpx.BaseTransport | httpx.AsyncBaseTransport

MAX_SECONDS = 86_400.0 * 365
"""What is more is as good as no limit, and clocks cannot count to all of it."""

TOKEN = re.compile(r"[!-~]+")
OWN_HEADERS = frozenset({"authorization", "content-length", "content-type", "host", "if-match", "if-none-match"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """Arguments of :class:`RemoteRouter`, checked.

    Raises:
        ConfigurationError: A value is not valid.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    retries: int = 3
    max_texts: int = 64
    max_body_bytes: int = 262_144
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: ssl.SSLContext | bool = True
    transport: Transport | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _clean_url(self.url))
        object.__setattr__(self, "timeout_s", clean_seconds("timeout_s", self.timeout_s))
        object.__setattr__(self, "headers", _clean_headers(self.headers))
        if self.key is not None and not (isinstance(self.key, str) and TOKEN.fullmatch(self.key)):
            raise ConfigurationError("key: use the text that `synaptoroute key` printed, without spaces and line ends")
        for name, least in (("retries", 0), ("max_texts", 1), ("max_body_bytes", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigurationError(f"{name} = {shorten(value)}: use a whole number from {least}")

    def client_arguments(self) -> dict[str, Any]:
        """Arguments of httpx's clients, blocking and awaitable."""
        own = {"Accept": "application/json", "User-Agent": f"synaptoroute/{version('synaptoroute-integrations')}"}
        if self.key is not None:
            own["Authorization"] = f"Bearer {self.key}"
        return {
            "headers": {**own, **self.headers},
            # Where nothing is encrypted there is nothing to verify, and reading certificates takes 20 ms a client.
            "verify": self.verify if self.url.startswith("https:") else False,
            # Servers close connections that nothing was sent on for 5 s (uvicorn's default). An edit on one that is
            # just being closed could not be sent again: nobody knows whether it arrived.
            "limits": httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3.0),
            # What a router does is decided by its arguments: no proxies and no .netrc from the environment.
            "trust_env": False,
            "follow_redirects": False,
        }


def clean_seconds(name: str, value: object, *, least: float | None = None) -> float:
    """Seconds as a number that clocks can count to; more than 0, or ``least`` and more.

    Raises:
        ConfigurationError: It is no such number.
    """
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not (value > 0 if least is None else value >= least):  # type: ignore[operator]  # checked
        wanted = "more than 0" if least is None else f"{least:g} or more, or None"
        raise ConfigurationError(f"{name} = {shorten(value)}: give seconds, {wanted}")
    return min(float(value), MAX_SECONDS)  # type: ignore[arg-type]  # likewise


def _clean_url(value: object) -> str:
    try:
        url = httpx.URL(value)  # type: ignore[arg-type]  # raises TypeError for what is no text
    except (TypeError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"url = {shorten(value)}: use one such as http://127.0.0.1:8000 ({error})") from None
    if url.userinfo:
        raise ConfigurationError(f"url: give the key as key=..., not within the address of {url.host}")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ConfigurationError(f"url = {shorten(value)}: use one such as http://127.0.0.1:8000")
    return str(url).rstrip("/")


def _clean_headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigurationError("headers: give a mapping of names to values")
    for name, value in given.items():
        # Values may be secrets: they are not shown.
        if not isinstance(name, str) or not TOKEN.fullmatch(name) or name.lower() in OWN_HEADERS:
            raise ConfigurationError(f"headers: {shorten(name)} cannot be set here")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ConfigurationError(f"headers: the value of {name!r} must be printable ASCII")
    return dict(given)
