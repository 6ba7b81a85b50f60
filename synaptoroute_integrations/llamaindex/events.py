"""What instrumentation hears of a selection: LlamaIndex has spans for selectors, but no event."""

from __future__ import annotations

from llama_index.core import instrumentation
from llama_index.core.instrumentation.events import BaseEvent

from synaptoroute_core import Decision
from synaptoroute_integrations.llamaindex.results import SemanticSelectorResult

dispatcher = instrumentation.get_dispatcher(__name__)  # type: ignore[attr-defined]  # not in its __all__, but its documented name


class SemanticRouteEvent(BaseEvent):
    """A selector has decided. The query's text is not in it: traces leave the machine.

    Attributes:
        indices: Positions of the selected choices; empty if none was and the selector is to raise, or
            to ask another selector, which has spans and events of its own.
        route: Name of the chosen route, or None for an abstention.
        reason: Of the decision: ``matched``, ``below_threshold``, ``ambiguous``, ...
        score: The best candidate's score, -1 to 1.
        margin: Its lead over the second.
        threshold: The score that it needed.
        fallback: What was put in the place of an answer; None if there was one.
    """

    indices: list[int]
    route: str | None
    reason: str
    score: float | None
    margin: float | None
    threshold: float | None
    fallback: str | None

    @classmethod
    def class_name(cls) -> str:
        """Name of the event's class in serialised form."""
        return "SemanticRouteEvent"


def announce(decision: Decision, result: SemanticSelectorResult | None, fallback: str | None) -> None:
    """Send the event of a decision to the handlers, inside the span of the caller."""
    dispatcher.event(
        SemanticRouteEvent(
            indices=[] if result is None else result.inds,
            route=decision.route,
            reason=decision.reason,
            score=decision.score,
            margin=decision.margin,
            threshold=decision.threshold,
            fallback=fallback,
        )
    )
