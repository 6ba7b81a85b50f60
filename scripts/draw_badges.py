"""Draw the badges of the README from what the project says of itself: ``python scripts/draw_badges.py``.

They are files of the repository, so that nothing is loaded from elsewhere, and a test holds them to their sources.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "img"
CHARACTER_WIDTH = 6.6
PADDING = 8
HEIGHT = 20
BADGE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">
<title>{name}: {value}</title>
<rect width="{width}" height="{height}" rx="4" fill="#0d746b"/>
<path d="M4 0h{split}v{height}H4a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#3f4745"/>
<g fill="#fff" font-family="DejaVu Sans,Verdana,sans-serif" font-size="11" text-anchor="middle">
<text x="{name_middle}" y="14">{name}</text>
<text x="{value_middle}" y="14">{value}</text>
</g>
</svg>
"""


def facts() -> dict[str, tuple[str, str]]:
    """File name of each badge, and what stands on its two halves."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    python = project["requires-python"].removeprefix(">=")
    bundled = "models/*/*" in settings["tool"]["setuptools"]["package-data"]["synaptoroute_core"]
    types = "mypy --strict" if settings["tool"]["mypy"]["strict"] else "not checked"
    return {
        "badge_python": ("python", f"{python} or newer"),
        "badge_types": ("types", types),
        "badge_model": ("model", "in the package" if bundled else "downloaded"),
        "badge_licence": ("licence", re.split(r" (?:AND|OR) ", project["license"])[0]),
    }


def draw(name: str, value: str) -> str:
    """One badge as SVG."""
    left, right = (round(CHARACTER_WIDTH * len(text) + 2 * PADDING) for text in (name, value))
    return BADGE.format(
        width=left + right,
        height=HEIGHT,
        split=left - 4,
        name=name,
        value=value,
        name_middle=left / 2,
        value_middle=left + right / 2,
    )


def main() -> None:
    """Write all of them."""
    for file, (name, value) in facts().items():
        (FOLDER / f"{file}.svg").write_text(draw(name, value), encoding="utf-8")


if __name__ == "__main__":
    main()
