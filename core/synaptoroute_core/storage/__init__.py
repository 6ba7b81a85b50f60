"""Where routes are kept. The store is the truth; memory follows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.storage.base import RemoteStore, Store
from synaptoroute_core.storage.sqlite import MEMORY, SqliteStore

OPTIONS: dict[str, Callable[[str], str | float]] = {"namespace": str, "timeout_s": float}
"""Of the stores themselves, which a URL may give; others in it are the driver's."""

HALF_A_URL = re.compile(r"\s*(postgres|postgresql|redis|rediss|unix):(?!//)", re.IGNORECASE)

__all__ = ["MEMORY", "RemoteStore", "SqliteStore", "Store", "open_store", "require_no_half_url"]


def open_store(store: Store | str | Path) -> Store:
    """The store that an argument stands for.

    Args:
        store: A store; or the path of a SQLite file, made if it is not there; or ``:memory:``; or the URL of a
            PostgreSQL or Redis database. ``?namespace=name`` in a URL says which of several sets of routes there it is,
            ``?timeout_s=10`` how long the server may take to answer.

    Raises:
        ConfigurationError: The argument is none of these.
        StorageError: The file cannot be opened.
    """
    if isinstance(store, str | Path):
        require_no_half_url(str(store))
        return _open_url(str(store)) if "://" in str(store) else SqliteStore(store)
    if not isinstance(store, Store):
        raise ConfigurationError(f"{shorten(store)} is no store: pass the path of a SQLite file or ':memory:'")
    return store


def require_no_half_url(store: str) -> None:
    """Check that what begins like the URL of a database is one: a file of such a name nobody can mean.

    Raises:
        ConfigurationError: It is none.
    """
    if half := HALF_A_URL.match(store):
        # Without what follows, which may be a password.
        raise ConfigurationError(f"{half[1]}: is followed by // in the URL of a store, as in {half[1]}://host/database")


def _open_url(url: str) -> Store:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Not even as the cause: its message may quote the password.
        raise ConfigurationError("this is no URL of a store: use redis://user@host:6379/0, for example") from None
    options = _options(parts.query)
    kept = "&".join(pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in OPTIONS)
    # The drivers know schemes in small letters only.
    bare = parts.scheme + url.partition("?")[0][len(parts.scheme) :] + (f"?{kept}" if kept else "")
    if "@" in parts.path and parts.scheme != "unix":
        raise ConfigurationError(
            "this is no URL of a store: use one such as redis://user:password@host:6379/0, "
            "and write %2F for '/' in a password"
        )
    if parts.scheme in ("postgresql", "postgres"):
        from synaptoroute_core.storage.postgres import PostgresStore

        return PostgresStore(bare, **options)
    if parts.scheme in ("redis", "rediss", "unix"):
        from synaptoroute_core.storage.redis import RedisStore

        return RedisStore(bare, **options)
    raise ConfigurationError(
        f"no store for URLs that begin with {shorten(parts.scheme)}: use postgresql:// or redis://, "
        "or the path of a SQLite file"
    )


def _options(query: str) -> dict[str, Any]:
    """What the query of a URL says of the store itself."""
    found = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items() if name in OPTIONS}
    try:
        return {name: OPTIONS[name](value) for name, value in found.items()}
    except ValueError:
        raise ConfigurationError(
            f"timeout_s = {shorten(found['timeout_s'])} in the URL of a store: give a number of seconds above 0"
        ) from None
