"""What goes to the screen and into pipes. Text of users is never read as markup or obeyed as a command."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from synaptoroute_core.text import replace_surrogates
from synaptoroute_integrations.escaping import UNSAFE, visible

NOT_ASCII = re.compile("[^\x00-\x7f]")
UNDEFINED = "—"


def styled(text: str, style: str = "") -> Text:
    """Text of a user for a table or a line: no markup, no controls."""
    return Text(visible(text), style=style)


class Screen(Console):
    """A console that leaves a closed pipe to the command line, which has an exit code for it."""

    def on_broken_pipe(self) -> None:
        """Called by Rich in the place of raising the error."""
        raise BrokenPipeError


def screen() -> Screen:
    """Standard output for people."""
    return Screen(highlight=False)


def show_error(message: str) -> None:
    """One line on standard error."""
    line = Text.assemble(("error:", "bold red"), " ", visible(message))
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def show_note(message: str) -> None:
    """One line on standard error that is no error."""
    Console(stderr=True, highlight=False).print(styled(f"note: {message}", "dim"), soft_wrap=True)


def write_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output, at once."""
    line = replace_surrogates(json.dumps(value, ensure_ascii=False))
    # Some of these characters end a line for some readers, and terminals obey others.
    line = UNSAFE.sub(_escaped, line)
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        line = NOT_ASCII.sub(_escaped, line)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def plain_table(*columns: str) -> Table:
    """A table without lines, ``>`` before a column's name sets it to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    return table


def figures(rows: Sequence[tuple[str, str]]) -> Table:
    """Figures and what they mean."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def percent(share: float | None) -> str:
    """A share of 1 as a percentage."""
    return UNDEFINED if share is None else f"{100 * share:.1f} %"


def decimals(value: float | None, places: int = 2) -> str:
    """A score or a margin."""
    return UNDEFINED if value is None else f"{value:.{places}f}"
