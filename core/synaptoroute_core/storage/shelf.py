"""Fits as JSON documents, and the heads beside them, each kept once under the digest of its bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from synaptoroute_core.errors import StorageError
from synaptoroute_core.fits import Fit, digest_of, head_from_bytes, head_to_bytes
from synaptoroute_core.head import Head

Load = Callable[[str], bytes | None]
"""Gets the bytes that are stored under a digest; None if there are none."""


class HeadShelf:
    """Heads by digest. One that was read before is not read again.

    Args:
        place: What the store is called in messages.
        remedy: What to do when a head is damaged.
    """

    def __init__(self, place: str, remedy: str) -> None:
        self._place = place
        self._remedy = remedy
        self._heads: dict[str, Head] = {}

    @property
    def digests(self) -> tuple[str, ...]:
        """Those of the heads that need not be read again."""
        return tuple(self._heads)

    def read(self, digests: Iterable[str], load: Load) -> Mapping[str, Head]:
        """The heads; others are forgotten.

        Raises:
            StorageError: One is not there, or is damaged.
        """
        self._heads = {digest: self._heads.get(digest) or self._read(digest, load(digest)) for digest in digests}
        return self._heads

    def _read(self, digest: str, content: bytes | None) -> Head:
        try:
            if content is None or digest_of(content) != digest:
                raise ValueError("its content is not what its digest says")
            return head_from_bytes(content)
        except ValueError as error:
            raise StorageError(
                f"a fitted head in {self._place} is damaged: {error}; {self._remedy}, open it again and fit again"
            ) from error


class FitDocuments:
    """Turns fits into one JSON document and back.

    Args:
        place: What the store is called in messages.
        remedy: What to do when something is damaged.
    """

    def __init__(self, place: str, remedy: str) -> None:
        self._place = place
        self._shelf = HeadShelf(place, remedy)

    @property
    def known(self) -> tuple[str, ...]:
        """Digests of the heads that need not be loaded again."""
        return self._shelf.digests

    def encode(self, fits: Iterable[Fit]) -> tuple[str, dict[str, bytes]]:
        """The document, and the bytes of each head under their digest."""
        heads: dict[str, bytes] = {}
        fields = []
        for fit in fits:
            digest = None
            if fit.head is not None:
                content = head_to_bytes(fit.head)
                digest = digest_of(content)
                heads[digest] = content
            fields.append(
                {
                    "kind": fit.kind,
                    "threshold": fit.threshold,
                    "head": digest,
                    "fresh": fit.fresh,
                    "replaced": dict(fit.replaced),
                    "details": dict(fit.details),
                }
            )
        return json.dumps(fields), heads

    def aged(self, document: str) -> str:
        """The document of the same fits, of utterances that have changed since."""
        return json.dumps([{**fields, "fresh": False} for fields in json.loads(document)])

    def decode(self, document: str, load: Load) -> tuple[Fit, ...]:
        """The fits of a document.

        Raises:
            StorageError: What is stored is damaged.
        """
        try:
            rows: list[dict[str, Any]] = json.loads(document)
            heads = self._shelf.read({row["head"] for row in rows if row["head"] is not None}, load)
            return tuple(Fit(**{**row, "head": None if row["head"] is None else heads[row["head"]]}) for row in rows)
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(f"a fit in {self._place} is damaged: {error}") from error
