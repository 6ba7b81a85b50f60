"""A route: its settings, and what its users say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from synaptoroute_core.text import visible
from synaptoroute_core.views.markup import bullets, facts, folded, quiet, text
from synaptoroute_core.views.style import card
from synaptoroute_core.words import counted, cut, number

if TYPE_CHECKING:
    from synaptoroute_core.types import Route

FIRST_UTTERANCES = 10
MOST_UTTERANCES = 100
TEXT_UTTERANCES = 5
DESCRIPTION_CHARACTERS = 500
METADATA_CHARACTERS = 2_000


def route_html(route: Route) -> str:
    """Name, threshold, description, utterances and metadata."""
    return card(
        "Route",
        f'<p class="sr-head"><strong>{text(route.name)}</strong></p>',
        facts([("utterances", number(len(route.utterances))), ("threshold", _threshold(route))]),
        f"<p>{text(route.description, DESCRIPTION_CHARACTERS)}</p>" if route.description else "",
        _utterances(route.utterances),
        _metadata(route) if route.metadata else "",
    )


def route_line(route: Route) -> str:
    """Name and number of utterances, on one line."""
    own = "" if route.threshold is None else f", threshold {number(route.threshold)}"
    return f"Route: {cut(route.name)} ({counted(len(route.utterances), 'utterance')}{own})"


def route_text(route: Route) -> str:
    """The same, with the description and the first utterances."""
    lines = [route_line(route)]
    if route.description:
        lines.append(f"  {cut(route.description)}")
    lines += [f"  - {cut(each)}" for each in route.utterances[:TEXT_UTTERANCES]]
    if len(route.utterances) > TEXT_UTTERANCES:
        lines.append(f"  and {number(len(route.utterances) - TEXT_UTTERANCES)} more")
    return "\n".join(lines)


def _threshold(route: Route) -> str:
    return "the router's" if route.threshold is None else number(route.threshold)


def _utterances(texts: Sequence[str]) -> str:
    rest = [text(each) for each in texts[FIRST_UTTERANCES:MOST_UTTERANCES]]
    if not rest:
        return bullets(map(text, texts))
    if len(texts) > MOST_UTTERANCES:
        rest.append(quiet(f"and {number(len(texts) - MOST_UTTERANCES)} more"))
    others = f"{number(len(texts) - FIRST_UTTERANCES)} more"
    return bullets(map(text, texts[:FIRST_UTTERANCES])) + folded(others, bullets(rest))


def _metadata(route: Route) -> str:
    content = json.dumps(route.metadata, ensure_ascii=False, indent=2)
    shown = content if len(content) <= METADATA_CHARACTERS else f"{content[: METADATA_CHARACTERS - 1]}…"
    lines = "\n".join(visible(line) for line in shown.split("\n"))
    return folded("metadata", f"<pre>{escape(lines)}</pre>")
