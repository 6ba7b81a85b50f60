"""What an encoder is, and the one place where its vectors are checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np
from tqdm import tqdm

from synaptoroute_core.changes import Vectors
from synaptoroute_core.errors import ConfigurationError, EncoderError, shorten

DEFAULT_NOISE = 1e-5
"""How far a score may move between machines with float32 arithmetic."""

UNIT_TOLERANCE = 1e-3
UNIT_WITHIN = 1e-6
"""What float32 arithmetic leaves of a length of 1."""
ROWS_AXES = 2
CHUNK = 256
"""Texts that are encoded between two steps of a progress bar."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors. Write your own by having these four members; no base class needed.

    Attributes:
        fingerprint: Names model, files, pooling and length limit. Vectors of encoders with equal
            fingerprints may be compared; it is stored with the vectors.
        dim: Length of a vector.
        batch_invariant: A text's vector does not depend on the texts encoded beside it. If False,
            the engine encodes one text at a time.
    """

    @property
    def fingerprint(self) -> str:
        """See above."""
        ...

    @property
    def dim(self) -> int:
        """See above."""
        ...

    @property
    def batch_invariant(self) -> bool:
        """See above."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), dim), float32. Called from several threads."""
        ...


def require_encoder(value: object) -> Encoder:
    """The value, if it is an encoder whose members are of the right kind.

    Raises:
        ConfigurationError: It is none; the message names the member that is wrong.
    """
    if isinstance(value, type) or not isinstance(value, Encoder):
        raise ConfigurationError(
            f"{shorten(value)} is no encoder: it needs fingerprint, dim, batch_invariant and encode(texts); "
            "pass None for the bundled model or a fastembed model name"
        )
    dim: Any = value.dim
    noise: Any = getattr(value, "noise", DEFAULT_NOISE)
    # A store would keep the routes under a fingerprint of another kind, but not find them again.
    _require(isinstance(value.fingerprint, str) and value.fingerprint, value, "fingerprint", "a text that is not empty")
    whole = isinstance(dim, int | np.integer) and not isinstance(dim, bool)
    _require(whole and dim >= 1, value, "dim", "a whole number from 1")
    _require(isinstance(value.batch_invariant, bool | np.bool_), value, "batch_invariant", "True or False")
    _require(callable(value.encode), value, "encode", "a method")
    _require(isinstance(noise, int | float | np.number) and 0 <= noise < np.inf, value, "noise", "a number from 0")
    return value


def _require(fits: object, encoder: Encoder, member: str, wanted: str) -> None:
    if not fits:
        found = shorten(getattr(encoder, member))
        raise ConfigurationError(f"the encoder's {member} is {found}, it must be {wanted}: {type(encoder).__name__}")


def encode_each(encoder: Encoder, texts: Sequence[str]) -> list[Vectors | EncoderError]:
    """Encode texts so that one which fails does not harm the others.

    Returns:
        For each text its vector, shape (dim,), or the error that it caused.
    """
    if encoder.batch_invariant:
        try:
            return list(encode_checked(encoder, texts))
        except EncoderError as error:
            if len(texts) == 1:
                return [error]
    return [_encode_alone(encoder, text) for text in texts]


def encode_texts(
    encoder: Encoder, texts: Sequence[str], *, label: str = "encoding utterances", threads: int = 1
) -> Vectors:
    """Encode texts of which none may fail, with a progress bar on a terminal if they are many.

    Args:
        encoder: The encoder.
        texts: The texts.
        label: What the progress bar says.
        threads: Chunks that are encoded at the same time.

    Returns:
        The vectors: shape (len(texts), dim).

    Raises:
        EncoderError: A text could not be encoded; the message names it.
    """
    vectors = np.empty((len(texts), encoder.dim), np.float32)
    # Like lengths together, which encoders are fast with; only where they do not care who is beside whom.
    ranking = sorted(range(len(texts)), key=lambda row: len(texts[row])) if threads > 1 else range(len(texts))
    chunks = [ranking[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        run = pool.map if threads > 1 else map
        found = run(lambda rows: encode_each(encoder, [texts[row] for row in rows]), chunks)
        for rows, encoded in zip(_shown(chunks, label), found, strict=True):
            for row, vector in zip(rows, encoded, strict=True):
                if isinstance(vector, EncoderError):
                    raise vector
                vectors[row] = vector
    return vectors


def encode_checked(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """``encoder.encode(texts)``, with every failure turned into an :class:`EncoderError`.

    A vector with a NaN must not come through: numpy's argmax would choose its row.
    """
    try:
        vectors = np.asarray(encoder.encode(texts), np.float32)
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderError(f"the encoder failed on {_name(texts)}: {type(error).__name__}: {error}") from error
    if vectors.shape != (len(texts), encoder.dim):
        raise EncoderError(
            f"the encoder gave an array of shape {vectors.shape} for {_name(texts)}, "
            f"expected ({len(texts)}, {encoder.dim})"
        )
    lengths = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))
    if len(wrong):
        raise EncoderError(
            f"the encoder gave a vector of length {lengths[wrong[0]]} for {shorten(texts[int(wrong[0])])}, expected 1"
        )
    return vectors


def clean_vector(vector: object, dim: int) -> Vectors:
    """A vector that a caller brought along, of unit length: shape (dim,), float32.

    Raises:
        ConfigurationError: It has another shape, is zero, or is not finite.
    """
    try:
        row = np.asarray(vector, np.float32)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"vector = {shorten(vector)}: give {dim} numbers") from error
    if row.shape != (dim,):
        raise ConfigurationError(f"the vector has the shape {row.shape}, the encoder's have ({dim},)")
    length = float(np.linalg.norm(row))
    if not 0.0 < length < np.inf:
        raise ConfigurationError(f"the vector has the length {length}: it must be finite and not zero")
    # One that is good as it is stays the same to the last bit.
    return row if abs(length - 1.0) <= UNIT_TOLERANCE else row / np.float32(length)


def unit_rows(rows: object) -> Vectors:
    """Rows from a model that does not promise unit length, brought to it: float32, of the same shape.

    What has no direction, or is no array of rows, stays as it is: the engine refuses it by name.
    """
    vectors = np.asarray(rows, np.float64)
    if vectors.ndim != ROWS_AXES:
        return vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A row that is good as it is stays the same to the last bit.
    scalable = np.isfinite(lengths) & (lengths > 0) & (np.abs(lengths - 1.0) > UNIT_WITHIN)
    np.divide(vectors, lengths, out=vectors, where=scalable)
    return vectors.astype(np.float32)


def noise_of(encoder: Encoder) -> float:
    """By how much a score may differ between machines: the encoder's own ``noise`` if it has one."""
    return float(getattr(encoder, "noise", DEFAULT_NOISE))


def _encode_alone(encoder: Encoder, text: str) -> Vectors | EncoderError:
    try:
        vector: Vectors = encode_checked(encoder, [text])[0]
    except EncoderError as error:
        return error
    return vector


def _shown(chunks: Sequence[Sequence[int]], label: str) -> Iterator[Sequence[int]]:
    """The chunks, with a progress bar."""
    # disable=None: no bar where standard error is not a terminal.
    disable = None if len(chunks) > 1 else True
    with tqdm(total=sum(map(len, chunks)), desc=label, unit="text", leave=False, disable=disable) as bar:
        for rows in chunks:
            yield rows
            bar.update(len(rows))


def _name(texts: Sequence[str]) -> str:
    return shorten(texts[0]) if len(texts) == 1 else f"{len(texts)} texts"
