"""The rivals, each with the bundled model behind its own encoder interface, and the floor.

Each comes twice: with the encoder class that it ships, which runs the model through fastembed in the order
in which texts arrive and with all processors, as its users have it; and with our :class:`BundledEncoder`,
which groups texts by length, handed to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.selectors import EmbeddingSingleSelector
from llama_index.core.tools import ToolMetadata
from onnxruntime import InferenceSession, SessionOptions
from semantic_router import Route as PeerRoute
from semantic_router.encoders import FastEmbedEncoder as PeerFastEmbed
from semantic_router.encoders.base import DenseEncoder
from semantic_router.routers import IndexedRouter
from synaptoroute.encoder import BaseEncoder as ArticleEncoder
from synaptoroute.encoder import FastEmbedEncoder as ArticleFastEmbed
from synaptoroute.models import Route as ArticleRoute
from synaptoroute.router import AdaptiveRouter as ArticleRouter
from synaptoroute.storage import SQLiteStorage
from tokenizers import Tokenizer

from synaptoroute_core import BundledEncoder
from synaptoroute_core.encoders.bundled import BUNDLED_MODEL, MAX_RUN_ROWS

CORES = os.cpu_count() or 1


class Floor:
    """Tokenise, one ``InferenceSession.run``, one matrix product: nothing a router could leave out.

    Args:
        routes: Utterances by route.
        threads: Threads within one run. Alone a query is fastest with all, a crowd with one each.
    """

    def __init__(self, routes: dict[str, list[str]], threads: int) -> None:
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = InferenceSession(str(BUNDLED_MODEL / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)
        self.matrix = self.encode([text for texts in routes.values() for text in texts])

    def one(self, text: str) -> Any:
        """One query."""
        return self.matrix @ self._run([self.tokenizer.encode(text).ids])[0]

    def encode(self, texts: Sequence[str]) -> Any:
        """Many texts, the shortest first, in runs of 32, a run on each core."""
        tokens = [self.tokenizer.encode(text).ids for text in texts]
        ranking = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        groups = [ranking[start : start + MAX_RUN_ROWS] for start in range(0, len(ranking), MAX_RUN_ROWS)]
        vectors = np.empty((len(texts), 384), np.float32)

        def run(group: list[int]) -> None:
            vectors[group] = self._run([tokens[row] for row in group])

        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(run, groups))
        return vectors

    def many(self, texts: Sequence[str]) -> Any:
        """Many queries."""
        return self.encode(texts) @ self.matrix.T

    def _run(self, tokens: list[list[int]]) -> Any:
        shape = len(tokens), max(map(len, tokens))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, values in enumerate(tokens):
            ids[row, : len(values)] = values
            mask[row, : len(values)] = 1
        return self.session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})[0]


def _fastembed() -> TextEmbedding:
    """The bundled model as fastembed runs it by default: all processors, texts padded as they come."""
    name = "bundled/all-MiniLM-L6-v2"
    if name not in {model["model"] for model in TextEmbedding.list_supported_models()}:
        TextEmbedding.add_custom_model(
            model=name,
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(hf=name),
            dim=384,
            model_file="model.onnx",
        )
    return TextEmbedding(name, specific_model_path=str(BUNDLED_MODEL))


class Article:
    """synaptoroute 0.4.1: asyncio queue, batches of what is waiting, FAISS or numpy index.

    Args:
        routes: Utterances by route.
        own: With the encoder class that it ships, or with ours.
    """

    class _Own(ArticleFastEmbed):
        def __init__(self) -> None:
            self._lock = threading.Lock()
            self._dim = 384
            self.model = _fastembed()

    class _Ours(ArticleEncoder):
        requires_lock = False
        dim = 384

        def __init__(self) -> None:
            self.encoder = BundledEncoder(threads=CORES)

        def encode(self, text: str) -> Any:
            return self.encoder.encode([text])[0]

        def encode_batch(self, texts: list[str]) -> Any:
            return self.encoder.encode(texts)

    def __init__(self, routes: dict[str, list[str]], *, own: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints while it loads
            storage = SQLiteStorage(f"{self._folder.name}/routes.db")
            encoder = self._Own() if own else self._Ours()
            for name, texts in routes.items():
                storage.save_route(ArticleRoute(name=_plain(name), utterances=texts), encoder.encode_batch(texts))
            self.router = ArticleRouter(encoder, storage)

    def one(self, text: str) -> Any:
        """One query, blocking."""
        return self.router(text)

    def at_once(self, texts: Sequence[str]) -> Any:
        """All queries in one event loop."""

        async def run() -> Any:
            await self.router.start()
            return await asyncio.gather(*(self.router.aquery(text) for text in texts))

        return asyncio.run(run())


class Peer:
    """semantic-router 1.1.1: a local index.

    Args:
        routes: Utterances by route.
        own: With the encoder class that it ships, or with ours.
    """

    class _Own(PeerFastEmbed):
        def _initialize_client(self) -> Any:
            return _fastembed()

    class _Ours(DenseEncoder):
        encoder: Any = None

        def __call__(self, docs: list[Any]) -> list[list[float]]:
            return self.encoder.encode(docs).tolist()

    def __init__(self, routes: dict[str, list[str]], *, own: bool = True) -> None:
        encoder = self._Own() if own else self._Ours(name="bundled", encoder=BundledEncoder(threads=CORES))
        self.router = IndexedRouter(encoder, [PeerRoute(name=n, utterances=t) for n, t in routes.items()])

    def one(self, text: str) -> Any:
        """One query, blocking."""
        return self.router(text)

    def at_once(self, texts: Sequence[str]) -> Any:
        """All queries in one event loop."""

        async def run() -> Any:
            return await asyncio.gather(*(self.router.acall(text) for text in texts))

        return asyncio.run(run())


class Selector:
    """LlamaIndex's ``EmbeddingSingleSelector`` over one description a route: it encodes them at every call."""

    class _Embedding(BaseEmbedding):
        encoder: Any = None

        def _get_text_embedding(self, text: str) -> list[float]:
            return self.encoder.encode([text])[0].tolist()

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return self.encoder.encode(texts).tolist()

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    def __init__(self, routes: dict[str, list[str]]) -> None:
        embedding = self._Embedding(encoder=BundledEncoder(threads=CORES))
        self.selector = EmbeddingSingleSelector.from_defaults(embed_model=embedding)
        self.choices = [ToolMetadata(description=texts[0], name=name) for name, texts in routes.items()]

    def one(self, text: str) -> Any:
        """One query, blocking."""
        return self.selector.select(self.choices, text)


def _plain(name: str) -> str:
    return "".join(character if character.isalnum() or character in "_-" else "_" for character in name)
