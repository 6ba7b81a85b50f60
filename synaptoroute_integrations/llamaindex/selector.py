"""A LlamaIndex selector that decides locally, and says so when it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, Unpack

from llama_index.core.base.base_selector import BaseSelector, MetadataType, SelectorResult, SingleSelection
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import ToolMetadata

from synaptoroute_core import (
    AdaptiveRouter,
    Candidate,
    ConfigurationError,
    Decision,
    Encoder,
    InspectableRouter,
    NoRouteError,
    RouteOptions,
)
from synaptoroute_core.changes import Vectors
from synaptoroute_core.closing import Closing
from synaptoroute_core.encoders import clean_vector
from synaptoroute_core.protocols import require_inspectable
from synaptoroute_core.types import clean_threshold
from synaptoroute_integrations.llamaindex.choices import Offer, Offers, routes_of
from synaptoroute_integrations.llamaindex.events import announce
from synaptoroute_integrations.llamaindex.results import (
    SemanticSelectorResult,
    adopted,
    fallback_selection,
    selection_of,
)
from synaptoroute_integrations.llamaindex.settings import (
    POLICIES,
    ZERO_SHOT_THRESHOLD,
    Mode,
    SelectorSettings,
    clean_fallback,
    require_mode,
)

logger = logging.getLogger(__name__)


class SemanticRouteSelector(BaseSelector, Closing):
    """Selects among the offered choices with a router: no LLM, and the same answer every time.

    A choice stands for the route of its name, else of an alias, else of its description. One that has
    no route is scored by its own name and description (zero-shot); that route is encoded once, never
    stored, and has a threshold of its own.

    Args:
        router: Decides: an engine, or a ``RemoteRouter``. It stays yours: close it yourself.
        fallback: What to do when it abstains. None or ``"raise"`` = raise ``NoRouteError``: LlamaIndex
            has no "none of them", and an answer from the wrong engine cannot be told from a right one.
            ``"best"`` = take the best candidate all the same. Another selector, such as
            ``LLMSingleSelector`` = ask it, only then. Any other string = the choice of that name; a
            number = the choice at that position (so too a choice that is named ``best`` or ``raise``).
        mode: ``single`` = the best choice, if it leads the second clearly. ``multi`` = every choice that
            reaches its threshold, best first.
        max_outputs: Most selections in mode ``multi``; None = no limit.
        threshold: Least score, -1 to 1, in the place of the router's, of every route's own and of
            ``zero_shot_threshold``; None = theirs.
        min_margin: Least lead over the second best in mode ``single``; None = the router's.
        aliases: Route names by choice name or description.
        zero_shot_threshold: Least score of a choice without a registered route; None = 0.35, chosen
            for the bundled model.
        query_embed_model: What makes ``QueryBundle.embedding``, such as :class:`SynaptoRouteEmbedding`.
            If its ``encoder`` has the fingerprint of the engine's, that vector is used and the query
            is not encoded again. A ``RemoteRouter`` sends texts only.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    def __init__(
        self,
        router: InspectableRouter,
        *,
        fallback: str | int | BaseSelector | None = None,
        mode: Mode = "single",
        max_outputs: int | None = None,
        threshold: float | None = None,
        min_margin: float | None = None,
        aliases: Mapping[str, str] | None = None,
        zero_shot_threshold: float | None = None,
        query_embed_model: BaseEmbedding | None = None,
    ) -> None:
        require_mode(mode, max_outputs, min_margin)
        if threshold is not None and zero_shot_threshold is not None:
            raise ConfigurationError("threshold stands in the place of zero_shot_threshold too: give one of them")
        zero_shot = clean_threshold(zero_shot_threshold)
        self._router = require_inspectable(router)
        self._owned = False
        self._mode = mode
        self._max_outputs = max_outputs
        self._fallback = clean_fallback(fallback)
        self._query_embed_model = query_embed_model
        self._offers = Offers(
            router,
            options=RouteOptions(threshold=threshold, min_margin=0.0 if mode == "multi" else min_margin),
            aliases=aliases or {},
            fallback=None if isinstance(fallback, BaseSelector) or self._fallback in POLICIES else fallback,
            zero_shot_threshold=ZERO_SHOT_THRESHOLD if zero_shot is None else zero_shot,
            list_all=mode == "multi",
        )

    @classmethod
    def from_defaults(cls, router: InspectableRouter | None = None, **settings: Unpack[SelectorSettings]) -> Self:
        """A selector; without a router, one that knows all choices by name and description only.

        Args:
            router: None = an empty one in memory with the bundled model, which :meth:`close` closes.
            **settings: As for the constructor.
        """
        if router is not None:
            return cls(router, **settings)
        return cls.from_choices((), **settings)

    @classmethod
    def from_choices(
        cls,
        choices: Sequence[MetadataType],
        *,
        encoder: Encoder | str | None = None,
        utterances: Mapping[str, Iterable[str]] | None = None,
        **settings: Unpack[SelectorSettings],
    ) -> Self:
        """A selector with a router of its own, in memory; close it, or use it in a ``with`` statement.

        Args:
            choices: Encoded now, so that the first query need not wait. Others may be offered later.
            encoder: As for :class:`AdaptiveRouter`.
            utterances: Examples of what users say, by choice name, or by description for choices
                without a name. The other choices are zero-shot.
            **settings: As for the constructor.

        Raises:
            ConfigurationError: ``utterances`` names no choice; or an argument is not valid.
        """
        offered = [choice if isinstance(choice, ToolMetadata) else ToolMetadata(choice) for choice in choices]
        routes, aliases = routes_of(offered, utterances or {})
        router = AdaptiveRouter(routes, encoder=encoder)
        try:
            settings["aliases"] = {**aliases, **(settings.get("aliases") or {})}
            selector = cls(router, **settings)
            selector._owned = True
            if offered:
                selector._offers.prepare(offered)
        except BaseException:
            router.close()
            raise
        return selector

    @property
    def router(self) -> InspectableRouter:
        """The router that decides."""
        return self._router

    # --- selecting -----------------------------------------------------------------------------

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        offer = self._offers.find(choices) or self._offers.prepare(choices)
        decision = self._router.route(query.query_str, options=offer.options, vector=self._vector(query))
        result = self._conclude(decision, offer)
        if result is not None:
            return result
        if not isinstance(self._fallback, BaseSelector):
            raise NoRouteError(decision)
        return self._adopt(self._fallback.select(choices, query), decision, len(choices))

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        offer = self._offers.find(choices)
        if offer is None:
            offer = await asyncio.to_thread(self._offers.prepare, choices)
        decision = await self._router.aroute(query.query_str, options=offer.options, vector=self._vector(query))
        result = self._conclude(decision, offer)
        if result is not None:
            return result
        if not isinstance(self._fallback, BaseSelector):
            raise NoRouteError(decision)
        return self._adopt(await self._fallback.aselect(choices, query), decision, len(choices))

    def _conclude(self, decision: Decision, offer: Offer) -> SemanticSelectorResult | None:
        """The result of a decision; None = raise, or ask the other selector."""
        picked = self._picked(decision)
        fallback: str | None = None
        if picked:
            selections: list[SingleSelection] = [
                selection_of(
                    offer.positions[candidate.route],
                    candidate,
                    zero_shot=candidate.route in offer.zero_shot,
                    margin=decision.margin if candidate is decision.candidates[0] else None,
                )
                for candidate in picked
            ]
        else:
            fallback = self._fallback_name
            position = self._fallback_position(decision, offer)
            zero_shot = bool(decision.candidates) and decision.candidates[0].route in offer.zero_shot
            selections = (
                [] if position is None else [fallback_selection(position, fallback, decision, zero_shot=zero_shot)]
            )
        result = None
        if selections:
            result = SemanticSelectorResult(selections=selections, decision=decision, fallback=fallback)
            logger.debug("selected %s: %s", result.inds, result.reasons)
        announce(decision, result, fallback)
        return result

    def _picked(self, decision: Decision) -> Sequence[Candidate]:
        if self._mode == "multi":
            return [candidate for candidate in decision.candidates if candidate.passes][: self._max_outputs]
        return decision.candidates[:1] if decision else ()

    def _fallback_position(self, decision: Decision, offer: Offer) -> int | None:
        if self._fallback == "best" and decision.candidates:
            return offer.positions[decision.candidates[0].route]
        return offer.fallback

    def _adopt(self, result: SelectorResult, decision: Decision, count: int) -> SemanticSelectorResult:
        taken = self._max_outputs if self._mode == "multi" else None
        return adopted(result, decision, self._fallback_name, count, taken)

    @property
    def _fallback_name(self) -> str:
        chosen = self._fallback
        return type(chosen).__name__ if isinstance(chosen, BaseSelector) else str(chosen)

    def _vector(self, query: QueryBundle) -> Vectors | None:
        """The query's embedding, if it is certain that the router's encoder would make the same."""
        # With custom_embedding_strs it is the vector of other texts, with image_path of a picture.
        if query.embedding is None or query.custom_embedding_strs or query.image_path:
            return None
        if not isinstance(self._router, AdaptiveRouter):  # one elsewhere takes no vectors
            return None
        encoder = getattr(self._query_embed_model, "encoder", None)
        own = self._router.encoder
        if getattr(encoder, "fingerprint", None) != own.fingerprint:
            return None
        try:
            return clean_vector(query.embedding, own.dim)
        except ConfigurationError as error:
            logger.warning("the query is encoded again, its embedding cannot be used: %s", error)
            return None

    # --- prompts -------------------------------------------------------------------------------

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: PromptDictType) -> None:
        """There are none."""

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"fallback": self._fallback} if isinstance(self._fallback, BaseSelector) else {}

    # --- ending --------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the router if :meth:`from_choices` or :meth:`from_defaults` opened it."""
        if self._owned:
            self._router.close()
