"""The values that go in and out of the engine: frozen, validated where they are made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, field_validator

from synaptoroute_core.errors import ConfigurationError, InvalidTextError, RouteNotFoundError, shorten
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.text import clean_query, clean_utterance, replace_surrogates, utterance_key
from synaptoroute_core.views import (
    decision_html,
    decision_line,
    decision_text,
    explanation_html,
    explanation_text,
    route_html,
    route_line,
    route_text,
)

Example: TypeAlias = tuple[str, str | None]
"""A labelled text: the text and the name of its route, or None if it belongs to none of them."""

Reason: TypeAlias = Literal["matched", "below_threshold", "ambiguous", "low_confidence", "no_routes"]
Score: TypeAlias = Annotated[float, Field(strict=True, ge=-1.0, le=1.0, allow_inf_nan=False)]

ROUTE_NAME = re.compile(r"[\w.\-]{1,128}")
MAX_METADATA_BYTES = 16_384
MAX_JSON_DEPTH = 64
"""How deeply arrays and objects may lie in each other: what is kept must be writable again by every serialiser."""
PAIR = 2
NUMBERS = (int, float, np.integer, np.floating)


def clean_name(name: object) -> str:
    """``name`` if it can be a route's name.

    Raises:
        ConfigurationError: It is not a string of 1 to 128 letters, digits, ``_``, ``.`` and ``-``.
    """
    if not isinstance(name, str) or not ROUTE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{shorten(name)} cannot be a route's name: use 1 to 128 letters, digits, '_', '.' or '-'"
            + ("" if isinstance(name, str) else "; in YAML, put it in quotes")
        )
    return name


def clean_threshold(value: object) -> float | None:
    """``value`` if it can be a route's threshold.

    Raises:
        ConfigurationError: It is neither None nor a number from -1 to 1.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, NUMBERS) or not -1.0 <= value <= 1.0:
        raise ConfigurationError(f"{shorten(value)} cannot be a threshold: use a number from -1 to 1, or None")
    return float(value) + 0.0  # not -0.0, which stores do not keep


def unique_utterances(texts: object) -> tuple[str, ...]:
    """Checked utterances in their order, the first of each that differ only in case or spacing.

    Raises:
        ConfigurationError: ``texts`` is one string, or cannot be iterated over.
        InvalidTextError: One of them is not usable text.
    """
    if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
        raise ConfigurationError(f"utterances must be a list of strings, got {shorten(texts)}")
    unique: dict[str, str] = {}
    for text in texts:
        cleaned = clean_utterance(text)
        unique.setdefault(utterance_key(cleaned), cleaned)
    return tuple(unique.values())


