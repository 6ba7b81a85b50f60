"""The pictures of the page on notebooks show what its code shows."""

import importlib.util
import re
from pathlib import Path

import pytest
from PIL import Image

from synaptoroute_integrations.notebook import Picture

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "draw_notebook_pictures.py"
WORDS = re.compile(r"<!-- (.*?) -->", re.DOTALL)
"""matplotlib draws letters as shapes, and says beside them which text they are."""
MARKS = re.compile("<use ")
"""What stands for a point or a letter."""


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("draw_notebook_pictures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_pictures_of_the_page_are_those_of_its_code(script, tmp_path):
    drawn = []
    for file, value in script.shown():
        kept = script.FOLDER / file
        drawn.append(file)
        if isinstance(value, Picture):
            value.save(tmp_path / file)
            new, old = ((path / file).read_text(encoding="utf-8") for path in (tmp_path, script.FOLDER))
            assert WORDS.findall(new) == WORDS.findall(old)
            assert len(MARKS.findall(new)) == len(MARKS.findall(old))
        else:
            with Image.open(kept) as picture:
                assert picture.info[script.SOURCE] == value._repr_html_()
    assert tuple(drawn) == script.FILES


def test_the_last_line_of_a_block_is_what_it_shows(script):
    names = {}
    assert script.run_cell("a = 2", names) is None
    assert script.run_cell("b = a + 1\nb * 2", names) == 6
    assert script.run_cell("if b:\n    a = 5", names) is None
    assert names["a"] == 5


def test_every_picture_of_a_notebook_in_the_docs_is_drawn_by_the_script_or_named_in_it(script):
    files = {path.name for path in script.FOLDER.glob("notebook_*")}
    assert files == {*script.FILES, "notebook_playground.png"}
