"""Settings of one call, many texts with their own, choices, and vectors that callers bring along."""

import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    Choices,
    ConfigurationError,
    HashingEncoder,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouteOptions,
    RouterClosedError,
    RouterConfig,
)
from synaptoroute_core.choices import PreparedChoices

ROUTES = (
    Route("refund", ["i want my money back", "please refund me"]),
    Route("parcel", ["where is my parcel", "track my order"], threshold=0.9),
    Route("invoice", ["send me the invoice", "where is my invoice"]),
)


class CountingEncoder(HashingEncoder):
    """Keeps the texts that it is asked to encode."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def encode(self, texts):
        self.seen.extend(texts)
        return super().encode(texts)


@pytest.fixture
def router():
    with AdaptiveRouter(ROUTES, encoder=CountingEncoder()) as opened:
        yield opened


# --- options ---------------------------------------------------------------------------------------


def test_a_threshold_of_one_call_stands_in_the_place_of_all_others(router):
    assert router.route("where is my parcel now").reason == "below_threshold"  # its own is 0.9
    decision = router.route("where is my parcel now", options=RouteOptions(threshold=0.3))
    assert (decision.route, decision.threshold) == ("parcel", 0.3)
    assert {candidate.threshold for candidate in decision.candidates} == {0.3}
    assert router.route("where is my parcel now").reason == "below_threshold"


def test_a_margin_and_a_number_of_candidates_of_one_call(router):
    plain = router.route("where is my invoice")
    assert plain.route == "invoice"
    strict = router.route("where is my invoice", options=RouteOptions(min_margin=plain.margin + 0.01))
    assert strict.reason == "ambiguous"
    assert len(router.route("where is my invoice", options=RouteOptions(max_candidates=1)).candidates) == 1


def test_options_do_not_get_the_remembered_decision_of_others(router):
    options = [None, RouteOptions(threshold=1.0), RouteOptions(allowed=["parcel"]), RouteOptions(min_margin=2)]
    first = [router.route("please refund me", options=each) for each in options]
    again = [router.route("please refund me", options=each) for each in options]
    assert first == again
    assert [decision.route for decision in first] == ["refund", None, None, None]
    assert router.encoder.seen.count("please refund me") == 2  # as an utterance, and as a query


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 1.5},
        {"threshold": "high"},
        {"threshold": True},
        {"min_margin": -0.1},
        {"min_margin": float("nan")},
        {"max_candidates": 0},
        {"max_candidates": 2.5},
        {"allowed": "refund"},
        {"allowed": 3},
        {"allowed": [["refund"]]},
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(values):
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        RouteOptions(**values)


def test_allowed_given_twice_is_refused(router):
    with pytest.raises(ConfigurationError, match="twice"):
        router.route("x", allowed=["refund"], options=RouteOptions(allowed=["parcel"]))
    with pytest.raises(ConfigurationError, match="RouteOptions"):
        router.route("x", options={"threshold": 0.5})


def test_equal_options_are_equal_and_hash_alike():
    assert RouteOptions(allowed=["a", "b"]) == RouteOptions(allowed={"b", "a"})
    assert len({RouteOptions(threshold=0.5), RouteOptions(threshold=0.5), RouteOptions()}) == 2


# --- many texts, each with its own -------------------------------------------------------------------


async def test_each_of_many_texts_gets_its_own_options(router):
    texts = ["please refund me", "please refund me", "  ", "where is my parcel", "track it"]
    options = [None, RouteOptions(threshold=1.0, min_margin=1.9), None, RouteOptions(allowed=["nowhere"]), None]
    answers = router.route_each(texts, options=options)
    assert answers[0].route == "refund"
    assert answers[1].route is None
    assert isinstance(answers[2], InvalidTextError)
    assert isinstance(answers[3], RouteNotFoundError)
    assert answers[4] == router.route("track it")
    twin = await router.aroute_each(texts, options=options)
    assert [str(each) for each in twin] == [str(each) for each in answers]


def test_the_wrong_number_of_options_is_refused(router):
    with pytest.raises(ConfigurationError, match="2 options for 1 texts"):
        router.route_each(["x"], options=[None, None])
    with pytest.raises(ConfigurationError, match="single text"):
        router.route_each("a text")


def test_no_texts_no_answers(router):
    assert router.route_each([]) == []


def test_a_closed_router_refuses_many_texts(router):
    router.close()
    with pytest.raises(RouterClosedError):
        router.route_each(["x"])


# --- choices -----------------------------------------------------------------------------------------


def test_choices_score_routes_that_are_not_stored_beside_those_that_are(router):
    weather = Route("weather", ["will it rain tomorrow"], threshold=0.2)
    choices = router.choices(["refund", "parcel"], [weather])
    assert isinstance(choices, Choices)
    assert sorted(choices) == ["parcel", "refund", "weather"]
    assert "weather" in choices
    assert len(choices) == 3
    decision = router.route("will it rain", allowed=choices)
    assert (decision.route, decision.candidates[0].utterance) == ("weather", "will it rain tomorrow")
    assert {candidate.route for candidate in decision.candidates} == set(choices)
    assert "weather" not in router.routes
    assert decision.revision == router.revision


def test_a_stored_route_scores_the_same_to_the_last_bit_among_choices(bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        choices = router.choices(router.routes, [Route("weather", ["will it rain tomorrow", "is it sunny"])])
        for text in ("give me my money", "where is it", "invoice please", "rain"):
            plain = {candidate.route: candidate for candidate in router.route(text).candidates}
            among = {candidate.route: candidate for candidate in router.route(text, allowed=choices).candidates}
            assert plain == {name: among[name] for name in plain}


def test_choices_follow_the_stored_routes(router):
    choices = router.choices(["refund", "parcel"], [Route("weather", ["will it rain tomorrow"])])
    assert router.route("gimme cash", allowed=choices).route is None
    router.add_utterances("refund", ["gimme cash"])
    assert router.route("gimme cash", allowed=choices).route == "refund"
    router.remove_route("refund")
    assert {c.route for c in router.route("gimme cash", allowed=choices).candidates} == {"parcel", "weather"}


def test_queries_of_one_batch_choose_among_their_own_choices_even_if_nobody_keeps_what_was_merged(router, monkeypatch):
    """Told apart by the address of a snapshot that was freed, one query was decided among another's choices."""
    monkeypatch.setattr(PreparedChoices, "_last", property(lambda _: None, lambda *_: None), raising=False)
    each = [router.choices((), [Route(f"only{number}", ["a text"])]) for number in range(40)]
    answers = router.route_each(["a text"] * 40, options=[RouteOptions(allowed=choices) for choices in each])
    assert [decision.route for decision in answers] == [f"only{number}" for number in range(40)]


