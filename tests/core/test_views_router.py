"""What a notebook shows of a router."""

from fitted import NEW, open_router
from IPython.lib.pretty import pretty
from pages import shown

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route, RouterConfig

ENCODER = HashingEncoder(dim=64)


def many(count, **settings):
    return [Route(f"route_{number}", [f"say {number}", f"ask {number}"], **settings) for number in range(count)]


def opened(routes=(), **settings):
    return AdaptiveRouter(routes, encoder=ENCODER, config=RouterConfig(workers=1, **settings))


def test_a_router_tells_what_it_holds_and_by_what_rule_it_decides():
    with opened([*many(2), Route("own", ["x"], threshold=0.7, description="Its own.")], threshold=0.55) as router:
        page, text = shown(router)
    assert "routes 3 · utterances 5 · revision 1" in page.text
    assert "hashing-1/64" in page.text
    assert "similarity: a score of 0.55 or more, and a lead of 0.05" in page.text
    assert "own10.7Its own." in page.text
    assert "route_120.55" in page.text
    assert text == "AdaptiveRouter(3 routes, 5 utterances, revision 1, HashingEncoder(dim=64))\n  route_0, route_1, own"


def test_a_router_without_routes_says_so():
    with opened() as router:
        page, text = shown(router)
    assert "no routes yet" in page.text
    assert text == "AdaptiveRouter(0 routes, 0 utterances, revision 0, HashingEncoder(dim=64))"


def test_a_closed_router_still_shows_itself():
    with opened(many(2)) as router:
        assert "closed" not in shown(router)[0].text
    page, text = shown(router)
    assert "closed" in page.text
    assert "route_1" in page.text
    assert "route_1" in text


def test_a_router_of_150_routes_takes_less_than_100_kilobytes():
    with opened(many(150, description="What people say when they want something of this kind. " * 2)) as router:
        html = router._repr_html_()
        page, text = shown(router)
    assert len(html.encode()) < 100_000
    assert "130 more" in page.text
    assert "route_149" in page.text
    assert len(page.all("details")) == 1
    assert text.endswith("route_9, and 140 more")


def test_of_more_than_500_routes_the_first_500_are_listed():
    with opened(many(503)) as router:
        page, _ = shown(router)
    assert "483 more" in page.text
    assert "route_499" in page.text
    assert "route_500" not in page.text
    assert "and 3 more" in page.text


def test_a_column_without_content_is_left_out():
    with opened(many(2)) as router:
        page, _ = shown(router)
    assert "description" not in page.text


def test_the_routes_of_a_router_show_themselves():
    with opened(many(3, threshold=0.61)) as router:
        page, text = shown(router.routes)
    assert page.faults == []
    assert page.text.startswith("3 routes")
    assert "route_220.61" in page.text
    assert text == "<3 routes: route_0, route_1, route_2>"


def test_a_router_in_a_list_takes_a_line():
    with opened(many(2)) as router:
        assert pretty([router]) == f"[{router!r}]"


def test_a_fitted_router_says_that_a_head_decides_and_for_how_long():
    with open_router() as router:
        router.fit()
        fitted, _ = shown(router)
        router.add_route(NEW)
        outdated, _ = shown(router)
    assert "fitted head: a confidence of 0.6667 or more" in fitted.text
    assert "out of date" not in fitted.text
    assert "decides bysimilarity" in outdated.text
    assert "out of date call fit() again" in outdated.text


def test_a_fit_that_is_made_again_in_the_background_is_announced(making):
    making.gate.set()
    with open_router(auto_refit=True) as router:
        router.fit()
        making.gate.clear()
        router.add_route(NEW)
        page, _ = shown(router)
    assert "out of date it is made again in the background" in page.text
