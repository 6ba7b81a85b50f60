"""The way of a query: check, cache, queue, encode, score, decide."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from synaptoroute_core.batching import MicroBatcher
from synaptoroute_core.cache import TextCache
from synaptoroute_core.changes import Vectors
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.decision import Policy, decide
from synaptoroute_core.encoders import Encoder, encode_each
from synaptoroute_core.encoders.base import noise_of
from synaptoroute_core.errors import ConfigurationError, EncoderError, InvalidTextError, RouteNotFoundError, shorten
from synaptoroute_core.explaining import explain_decision
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.scoring import score_routes
from synaptoroute_core.text import clean_query
from synaptoroute_core.types import Decision, Explanation, RouterStats


@dataclass(frozen=True, slots=True)
class Query:
    """A checked text and the names it may be routed to; None = all."""

    text: str
    allowed: frozenset[str] | None


class QueryService:
    """Turns texts into decisions. The decisions of ``route``, ``route_batch`` and all else are made here.

    Args:
        encoder: Encodes texts, from several threads.
        index: Gives snapshots of the routes.
        config: Settings.
    """

    def __init__(self, encoder: Encoder, index: RouteIndex, config: RouterConfig) -> None:
        self._encoder = encoder
        self._index = index
        self._max_text_chars = config.max_text_chars
        self._drain_timeout_s = config.drain_timeout_s
        self._policy = Policy(
            threshold=config.threshold,
            min_margin=config.min_margin,
            max_candidates=config.max_candidates,
            noise=noise_of(encoder),
        )
        self.cache = TextCache(config.cache_size)
        self.encoded = 0
        self.reused = 0
        self._counting = threading.Lock()
        self.batcher: MicroBatcher[Query, Decision] = MicroBatcher(
            self._answer,
            max_batch_size=config.max_batch_size,
            max_pending=config.max_pending,
            max_wait_s=config.max_wait_ms / 1000,
            workers=config.workers or processors(),
            size=lambda query: len(query.text),
        )

    def check(self, text: object, allowed: Collection[str] | None) -> Query:
        """A query from what a caller handed in.

        Raises:
            InvalidTextError: ``text`` is not a string, or is blank.
            RouteNotFoundError: ``allowed`` names a route that is not there.
            ConfigurationError: ``allowed`` is not a collection of names.
            RouterClosedError: The router is closed, or belongs to the parent process.
        """
        self.batcher.require_usable()  # before any lock, which a forked child may find taken for ever
        return Query(clean_query(text, max_chars=self._max_text_chars), self._check_allowed(allowed))

    def check_all(self, texts: Sequence[object], allowed: Collection[str] | None) -> list[Query]:
        """Queries from a list of texts; nothing is routed if one of them is not usable."""
        if isinstance(texts, str | bytes):
            raise ConfigurationError(f"texts must be a list of strings, got the single text {shorten(texts)}")
        self.batcher.require_usable()
        names = self._check_allowed(allowed)
        queries = []
        for number, text in enumerate(texts):
            try:
                queries.append(Query(clean_query(text, max_chars=self._max_text_chars), names))
            except InvalidTextError as error:
                raise InvalidTextError(f"texts[{number}]: {error}") from None
        return queries

    def recall(self, query: Query) -> Decision | None:
        """The decision that was made of the same query at the present revision, if remembered."""
        return self.cache.decision(query.text, self._index.revision, query.allowed)

    def run(self, query: Query) -> Decision:
        """Decide on a query and wait for it; errors as of :meth:`MicroBatcher.run`."""
        return self.batcher.run(query)

    def submit(self, query: Query, timeout_s: float | None) -> Future[Decision]:
        """Put a query in the queue; errors as of :meth:`MicroBatcher.submit`."""
        return self.batcher.submit(query, timeout_s=timeout_s)

    def submit_all(self, queries: Sequence[Query], timeout_s: float | None) -> Future[list[Decision | Exception]]:
        """Put many queries in the queue, like lengths together; results in the order of ``queries``."""
        ranking = sorted(range(len(queries)), key=lambda number: len(queries[number].text))
        return self.batcher.submit_all(queries, ranking, timeout_s=timeout_s)

    def explain(self, query: Query) -> Explanation:
        """Decide on a query in this thread and say why.

        Raises:
            EncoderError: It could not be encoded.
        """
        vector = self._vectors([query.text])[query.text]
        if isinstance(vector, EncoderError):
            raise vector
        snapshot = self._index.snapshot()
        scored = score_routes(snapshot, vector)
        decision = decide(snapshot, scored, self._policy, query.allowed)
        return explain_decision(decision, snapshot, scored, self._policy.min_margin)

    def stats(self) -> RouterStats:
        """Counts so far; see :class:`RouterStats`."""
        counts = self.batcher.counts
        return RouterStats(
            routes=len(self._index),
            utterances=self._index.utterance_count,
            revision=self._index.revision,
            pending=self.batcher.pending,
            answered=counts.answered + self.cache.recalled,
            cache_hits=self.cache.recalled + self.reused,
            encoded=self.encoded,
            batches=counts.batches,
            rejected=counts.rejected,
            dropped=counts.dropped,
            failed=counts.failed,
        )

    def close(self) -> None:
        """Answer what was accepted, as far as the time goes; see :meth:`MicroBatcher.close`."""
        self.batcher.close(self._drain_timeout_s)

    def _check_allowed(self, allowed: Collection[str] | None) -> frozenset[str] | None:
        if allowed is None:
            return None
        if isinstance(allowed, str | bytes) or not isinstance(allowed, Collection):
            raise ConfigurationError(f"allowed must be a list of route names, got {shorten(allowed)}")
        for name in allowed:
            if not isinstance(name, str) or name not in self._index:
                raise RouteNotFoundError(name, self._index.names())
        return frozenset(allowed)

    def _answer(self, queries: Sequence[Query]) -> list[Decision | Exception]:
        """One batch: encode each distinct text once, then decide all against one snapshot."""
        vectors = self._vectors([query.text for query in queries])
        snapshot = self._index.snapshot()
        answers: list[Decision | Exception] = []
        for query in queries:
            vector = vectors[query.text]
            if isinstance(vector, EncoderError):
                answers.append(vector)
                continue
            decision = decide(snapshot, score_routes(snapshot, vector), self._policy, query.allowed)
            self.cache.remember(query.text, vector, query.allowed, decision)
            answers.append(decision)
        return answers

    def _vectors(self, texts: Sequence[str]) -> dict[str, Vectors | EncoderError]:
        known: dict[str, Vectors | EncoderError] = {}
        missing: list[str] = []
        for text in dict.fromkeys(texts):
            vector = self.cache.vector(text)
            if vector is None:
                missing.append(text)
            else:
                known[text] = vector
        with self._counting:
            self.encoded += len(missing)
            self.reused += len(texts) - len(missing)
        if missing:
            known.update(zip(missing, encode_each(self._encoder, missing), strict=True))
        return known


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
