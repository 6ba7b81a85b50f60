"""A router tried out: the texts asked, the changes made and how to take them back, and what a threshold would do.

All that the playground knows and does, without the widgets that show it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    Example,
    Explanation,
    InvalidTextError,
    Receipt,
    Route,
    RouteNotFoundError,
    RouteOptions,
    SynaptoRouteError,
)
from synaptoroute_core.errors import shorten
from synaptoroute_core.protocols import require_inspectable
from synaptoroute_core.text import clean_query
from synaptoroute_core.types import checked_examples
from synaptoroute_integrations.notebook.arguments import listed
from synaptoroute_integrations.notebook.outlooks import Outlook, Trial

if TYPE_CHECKING:
    from synaptoroute_integrations.remote import RemoteRouter

NO_BAR = RouteOptions(threshold=-1.0)
MOST_CANDIDATES = 1000
"""That a service lists; of more routes, the others count as having no threshold of their own."""


@dataclass(frozen=True, slots=True)
class Lineup:
    """The routes at one revision.

    Attributes:
        revision: The revision.
        thresholds: The score that each route needs, by its name; where a fitted head decides, the confidence.
        utterances: How many there are.
        fitted: Whether a fitted head decides: all routes then need the same confidence, whatever their own threshold.
    """

    revision: int
    thresholds: Mapping[str, float]
    utterances: int
    fitted: bool

    def threshold_of(self, route: str | None) -> float:
        """The score or confidence that a route needs, or for None, that most of them do; 0 where there is none."""
        if route is not None:
            return self.thresholds.get(route, 0.0)
        return statistics.mode(self.thresholds.values()) if self.thresholds else 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A change that can be taken back.

    Attributes:
        change: What was done, for people.
        revert: Takes it back.
    """

    change: str
    revert: Callable[[], Receipt]


