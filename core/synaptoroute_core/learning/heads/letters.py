"""Making a lexicon, and reading many texts with one: the training side of ``lexical.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.lexical import BUCKETS, Bag, Lexicon, weigh

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DIM = 256
"""Dimensions that letters are reduced to; 128 did a little worse on validation splits."""
SVD_ROUNDS = 3


def build_lexicon(bags: Sequence[Bag], seed: int) -> Lexicon:
    """Weigh buckets by how rare they are, and find the directions in which texts differ most.

    Tf-idf and truncated SVD (latent semantic analysis, Deerwester et al. 1990), the SVD randomised
    (Halko et al. 2011).
    """
    from sklearn.utils.extmath import randomized_svd

    seen = np.bincount(np.concatenate([bag.buckets for bag in bags]), minlength=BUCKETS)
    used = np.flatnonzero(seen).astype(np.int32)
    rarity = (np.log((1 + len(bags)) / (1 + seen)) + 1).astype(np.float32)
    dim = max(1, min(DIM, len(bags) - 1, len(used) - 1))
    if not len(used):  # nothing but punctuation
        used, projection = np.zeros(1, np.int32), np.zeros((1, 1), np.float16)
    else:
        _, _, directions = randomized_svd(
            weighted(bags, rarity)[:, used], n_components=dim, n_iter=SVD_ROUNDS, random_state=seed
        )
        projection = directions.T.astype(np.float16)
    return Lexicon(
        used=used,
        idf=rarity[used],
        unseen_idf=float(np.float32(np.log(1 + len(bags)) + 1)),
        projection=projection,
        words=np.unique(np.concatenate([bag.words for bag in bags])),
    )


def weighted(bags: Sequence[Bag], rarity: NDArray[np.float32]) -> csr_matrix:
    """Tf-idf rows of unit length: shape (texts, BUCKETS)."""
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *(len(bag.buckets) for bag in bags)])
    values = [weigh(bag.counts, rarity[bag.buckets]) if len(bag.buckets) else np.empty(0, np.float32) for bag in bags]
    columns = np.concatenate([bag.buckets for bag in bags])
    return csr_matrix((np.concatenate(values), columns, ends), shape=(len(bags), BUCKETS))


def read_letters(lexicon: Lexicon, bags: Sequence[Bag]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What :meth:`Lexicon.row` says of many texts, but for the last bits.

    Returns:
        Vectors, shape (texts, dim), and what :func:`~synaptoroute_core.head.letters_of` makes of the rest,
        shape (texts, 3).
    """
    rarity = np.full(BUCKETS, lexicon.unseen_idf, np.float32)
    rarity[lexicon.used] = lexicon.idf
    vectors = weighted(bags, rarity)[:, lexicon.used] @ lexicon.projection.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    counts = np.array([len(bag.words) for bag in bags])
    new = ~np.isin(np.concatenate([bag.words for bag in bags]), lexicon.words)
    unknown = np.bincount(np.repeat(np.arange(len(bags)), counts), weights=new, minlength=len(bags))
    shares = np.where(counts > 0, unknown / np.maximum(counts, 1), 1.0)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)[:, None]
    return unit, np.column_stack([lengths, shares, np.log1p(counts)])
