"""Any text model of fastembed, by name or from a local folder."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from synaptoroute_core.changes import Vectors
from synaptoroute_core.encoders.base import DEFAULT_NOISE
from synaptoroute_core.encoders.invariance import INVARIANT_BELOW, has_dynamic_quantisation, measure_movement
from synaptoroute_core.encoders.sessions import (
    Provider,
    import_runtime,
    open_session,
    require_providers,
    require_started,
    sha256_of,
)
from synaptoroute_core.errors import ConfigurationError, EncoderError, shorten
from synaptoroute_core.text import MAX_TEXT_CHARS, replace_surrogates

if TYPE_CHECKING:
    from fastembed import TextEmbedding

logger = logging.getLogger(__name__)

RUN_TEXTS = 8
PER_TOKEN_AXES = 3
"""Texts, tokens, dimensions: the output of a model whose vectors are still to be pooled."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
EXTERNAL_WEIGHTS = ("_data", ".data")
"""What is added to the name of an ONNX file for that of its weights, if they are not within it."""
Pooling = Literal["mean", "cls"]
_registering = threading.Lock()


class FastEmbedEncoder:
    """A text model run by fastembed. Loaded when constructed, once, so no thread finds it half done.

    A model whose vectors depend on the texts beside them, as with dynamic int8, is found out here
    (``batch_invariant`` is False) and is run one text at a time.

    Args:
        model_name: A name from ``TextEmbedding.list_supported_models()``, such as
            ``BAAI/bge-small-en-v1.5``; downloaded from the model hub unless it is in the cache.
        model_path: A local folder with the ONNX file, ``tokenizer.json`` and
            ``tokenizer_config.json``; nothing is downloaded then. With ``model_name``, the files of
            that model; without, any model.
        model_file: The ONNX file in ``model_path``, if it is not ``model.onnx`` or
            ``onnx/model.onnx``. Only without ``model_name``.
        pooling: ``mean`` or ``cls``, None = ``mean``. Only without ``model_name``.
        providers: ONNX Runtime execution providers, such as ``["CUDAExecutionProvider"]`` or
            ``[("CUDAExecutionProvider", {"device_id": 1})]``; None = the CPU.
        threads: Threads within one run.
        cache_dir: Where fastembed keeps what it downloads. Only without ``model_path``.
        local_files_only: Never download.

    Raises:
        ConfigurationError: The name is not known, the folder is not a model's, a provider is not
            installed, or an argument would have no effect beside the others.
        EncoderError: The model is not there and cannot be downloaded, or cannot be loaded.
    """

    def __init__(
        self,
        model_name: str | None = None,
        *,
        model_path: str | Path | None = None,
        model_file: str | None = None,
        pooling: Pooling | None = None,
        providers: Sequence[Provider] | None = None,
        threads: int | None = 1,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> None:
        import_runtime()  # before fastembed does it
        require_providers(providers)
        self._remake = partial(
            FastEmbedEncoder,
            model_name,
            model_path=model_path,
            model_file=model_file,
            pooling=pooling,
            providers=providers,
            threads=threads,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        folder = Path(model_path) if model_path is not None else None
        if folder is not None:
            _refuse("model_path", cache_dir=cache_dir)
        if model_name is None:
            self.model_name = _register_folder(folder, model_file, pooling or "mean")
        else:
            _refuse("model_name", model_file=model_file, pooling=pooling)
            _require_known(model_name)
            self.model_name = model_name
        self._model = _load(
            self.model_name,
            specific_model_path=None if folder is None else str(folder),
            providers=None if providers is None else list(providers),
            cuda=False,
            threads=threads,
            cache_dir=None if cache_dir is None else str(cache_dir),
            local_files_only=local_files_only,
            enable_cpu_mem_arena=False,
        )
        self.dim: int = self._model.embedding_size
        inner: Any = self._model.model
        if hasattr(inner, "model") and hasattr(inner.model, "get_providers"):
            require_started(inner.model, providers)
        # fastembed has no public way to the folder that it resolved a name to.
        files = Path(inner._model_dir)  # noqa: SLF001
        onnx_file = files / inner.model_description.model_file
        name = "local" if model_name is None else inner.model_description.model
        how = (pooling or "mean") if model_name is None else type(inner).__name__
        self.fingerprint = f"fastembed/{name}/{_digest(onnx_file, files)}/{how}/{_max_tokens(inner)}"
        movement = self._probe()
        self.batch_invariant = movement <= INVARIANT_BELOW and not has_dynamic_quantisation(onnx_file)
        self.noise = max(DEFAULT_NOISE, movement)
        if not self.batch_invariant:
            logger.warning(
                "%s: a text's vector moves by up to %.2g with the texts beside it; it is run one text at a time",
                self.model_name,
                movement,
            )

    def __repr__(self) -> str:
        return f"FastEmbedEncoder({self.fingerprint!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Its arguments: the model is loaded anew."""
        return self._remake, ()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), dim), float32."""
        if self.batch_invariant:
            return self._embed(texts)
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._embed([text])[0]
        return vectors

    def _probe(self) -> float:
        try:
            return measure_movement(self._embed)
        except Exception as error:
            raise EncoderError(
                f"the model {self.model_name!r} was loaded but cannot encode: {error}. Check that the files are those "
                f"of this model, whose vectors have {self.dim} numbers, and that its tokenizer belongs to it"
            ) from error

    def _embed(self, texts: Sequence[str]) -> Vectors:
        cut = [replace_surrogates(text[:MAX_TEXT_CHARS]) for text in texts]
        # Texts of like length together, so that little is padded.
        ranking = sorted(range(len(cut)), key=lambda row: len(cut[row]))
        vectors = np.empty((len(cut), self.dim), np.float32)
        ranked = self._model.embed([cut[row] for row in ranking], batch_size=RUN_TEXTS)
        for row, vector in zip(ranking, ranked, strict=True):
            # Not every model of fastembed gives unit vectors.
            vectors[row] = vector / np.linalg.norm(vector)
        return vectors


def _load(model_name: str, **options: Any) -> TextEmbedding:
    from fastembed import TextEmbedding

    if options["providers"] is not None:
        del options["cuda"]
    try:
        return TextEmbedding(model_name, **options)
    except Exception as error:
        if folder := options["specific_model_path"]:
            remedy = f"Check that {folder} has the model's ONNX file, tokenizer.json and tokenizer_config.json, whole"
        else:
            remedy = (
                "If this machine cannot download it, copy the model's folder here and pass "
                "FastEmbedEncoder(model_name, model_path=FOLDER)"
            )
        raise EncoderError(
            f"the model {model_name!r} could not be loaded: {error}. {remedy}, or leave the encoder out to use the "
            "bundled model"
        ) from error


def _refuse(beside: str, **arguments: object) -> None:
    """Refuse arguments that have no effect beside another: worse than an error."""
    for name, value in arguments.items():
        if value is not None:
            raise ConfigurationError(f"{name} = {shorten(value)} has no effect with {beside}: leave one of them out")


def _digest(onnx_file: Path, files: Path) -> str:
    """One for everything that a vector depends on: graph, weights and tokenizer."""
    weights = [onnx_file.with_name(onnx_file.name + end) for end in EXTERNAL_WEIGHTS]
    paths = [onnx_file, *weights, *(files / name for name in TOKENIZER_FILES)]
    digests = " ".join(sha256_of(path) if path.is_file() else "none" for path in paths)
    return hashlib.sha256(digests.encode()).hexdigest()[:16]


def _max_tokens(inner: Any) -> int | None:
    truncation = getattr(getattr(inner, "tokenizer", None), "truncation", None)
    return truncation["max_length"] if truncation else None


def _require_known(model_name: str) -> None:
    from fastembed import TextEmbedding

    names = [str(model["model"]) for model in TextEmbedding.list_supported_models()]
    if model_name.lower() not in {name.lower() for name in names}:
        close = get_close_matches(model_name, names, n=3, cutoff=0.4)
        raise ConfigurationError(
            f"fastembed has no text model {model_name!r}"
            + (f"; did you mean {' or '.join(close)}?" if close else ".")
            + " For a model of your own pass model_path=FOLDER without a name"
        )


def _register_folder(folder: Path | None, model_file: str | None, pooling: str) -> str:
    """Make a folder known to fastembed, whose list of custom models is one for the process."""
    if folder is None:
        raise ConfigurationError("FastEmbedEncoder needs model_name, model_path or both")
    if pooling not in get_args(Pooling):
        raise ConfigurationError(f"pooling = {shorten(pooling)}: use {' or '.join(get_args(Pooling))}")
    wanted = (model_file,) if model_file is not None else ("model.onnx", "onnx/model.onnx")
    found = next((name for name in wanted if (folder / name).is_file()), None)
    if found is None:
        raise ConfigurationError(f"there is no {' or '.join(wanted)} in {folder}")
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    # All that is registered is in the name: another folder may have the same file in another place.
    name = f"local/{sha256_of(folder / found)[:16]}-{pooling}/{found}"
    with _registering:
        if name not in {str(model["model"]) for model in TextEmbedding.list_supported_models()}:
            TextEmbedding.add_custom_model(
                model=name,
                pooling=PoolingType.CLS if pooling == "cls" else PoolingType.MEAN,
                normalization=True,
                sources=ModelSource(hf=name),
                dim=_output_dim(folder / found),
                model_file=found,
            )
    return name


def _output_dim(model: Path) -> int:
    shape = open_session(model, providers=None, threads=1).get_outputs()[0].shape
    if len(shape) != PER_TOKEN_AXES or not isinstance(shape[-1], int):
        raise ConfigurationError(
            f"the first output of {model} has shape {shape}, expected [texts, tokens, a fixed number]: a model that "
            "pools by itself cannot be pooled once more; pass model_file for an export without pooling"
        )
    return shape[-1]
