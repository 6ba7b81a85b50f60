"""ONNX Runtime sessions as a router wants them, and what is checked before one is opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from synaptoroute_core.errors import ConfigurationError, EncoderError, shorten

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CPU = "CPUExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]
"""An execution provider as ONNX Runtime takes it: its name, or its name and options."""


def import_runtime() -> ModuleType:
    """ONNX Runtime without the thread that sends usage data to its maker.

    It is started by the import, so this must come before any other. The thread does not survive a
    fork, and a child then hangs at its exit. Set ``ORT_DISABLE_TELEMETRY=0`` to have it all the same.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def open_session(model: Path, *, providers: Sequence[Provider] | None, threads: int) -> InferenceSession:
    """Open a model that keeps no memory after a large batch.

    ONNX Runtime's arena and memory patterns hold on to what one batch of long texts needed, 656 MB
    on a small model; both are off.

    Raises:
        ConfigurationError: A provider is not installed.
        EncoderError: The file cannot be loaded, or a provider did not start.
    """
    onnxruntime = import_runtime()
    require_providers(providers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    if threads > 1:
        # Threads that wait for work by spinning take the processors from the router's other workers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session: InferenceSession = onnxruntime.InferenceSession(
            str(model), options, providers=list(providers or [CPU])
        )
    except Exception as error:
        raise EncoderError(f"ONNX Runtime could not load {model}: {error}") from error
    require_started(session, providers)
    return session


def require_providers(providers: Sequence[Provider] | None) -> None:
    """Check that ONNX Runtime has the providers, rather than let it fall back to the CPU unasked.

    Raises:
        ConfigurationError: One is not installed, or what was given names none.
    """
    if not providers:
        return
    names = _names(providers)
    available = import_runtime().get_available_providers()
    for name in names:
        if name not in available:
            gpu = name.startswith(("CUDA", "Tensorrt"))
            remedy = "pip install onnxruntime-gpu" if gpu else "install a build of onnxruntime that has it"
            raise ConfigurationError(
                f"execution provider {name!r} is not installed ({remedy}, or leave providers out to use the CPU); "
                f"installed: {', '.join(available)}"
            )


def _names(providers: Sequence[Provider]) -> list[str]:
    entries = [] if isinstance(providers, str) else [p[0] if isinstance(p, tuple) and p else p for p in providers]
    if not entries or not all(isinstance(entry, str) for entry in entries):
        raise ConfigurationError(
            f"providers = {shorten(providers)}: give a list of names or of (name, options), such as [{CPU!r}]"
        )
    return [str(entry) for entry in entries]


def require_started(session: InferenceSession, providers: Sequence[Provider] | None) -> None:
    """Check that the first provider asked for is the one in use: missing drivers fail silently.

    Raises:
        EncoderError: ONNX Runtime fell back to another one.
    """
    used = session.get_providers()
    if providers and used[0] != (wanted := _names(providers)[0]):
        raise EncoderError(
            f"execution provider {wanted!r} did not start, ONNX Runtime fell back to {used[0]!r}: "
            "check the driver and its libraries, or ask for the CPU"
        )


def sha256_of(path: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
