"""A picture: a chart that shows itself in a notebook and can be written to a file."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from synaptoroute_core.errors import ConfigurationError, shorten
from synaptoroute_integrations.escaping import visible
from synaptoroute_integrations.notebook.arguments import flag, number, path_of
from synaptoroute_integrations.notebook.charts import Chart
from synaptoroute_integrations.notebook.interactive import SETTINGS, draw_interactive
from synaptoroute_integrations.notebook.static import draw_static, encode_static, write_static

if TYPE_CHECKING:
    from collections.abc import Collection

    from matplotlib.figure import Figure

Bundle: TypeAlias = dict[str, Any]
"""Contents, or facts about them, by MIME type."""

PLOTLY: Final = "application/vnd.plotly.v1+json"
HTML, PNG, TEXT = "text/html", "image/png", "text/plain"

STATIC = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
"""Kinds of file by suffix."""
MOST_SCALE = 10.0

IN_AN_ATTRIBUTE = str.maketrans({"&": "+", "<": "(", ">": ")", '"': "'"})
"""Alternative texts are written into pages by programs of which not all escape them."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1rem; }}
main {{ min-width: 600px; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #1e1e1e; color: #d9d9d9; }} }}
</style>
</head>
<body>
<main>
{figure}
</main>
<p>{summary}</p>
</body>
</html>
"""


class Picture:
    """A chart, interactive where a notebook can show it so, and a static picture elsewhere.

    Args:
        chart: What it shows.

    Raises:
        ConfigurationError: It is no chart.
    """

    def __init__(self, chart: Chart) -> None:
        if not isinstance(chart, Chart):
            raise ConfigurationError(f"chart = {shorten(chart)}: give a Chart, such as that of another picture")
        self._chart = chart

    @property
    def chart(self) -> Chart:
        """What it shows, as plain data."""
        return self._chart

    @cached_property
    def figure(self) -> Any:
        """The plotly ``Figure``; what is changed of it is changed in the notebook and in HTML files.

        Shown by itself, it has plotly's own buttons, of which one uploads it.

        Raises:
            ImportError: plotly is not installed; the message says how to install it.
        """
        return draw_interactive(self._chart)

    def static(self, *, dark: bool = False) -> Figure:
        """The matplotlib ``Figure``, a new one each time.

        Args:
            dark: Whether it is for a dark ground; otherwise it can be read on either.

        Raises:
            ConfigurationError: ``dark`` is neither True nor False.
            ImportError: matplotlib is not installed; the message says how to install it.
        """
        return draw_static(self._chart, dark=flag("dark", dark))

    def save(self, path: str | Path, *, dark: bool = False, scale: float = 2.0) -> None:
        """Write it to a file, with no ground of its own. The same picture gives the same bytes.

        Args:
            path: ``.png``, ``.svg`` and ``.pdf`` are static; ``.html`` is an interactive page that needs no network.
            dark: Whether a static picture is for a dark ground; otherwise it can be read on either.
            scale: Pixels of a ``.png`` for each pixel of the chart, up to 10.

        Raises:
            ConfigurationError: The suffix is another, the scale is no number from 0 to 10, or another argument is not
                valid.
            ImportError: What draws it is not installed; the message says how to install it.
            OSError: The file cannot be written.
        """
        file, dark = path_of(path), flag("dark", dark)
        suffix = file.suffix.lower()
        remedy = f"use a number above 0 and up to {MOST_SCALE:g}"
        if not 0 < number("scale", scale, remedy) <= MOST_SCALE:
            raise ConfigurationError(f"scale = {shorten(scale)}: {remedy}")
        if suffix in STATIC:
            write_static(self.static(dark=dark), file, STATIC[suffix], scale=scale)
        elif suffix == ".html":
            file.write_text(self._page(), encoding="utf-8")
        else:
            raise ConfigurationError(f"path = {shorten(str(path))}: use a name with .png, .svg, .pdf or .html")

    def __repr__(self) -> str:
        return f"{visible(self._chart.title)}\n{visible(self._chart.summary)}"

    # --- notebooks -----------------------------------------------------------------------------

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> tuple[Bundle, Bundle]:
        """What a notebook shows of it, and facts about that.

        plotly's own MIME type is shown by JupyterLab, Notebook and VS Code, which have plotly.js; GitHub, nbconvert
        and others that do not know it take the PNG. HTML is there only where the notebook's plotly renderer makes some
        that loads plotly.js, as on Colab and Kaggle: what carries it within would add 4 MB to every output.

        Raises:
            ImportError: Neither plotly nor matplotlib is installed; the message says how to install them.
        """
        contents: Bundle = {TEXT: repr(self)}
        missing: list[ImportError] = []
        for kinds, draw in (({PLOTLY, HTML}, self._interactive), ({PNG}, self._portable)):
            if any(_wanted(kind, include, exclude) for kind in kinds):
                try:
                    contents |= draw()
                except ImportError as error:
                    missing.append(error)
        if missing and contents.keys() == {TEXT}:
            raise missing[0]
        alternative = f"{self._chart.title}. {self._chart.summary}".translate(IN_AN_ATTRIBUTE)
        facts = {PNG: {"alt": visible(alternative)}}
        return (
            {kind: content for kind, content in contents.items() if _wanted(kind, include, exclude)},
            {kind: fact for kind, fact in facts.items() if kind in contents and _wanted(kind, include, exclude)},
        )

    def _interactive(self) -> Bundle:
        figure = json.loads(self.figure.to_json())
        return {PLOTLY: {**figure, "config": SETTINGS}, **_linked_html(self.figure)}

    def _portable(self) -> Bundle:
        """A PNG, since an SVG of some thousand points is ten times as large.

        It has the size of the chart, with no word on it: JupyterLab shows it until the mouse is over it, as large as
        it is, and puts one of the interactive figure in its place, of another size.
        """
        return {PNG: b64encode(encode_static(self.static())).decode()}

    def _page(self) -> str:
        # By default, plotly names its place on the page by chance, and no two files of one picture are the same.
        drawn = self.figure.to_html(full_html=False, include_plotlyjs=True, config=SETTINGS, div_id="picture")
        texts = {"title": self._chart.title, "summary": self._chart.summary}
        return PAGE.format(figure=drawn, **{name: html.escape(visible(text)) for name, text in texts.items()})


def _wanted(kind: str, include: Collection[str] | None, exclude: Collection[str] | None) -> bool:
    return (not include or kind in include) and kind not in (exclude or ())


def _linked_html(figure: Any) -> Bundle:
    """HTML that loads plotly.js from where it is published, if a renderer in use does so."""
    from plotly import io as plotly_io

    names = filter(None, (plotly_io.renderers.default or "").split("+"))
    if not any(getattr(plotly_io.renderers[name], "connected", False) for name in names):
        return {}
    return {HTML: figure.to_html(full_html=False, include_plotlyjs="cdn", config=SETTINGS)}
