"""What is wrong with a set of routes, found from the routes alone.

Most of it rests on leaving each utterance out of its route and asking where it would go
(:mod:`synaptoroute_core.learning.audit.leave_one_out`), by the rule that scores queries. Finding wrongly labelled
texts by the labels of their nearest neighbours goes back to Wilson, "Asymptotic properties of nearest
neighbor rules using edited data" (1972).
"""

from __future__ import annotations

from collections.abc import Collection

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.learning.audit.findings import AuditReport, Finding, rank_findings
from synaptoroute_core.learning.audit.leave_one_out import leave_one_out
from synaptoroute_core.learning.audit.overlaps import find_collisions, find_misplaced, find_unreachable
from synaptoroute_core.learning.audit.repetitions import (
    find_duplicates,
    find_narrow_routes,
    find_near_duplicates,
    find_small_routes,
)
from synaptoroute_core.learning.audit.survey import Survey
from synaptoroute_core.snapshot import Snapshot


def audit_snapshot(
    snapshot: Snapshot,
    *,
    reached: Collection[str] | None = None,
    limit: int = 20,
    near_duplicate: float = 0.97,
    min_lead: float = 0.10,
) -> AuditReport:
    """Look for routes and utterances that will cause wrong decisions.

    Time grows with the square of the utterances: 9,000 take a second, 50,000 a dozen on two cores.

    Args:
        snapshot: The routes.
        reached: Names of the routes to which queries were sent, as far as the caller knows: they are not unreachable.
        limit: How many findings to list of each kind.
        near_duplicate: Cosine from which two utterances are nearly the same sentence.
        min_lead: By how much another route must beat an utterance's own before it is called misplaced.

    Raises:
        ConfigurationError: A setting is out of range.
    """
    if limit < 1:
        raise ConfigurationError(f"limit = {shorten(limit)}: list at least 1 finding of each kind")
    if not 0 < near_duplicate <= 1:
        raise ConfigurationError(f"near_duplicate = {shorten(near_duplicate)}: give a cosine above 0, at most 1")
    if not 0 <= min_lead <= 2:  # noqa: PLR2004  # scores lie between -1 and 1
        raise ConfigurationError(f"min_lead = {shorten(min_lead)}: give a difference of scores, 0 to 2")
    found: list[Finding] = []
    if snapshot.names:
        found = _all_findings(Survey(snapshot, leave_one_out(snapshot), near_duplicate, min_lead), reached)
    findings, hidden = rank_findings(found, limit)
    return AuditReport(
        revision=snapshot.revision,
        routes=len(snapshot.names),
        utterances=len(snapshot.order),
        findings=findings,
        hidden=hidden,
    )


def _all_findings(routes: Survey, reached: Collection[str] | None) -> list[Finding]:
    duplicates, twins = find_duplicates(routes), find_near_duplicates(routes)
    collisions, unreachable = list(find_collisions(routes)), list(find_unreachable(routes, reached or ()))
    # One cause, one finding: what is said of a pair or a route is not said again of each utterance.
    settled = {frozenset({each.route, each.other_route}) for each in collisions if each.severity != "info"}
    known = {text for each in (*duplicates, *twins) if each.other_route is not None for text in each.utterances}
    lost = {each.route for each in unreachable}
    misplaced = [
        each
        for each in find_misplaced(routes)
        if frozenset({each.route, each.other_route}) not in settled
        and each.route not in lost
        and each.utterances[0] not in known
    ]
    return [
        *duplicates,
        *twins,
        *collisions,
        *unreachable,
        *misplaced,
        *find_narrow_routes(routes),
        *find_small_routes(routes),
    ]
