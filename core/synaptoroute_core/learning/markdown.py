"""Tables in Markdown. Text of users is shown as it is, never read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SHOWN_CHARACTERS = 160

BREAKS = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
"""Spaces, line ends and controls: a cell of a table is one line."""

MARKUP = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown reads as markup; an underscore within a word is none."""

ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def cell(text: str) -> str:
    """A text of a user for a cell of a table: on one line, at most 160 characters, its signs without effect."""
    line = BREAKS.sub(" ", text).strip()
    if len(line) > SHOWN_CHARACTERS:
        line = line[: SHOWN_CHARACTERS - 1] + "…"
    return MARKUP.sub(lambda found: ENTITIES.get(found[0], f"\\{found[0]}"), line)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table.

    Args:
        columns: Their names; ``>`` before a name sets the column to the right.
        rows: Cells, as :func:`cell` made them if their text is a user's.
    """
    names = [name.removeprefix(">") for name in columns]
    rules = ["---:" if name.startswith(">") else "---" for name in columns]
    return [f"| {' | '.join(line)} |" for line in (names, rules, *rows)]


def section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A heading and a table under it; nothing without rows."""
    return ["", f"### {title}", "", *table(columns, rows)] if rows else []


def name_label(label: str | None) -> str:
    """A label in a table."""
    return "*out of scope*" if label is None else cell(label)


def name_choice(route: str | None) -> str:
    """A choice in a table."""
    return "*abstained*" if route is None else cell(route)


def title_of(name: str) -> str:
    """A figure's or a kind's name, for people."""
    return name.replace("_", " ")
