"""Awaitable twins of the router's blocking methods: the same code, in a thread.

Cancelling one of these stops the waiting, not the change: what was handed to the store is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from synaptoroute_core.learning import EvaluationReport
    from synaptoroute_core.router import AdaptiveRouter
    from synaptoroute_core.types import Example, Explanation, Receipt, Route


class AsyncTwins:
    """Twins of the methods that have no asynchronous form of their own."""

    async def aexplain(self: AdaptiveRouter, text: str, *, allowed: Collection[str] | None = None) -> Explanation:
        """Awaitable twin of ``explain``."""
        return await asyncio.to_thread(self.explain, text, allowed=allowed)

    async def aevaluate(self: AdaptiveRouter, examples: Iterable[Example]) -> EvaluationReport:
        """Awaitable twin of ``evaluate``."""
        return await asyncio.to_thread(self.evaluate, examples)

    async def aadd_route(self: AdaptiveRouter, route: Route, *, overwrite: bool = False) -> Receipt:
        """Awaitable twin of ``add_route``."""
        return await asyncio.to_thread(self.add_route, route, overwrite=overwrite)

    async def aremove_route(self: AdaptiveRouter, name: str) -> Receipt:
        """Awaitable twin of ``remove_route``."""
        return await asyncio.to_thread(self.remove_route, name)

    async def aadd_utterances(self: AdaptiveRouter, name: str, texts: Iterable[str]) -> Receipt:
        """Awaitable twin of ``add_utterances``."""
        return await asyncio.to_thread(self.add_utterances, name, texts)

    async def aremove_utterances(self: AdaptiveRouter, name: str, texts: Iterable[str]) -> Receipt:
        """Awaitable twin of ``remove_utterances``."""
        return await asyncio.to_thread(self.remove_utterances, name, texts)

    async def aupdate_threshold(self: AdaptiveRouter, name: str, value: float | None) -> Receipt:
        """Awaitable twin of ``update_threshold``."""
        return await asyncio.to_thread(self.update_threshold, name, value)

    async def aclose(self: AdaptiveRouter) -> None:
        """Awaitable twin of ``close``."""
        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self: AdaptiveRouter, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
