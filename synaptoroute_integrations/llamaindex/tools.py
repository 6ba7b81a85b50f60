"""Picks an agent's tools before its LLM is asked, so that it reads only those that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llama_index.core.base.base_selector import SelectorResult
from llama_index.core.objects.base import ObjectRetriever
from llama_index.core.schema import QueryType
from llama_index.core.tools import BaseTool

from synaptoroute_core import ConfigurationError, NoRouteError
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.llamaindex.selector import SemanticRouteSelector


class SemanticToolRetriever(ObjectRetriever[BaseTool]):
    """The ``tool_retriever`` of an agent: the tools that a selector selects.

    Args:
        selector: Selects; in mode ``multi``, every tool that fits.
        tools: To choose from.
        on_no_match: What an agent gets when the selector raises ``NoRouteError``: ``all`` tools, so that
            its LLM chooses; ``none``, so that it answers by itself; or ``raise``.

    Raises:
        ConfigurationError: There are no tools, or ``on_no_match`` is not valid.
    """

    def __init__(
        self,
        selector: SemanticRouteSelector,
        tools: Sequence[BaseTool],
        *,
        on_no_match: Literal["all", "none", "raise"] = "all",
    ) -> None:
        # Not the base's constructor: it takes an index of nodes, of which there is none here.
        if on_no_match not in ("all", "none", "raise"):
            raise ConfigurationError(f"on_no_match = {shorten(on_no_match)}: use 'all', 'none' or 'raise'")
        if not tools:
            raise ConfigurationError("there are no tools to choose from")
        self._selector = selector
        self._tools = list(tools)
        self._metadata = [tool.metadata for tool in tools]
        self._on_no_match = on_no_match

    def retrieve(self, str_or_query_bundle: QueryType) -> list[BaseTool]:
        """The tools for a query, best first.

        Raises:
            NoRouteError: None fits, and ``on_no_match`` is ``raise``.
        """
        try:
            return self._of(self._selector.select(self._metadata, str_or_query_bundle))
        except NoRouteError as error:
            return self._without_match(error)

    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[BaseTool]:
        """The awaitable twin of :meth:`retrieve`."""
        try:
            return self._of(await self._selector.aselect(self._metadata, str_or_query_bundle))
        except NoRouteError as error:
            return self._without_match(error)

    def _of(self, result: SelectorResult) -> list[BaseTool]:
        return [self._tools[index] for index in result.inds]

    def _without_match(self, error: NoRouteError) -> list[BaseTool]:
        if self._on_no_match == "raise":
            raise error
        return list(self._tools) if self._on_no_match == "all" else []
