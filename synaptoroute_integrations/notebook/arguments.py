"""What is asked of arguments before they are used: the right value, or an error that says which would be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten


def listed(name: str, value: object, what: str, *, least: int = 0) -> list[Any]:
    """The items of anything that can be gone through once: a list, a set, an iterator, an array, a column of a frame.

    Args:
        name: The argument's name, for messages.
        value: Its value.
        what: What it should hold, such as ``texts``.
        least: How many items it must have.

    Raises:
        ConfigurationError: It is one string, a mapping or a table, of which the items are something else, or no
            collection at all; or it has fewer items.
    """
    # To Python, a frame is an iterable of its columns' names, and an array of no dimension is one too.
    flat = getattr(value, "ndim", 1) == 1
    usable = flat and isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping)
    items = list(value) if usable and isinstance(value, Iterable) else None
    if items is None or len(items) < least:
        raise ConfigurationError(f"{name} = {shorten(value)}: give a list of {'one or more ' * bool(least)}{what}")
    return items


def whole(name: str, value: object, *, least: int = 1) -> int:
    """A whole number, NumPy's included.

    Raises:
        ConfigurationError: It is none, or less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigurationError(f"{name} = {shorten(value)}: use whole numbers from {least}")
    return int(value)


def number(name: str, value: object, remedy: str) -> float:
    """A number, NumPy's included; whether it is in range is the caller's to say.

    Args:
        name: The argument's name.
        value: Its value.
        remedy: What to use, for the message.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ConfigurationError(f"{name} = {shorten(value)}: {remedy}")
    return float(value)


def flag(name: str, value: object) -> bool:
    """True or False, NumPy's included. What merely counts as true, such as the text "no", is none.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(value, bool | np.bool_):
        raise ConfigurationError(f"{name} = {shorten(value)}: use True or False")
    return bool(value)


def flag_or_none(name: str, value: object) -> bool | None:
    """True, False or None.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is not None and not isinstance(value, bool | np.bool_):
        raise ConfigurationError(f"{name} = {shorten(value)}: use True, False or None")
    return None if value is None else bool(value)


def one_of(name: str, value: object, words: tuple[str, ...]) -> str:
    """One of some words.

    Raises:
        ConfigurationError: It is none of them.
    """
    if not isinstance(value, str) or value not in words:
        raise ConfigurationError(f"{name} = {shorten(value)}: use {' or '.join(map(repr, words))}")
    return value


def path_of(value: object) -> Path:
    """The path of a file.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, str | PathLike) and isinstance(place := fspath(value), str):
        return Path(place)
    raise ConfigurationError(f"path = {shorten(value)}: give the name of a file, or a Path")
