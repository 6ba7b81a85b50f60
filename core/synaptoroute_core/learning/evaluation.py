"""How well decisions fit their labels.

A text labelled with a route is *in scope*; one labelled None belongs to no route and is *out of
scope*. Answering it is always wrong; abstaining on it is right. What is left over goes to the
language model, so the share that is answered is the share of LLM calls saved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.errors import ConfigurationError
from synaptoroute_core.types import Decision, Example, FrozenModel

ERROR_LEVELS = (0.01, 0.02, 0.05)
SHOWN_TEXTS = 5


class RouteQuality(FrozenModel):
    """How one route did.

    Attributes:
        route: Its name.
        support: Texts labelled with it.
        answered: Texts that were sent to it.
        precision: Share of those that belong there; None if there were none.
        recall: Share of its texts that were sent to it; None if it has none.
        f1: Harmonic mean of the two; None where one of them is.
    """

    route: str
    support: int
    answered: int
    precision: float | None
    recall: float | None
    f1: float | None


class Confusion(FrozenModel):
    """A pair of routes that is taken one for the other.

    Attributes:
        expected: The label; None = out of scope.
        chosen: The route that was chosen.
        count: How often.
        texts: Some of the texts.
    """

    expected: str | None
    chosen: str
    count: int
    texts: tuple[str, ...]


class Mistake(FrozenModel):
    """A text that was sent to the wrong route.

    Attributes:
        text: The text.
        expected: Its label; None = out of scope.
        decision: What was decided.
    """

    text: str
    expected: str | None
    decision: Decision


class EvaluationReport(FrozenModel):
    """How well a router does on labelled texts. All shares are from 0 to 1, None where undefined.

    Attributes:
        total: Texts.
        in_scope: Texts labelled with a route.
        accuracy: Share of in-scope texts whose best candidate is the label, abstention or not.
        answered: Share of all texts that were answered: the LLM calls saved.
        answered_in_scope: Share of in-scope texts that were answered.
        error: Share of wrong answers among the answered.
        out_of_scope_accepted: Share of out-of-scope texts that were answered.
        aurc: Area under the risk-coverage curve: the error among the surest n texts, mean over all
            n; lower is better. Sureness is the confidence, or the score where there is none. Equally
            sure texts count with their mean error.
        coverage_at_error: For 1, 2 and 5 % error, the largest share of all texts that can be
            answered within it by moving one threshold.
        routes: How each route did, in the order of the router.
        confusions: Most frequent first.
        mistakes: All wrong answers, surest first.
    """

    total: int
    in_scope: int
    accuracy: float | None
    answered: float
    answered_in_scope: float | None
    error: float | None
    out_of_scope_accepted: float | None
    aurc: float
    coverage_at_error: Mapping[float, float]
    routes: tuple[RouteQuality, ...]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[Mistake, ...]


def evaluate_decisions(
    examples: Sequence[Example], decisions: Sequence[Decision], routes: Sequence[str]
) -> EvaluationReport:
    """Compare decisions with labels.

    Args:
        examples: The labelled texts.
        decisions: What was decided of each, in their order.
        routes: Names of all routes.

    Raises:
        ConfigurationError: There are no examples.
    """
    if not examples:
        raise ConfigurationError("there are no examples to evaluate on")
    labels = [label for _, label in examples]
    inside = np.array([label is not None for label in labels])
    answered = np.array([decision.route is not None for decision in decisions])
    right = np.array(
        [
            decision.route is not None and decision.route == label
            for label, decision in zip(labels, decisions, strict=True)
        ]
    )
    best_right = np.array(
        [label is not None and _best(decision) == label for label, decision in zip(labels, decisions, strict=True)]
    )
    risks, ends = risk_curve(np.array([_sureness(decision) for decision in decisions]), best_right)
    return EvaluationReport(
        total=len(examples),
        in_scope=int(inside.sum()),
        accuracy=_share(best_right, inside),
        answered=float(answered.mean()),
        answered_in_scope=_share(answered, inside),
        error=_share(~right, answered),
        out_of_scope_accepted=_share(answered, ~inside),
        aurc=float(risks.mean()),
        coverage_at_error={level: coverage_at(risks[ends], (ends + 1) / len(risks), level) for level in ERROR_LEVELS},
        routes=_route_qualities(labels, decisions, routes),
        confusions=_confusions(examples, decisions),
        mistakes=_mistakes(examples, decisions),
    )


def risk_curve(sureness: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Error among the surest n texts, for n from 1 to all.

    Texts of equal sureness have no order: within them, the error is the one to expect of a random
    one, which lies on the straight line between those before and after them.

    Returns:
        The errors, shape (texts,), and the places in them where no text is torn from its equals.
    """
    ranking = np.argsort(-sureness, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sureness[ranking]) != 0, True))
    wrong = np.cumsum(~right[ranking])[ends]
    counts = np.arange(1, len(right) + 1)
    expected = np.interp(counts, np.append(0, ends + 1), np.append(0, wrong))
    return expected / counts, ends


def coverage_at(risks: NDArray[np.float64], shares: NDArray[np.float64], error: float) -> float:
    """The largest of the shares whose risk is at most this error."""
    return float(shares[risks <= error].max(initial=0.0))


def _best(decision: Decision) -> str | None:
    return decision.candidates[0].route if decision.candidates else None


def _sureness(decision: Decision) -> float:
    if decision.confidence is not None:
        return decision.confidence
    return -1.0 if decision.score is None else decision.score


def _share(values: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(values[among].mean()) if among.any() else None


def _route_qualities(
    labels: Sequence[str | None], decisions: Sequence[Decision], routes: Sequence[str]
) -> tuple[RouteQuality, ...]:
    support: dict[str, int] = defaultdict(int)
    answered: dict[str, int] = defaultdict(int)
    hits: dict[str, int] = defaultdict(int)
    for label, decision in zip(labels, decisions, strict=True):
        if label is not None:
            support[label] += 1
        if decision.route is not None:
            answered[decision.route] += 1
            hits[decision.route] += decision.route == label
    return tuple(_quality(route, support[route], answered[route], hits[route]) for route in routes)


def _quality(route: str, support: int, answered: int, hits: int) -> RouteQuality:
    defined = support > 0 and answered > 0
    return RouteQuality(
        route=route,
        support=support,
        answered=answered,
        precision=hits / answered if answered else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + answered) if defined else None,
    )


def _confusions(examples: Sequence[Example], decisions: Sequence[Decision]) -> tuple[Confusion, ...]:
    texts: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for (text, label), decision in zip(examples, decisions, strict=True):
        if decision.route is not None and decision.route != label:
            texts[label, decision.route].append(text)
    ranking = sorted(texts.items(), key=lambda item: (-len(item[1]), item[0][1], item[0][0] or ""))
    return tuple(
        Confusion(expected=label, chosen=chosen, count=len(found), texts=tuple(found[:SHOWN_TEXTS]))
        for (label, chosen), found in ranking
    )


def _mistakes(examples: Sequence[Example], decisions: Sequence[Decision]) -> tuple[Mistake, ...]:
    wrong = [
        Mistake(text=text, expected=label, decision=decision)
        for (text, label), decision in zip(examples, decisions, strict=True)
        if decision.route is not None and decision.route != label
    ]
    return tuple(sorted(wrong, key=lambda mistake: -_sureness(mistake.decision)))
