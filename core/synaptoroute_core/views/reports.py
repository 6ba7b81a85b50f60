"""Reports: the Markdown that they give, rendered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Protocol

from synaptoroute_core.text import visible
from synaptoroute_core.views.markup import TABLE_CLASS, breakable
from synaptoroute_core.views.style import card
from synaptoroute_core.words import cut

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

BREAK = "<br>"


class Markdown(Protocol):
    """What gives Markdown."""

    def to_markdown(self) -> str:
        """It."""
        ...


def report_html(report: Markdown) -> str:
    """The report's Markdown as HTML."""
    rendered = _renderer().render(report.to_markdown())
    return card(escape(type(report).__name__), f'<div class="sr-report">{_visible_lines(rendered)}</div>')


def report_text(report: Markdown) -> str:
    """The report's Markdown."""
    return _visible_lines(report.to_markdown()).rstrip("\n")


def report_line(report: Markdown) -> str:
    """The first line of it."""
    first = report.to_markdown().lstrip().partition("\n")[0].replace("**", "")
    return f"{type(report).__name__}: {cut(first)}"


@cache
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Pictures and links would reach beyond the notebook; a report has neither.
    renderer = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False})
    renderer.enable("table").disable(["image", "link", "autolink"])
    renderer.add_render_rule("text", _text)
    renderer.add_render_rule("table_open", lambda *_: f'<table class="{TABLE_CLASS}">')
    renderer.inline.ruler.before("entity", "line_break", _line_break)
    return renderer


def _text(_renderer: object, tokens: Sequence[Token], place: int, _options: object, _environment: object) -> str:
    """The renderer's rule for text, with places where long names may be broken."""
    return breakable(tokens[place].content)


def _line_break(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  # as the renderer calls it
    """The one tag that reports use, between the lines of a cell."""
    if not state.src.startswith(BREAK, state.pos):
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos += len(BREAK)
    return True


def _visible_lines(content: str) -> str:
    return "\n".join(visible(line) for line in content.split("\n"))
