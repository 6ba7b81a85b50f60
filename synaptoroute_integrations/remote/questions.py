"""What a client asks, as operations that either colour can carry out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from synaptoroute_core import (
    ConfigurationError,
    Decision,
    Explanation,
    InvalidTextError,
    RouteNotFoundError,
    RouteOptions,
    RouterStats,
    SynaptoRouteError,
)
from synaptoroute_core.choices import PreparedChoices
from synaptoroute_core.errors import shorten
from synaptoroute_core.options import DEFAULT_OPTIONS, options_of
from synaptoroute_core.text import clean_query
from synaptoroute_integrations.remote.catalogue import Catalogue, RemoteChoices, body_of
from synaptoroute_integrations.remote.encoder import RemoteEncoder
from synaptoroute_integrations.remote.exchange import Answer, Deadline, Operation, Request, encoded
from synaptoroute_integrations.remote.problems import error_of, foreign, member, read, unpack
from synaptoroute_integrations.remote.settings import RemoteSettings

FRAME_BYTES = 64
"""Of a body: braces, and the time limit that is put in when it is sent."""

Outcome = Decision | SynaptoRouteError


class Questions:
    """Operations that change nothing.

    Args:
        settings: The client's.
        catalogue: Its memory of the routes.
    """

    def __init__(self, settings: RemoteSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue

    def decide(self, text: str, options: RouteOptions, timeout_s: float) -> Operation[Decision]:
        """Decide on one text."""
        deadline = Deadline(timeout_s)
        body = {"text": clean_query(text)}
        answer = yield from self._post("/route", body, options.allowed, deadline, settings_of(options))
        return self._decision(unpack(answer), answer)

    def decide_all(self, texts: Sequence[str], options: RouteOptions) -> Operation[list[Decision]]:
        """Decide on many texts; the first error of one of them is the error of all."""
        _require_list(texts)
        cleaned = []
        for number, text in enumerate(texts):
            try:
                cleaned.append(clean_query(text))
            except InvalidTextError as error:
                raise InvalidTextError(f"texts[{number}]: {error}") from None
        decisions = []
        for outcome in (yield from self._outcomes(cleaned, options)):
            if isinstance(outcome, SynaptoRouteError):
                raise outcome
            decisions.append(outcome)
        return decisions

    def decide_each(self, texts: Sequence[str], options: Sequence[RouteOptions]) -> Operation[list[Outcome]]:
        """Decide on many texts, each with options of its own; neighbours with equal ones go together."""
        _require_list(texts)
        if len(options) != len(texts):
            raise ConfigurationError(f"there are {len(options)} options for {len(texts)} texts: give one for each")
        outcomes = [_cleaned(text) for text in texts]
        usable = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, str)]
        for chosen, group in groupby(usable, key=lambda number: options[number]):
            numbers = list(group)
            found: Sequence[Outcome]
            try:
                found = yield from self._outcomes([str(outcomes[number]) for number in numbers], chosen)
            except RouteNotFoundError as error:  # what these choose from, so it is the error of each of them
                found = [error] * len(numbers)
            for number, outcome in zip(numbers, found, strict=True):
                outcomes[number] = outcome
        return outcomes  # type: ignore[return-value]  # every text was replaced

    def explain(self, text: str, allowed: Collection[str] | None) -> Operation[Explanation]:
        """Decide on a text and say why."""
        if isinstance(allowed, RemoteChoices) and allowed.extra:
            raise ConfigurationError("a service explains choices among its own routes only, none with routes beside")
        deadline = Deadline(self._settings.timeout_s)
        answer = yield from self._post(
            "/explain", {"text": clean_query(text)}, options_of(None, allowed).allowed, deadline, {}, limited=False
        )
        explanation = read(Explanation, unpack(answer), answer)
        self._catalogue.note(explanation.decision.revision)
        return explanation

    def stats(self) -> Operation[RouterStats]:
        """Counts of the process that answers."""
        answer = yield Request(method="GET", path="/stats", deadline=Deadline(self._settings.timeout_s))
        stats = read(RouterStats, member(unpack(answer), "router", answer), answer)
        self._catalogue.note(stats.revision)
        return stats

    def encoder(self) -> Operation[RemoteEncoder]:
        """What the service encodes with."""
        answer = yield Request(method="GET", path="/stats", deadline=Deadline(self._settings.timeout_s))
        return read(RemoteEncoder, member(unpack(answer), "encoder", answer), answer)

    # --- parts -----------------------------------------------------------------------------------

    def _outcomes(self, texts: Sequence[str], options: RouteOptions) -> Operation[list[Outcome]]:
        """What becomes of checked texts, in as many requests as it takes; each has the whole time."""
        outcomes: list[Outcome] = []
        settings = settings_of(options)
        frame = len(encoded({**settings, **choice_of(options.allowed)})) + FRAME_BYTES
        for part in self._parts(texts, self._settings.max_body_bytes - frame):
            deadline = Deadline(self._settings.timeout_s)
            answer = yield from self._post("/route", {"texts": part}, options.allowed, deadline, settings)
            results = member(unpack(answer), "results", answer)
            if not isinstance(results, list) or len(results) != len(part):
                raise foreign(answer)
            outcomes += [self._outcome(each, answer) for each in results]
        return outcomes

    def _parts(self, texts: Sequence[str], room: int) -> Iterator[list[str]]:
        """Texts in lists that the service takes: of so many, in so many bytes."""
        part: list[str] = []
        used = 0
        for text in texts:
            size = len(encoded(text)) + 1
            if part and (len(part) >= self._settings.max_texts or used + size > room):
                yield part
                part, used = [], 0
            part.append(text)
            used += size
        if part:
            yield part

    def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        allowed: Collection[str] | None,
        deadline: Deadline,
        settings: Mapping[str, Any],
        *,
        limited: bool = True,
    ) -> Operation[Answer]:
        """Ask; choices that were prepared pass over routes that are gone."""
        for name in () if allowed is None or isinstance(allowed, RemoteChoices) else allowed:
            yield from self._catalogue.require_name(name, deadline)
        whole = {**body, **settings, **choice_of(allowed)}
        answer = yield Request(method="POST", path=path, body=whole, deadline=deadline, limited=limited)
        if not isinstance(allowed, RemoteChoices) or answer.problem is None:
            return answer
        if not isinstance(error_of(answer.problem, answer), RouteNotFoundError):
            return answer
        left = allowed.among((yield from self._catalogue.routes(deadline)))
        whole = {**body, **settings, **choice_of(left)}
        return (yield Request(method="POST", path=path, body=whole, deadline=deadline, limited=limited))

    def _outcome(self, result: Any, answer: Answer) -> Outcome:
        problem = result.get("error") if isinstance(result, dict) else None
        if isinstance(problem, dict):
            return error_of(problem, answer)
        return self._decision(member(result, "decision", answer), answer)

    def _decision(self, data: Any, answer: Answer) -> Decision:
        decision = read(Decision, data, answer)
        self._catalogue.note(decision.revision)
        return decision


def settings_of(options: RouteOptions) -> dict[str, Any]:
    """Options but for the choice, as fields of a body."""
    if options is DEFAULT_OPTIONS:
        return {}
    found = {
        "threshold": options.threshold,
        "min_margin": None if options.min_margin is None else float(options.min_margin),
        "max_candidates": options.max_candidates,
    }
    return {name: value for name, value in found.items() if value is not None}


def choice_of(allowed: Collection[str] | None) -> dict[str, Any]:
    """What to choose from, as fields of a body.

    Raises:
        ConfigurationError: The choices are those of a router in this process.
    """
    if allowed is None:
        return {}
    if isinstance(allowed, PreparedChoices):
        raise ConfigurationError(f"{shorten(allowed)} was prepared by a router here: let the RemoteRouter prepare it")
    if not isinstance(allowed, RemoteChoices):
        return {"allowed": sorted(allowed)}
    stored = {"allowed": sorted(allowed.stored)} if allowed.stored or not allowed.extra else {}
    return {**stored, "extra": [body_of(route) for route in allowed.extra]} if allowed.extra else stored


def _cleaned(text: object) -> str | Outcome:
    try:
        return clean_query(text)
    except InvalidTextError as error:
        return error


def _require_list(texts: object) -> None:
    if isinstance(texts, str | bytes):
        raise ConfigurationError(f"texts must be a list of strings, got the single text {shorten(texts)}")