class Route(FrozenModel):
    """One destination, known by examples of what users say when they mean it.

    Attributes:
        name: 1 to 128 letters, digits, ``_``, ``.``, ``-``.
        utterances: At least one; stripped, the first kept of those that differ in case or spacing.
        description: For people and for language models; the score does not use it.
        threshold: Least score at which this route is chosen, -1 to 1; None = the router's.
        metadata: JSON data of the user's own, at most 16 KiB; the engine does not look at it.
    """

    name: str
    utterances: tuple[str, ...]
    description: str = ""
    threshold: float | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    def __init__(
        self,
        name: str,
        utterances: Iterable[str],
        *,
        description: str = "",
        threshold: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a route.

        Raises:
            ConfigurationError: The name, threshold, description or metadata is not valid, or there
                is no utterance.
            InvalidTextError: An utterance is not a string, blank, or too long.
        """
        super().__init__(
            name=name,
            utterances=utterances,
            description=description,
            threshold=threshold,
            metadata={} if metadata is None else metadata,
        )

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # as in FrozenModel

    @field_validator("name", mode="before")
    @classmethod
    def _check_name(cls, name: object) -> str:
        return clean_name(name)

    @field_validator("utterances", mode="before")
    @classmethod
    def _check_utterances(cls, texts: object) -> tuple[str, ...]:
        unique = unique_utterances(texts)
        if not unique:
            raise ConfigurationError("a route needs at least one utterance")
        return unique

    @field_validator("description", mode="before")
    @classmethod
    def _check_description(cls, text: object) -> object:
        return replace_surrogates(text) if isinstance(text, str) else text

    @field_validator("threshold", mode="before")
    @classmethod
    def _check_threshold(cls, value: object) -> float | None:
        return clean_threshold(value)

    @field_validator("metadata", mode="after")
    @classmethod
    def _copy_metadata(cls, metadata: dict[str, Any]) -> dict[str, Any]:
        """A copy by way of JSON: what cannot be stored is refused, what is kept is nobody else's."""
        try:
            encoded = replace_surrogates(json.dumps(metadata, allow_nan=False, ensure_ascii=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"metadata must be JSON data: {error}") from error
        size = len(encoded.encode())
        if size > MAX_METADATA_BYTES:
            raise ConfigurationError(f"metadata takes {size:,} bytes, the limit is {MAX_METADATA_BYTES:,}")
        copy: dict[str, Any] = json.loads(encoded)
        if not is_shallow(copy):
            raise ConfigurationError(f"metadata is nested too deeply: {MAX_JSON_DEPTH} levels are the limit")
        return copy

    def __hash__(self) -> int:
        """Equal routes hash alike; their metadata, which cannot be hashed, need not take part."""
        return hash((self.name, self.utterances, self.description, self.threshold))

    def _repr_html_(self) -> str:
        return route_html(self)

    def _text(self) -> str:
        return route_text(self)

    def _line(self) -> str:
        return route_line(self)


def is_shallow(value: object) -> bool:
    """Whether JSON data is nested no more deeply than ``MAX_JSON_DEPTH``."""
    level: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return True
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return False


def checked_examples(examples: Iterable[Example], names: Iterable[str]) -> list[Example]:
    """Labelled texts as a list, each of them usable.

    Raises:
        ConfigurationError: There is something else than pairs of a text and a label among them.
        RouteNotFoundError: A label is none of ``names``.
        InvalidTextError: A text is not a string, or is blank.
    """
    if isinstance(examples, str | bytes | Mapping) or not isinstance(examples, Iterable):
        raise ConfigurationError(f"examples must be pairs of a text and a route's name, got {shorten(examples)}")
    known = dict.fromkeys(names)
    checked: list[Example] = []
    for number, pair in enumerate(examples):
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != PAIR:
            raise ConfigurationError(f"examples[{number}] = {shorten(pair)}: give a text and a route's name, or None")
        text, label = pair
        if label is not None and (not isinstance(label, str) or label not in known):
            raise RouteNotFoundError(label, known)
        try:
            checked.append((clean_query(text), label))
        except InvalidTextError as error:
            raise InvalidTextError(f"examples[{number}]: {error}") from None
    return checked


class Candidate(FrozenModel):
    """A route that was considered.

    Attributes:
        route: Its name.
        score: Its score, -1 to 1.
        utterance: The one of its utterances that is nearest to the text.
        threshold: The score that it needed.
    """

    route: str
    score: float
    utterance: str
    threshold: float | None = None

    @property
    def passes(self) -> bool:
        """Whether its score is enough; another route's may be better."""
        return self.threshold is not None and self.score >= self.threshold


class Decision(FrozenModel):
    """What the router says of one text. ``bool(decision)`` is whether a route was chosen.

    Attributes:
        route: Name of the chosen route, or None for an abstention.
        reason: ``matched``; ``below_threshold`` (the best score is too low); ``ambiguous`` (the two
            best are too close); ``low_confidence`` (a fitted router's confidence is too low);
            ``no_routes`` (there was nothing to choose from).
        score: The best candidate's score, -1 to 1; None without candidates. Where a fitted head decides, it is
            the confidence, and the other candidates' scores stand to it as the head's probabilities do.
        threshold: The score that the best candidate needed; None without candidates.
        margin: Lead of the best candidate over the second; None with fewer than two.
        confidence: Calibrated probability that the best candidate is right; None unless fitted.
        scorer: The rule that spoke: ``similarity``, or ``head`` for a fitted one.
        candidates: Best first, at most ``RouterConfig.max_candidates``.
        near_boundary: ``route`` could differ on another machine: scores that moved by the encoder's
            numerical noise would be enough.
        revision: The revision of the routes that were asked.
    """

    route: str | None
    reason: Reason
    score: float | None = None
    threshold: float | None = None
    margin: float | None = None
    confidence: float | None = None
    scorer: str = "similarity"
    candidates: tuple[Candidate, ...] = ()
    near_boundary: bool = False
    revision: int = 0

    def __bool__(self) -> bool:
        return self.route is not None

    def _repr_html_(self) -> str:
        return decision_html(self)

    def _text(self) -> str:
        return decision_text(self)

    def _line(self) -> str:
        return decision_line(self)


class Receipt(FrozenModel):
    """Proof that a change is stored and in force.

    Attributes:
        revision: The revision that the change made; the one before if there was nothing to change.
        changed: How many utterances (of a threshold update: routes) were added, replaced or removed.
    """

    revision: int
    changed: int


class Neighbour(FrozenModel):
    """An utterance near a text.

    Attributes:
        route: The route that it belongs to.
        utterance: Its text.
        similarity: Cosine of the two vectors, -1 to 1.
    """

    route: str
    utterance: str
    similarity: float


class Explanation(FrozenModel):
    """Why a text was decided as it was.

    Attributes:
        decision: The decision.
        neighbours: The nearest utterances over all routes, nearest first.
        advice: One sentence: what the decision rests on, and what would turn it.
    """

    decision: Decision
    neighbours: tuple[Neighbour, ...]
    advice: str

    def _repr_html_(self) -> str:
        return explanation_html(self)

    def _text(self) -> str:
        return explanation_text(self)

    def _line(self) -> str:
        return f"Explanation of {decision_line(self.decision)}"


class RouterStats(FrozenModel):
    """Counts since the router was opened, and what it holds now.

    Attributes:
        routes: Routes now.
        utterances: Utterances now.
        revision: Revision now.
        pending: Queries waiting or running now.
        answered: Queries that got a decision, from the cache or not.
        cache_hits: Queries that needed no encoding.
        encoded: Texts encoded for queries.
        batches: Batches that the workers ran.
        rejected: Queries refused because the router was full.
        dropped: Queries cancelled or out of time before their turn; they were not encoded.
        failed: Queries that ended in an error of the encoder.
        scorer: The rule that decides now: ``similarity`` or ``head``.
    """

    routes: int
    utterances: int
    revision: int
    pending: int
    answered: int
    cache_hits: int
    encoded: int
    batches: int
    rejected: int
    dropped: int
    failed: int
    scorer: str = "similarity"
