"""Text of strangers on terminals and in logs: shown, never obeyed."""

from synaptoroute_core.text import UNSAFE, visible

__all__ = ["UNSAFE", "visible"]
