"""What a selector returns: LlamaIndex's own result classes, with the figures behind them."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.base_selector import SelectorResult, SingleSelection
from pydantic import SerializeAsAny

from synaptoroute_core import Candidate, Decision, NoRouteError


class SemanticSelection(SingleSelection):
    """One selected choice.

    Attributes:
        index: Its position among the choices that were offered, from 0.
        reason: The figures in words, for logs and for ``verbose`` engines.
        route: Name of the route that stands for it.
        score: Its score, -1 to 1.
        threshold: The score that it needed.
        margin: Lead of the best candidate over the second; None for all but the best.
        zero_shot: It was scored by its name and description, not by registered utterances.
    """

    route: str | None = None
    score: float | None = None
    threshold: float | None = None
    margin: float | None = None
    zero_shot: bool = False


class SemanticSelectorResult(SelectorResult):
    """The selected choices, best first, and the decision behind them.

    It arrives whole in ``response.metadata["selector_result"]``.

    Attributes:
        selections: At least one.
        decision: What the router said, with its candidates.
        fallback: What was put in the place of an answer when the router abstained: ``best``, a choice,
            or the class of another selector; None if the router answered.
    """

    selections: list[SerializeAsAny[SingleSelection]]
    decision: Decision
    fallback: str | None = None


class FallbackError(NoRouteError):
    """The router abstained, and the selector that was to step in gave no usable selection."""

    def __init__(self, decision: Decision, fallback: str, indices: Sequence[object], count: int) -> None:
        super().__init__(decision)
        self.args = (f"{self}; the fallback {fallback} selected {list(indices)} of {count} choices",)


def selection_of(index: int, candidate: Candidate, *, zero_shot: bool, margin: float | None) -> SemanticSelection:
    """The selection of a candidate that passed."""
    return SemanticSelection(
        index=index,
        reason=f"matched {_figures(candidate, zero_shot=zero_shot, margin=margin)}",
        route=candidate.route,
        score=candidate.score,
        threshold=candidate.threshold,
        margin=margin,
        zero_shot=zero_shot,
    )


def fallback_selection(index: int, fallback: str, decision: Decision, *, zero_shot: bool) -> SemanticSelection:
    """The selection that stands in for an answer: no score of its own, the best candidate's in words."""
    best = ""
    if decision.candidates:
        best = f"; the best was {_figures(decision.candidates[0], zero_shot=zero_shot, margin=decision.margin)}"
    return SemanticSelection(index=index, reason=f"fallback to {fallback}: {decision.reason}{best}")


def adopted(
    result: SelectorResult, decision: Decision, fallback: str, count: int, taken: int | None
) -> SemanticSelectorResult:
    """Another selector's result, checked: LlamaIndex runs the last engine for index -1.

    Args:
        result: What it selected.
        decision: Why it was asked.
        fallback: Its class, for messages.
        count: How many choices there were.
        taken: How many selections are wanted at most; None = all.

    Raises:
        FallbackError: It selected nothing, or an index that does not exist.
    """
    indices = list(result.inds)
    if not indices or not all(0 <= index < count for index in indices):
        raise FallbackError(decision, fallback, indices, count)
    return SemanticSelectorResult(selections=result.selections[:taken], decision=decision, fallback=fallback)


def _figures(candidate: Candidate, *, zero_shot: bool, margin: float | None) -> str:
    kind = " (zero-shot, by name and description)" if zero_shot else ""
    needed = "" if candidate.threshold is None else f", threshold {candidate.threshold:.2f}"
    lead = "" if margin is None else f", margin {margin:.2f}"
    return f"{candidate.route!r}{kind}: score {candidate.score:.2f}{needed}{lead}"
