"""A decision and its explanation: the verdict, and a bar for each candidate with a tick at its threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from synaptoroute_core.views.bars import bar_html, bar_text, scale_of
from synaptoroute_core.views.markup import SEPARATOR, facts, mark, quiet, table, text
from synaptoroute_core.views.style import card
from synaptoroute_core.words import cut, decimals, number

if TYPE_CHECKING:
    from synaptoroute_core.types import Candidate, Decision, Explanation, Neighbour

MEANINGS = {
    "below_threshold": "the best score is too low",
    "ambiguous": "the two best are too close",
    "low_confidence": "the fitted head is not sure enough",
    "no_routes": "there was nothing to choose from",
}
RULES = {"similarity": "similarity", "head": "fitted head"}
NEAR_BOUNDARY = "near the boundary"
NEAR_BOUNDARY_MEANING = "scores that moved by the encoder's numerical noise would be enough for another outcome"
NAME_CHARACTERS = 24
UTTERANCE_CHARACTERS = 60
ADVICE_CHARACTERS = 1_000


def decision_html(decision: Decision) -> str:
    """The verdict, its figures, and the candidates."""
    return card("Decision", *_decision_parts(decision))


def decision_text(decision: Decision) -> str:
    """The verdict with its figures, and a line for each candidate."""
    return "\n".join([decision_line(decision), *_candidate_lines(decision)])


def decision_line(decision: Decision) -> str:
    """The verdict with its figures, on one line."""
    verdict = f"abstained: {cut(decision.reason)}" if decision.route is None else cut(decision.route)
    figures = [f"{name} {value}" for name, value in _figures(decision)]
    rest = [cut(_rule(decision)), *([NEAR_BOUNDARY] if decision.near_boundary else [])]
    return f"Decision: {verdict} ({', '.join([*figures, *rest])})"


def explanation_html(explanation: Explanation) -> str:
    """The decision, the advice, and the nearest utterances."""
    return card(
        "Explanation",
        *_decision_parts(explanation.decision),
        f'<p class="sr-advice">{text(explanation.advice, ADVICE_CHARACTERS)}</p>',
        _neighbours(explanation.neighbours, _best(explanation.decision)),
    )


def explanation_text(explanation: Explanation) -> str:
    """The same as lines."""
    neighbours = [
        f"  {decimals(each.similarity)[0]}  {_padded(each.route)}  {cut(each.utterance, UTTERANCE_CHARACTERS)}"
        for each in explanation.neighbours
    ]
    return "\n".join(
        [
            decision_text(explanation.decision),
            cut(explanation.advice, ADVICE_CHARACTERS),
            *(["Nearest utterances:", *neighbours] if neighbours else []),
        ]
    )


def measured_by(scorer: str) -> str:
    """What a score of that rule is: a fitted head's are confidences."""
    return "confidence" if scorer == "head" else "score"


def _decision_parts(decision: Decision) -> Iterator[str]:
    if decision.route is None:
        meaning = quiet(SEPARATOR + MEANINGS.get(decision.reason, ""))
        yield f'<p class="sr-head"><strong>abstained</strong>: {text(decision.reason)}{meaning}</p>'
    else:
        yield f'<p class="sr-head"><strong class="sr-chosen">{text(decision.route)}</strong></p>'
    marks = [mark(NEAR_BOUNDARY, NEAR_BOUNDARY_MEANING)] if decision.near_boundary else []
    revision = f"revision {number(decision.revision)}"
    yield facts(_figures(decision), text(_rule(decision)), revision, *marks)
    if decision.candidates:
        yield _candidates(decision)


def _figures(decision: Decision) -> list[tuple[str, str]]:
    """Names and values of what the decision rests on, as far as there is any."""
    compared = _known({measured_by(decision.scorer): decision.score, "threshold": decision.threshold})
    others = _known(
        {"margin": decision.margin, "confidence": None if decision.scorer == "head" else decision.confidence}
    )
    return [
        *zip(compared, decimals(*compared.values()), strict=True),
        *((figure, decimals(value)[0]) for figure, value in others.items()),
    ]


def _known(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}


def _rule(decision: Decision) -> str:
    return RULES.get(decision.scorer, decision.scorer)


def _best(decision: Decision) -> str | None:
    return decision.candidates[0].route if decision.candidates else None


def _candidates(decision: Decision) -> str:
    scale = scale_of(value for each in decision.candidates for value in (each.score, each.threshold))
    measure = measured_by(decision.scorer)
    rows = [
        (
            text(each.route),
            bar_html(scale, each.score, each.threshold, _words(each, measure), strong=each.route == decision.route),
            decimals(each.score)[0],
            text(each.utterance),
        )
        for each in decision.candidates
    ]
    columns = ("route", f"{measure} and threshold", f">{measure}", "utterance that spoke")
    return table("Candidates", columns, rows, widths=WIDTHS)


WIDTHS = ("25%", "25%", "6em", "")


def _words(candidate: Candidate, measure: str) -> str:
    if candidate.threshold is None:
        return f"{measure} {decimals(candidate.score)[0]}"
    score, threshold = decimals(candidate.score, candidate.threshold)
    return f"{measure} {score}, threshold {threshold}: {'enough' if candidate.passes else 'not enough'}"


def _candidate_lines(decision: Decision) -> Iterator[str]:
    scale = scale_of(value for each in decision.candidates for value in (each.score, each.threshold))
    for each in decision.candidates:
        bar = bar_text(scale, each.score, each.threshold)
        score = decimals(each.score)[0]
        yield f"  {_padded(each.route)}  {score:>6}  {bar}  {cut(each.utterance, UTTERANCE_CHARACTERS)}"


def _padded(name: str) -> str:
    return f"{cut(name, NAME_CHARACTERS):<{NAME_CHARACTERS}}"


def _neighbours(neighbours: tuple[Neighbour, ...], best: str | None) -> str:
    if not neighbours:
        return ""
    scale = scale_of(each.similarity for each in neighbours)
    rows = []
    for each in neighbours:
        similarity = decimals(each.similarity)[0]
        bar = bar_html(scale, each.similarity, None, f"similarity {similarity}", strong=each.route == best)
        rows.append((text(each.route), bar, similarity, text(each.utterance)))
    return "<h3>Nearest utterances</h3>" + table(
        "Nearest utterances", ("route", "similarity", ">cosine", "utterance"), rows, widths=WIDTHS
    )
