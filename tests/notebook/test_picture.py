"""A picture shows itself in every notebook, and is written to files."""

import base64
import io
import json
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from drawn import HOSTILE
from PIL import Image

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations import notebook
from synaptoroute_integrations.notebook.charts import Axis, Chart, Points
from synaptoroute_integrations.notebook.maps import similarity_heatmap
from synaptoroute_integrations.notebook.picture import Picture

PLOTLY, PNG, TEXT, HTML = "application/vnd.plotly.v1+json", "image/png", "text/plain", "text/html"
PLACES = np.linspace(0, 1, 20)


@pytest.fixture
def picture():
    layers = tuple(Points(f"route {number}", PLACES, PLACES**number, tone=number) for number in range(3))
    return Picture(
        Chart("Powers", "They fall from left to right.", Axis("x"), Axis("y"), layers, width=500, height=300)
    )


def without(monkeypatch, library):
    for name in [library, *(name for name in sys.modules if name.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)


# --- files --------------------------------------------------------------------------------------------


def test_a_png_has_two_pixels_for_one_and_no_ground(picture, tmp_path):
    picture.save(tmp_path / "powers.png")
    with Image.open(tmp_path / "powers.png") as image:
        assert (image.format, image.size) == ("PNG", (1000, 600))
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0
        assert len(image.getcolors(1_000_000)) > 50


def test_a_png_has_the_scale_that_is_asked_for(picture, tmp_path):
    picture.save(str(tmp_path / "powers.PNG"), scale=1)
    with Image.open(tmp_path / "powers.PNG") as image:
        assert image.size == (500, 300)


@pytest.mark.parametrize(("suffix", "beginning"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("html", b"<!DOCTYPE html>")])
def test_the_suffix_says_what_is_written(picture, tmp_path, suffix, beginning):
    picture.save(tmp_path / f"powers.{suffix}")
    assert (tmp_path / f"powers.{suffix}").read_bytes().startswith(beginning)


def test_a_page_has_all_it_needs_within(picture, tmp_path):
    picture.save(tmp_path / "powers.html")
    page = (tmp_path / "powers.html").read_text(encoding="utf-8")
    assert "<script src" not in page
    assert 4_000_000 < len(page) < 8_000_000
    assert "<p>They fall from left to right.</p>" in page


@pytest.mark.parametrize("name", ["powers.gif", "powers", "powers.png.txt"])
def test_another_suffix_is_refused(picture, tmp_path, name):
    with pytest.raises(ConfigurationError, match=r"\.png, \.svg, \.pdf or \.html"):
        picture.save(tmp_path / name)


@pytest.mark.parametrize("scale", [0, -1, 11, float("nan")])
def test_another_scale_is_refused(picture, tmp_path, scale):
    with pytest.raises(ConfigurationError, match=r"^scale = "):
        picture.save(tmp_path / "powers.png", scale=scale)


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png", ".html"])
def test_a_picture_saved_twice_is_the_same_to_the_byte(tmp_path, hostile_charts, suffix):
    for chart in hostile_charts:
        first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
        Picture(chart).save(first)
        Picture(chart).save(second)
        assert first.read_bytes() == second.read_bytes()


def test_a_saved_picture_is_not_dated_and_leaves_the_settings_of_matplotlib_alone(picture, tmp_path):
    with mpl.rc_context({"svg.hashsalt": None}):
        picture.save(tmp_path / "powers.svg")
        assert mpl.rcParams["svg.hashsalt"] is None
    assert "dc:date" not in (tmp_path / "powers.svg").read_text(encoding="utf-8")


# --- notebooks ----------------------------------------------------------------------------------------


def test_a_notebook_gets_an_interactive_picture_a_static_one_and_words(picture):
    contents, facts = picture._repr_mimebundle_()
    assert contents.keys() == {PLOTLY, PNG, TEXT}
    assert json.loads(json.dumps(contents[PLOTLY])).keys() == {"data", "layout", "config"}
    assert contents[TEXT] == repr(picture) == "Powers\nThey fall from left to right."
    with Image.open(io.BytesIO(base64.b64decode(contents[PNG]))) as image:
        assert image.size == (500, 300)
    assert facts == {PNG: {"alt": "Powers. They fall from left to right."}}


def test_an_output_is_small(picture, large_router):
    contents, _ = picture._repr_mimebundle_()
    assert sum(len(json.dumps(content)) for content in contents.values()) < 50_000
    contents, _ = similarity_heatmap(large_router)._repr_mimebundle_()
    assert len(contents[PNG]) < 140_000


def test_numbers_are_given_to_plotly_as_any_release_of_it_reads_them(picture):
    contents, _ = picture._repr_mimebundle_()
    assert "bdata" not in json.dumps(contents[PLOTLY])


def test_only_what_is_asked_for_is_drawn(picture, monkeypatch):
    without(monkeypatch, "matplotlib")
    assert picture._repr_mimebundle_(include={PLOTLY})[0].keys() == {PLOTLY}
    assert picture._repr_mimebundle_(exclude={PLOTLY, PNG})[0].keys() == {TEXT}


def test_ipython_takes_the_bundle(picture):
    display = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    contents, facts = display.format(picture)
    assert contents.keys() == {PLOTLY, PNG, TEXT}
    assert facts.keys() == {PNG}


@pytest.mark.parametrize("renderer", ["plotly_mimetype", "notebook", "plotly_mimetype+notebook", "browser"])
def test_plotlys_library_is_in_no_output(picture, monkeypatch, renderer):
    plotly_io = pytest.importorskip("plotly.io")
    monkeypatch.setattr(plotly_io.renderers, "default", renderer)
    assert HTML not in picture._repr_mimebundle_()[0]


@pytest.mark.parametrize("renderer", ["colab", "kaggle"])
def test_where_notebooks_load_plotlys_library_the_output_does(picture, monkeypatch, renderer):
    plotly_io = pytest.importorskip("plotly.io")
    monkeypatch.setattr(plotly_io.renderers, "default", renderer)
    contents, _ = picture._repr_mimebundle_()
    assert "https://cdn.plot.ly/plotly" in contents[HTML]
    assert len(contents[HTML]) < 100_000


def test_words_about_a_picture_break_out_of_nothing():
    chart = Chart(HOSTILE, f"\x1b[31m {HOSTILE}", Axis("x"), Axis("y"), (Points("", PLACES, PLACES),))
    contents, facts = Picture(chart)._repr_mimebundle_()
    assert "\x1b" not in contents[TEXT]
    assert not set('<>"&') & set(facts[PNG]["alt"])


def test_what_is_changed_of_a_figure_is_shown(picture):
    picture.figure.update_layout(height=123)
    assert picture._repr_mimebundle_()[0][PLOTLY]["layout"]["height"] == 123


# --- libraries ----------------------------------------------------------------------------------------


def test_without_plotly_a_picture_is_static(picture, monkeypatch, tmp_path):
    without(monkeypatch, "plotly")
    assert picture._repr_mimebundle_()[0].keys() == {PNG, TEXT}
    picture.save(tmp_path / "powers.png")
    with pytest.raises(
        ImportError, match=r"plotly is not installed: pip install 'synaptoroute-integrations\[notebook\]'"
    ):
        picture.save(tmp_path / "powers.html")


def test_without_matplotlib_a_picture_is_interactive(picture, monkeypatch, tmp_path):
    without(monkeypatch, "matplotlib")
    assert picture._repr_mimebundle_()[0].keys() == {PLOTLY, TEXT}
    picture.save(tmp_path / "powers.html")
    with pytest.raises(ImportError, match=r"matplotlib.* is not installed: pip install 'synaptoroute-integrations\["):
        picture.save(tmp_path / "powers.png")


def test_without_either_a_picture_says_how_to_install_them(picture, monkeypatch):
    without(monkeypatch, "plotly")
    without(monkeypatch, "matplotlib")
    with pytest.raises(ImportError, match=r"pip install 'synaptoroute-integrations\[notebook\]'"):
        picture._repr_mimebundle_()


def test_every_public_name_is_there():
    assert notebook.__all__ == sorted(notebook.__all__)
    assert set(notebook.__all__) <= set(dir(notebook))
    assert all(callable(getattr(notebook, name)) for name in notebook.__all__)
    with pytest.raises(AttributeError, match="no attribute 'pie_chart'"):
        _ = notebook.pie_chart


def test_importing_the_package_imports_no_library_of_pictures():
    heavy = "{'IPython', 'ipywidgets', 'matplotlib', 'numpy', 'pandas', 'plotly', 'PIL'}"
    command = f"import sys, synaptoroute_integrations.notebook; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)
    command = (
        f"import sys, synaptoroute_integrations.notebook.maps; assert not {heavy} - {{'numpy'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", command], check=True)
