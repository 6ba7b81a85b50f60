"""The colours of pictures: for pages white or dark, and for readers who see fewer colours than others."""

from __future__ import annotations

from synaptoroute_integrations.notebook.charts import Tone

TONES = ("#0072b2", "#d55e00", "#009e73", "#8778ff", "#1eb4e1", "#a82a70", "#ff69a5", "#8f5200")
"""Blue, vermilion and green of Okabe and Ito's palette (2008), and five colours found by search: any two are at least
0.065 apart in Oklab, as seen with full colour vision and without one kind of cones (Machado and others, 2009). Their
contrast is at least 2.3 : 1 with white and with the #1e1e1e of dark pages."""

FOREGROUND = "#7d7d7d"
"""Text and axes. The grey whose contrast with white and with #1e1e1e is the same, 4 : 1."""
FOREGROUND_ON_DARK = "#d9d9d9"
"""Text and axes where the page is known to be dark."""
INK, PAPER = "#1f2937", "#ffffff"
"""Text on a ground of its own, and that ground."""

MEANINGS = {"good": TONES[2], "bad": TONES[1], "muted": FOREGROUND}

SCALE = ("#eef3f8", "#a9c8e4", "#4a90c8", "#15609f", "#08306b")
"""From the palest to the strongest colour of a grid, in equal steps. Opaque, and so the same on any page."""
STRONG = 0.45
"""From this share of the scale on, white is easier to read on it than ink."""


def colour_of(tone: Tone) -> str:
    """The colour of a tone, as ``#rrggbb``."""
    return MEANINGS[tone] if isinstance(tone, str) else TONES[tone % len(TONES)]


def translucent(colour: str, opacity: float) -> str:
    """A colour ``#rrggbb`` as plotly writes one that is seen through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def ink_on(value: float, limits: tuple[float, float]) -> str:
    """The colour in which a value is written on the cell of a grid that stands for it.

    Args:
        value: The value.
        limits: Values of the palest and the strongest colour.
    """
    low, high = limits
    return PAPER if value - low >= STRONG * (high - low) else INK
