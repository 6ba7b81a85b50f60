"""Settings of a selector, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.base.embeddings.base import BaseEmbedding

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten

ZERO_SHOT_THRESHOLD = 0.35
"""Least score of a choice known by name and description; ``docs/llamaindex.md`` has the evidence."""

Mode: TypeAlias = Literal["single", "multi"]
POLICIES = ("raise", "best")


class SelectorSettings(TypedDict, total=False):
    """Keyword arguments of :class:`SemanticRouteSelector`."""

    fallback: str | int | BaseSelector | None
    mode: Mode
    max_outputs: int | None
    threshold: float | None
    min_margin: float | None
    aliases: Mapping[str, str] | None
    zero_shot_threshold: float | None
    query_embed_model: BaseEmbedding | None


def require_mode(mode: object, max_outputs: object, min_margin: object) -> None:
    """Check the mode and what goes with it.

    Raises:
        ConfigurationError: A value is not valid, or belongs to the other mode.
    """
    if mode not in ("single", "multi"):
        raise ConfigurationError(f"mode = {shorten(mode)}: use 'single' or 'multi'")
    if max_outputs is not None:
        if mode == "single":
            raise ConfigurationError("max_outputs is for mode='multi'; mode='single' selects one")
        if isinstance(max_outputs, bool) or not isinstance(max_outputs, int) or max_outputs < 1:
            raise ConfigurationError(f"max_outputs = {shorten(max_outputs)}: use a whole number from 1, or None")
    if mode == "multi" and min_margin is not None:
        raise ConfigurationError("min_margin is for mode='single'; in mode='multi' choices need not lead each other")


def clean_fallback(fallback: object) -> str | int | BaseSelector:
    """A policy, a choice's name or position, or a selector; None is ``raise``.

    Raises:
        ConfigurationError: It is none of these.
    """
    if fallback is None:
        return "raise"
    whole = isinstance(fallback, int) and not isinstance(fallback, bool) and fallback >= 0
    if whole or isinstance(fallback, str | BaseSelector):
        return fallback  # type: ignore[return-value]  # the line above says so
    raise ConfigurationError(
        f"fallback = {shorten(fallback)}: use 'raise', 'best', the name or position (from 0) of a choice, or a selector"
    )
