"""The tables of fits: what was learned, and the heads that were, each kept once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from synaptoroute_core.errors import StorageError
from synaptoroute_core.fits import Fit, digest_of, head_to_bytes
from synaptoroute_core.head import Head
from synaptoroute_core.storage.shelf import HeadShelf


class FitTables:
    """Reads and writes fits within the transactions of a store.

    Args:
        connection: The store's connection.
        place: What the database is called in messages.
    """

    def __init__(self, connection: sqlite3.Connection, place: str) -> None:
        self._connection = connection
        self._place = place
        self._shelf = HeadShelf(place, "delete all rows of the table fits")

    def write(self, fits: tuple[Fit, ...]) -> None:
        """Put fits in the place of those that are there."""
        self._connection.execute("DELETE FROM fits")
        for position, fit in enumerate(fits):
            self._connection.execute(
                "INSERT INTO fits (position, kind, threshold, head, fresh, replaced, details) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    position,
                    fit.kind,
                    fit.threshold,
                    None if fit.head is None else self._write_head(fit.head),
                    int(fit.fresh),
                    json.dumps(dict(fit.replaced)),
                    json.dumps(dict(fit.details)),
                ),
            )
        self._connection.execute("DELETE FROM heads WHERE digest NOT IN (SELECT head FROM fits WHERE head IS NOT NULL)")

    def _write_head(self, head: Head) -> str:
        content = head_to_bytes(head)
        digest = digest_of(content)
        self._connection.execute("INSERT OR IGNORE INTO heads VALUES (?, ?)", (digest, content))
        return digest

    def age(self) -> None:
        """Note that utterances have changed: what was learned of them no longer fits."""
        self._connection.execute("UPDATE fits SET fresh = 0 WHERE fresh = 1")

    def read(self) -> tuple[Fit, ...]:
        """The fits, the newest last. A head that was read before is not read again.

        Raises:
            StorageError: What is stored is damaged.
        """
        rows = self._connection.execute(
            "SELECT kind, threshold, head, fresh, replaced, details FROM fits ORDER BY position"
        ).fetchall()
        heads = self._shelf.read({row[2] for row in rows if row[2] is not None}, self._load_head)
        try:
            return tuple(_decode(row, heads) for row in rows)
        except (ValueError, TypeError) as error:
            raise StorageError(f"a fit in {self._place} is damaged: {error}") from error

    def _load_head(self, digest: str) -> bytes | None:
        row = self._connection.execute("SELECT CAST(content AS BLOB) FROM heads WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else bytes(row[0])


def _decode(row: tuple[Any, ...], heads: Mapping[str, Head]) -> Fit:
    kind, threshold, head, fresh, replaced, details = row
    return Fit(
        kind=kind,
        threshold=threshold,
        head=None if head is None else heads[head],
        fresh=bool(fresh),
        replaced=json.loads(replaced),
        details=json.loads(details),
    )
