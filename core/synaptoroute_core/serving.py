"""The way of a query: check, cache, queue, encode, score, decide."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from synaptoroute_core.batching import MicroBatcher
from synaptoroute_core.cache import TextCache
from synaptoroute_core.changes import EncodedRoute, PutRoutes, Vectors
from synaptoroute_core.choices import Choices, PreparedChoices, among
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.decision import Policy, decide
from synaptoroute_core.encoders import Encoder, clean_vector, encode_each, encode_texts
from synaptoroute_core.encoders.base import noise_of
from synaptoroute_core.errors import (
    ConfigurationError,
    EncoderError,
    InvalidTextError,
    RouteNotFoundError,
    SynaptoRouteError,
    shorten,
)
from synaptoroute_core.explaining import explain_decision
from synaptoroute_core.fits import rule_of
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.observing import Observer
from synaptoroute_core.options import DEFAULT_OPTIONS, RouteOptions, policy_of
from synaptoroute_core.scoring import add_logits, score_each, score_routes
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.text import clean_query
from synaptoroute_core.types import Decision, Explanation, Route, RouterStats

DECIDED_AT_ONCE = 256
"""Texts whose scores are made together: with 50,000 utterances, they take 50 MB."""


@dataclass(frozen=True, slots=True)
class Query:
    """A checked text, how it is to be decided, and its vector if the caller has it already."""

    text: str
    options: RouteOptions = DEFAULT_OPTIONS
    vector: Vectors | None = None


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
        self.policy = Policy(
            threshold=config.threshold,
            min_margin=config.min_margin,
            min_confidence=config.min_confidence,
            max_candidates=config.max_candidates,
            noise=noise_of(encoder),
        )
        self.cache = TextCache(config.cache_size)
        self.encoded = 0
        self.reused = 0
        self.observer = Observer()
        self._counting = threading.Lock()
        self.batcher: MicroBatcher[Query, Decision] = MicroBatcher(
            self._answer,
            max_batch_size=config.max_batch_size,
            max_pending=config.max_pending,
            max_queue_s=config.max_queue_s,
            max_wait_s=config.max_wait_ms / 1000,
            workers=config.workers or processors(),
            size=lambda query: len(query.text),
        )

    def check(self, text: object, options: RouteOptions, vector: object = None) -> Query:
        """A query from what a caller handed in.

        Raises:
            InvalidTextError: ``text`` is not a string, or is blank.
            RouteNotFoundError: ``options`` name a route that is not there.
            ConfigurationError: ``vector`` is none of the encoder's.
            RouterClosedError: The router is closed, or belongs to the parent process.
        """
        self.batcher.require_usable()  # before any lock, which a forked child may find taken for ever
        cleaned = clean_query(text, max_chars=self._max_text_chars)
        self._require_routes(options)
        return Query(cleaned, options, None if vector is None else clean_vector(vector, self._encoder.dim))

    def check_all(self, texts: Sequence[object], options: RouteOptions) -> list[Query]:
        """Queries from a list of texts; nothing is routed if one of them is not usable."""
        self._require_list(texts)
        self._require_routes(options)
        queries = []
        for number, text in enumerate(texts):
            try:
                queries.append(Query(clean_query(text, max_chars=self._max_text_chars), options))
            except InvalidTextError as error:
                raise InvalidTextError(f"texts[{number}]: {error}") from None
        return queries

    def check_each(self, texts: Sequence[object], options: Sequence[RouteOptions]) -> list[Query | SynaptoRouteError]:
        """A query from each text, or what is wrong with it."""
        self._require_list(texts)
        if len(options) != len(texts):
            raise ConfigurationError(f"there are {len(options)} options for {len(texts)} texts: give one for each")
        checked: list[Query | SynaptoRouteError] = []
        for text, chosen in zip(texts, options, strict=True):
            try:
                checked.append(self.check(text, chosen))
            except (InvalidTextError, RouteNotFoundError) as error:
                checked.append(error)
        return checked

    def recall(self, query: Query) -> Decision | None:
        """The decision that was made of the same query at the present revision, if remembered."""
        return self.cache.decision(query.text, self._index.version, query.options)

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
        vector = self._vectors([query])[0][query.text]
        if isinstance(vector, EncoderError):
            raise vector
        policy = policy_of(self.policy, query.options)
        snapshot, names = among(query.options.allowed, self._index.snapshot())
        scored = score_routes(snapshot, vector)
        if snapshot.rule.head is not None:
            scored = add_logits(scored, snapshot.rule.head, query.text, vector)
        decision = decide(snapshot, scored, policy, names)
        return explain_decision(decision, snapshot, scored, 0.0 if decision.scorer == "head" else policy.min_margin)

    def decide_all(
        self, texts: Sequence[str], snapshot: Snapshot, vectors: Mapping[str, Vectors] | None = None
    ) -> list[Decision]:
        """Decisions on many texts at one version of the routes, in this thread and beside the queue.

        Args:
            texts: The texts.
            snapshot: The routes.
            vectors: The texts' vectors, if they are at hand.

        Raises:
            EncoderError: A text could not be encoded.
        """
        self.batcher.require_usable()
        known = dict(zip(texts, self.encode(texts, label="routing"), strict=True)) if vectors is None else vectors
        queries = [Query(text, vector=known[text]) for text in texts]
        decisions: list[Decision] = []
        for start in range(0, len(queries), DECIDED_AT_ONCE):
            part = queries[start : start + DECIDED_AT_ONCE]
            for outcome in self._decide(part, [None] * len(part), {}, snapshot):
                if isinstance(outcome, Exception):
                    raise outcome
                decisions.append(outcome)
        return decisions

    def encode(self, texts: Sequence[str], *, label: str = "encoding") -> Vectors:
        """Vectors of texts, shape (texts, dim); those that are cached are not encoded again.

        Raises:
            EncoderError: A text could not be encoded.
        """
        known = {text: vector for text in texts if (vector := self.cache.vector(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known |= zip(missing, encode_texts(self._encoder, missing, label=label, threads=processors()), strict=True)
        return np.stack([known[text] for text in texts]) if texts else np.empty((0, self._encoder.dim), np.float32)

    def choices(self, names: Iterable[str], extra: Iterable[Route]) -> Choices:
        """Some of the routes and others that are not stored; texts whose vectors are cached are not encoded.

        Raises:
            RouteNotFoundError: One of ``names`` is not there.
            ConfigurationError: Two of the routes have one name.
            EncoderError: An utterance could not be encoded.
        """
        self.batcher.require_usable()
        stored = RouteOptions(allowed=list(names))
        self._require_routes(stored)
        others = list(extra)
        known = set(stored.allowed or ())
        for route in others:
            if route.name in known:
                raise ConfigurationError(f"two of the choices are named {route.name!r}")
            known.add(route.name)
        return PreparedChoices(stored.allowed or (), self._compiled(others) if others else None)

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
            scorer="similarity" if rule_of(self._index.fits).head is None else "head",
        )

    def close(self) -> None:
        """Answer what was accepted, as far as the time goes; see :meth:`MicroBatcher.close`."""
        self.batcher.close(self._drain_timeout_s)

    def _require_list(self, texts: Sequence[object]) -> None:
        if isinstance(texts, str | bytes):
            raise ConfigurationError(f"texts must be a list of strings, got the single text {shorten(texts)}")
        self.batcher.require_usable()

    def _require_routes(self, options: RouteOptions) -> None:
        if options.allowed is None or isinstance(options.allowed, PreparedChoices):
            return
        for name in options.allowed:
            if not isinstance(name, str) or name not in self._index:
                raise RouteNotFoundError(name, self._index.names())

    def _compiled(self, routes: Sequence[Route]) -> Snapshot:
        """A snapshot of nothing but these routes."""
        texts = list(dict.fromkeys(text for route in routes for text in route.utterances))
        known = dict(zip(texts, self.encode(texts, label="encoding choices"), strict=True))
        for text, vector in known.items():
            self.cache.remember(text, vector)
        index = RouteIndex(self._encoder.dim)
        encoded = (EncodedRoute(route, np.stack([known[text] for text in route.utterances])) for route in routes)
        index.apply([PutRoutes(tuple(encoded))], 0)
        return index.snapshot()

    def _answer(self, queries: Sequence[Query]) -> list[Decision | Exception]:
        """One batch: encode each distinct text once, then decide all against one version of the routes."""
        vectors, encoded, seconds = self._vectors(queries)
        current = self._index.snapshot()
        # Held while they are told apart by identity: a merged snapshot of choices may be nobody else's.
        offered = [among(query.options.allowed, current) for query in queries]
        answers: list[Decision | Exception] = []
        # Together, those that choose from the same routes: all, unless callers brought choices of their own.
        for _, group in groupby(range(len(queries)), key=lambda place: id(offered[place][0])):
            places = list(group)
            allowed = [offered[place][1] for place in places]
            answers += self._decide([queries[place] for place in places], allowed, vectors, offered[places[0]][0])
        self.observer.report(queries=len(queries), encoded=encoded, encode_s=seconds)
        return answers

    def _decide(
        self,
        queries: Sequence[Query],
        allowed: Sequence[Collection[str] | None],
        vectors: Mapping[str, Vectors | EncoderError],
        snapshot: Snapshot,
    ) -> Iterator[Decision | Exception]:
        """Decisions on queries that choose from the same routes."""
        rows = [vectors[query.text] if query.vector is None else query.vector for query in queries]
        usable = [row for row in rows if not isinstance(row, EncoderError)]
        head = snapshot.rule.head
        scored = iter(score_each(snapshot, np.stack(usable)) if usable else ())
        for query, names, row in zip(queries, allowed, rows, strict=True):
            if isinstance(row, EncoderError):
                yield row
                continue
            found = next(scored)
            if head is not None:
                found = add_logits(found, head, query.text, row)
            decision = decide(snapshot, found, policy_of(self.policy, query.options), names)
            if query.vector is None:  # a caller's vector is believed for this caller alone
                self.cache.remember(query.text, row, query.options, decision, snapshot.edits)
            yield decision

    def _vectors(self, queries: Sequence[Query]) -> tuple[dict[str, Vectors | EncoderError], int, float]:
        """Vectors of the texts that came without one, how many were encoded for it, and in how many seconds."""
        known: dict[str, Vectors | EncoderError] = {}
        missing: list[str] = []
        texts = [query.text for query in queries if query.vector is None]
        for text in dict.fromkeys(texts):
            vector = self.cache.vector(text)
            if vector is None:
                missing.append(text)
            else:
                known[text] = vector
        with self._counting:
            self.encoded += len(missing)
            self.reused += len(queries) - len(missing)
        if not missing:
            return known, 0, 0.0
        started = time.perf_counter()
        known.update(zip(missing, encode_each(self._encoder, missing), strict=True))
        return known, len(missing), time.perf_counter() - started


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
