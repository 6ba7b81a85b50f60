"""From the fallback's answers to a change of the routes: drafted, tested, and only then recommended.

A draft adds queries to the routes that the fallback chose for them. Part of the answers is held out of the draft; the
router with the draft is asked the held-out queries and the golden ones, whose labels are beyond doubt, and compared
with the router as it is. An edit that makes something worse is left out, and the rest is tested again.

Held-out answers come from the same source as the drafted ones: they show that the edits fit together and carry over
to other queries, not that the source is right. Golden queries are the guard against a source that errs the same way
every time. And since edits are left out by the tests that they fail, the figures afterwards flatter the change.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.learning.feedback.drafting import (
    MAX_PER_ROUTE,
    Edit,
    draft_edits,
    is_news,
    latest_answers,
    owners_of,
)
from synaptoroute_core.learning.feedback.trying import Exam, Finding, Judge, LeftOut, Search
from synaptoroute_core.learning.markdown import cell, table
from synaptoroute_core.learning.reports import HeldOut, Report, shown
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Example, Route
from synaptoroute_core.words import counted, verb

MAX_TRIALS = 12
MAX_ERROR = 0.1
MIN_TESTS = 5
SHOWN_EDITS = 20


class Proposal(Report):
    """A change of the routes, and what speaks for and against it.

    Attributes:
        accepted: Whether it passed its tests.
        applied: Whether the router has it now.
        reason: Why, in one sentence.
        edits: The steps: those that passed, or, where none did, all that were drafted.
        left_out: Steps that were drafted and are not among ``edits``.
        golden: Golden queries that it was tested on.
        held_out: Queries of the feedback that it was tested on, none of which was drafted.
        golden_before: How the router did on the golden queries as it is; None without any.
        golden_after: With the change.
        held_out_before: How the router did on the held-out feedback as it is; None without any.
        held_out_after: With the change.
        regressions: Golden queries that were right and would be wrong with the change.
        trials: How many drafts were tested.
        revision: The router's revision that was tested; of an applied change, the one that it made.
    """

    accepted: bool
    reason: str
    applied: bool = False
    edits: tuple[Edit, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    golden: int = 0
    held_out: int = 0
    golden_before: HeldOut | None = None
    golden_after: HeldOut | None = None
    held_out_before: HeldOut | None = None
    held_out_after: HeldOut | None = None
    regressions: tuple[str, ...] = ()
    trials: int = 0
    revision: int = 0

    def to_markdown(self) -> str:
        """A sentence, the figures before and after, and the edits."""
        state = "applied" if self.applied else "accepted" if self.accepted else "not accepted"
        tests = f"{self.golden:,} golden and {counted(self.held_out, 'held-out query', 'held-out queries')}"
        tried = f"{counted(self.trials, 'trial')} on {tests}"
        lines = [
            f"**proposal**: {state}. {self.reason}",
            "",
            f"{counted(len(self.edits), 'edit')}, {len(self.left_out):,} left out; {tried}.",
            *_comparison("golden queries", self.golden_before, self.golden_after),
            *_comparison("held-out feedback", self.held_out_before, self.held_out_after),
        ]
        shown_edits, shown_left_out = self.edits[:SHOWN_EDITS], self.left_out[:SHOWN_EDITS]
        rows = [
            *((edit.action, cell(edit.route), cell(edit.utterance), "") for edit in shown_edits),
            *(
                ("left out", cell(each.edit.route), cell(each.edit.utterance), cell(each.reason))
                for each in shown_left_out
            ),
        ]
        if rows:
            lines += ["", *table(["edit", "route", "utterance", "why not"], rows)]
        return "\n".join(lines) + "\n"


def propose_change(
    examples: Iterable[Example],
    golden: Iterable[Example],
    routes: Mapping[str, Route],
    judge: Judge,
    *,
    holdout: float = 0.3,
    seed: int = 0,
    max_regressions: int = 0,
    max_error: float = MAX_ERROR,
    create: bool = False,
    max_per_route: int = MAX_PER_ROUTE,
    max_trials: int = MAX_TRIALS,
    revision: int = 0,
) -> Proposal:
    """Draft a change from feedback, test it, and say whether to make it.

    It passes if, of the golden queries, at most ``max_regressions`` that were right are sent to a wrong route, the
    error does not rise and right answers do not become fewer; and if, of the held-out feedback, right answers do not
    become fewer and the error does not rise above what it was or ``max_error``. The log holds what the router was
    unsure of, so as it is it answers few of them: that is why there is an error to allow.

    If all edits together fail, those are left out that the failures point to: the utterances that were the evidence
    for the wrong choice. Then what is left of the trials goes into groups of routes, put back one after the other.

    Args:
        examples: Feedback: texts and the fallback's answers, oldest first; the last answer to a text counts. One that
            is golden too is passed over: the router must not be taught its own test. An answer None, or one that is
            no route's name, is never drafted and always tested.
        golden: Texts and labels that are beyond doubt; may be empty.
        routes: The routes as they are, by name.
        judge: Decides as the router would with some routes put in.
        holdout: Share of the feedback, 0 to below 1, that is not drafted but tested on.
        seed: Chooses which.
        max_regressions: How many golden queries may go from right to wrong.
        max_error: Share of wrong answers, 0 to 1, to allow among the held-out feedback.
        create: Whether an answer that is no route's name makes a new route.
        max_per_route: Most edits in favour of one route.
        max_trials: Most drafts to test.
        revision: Revision of ``routes``, for the report.

    Returns:
        The proposal; with the same arguments, the same.

    Raises:
        ConfigurationError: An argument is not valid.
        InvalidTextError: A text is not usable.
    """
    _require_settings(holdout, max_regressions, max_error, max_trials)
    sure = latest_answers(golden)
    drafted, held_out = split_feedback(
        latest_answers(examples), sure, routes, holdout=holdout, seed=seed, create=create
    )
    edits = draft_edits(drafted, routes, max_per_route=max_per_route, create=create)
    known = {*routes, *(edit.route for edit in edits)}
    held_out = [(text, answer if answer in known else None) for text, answer in held_out]
    draft = Proposal(
        accepted=False,
        reason="There is nothing to change: no answer names a route that lacks the query.",
        edits=edits,
        golden=len(sure),
        held_out=len(held_out),
        revision=revision,
    )
    if not edits:
        return draft
    if len(sure) + len(held_out) < MIN_TESTS:
        reason = f"Too few queries to test on: give golden ones or more feedback, at least {MIN_TESTS} in all."
        return draft.model_copy(update={"reason": reason})
    exam = Exam(sure, held_out, routes, judge, max_regressions=max_regressions, max_error=max_error)
    return _concluded(draft, Search(exam, max_trials).run(edits))


def split_feedback(
    examples: Sequence[Example],
    golden: Sequence[Example],
    routes: Mapping[str, Route],
    *,
    holdout: float,
    seed: int,
    create: bool,
) -> tuple[list[Example], list[Example]]:
    """Feedback to draft from and feedback to test on, both in its order.

    What the routes have already is in neither: an utterance always finds its route. What cannot be drafted is all in
    the second. Of the rest, which is where depends on the text and the seed, not on the order.
    """
    passed_over = {utterance_key(text) for text, _ in golden}
    owners = owners_of(routes)
    new: list[Example] = []
    others: list[Example] = []
    for text, answer in examples:
        key = utterance_key(text)
        if key in passed_over or answer in owners.get(key, ()):
            continue
        (new if is_news(text, answer, routes, owners, create=create) else others).append((text, answer))
    ranking = sorted(new, key=lambda example: _lot(example[0], seed))
    tested = {text for text, _ in ranking[: math.floor(holdout * len(new) + 0.5)]}
    drafted = [example for example in new if example[0] not in tested]
    chosen = tested | {text for text, _ in others}
    return drafted, [example for example in examples if example[0] in chosen]


def _lot(text: str, seed: int) -> bytes:
    """The same for the same text and seed on every machine; Python's own hash is not."""
    return hashlib.sha256(f"{seed}:{utterance_key(text)}".encode()).digest()


