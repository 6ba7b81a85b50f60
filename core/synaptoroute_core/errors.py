"""Every error that the engine raises on purpose.

::

    SynaptoRouteError
    ├── ConfigurationError (ValueError)      a setting, a route or a route file is not valid
    ├── InvalidTextError (ValueError)        a query or an utterance is not usable text
    ├── RouteNotFoundError (LookupError)     the named route is not there
    ├── RouteExistsError (ValueError)        the named route is there already
    ├── RevisionConflictError                the routes are no longer at the revision that a change was meant for
    ├── NoRouteError (LookupError)           an adapter was told to raise when no route fits
    ├── RouterOverloadedError                too many queries are waiting: try again later
    ├── RouterTimeoutError (TimeoutError)    the query's time ran out
    ├── RouterClosedError                    the router was closed, or belongs to another process
    ├── EncoderError                         the model could not be loaded, or gave unusable vectors
    │   └── EncoderMismatchError             stored vectors come from another encoder
    └── StorageError                         the store could not be read or written
        └── CommitUncertainError             the store broke off: a change may have been stored, or not

Messages carry the value that was wrong and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synaptoroute_core.types import Decision

SHOWN_CHARACTERS = 80
MOST_COMPARED = 500
"""Names among which a similar one is looked for: among 5,000 it took 160 ms, and a client may ask again and again."""


def shorten(value: object, limit: int = SHOWN_CHARACTERS) -> str:
    """``repr(value)``, cut to ``limit`` characters so that no message drags a whole document."""
    if isinstance(value, str) and len(value) > limit:
        return f"{value[:limit]!r}... ({len(value):,} characters)"
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


class SynaptoRouteError(Exception):
    """The common base: ``except SynaptoRouteError`` catches everything below."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle message and attributes; by default, the message would be passed to ``__init__``."""
        return _restore, (type(self), self.args), vars(self)


def _restore(kind: type[SynaptoRouteError], args: tuple[object, ...]) -> SynaptoRouteError:
    error = kind.__new__(kind)
    error.args = args
    return error


class ConfigurationError(SynaptoRouteError, ValueError):
    """A setting, a route or a route file is not valid."""


class InvalidTextError(SynaptoRouteError, ValueError):
    """A query or an utterance is not usable text: not a string, blank, or far too long."""


class RouteNotFoundError(SynaptoRouteError, LookupError):
    """The named route is not there.

    Attributes:
        name: The name that was asked for.
    """

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        names = list(known)
        close = get_close_matches(str(name)[:SHOWN_CHARACTERS], names[:MOST_COMPARED], n=3)
        if close:
            hint = f"did you mean {' or '.join(map(repr, close))}?"
        elif len(names) == 1:
            hint = f"the only route is {names[0]!r}"
        elif names:
            hint = f"there are {len(names)} routes: {shorten(', '.join(sorted(names)), 200)}"
        else:
            hint = "there are no routes yet: add one with add_route()"
        super().__init__(f"no route is named {shorten(name)}; {hint}")


class RouteExistsError(SynaptoRouteError, ValueError):
    """The named route is there already.

    Attributes:
        name: The name that is taken.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"a route named {shorten(name)} exists already; pass overwrite=True to replace it, "
            "or add_utterances() to add to it"
        )


class RevisionConflictError(SynaptoRouteError):
    """The routes are not at the revision that a change was meant for; nothing was changed.

    Attributes:
        expected: The revision that the caller had seen.
        current: The revision that the routes are at. The same number, if the store has given it out again: one that
            was made anew, or brought back from a backup, does.
    """

    def __init__(self, expected: int, current: int) -> None:
        self.expected = expected
        self.current = current
        now = f"but the routes are at revision {current}"
        if expected == current:
            now = "whose number the store has given out again since, as one does that was made anew or restored"
        super().__init__(
            f"the change was meant for revision {expected}, {now}: "
            f"look at them again, and repeat it with expected_revision={current} if it still applies"
        )


class NoRouteError(SynaptoRouteError, LookupError):
    """No route fits, and the caller asked for an exception instead of an abstention.

    Attributes:
        decision: The abstaining decision, with its candidates and reason.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        best = ""
        if decision.candidates:
            best = (
                f"; the best was {decision.candidates[0].route!r}: "
                f"score {decision.score:.4f}, threshold {decision.threshold:.4f}"
            )
        lead = "" if decision.margin is None else f", lead {decision.margin:.4f}"
        super().__init__(f"no route was chosen: {decision.reason}{best}{lead}")


class RouterOverloadedError(SynaptoRouteError):
    """As many queries are waiting or running as the router admits, or they would take longer than it admits.

    Attributes:
        pending: Queries waiting or running when this one was refused.
        limit: The bound on them, ``RouterConfig.max_pending``.
        retry_after_s: Seconds in which that backlog should be worked off, from the measured rate.
        max_queue_s: ``RouterConfig.max_queue_s`` if that was the bound that applied; None if it was ``limit``.
    """

    def __init__(self, pending: int, limit: int, retry_after_s: float, max_queue_s: float | None = None) -> None:
        self.pending = pending
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.max_queue_s = max_queue_s
        if max_queue_s is None:
            bound, setting = f"and the limit is {limit:,}", "max_pending"
        else:
            bound, setting = (
                f"which take about {retry_after_s:.2f} s, and the limit is {max_queue_s:g} s",
                "max_queue_s",
            )
        super().__init__(
            f"{pending:,} {'query is' if pending == 1 else 'queries are'} pending, {bound}; "
            f"try again in {retry_after_s:.2f} s, or raise RouterConfig.{setting}"
        )


class RouterTimeoutError(SynaptoRouteError, TimeoutError):
    """The query's time ran out before a decision was made.

    Attributes:
        timeout_s: The time that it was given, in seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(f"no decision within {timeout_s:g} s")


class RouterClosedError(SynaptoRouteError):
    """The router was closed, or belongs to the process that this one was forked from."""


class EncoderError(SynaptoRouteError):
    """The model could not be loaded, or gave vectors that cannot be used."""


class EncoderMismatchError(EncoderError):
    """The stored vectors come from another encoder than the one in use.

    Attributes:
        stored: Fingerprint of the encoder that made the stored vectors.
        current: Fingerprint of the encoder in use.
    """

    def __init__(self, stored: str, current: str) -> None:
        self.stored = stored
        self.current = current
        super().__init__(
            f"the stored vectors were made by encoder {stored!r}, this router uses {current!r}; "
            "open the store with the first one, or with RouterConfig(on_encoder_change='reencode')"
        )


class StorageError(SynaptoRouteError):
    """The store could not be read or written; what was being changed is as it was before."""


class CommitUncertainError(StorageError):
    """The connection to the store broke while a change was being committed: it may have been stored, or not."""


def missing_extra(extra: str, error: ModuleNotFoundError) -> ImportError:
    """The error to raise in place of ``error``, with the command that installs the extra."""
    return ImportError(
        f"{error.name or error} is not installed: pip install 'synaptoroute-integrations[{extra}]'", name=error.name
    )
