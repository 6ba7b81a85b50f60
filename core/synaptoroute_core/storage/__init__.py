"""Where routes are kept. The store is the truth; memory follows it."""

from pathlib import Path

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.storage.base import Store
from synaptoroute_core.storage.sqlite import MEMORY, SqliteStore

__all__ = ["MEMORY", "SqliteStore", "Store", "open_store"]


def open_store(store: Store | str | Path) -> Store:
    """The store that an argument stands for.

    Args:
        store: A store; or the path of a SQLite file, made if it is not there; or ``:memory:``.

    Raises:
        ConfigurationError: The argument is none of these.
        StorageError: The file cannot be opened.
    """
    if isinstance(store, str | Path):
        if "://" in str(store):
            raise ConfigurationError(f"no store for the URL {shorten(str(store))}: pass the path of a SQLite file")
        return SqliteStore(store)
    if not isinstance(store, Store):
        raise ConfigurationError(f"{shorten(store)} is no store: pass the path of a SQLite file or ':memory:'")
    return store
