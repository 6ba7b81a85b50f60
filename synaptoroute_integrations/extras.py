"""What to say when the libraries of an extra are not installed."""

from __future__ import annotations


def missing_extra(extra: str, error: ModuleNotFoundError) -> ImportError:
    """The error to raise in place of ``error``, with the command that installs the extra."""
    return ImportError(
        f"{error.name or error} is not installed: pip install 'synaptoroute-integrations[{extra}]'", name=error.name
    )
