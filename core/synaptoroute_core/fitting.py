"""What the router learns, and what it says of itself: blocking and awaitable."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal

import numpy as np
from tqdm import tqdm

from synaptoroute_core.changes import Vectors
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.editing import RouteEditor
from synaptoroute_core.encoders import Encoder, encode_texts
from synaptoroute_core.errors import ConfigurationError, RouterClosedError, missing_extra, shorten
from synaptoroute_core.fits import Fit
from synaptoroute_core.head import Head
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.learning.heads import (
    HeadRequest,
    MadeHead,
    load_libraries,
    make_head,
    retrain_head,
    rule_of_similarity,
)
from synaptoroute_core.learning.reports import FitReport
from synaptoroute_core.learning.thresholds.calibration import CalibrationReport, plan_calibration, report_of
from synaptoroute_core.learning.thresholds.outcomes import Outcomes, outcomes_of
from synaptoroute_core.learning.thresholds.planning import plan_thresholds
from synaptoroute_core.refitting import Refitter
from synaptoroute_core.serving import QueryService, processors
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.types import NUMBERS, Example, Receipt, checked_examples


class Fitting:
    """Methods that learn from texts. Queries go on while they do, and see what was learned all at once."""

    _config: RouterConfig
    _encoder: Encoder
    _index: RouteIndex
    _service: QueryService
    _editor: RouteEditor
    _refitter: Refitter

    def fit(
        self,
        examples: Iterable[Example] = (),
        *,
        out_of_scope_share: float | None = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> FitReport:
        """Learn to tell the routes apart, and how likely an answer is right.

        Afterwards decisions are made by the fitted head: ``Decision.confidence`` is the probability that
        the best route is right, and the router answers from ``RouterConfig.min_confidence`` on. The
        head is kept with the routes. When utterances change, decisions go by similarity until it is
        fitted again, in the background unless ``RouterConfig.auto_refit`` is off.

        No example is needed. In-scope examples are learned from beside the utterances; out-of-scope ones
        teach the confidence, as do routes that are hidden on purpose. Keep the texts that you will
        evaluate or calibrate on apart: a router is good at what it has seen.

        Needs the extra ``fit`` (scikit-learn); decisions with the head do not. Takes about as long as
        encoding the utterances twice or three times.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none.
            out_of_scope_share: Share of your queries that belong to no route, 0 to 1: the confidence reckons with
                it. None = as in the examples if they are 50 or more and have some, else 0.2.
            seed: Decides all that chance decides: the same texts and seed give the same head.
            progress: Whether to show a progress bar; None = on a terminal.

        Returns:
            What was chosen, and how the rule before and the new one do on texts held back.

        Raises:
            RouteNotFoundError: A label is no route's name.
            InvalidTextError: A text is not usable.
            ConfigurationError: There are fewer than two routes, or an argument is not valid.
            EncoderError: A text could not be encoded.
            StorageError: It could not be stored; nothing has changed.
            ImportError: scikit-learn is not installed.
        """
        self._service.batcher.require_usable()
        share = out_of_scope_share
        if share is not None and (isinstance(share, bool) or not isinstance(share, NUMBERS) or not 0 <= share < 1):
            raise ConfigurationError(f"out_of_scope_share = {shorten(share)}: use a share from 0 to below 1, or None")
        request = HeadRequest(tuple(checked_examples(examples, self._index.names())), share, seed)
        snapshot = self._index.snapshot()
        with _showing(progress=progress) as step:
            made = self._make(snapshot, request, step, threads=processors())
        receipt, fresh = self._editor.push_fit(made.fit(), {}, seen=snapshot.edits)
        if not fresh:
            self._refit_soon()
        return made.report(snapshot, self._service.policy, revision=receipt.revision, fresh=fresh)

    async def afit(
        self,
        examples: Iterable[Example] = (),
        *,
        out_of_scope_share: float | None = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> FitReport:
        """The awaitable twin of :meth:`fit`."""
        return await asyncio.to_thread(
            self.fit, examples, out_of_scope_share=out_of_scope_share, seed=seed, progress=progress
        )

    def fit_thresholds(
        self,
        examples: Iterable[Example],
        *,
        objective: Literal["f1", "max_fpr", "max_error"] = "f1",
        limit: float | None = None,
        seed: int = 0,
    ) -> FitReport:
        """Fit the thresholds of similarity scores to labelled texts; never to the worse.

        A threshold common to all routes is fitted, and a route gets one of its own where cross-validation
        says that it does better with it. Nothing is changed unless the new thresholds beat the ones
        in force on examples that they were not fitted on. Routes without labels keep what they have.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none: the more of the
                latter, the better.
            objective: ``f1``: the highest mean F1 of the routes; ``max_fpr``: the lowest thresholds at which at most
                ``limit`` of the out-of-scope examples are answered; ``max_error``: the most answers of which at most
                ``limit`` are wrong (:meth:`calibrate` makes a promise of it).
            limit: A share between 0 and 1, for the last two.
            seed: Decides the folds of the cross-validation.

        Raises:
            RouteNotFoundError: A label is no route's name.
            InvalidTextError: A text is not usable.
            ConfigurationError: An argument is not valid, or there is a fitted head, which asks no thresholds of scores.
            StorageError: It could not be stored; nothing has changed.
        """
        started = time.perf_counter()
        snapshot, outcomes = self._outcomes(examples)
        if snapshot.rule.head is not None:
            raise ConfigurationError(
                "a fitted head decides, and thresholds of similarity scores do not matter: use calibrate(), "
                "or take the head back with undo_fit()"
            )
        default = rule_of_similarity(snapshot, self._service.policy)
        plan = plan_thresholds(outcomes, snapshot.thresholds, default, objective=objective, limit=limit, seed=seed)
        thresholds: dict[str, float | None] = {}
        revision = snapshot.revision
        if plan.changed:
            moved = ~np.isclose(plan.own, snapshot.thresholds, rtol=0, atol=0, equal_nan=True)
            for place in np.flatnonzero(moved):
                value = float(plan.own[place])
                thresholds[snapshot.names[place]] = None if np.isnan(value) else value
            fit = Fit("thresholds", threshold=plan.default, details={"objective": objective, "limit": limit})
            revision = self._editor.push_fit(fit, thresholds, seen=snapshot.edits)[0].revision
        return FitReport(
            kind="thresholds",
            changed=plan.changed,
            reason=plan.reason,
            revision=revision,
            routes=len(snapshot.names),
            utterances=len(snapshot.order),
            examples=len(outcomes),
            held_out=plan.held_out,
            before=plan.before,
            after=plan.after,
            threshold=plan.default,
            thresholds=thresholds,
            settings={"objective": objective, "limit": limit, "seed": seed, "routes_with_own": list(plan.kept_own)},
            seconds=time.perf_counter() - started,
        )

    async def afit_thresholds(
        self,
        examples: Iterable[Example],
        *,
        objective: Literal["f1", "max_fpr", "max_error"] = "f1",
        limit: float | None = None,
        seed: int = 0,
    ) -> FitReport:
        """The awaitable twin of :meth:`fit_thresholds`."""
        return await asyncio.to_thread(self.fit_thresholds, examples, objective=objective, limit=limit, seed=seed)

    def calibrate(
        self, examples: Iterable[Example], *, max_error: float = 0.02, confidence: float = 0.95
    ) -> CalibrationReport:
        """Choose when to abstain so that at most ``max_error`` of the answers are wrong, with a guarantee.

        With probability ``confidence``, over the draw of the examples, no more than ``max_error`` of the
        answers to traffic like the examples are wrong; out-of-scope queries that are answered count as
        wrong. It holds for texts from the same source, labelled in the same way, and none of which the
        router has learned from. One threshold is set for all routes, whose own similarity thresholds are
        cleared. If the examples cannot support the promise, nothing is changed and the report says what it would
        take.

        Args:
            examples: Pairs of a text and the name of its route, or None if it belongs to none.
            max_error: The greatest share of wrong answers among the answers, between 0 and 1.
            confidence: How often the promise must hold, between 0 and 1.

        Raises:
            RouteNotFoundError: A label is no route's name.
            InvalidTextError: A text is not usable.
            ConfigurationError: An argument is not valid, the fitted head is out of date, or the routes were changed
                meanwhile.
            StorageError: It could not be stored; nothing has changed.
        """
        snapshot, outcomes = self._outcomes(examples)
        plan = plan_calibration(outcomes, max_error=max_error, confidence=confidence)
        if plan.threshold is None:
            return report_of(plan, snapshot.revision)
        head = snapshot.rule.head
        own = {name: None for name, value in zip(snapshot.names, snapshot.thresholds, strict=True) if value == value}  # noqa: PLR0124
        fit = Fit(
            "calibration",
            threshold=plan.threshold,
            head=head,
            details={"max_error": max_error, "confidence": confidence},
        )
        thresholds = {} if head is not None else own
        receipt, _ = self._editor.push_fit(fit, thresholds, seen=snapshot.edits, only_fresh=True)
        return report_of(plan, receipt.revision)

    async def acalibrate(
        self, examples: Iterable[Example], *, max_error: float = 0.02, confidence: float = 0.95
    ) -> CalibrationReport:
        """The awaitable twin of :meth:`calibrate`."""
        return await asyncio.to_thread(self.calibrate, examples, max_error=max_error, confidence=confidence)

    def undo_fit(self) -> Receipt:
        """Take back the last of ``fit``, ``fit_thresholds`` and ``calibrate``, with the thresholds that it replaced.

        The one before it is then in force again, if its routes are still the same; a head whose routes have
        changed is fitted again, unless ``RouterConfig.auto_refit`` is off. Up to four are kept.

        Raises:
            ConfigurationError: There is nothing to take back.
            StorageError: It could not be stored; nothing has changed.
        """
        receipt = self._editor.pop_fit()
        self._refit_soon()
        return receipt

    async def aundo_fit(self) -> Receipt:
        """The awaitable twin of :meth:`undo_fit`."""
        return await asyncio.to_thread(self.undo_fit)

    @property
    def fits(self) -> tuple[Fit, ...]:
        """What was learned and is kept, the newest last."""
        return self._index.fits

    def wait_for_refit(self, timeout: float | None = None) -> bool:
        """Wait until no fit is due in the background.

        Args:
            timeout: Seconds; None = no limit.

        Returns:
            Whether it is so; False if the time ran out.
        """
        return self._refitter.wait(timeout)

    async def await_for_refit(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """The awaitable twin of :meth:`wait_for_refit`."""
        return await asyncio.to_thread(self.wait_for_refit, timeout)

    # --- in the background -----------------------------------------------------------------------

    def _refit_soon(self) -> None:
        """Have a head that the routes have left behind made again, if there is one."""
        if self._config.auto_refit and self._stale() is not None:
            self._refitter.request()

    def _stale(self) -> Fit | None:
        """The newest fit of a head, if it is not fresh."""
        newest = next((fit for fit in reversed(self._index.fits) if fit.kind == "head"), None)
        return newest if newest is not None and not newest.fresh else None

    def _refit(self, stopping: Callable[[], bool]) -> None:
        """Make a head again that the routes have left behind, until one is done before they change again."""

        def step(_: float) -> None:
            if stopping():
                raise RouterClosedError("the router is closed")

        while (stale := self._stale()) is not None and stale.head is not None:
            snapshot = self._index.snapshot()
            if len(snapshot.names) <= 1:
                return
            request = HeadRequest.from_details(stale.details, snapshot.names)
            made = self._make(snapshot, request, step, threads=1)
            if self._editor.renew_head(stale.head, made.fit(), seen=snapshot.edits):
                return

    # --- shared ----------------------------------------------------------------------------------

    def _make(
        self, snapshot: Snapshot, request: HeadRequest, step: Callable[[float], None], *, threads: int
    ) -> MadeHead:
        """Make a head for a snapshot."""

        def encode(texts: Sequence[str]) -> Vectors:
            return encode_texts(self._encoder, texts, label="encoding", threads=threads)

        with _extra(), ONE_THREAD:
            return make_head(snapshot, request, encode, step, threads)

    def _retrained(self, snapshot: Snapshot, head: Head) -> Head:
        """A head for other utterances, made as this one was, which keeps its acceptor."""
        details = next(fit.details for fit in reversed(self._index.fits) if fit.kind == "head")
        request = HeadRequest.from_details(details, snapshot.names)
        with _extra(), ONE_THREAD:
            return retrain_head(snapshot, request, head, self._service.encode)

    def _outcomes(self, examples: Iterable[Example]) -> tuple[Snapshot, Outcomes]:
        """What becomes of labelled texts at one version of the routes, thresholds aside."""
        pairs = checked_examples(examples, self._index.names())
        if self._stale() is not None:
            raise ConfigurationError(
                "the fitted head is out of date since utterances were changed, and what is found now would not be "
                "true of the next one: wait_for_refit() or fit() first, or take it back with undo_fit()"
            )
        snapshot = self._index.snapshot()
        decisions = self._service.decide_all([text for text, _ in pairs], snapshot)
        margin = 0.0 if snapshot.rule.head is not None else self._config.min_margin
        return snapshot, outcomes_of(pairs, decisions, snapshot.names, margin)


@contextmanager
def _extra() -> Iterator[None]:
    """Load what training needs; turn a library that is not installed into a word on the extra that installs it."""
    try:
        load_libraries()
        yield
    except ModuleNotFoundError as error:
        raise missing_extra("fit", error) from error


class _OneThread:
    """BLAS with one thread: for matrices of this size more only get into each other's way, and the queries'.

    Fits may overlap: the first one sets it for the process, and the last one sets it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._limits = ExitStack()

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._running:
                self._limits.enter_context(threadpool_limits(1))
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                self._limits.close()


ONE_THREAD = _OneThread()


@contextmanager
def _showing(*, progress: bool | None) -> Iterator[Callable[[float], None]]:
    """A progress bar over the share of a fit that is done."""
    disable = None if progress is None else not progress
    with tqdm(
        total=1.0, desc="fitting", leave=False, disable=disable, bar_format="{desc}: {percentage:3.0f}%|{bar}|"
    ) as bar:

        def step(share: float) -> None:
            bar.update(min(share, 1.0 - bar.n))

        yield step
