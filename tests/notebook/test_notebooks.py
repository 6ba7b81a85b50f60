"""Every notebook runs from top to bottom as its cells expect, and is kept as its readers want to find it.

What a notebook has to show, it asserts in its own cells.
"""

import re
import shutil
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_TIMEOUT_S = 100
ABSOLUTE = re.compile(r"(?<![\w.:/])(?:/(?:home|root|tmp|usr|work|workspace|Users|mnt|opt|var)/|[A-Z]:\\)")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture
def folder(tmp_path):
    """Where a notebook runs: its data is there, and what it writes is thrown away."""
    if (FOLDER / "data").exists():
        shutil.copytree(FOLDER / "data", tmp_path / "data")
    return tmp_path


def code_of(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@each_notebook
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter packages
def test_a_notebook_runs_from_top_to_bottom_without_a_warning(path, folder, record_property):
    notebook = nbformat.read(path, as_version=4)
    began = time.perf_counter()
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3")
    client.resources = {"metadata": {"path": folder}}
    client.execute()
    record_property("kernel_s", round(time.perf_counter() - began, 1))  # --durations shows about the same
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stderr")
    assert "Warning" not in said


@each_notebook
def test_a_notebook_says_what_it_expects(path):
    assert any(re.search(r"^\s*assert ", code, re.MULTILINE) for code in code_of(nbformat.read(path, as_version=4)))


@each_notebook
def test_a_notebook_has_a_title_and_is_named_by_its_number(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \S", first.source)
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)


@each_notebook
def test_a_notebook_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert "widgets" not in notebook.metadata


@each_notebook
def test_a_notebook_knows_no_place_of_this_machine(path):
    assert ABSOLUTE.findall(path.read_text(encoding="utf-8")) == []


@each_notebook
def test_a_notebook_runs_in_any_installation(path):
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3"


def test_the_notebooks_are_numbered_without_a_gap():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]
