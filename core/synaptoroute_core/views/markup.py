"""Pieces of HTML. Text of users is shown as it is, never read as markup or obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from synaptoroute_core.words import SHOWN_CHARACTERS, cut

TOLD_CHARACTERS = 1_000
"""Of a text that is cut, what its tooltip tells: more than fits on a screen serves nobody, and a text has no limit."""

SIGNS = re.compile(r"_+(?=\w)|(?<=[^\W\d])[.\-]+(?=\w)")
"""Between the parts of a name; the point of a number is none."""
TABLE_CLASS = "sr-table"
"""Documentation sites leave tables alone that have a class."""
SEPARATOR = " · "


def text(value: str, limit: int = SHOWN_CHARACTERS) -> str:
    """A text of a user: isolated, so that its direction is its own; what is cut off is in the tooltip."""
    shown, told = cut(value, limit), cut(value, TOLD_CHARACTERS)
    title = "" if shown == told else f' title="{escape(told)}"'
    return f"<bdi{title}>{breakable(shown)}</bdi>"


def breakable(plain: str) -> str:
    """Text as HTML, in which a long name may be broken behind its signs."""
    return SIGNS.sub(r"\g<0><wbr>", escape(plain))


def quiet(content: str) -> str:
    """HTML that stands back."""
    return f'<span class="sr-quiet">{content}</span>'


def mark(label: str, meaning: str) -> str:
    """A word of warning."""
    return f'<span class="sr-mark" title="{escape(meaning)}">{escape(label)}</span>'


def facts(pairs: Iterable[tuple[str, str]], *rest: str) -> str:
    """Names and values on a line.

    Args:
        pairs: Names, and values as HTML.
        *rest: HTML behind them.
    """
    return f'<p class="sr-facts">{SEPARATOR.join([*(f"{name} <b>{value}</b>" for name, value in pairs), *rest])}</p>'


def folded(summary: str, content: str) -> str:
    """HTML that is shown when asked for."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def table(label: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, widths: Sequence[str] = ()) -> str:
    """A table whose rows are named by their first cell.

    Args:
        label: What it lists, for those who do not see it.
        columns: Their names; ``>`` before a name sets the column to the right.
        rows: Cells, as HTML.
        widths: Of the columns, in CSS, empty for what is left; none at all = what their content takes.
    """
    kinds = [' class="sr-number"' if name.startswith(">") else "" for name in columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name.removeprefix(">"))}</th>'
        for name, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(f"<tr>{_row(row, kinds)}</tr>" for row in rows)
    fixed = " sr-fixed" if widths else ""
    groups = "".join(f'<col style="width:{width or "auto"}">' for width in widths)
    return (
        f'<table class="{TABLE_CLASS}{fixed}" aria-label="{escape(label)}"><colgroup>{groups}</colgroup>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    first, *others = cells
    return f'<th scope="row"{kinds[0]}>{first}</th>' + "".join(
        f"<td{kind}>{cell}</td>" for cell, kind in zip(others, kinds[1:], strict=True)
    )


def pairs_table(label: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Names and their values, one under the other.

    Args:
        label: Of what.
        pairs: Names, and values as HTML.
    """
    rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>' for name, value in pairs)
    return f'<table class="{TABLE_CLASS} sr-fields" aria-label="{escape(label)}"><tbody>{rows}</tbody></table>'


def bullets(items: Iterable[str]) -> str:
    """A list.

    Args:
        items: HTML.
    """
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
