"""What a router tells callback handlers beside its output: one custom event for each query."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables import RunnableConfig

from synaptoroute_core import Decision

ROUTE_EVENT = "semantic_route"
"""Name of the event, for ``on_custom_event`` and ``astream_events``."""

RunManager = CallbackManagerForChainRun | AsyncCallbackManagerForChainRun


def event_data(
    outcome: Decision | Exception, *, router: str, milliseconds: float, query: str | None = None
) -> dict[str, Any]:
    """The event's data: plain JSON data, without the query's text unless ``query`` is given.

    Args:
        outcome: What became of the query.
        router: Name of the router.
        milliseconds: Time that the query took; of a batch, its share.
        query: The query's text.
    """
    decision = outcome if isinstance(outcome, Decision) else None
    data: dict[str, Any] = {
        "router": router,
        "error": None if decision is not None else type(outcome).__name__,
        "evidence": 0 if decision is None else len(decision.candidates),
        "milliseconds": milliseconds,
    }
    for name in ("route", "reason", "score", "threshold", "margin", "confidence", "scorer", "revision"):
        data[name] = getattr(decision, name, None)
    if query is not None:
        data["query"] = query
    return data


def is_heard(run_manager: RunManager) -> bool:
    """Whether any handler of a run takes custom events: if none does, making one would be wasted time."""
    return any(not handler.ignore_custom_event for handler in run_manager.handlers)


def send_event(data: dict[str, Any], config: RunnableConfig) -> None:
    """Send the event as one of the run that ``config`` belongs to."""
    dispatch_custom_event(ROUTE_EVENT, data, config=config)


async def asend_event(data: dict[str, Any], config: RunnableConfig) -> None:
    """The awaitable twin of :func:`send_event`."""
    await adispatch_custom_event(ROUTE_EVENT, data, config=config)
