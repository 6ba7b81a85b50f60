"""The engine's encoders as LlamaIndex embeddings, and LlamaIndex embeddings as the engine's encoders."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from pydantic import Field

from synaptoroute_core import BundledEncoder, ConfigurationError, Encoder
from synaptoroute_core.changes import Vectors
from synaptoroute_core.encoders import encode_texts, resolve_encoder, unit_rows

PROBE = "How long is a vector?"


class SynaptoRouteEmbedding(BaseEmbedding):
    """An encoder of the engine as a LlamaIndex embedding model: local, no download by default.

    Queries and texts are embedded alike, so a vector of ``QueryBundle.embedding`` can be used by a
    router with the same encoder.

    Args:
        encoder: None = the bundled model; a fastembed model name; or an encoder.
        **settings: Fields of ``BaseEmbedding``. ``model_name`` is the encoder's fingerprint.

    Raises:
        ConfigurationError: The encoder is not valid, or ``model_name`` is another one's fingerprint.
        EncoderError: The model cannot be loaded.
    """

    # A field, not a private attribute: LlamaIndex unpickles by calling the constructor with the fields.
    encoder: Any = Field(default=None, exclude=True, repr=False)

    def __init__(self, encoder: Encoder | str | None = None, **settings: Any) -> None:
        resolved = BundledEncoder() if encoder is None else resolve_encoder(encoder)
        name = settings.pop("model_name", resolved.fingerprint)
        if name != resolved.fingerprint:
            raise ConfigurationError(
                f"model_name = {name!r}, but the encoder is {resolved.fingerprint!r}: pass the encoder, not its name"
            )
        super().__init__(**{**settings, "model_name": name, "encoder": resolved})

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in serialised form."""
        return "SynaptoRouteEmbedding"

    def __getstate__(self) -> dict[str, Any]:
        """As of every component; LlamaIndex would leave out an encoder that cannot be pickled.

        Raises:
            TypeError: The encoder cannot be pickled.
        """
        encoder = self.encoder
        state: dict[str, Any] = super().__getstate__()
        if "encoder" not in state["__dict__"]:
            # What it leaves out, it takes from the living object as well.
            vars(self)["encoder"] = encoder
            raise TypeError(f"the encoder cannot be pickled: {type(encoder).__name__}")
        return state

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        vectors: list[Embedding] = encode_texts(self.encoder, texts, label="embedding").tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._get_text_embedding(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await self._aget_text_embedding(query)


class LlamaIndexEncoder:
    """A LlamaIndex embedding model as an encoder of the engine.

    Queries are embedded as texts, like utterances, which they are compared with: a model that puts
    different instructions before the two is used with one of them only.

    Args:
        embed_model: The model. Its vectors are brought to unit length.
        fingerprint: Names the model in stores: change it when the model's vectors change. None = made
            of its class and ``model_name``, or the encoder's own of a :class:`SynaptoRouteEmbedding`.
        batch_invariant: A text's vector does not depend on those beside it. None = no, unless the model
            is a :class:`SynaptoRouteEmbedding`; texts are then embedded one at a time. Say True for a
            remote model.

    Raises:
        ConfigurationError: The model has no name, and no fingerprint is given.
    """

    def __init__(
        self, embed_model: BaseEmbedding, fingerprint: str | None = None, *, batch_invariant: bool | None = None
    ) -> None:
        inner = embed_model.encoder if isinstance(embed_model, SynaptoRouteEmbedding) else None
        self._embed_model = embed_model
        self.fingerprint: str = fingerprint or (inner.fingerprint if inner is not None else _name_of(embed_model))
        self.batch_invariant: bool = (
            batch_invariant if batch_invariant is not None else inner is not None and bool(inner.batch_invariant)
        )
        self._dim: int | None = inner.dim if inner is not None else None
        self._probing = threading.Lock()

    def __repr__(self) -> str:
        return f"LlamaIndexEncoder({self.fingerprint!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _encoder, (self._embed_model, self.fingerprint, self.batch_invariant)

    @property
    def dim(self) -> int:
        """Length of a vector; found by embedding a text once."""
        with self._probing:
            if self._dim is None:
                self._dim = len(self._embed_model.get_text_embedding(PROBE))
            return self._dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), dim), float32."""
        return unit_rows(self._embed_model.get_text_embedding_batch(list(texts)))


def _name_of(embed_model: BaseEmbedding) -> str:
    if embed_model.model_name == "unknown":
        raise ConfigurationError(
            f"{type(embed_model).__name__} has no model_name: pass fingerprint=, which names it in stores"
        )
    return f"llama-index/{embed_model.class_name()}/{embed_model.model_name}"


def _encoder(embed_model: BaseEmbedding, fingerprint: str, batch_invariant: bool) -> LlamaIndexEncoder:  # noqa: FBT001
    return LlamaIndexEncoder(embed_model, fingerprint, batch_invariant=batch_invariant)
