"""Texts from the command line or from a stream, in batches."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

BATCH = 64
"""Texts that are decided together: enough to keep all workers busy, few enough to be answered soon."""

CHUNK_BYTES = 65_536
MAX_LINE_BYTES = 65_536
"""What is kept of a line; the router reads 16,384 characters of a text, each of at most four bytes."""


@dataclass(frozen=True, slots=True)
class Line:
    """A text, or why there is none.

    Attributes:
        number: Line of the stream, from 1; None for an argument of the command line.
        text: The text; None if the line is not text at all.
        error: Why it cannot be used; None if it can.
    """

    number: int | None
    text: str | None
    error: str | None = None


def from_arguments(texts: Sequence[str]) -> Iterator[list[Line]]:
    """Batches of the texts given as arguments."""
    for start in range(0, len(texts), BATCH):
        yield [
            Line(None, text, None if text.strip() else f"text {number} is blank")
            for number, text in enumerate(texts[start : start + BATCH], start=start + 1)
        ]


def from_stream(stream: BinaryIO) -> Iterator[list[Line]]:
    """Batches of the lines of a stream, each as soon as it is there.

    A batch holds what has come so far, so that one who writes a line and waits for its answer gets
    it, and one who writes a million lines gets them in large batches. Memory stays the same however
    long the stream and its lines are.
    """
    number = 0
    for lines in _complete_lines(stream):
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            yield [_decoded(number + place, line) for place, line in enumerate(batch, start=1)]
            number += len(batch)


def _complete_lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    rest = b""
    read = getattr(stream, "read1", stream.read)  # what is there, rather than wait for a full chunk
    while chunk := read(CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[: MAX_LINE_BYTES + 1]
        yield lines
    if rest:
        yield [rest]


def _decoded(number: int, line: bytes) -> Line:
    cut = len(line) > MAX_LINE_BYTES
    # A cut may go through a character, which is then left out; any other damage is an error.
    decoder = codecs.getincrementaldecoder("utf-8-sig" if number == 1 else "utf-8")()
    try:
        text = decoder.decode(line[:MAX_LINE_BYTES], final=not cut)
    except UnicodeDecodeError as error:
        return Line(number, None, f"the line is not UTF-8: {error.reason} at byte {error.start + 1}")
    text = text.removesuffix("\r")
    return Line(number, text, None if text.strip() else "the line is blank")