def test_the_texts_of_choices_are_encoded_once(router):
    extra = [Route("weather", ["will it rain tomorrow", "is it sunny"]), Route("again", ["is it sunny"])]
    for _ in range(3):
        router.choices(["refund"], extra)
    assert router.encoder.seen.count("is it sunny") == 1


def test_choices_without_routes_of_their_own_are_only_names(router):
    choices = router.choices(["refund"])
    assert router.route("where is my parcel", allowed=choices) == router.route("where is my parcel", allowed=["refund"])


def test_choices_that_cannot_be_are_refused(router):
    with pytest.raises(RouteNotFoundError):
        router.choices(["nowhere"])
    with pytest.raises(ConfigurationError, match="two of the choices are named 'refund'"):
        router.choices(["refund"], [Route("refund", ["x"])])


async def test_choices_of_nothing_but_new_routes_need_no_stored_ones():
    async with AdaptiveRouter(encoder=HashingEncoder(), config=RouterConfig(threshold=0.3)) as router:
        choices = await router.achoices(extra=[Route("a", ["red apples"]), Route("b", ["blue boats"])])
        assert (await router.aroute("apples", allowed=choices)).route == "a"
        assert router.explain("boats", allowed=choices).neighbours[0].route == "b"


# --- vectors of the caller's -------------------------------------------------------------------------


def test_a_vector_that_the_caller_has_is_not_made_again(router):
    plain = router.route("please refund me now")
    vector = HashingEncoder().encode(["please refund me today"])[0]
    router.encoder.seen.clear()
    given = router.route("please refund me today", vector=vector)
    assert router.encoder.seen == []
    assert given == router.route("please refund me today")
    assert plain.route == given.route == "refund"


def test_a_vector_of_one_caller_is_not_remembered_for_others(router):
    other = HashingEncoder().encode(["where is my parcel"])[0]
    assert router.route("i want money", vector=other).candidates[0].route == "parcel"
    assert router.route("i want money").candidates[0].route == "refund"
    assert router.route("i want money", vector=other.tolist()).candidates[0].route == "refund"


@pytest.mark.parametrize("vector", [[1.0], [[1.0] * 256], [0.0] * 256, [float("nan")] * 256, "text", [None] * 256])
def test_a_vector_that_is_none_of_the_encoders_is_refused(router, vector):
    with pytest.raises(ConfigurationError, match="vector"):
        router.route("x", vector=vector)
