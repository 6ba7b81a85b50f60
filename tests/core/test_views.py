"""Values show themselves in notebooks: all that they say, and nothing that a text of a stranger says to do."""

import copy
import inspect
import pickle
import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.lib.pretty import pretty
from pages import ATTRIBUTES, TAGS, decision, samples, shown

import synaptoroute_core
from synaptoroute_core import Receipt, Report, Route
from synaptoroute_core.frozen import FrozenModel
from synaptoroute_core.text import UNSAFE
from synaptoroute_core.views.style import DARK, LIGHT
from synaptoroute_integrations.server.settings import ServerSettings

PLAIN = samples("my money back")
REPORTS = [name for name, value in PLAIN.items() if isinstance(value, Report)]
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</td></table></div></style><b>",
    "<!-- <style>*{display:none}",
    "&lt;b&gt; &amp; &#x202e;",
    "[a](javascript:alert(1)) ![b](http://example.org/x.png) <http://example.org>",
    "a | b **c** `d` # e",
    "\u202eevil\u2066 \x1b[31mred\x07",
    "\ud800 half",
    "<br>x_y_<wbr>",
]


# --- every value -----------------------------------------------------------------------------------


def test_there_is_a_sample_of_every_public_value():
    public = {name: getattr(synaptoroute_core, name) for name in synaptoroute_core.__all__}
    values = {name for name, kind in public.items() if inspect.isclass(kind) and issubclass(kind, FrozenModel)}
    assert values - {"Report"} == set(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_a_value_shows_itself_as_html_and_as_text(name):
    page, text = shown(PLAIN[name])
    assert page.faults == []
    assert page.text.startswith(name)
    assert text.strip()
    assert page.tags[0] == ("div", {"class": "synaptoroute", "role": "group", "aria-label": name})


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_and_not_obeyed(name, text):
    value = samples(text)[name]
    html = value._repr_html_()
    page, plain = shown(value)
    assert page.faults == []
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {attribute for _, attributes in page.tags for attribute in attributes} <= ATTRIBUTES
    assert len(page.all("style")) == 1
    assert not re.search(r"url\(|@import|expression", page.style + "".join(str(tag) for tag in page.tags))
    assert not UNSAFE.search(html.replace("\n", ""))
    assert not UNSAFE.search(plain.replace("\n", ""))
    html.encode()


@pytest.mark.parametrize("name", ["Decision", "Explanation", "Finding", "Mistake", "Route", "Suggestion"])
@pytest.mark.parametrize("text", [text for text in HOSTILE if not UNSAFE.search(text)])
def test_a_hostile_text_can_be_read_as_it_is(name, text):
    page, _ = shown(samples(text)[name])
    assert text in page.text


def test_what_turns_the_direction_of_text_is_written_out():
    page, _ = shown(Route("refund", ["\u202eevil"]))
    assert r"\u202eevil" in page.text


def test_a_long_text_is_cut_and_told_in_full():
    text = "again and " * 40 + "the end"
    page, _ = shown(Route("refund", [text]))
    assert text not in page.text
    assert page.all("bdi", title=text)


def test_a_secret_stays_one():
    page, text = shown(ServerSettings(keys="swordfish", log_format="json"))
    assert "swordfish" not in page.text + text
    assert "log_formatjson" in page.text


@pytest.mark.parametrize("name", PLAIN)
def test_a_value_is_equal_to_its_copies_after_it_was_shown(name):
    value = PLAIN[name]
    before = repr(value)
    shown(value)
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
    assert repr(value) == before


# --- IPython ---------------------------------------------------------------------------------------


def test_a_shell_shows_the_result_of_a_cell(capsys):
    shell = InteractiveShell.instance()
    try:
        shell.push({"decision": decision()})
        shell.run_cell("decision")
    finally:
        InteractiveShell.clear_instance()
    assert "Decision: refund (score 0.800, threshold 0.500, similarity)" in capsys.readouterr().out


def test_a_list_of_values_shows_a_line_for_each():
    values = [decision(), Route("refund", ["my money back"]), Receipt(revision=1, changed=2)]
    assert pretty(values).splitlines() == [
        "[Decision: refund (score 0.800, threshold 0.500, similarity),",
        " Route: refund (1 utterance),",
        " Receipt(revision=1, changed=2)]",
    ]


# --- reports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_shows_its_markdown(name):
    page, text = shown(PLAIN[name])
    assert text == PLAIN[name].to_markdown().rstrip("\n")
    assert page.has_class("sr-report")
    assert "**" not in page.text


def test_the_tables_of_a_report_have_its_cells():
    page, _ = shown(PLAIN["EvaluationReport"])
    assert "Surest wrong answers" in page.text
    assert page.all("th", style="text-align:right")


def test_several_utterances_in_a_cell_stand_under_each_other():
    page, _ = shown(PLAIN["AuditReport"])
    assert page.all("br")
    assert "<br>" not in page.text


# --- style -----------------------------------------------------------------------------------------


def test_a_view_follows_the_page_that_it_is_on():
    style = shown(PLAIN["Receipt"])[0].style
    for sign in (
        "prefers-color-scheme:dark",
        '[data-jp-theme-light="false"]',
        ".vscode-dark",
        "--jp-content-font-color1",
    ):
        assert sign in style


def test_a_style_is_for_views_only_and_small():
    style = re.sub(r"@media\([^)]*\)\{(.*?\})\}", r"\1", shown(PLAIN["Receipt"])[0].style)
    selectors = [one for rule in re.findall(r"([^{}]+)\{", style) for one in re.split(r",(?![^()]*\))", rule)]
    assert [one for one in selectors if ".synaptoroute" not in one] == []
    assert len(style) < 6_000


def luminance(colour):
    """Relative luminance of a colour, as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"), [("ink", "card"), ("quiet", "card"), ("accent", "card"), ("ink", "wash"), ("warn", "warned")]
)
def test_text_can_be_read_in_both_themes(colours, ink, ground):
    low, high = sorted((luminance(colours[ink]), luminance(colours[ground])))
    assert (high + 0.05) / (low + 0.05) >= 4.5
