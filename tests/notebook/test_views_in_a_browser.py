"""Views can be read on any page: their cells are as bright as their text, and no heading runs into the next."""

import pytest

from synaptoroute_core import AdaptiveRouter, Candidate, Decision, Explanation, HashingEncoder, Neighbour, Route

CANDIDATES = tuple(Candidate(route=name, score=0.4, utterance="where is it", threshold=0.5) for name in ("a", "b"))
DECISIONS = {
    scorer: Decision(route=None, reason=reason, score=0.4, threshold=0.5, scorer=scorer, candidates=CANDIDATES)
    for scorer, reason in (("similarity", "below_threshold"), ("head", "low_confidence"))
}
NEIGHBOURS = (Neighbour(route="a", utterance="where is it", similarity=0.6),)

COLOURS = """() => [".sr-facts b", ".sr-table td:last-child"].map(
    place => getComputedStyle(document.querySelector(place)).color)"""
RUNS_OVER = """() => [...document.querySelectorAll("thead th")]
    .filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.textContent)"""


def views():
    """The views with tables, by name."""
    with AdaptiveRouter([Route("a", ["where is it"])], encoder=HashingEncoder()) as router:
        html = router._repr_html_()
    explanations = {
        scorer: Explanation(decision=decision, neighbours=NEIGHBOURS, advice="Add it.")._repr_html_()
        for scorer, decision in DECISIONS.items()
    }
    return {"router": html, **explanations}


@pytest.fixture(params=[400, 800])
def page(browser, request):
    opened = browser.new_page(viewport={"width": request.param, "height": 600})
    yield opened
    opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("doctype", ["<!DOCTYPE html>", ""])
def test_cells_have_the_colour_of_the_text_on_pages_old_and_new(page, scheme, doctype):
    page.emulate_media(color_scheme=scheme)
    for html in views().values():
        page.set_content(doctype + html)
        text, cell = page.evaluate(COLOURS)
        assert cell == text


def test_no_heading_of_a_column_runs_into_the_next(page):
    for html in views().values():
        page.set_content(f"<!DOCTYPE html>{html}")
        assert page.evaluate(RUNS_OVER) == []
