"""Charts are drawn alike by both libraries, and their texts are only texts."""

import json

import matplotlib as mpl
import numpy as np
import pytest
from drawn import HOSTILE, PLACES
from matplotlib._pylab_helpers import Gcf
from matplotlib.colors import to_hex
from matplotlib.text import Text

from synaptoroute_integrations.notebook import palette
from synaptoroute_integrations.notebook.charts import Axis, Bars, Chart, Grid, Line, Note, Points, Rule
from synaptoroute_integrations.notebook.interactive import draw_interactive
from synaptoroute_integrations.notebook.picture import Picture
from synaptoroute_integrations.notebook.static import draw_static

X, Y = Axis("across"), Axis("upwards")


def chart_of(*layers, x=X, y=Y):
    return Chart("title", "summary", x, y, layers)


def axes_of(chart, **options):
    return draw_static(chart, **options).axes[0]


def written(chart, tmp_path, **options):
    """The texts that matplotlib draws, once it has drawn them."""
    picture = draw_static(chart, **options)
    picture.savefig(tmp_path / "drawn.png")
    return [text.get_text() for text in picture.findobj(Text) if text.get_text()]


# --- marks --------------------------------------------------------------------------------------------

EVERY_LAYER = chart_of(
    Points("points", PLACES, PLACES),
    Line("line", PLACES, PLACES),
    Bars("bars", np.array([0.0, 0.5, 1.0]), np.array([2.0, 3.0])),
    Rule(0.4, "rule"),
    Note(0.5, 0.5, "note"),
)


def test_plotly_is_given_the_marks_of_every_layer():
    figure = draw_interactive(EVERY_LAYER)
    assert [(trace.type, trace.mode if trace.type == "scatter" else None) for trace in figure.data] == [
        ("scatter", "markers"),
        ("scatter", "lines"),
        ("bar", None),
    ]
    assert list(figure.data[0].x) == PLACES.tolist()
    assert list(figure.data[2].x) == [0.25, 0.75]
    assert [shape.x0 for shape in figure.layout.shapes] == [0.4]
    assert [note.text for note in figure.layout.annotations] == ["rule", "note"]


def test_matplotlib_is_given_the_marks_of_every_layer():
    axes = axes_of(EVERY_LAYER)
    assert axes.collections[0].get_offsets().tolist() == [[place, place] for place in PLACES]
    assert axes.lines[0].get_xdata().tolist() == PLACES.tolist()
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in axes.patches] == [(0, 0.5, 2), (0.5, 0.5, 3)]
    assert axes.lines[1].get_xdata() == [0.4, 0.4]
    assert [text.get_text() for text in axes.texts] == ["note", "rule"]


def test_a_grid_is_drawn_with_its_values_and_an_empty_cell_for_a_missing_one():
    names = Axis("route", categories=("a", "b"))
    chart = chart_of(
        Grid("share", np.array([[1.0, np.nan], [0.25, 0.0]]), (0, 1), written=True, places=1), x=names, y=names
    )
    heatmap, texts = draw_interactive(chart).data
    assert [list(row) for row in heatmap.z] == [[1.0, None], [0.25, 0.0]]
    assert list(texts.text) == ["1.0", "0.2", "0.0"]
    assert [text.get_text() for text in axes_of(chart).texts] == ["1.0", "0.2", "0.0"]


def test_a_band_is_an_area_with_a_part_on_each_side_of_a_gap():
    x, middle = np.arange(5.0), np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    band, line = draw_interactive(chart_of(Line("", x, middle, low=middle - 1, high=middle + 1))).data
    assert list(band.x) == [0, 1, 1, 0, None, 3, 4, 4, 3]
    assert list(band.y) == [2, 3, 1, 0, None, 5, 6, 4, 3]
    assert band.fill == "toself"
    assert list(line.y) == [1, 2, None, 4, 5]


def test_a_band_around_steps_has_steps():
    x, y = np.arange(3.0), np.array([1.0, 2.0, 3.0])
    band, line = draw_interactive(chart_of(Line("", x, y, stepped=True, low=y - 1, high=y + 1))).data
    assert line.line.shape == "hv"
    assert list(zip(band.x, band.y, strict=True))[:5] == [(0, 2), (1, 2), (1, 3), (2, 3), (2, 4)]


# --- axes ---------------------------------------------------------------------------------------------


def test_shares_are_written_as_percentages(tmp_path):
    chart = chart_of(Points("", PLACES, PLACES), Rule(0.5, ""), x=Axis("share", percent=True, limits=(0, 1)))
    figure = draw_interactive(chart)
    assert list(figure.data[0].x) == [10, 50, 90]
    assert figure.data[0].hovertext[0] == "share: 10 %<br>upwards: 0.1"
    assert (figure.layout.xaxis.ticksuffix, figure.layout.xaxis.range) == (" %", (0, 100))
    assert figure.layout.shapes[0].x0 == 50
    assert "60 %" in written(chart, tmp_path)


