"""Typing errors, made on purpose: a head that has seen some is not thrown by others."""

from __future__ import annotations

import random

RATE = 0.1
"""Share of the characters that are hit. More than queries have: on validation splits it taught more than 0.06 did."""
KEYS = {
    letter: near
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for place, letter in enumerate(row)
    for near in [row[max(0, place - 1) : place] + row[place + 1 : place + 2]]
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def corrupt(text: str, chooser: random.Random, rate: float = RATE) -> str:
    """A copy of a text with slips of the fingers: letters left out, doubled, exchanged, replaced or put in.

    Args:
        text: The text.
        chooser: Where the chances come from.
        rate: Share of the characters that are hit; at least one character is.
    """
    letters = list(text)
    hits = [place for place in range(len(letters)) if chooser.random() < rate] or [chooser.randrange(len(letters))]
    # From the end, so that what is put in or taken out does not move the places still to come.
    for place in reversed(hits):
        _slip(letters, place, chooser)
    return "".join(letters) if any(not letter.isspace() for letter in letters) else text


def _slip(letters: list[str], place: int, chooser: random.Random) -> None:
    letter = letters[place]
    match chooser.randrange(5):
        case 0:
            del letters[place]
        case 1:
            letters.insert(place, letter)
        case 2 if place + 1 < len(letters):
            letters[place : place + 2] = letters[place + 1], letter
        case 3:
            letters.insert(place, chooser.choice(LETTERS))
        case _:
            letters[place] = chooser.choice(KEYS.get(letter.lower()) or LETTERS)
