"""What the router learns, and what it says of itself: blocking and awaitable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from synaptoroute_core.changes import Vectors
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.editing import RouteEditor
from synaptoroute_core.encoders import Encoder, encode_texts
from synaptoroute_core.errors import ConfigurationError, RouterClosedError, shorten
from synaptoroute_core.fits import Fit
from synaptoroute_core.head import Head
from synaptoroute_core.index import RouteIndex
from synaptoroute_core.learning.heads import HeadRequest, MadeHead, make_head, retrain_head, showing, training
from synaptoroute_core.learning.reports import FitReport
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
        progress: bool | Callable[[float], None] | None = None,
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
            progress: Whether to show a progress bar, None = on a terminal; or a function that is called, in the
                thread that fits, with the share of the work that is done: rising, and 1 when all that is left is to
                put the fit in force. What it raises ends the fit, and nothing has changed.

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
        with showing(progress=progress) as step:
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
        progress: bool | Callable[[float], None] | None = None,
    ) -> FitReport:
        """The awaitable twin of :meth:`fit`."""
        return await asyncio.to_thread(
            self.fit, examples, out_of_scope_share=out_of_scope_share, seed=seed, progress=progress
        )

    def undo_fit(self, *, expected_revision: int | None = None) -> Receipt:
        """Take back the last of ``fit``, ``fit_thresholds`` and ``calibrate``, with the thresholds that it replaced.

        The one before it is then in force again, if its routes are still the same; a head whose routes have
        changed is fitted again, unless ``RouterConfig.auto_refit`` is off. Up to four are kept.

        Args:
            expected_revision: The revision that the routes must be at for it, as in the methods that change routes.

        Raises:
            ConfigurationError: There is nothing to take back.
            RevisionConflictError: The routes are not at ``expected_revision``.
            StorageError: It could not be stored; nothing has changed.
        """
        receipt = self._editor.pop_fit(expected=expected_revision)
        self._refit_soon()
        return receipt

    async def aundo_fit(self, *, expected_revision: int | None = None) -> Receipt:
        """The awaitable twin of :meth:`undo_fit`."""
        return await asyncio.to_thread(self.undo_fit, expected_revision=expected_revision)

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

    def _followed(self) -> None:
        """Another process has changed the routes: it should fit again, but may have ended at once."""
        if self._config.auto_refit and self._stale() is not None:
            self._refitter.request(patient=True)

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

        with training():
            return make_head(snapshot, request, encode, step, threads)

    def _retrained(self, snapshot: Snapshot, head: Head) -> Head:
        """A head for other utterances, made as this one was, which keeps its acceptor."""
        details = next(fit.details for fit in reversed(self._index.fits) if fit.kind == "head")
        request = HeadRequest.from_details(details, snapshot.names)
        with training():
            return retrain_head(snapshot, request, head, self._service.encode)
