"""The router's questions about its own routes, and what it proposes to do about them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from synaptoroute_core.calibrating import Calibrating
from synaptoroute_core.changes import PutRoutes, Vectors
from synaptoroute_core.errors import ConfigurationError
from synaptoroute_core.feedback import FeedbackLog
from synaptoroute_core.fits import FittedRule
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.learning.audit.auditing import audit_snapshot
from synaptoroute_core.learning.audit.findings import AuditReport
from synaptoroute_core.learning.audit.suggesting import Suggestion, suggest_texts
from synaptoroute_core.learning.feedback.drafting import changed_routes, undone_routes
from synaptoroute_core.learning.feedback.proposing import MAX_ERROR, MAX_TRIALS, Proposal, propose_change
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.text import clean_query
from synaptoroute_core.types import Decision, Example, Receipt, Route


class Improving(Calibrating):
    """Methods that find out what is wrong with the routes, and mend it."""

    def audit(
        self,
        *,
        reached: Collection[str] | None = None,
        limit: int = 20,
        near_duplicate: float = 0.97,
        min_lead: float = 0.10,
    ) -> AuditReport:
        """Look for routes that collide, utterances that belong elsewhere, duplicates, and routes with too little.

        Args:
            reached: Routes to which queries were sent, as far as you know: they are not unreachable.
            limit: How many findings of each kind to list.
            near_duplicate: Cosine from which two utterances are nearly the same sentence.
            min_lead: By how much another route must beat an utterance's own before it is called misplaced.

        Raises:
            ConfigurationError: A setting is out of range.
        """
        return audit_snapshot(
            self._index.snapshot(), reached=reached, limit=limit, near_duplicate=near_duplicate, min_lead=min_lead
        )

    async def aaudit(
        self,
        *,
        reached: Collection[str] | None = None,
        limit: int = 20,
        near_duplicate: float = 0.97,
        min_lead: float = 0.10,
    ) -> AuditReport:
        """The awaitable twin of :meth:`audit`."""
        return await asyncio.to_thread(
            self.audit, reached=reached, limit=limit, near_duplicate=near_duplicate, min_lead=min_lead
        )

    def suggest(self, texts: Iterable[str], k: int = 20, *, seed: int = 0) -> list[Suggestion]:
        """Say which of many unlabelled queries a person should label next.

        Args:
            texts: The queries.
            k: Most suggestions.
            seed: Decides what chance decides.

        Raises:
            ConfigurationError: ``k`` is less than 1.
            InvalidTextError: A text is not usable.
        """
        queries = [clean_query(text) for text in texts]
        vectors = self._service.encode(queries, label="routing")
        return suggest_texts(queries, self._service.decide_all(queries, self._index.snapshot()), vectors, k, seed=seed)

    async def asuggest(self, texts: Iterable[str], k: int = 20, *, seed: int = 0) -> list[Suggestion]:
        """The awaitable twin of :meth:`suggest`."""
        return await asyncio.to_thread(self.suggest, texts, k, seed=seed)

    def propose(
        self,
        feedback: FeedbackLog | Iterable[Example],
        *,
        golden: Iterable[Example] = (),
        apply: bool = False,
        holdout: float = 0.3,
        max_regressions: int = 0,
        max_error: float = MAX_ERROR,
        create: bool = False,
        max_trials: int = MAX_TRIALS,
        seed: int = 0,
    ) -> Proposal:
        """Turn the fallback's answers into a change of the routes, and test it before anybody else does.

        Part of the feedback becomes utterances of the routes that the fallback chose; the rest, and the
        golden queries, are routed with and without the change. It is accepted if nothing gets worse;
        what makes something worse is left out. Where a fitted head decides, one is trained for each trial.
        The source of the feedback may be wrong in the same way every time: only golden queries show that.

        Args:
            feedback: A log, or pairs of a query and the name of the route that it belongs to (None = none).
            golden: Queries and labels that are beyond doubt.
            apply: Whether to make the change if it is accepted. :meth:`withdraw` takes it back.
            holdout: Share of the feedback that is tested on instead of learned from.
            max_regressions: How many golden queries may go from right to wrong.
            max_error: Share of wrong answers to allow among the held-out feedback.
            create: Whether an answer that is no route's name makes a new route.
            max_trials: Most changes to test.
            seed: Decides what is held out.

        Raises:
            ConfigurationError: An argument is not valid, or the routes were changed while they were tested.
            InvalidTextError: A text is not usable.
            StorageError: It could not be stored; nothing has changed.
        """
        snapshot = self._index.snapshot()
        routes = {name: self._index.route(name) for name in self._index.names()}
        examples = feedback.examples() if isinstance(feedback, FeedbackLog) else feedback

        known: dict[str, Vectors] = {}

        def judge(changed: Sequence[Route] | None, texts: Sequence[str]) -> list[Decision]:
            new = [text for text in texts if text not in known]
            known.update(zip(new, self._service.encode(new, label="routing"), strict=True))
            candidate = snapshot
            if changed is not None:
                candidate = self._candidate(snapshot, {**routes, **{route.name: route for route in changed}})
            return self._service.decide_all(texts, candidate, known)

        proposal = propose_change(
            examples,
            golden,
            routes,
            judge,
            holdout=holdout,
            seed=seed,
            max_regressions=max_regressions,
            max_error=max_error,
            create=create,
            max_trials=max_trials,
            revision=snapshot.revision,
        )
        if not (apply and proposal.accepted):
            return proposal
        receipt = self._editor.replace_routes(changed_routes(proposal.edits, routes), seen=snapshot.edits)
        self._refit_soon()
        return proposal.model_copy(update={"applied": True, "revision": receipt.revision})

    async def apropose(
        self,
        feedback: FeedbackLog | Iterable[Example],
        *,
        golden: Iterable[Example] = (),
        apply: bool = False,
        holdout: float = 0.3,
        max_regressions: int = 0,
        max_error: float = MAX_ERROR,
        create: bool = False,
        max_trials: int = MAX_TRIALS,
        seed: int = 0,
    ) -> Proposal:
        """The awaitable twin of :meth:`propose`."""
        return await asyncio.to_thread(
            self.propose,
            feedback,
            golden=golden,
            apply=apply,
            holdout=holdout,
            max_regressions=max_regressions,
            max_error=max_error,
            create=create,
            max_trials=max_trials,
            seed=seed,
        )

    def withdraw(self, proposal: Proposal) -> Receipt:
        """Take back the edits of an applied proposal; what others changed since stays.

        Raises:
            ConfigurationError: The proposal was not applied.
            StorageError: It could not be stored; nothing has changed.
        """
        if not proposal.applied:
            raise ConfigurationError("this proposal was not applied: there is nothing to take back")
        seen = self._index.edits
        routes, empty = undone_routes(proposal.edits, {name: self._index.route(name) for name in self._index.names()})
        receipt = self._editor.replace_routes(routes, seen=seen)
        for name in empty:
            receipt = self._editor.drop_route(name)
        self._refit_soon()
        return receipt

    async def awithdraw(self, proposal: Proposal) -> Receipt:
        """The awaitable twin of :meth:`withdraw`."""
        return await asyncio.to_thread(self.withdraw, proposal)

    def _candidate(self, snapshot: Snapshot, routes: Mapping[str, Route]) -> Snapshot:
        """The snapshot that these routes would give, with a head of the same kind if there is one now."""
        index = RouteIndex(self._encoder.dim)
        index.apply([PutRoutes(tuple(self._editor.encode_routes(list(routes.values()))))], snapshot.revision)
        candidate = index.snapshot()
        head, least = snapshot.rule
        if head is None:
            return replace(candidate, rule=FittedRule(None, least))
        return replace(candidate, rule=FittedRule(self._retrained(candidate, head), least))
