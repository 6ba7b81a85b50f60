"""What stands for a choice that has no route: utterances made from its name and description.

A query is short and means one thing; a description lists many, and its vector is near none of them.
So its clauses are utterances too, alone and after the name. ``docs/llamaindex.md`` has the
measurements, with the alternatives.
"""

from __future__ import annotations

import re

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten

CLAUSE_ENDS = re.compile(r"[.,;:!?]+(?:\s+|$)|\s*\n\s*|\s+(?:and|or)\s+")
WORD_ENDS = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")
NOT_IN_NAMES = re.compile(r"[^\w.\-]+")
MAX_CLAUSES = 32
MAX_DESCRIPTION_CHARS = 4_000
MAX_NAME_CHARS = 64


def phrases(name: str | None, description: str) -> list[str]:
    """Utterances for a choice: at least one, at most 65.

    Raises:
        ConfigurationError: Neither name nor description has a word in it.
    """
    words = name_words(name)
    text = _without_signature(name, description[:MAX_DESCRIPTION_CHARS].strip())
    parts = clauses(text)
    if not parts:
        if not words:
            raise ConfigurationError(f"a choice named {shorten(name)} has no description: there is nothing to go by")
        return [words]
    whole = [f"{words}: {text}" if words else text]
    named = [f"{words}: {part}" for part in parts] if words else []
    return [*whole, *parts, *named]


def clauses(description: str) -> list[str]:
    """The parts of a description between punctuation marks and conjunctions; the first 32."""
    parts = CLAUSE_ENDS.split(re.sub(r"(?:^|(?<=[,;]))\s*(?:and|or)\s+", " ", description))
    return [part.strip() for part in parts if re.search(r"\w", part)][:MAX_CLAUSES]


def name_words(name: str | None) -> str:
    """``credit_cards`` and ``creditCards`` as words."""
    return " ".join(WORD_ENDS.sub(" ", name or "").split())


def internal_name(name: str | None, description: str, taken: set[str]) -> str:
    """A valid route name that is near to the choice's own and not taken; it is put among the taken."""
    stem = NOT_IN_NAMES.sub("_", name or description)[:MAX_NAME_CHARS].strip("_") or "choice"
    found, number = stem, 1
    while found in taken:
        number += 1
        found = f"{stem}-{number}"
    taken.add(found)
    return found


def _without_signature(name: str | None, description: str) -> str:
    """Without the line ``name(parameters)`` that LlamaIndex puts before a function's docstring."""
    first, _, rest = description.partition("\n")
    return rest.strip() if name and first.startswith(f"{name}(") else description
