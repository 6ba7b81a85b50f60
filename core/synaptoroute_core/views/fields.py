"""Any value as a table of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import islice
from typing import Protocol, runtime_checkable

from synaptoroute_core.views.markup import SEPARATOR, bullets, pairs_table, quiet, text
from synaptoroute_core.views.style import card
from synaptoroute_core.words import cut, number

MAX_ITEMS = 10
MAX_LINE = 100
"""What is no longer than this, in characters, is no easier to read on several lines."""


@runtime_checkable
class Fields(Protocol):
    """A pydantic model, as far as it is looked at."""

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """The fields that may be shown, and their values."""
        ...


def fields_html(model: Fields) -> str:
    """A table of the fields."""
    kind = type(model).__name__
    return card(escape(kind), _table(model, depth=0))


def fields_text(model: Fields) -> str:
    """The ``repr``, or a field a line if that is long."""
    line = repr(model)
    if len(line) <= MAX_LINE:
        return line
    pairs = [(name or "", value) for name, value in model.__repr_args__()]
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join([type(model).__name__, *(f"  {name:<{width}}  {cut(_written(value))}" for name, value in pairs)])


def _written(value: object) -> str:
    """A field's value as text."""
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else str(value) if isinstance(value, int | None) else repr(value)


def _table(model: Fields, *, depth: int) -> str:
    pairs = ((name or "", _shown(value, depth)) for name, value in model.__repr_args__())
    return pairs_table(type(model).__name__, pairs)


def _shown(value: object, depth: int) -> str:
    """A field's value as HTML."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        items = (f"{text(str(key))}: {_shown(inner, depth + 1)}" for key, inner in value.items())
        return _listed(items, len(value))
    if isinstance(value, Sequence):
        return _listed((_shown(item, depth + 1) for item in value), len(value))
    if isinstance(value, Fields):
        return _inline(value, depth + 1) if depth else _table(value, depth=1)
    return _single(value)


def _single(value: object) -> str:
    """A value without parts."""
    if value is None or isinstance(value, bool):
        return quiet(str(value))
    if isinstance(value, int | float):
        return number(value)
    return text(str(value))


def _inline(model: Fields, depth: int) -> str:
    """A model on a line, where a table would be one too many."""
    return SEPARATOR.join(
        f"{quiet(escape(name or ''))} {_shown(value, depth)}" for name, value in model.__repr_args__()
    )


def _listed(items: Iterable[str], count: int) -> str:
    if not count:
        return quiet("none")
    more = [quiet(f"and {number(count - MAX_ITEMS)} more")] if count > MAX_ITEMS else []
    return bullets([*islice(items, MAX_ITEMS), *more])
