"""Encoders of the engine as LangChain embeddings, and LangChain embeddings as encoders of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core import ConfigurationError, Encoder, EncoderError, InvalidTextError
from synaptoroute_core.encoders import encode_texts, resolve_encoder, unit_rows
from synaptoroute_core.encoders.base import DEFAULT_NOISE
from synaptoroute_core.encoders.invariance import INVARIANT_BELOW, measure_movement
from synaptoroute_core.errors import missing_extra, shorten
from synaptoroute_core.text import clean_query

try:
    from langchain_core.embeddings import Embeddings
except ModuleNotFoundError as error:
    raise missing_extra("langchain", error) from error

T = TypeVar("T")

MODEL_ATTRIBUTES = ("model", "model_name", "model_id", "repo_id", "deployment")
"""Where the embedding classes of LangChain's partner packages keep the name of their model."""

PROBE = "where is my order"


class SynaptoRouteEmbeddings(Embeddings):
    """The engine's encoder wherever LangChain takes embeddings: vector stores, example selectors, caches.

    Vectors are unit length, so a dot product is a cosine. Documents and queries are encoded alike. The
    model reads the first few hundred tokens of a text (the bundled one 256): split documents before.
    The awaitable methods run in LangChain's executor and do not block the event loop.

    Args:
        encoder: None = the bundled model; a string = a fastembed model name; or any encoder.

    Raises:
        ConfigurationError: ``encoder`` is none.
        EncoderError: The model cannot be loaded.
    """

    def __init__(self, encoder: Encoder | str | None = None) -> None:
        self.encoder = resolve_encoder(encoder)

    @property
    def model(self) -> str:
        """Names the model: the encoder's fingerprint."""
        return self.encoder.fingerprint

    def __repr__(self) -> str:
        return f"SynaptoRouteEmbeddings({self.encoder!r})"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of ``encoder.dim`` floats for each text.

        Raises:
            InvalidTextError: One of them is not a string, or is blank. A blank has a vector too, which is
                near to texts that it has nothing to do with.
            EncoderError: The encoder failed on one of them.
        """
        return self._embed([_checked(text, f"text {row}") for row, text in enumerate(texts)])

    def embed_query(self, text: str) -> list[float]:
        """``encoder.dim`` floats.

        Raises:
            InvalidTextError: The text is not a string, or is blank.
            EncoderError: The encoder failed on it.
        """
        return self._embed([_checked(text, "the query")])[0]

    def _embed(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = encode_texts(self.encoder, texts, label="embedding texts").tolist()
        return vectors


class LangChainEncoder:
    """Any LangChain embeddings as an encoder: ``AdaptiveRouter(routes, encoder=LangChainEncoder(embeddings))``.

    Vectors are scaled to unit length; what cannot be (zeros, NaN) and arrays of the wrong shape end in the
    engine's ``EncoderError``. Thresholds belong to a model: give the router one for this model.

    What is not given is asked of the embeddings when the encoder is made: ``dim`` takes one request,
    ``batch_invariant`` ten small ones, both given none.

    Args:
        embeddings: The embeddings. Their ``embed_documents`` or ``embed_query`` is called from the router's
            worker threads, several at a time.
        fingerprint: Names the model and what changes its vectors; stored with them. None = class, model
            and ``dim``, where the embeddings name their model.
        dim: Length of a vector.
        batch_invariant: Whether a text's vector depends on no other text of the request. True lets one
            request carry a batch, False sends one text a request. None = measured; that is evidence and no
            proof. A hosted service whose vectors differ from call to call measures as False: say True,
            and give the difference as ``noise``.
        noise: By how much a score may differ from call to call; ``Decision.near_boundary`` goes by it.
        input_type: ``document`` calls ``embed_documents`` for utterances and queries alike. ``query`` calls
            ``embed_query``, one text a request: better with models that mark queries, because utterances
            are examples of queries.

    Raises:
        ConfigurationError: An argument is not valid, or the embeddings do not name their model.
        EncoderError: The embeddings failed when they were asked.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        fingerprint: str | None = None,
        dim: int | None = None,
        batch_invariant: bool | None = None,
        noise: float = DEFAULT_NOISE,
        input_type: Literal["document", "query"] = "document",
    ) -> None:
        if not isinstance(embeddings, Embeddings):
            raise ConfigurationError(f"{shorten(embeddings)} is no LangChain Embeddings object")
        if input_type not in {"document", "query"}:
            raise ConfigurationError(f"input_type = {shorten(input_type)}: use 'document' or 'query'")
        self.embeddings = embeddings
        self._input_type = input_type
        model = fingerprint or _model_of(embeddings)
        self.dim: int = self._measure_dim() if dim is None else dim
        self.fingerprint = fingerprint or f"langchain/{type(embeddings).__name__}/{model}/{input_type}/{self.dim}"
        self.noise = noise
        self.batch_invariant = self._is_invariant() if batch_invariant is None else batch_invariant

    def __repr__(self) -> str:
        return f"LangChainEncoder({self.fingerprint!r})"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors: shape (len(texts), dim), float32, of unit length where the embeddings gave a direction."""
        if self._input_type == "query":
            rows = [self.embeddings.embed_query(text) for text in texts]
        else:
            rows = self.embeddings.embed_documents(list(texts))
        return unit_rows(rows)

    def _measure_dim(self) -> int:
        vectors = self._ask(lambda: self.encode([PROBE]))
        if vectors.ndim != 2 or vectors.shape[0] != 1 or not vectors.size:  # noqa: PLR2004
            raise EncoderError(f"{type(self.embeddings).__name__} gave an array of shape {vectors.shape} for one text")
        return int(vectors.shape[1])

    def _is_invariant(self) -> bool:
        # One text a request has no company that it could depend on.
        return self._input_type == "query" or self._ask(lambda: measure_movement(self.encode)) < INVARIANT_BELOW

    def _ask(self, question: Callable[[], T]) -> T:
        """What the embeddings answer when the encoder is made; later it is the engine that asks."""
        try:
            return question()
        except Exception as error:
            name = type(self.embeddings).__name__
            raise EncoderError(f"{name} could not be asked: {type(error).__name__}: {error}") from error


def _checked(text: object, place: str) -> str:
    try:
        return clean_query(text)
    except InvalidTextError as error:
        raise InvalidTextError(f"{place} cannot be embedded: {error}") from error


def _model_of(embeddings: Embeddings) -> str:
    """The name that embeddings give their model."""
    for attribute in MODEL_ATTRIBUTES:
        name: Any = getattr(embeddings, attribute, None)
        if isinstance(name, str) and name:
            return name
    raise ConfigurationError(
        f"{type(embeddings).__name__} does not say which model it runs; pass LangChainEncoder(..., "
        "fingerprint='the model and what else changes its vectors'): stored vectors are told apart by it"
    )
