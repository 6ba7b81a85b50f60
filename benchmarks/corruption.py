"""Typing errors for test texts, written apart from those that the engine may learn from."""

from __future__ import annotations

import random
import string

RATE = 0.05
"""Chance of an error at each character."""


def corrupt(text: str, *, rate: float = RATE, seed: int = 0) -> str:
    """The text with typing errors; the same for the same text and seed, whatever stands beside it.

    Each character is, with the chance ``rate``, deleted, preceded by a random letter, replaced by one, or
    swapped with the next; which of these is random. A text that would end up blank stays as it is.
    """
    chooser = random.Random(f"{seed} {text}")
    made: list[str] = []
    characters = iter(text)
    for character in characters:
        if chooser.random() >= rate:
            made.append(character)
            continue
        kind = chooser.choice(("delete", "insert", "replace", "swap"))
        letter = chooser.choice(string.ascii_lowercase)
        if kind == "insert":
            made += letter, character
        elif kind == "replace":
            made.append(letter)
        elif kind == "swap":
            made += next(characters, ""), character
    return "".join(made) if "".join(made).strip() else text
