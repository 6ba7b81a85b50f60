"""Draw the pictures of ``docs/jupyter.md`` by the code above them: ``python scripts/draw_notebook_pictures.py``.

The data is the package's own. Needs what ``make test`` installs, and Chromium for the picture of a view. A test holds
the files to the page, of which only the playground, a widget that somebody typed into, is drawn by hand.
"""

from __future__ import annotations

import ast
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synaptoroute_integrations.notebook import Picture

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "jupyter.md"
FOLDER = ROOT / "docs" / "img"
FILES = ("notebook_explanation.png", "notebook_map.svg", "notebook_histograms.svg", "notebook_risk.svg")
"""In the order of the page."""
PARTS = re.compile(r"^```python\n(.*?)^```$|^!\[[^]]*\]\(img/([\w.]+)\)", re.MULTILINE | re.DOTALL)
SOURCE = "Description"
"""Name of the text in a PNG that holds the HTML that it shows."""
WIDTH, SCALE = 760, 1.5
COLOURS = 256
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def shown() -> Iterator[tuple[str, Any]]:
    """The names of the files, each with what the last block of code before it shows."""
    names: dict[str, Any] = {}
    value = None
    try:
        for code, file in PARTS.findall(PAGE.read_text(encoding="utf-8")):
            if code:
                value = run_cell(code, names)
            elif file in FILES:
                yield file, value
            if file == FILES[-1]:
                break
    finally:
        names["router"].close()


def run_cell(code: str, names: dict[str, Any]) -> Any:
    """Run a block of code as a notebook does, and give the value on its last line; None = there is none."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(PAGE), "exec"), names)  # noqa: S102  # the page is the project's own, and tests run it too
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)  # noqa: S307  # likewise


def write(value: Any, path: Path) -> None:
    """A picture as it saves itself; anything else as a browser shows its HTML."""
    if isinstance(value, Picture):
        value.save(path)
    else:
        photograph(value._repr_html_(), path)


def photograph(html: str, path: Path) -> None:
    """HTML as a PNG of few colours, with the HTML in it."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=browser) as opened:
        page = opened.new_page(viewport={"width": WIDTH, "height": 100}, device_scale_factor=SCALE)
        page.set_content(f"<!DOCTYPE html>{html}")
        taken = page.locator(".synaptoroute").screenshot()
    told = PngInfo()
    told.add_text(SOURCE, html, zip=True)
    with Image.open(io.BytesIO(taken)) as image:
        image.convert("RGB").quantize(COLOURS).save(path, "png", optimize=True, pnginfo=told)


def main() -> None:
    """Draw all of them."""
    for file, value in shown():
        write(value, FOLDER / file)


if __name__ == "__main__":
    main()
