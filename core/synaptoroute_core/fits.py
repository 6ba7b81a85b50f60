"""What a router has learned, as it is kept with the routes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from synaptoroute_core.head import FEATURES, Head
from synaptoroute_core.lexical import BUCKETS, Lexicon

FitKind: TypeAlias = Literal["thresholds", "head", "calibration"]
MAX_FITS = 4
"""Fits that are kept, the newest in force, the others to go back to."""

MAGIC = b"synaptoroute-head-1\n"
LENGTH_BYTES = 8
LARGEST_IDF = 1e6
"""Far more than the logarithm of any number of texts; its square is still a float."""
ARRAYS = {
    "weights": "<f4",
    "biases": "<f4",
    "acceptor": "<f8",
    "used": "<i4",
    "idf": "<f4",
    "projection": "<f2",
    "words": "<u4",
}


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """One thing learned. It belongs to the utterances that it was learned from.

    Attributes:
        kind: What was fitted.
        threshold: Least score, or confidence where there is a head; None = as in the router's settings.
        head: The head that decides; None = decisions go by similarity.
        fresh: Whether no utterance was added or removed since. A head that is not fresh does not decide.
        replaced: Thresholds of routes that this fit replaced, by name.
        details: JSON data: what it takes to fit again, and what was found.
    """

    kind: FitKind
    threshold: float | None = None
    head: Head | None = None
    fresh: bool = True
    replaced: Mapping[str, float | None] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        state = "fresh" if self.fresh else "its utterances have changed"
        return f"Fit({self.kind!r}, threshold={self.threshold}, head={self.head!r}, {state})"


class FittedRule(NamedTuple):
    """The rule in force.

    Attributes:
        head: Decides, if there is one.
        least: Least score or confidence; None = as in the router's settings.
    """

    head: Head | None = None
    least: float | None = None


def rule_of(fits: Sequence[Fit]) -> FittedRule:
    """The newest rule that holds: a head whose routes have changed since makes way for what was before it."""
    for fit in reversed(fits):
        if fit.head is None or fit.fresh:
            return FittedRule(fit.head, fit.threshold)
    return FittedRule()


def newest_of(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """As many fits as are kept; never a calibration without the fit that made its head, and can make it again."""
    kept = tuple(fits[-MAX_FITS:])
    if any(fit.head is not None for fit in kept) and all(fit.kind != "head" for fit in kept):
        made = next((fit for fit in reversed(fits) if fit.kind == "head"), kept[0])
        return (made, *kept[1:])
    return kept


def head_to_bytes(head: Head) -> bytes:
    """A head as bytes: a line, the length of a JSON header, the header, little-endian arrays one after another."""
    lexicon = head.lexicon
    arrays = {
        name: np.ascontiguousarray(getattr(lexicon if hasattr(lexicon, name) else head, name), kind)
        for name, kind in ARRAYS.items()
    }
    header = json.dumps(
        {
            "names": head.names,
            "blend": head.blend,
            "lexical_weight": head.lexical_weight,
            "unseen_idf": lexicon.unseen_idf,
            "shapes": {name: array.shape for name, array in arrays.items()},
        }
    ).encode()
    parts = [
        MAGIC,
        len(header).to_bytes(LENGTH_BYTES, "little"),
        header,
        *(array.tobytes() for array in arrays.values()),
    ]
    return b"".join(parts)


def head_from_bytes(content: bytes) -> Head:
    """The head that :func:`head_to_bytes` wrote.

    Raises:
        ValueError: The bytes are not of one, or are damaged.
    """
    if not content.startswith(MAGIC):
        raise ValueError("it is no head of this version")
    start = len(MAGIC) + LENGTH_BYTES
    end = start + int.from_bytes(content[len(MAGIC) : start], "little")
    try:
        header = json.loads(content[start:end])
        arrays, place = {}, end
        for name, kind in ARRAYS.items():
            shape = tuple(int(length) for length in header["shapes"][name])
            count = int(np.prod(shape, dtype=np.int64))
            arrays[name] = (
                np.frombuffer(content, kind, count, place).reshape(shape).astype(np.dtype(kind).newbyteorder("="))
            )
            place += arrays[name].nbytes
        lexicon = Lexicon(
            used=arrays["used"],
            idf=arrays["idf"],
            unseen_idf=float(header["unseen_idf"]),
            projection=arrays["projection"],
            words=arrays["words"],
        )
        head = Head(
            names=tuple(map(str, header["names"])),
            weights=arrays["weights"],
            biases=arrays["biases"],
            blend=float(header["blend"]),
            lexical_weight=float(header["lexical_weight"]),
            lexicon=lexicon,
            acceptor=arrays["acceptor"],
        )
    except (KeyError, TypeError, AttributeError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"its header is damaged: {error!r}") from error
    if place != len(content):
        raise ValueError(f"it has {len(content):,} bytes, its header speaks of {place:,}")
    _require_sound(head, arrays)
    return head


def _require_sound(head: Head, arrays: Mapping[str, Any]) -> None:
    """Check that arrays fit each other and have no number that would win every comparison."""
    lexicon, routes = head.lexicon, len(head.names)
    sound = (
        head.weights.ndim == lexicon.projection.ndim == 2  # noqa: PLR2004
        and head.weights.shape[0] == routes
        and head.biases.shape == (routes,)
        and head.acceptor.shape == (len(FEATURES) + 1,)
        and lexicon.idf.shape == lexicon.used.shape == lexicon.projection.shape[:1]
        and lexicon.words.ndim == 1
        and head.weights.shape[1] > lexicon.dim
        and list(head.names) == sorted(set(head.names))
        and bool((lexicon.used >= 0).all() and (lexicon.used < BUCKETS).all())
        and bool((lexicon.idf > 0).all() and (lexicon.idf < LARGEST_IDF).all())
        and 0 < lexicon.unseen_idf < LARGEST_IDF
    )
    numbers = [head.blend, head.lexical_weight, lexicon.unseen_idf]
    if not sound or not np.isfinite(numbers).all() or not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("its parts do not fit together")


def digest_of(content: bytes) -> str:
    """The sha256 of a head's bytes: what it is stored under."""
    return hashlib.sha256(content).hexdigest()