def test_what_is_placed_on_a_logarithmic_axis_is_where_its_value_is(tmp_path):
    chart = chart_of(Line("", np.array([1.0, 1000.0]), np.ones(2)), Rule(100.0, "p99"), x=Axis("ms", logarithmic=True))
    layout = draw_interactive(chart).layout
    assert (layout.shapes[0].x0, layout.annotations[0].x) == (100, 2)
    assert {"1", "2", "5", "10", "200"} <= set(layout.xaxis.ticktext) & set(written(chart, tmp_path))


@pytest.mark.parametrize("highest", [1.15, 3.45, 5.0, 19.5, 1000.0])
def test_numbers_of_things_have_ticks_at_whole_numbers_only(browser, highest, tmp_path):
    bars = Bars("", np.array([0.0, 1.0]), np.array([highest]))
    chart = chart_of(bars, y=Axis("texts", limits=(0, highest), whole=True))
    figure = draw_static(chart)
    figure.savefig(tmp_path / "drawn.png")
    static = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    Picture(chart).save(tmp_path / "page.html")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".ytick")
    interactive = [tick.text_content() for tick in page.locator(".ytick").all()]
    page.close()
    for labels in (static, interactive):
        assert len(labels) >= 2
        assert all(label.isdecimal() for label in labels)


def test_ticks_are_where_they_are_asked_for():
    axis = Axis("share", ticks=(0.1, 0.25, 1.0), percent=True, logarithmic=True)
    chart = chart_of(Line("", np.array([0.1, 1.0]), np.ones(2)), x=axis)
    drawn = draw_interactive(chart).layout.xaxis
    assert (drawn.tickvals, drawn.ticktext) == ((10, 25, 100), ("10 %", "25 %", "100 %"))
    axes = axes_of(chart)
    assert axes.get_xticks().tolist() == [0.1, 0.25, 1.0]
    assert [axes.xaxis.get_major_formatter()(value) for value in (0.1, 0.25, 1.0)] == ["10 %", "25 %", "100 %"]


def test_an_axis_can_begin_at_the_top():
    chart = chart_of(Points("", PLACES, PLACES), y=Axis("rank", limits=(0, 1), downwards=True))
    assert draw_interactive(chart).layout.yaxis.range == (1, 0)
    assert axes_of(chart).get_ylim() == (1, 0)


def test_where_only_distances_count_both_axes_have_one_scale():
    chart = chart_of(Points("", PLACES, PLACES), x=Axis("1", hidden=True), y=Axis("2", hidden=True))
    layout = draw_interactive(chart).layout
    assert (layout.yaxis.scaleanchor, layout.xaxis.showticklabels) == ("x", False)
    assert axes_of(chart).get_aspect() == 1
    assert list(axes_of(chart).get_xticks()) == []


def test_names_of_many_categories_are_thinned_out_and_come_back_when_zoomed_in():
    names = tuple(f"route_{number}" for number in range(150))
    axis = Axis("route", categories=names)
    chart = chart_of(Grid("", np.eye(150), (0, 1)), x=axis, y=axis)
    drawn = draw_interactive(chart).layout.yaxis
    assert 5 < drawn.nticks < 60
    assert [drawn.labelalias[str(place)] for place in range(150)] == list(names)
    assert drawn.labelalias["0.5"] == ""
    labels = [label.get_text() for label in axes_of(chart).get_yticklabels()]
    assert 5 < len(labels) < 60
    assert labels == list(names[:: names.index(labels[1])])


# --- legend and words ---------------------------------------------------------------------------------


def named_points(count):
    return chart_of(*(Points(f"_route {number}", PLACES, PLACES, tone=number) for number in range(count)))


