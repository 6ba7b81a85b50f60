"""Text for IPython's printer, and for others that follow its protocol."""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol


class Printer(Protocol):
    """What is used of ``IPython.lib.pretty.RepresentationPrinter``."""

    @property
    def stack(self) -> Sized:
        """The objects at work: the one to print, and those that it is in."""
        ...

    def text(self, obj: str) -> None:
        """Write a piece of a line."""
        ...

    def break_(self) -> None:
        """Begin a new line, as far in as the present one began."""
        ...


def write_text(printer: Printer, text: str, line: str) -> None:
    """Show an object.

    Args:
        printer: Where to.
        text: The object on lines of its own.
        line: The object in the midst of others, as in a list.
    """
    lines = text.splitlines() if len(printer.stack) <= 1 else [line]
    for place, each in enumerate(lines):
        if place:
            printer.break_()
        printer.text(each)
