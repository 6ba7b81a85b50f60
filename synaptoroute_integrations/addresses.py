"""Addresses of stores, paths and URLs: as they were meant, and as they may be shown: without passwords."""

from __future__ import annotations

import re

SECRET_IN_QUERY = re.compile(r"([?&][^=&]*pass[^=&]*=).*?(?=&[^=&]*=|$)", re.IGNORECASE | re.DOTALL)
"""To the next option: whoever forgets to encode a password may have ``&`` in it."""
SECRET_IN_FRONT = re.compile(r"(\w[\w+.\-]*://[^:@/?]*):.*@", re.DOTALL)
"""From the first colon to the last ``@``: whoever forgets to encode a password has any character in it."""


def is_url(store: str) -> bool:
    """Whether a store is named by a URL, and not by the path of a file."""
    return "://" in store


def trimmed(store: str) -> str:
    """The address without blanks around a URL: files and Secrets that hold one often end with a line break."""
    return store.strip() if is_url(store) else store


def masked(store: str) -> str:
    """The address of a store with ``***`` in the place of each password in it."""
    if not is_url(store):
        return store
    return SECRET_IN_FRONT.sub(r"\1:***@", SECRET_IN_QUERY.sub(r"\1***", store))
