"""Addresses of stores, paths and URLs: as they were meant, and as they may be shown: without passwords."""

from __future__ import annotations

import re

from synaptoroute_core.storage import require_no_half_url

SECRET_IN_QUERY = re.compile(r"([?&][^=&]*pass[^=&]*=).*?(?=&[^=&]*=|$)", re.IGNORECASE | re.DOTALL)
"""To the next option: whoever forgets to encode a password may have ``&`` in it."""
SECRET_IN_FRONT = re.compile(r"(\w[\w+.\-]*://[^:@/?]*):.*@", re.DOTALL)
"""From the first colon to the last ``@``: whoever forgets to encode a password has any character in it."""


def is_url(store: str) -> bool:
    """Whether a store is named by a URL, and not by the path of a file."""
    return "://" in store


def address_of(text: str) -> str:
    """The address that a user wrote. Files and Secrets that hold a URL often end with a line break.

    Raises:
        ConfigurationError: It begins like the URL of a store, and is none: a file of that name nobody can mean.
    """
    require_no_half_url(text)
    return text.strip() if is_url(text) else text


def masked(store: str) -> str:
    """The address of a store with ``***`` in the place of each password in it."""
    if not is_url(store):
        return store
    return SECRET_IN_FRONT.sub(r"\1:***@", SECRET_IN_QUERY.sub(r"\1***", store))
