"""The router's questions, blocking and awaitable."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future

from synaptoroute_core.changes import Vectors
from synaptoroute_core.choices import Choices
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.errors import (
    ConfigurationError,
    RouterTimeoutError,
    SynaptoRouteError,
    shorten,
)
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.learning.evaluation.comparing import check_amount
from synaptoroute_core.learning.evaluation.evaluating import EvaluationReport, evaluate_decisions
from synaptoroute_core.options import RouteOptions, options_of
from synaptoroute_core.serving import Query, QueryService
from synaptoroute_core.types import Decision, Example, Explanation, Route, checked_examples
from synaptoroute_core.waiting import result_of


class Asking:
    """Methods that change nothing. An awaitable twin's name begins with ``a``; both run the same code."""

    _config: RouterConfig
    _index: RouteIndex
    _service: QueryService

    def route(
        self,
        text: str,
        *,
        allowed: Collection[str] | None = None,
        options: RouteOptions | None = None,
        vector: Sequence[float] | Vectors | None = None,
        timeout: float | None = None,
    ) -> Decision:
        """Decide on one text.

        Args:
            text: The query.
            allowed: Route names to choose from, or what :meth:`choices` made; None = all.
            options: More settings for this call.
            vector: The text's vector, shape (dim,), if the caller has it from an equal encoder: it is
                then not encoded again.
            timeout: Seconds; None = ``RouterConfig.timeout_s``.

        Raises:
            InvalidTextError: The text is not a string, or is blank.
            RouteNotFoundError: ``allowed`` names a route that is not there.
            ConfigurationError: Another argument is not valid.
            RouterOverloadedError: Too many queries are pending.
            RouterTimeoutError: There was no decision in time.
            RouterClosedError: The router is closed.
            EncoderError: The encoder failed on this text.
        """
        timeout_s = self._timeout_s(timeout)
        query = self._service.check(text, options_of(options, allowed), vector)
        known = self._service.recall(query)
        if known is not None:
            return known
        if timeout_s is None:
            return self._service.run(query)
        future = self._service.submit(query, timeout_s)
        try:
            return future.result(timeout_s)
        except BaseException as error:  # noqa: BLE001  # interrupts too: nobody waits for the query any more
            raise _ended(future, error, timeout_s) from None

    async def aroute(  # the same parameters as its twin
        self,
        text: str,
        *,
        allowed: Collection[str] | None = None,
        options: RouteOptions | None = None,
        vector: Sequence[float] | Vectors | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Decision:
        """The awaitable twin of :meth:`route`; the event loop is not blocked."""
        timeout_s = self._timeout_s(timeout)
        query = self._service.check(text, options_of(options, allowed), vector)
        known = self._service.recall(query)
        if known is not None:
            return known
        future = self._service.submit(query, timeout_s)
        try:
            return await result_of(future, timeout_s)
        except BaseException as error:  # noqa: BLE001  # cancellation too
            raise _ended(future, error, timeout_s) from None

    def route_batch(
        self, texts: Sequence[str], *, allowed: Collection[str] | None = None, options: RouteOptions | None = None
    ) -> list[Decision]:
        """Decide on many texts; each gets the decision that it would get alone.

        Texts are handed in as room becomes free, so a batch may be larger than ``max_pending``.

        Returns:
            The decisions in the order of ``texts``.

        Raises:
            InvalidTextError: One of the texts is not usable; none was routed.
            RouterOverloadedError: Other callers fill the router.
            Others as :meth:`route`.
        """
        queries = self._service.check_all(texts, options_of(options, allowed))
        return _all_or_raise(_outcome(self._service.submit_all(queries, self._config.timeout_s)))

    async def aroute_batch(
        self, texts: Sequence[str], *, allowed: Collection[str] | None = None, options: RouteOptions | None = None
    ) -> list[Decision]:
        """The awaitable twin of :meth:`route_batch`; cancelling it stops handing in texts."""
        queries = self._service.check_all(texts, options_of(options, allowed))
        return _all_or_raise(await result_of(self._service.submit_all(queries, self._config.timeout_s), None))

    def route_each(
        self, texts: Sequence[str], *, options: RouteOptions | Sequence[RouteOptions | None] | None = None
    ) -> list[Decision | SynaptoRouteError]:
        """Decide on many texts of which some may fail, in one batch.

        Args:
            texts: The queries.
            options: Settings for all of them, or for each its own.

        Returns:
            For each text its decision, or the error that :meth:`route` would raise for it.

        Raises:
            ConfigurationError: An argument is not valid.
            RouterOverloadedError: Other callers fill the router, and no text was admitted.
            RouterClosedError: The router is closed.
        """
        queries, answers = self._begin_each(texts, options)
        return answers(_outcome(self._service.submit_all(queries, self._config.timeout_s)))

    async def aroute_each(
        self, texts: Sequence[str], *, options: RouteOptions | Sequence[RouteOptions | None] | None = None
    ) -> list[Decision | SynaptoRouteError]:
        """The awaitable twin of :meth:`route_each`."""
        queries, answers = self._begin_each(texts, options)
        return answers(await result_of(self._service.submit_all(queries, self._config.timeout_s), None))

    def choices(self, names: Iterable[str] = (), extra: Iterable[Route] = ()) -> Choices:
        """Prepare a choice among some routes and others that are not stored, to be given as ``allowed``.

        Args:
            names: Names of stored routes. They are seen as they are at each call.
            extra: Routes that exist only in what is returned. They are encoded now, unless the
                texts are among those asked last.

        Raises:
            RouteNotFoundError: One of ``names`` is not there.
            ConfigurationError: Two of the routes have one name.
            EncoderError: An utterance could not be encoded.
        """
        return self._service.choices(names, extra)

    async def achoices(self, names: Iterable[str] = (), extra: Iterable[Route] = ()) -> Choices:
        """The awaitable twin of :meth:`choices`."""
        return await asyncio.to_thread(self.choices, names, extra)

    def explain(self, text: str, *, allowed: Collection[str] | None = None) -> Explanation:
        """Decide on a text and say why: the nearest utterances and what would turn the decision.

        Raises:
            As :meth:`route`.
        """
        return self._service.explain(self._service.check(text, options_of(None, allowed)))

    async def aexplain(self, text: str, *, allowed: Collection[str] | None = None) -> Explanation:
        """The awaitable twin of :meth:`explain`."""
        return await asyncio.to_thread(self.explain, text, allowed=allowed)

    def evaluate(self, examples: Iterable[Example], *, price_per_call: float | None = None) -> EvaluationReport:
        """Route labelled texts and compare.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none.
            price_per_call: What an LLM call costs, to say how much is saved; None = unknown.

        Raises:
            RouteNotFoundError: A label is no route's name.
            ConfigurationError: There are no examples.
            InvalidTextError: A text is not usable.
        """
        check_amount("price_per_call", price_per_call)
        names = self._index.names()
        pairs = checked_examples(examples, names)
        started = time.perf_counter()
        decisions = self.route_batch([text for text, _ in pairs])
        seconds = time.perf_counter() - started
        return evaluate_decisions(pairs, decisions, names, seconds=seconds, price_per_call=price_per_call)

    async def aevaluate(self, examples: Iterable[Example], *, price_per_call: float | None = None) -> EvaluationReport:
        """The awaitable twin of :meth:`evaluate`."""
        return await asyncio.to_thread(self.evaluate, examples, price_per_call=price_per_call)

    def _begin_each(
        self, texts: Sequence[str], options: RouteOptions | Sequence[RouteOptions | None] | None
    ) -> tuple[list[Query], Callable[[list[Decision | Exception]], list[Decision | SynaptoRouteError]]]:
        """The queries among the texts, and what puts their outcomes back in the places of the texts."""
        each = options if isinstance(options, Sequence) else [options] * len(texts)
        checked = self._service.check_each(texts, [options_of(one, None) for one in each])

        def answers(outcomes: list[Decision | Exception]) -> list[Decision | SynaptoRouteError]:
            found = iter(outcomes)
            filled = [next(found) if isinstance(one, Query) else one for one in checked]
            # What is no error of ours comes from an encoder that broke the rules: not one text's fault.
            for one in filled:
                if isinstance(one, Exception) and not isinstance(one, SynaptoRouteError):
                    raise one
            return filled  # type: ignore[return-value]  # checked above

        return [one for one in checked if isinstance(one, Query)], answers

    def _timeout_s(self, timeout: float | None) -> float | None:
        if timeout is None:
            return self._config.timeout_s
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
            raise ConfigurationError(f"timeout = {shorten(timeout)}: give seconds, 0 or more, or None")
        # What clocks cannot count to is as good as no limit.
        return float(timeout) if timeout <= threading.TIMEOUT_MAX else None


def _ended(future: Future[Decision], error: BaseException, timeout_s: float | None) -> BaseException:
    """What to raise when waiting for a decision ended in an error; the query is given up."""
    future.cancel()
    if isinstance(error, TimeoutError) and not isinstance(error, RouterTimeoutError) and timeout_s is not None:
        return RouterTimeoutError(timeout_s)
    return error


def _outcome(future: Future[list[Decision | Exception]]) -> list[Decision | Exception]:
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _all_or_raise(results: list[Decision | Exception]) -> list[Decision]:
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results  # type: ignore[return-value]  # none is an exception
