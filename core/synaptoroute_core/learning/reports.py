"""What the reports of learning have in common, and the report of a fit."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.views import report_html, report_line, report_text
from synaptoroute_core.words import counted

UNDEFINED = "-"


class Report(FrozenModel):
    """A report for people and for programs."""

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """All of it as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    @abstractmethod
    def to_markdown(self) -> str:
        """What people want to know of it, as Markdown."""

    def _repr_html_(self) -> str:
        return report_html(self)

    def _text(self) -> str:
        return report_text(self)

    def _line(self) -> str:
        return report_line(self)


class HeldOut(FrozenModel):
    """How a rule did on labelled texts that it was not made from. Shares are from 0 to 1, None where undefined.

    Attributes:
        accuracy: Share of in-scope texts whose best candidate is the label, abstention or not.
        answered: Share of all texts that were answered.
        error: Share of wrong answers among the answered.
        out_of_scope_accepted: Share of out-of-scope texts that were answered.
        f1: Mean over the routes of their F1.
        aurc: Area under the risk-coverage curve; lower is better.
    """

    accuracy: float | None
    answered: float
    error: float | None
    out_of_scope_accepted: float | None
    f1: float | None
    aurc: float | None = None


class FitReport(Report):
    """What a fit did, and why.

    Attributes:
        kind: What was fitted: ``thresholds`` or a ``head``.
        changed: Whether the router decides by it now. If not, nothing was changed.
        reason: Why, in one sentence.
        revision: The router's revision now.
        routes: Routes that it covers.
        utterances: Utterances that it was made from.
        examples: Labelled examples that it was made from.
        held_out: Texts that ``before`` and ``after`` were judged on, none of which the judged rule was made from.
        before: How the rule in force until now did on them; None if there were too few texts to tell.
        after: How the new rule did on the same texts.
        threshold: Least score or confidence at which the router answers now, of routes without their own; None = as
            in its settings.
        thresholds: Thresholds of routes that were set; None = the router's.
        settings: What was chosen, and from what.
        seconds: How long it took.
    """

    kind: Literal["thresholds", "head"]
    changed: bool
    reason: str
    revision: int
    routes: int
    utterances: int
    examples: int
    held_out: int
    before: HeldOut | None
    after: HeldOut | None
    threshold: float | None = None
    thresholds: Mapping[str, float | None] = Field(default_factory=dict)
    settings: Mapping[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0

    def to_markdown(self) -> str:
        """A sentence and a table of the figures before and after."""
        held = {"route": self.routes, "utterance": self.utterances, "example": self.examples}
        made_of = ", ".join(counted(count, what) for what, count in held.items())
        lines = [
            f"**{self.kind}**: {'changed' if self.changed else 'nothing changed'}. {self.reason}",
            "",
            f"{made_of}, {self.seconds:.1f} s; judged on {counted(self.held_out, 'held-out text')}.",
        ]
        if self.before is not None and self.after is not None:
            lines += ["", "| | before | after |", "|---|---|---|"]
            for name in HeldOut.model_fields:
                before, after = shown(getattr(self.before, name)), shown(getattr(self.after, name))
                lines.append(f"| {name.replace('_', ' ')} | {before} | {after} |")
        return "\n".join(lines) + "\n"


def shown(value: float | None, places: int = 3) -> str:
    """A share in a table."""
    return UNDEFINED if value is None else f"{value:.{places}f}"
