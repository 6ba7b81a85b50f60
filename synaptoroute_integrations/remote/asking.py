"""The client's questions, blocking and awaitable, under the names that the engine has for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from synaptoroute_core import (
    Choices,
    Decision,
    EvaluationReport,
    Example,
    Explanation,
    Route,
    RouteOptions,
    RouterStats,
    SynaptoRouteError,
    evaluate_decisions,
)
from synaptoroute_core.changes import Vectors
from synaptoroute_core.options import DEFAULT_OPTIONS, options_of
from synaptoroute_core.types import checked_examples
from synaptoroute_integrations.remote.catalogue import Catalogue
from synaptoroute_integrations.remote.connections import Connections
from synaptoroute_integrations.remote.encoder import RemoteEncoder
from synaptoroute_integrations.remote.exchange import Deadline
from synaptoroute_integrations.remote.questions import Questions
from synaptoroute_integrations.remote.settings import RemoteSettings, clean_seconds


class RemoteAsking:
    """Methods that change nothing. An awaitable twin's name begins with ``a``; both carry out the same operation.

    All of them raise, beside what is said there, ``RemoteError``, ``RouterClosedError``, and ``RouterTimeoutError``.
    """

    _settings: RemoteSettings
    _catalogue: Catalogue
    _connections: Connections
    _questions: Questions

    def route(
        self,
        text: str,
        *,
        allowed: Collection[str] | None = None,
        options: RouteOptions | None = None,
        vector: Sequence[float] | Vectors | None = None,  # noqa: ARG002  # see below
        timeout: float | None = None,
    ) -> Decision:
        """Decide on one text.

        Args:
            text: The query. It is checked here, so that one that cannot be used costs no request.
            allowed: Route names to choose from, or what :meth:`choices` made; None = all.
            options: More settings for this call.
            vector: Taken as the engine takes it, and not sent: a service believes no vectors of others.
            timeout: Seconds for all of the call, and for the service too; None = ``timeout_s``.

        Raises:
            InvalidTextError: The text is not a string, or is blank.
            RouteNotFoundError: ``allowed`` names a route that is not there.
            ConfigurationError: Another argument is not valid.
            RouterOverloadedError: Too many queries are pending there.
            RouterTimeoutError: There was no decision in time.
            RouterClosedError: This client is closed, or the service is stopping.
            EncoderError: The encoder failed on this text.
            RemoteError: There was no answer, none of this service, or the key does not do.
        """
        seconds = self._seconds(timeout)
        return self._connections.run(self._questions.decide(text, options_of(options, allowed), seconds))

    async def aroute(  # the same parameters as its twin
        self,
        text: str,
        *,
        allowed: Collection[str] | None = None,
        options: RouteOptions | None = None,
        vector: Sequence[float] | Vectors | None = None,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Decision:
        """The awaitable twin of :meth:`route`."""
        seconds = self._seconds(timeout)
        return await self._connections.arun(self._questions.decide(text, options_of(options, allowed), seconds))

    def route_batch(
        self, texts: Sequence[str], *, allowed: Collection[str] | None = None, options: RouteOptions | None = None
    ) -> list[Decision]:
        """Decide on many texts; each gets the decision that it would get alone.

        They travel in requests of ``max_texts``, one after the other, each with ``timeout_s``.

        Returns:
            The decisions in the order of ``texts``.

        Raises:
            InvalidTextError: One of the texts is not usable; none was sent.
            Others as :meth:`route`.
        """
        return self._connections.run(self._questions.decide_all(texts, options_of(options, allowed)))

    async def aroute_batch(
        self, texts: Sequence[str], *, allowed: Collection[str] | None = None, options: RouteOptions | None = None
    ) -> list[Decision]:
        """The awaitable twin of :meth:`route_batch`."""
        return await self._connections.arun(self._questions.decide_all(texts, options_of(options, allowed)))

    def route_each(
        self, texts: Sequence[str], *, options: RouteOptions | Sequence[RouteOptions | None] | None = None
    ) -> list[Decision | SynaptoRouteError]:
        """Decide on many texts of which some may fail; neighbours with equal options travel together.

        Args:
            texts: The queries.
            options: Settings for all of them, or for each its own.

        Returns:
            For each text its decision, or the error that :meth:`route` would raise for it.

        Raises:
            ConfigurationError: An argument is not valid.
            Others as :meth:`route`, where a request failed as a whole.
        """
        return self._connections.run(self._questions.decide_each(texts, _options_for(texts, options)))

    async def aroute_each(
        self, texts: Sequence[str], *, options: RouteOptions | Sequence[RouteOptions | None] | None = None
    ) -> list[Decision | SynaptoRouteError]:
        """The awaitable twin of :meth:`route_each`."""
        return await self._connections.arun(self._questions.decide_each(texts, _options_for(texts, options)))

    def choices(self, names: Iterable[str] = (), extra: Iterable[Route] = ()) -> Choices:
        """Prepare a choice among some routes and others that are not stored, to be given as ``allowed``.

        Args:
            names: Names of stored routes. They are seen as they are at each call.
            extra: Routes that exist only in what is returned. They go along with each request, and the service
                remembers their vectors for a while.

        Raises:
            RouteNotFoundError: One of ``names`` is not there.
            ConfigurationError: Two of the routes have one name.
        """
        return self._connections.run(self._catalogue.choose(names, extra, self._deadline()))

    async def achoices(self, names: Iterable[str] = (), extra: Iterable[Route] = ()) -> Choices:
        """The awaitable twin of :meth:`choices`."""
        return await self._connections.arun(self._catalogue.choose(names, extra, self._deadline()))

    def explain(self, text: str, *, allowed: Collection[str] | None = None) -> Explanation:
        """Decide on a text and say why: the nearest utterances and what would turn the decision.

        Raises:
            ConfigurationError: ``allowed`` holds routes that the service does not have.
            Others as :meth:`route`.
        """
        return self._connections.run(self._questions.explain(text, allowed))

    async def aexplain(self, text: str, *, allowed: Collection[str] | None = None) -> Explanation:
        """The awaitable twin of :meth:`explain`."""
        return await self._connections.arun(self._questions.explain(text, allowed))

    def evaluate(self, examples: Iterable[Example], *, price_per_call: float | None = None) -> EvaluationReport:
        """Route labelled texts, as :meth:`route_batch` does, and compare here. Its times include the network.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none.
            price_per_call: What an LLM call costs, to say how much is saved; None = unknown.

        Raises:
            RouteNotFoundError: A label is no route's name.
            ConfigurationError: There are no examples, or the price is no amount.
            InvalidTextError: A text is not usable.
        """
        names = list(self.routes)
        pairs = checked_examples(examples, names)
        started = time.perf_counter()
        decisions = self.route_batch([text for text, _ in pairs])
        seconds = time.perf_counter() - started
        return evaluate_decisions(pairs, decisions, names, seconds=seconds, price_per_call=price_per_call)

    async def aevaluate(self, examples: Iterable[Example], *, price_per_call: float | None = None) -> EvaluationReport:
        """The awaitable twin of :meth:`evaluate`."""
        return await asyncio.to_thread(self.evaluate, examples, price_per_call=price_per_call)

    # --- looking -------------------------------------------------------------------------------

    @property
    def routes(self) -> Mapping[str, Route]:
        """The routes by name, as they are now: each access is a request, which carries them if they have changed."""
        return self._connections.run(self._catalogue.routes(self._deadline()))

    async def aroutes(self) -> Mapping[str, Route]:
        """The awaitable twin of :attr:`routes`."""
        return await self._connections.arun(self._catalogue.routes(self._deadline()))

    @property
    def revision(self) -> int:
        """The revision that the last answer spoke of; no request, but for the first time if there was no answer yet.

        A change that another client made shows after the next answer, as each decision carries its revision.
        """
        known = self._catalogue.revision
        if known is None:
            self._connections.run(self._catalogue.routes(self._deadline()))
            known = self._catalogue.revision or 0
        return known

    @property
    def encoder(self) -> RemoteEncoder:
        """What the service encodes with: a request."""
        return self._connections.run(self._questions.encoder())

    async def aencoder(self) -> RemoteEncoder:
        """The awaitable twin of :attr:`encoder`."""
        return await self._connections.arun(self._questions.encoder())

    def stats(self) -> RouterStats:
        """Counts of the process that answers; a service may have several."""
        return self._connections.run(self._questions.stats())

    async def astats(self) -> RouterStats:
        """The awaitable twin of :meth:`stats`."""
        return await self._connections.arun(self._questions.stats())

    def _deadline(self) -> Deadline:
        return Deadline(self._settings.timeout_s)

    def _seconds(self, timeout: float | None) -> float:
        return self._settings.timeout_s if timeout is None else clean_seconds("timeout", timeout, least=0.0)


def _options_for(
    texts: Sequence[str], options: RouteOptions | Sequence[RouteOptions | None] | None
) -> list[RouteOptions]:
    """For each text its options."""
    if options is None:
        return [DEFAULT_OPTIONS] * len(texts)
    each = options if isinstance(options, Sequence) else [options] * len(texts)
    return [options_of(one, None) for one in each]