def _concluded(draft: Proposal, finding: Finding) -> Proposal:
    """The draft with what the search found; the figures are those of the edits that it names."""
    before, after, accepted = finding.before, finding.verdict, bool(finding.kept)
    reason = f"No part of the draft passes. All of it together: {after.objection}."
    if accepted:
        reason = (
            f"{len(finding.kept):,} of {counted(len(draft.edits), 'edit')} "
            f"{verb(len(finding.kept), 'passes', 'pass')}: right answers to held-out feedback go from "
            f"{len(before.held_out.right)} to {len(after.held_out.right)}, to golden queries from "
            f"{len(before.golden.right)} to {len(after.golden.right)}."
        )
    return draft.model_copy(
        update={
            "accepted": accepted,
            "reason": reason,
            "edits": finding.kept or draft.edits,
            "left_out": finding.left_out if accepted else (),
            "golden_before": before.golden.headline(),
            "golden_after": after.golden.headline(),
            "held_out_before": before.held_out.headline(),
            "held_out_after": after.held_out.headline(),
            "regressions": after.regressions,
            "trials": finding.trials,
        }
    )


def _comparison(title: str, before: HeldOut | None, after: HeldOut | None) -> list[str]:
    if before is None or after is None:
        return []
    rows = [
        (name.replace("_", " "), shown(getattr(before, name)), shown(getattr(after, name)))
        for name in HeldOut.model_fields
    ]
    return ["", *table([title, ">before", ">after"], rows)]


def _require_settings(holdout: float, max_regressions: int, max_error: float, max_trials: int) -> None:
    for name, value, low, high in (
        ("holdout", holdout, 0, math.nextafter(1, 0)),
        ("max_regressions", max_regressions, 0, math.inf),
        ("max_error", max_error, 0, 1),
        ("max_trials", max_trials, 1, math.inf),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ConfigurationError(f"{name} = {shorten(value)}: give a number from {low} to {high:g}")
