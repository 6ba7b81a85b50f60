"""What an edit costs: adding an utterance, the query after it, opening a large store, 20,000 overwrites."""

from __future__ import annotations

import statistics
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import harness
import numpy as np
import psutil
from numpy.typing import NDArray
from semantic_router import Route as PeerRoute
from semantic_router.encoders.base import DenseEncoder
from semantic_router.routers import IndexedRouter

from synaptoroute_core import AdaptiveRouter, Route, RouterConfig

SIZES = (1_000, 50_000)
EDITS = 200
PEER_EDITS = 5
OVERWRITES = 20_000


class RandomVectors:
    """A vector drawn from the text's checksum: an encoder that costs next to nothing."""

    fingerprint, dim, batch_invariant = "random", 384, True
    encoded = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows: shape (len(texts), 384)."""
        self.encoded += len(texts)
        rows = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(384) for text in texts]
        vectors = np.asarray(rows, np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class PeerVectors(DenseEncoder):
    """The same behind semantic-router's interface."""

    def __call__(self, docs: list[Any]) -> list[list[float]]:
        """One list a text."""
        return RandomVectors().encode(docs).tolist()


def routes_of(size: int) -> list[tuple[str, list[str]]]:
    """Routes of 20 utterances each."""
    return [(f"r{number}", [f"utterance {number} {each}" for each in range(20)]) for number in range(size // 20)]


def ours(size: int, folder: str) -> dict[str, float]:
    """Medians in milliseconds: commit of an added utterance, a plain query, the query after the edit."""
    config = RouterConfig(cache_size=0)
    path = Path(folder) / f"{size}.sqlite"
    AdaptiveRouter((Route(*each) for each in routes_of(size)), encoder=RandomVectors(), store=path).close()
    encoder = RandomVectors()
    opening = time.perf_counter()
    with AdaptiveRouter(encoder=encoder, store=path, config=config) as router:
        router.route("warm up")
        opening = time.perf_counter() - opening
        encoded_at_opening = encoder.encoded - 1
        commits, plain, after = [], [], []
        for number in range(EDITS):
            plain.append(harness.seconds(lambda n=number: router.route(f"plain {n}")))
            commits.append(harness.seconds(lambda n=number: router.add_utterances(f"r{n % 40}", [f"new {n}"])))
            after.append(harness.seconds(lambda n=number: router.route(f"after {n}")))
    return {
        "commit_ms": statistics.median(commits) * 1e3,
        "plain_query_ms": statistics.median(plain) * 1e3,
        "query_after_edit_ms": statistics.median(after) * 1e3,
        "penalty_ms": statistics.median(b - a for a, b in zip(plain, after, strict=True)) * 1e3,
        "opening_s": opening,
        "encoded_at_opening": encoded_at_opening,
    }


def peers(size: int) -> dict[str, float]:
    """The same for semantic-router, whose local index has no file."""
    router = IndexedRouter(PeerVectors(name="random"), [PeerRoute(name=n, utterances=t) for n, t in routes_of(size)])
    router("warm up")
    plain, adding, after = [], [], []
    for number in range(PEER_EDITS):
        plain.append(harness.seconds(lambda n=number: router(f"plain {n}")))
        route = PeerRoute(name=f"r{number}", utterances=[f"new {number}"])
        adding.append(harness.seconds(lambda route=route: router.add(route)))
        after.append(harness.seconds(lambda n=number: router(f"after {n}")))
    return {
        "add_ms": statistics.median(adding) * 1e3,
        "plain_query_ms": statistics.median(plain) * 1e3,
        "add_and_query_over_plain_ms": statistics.median(
            edit + b - a for a, edit, b in zip(plain, adding, after, strict=True)
        )
        * 1e3,
    }


def overwrites() -> dict[str, float]:
    """Resident memory in MB while one route of ten utterances is overwritten again and again."""
    process = psutil.Process()
    memory: dict[str, float] = {}
    with AdaptiveRouter(encoder=RandomVectors()) as router:
        for number in range(OVERWRITES + 1):
            router.add_route(Route("one", [f"version {number} {each}" for each in range(10)]), overwrite=True)
            if number % 10 == 0:
                router.route("a query between")
            if number % 2_000 == 0:
                memory[str(number)] = process.memory_info().rss / 1e6
    return memory


def main() -> None:
    """Measure and save."""
    datasets.parser(__doc__).parse_args()  # works on made-up vectors, and needs no data set
    memory = overwrites()  # first, before anything else has grown the heap
    with tempfile.TemporaryDirectory() as folder:
        sizes = {str(size): {"ours": ours(size, folder), "semantic-router 1.1.1": peers(size)} for size in SIZES}
    harness.save("editing", {"by_utterances": sizes, "overwrites_rss_mb": memory})


if __name__ == "__main__":
    main()
