"""What an audit of the routes can find, and the report of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

from pydantic import Field

from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.learning.markdown import cell, section
from synaptoroute_core.learning.reports import Report
from synaptoroute_core.words import counted

Severity: TypeAlias = Literal["error", "warning", "info"]
Kind: TypeAlias = Literal[
    "duplicate", "unreachable", "collision", "misplaced", "near_duplicate", "too_similar", "too_few"
]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Most severe first."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order of a report."""

QUOTED_CHARACTERS = 48
MEANINGS: Mapping[Kind, str] = {
    "duplicate": "The same text in several routes",
    "unreachable": "Routes that no query reaches",
    "collision": "Routes that cannot be told apart",
    "misplaced": "Utterances that seem to belong to another route",
    "near_duplicate": "Nearly the same sentence twice",
    "too_similar": "Routes that know only one wording",
    "too_few": "Routes with few utterances",
}


class Finding(FrozenModel):
    """Something that is wrong with the routes, or may be.

    Attributes:
        kind: What it is.
        severity: ``error``: queries will be decided wrongly; ``warning``: look at it; ``info``: good to know.
        route: The route that it is about.
        other_route: The other route that it is about, if it is about two.
        utterances: The evidence. Of ``misplaced``: the utterance, then the nearest of its own route and the
            nearest of the other.
        owners: The route of each of these.
        score: What findings of the kind are ranked by. ``collision``: share of the utterances of both that the
            other route takes, or the cosine of their centres where a share says nothing; ``misplaced``: lead of the
            other route; ``near_duplicate`` and ``too_similar``: cosine; None for the other kinds.
        message: What was found, in one sentence with its numbers.
        suggestion: What to do about it.
    """

    kind: Kind
    severity: Severity
    route: str
    other_route: str | None = None
    utterances: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    score: float | None = None
    message: str
    suggestion: str


class AuditReport(Report):
    """What is wrong with a set of routes.

    Attributes:
        revision: The revision that was looked at.
        routes: Routes.
        utterances: Utterances.
        findings: Most severe first; of each kind no more than was asked for.
        hidden: How many more there are of each kind; kinds without more are left out. None of them is more severe
            than those of its kind that are listed.
    """

    revision: int
    routes: int
    utterances: int
    findings: tuple[Finding, ...]
    hidden: Mapping[str, int] = Field(default_factory=dict)

    @property
    def worst(self) -> Severity | None:
        """The highest severity; None if nothing was found."""
        return self.findings[0].severity if self.findings else None

    def of_kind(self, kind: Kind) -> tuple[Finding, ...]:
        """The findings of one kind, most severe first."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings that are as severe as this, or more."""
        return tuple(finding for finding in self.findings if is_at_least(finding.severity, severity))

    def to_markdown(self) -> str:
        """A sentence, then a table for each kind."""
        counts = ", ".join(f"{len(self._exactly(severity)):,} {severity}" for severity in SEVERITIES)
        lines = [f"**{counted(self.routes, 'route')}, {counted(self.utterances, 'utterance')}**: {counts}."]
        for kind in KINDS:
            rows = [_row(finding) for finding in self.of_kind(kind)]
            lines += section(MEANINGS[kind], ("severity", "routes", "finding", "utterances", "what to do"), rows)
            if self.hidden.get(kind):
                lines += ["", f"and {self.hidden[kind]:,} more"]
        return "\n".join(lines) + "\n"

    def _exactly(self, severity: Severity) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]


def quoted(text: str) -> str:
    """An utterance in a sentence, cut so that one can still read the sentence."""
    return repr(text if len(text) <= QUOTED_CHARACTERS else f"{text[: QUOTED_CHARACTERS - 1]}…")


def is_at_least(severity: Severity, least: Severity) -> bool:
    """Whether one severity is as high as the other, or higher."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(least)


def rank_findings(found: Iterable[Finding], limit: int) -> tuple[tuple[Finding, ...], dict[str, int]]:
    """The findings to list, most severe first, and how many more there are of each kind.

    Args:
        found: All findings.
        limit: How many to list of each kind.
    """
    ranking = sorted(
        found,
        key=lambda finding: (
            SEVERITIES.index(finding.severity),
            KINDS.index(finding.kind),
            -(finding.score or 0.0),
            finding.route,
            finding.other_route or "",
            finding.utterances,
        ),
    )
    listed: list[Finding] = []
    counts = dict.fromkeys(KINDS, 0)
    for finding in ranking:
        counts[finding.kind] += 1
        if counts[finding.kind] <= limit:
            listed.append(finding)
    return tuple(listed), {kind: count - limit for kind, count in counts.items() if count > limit}


def _row(finding: Finding) -> tuple[str, ...]:
    names = [finding.route, *filter(None, [finding.other_route])]
    return (
        finding.severity,
        ", ".join(map(cell, names)),
        cell(finding.message),
        "<br>".join(
            f"{cell(owner)}: {cell(text)}" for owner, text in zip(finding.owners, finding.utterances, strict=True)
        ),
        cell(finding.suggestion),
    )
