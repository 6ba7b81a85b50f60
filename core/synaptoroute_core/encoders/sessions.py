"""ONNX Runtime sessions as a router wants them, and what is checked before one is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synaptoroute_core.errors import ConfigurationError, EncoderError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CPU = "CPUExecutionProvider"


def open_session(model: Path, *, providers: Sequence[str] | None, threads: int) -> InferenceSession:
    """Open a model that keeps no memory after a large batch.

    ONNX Runtime's arena and memory patterns hold on to what one batch of long texts needed, 656 MB
    on a small model; both are off.

    Raises:
        ConfigurationError: A provider is not installed.
        EncoderError: The file cannot be loaded, or a provider did not start.
    """
    import onnxruntime

    require_providers(providers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=list(providers or [CPU]))
    except Exception as error:
        raise EncoderError(f"ONNX Runtime could not load {model}: {error}") from error
    require_started(session, providers)
    return session


def require_providers(providers: Sequence[str] | None) -> None:
    """Check that ONNX Runtime has the providers, rather than let it fall back to the CPU unasked.

    Raises:
        ConfigurationError: One is not installed.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    for provider in providers or ():
        if provider not in available:
            remedy = "pip install onnxruntime-gpu" if provider.startswith(("CUDA", "Tensorrt")) else "install its build"
            raise ConfigurationError(
                f"execution provider {provider!r} is not installed ({remedy} of onnxruntime, or leave providers out "
                f"to use the CPU); installed: {', '.join(available)}"
            )


def require_started(session: InferenceSession, providers: Sequence[str] | None) -> None:
    """Check that the first provider asked for is the one in use: missing drivers fail silently.

    Raises:
        EncoderError: ONNX Runtime fell back to another one.
    """
    used = session.get_providers()
    if providers and used[0] != providers[0]:
        raise EncoderError(
            f"execution provider {providers[0]!r} did not start, ONNX Runtime fell back to {used[0]!r}: "
            "check the driver and its libraries, or ask for the CPU"
        )


def sha256_of(path: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
