"""Text of strangers on terminals and in logs: shown, never obeyed."""

from __future__ import annotations

import re

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, which terminals obey; marks that turn the direction of text; lone surrogates."""


def visible(text: str) -> str:
    """``text`` on one line, with every character that would act on the terminal written out."""
    return UNSAFE.sub(lambda found: " " if found[0] in "\t\r\n" else found[0].encode("unicode_escape").decode(), text)