@pytest.mark.parametrize("count", [1, 5, 20])
def test_names_are_in_a_legend_beside_the_marks(count):
    figure, legend = draw_interactive(named_points(count)), axes_of(named_points(count)).get_legend()
    assert figure.layout.showlegend
    assert [trace.name for trace in figure.data] == [f"_route {number}" for number in range(count)]
    assert [text.get_text() for text in legend.get_texts()] == [f"_route {number}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 21, 150])
def test_there_is_no_legend_of_no_names_or_too_many(count):
    assert not draw_interactive(named_points(count)).layout.showlegend
    assert axes_of(named_points(count)).get_legend() is None


def test_long_words_are_broken_into_lines_and_in_the_end_cut():
    chart = chart_of(Points("", PLACES, PLACES, hover=["word " * 2000, "x" * 9000, "a\nb"]))
    first, second, third = (text.split("<br>") for text in draw_interactive(chart).data[0].hovertext)
    assert {len(first), len(second)} == {5}
    assert max(map(len, [*first, *second])) <= 64
    assert third == ["a", "b"]


def test_words_on_rules_do_not_cover_each_other():
    chart = chart_of(Points("", PLACES, PLACES), Rule(0.5, "one"), Rule(0.51, "two"))
    first, second = draw_interactive(chart).layout.annotations
    assert first.yshift - second.yshift >= 16
    first, second = (text.xyann[1] for text in axes_of(chart).texts)
    assert first - second >= 10


# --- text of users ------------------------------------------------------------------------------------


def test_a_browser_shows_text_of_users_as_it_is(browser, hostile_charts, tmp_path):
    for chart in hostile_charts:
        Picture(chart).save(tmp_path / "page.html")
        page, asked, dialogs = browser.new_page(), [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("dialog", lambda dialog, dialogs=dialogs: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector(".main-svg .gtitle")
        assert page.title() == HOSTILE
        assert page.locator(".gtitle").text_content().startswith("<b>bold</b> &amp; $x^2$ and \\frac{$ <img src=x")
        assert page.locator(".main-svg b, img, .main-svg a").count() == 0
        assert dialogs == []
        assert [address for address in asked if not address.startswith(("file:", "data:", "blob:"))] == []
        page.close()


def test_a_browser_offers_no_upload(browser, hostile_charts, tmp_path):
    Picture(hostile_charts[0]).save(tmp_path / "page.html")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".modebar-btn", state="attached")
    titles = {button.get_attribute("data-title").lower() for button in page.locator(".modebar-btn").all()}
    assert titles == {"download plot as a png", "zoom", "pan", "zoom in", "zoom out", "reset axes"}
    page.close()


def test_plotly_is_given_no_markup_of_users(hostile_charts):
    for chart in hostile_charts:
        text = json.dumps(json.loads(draw_interactive(chart).to_json()))
        assert "<b>" not in text
        assert "<img" not in text
        assert "$x" not in text
        assert text.count("&lt;b&gt;bold&lt;/b&gt;") >= 4


def test_matplotlib_takes_no_text_for_a_formula(hostile_charts, tmp_path):
    for chart in hostile_charts:
        figure = draw_static(chart)
        assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())
        figure.savefig(tmp_path / "drawn.svg")  # the formula in it is not valid


def test_names_of_any_script_are_drawn_without_a_warning(tmp_path):
    names = ("退款", "استرداد", "ขอเงินคืน", "возврат", "💸")
    axis = Axis("名前", categories=names)
    picture = Picture(chart_of(Grid("", np.eye(5), (0, 1)), x=axis, y=axis))
    picture.save(tmp_path / "drawn.png")
    assert list(picture.figure.layout.xaxis.ticktext) == list(names)


def test_characters_that_act_on_what_surrounds_them_are_written_out():
    chart = chart_of(Points("a\u202eb", PLACES, PLACES, hover=["a\x1b[31m", "b", "c"]))
    (trace,) = draw_interactive(chart).data
    assert (trace.name, trace.hovertext[0]) == ("a\\u202eb", "a\\x1b[31m")


# --- looks --------------------------------------------------------------------------------------------


def luminance(colour):
    parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#1e1e1e", "#111111"])
def test_every_colour_is_seen_on_white_and_on_dark(ground):
    assert min(contrast(colour, ground) for colour in palette.TONES) >= 2.3
    assert contrast(palette.FOREGROUND, ground) >= 4


def test_values_are_read_on_every_colour_of_a_grid():
    for value, colour in zip(np.linspace(0, 1, len(palette.SCALE)), palette.SCALE, strict=True):
        assert contrast(palette.ink_on(value, (0, 1)), colour) >= 3.4


@pytest.mark.parametrize(("dark", "colour"), [(False, palette.FOREGROUND), (True, palette.FOREGROUND_ON_DARK)])
def test_text_is_lighter_for_a_dark_ground(dark, colour):
    axes = axes_of(chart_of(Points("name", PLACES, PLACES)), dark=dark)
    texts = axes.xaxis.label, *axes.get_legend().get_texts()
    assert {to_hex(text.get_color()) for text in texts} == {colour}


def test_figures_have_no_ground_and_plotlys_is_as_wide_as_there_is_room():
    layout = draw_interactive(EVERY_LAYER).layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor) == ("rgba(0, 0, 0, 0)",) * 2
    assert (layout.width, layout.autosize, layout.height) == (None, True, EVERY_LAYER.height)
    assert draw_static(EVERY_LAYER).get_facecolor() == (0, 0, 0, 0)


def test_drawing_leaves_the_settings_of_matplotlib_as_they_are(hostile_charts, tmp_path):
    before = dict(mpl.rcParams)
    for chart in hostile_charts:
        Picture(chart).save(tmp_path / "drawn.png")
    assert dict(mpl.rcParams) == before
    assert Gcf.get_all_fig_managers() == []
