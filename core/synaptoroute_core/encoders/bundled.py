"""The model that comes with the package: all-MiniLM-L6-v2, nothing to download."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synaptoroute_core.changes import Vectors
from synaptoroute_core.encoders.sessions import Provider, open_session, require_providers, sha256_of
from synaptoroute_core.errors import EncoderError, shorten
from synaptoroute_core.text import MAX_TEXT_CHARS, replace_surrogates

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

BUNDLED_MODEL = Path(__file__).parent.parent / "models" / "all-minilm-l6-v2"
RUN_TOKENS = 7
"""What a run costs beside its tokens, in tokens: between the best of two processors, 2 and 14."""
MAX_RUN_ROWS = 32
MAX_RUN_TOKENS = 512
"""Bounds the memory that a run takes: with 2048 the process kept 50 to 100 MB after long texts, with
512 at most 6, and was no slower with texts of any length."""
LONE_THREADS = min(2, os.cpu_count() or 1)
"""Two threads that do not spin take a tenth off a lone run and halve its tail beside a busy process. Two runs
side by side with two threads each would cost a crowd a tenth: hence one session for each."""
LOADED_FILES = ("model.onnx", "tokenizer.json")
MANIFEST_KINDS: dict[str, type] = {"name": str, "dim": int, "max_tokens": int, "files": dict}


class BundledEncoder:
    """all-MiniLM-L6-v2 (384 dimensions, 256 tokens, English) with weight-only int8.

    The weights are int8 in the file and floats in the arithmetic, so a text's vector is the same to
    the last bit alone, in any batch and with any padding. Files are checked against their sha256
    when they are first used; constructing an encoder reads only the manifest.

    Args:
        model_path: Folder of a model built by ``scripts/build_model.py``; None = the bundled one.
        providers: ONNX Runtime execution providers, such as ``["CUDAExecutionProvider"]`` or
            ``[("CUDAExecutionProvider", {"device_id": 1})]``; None = the CPU.
        threads: Threads within one run. The router runs one batch in each of its workers, so one
            thread a run uses all processors.
        lone_threads: Threads within the run of a single text while nothing else is encoded. More than
            ``threads`` takes a second session, some 55 MB; ``threads`` = none. Only on the CPU.

    Raises:
        ConfigurationError: A provider is not installed.
        EncoderError: The manifest is missing or damaged.
    """

    batch_invariant = True

    def __init__(
        self,
        model_path: str | Path | None = None,
        *,
        providers: Sequence[Provider] | None = None,
        threads: int = 1,
        lone_threads: int = LONE_THREADS,
    ) -> None:
        require_providers(providers)
        self._folder = Path(model_path) if model_path is not None else BUNDLED_MODEL
        self._providers = list(providers) if providers is not None else None
        self._threads = threads
        self._lone_threads = threads if providers else max(threads, lone_threads)
        self._counting = threading.Lock()
        self._running = 0
        self._loading = threading.Lock()
        self._manifest = _read_manifest(self._folder)
        self.dim: int = self._manifest["dim"]
        digest = hashlib.sha256(json.dumps(self._manifest["files"], sort_keys=True).encode()).hexdigest()[:16]
        self.fingerprint = f"{self._manifest['name']}/{digest}/mean/{self._manifest['max_tokens']}"

    def __repr__(self) -> str:
        return f"BundledEncoder({self.fingerprint!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Its arguments: the model is loaded anew, from the package if it is the bundled one."""
        folder = None if self._folder == BUNDLED_MODEL else self._folder
        make = partial(
            type(self), folder, providers=self._providers, threads=self._threads, lone_threads=self._lone_threads
        )
        return make, ()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length: shape (len(texts), 384), float32.

        Raises:
            EncoderError: A file of the model is missing or was changed.
        """
        tokenizer, crowded, lone = self._model
        # One by one: encode_batch would start a thread pool of its own, beside our workers.
        tokens = [tokenizer.encode(replace_surrogates(text[:MAX_TEXT_CHARS])).ids for text in texts]
        vectors = np.empty((len(texts), self.dim), np.float32)
        with self._counted() as others:
            session = lone if len(texts) == 1 and not others else crowded
            for group in _groups([len(ids) for ids in tokens]):
                inputs = _pad([tokens[row] for row in group])
                vectors[group] = session.run(["sentence_embedding"], inputs)[0]
        return vectors

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """Count a call while it lasts; gives how many others are at work."""
        with self._counting:
            others = self._running
            self._running += 1
        try:
            yield others
        finally:
            with self._counting:
                self._running -= 1

    @property
    def _model(self) -> tuple[Tokenizer, InferenceSession, InferenceSession]:
        with self._loading:
            return self._loaded

    @cached_property
    def _loaded(self) -> tuple[Tokenizer, InferenceSession, InferenceSession]:
        from tokenizers import Tokenizer

        _check_files(self._folder, self._manifest["files"])
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._manifest["max_tokens"])
        model = self._folder / "model.onnx"
        session = open_session(model, providers=self._providers, threads=self._threads)
        if self._lone_threads == self._threads:
            return tokenizer, session, session
        return tokenizer, session, open_session(model, providers=None, threads=self._lone_threads)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return _checked_manifest(manifest)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise EncoderError(
            f"no usable manifest.json in {folder} ({error}); reinstall the package, or build the folder with "
            "scripts/build_model.py"
        ) from error


def _checked_manifest(manifest: Any) -> dict[str, Any]:
    if not isinstance(manifest, dict):
        raise TypeError(f"it holds {shorten(manifest)}, not an object")
    for key, kind in MANIFEST_KINDS.items():
        value = manifest.get(key)
        if type(value) is not kind:
            raise TypeError(f"its {key} is {shorten(value)}")
    if manifest["dim"] < 1 or manifest["max_tokens"] < 1:
        raise ValueError("its dim or max_tokens is below 1")
    files = manifest["files"]
    for name in sorted({*LOADED_FILES, *files}):
        if not isinstance(files.get(name), str):
            raise TypeError(f"it gives no sha256 for {name}")
    return manifest


def _check_files(folder: Path, expected: dict[str, str]) -> None:
    for name, digest in expected.items():
        try:
            found = sha256_of(folder / name)
        except OSError as error:
            raise EncoderError(f"the model file {folder / name} cannot be read: {error}; reinstall") from error
        if found != digest:
            raise EncoderError(
                f"the model file {folder / name} has sha256 {found}, expected {digest}: it is damaged or was "
                "changed; reinstall the package"
            )


def _groups(lengths: list[int]) -> Iterator[list[int]]:
    """Row numbers, shortest texts first, cut into runs.

    A longer text joins a run as long as padding the others up to it costs less than a run of its own.
    """
    group: list[int] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        padding = len(group) * (lengths[row] - longest)
        tokens = (len(group) + 1) * lengths[row]
        if group and (padding > RUN_TOKENS or len(group) == MAX_RUN_ROWS or tokens > MAX_RUN_TOKENS):
            yield group
            group = []
        group.append(row)
        longest = lengths[row]
    if group:
        yield group


def _pad(tokens: list[list[int]]) -> dict[str, Any]:
    shape = len(tokens), max(map(len, tokens))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, values in enumerate(tokens):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return {"input_ids": ids, "attention_mask": mask}
