"""Deciding on lines of text, and showing what was decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from synaptoroute_core import AdaptiveRouter, Decision, EncoderError, Explanation, InvalidTextError
from synaptoroute_integrations.cli.app import ABSTAINED, exit_code_of
from synaptoroute_integrations.cli.lines import Line
from synaptoroute_integrations.cli.output import decimals, plain_table, screen, show_error, styled, write_json

Outcome: TypeAlias = Decision | Explanation | EncoderError | InvalidTextError


@dataclass(frozen=True, slots=True)
class Answered:
    """A line and what became of it."""

    line: Line
    outcome: Outcome

    @property
    def exit_code(self) -> int:
        """What it alone would make the command's exit code."""
        if isinstance(self.outcome, Exception):
            return exit_code_of(self.outcome)
        decision = self.outcome.decision if isinstance(self.outcome, Explanation) else self.outcome
        return 0 if decision else ABSTAINED


def answer(
    router: AdaptiveRouter, batch: Sequence[Line], allowed: Collection[str] | None, *, explain: bool
) -> list[Answered]:
    """Decide on a batch; a line that cannot be used, or that the model fails on, fails alone."""
    usable = [line.text for line in batch if line.error is None and line.text is not None]
    outcomes = iter(_outcomes(router, usable, allowed, explain=explain))
    return [Answered(line, InvalidTextError(line.error) if line.error else next(outcomes)) for line in batch]


def _outcomes(
    router: AdaptiveRouter, texts: list[str], allowed: Collection[str] | None, *, explain: bool
) -> Sequence[Outcome]:
    if explain:
        return [_alone(router.explain, text, allowed) for text in texts]
    try:
        return router.route_batch(texts, allowed=allowed)
    except (EncoderError, InvalidTextError):
        return [_alone(router.route, text, allowed) for text in texts]  # one of them spoils the batch


def _alone(ask: Callable[..., Decision | Explanation], text: str, allowed: Collection[str] | None) -> Outcome:
    try:
        return ask(text, allowed=allowed)
    except (EncoderError, InvalidTextError) as error:
        return error


# --- for programs ----------------------------------------------------------------------------------


def writer() -> Callable[[Answered], None]:
    """Writes one JSON object for each line."""

    def write(answered: Answered) -> None:
        line, outcome = answered.line, answered.outcome
        value: dict[str, Any] = {} if line.text is None else {"text": line.text}
        if isinstance(outcome, Exception):
            value |= {"error": str(outcome)} if line.number is None else {"line": line.number, "error": str(outcome)}
        elif isinstance(outcome, Explanation):
            rest = outcome.model_dump(mode="json")
            value |= rest.pop("decision") | rest
        else:
            value |= outcome.model_dump(mode="json")
        write_json(value)

    return write


# --- for people ------------------------------------------------------------------------------------


def printer(min_margin: float) -> Callable[[Answered], None]:
    """Prints a few lines and a table of candidates for each line.

    Args:
        min_margin: The lead that the router asks for.
    """
    console = screen()

    def show(answered: Answered) -> None:
        line, outcome = answered.line, answered.outcome
        if isinstance(outcome, Exception):
            show_error(str(outcome) if line.number is None else f"line {line.number}: {outcome}")
            return
        decision = outcome.decision if isinstance(outcome, Explanation) else outcome
        parts: list[RenderableType] = [_verdict(decision, min_margin)]
        if decision.candidates:
            parts.append(_candidates(decision))
        if isinstance(outcome, Explanation):
            parts += [Text(), _neighbours(outcome), Text(), styled(outcome.advice)]
        console.print(styled(line.text or "", "bold"))
        console.print(Padding(Group(*parts), (0, 0, 1, 2), expand=False))

    return show


def name_outcome(decision: Decision) -> Text:
    """The route, or that there is none and why."""
    if decision.route is not None:
        return Text(decision.route, style="green")
    return Text(f"— abstained ({decision.reason})", style="yellow")


def _verdict(decision: Decision, min_margin: float) -> Text:
    verdict = Text.assemble("→ " if decision else "", name_outcome(decision))
    if decision.score is not None and decision.threshold is not None:
        sureness = "score" if decision.confidence is None else "confidence"
        verdict.append(f"   {sureness} {_compared(decision.score, decision.threshold)}")
    if decision.margin is not None and decision.confidence is None:  # a head asks for no lead
        verdict.append(f"   margin {_compared(decision.margin, min_margin)}")
    if decision.near_boundary:
        verdict.append("\nso close that it may come out differently on another machine", style="yellow")
    return verdict


def _compared(value: float, limit: float) -> str:
    return f"{decimals(value, 3)} {'>=' if value >= limit else '<'} {decimals(limit, 3)}"


def _candidates(decision: Decision) -> Table:
    table = plain_table("candidate", ">score", "nearest utterance")
    for candidate in decision.candidates:
        chosen = "green" if candidate.route == decision.route else ""
        table.add_row(Text(candidate.route, style=chosen), decimals(candidate.score, 3), styled(candidate.utterance))
    return table


def _neighbours(explanation: Explanation) -> Table:
    table = plain_table("route", ">cosine", "nearest utterances")
    for neighbour in explanation.neighbours:
        table.add_row(neighbour.route, decimals(neighbour.similarity, 3), styled(neighbour.utterance))
    return table
