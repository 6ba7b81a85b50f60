"""Runs the notebooks and writes them as Markdown pages, with their pictures as files beside them.

Usage::

    python scripts/render_notebooks.py --out build/docs/notebooks

Of what an object offers to show, a page gets its HTML if that needs no script, else a picture, else its text.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
DATA = NOTEBOOKS / "data"
TIMEOUT_S = 600
WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/svg+xml", "image/png", "image/jpeg")
WIDGET_SENTENCE = "*A widget, which needs a running notebook.*"
PICTURE = re.compile(r"!\[(?:svg|png|jpeg)\]\((?P<file>[^)\s]+)\)")
PROGRESS = re.compile(r"\d+%\||\d+(?:\.\d+)?(?:it|s)/(?:s|it)\b|\?it/s")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FENCE = re.compile(r"^`{3,}", re.MULTILINE)


def execute(notebook: NotebookNode) -> None:
    """Run all cells, in a folder that has the notebooks' data and is thrown away.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        if DATA.exists():
            shutil.copytree(DATA, Path(folder) / DATA.name)
        place = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3", resources=place)
        client.extra_arguments = ["--IPKernelApp.log_level=40"]  # it warns that other users may listen
        client.execute()


def markdown_output(text: str) -> NotebookNode:
    """An output that is Markdown already."""
    return nbformat.v4.new_output("display_data", {"text/markdown": text})


def as_text(text: str) -> Iterator[NotebookNode]:
    """Plain text as code, of which overwritten lines show their last state; nothing for progress bars."""
    lines = [line.rpartition("\r")[2] for line in ANSI.sub("", text).rstrip().replace("\r\n", "\n").split("\n")]
    shown = "\n".join(line.rstrip() for line in lines if not PROGRESS.search(line)).strip("\n")
    if shown:
        fence = max([*FENCE.findall(shown), "``"], key=len) + "`"
        yield markdown_output(f"{fence} {{ .text .output }}\n{shown}\n{fence}")


def simplify(output: NotebookNode) -> Iterator[NotebookNode]:
    """What a page shows of an output."""
    if output.output_type == "stream":
        yield from as_text(output.text)
        return
    if output.output_type == "error":
        yield from as_text("\n".join(output.traceback))
        return
    data = output.data
    html = data.get("text/html", "")
    if WIDGET in data:
        if not PROGRESS.search(data.get("text/plain", "")):
            yield markdown_output(WIDGET_SENTENCE)
    elif html and "<script" not in html:
        yield markdown_output(f'<div class="output">\n{html}\n</div>')
    elif picture := next((kind for kind in PICTURES if kind in data), None):
        facts = {"alt": data.get("text/plain", "A picture"), **output.metadata.get(picture, {})}
        yield nbformat.v4.new_output("display_data", {picture: data[picture]}, metadata={picture: facts})
    elif "text/markdown" in data:
        yield markdown_output(data["text/markdown"])
    else:
        yield from as_text(data.get("text/plain", ""))


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Pieces of one stream that come in a row, as one."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and output.get("name") == last.get("name"):
            last["text"] += output.text
        else:
            merged.append(output)
    return merged


def described(text: str, notebook: NotebookNode) -> str:
    """A page whose pictures have what they show as their text, and their size.

    Args:
        text: The page.
        notebook: The notebook with the outputs that the page shows.
    """
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    facts = iter([fact for output in outputs for kind, fact in output.metadata.items() if kind in PICTURES])

    def describe(found: re.Match[str]) -> str:
        fact = next(facts)
        alternative = re.sub(r"\s+", " ", re.sub(r"[\[\]\\`*_<>]", " ", fact["alt"])).strip()
        size = " ".join(f'{side}="{fact[side]:.0f}"' for side in ("width", "height") if side in fact)
        return f"![{alternative}]({found['file']})" + (f"{{ {size} }}" if size else "")

    return PICTURE.sub(describe, text)


def render(path: Path, folder: Path, *, run: bool = True, rewrite: Callable[[str], str] = str) -> None:
    """Write ``NAME.md`` and its pictures for the notebook ``NAME.ipynb``.

    Args:
        path: The notebook.
        folder: Where the page goes, and a copy of the notebook for its readers.
        run: Whether to run it; if not, the page has no outputs.
        rewrite: Called with the Markdown of each text cell; gives what the page has.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    if run:
        execute(notebook)
    notebook.metadata.setdefault("language_info", {"name": "python"})
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = rewrite(cell.source)
        elif cell.cell_type == "code":
            cell.outputs = [one for output in merge_streams(cell.outputs) for one in simplify(output)]
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in resources["outputs"].items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    shutil.copy(path, folder)
    head, _, rest = described(text, notebook).lstrip().partition("\n")
    (folder / f"{path.stem}.md").write_text(f"{head}\n\n[Download the notebook]({path.name})\n{rest}", encoding="utf-8")


def render_all(folder: Path, *, run: bool = True, rewrite: Callable[[str], str] = str) -> None:
    """Write the pages of all notebooks, and say how long each took.

    Args:
        folder: Where the pages go.
        run: Whether to run them.
        rewrite: As for :func:`render`.
    """
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        began = time.perf_counter()
        try:
            render(path, folder, run=run, rewrite=rewrite)
        except CellExecutionError as error:
            raise SystemExit(f"{path.name}: {error}") from error
        print(f"{path.name}: {time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    """Read the arguments and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pages")
    parser.add_argument("--no-execute", action="store_true", help="pages without outputs, in seconds")
    arguments = parser.parse_args()
    render_all(arguments.out, run=not arguments.no_execute)


if __name__ == "__main__":
    main()
