"""What requests and answers look like. Bodies are strict: no other fields, no other types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from synaptoroute_core import Candidate, Decision, Example, Route, RouterStats
from synaptoroute_core.text import MAX_TEXT_CHARS
from synaptoroute_integrations.server.auth import Scope
from synaptoroute_integrations.server.problems import Problem

MAX_UTTERANCES = 10_000
MAX_EXTRA_ROUTES = 64
MAX_EXTRA_UTTERANCES = 256
MAX_ALLOWED = 10_000


def _whole(value: object) -> object:
    """JSON has one kind of number: 7.0 is 7."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole: TypeAlias = Annotated[int, BeforeValidator(_whole)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
RouteName: TypeAlias = Annotated[str, Field(pattern=r"^[\w.\-]{1,128}$", examples=["refund"])]
Allowed: TypeAlias = Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=MAX_ALLOWED)]
Condition: TypeAlias = Literal["starting", "ready", "stale", "draining"]
Threshold: TypeAlias = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Utterances: TypeAlias = Annotated[
    list[Text], Field(min_length=1, max_length=MAX_UTTERANCES, examples=[["I want my money back"]])
]

DECISION = Decision(
    route="refund",
    reason="matched",
    score=0.8121,
    threshold=0.5,
    margin=0.3907,
    candidates=(
        Candidate(route="refund", score=0.8121, utterance="I want my money back", threshold=0.5),
        Candidate(route="cancel_order", score=0.4214, utterance="stop my order", threshold=0.5),
    ),
    revision=7,
)


class Body(BaseModel):
    """What clients send."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RouteSettings(Body):
    """All of a route but its name."""

    utterances: Utterances
    description: Annotated[str, Field(max_length=10_000)] = ""
    threshold: Threshold | None = None
    metadata: dict[str, Any] = Field(default_factory=dict, description="JSON data, at most 16 KiB.")

    def route(self, name: str) -> Route:
        """The route.

        Raises:
            ConfigurationError: Something in it is not valid.
            InvalidTextError: An utterance is not usable.
        """
        return Route(
            name,
            self.utterances,
            description=self.description,
            threshold=self.threshold,
            metadata=self.metadata,
        )


class RouteBody(RouteSettings):
    """A route."""

    name: RouteName

    def named(self) -> Route:
        """The route; see :meth:`RouteSettings.route`."""
        return self.route(self.name)


class RouteQuery(Body):
    """One text or several, and how to decide on them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "please give me my money back"},
                {"texts": ["where is my parcel", "sing me a song"], "allowed": ["refund", "track_order"]},
            ],
            "oneOf": [
                {"required": [name], "properties": {name: {"type": kind}}}
                for name, kind in (("text", "string"), ("texts", "array"))
            ],
        }
    )

    text: Text | None = None
    texts: Annotated[list[Text], Field(min_length=1)] | None = None
    allowed: Allowed | None = Field(default=None, description="Names of the routes to choose from; null = all.")
    extra: Annotated[list[RouteBody], Field(max_length=MAX_EXTRA_ROUTES)] | None = Field(
        default=None, description="Routes that exist for this request only. The choice is among these and `allowed`."
    )
    threshold: Threshold | None = Field(default=None, description="Least score, in the place of every other.")
    min_margin: Annotated[float, Field(ge=0, le=2)] | None = None
    max_candidates: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    trial: bool = Field(
        default=False,
        description="Decided, but not counted among the decisions nor kept among the recent abstentions: for pages "
        "that ask while somebody types, and for probes.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        if sum(len(route.utterances) for route in self.extra or ()) > MAX_EXTRA_UTTERANCES:
            raise ValueError(f"extra has more than {MAX_EXTRA_UTTERANCES} utterances in all")
        return self


class ExplainQuery(Body):
    """A text whose decision is to be explained."""

    text: Text = Field(examples=["please give me my money back"])
    allowed: Allowed | None = None


class Outcome(BaseModel):
    """What became of one of several texts: a decision, or what is wrong with the text."""

    decision: Decision | None = Field(default=None, examples=[DECISION.model_dump(mode="json")])
    error: Problem | None = None


class Outcomes(BaseModel):
    """What became of several texts, in their order."""

    results: list[Outcome]


class Routes(BaseModel):
    """The routes and the revision that they are at."""

    revision: int
    routes: list[Route]


class UtterancesBody(Body):
    """Utterances to add or to remove."""

    utterances: Utterances


class ThresholdBody(Body):
    """A route's new threshold; null = the router's."""

    threshold: Threshold | None


class LabelledText(Body):
    """A text and the route that it belongs to."""

    text: Text
    label: Annotated[str, Field(max_length=128)] | None = Field(description="A route's name; null = none of them.")

    def example(self) -> Example:
        """As the engine has it."""
        return self.text, self.label


Labelled: TypeAlias = Annotated[
    list[LabelledText], Field(examples=[[{"text": "money back please", "label": "refund"}]])
]


class FitBody(Body):
    """What to fit, and to what. A head needs no examples, thresholds do."""

    method: Literal["head", "thresholds"] = "head"
    examples: Labelled = Field(default_factory=list)
    out_of_scope_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    objective: Literal["f1", "max_fpr", "max_error"] = "f1"
    max_fpr: Annotated[float, Field(ge=0, le=1)] | None = None
    max_error: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[Whole, Field(ge=0, le=2**32 - 1)] = 0


class EvaluateBody(Body):
    """Labelled texts to route and compare."""

    examples: Annotated[Labelled, Field(min_length=1)]
    price_per_call: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Job(BaseModel):
    """Work that takes longer than a request should."""

    id: str
    kind: Literal["fit", "evaluate"]
    state: Literal["queued", "running", "done", "failed"]
    progress: float = Field(ge=0, le=1)
    created_at: datetime
    finished_at: datetime | None = None
    report: dict[str, Any] | None = None
    error: Problem | None = None


class Jobs(BaseModel):
    """The jobs that are remembered, newest first."""

    jobs: list[Job]


class Health(BaseModel):
    """Whether the process lives, or can answer."""

    status: Literal["alive"] | Condition
    revision: int | None = None


class EncoderInfo(BaseModel):
    """The encoder in use."""

    fingerprint: str
    dim: int
    batch_invariant: bool


class Rule(BaseModel):
    """By what the router decides unless a route or a fit says otherwise."""

    threshold: float
    min_margin: float
    min_confidence: float


class Sync(BaseModel):
    """How close this process is to its store."""

    behind_s: float = Field(description="Seconds since it last knew that it had all that is there; 0 in memory.")
    failing: str | None = Field(description="Why it cannot know; null = it can.")
    digest: str = Field(description="Of revision, routes, thresholds and fits: services with equal ones decide alike.")


class Stats(BaseModel):
    """Counts of this process, and what it holds."""

    version: str
    pid: int
    state: Condition
    uptime_s: float
    in_flight: int
    router: RouterStats
    store: Sync
    encoder: EncoderInfo
    config: Rule
    scope: Scope = Field(description="What the asker may do.")


class Abstention(BaseModel):
    """A text that was not sent anywhere."""

    text: str
    at: datetime
    decision: Decision


class Abstentions(BaseModel):
    """Recent abstentions of this process, newest first."""

    abstentions: list[Abstention]
    kept: int = Field(description="How many are kept at most; 0 = none.")
