"""Whatever a route may hold comes back as it was: for its author, for who follows, and for who starts anew."""

from contextlib import ExitStack

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watching import GREETING, NEVER, look, router_on, state, stored

from synaptoroute_core import ConfigurationError, InvalidTextError, Route
from synaptoroute_core.text import MAX_TEXT_CHARS

SIGNS = (
    "a\u0000b",
    "\u0000",
    "caf\u00e9 \u65e5\u672c \U0001f600\u200d\U0001f525",
    "\ud800 half a pair",
    "'\";--\\x00\\u0000 %s {}",
)
TEXTS = (
    *(f"{sign} here" for sign in SIGNS),
    "\u0000" * 50 + " after fifty",
    "e\u0301 and \u00e9",
    "\u202eback to front",
    "x" * MAX_TEXT_CHARS,
    "\U0001f600" * MAX_TEXT_CHARS,
)
METADATA = {
    "": None,
    "numbers": [0, -1, 1.5, 1e300, 5e-324, 2**53 + 1, 0.1 + 0.2],
    "truth": [True, False, None],
    "nested": {"a\u0000b": ["\u65e5\u672c", {"deep": [[[]]]}], "z": 1, "a": 2},
}
Text = st.text(max_size=40)
Metadata = st.dictionaries(
    Text, st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | Text, st.lists)
)


def test_texts_descriptions_and_metadata_of_all_kinds_come_back_as_they_were(place) -> None:
    route = Route("everything", TEXTS, description="".join(SIGNS), threshold=0.1 + 0.2, metadata=METADATA)
    name = Route("\u65e5\u672c.-_", ["a name in another script"])
    with router_on(place, NEVER) as author, router_on(place, NEVER) as follower:
        author.add_route(route)
        author.add_route(name)
        author.add_utterances(name.name, TEXTS)
        author.remove_utterances(name.name, TEXTS[::2])
        assert author.routes["everything"] == route
        assert author.routes[name.name].utterances == (*name.utterances, *author.routes["everything"].utterances[1::2])
        assert state(look(follower)) == state(author) == stored(place)


def test_any_route_is_the_same_for_its_author_for_a_follower_and_for_a_restart(place) -> None:
    with ExitStack() as stack:
        author, follower = (stack.enter_context(router_on(place, NEVER)) for _ in range(2))

        @settings(max_examples=round(50 * place.effort), deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(Text, min_size=1, max_size=5), Text, st.none() | st.floats(-1, 1), Metadata)
        def put(texts: list, description: str, threshold: float | None, metadata: dict) -> None:
            try:
                route = Route("any", texts, description=description, threshold=threshold, metadata=metadata)
            except (ConfigurationError, InvalidTextError):
                return
            author.add_route(route, overwrite=True)
            assert author.routes["any"] == route
            assert state(look(follower)) == state(author)

        put()
        assert state(author) == stored(place)


def test_many_routes_in_one_change_keep_their_order(place) -> None:
    routes = [Route(f"route{number}", [f"text {number}", f"other {number}"]) for number in range(300)]
    with router_on(place, NEVER) as follower, router_on(place, NEVER, routes=[GREETING, *reversed(routes)]) as author:
        look(follower)
        author.remove_route("route150")
        author.add_route(routes[150])
        expected = ["greeting", *(f"route{number}" for number in reversed(range(300)) if number != 150), "route150"]
        assert list(author.routes) == list(look(follower).routes) == expected
        assert state(follower) == state(author) == stored(place)
