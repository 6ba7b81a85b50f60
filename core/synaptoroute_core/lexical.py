"""The letters of a text as a vector: what an embedding blurs, such as rare words, codes and misspellings.

Character 2- to 4-grams within words and word 1- and 2-grams are hashed into buckets, weighted by
tf-idf, and projected to a few hundred dimensions, which truncated SVD found when the head was trained.
A query needs numpy alone for it, no vocabulary, and some tens of microseconds.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BUCKETS = 8192
"""Buckets that n-grams are hashed into. On validation splits 32,768 were no better, 4,096 a little worse."""
MAX_CHARS = 1024
"""What is read of a text; the bundled model reads about as much."""

WORD = re.compile(r"\w+")
SPACE = np.uint32(32)
FACTOR = np.uint32(16_777_619)
WORD_PAIR = np.uint32(0x9E37_79B9)
LONGEST_GRAM = 4


class Bag(NamedTuple):
    """The n-grams of a text.

    Attributes:
        buckets: Distinct buckets, ascending: shape (buckets,).
        counts: How many n-grams fell into each: shape (buckets,).
        words: Hash of each word, in order: shape (words,).
    """

    buckets: NDArray[np.intp]
    counts: NDArray[np.intp]
    words: NDArray[np.uint32]


def bag_of(text: str) -> Bag:
    """Hash the n-grams of a text, without regard to case and punctuation."""
    found = WORD.findall(text[:MAX_CHARS].casefold())
    words = np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in found], np.uint32)
    if not len(words):
        return Bag(np.empty(0, np.intp), np.empty(0, np.intp), words)
    codes = [*_character_grams(f" {' '.join(found)} "), words, words[:-1] * FACTOR + words[1:] + WORD_PAIR]
    buckets, counts = np.unique(_mixed(np.concatenate(codes)) % BUCKETS, return_counts=True)
    return Bag(buckets.astype(np.intp), counts, words)


def _character_grams(spaced: str) -> list[NDArray[np.uint32]]:
    """Hashes of the character n-grams that do not go across a space; one at either end belongs to its word."""
    points = np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), np.uint32)
    crossing = np.zeros(len(points), np.bool_)
    codes, grams = points, []
    for length in range(2, LONGEST_GRAM + 1):
        if len(points) < length:
            break
        codes = codes[:-1] * FACTOR + points[length - 1 :]
        # Inside the new n-gram lies what ended the last one, unless that was its first character.
        crossing = crossing[:-1] | (points[length - 2 : -1] == SPACE) if length > 2 else crossing[:-1]  # noqa: PLR2004
        grams.append(codes[~crossing] + np.uint32(length))
    return grams


def _mixed(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Spread what lies close together over all bits."""
    codes = codes ^ (codes >> np.uint32(16))
    codes = codes * np.uint32(0x7FEB_352D)
    codes = codes ^ (codes >> np.uint32(15))
    codes = codes * np.uint32(0x846C_A68B)
    return codes ^ (codes >> np.uint32(16))


class LexicalRow(NamedTuple):
    """What a lexicon says of a text.

    Attributes:
        vector: Unit length, or zero where nothing in the text is known: shape (dim,), float32.
        covered: Length of the vector before it was scaled: how much of the text the lexicon has seen.
        unknown: Share of the words that it has never seen.
        words: How many words the text has.
    """

    vector: NDArray[np.float32]
    covered: float
    unknown: float
    words: int


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Weights of buckets and their projection, from the texts that a head was trained on.

    Attributes:
        used: Buckets that were seen, ascending: shape (used,), int32.
        idf: Weight of each: shape (used,), float32.
        unseen_idf: Weight of all others.
        projection: A row for each used bucket: shape (used, dim), float16.
        words: Hashes of the words that were seen, ascending: shape (words,), uint32.
    """

    used: NDArray[np.int32]
    idf: NDArray[np.float32]
    unseen_idf: float
    projection: NDArray[np.float16]
    words: NDArray[np.uint32]

    def __post_init__(self) -> None:
        # In one order in memory: numbers that lie in another are added up in another, and give other bits.
        for name in ("used", "idf", "projection", "words"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.projection.shape[1])

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        weights = np.full(BUCKETS, self.unseen_idf, np.float32)
        weights[self.used] = self.idf
        return weights

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        """Row of each bucket in the projection; the last one, of zeros, for buckets never seen."""
        places = np.full(BUCKETS, len(self.used), np.intp)
        places[self.used] = np.arange(len(self.used))
        return places

    @cached_property
    def _rows(self) -> NDArray[np.float32]:
        return np.concatenate([self.projection, np.zeros((1, self.dim), np.float16)]).astype(np.float32)

    def row(self, text: str) -> LexicalRow:
        """The text's vector and what is known of it; the same bits whatever was asked before."""
        bag = bag_of(text)
        if not len(bag.words):
            return LexicalRow(np.zeros(self.dim, np.float32), 0.0, 1.0, 0)
        weights = weigh(bag.counts, self._weights[bag.buckets])
        # Added up row by row, not by BLAS, whose order of adding may change with the machine's mood.
        vector = np.add.reduce(self._rows[self._places[bag.buckets]] * weights[:, None], axis=0)
        length = float(np.sqrt(np.add.reduce(vector * vector)))
        places = np.searchsorted(self.words, bag.words)
        places[places == len(self.words)] = 0
        unknown = float((self.words[places] != bag.words).mean()) if len(self.words) else 1.0
        return LexicalRow(vector / np.float32(length) if length else vector, length, unknown, len(bag.words))


def weigh(counts: NDArray[np.intp], idf: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tf-idf weights of one text's buckets, with the count damped by its logarithm, of unit length."""
    weights = (1.0 + np.log(counts, dtype=np.float32)) * idf
    return np.asarray(weights / np.sqrt(np.add.reduce(weights * weights)), np.float32)