class Session:
    """A router being tried out.

    Args:
        router: The router, here or elsewhere. It stays open.
        examples: Labelled texts on which to see what a threshold would change; none = the texts asked.

    Raises:
        ConfigurationError: It is no router that can be changed, or the examples are no pairs.
        RouteNotFoundError: A label is no route's name.
        InvalidTextError: A text is not usable.
    """

    def __init__(self, router: AdaptiveRouter | RemoteRouter, examples: Iterable[Example] = ()) -> None:
        require_inspectable(router)
        if not hasattr(router, "add_utterances"):
            raise ConfigurationError(f"router = {shorten(router)}: its routes cannot be changed")
        self._router = router
        self._examples = checked_examples(listed("examples", examples, "pairs of a text and a label"), router.routes)
        self._asked: dict[str, None] = {}
        self._steps: list[Step] = []
        self._lineup: Lineup | None = None
        self._trial: Trial | None = None
        self._tried: tuple[int, int] | None = None

    # --- asking --------------------------------------------------------------------------------

    def ask(self, text: str) -> Decision:
        """The decision on a text, which then is one of the texts asked.

        Raises:
            As ``route`` of the router.
        """
        decision = self._router.route(text)
        self._asked[clean_query(text)] = None
        return decision

    def explain(self, text: str) -> Explanation:
        """Why a text is decided as it is.

        Raises:
            As ``explain`` of the router.
        """
        return self._router.explain(text)

    @property
    def asked(self) -> tuple[str, ...]:
        """The texts asked, each once."""
        return tuple(self._asked)

    @property
    def lineup(self) -> Lineup:
        """The routes as they are now.

        Raises:
            As ``route`` of the router.
        """
        revision = self._router.revision
        if self._lineup is None or self._lineup.revision != revision:
            self._lineup = self._looked_up()
        return self._lineup

    # --- changing ------------------------------------------------------------------------------

    def add_utterance(self, name: str, text: str) -> str:
        """Add a text to a route.

        Returns:
            What was done, for people.

        Raises:
            As ``add_utterances`` of the router.
        """
        if not self._router.add_utterances(name, [text]).changed:
            return f"the message is an utterance of {name} already"
        return self._done(f"added the message to {name}", partial(self._router.remove_utterances, name, [text]))

    def add_route(self, name: str, text: str) -> str:
        """Add a route with a text as its first utterance.

        Returns:
            What was done, for people.

        Raises:
            As the constructor of :class:`Route` and ``add_route`` of the router.
        """
        self._router.add_route(Route(name.strip(), [text]))
        return self._done(f"added the route {name.strip()}", partial(self._router.remove_route, name.strip()))

    def set_threshold(self, name: str, value: float) -> str:
        """Set the least score of a route.

        Returns:
            What was done, for people.

        Raises:
            ConfigurationError: A fitted head decides, to which a route's threshold means nothing.
            Others: As ``update_threshold`` of the router.
        """
        if self.lineup.fitted:
            raise ConfigurationError(
                "a fitted head decides, to which a route's own threshold means nothing: move that of all routes with "
                "calibrate(), or take the head away with undo_fit()"
            )
        routes = self._router.routes
        if name not in routes:
            raise RouteNotFoundError(name, routes)
        before = routes[name].threshold
        self._router.update_threshold(name, value)
        return self._done(
            f"set the threshold of {name} to {value:.3f}", partial(self._router.update_threshold, name, before)
        )

    @property
    def last_change(self) -> str | None:
        """What :meth:`undo` would take back; None = there is nothing."""
        return self._steps[-1].change if self._steps else None

    def undo(self) -> str:
        """Take back the last change that was made here.

        Returns:
            What was done, for people.

        Raises:
            ConfigurationError: There is nothing to take back; or a route would be left without utterances.
            RouteNotFoundError: Somebody else removed the route. The change is forgotten.
            InvalidTextError: Somebody else removed the utterance. The change is forgotten.
        """
        if not self._steps:
            raise ConfigurationError("there is nothing to undo")
        step = self._steps[-1]
        try:
            step.revert()
        except (RouteNotFoundError, InvalidTextError):
            self._steps.pop()
            raise
        self._steps.pop()
        return f"undone: {step.change}"

    # --- considering ---------------------------------------------------------------------------

    def consider(self, threshold: float, route: str | None = None) -> Outlook:
        """What another threshold would change for the examples, or if there are none, for the texts asked.

        They are routed when the routes or the texts have changed since; from then on, no threshold takes a query.

        Args:
            threshold: The least score, or where a fitted head decides, the least confidence.
            route: The route that is to have it; None = every route.

        Raises:
            As ``route`` of the router.
        """
        examples: list[Example] = self._examples or [(text, None) for text in self._asked]
        state = (self._router.revision, len(examples))
        if self._trial is None or self._tried != state:
            now, unbarred = self._decided(examples, None), self._decided(examples, NO_BAR)
            self._trial, self._tried = Trial(examples, now, unbarred, labelled=bool(self._examples)), state
        return self._trial.consider(threshold, route)

    def _decided(self, examples: Iterable[Example], options: RouteOptions | None) -> list[Decision]:
        decisions = []
        for outcome in self._router.route_each([text for text, _ in examples], options=options):
            if isinstance(outcome, SynaptoRouteError):
                raise outcome
            decisions.append(outcome)
        return decisions

    def _looked_up(self) -> Lineup:
        """The routes as they are; which score each needs is a part of a decision on any text."""
        routes = self._router.routes
        if not routes:
            return Lineup(self._router.revision, {}, 0, fitted=False)
        probe = next(iter(routes.values())).utterances[0]
        decision = self._router.route(probe, options=RouteOptions(max_candidates=min(len(routes), MOST_CANDIDATES)))
        known = {each.route: each.threshold for each in decision.candidates if each.threshold is not None}
        return Lineup(
            revision=decision.revision,
            thresholds={name: known[name] for name in routes if name in known},
            utterances=sum(len(route.utterances) for route in routes.values()),
            fitted=decision.scorer == "head",
        )

    def _done(self, change: str, revert: Callable[[], Receipt]) -> str:
        self._steps.append(Step(change, revert))
        return change
