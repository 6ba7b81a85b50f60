"""What a page of the site shows of a notebook's outputs."""

import importlib
import sys
from base64 import b64encode
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

SCRIPTS = Path(__file__).parents[2] / "scripts"
WIDGET = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter packages


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("nbconvert")
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module("render_notebooks")
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.fixture
def page(script, tmp_path):
    """The page of a notebook whose only cell has these outputs."""

    def page(*outputs):
        cell = new_code_cell("1 + 1")
        cell.outputs = list(outputs)
        nbformat.write(new_notebook(cells=[new_markdown_cell("# A [title](x.md)"), cell]), tmp_path / "some.ipynb")
        script.render(tmp_path / "some.ipynb", tmp_path / "out", run=False, rewrite=lambda text: text.replace("x", "y"))
        return (tmp_path / "out" / "some.md").read_text(encoding="utf-8")

    return page


def shown(data, **facts):
    return new_output("display_data", data, metadata=facts)


def test_the_text_of_a_notebook_is_rewritten_and_its_code_is_kept(page):
    text = page()
    assert text.startswith("# A [title](y.md)\n\n[Download the notebook](some.ipynb)\n")
    assert "```python\n1 + 1\n```" in text


def test_an_object_is_shown_by_its_html(page):
    text = page(shown({"text/html": "<table><tr><td>0.9</td></tr></table>", "text/plain": "Decision(0.9)"}))
    assert "<td>0.9</td>" in text
    assert "Decision(" not in text


def test_html_that_runs_a_script_is_not_shown(page):
    text = page(shown({"text/html": "<div></div><script src='https://example.com/x.js'></script>", "text/plain": "it"}))
    assert "script" not in text
    assert "\nit\n" in text


def test_a_picture_becomes_a_file_with_its_size_and_what_it_shows(page, tmp_path):
    data = {PLOTLY: {"data": []}, "image/png": b64encode(b"PNG").decode(), "text/plain": "Map\n3 [routes]"}
    text = page(shown(data, **{"image/png": {"width": 760, "height": 440}}))
    [file] = (tmp_path / "out" / "some_files").iterdir()
    assert file.read_bytes() == b"PNG"
    assert f'![Map 3 routes](some_files/{file.name}){{ width="760" height="440" }}' in text
    assert "plotly" not in text


def test_a_progress_bar_is_left_out(page):
    bar = {WIDGET: {}, "text/plain": " 40%|####      | 4/10 [00:01<00:02,  3.1it/s]"}
    text = page(
        shown(bar), new_output("stream", name="stderr", text="\r  0%|  | 0/10\r100%|##| 10/10 [00:01, 9.5it/s]\n")
    )
    assert "%" not in text
    assert "it/s" not in text


def test_a_widget_becomes_a_sentence(page):
    assert "*A widget, which needs a running notebook.*" in page(shown({WIDGET: {}, "text/plain": "VBox(children=())"}))


def test_printed_text_is_one_block_without_colours(page):
    pieces = [
        new_output("stream", name="stdout", text=text) for text in ("\x1b[31mred\x1b[0m\n", "```\n", "work \rdone\n")
    ]
    assert "```` { .text .output }\nred\n```\ndone\n````" in page(*pieces)
