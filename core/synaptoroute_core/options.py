"""What a caller may set for one call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from synaptoroute_core.choices import Choices
from synaptoroute_core.decision import Policy
from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_core.types import NUMBERS, clean_threshold

MAX_MARGIN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOptions:
    """Settings of one call; None = as the router has it.

    Attributes:
        allowed: Route names to choose from, or what :meth:`AdaptiveRouter.choices` made.
        threshold: Least score, -1 to 1, in the place of the router's and of every route's own. Where a fitted
            head decides, a score is a probability.
        min_margin: Least lead over the second best, 0 to 2.
        max_candidates: How many candidates to list, at least 1.

    Raises:
        ConfigurationError: A value is not valid.
    """

    allowed: Collection[str] | None = None
    threshold: float | None = None
    min_margin: float | None = None
    max_candidates: int | None = None

    def __post_init__(self) -> None:
        if self.allowed is not None and not isinstance(self.allowed, Choices):
            object.__setattr__(self, "allowed", _names(self.allowed))
        object.__setattr__(self, "threshold", clean_threshold(self.threshold))
        margin = self.min_margin
        if margin is not None and (
            isinstance(margin, bool) or not isinstance(margin, NUMBERS) or not 0 <= margin <= MAX_MARGIN
        ):
            raise ConfigurationError(
                f"min_margin = {shorten(margin)}: use a number from 0 to {MAX_MARGIN:.0f}, or None"
            )
        count = self.max_candidates
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ConfigurationError(f"max_candidates = {shorten(count)}: use a whole number from 1, or None")


def policy_of(policy: Policy, options: RouteOptions) -> Policy:
    """The router's policy with what the options set."""
    if options is DEFAULT_OPTIONS:
        return policy
    return replace(
        policy,
        override=options.threshold,
        override_margin=options.min_margin,
        max_candidates=policy.max_candidates if options.max_candidates is None else options.max_candidates,
    )


def options_of(options: object, allowed: Collection[str] | None) -> RouteOptions:
    """Options from a call's arguments, of which ``allowed`` is a short form.

    Raises:
        ConfigurationError: ``options`` is of another kind, or both say what is allowed.
    """
    if options is None:
        return DEFAULT_OPTIONS if allowed is None else RouteOptions(allowed=allowed)
    if not isinstance(options, RouteOptions):
        raise ConfigurationError(f"options = {shorten(options)}: give RouteOptions(...), or None")
    if allowed is None:
        return options
    if options.allowed is not None:
        raise ConfigurationError("allowed was given twice: alone and within the options")
    return replace(options, allowed=allowed)


def _names(allowed: object) -> frozenset[str]:
    if isinstance(allowed, str | bytes) or not isinstance(allowed, Collection):
        raise ConfigurationError(f"allowed must be a list of route names, got {shorten(allowed)}")
    try:
        return frozenset(allowed)
    except TypeError:
        raise ConfigurationError(f"allowed must be a list of route names, got {shorten(allowed)}") from None


DEFAULT_OPTIONS = RouteOptions()
"""All as the router has it: known by identity on the way of every query."""
