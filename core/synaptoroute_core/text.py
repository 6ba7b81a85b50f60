"""What counts as text: checked once, where it enters."""

from __future__ import annotations

import re
import unicodedata

from synaptoroute_core.errors import InvalidTextError, shorten

MAX_TEXT_CHARS = 16_384
"""Longest utterance, and what is read of a query: tokenisers read a text to its end before they cut
it to the model's few hundred tokens, and ten megabytes took one 13 seconds."""

UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Controls, format characters and spaces. What Python's tables do not know yet may well be a sign."""

FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f") | {
    chr(code) for block in (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)) for code in block
}
"""Letters, marks and signs by category that no font draws: Hangul and Khmer fillers, the empty
Braille pattern, the grapheme joiner, and variation selectors."""

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, which terminals obey; marks that turn the direction of text; lone surrogates."""


def clean_query(text: object, *, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Check a query and return what the encoder is to read of it.

    White space at both ends is dropped, lone surrogates become U+FFFD, and what lies beyond
    ``max_chars`` characters is cut.

    Raises:
        InvalidTextError: ``text`` is not a string, or nothing in it can be seen.
    """
    if not isinstance(text, str):
        raise InvalidTextError(f"the query must be a string, got {type(text).__name__}: {shorten(text)}")
    read = text.lstrip()[:max_chars]
    return require_visible(replace_surrogates(read).strip(), text, "the query")


def clean_utterance(text: object) -> str:
    """Check an utterance; like :func:`clean_query`, but a text that is too long is refused.

    Raises:
        InvalidTextError: ``text`` is not a string, is blank, or is longer than 16,384 characters.
    """
    if not isinstance(text, str):
        raise InvalidTextError(
            f"an utterance must be a string, got {type(text).__name__}: {shorten(text)}; in YAML, put it in quotes"
        )
    stripped = text.strip()
    if len(stripped) > MAX_TEXT_CHARS:
        raise InvalidTextError(
            f"an utterance has {len(stripped):,} characters, the limit is {MAX_TEXT_CHARS:,}: "
            f"{shorten(stripped)}; an utterance is an example of what a user types, not a document"
        )
    return require_visible(replace_surrogates(stripped), text, "an utterance")


def utterance_key(text: str) -> str:
    """What makes two utterances of one route the same: the text without case and spacing."""
    return " ".join(text.split()).casefold()


def require_visible(text: str, original: str, what: str) -> str:
    """``text`` if a reader would see anything of it: an encoder gives even a blank a vector."""
    if not any(unicodedata.category(sign) not in UNSEEN_CATEGORIES and sign not in FILLERS for sign in text):
        raise InvalidTextError(f"{what} is blank: {shorten(original)}; leave it out or give it words")
    return text


def visible(text: str) -> str:
    """``text`` on one line, with every character that would act on what shows it written out."""
    return UNSAFE.sub(lambda found: " " if found[0] in "\t\r\n" else found[0].encode("unicode_escape").decode(), text)


def replace_surrogates(text: str) -> str:
    """Join surrogate pairs and replace lone ones, which neither tokenisers nor SQLite accept."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
