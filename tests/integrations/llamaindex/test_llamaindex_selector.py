"""The selector: which choice it selects, and that this is what the router says."""

import asyncio
import pickle
import random

import pytest
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import ToolMetadata

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    HashingEncoder,
    InvalidTextError,
    NoRouteError,
    Route,
    RouteNotFoundError,
    RouterConfig,
)
from synaptoroute_integrations.llamaindex import SemanticRouteSelector, SemanticSelection, SemanticSelectorResult

REFUND, ORDER = "when do I get my money back for the return", "where is my order"
OUTSIDE = "what will the weather be on Sunday"


def variations(examples, count):
    """Queries made of the samples, in ways that users write them."""
    chooser = random.Random(7)
    forms = [str, str.lower, str.upper, "hello, {}".format, "{} please".format, "{}??".format, "  {}\n".format]
    return [chooser.choice(forms)(chooser.choice(examples)[0]) for _ in range(count)]


@pytest.fixture(scope="module")
def best(router):
    return SemanticRouteSelector(router, fallback="best")


# --- conformance ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_sync_async_and_the_router_agree_on_five_hundred_queries(router, tools, support_examples, mode):
    selector = SemanticRouteSelector(router, mode=mode)
    texts = variations(support_examples, 500)
    names = [tool.name for tool in tools]

    def outcome(result):
        return result if isinstance(result, NoRouteError) else [(s.index, s.score, s.margin) for s in result.selections]

    def select(text):
        try:
            return selector.select(tools, text)
        except NoRouteError as error:
            return error

    async def all_at_once():
        return await asyncio.gather(*[selector.aselect(tools, text) for text in texts], return_exceptions=True)

    one_by_one, at_once = [select(text) for text in texts], asyncio.run(all_at_once())
    for text, first, second in zip(texts, one_by_one, at_once, strict=True):
        if isinstance(first, NoRouteError):
            assert isinstance(second, NoRouteError)
            assert first.decision == second.decision
        else:
            assert outcome(first) == outcome(second)
        if mode == "single":
            decision = router.route(text)
            found = None if isinstance(first, NoRouteError) else names[first.ind]
            assert (found, first.decision.score) == (decision.route, decision.score)


def test_indices_are_valid_and_at_least_one_whatever_is_asked(best, tools, support_examples):
    for count in (1, 2, 5, 14):
        for text in variations(support_examples, 40):
            result = best.select(tools[:count], text)
            assert result.inds
            assert all(type(index) is int and 0 <= index < count for index in result.inds)


def test_it_is_a_selector_with_no_prompts_of_its_own(best):
    assert isinstance(best, BaseSelector)
    assert best.get_prompts() == {}
    best.update_prompts({})


def test_the_choice_is_restricted_before_the_best_is_taken(router, tools):
    """The best of all routes is not offered: the best of those offered is found, not an error raised."""
    selector = SemanticRouteSelector(router, fallback="best")
    first = selector.select(tools, REFUND)
    others = [tool for tool in tools if tool.name != tools[first.ind].name]
    second = selector.select(others, REFUND)
    assert others[second.ind].name == first.decision.candidates[1].route
    assert second.decision.score == first.decision.candidates[1].score


def test_no_choices_are_refused(best):
    with pytest.raises(ConfigurationError, match="no choices"):
        best.select([], "hello")


def test_a_blank_query_is_refused(best, tools):
    with pytest.raises(InvalidTextError):
        best.select(tools, "  ")


# --- which route stands for a choice --------------------------------------------------------------


def test_a_choice_is_known_by_name_alias_or_description(router, support_routes):
    refund = next(route for route in support_routes if route.name == "refund_status")
    ways = [
        ToolMetadata(description="whatever", name="refund_status"),
        ToolMetadata(description="whatever", name="Money Back!"),
        ToolMetadata(description=refund.description, name=None),
        ToolMetadata(description="refund_status", name=None),
        refund.description,
        "refund_status",
        "Money Back!",
    ]
    selector = SemanticRouteSelector(router, aliases={"Money Back!": "refund_status"})
    for choice in ways:
        (selection,) = selector.select(["order_status", choice], REFUND).selections
        assert (selection.index, selection.route, selection.zero_shot) == (1, "refund_status", False)


def test_two_choices_for_one_route_are_refused(router):
    with pytest.raises(ConfigurationError, match="choices 0 and 1 both stand for the route 'refund_status'"):
        SemanticRouteSelector(router, aliases={"b": "refund_status"}).select(["refund_status", "b"], REFUND)


def test_a_description_of_two_routes_is_refused(hashing):
    routes = [Route(name, [f"say {name}"], description="the same") for name in "ab"]
    with AdaptiveRouter(routes, encoder=hashing) as router:
        with pytest.raises(ConfigurationError, match="belongs to the routes 'a' and 'b'"):
            SemanticRouteSelector(router).select(["the same", "c"], "say a")
        # Named after one of them, it is clear which is meant.
        assert SemanticRouteSelector(router).select([ToolMetadata("the same", "b"), "a"], "say b").ind == 0


@pytest.mark.parametrize("twice", [["the same", "the same"], [ToolMetadata("x", "t"), ToolMetadata("y", "t")]])
def test_choices_that_cannot_be_told_apart_are_refused(router, twice):
    with pytest.raises(ConfigurationError, match="cannot be told"):
        SemanticRouteSelector(router).select(twice, "hello")


def test_an_alias_to_a_route_that_is_not_there_is_refused(router):
    with pytest.raises(RouteNotFoundError):
        SemanticRouteSelector(router, aliases={"a": "nowhere"}).select(["a", "b"], "hello")


def test_edited_routes_are_followed(hashing):
    with AdaptiveRouter([Route("a", ["one"]), Route("b", ["two"])], encoder=hashing) as router:
        selector = SemanticRouteSelector(router)
        choices = [ToolMetadata("c", "c"), ToolMetadata("b", "b"), ToolMetadata("a", "a")]
        router.add_utterances("a", ["three little pigs"])
        assert selector.select(choices, "three little pigs").ind == 2
        router.add_route(Route("c", ["a zero-shot choice gets a route"]))
        (selection,) = selector.select(choices, "a zero-shot choice gets a route").selections
        assert (selection.index, selection.zero_shot) == (0, False)
        router.remove_route("c")
        with pytest.raises(NoRouteError):
            selector.select(choices, "a zero-shot choice gets a route")


# --- single and multi -----------------------------------------------------------------------------


def test_multi_selects_all_that_pass_best_first(router, tools):
    text = "I was sent the wrong item and want to return it for a refund"
    result = SemanticRouteSelector(router, mode="multi", threshold=0.4).select(tools, text)
    assert len(result.inds) > 1
    scores = [selection.score for selection in result.selections]
    assert scores == sorted(scores, reverse=True)
    passing = [c.route for c in result.decision.candidates if c.score >= 0.4]
    assert [tools[index].name for index in result.inds] == passing
    limited = SemanticRouteSelector(router, mode="multi", threshold=0.4, max_outputs=1).select(tools, text)
    assert limited.inds == result.inds[:1]


def test_multi_takes_what_single_calls_ambiguous(hashing):
    routes = [Route(name, ["the very same words"]) for name in "ab"]
    with AdaptiveRouter(routes, encoder=hashing) as router:
        with pytest.raises(NoRouteError) as caught:
            SemanticRouteSelector(router).select(["a", "b"], "the very same words")
        assert caught.value.decision.reason == "ambiguous"
        assert SemanticRouteSelector(router, mode="multi").select(["a", "b"], "the very same words").inds == [0, 1]


def test_multi_goes_by_the_threshold_of_each_route(hashing):
    """The best may fail its own high threshold where the second passes a lower one."""
    routes = [Route("a", ["red green blue"], threshold=0.99), Route("b", ["red green"], threshold=0.1)]
    with AdaptiveRouter(routes, encoder=hashing) as router:
        assert SemanticRouteSelector(router, mode="multi").select(["a", "b"], "red green blue black").inds == [1]


# --- no match -------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"fallback": None}, {"fallback": "raise"}])
def test_without_a_fallback_no_match_raises_with_the_decision(router, tools, settings):
    with pytest.raises(NoRouteError) as caught:
        SemanticRouteSelector(router, **settings).select(tools, OUTSIDE)
    assert caught.value.decision.reason == "below_threshold"


def test_best_takes_the_best_candidate_all_the_same(best, tools):
    result = best.select(tools, OUTSIDE)
    assert tools[result.ind].name == result.decision.candidates[0].route
    assert result.fallback == "best"
    assert result.reason.startswith("fallback to best: below_threshold")


@pytest.mark.parametrize("fallback", ["talk_to_human", 13])
def test_a_choice_to_fall_back_to(router, tools, fallback):
    selector = SemanticRouteSelector(router, fallback=fallback)
    result = selector.select(tools, OUTSIDE)
    assert tools[result.ind].name == "talk_to_human"
    assert not result.decision
    assert tools[selector.select(tools, ORDER).ind].name == "order_status"


@pytest.mark.parametrize("fallback", ["nobody", 14])
def test_a_fallback_that_is_not_offered_is_refused_at_the_first_query(router, tools, fallback):
    with pytest.raises(ConfigurationError, match=f"the fallback {fallback!r} is not"):
        SemanticRouteSelector(router, fallback=fallback).select(tools, ORDER)


def test_a_choice_named_like_a_policy_is_reached_by_its_position(router):
    choices = ["order_status", ToolMetadata("Anything about the sea", "raise")]
    with pytest.raises(NoRouteError):
        SemanticRouteSelector(router, fallback="raise").select(choices, OUTSIDE)
    assert SemanticRouteSelector(router, fallback=1).select(choices, OUTSIDE).ind == 1


class Fixed(BaseSelector):
    """Another selector that gives a fixed result."""

    def __init__(self, *indices):
        self.indices, self.asked = indices, 0

    def _get_prompts(self):
        return {}

    def _update_prompts(self, prompts_dict):
        pass

    def _select(self, choices, query):
        self.asked += 1
        return SelectorResult(selections=[SingleSelection(index=index, reason="fixed") for index in self.indices])

    async def _aselect(self, choices, query):
        return self._select(choices, query)


async def test_another_selector_is_asked_only_when_unsure(router, tools):
    other = Fixed(3)
    selector = SemanticRouteSelector(router, fallback=other)
    assert tools[selector.select(tools, ORDER).ind].name == "order_status"
    assert other.asked == 0
    for result in (selector.select(tools, OUTSIDE), await selector.aselect(tools, OUTSIDE)):
        assert (result.ind, result.reason, result.fallback) == (3, "fixed", "Fixed")
        assert result.decision.reason == "below_threshold"
    assert other.asked == 2


@pytest.mark.parametrize("indices", [(), (-1,), (14,), (0, 99)])
async def test_an_unusable_answer_of_another_selector_never_comes_out(router, tools, indices):
    selector = SemanticRouteSelector(router, fallback=Fixed(*indices))
    with pytest.raises(NoRouteError, match="the fallback Fixed selected"):
        selector.select(tools, OUTSIDE)
    with pytest.raises(NoRouteError, match="of 14 choices"):
        await selector.aselect(tools, OUTSIDE)


# --- results --------------------------------------------------------------------------------------


def test_the_result_carries_the_figures_and_keeps_them_when_dumped(best, tools):
    result = best.select(tools, ORDER)
    assert isinstance(result, SemanticSelectorResult)
    (selection,) = result.selections
    assert isinstance(selection, SemanticSelection)
    decision = result.decision
    figures = (selection.score, selection.threshold, selection.margin)
    assert figures == (decision.score, decision.threshold, decision.margin)
    for figure in figures:
        assert f"{figure:.2f}" in selection.reason
    dumped = result.model_dump()
    assert dumped["selections"][0]["score"] == decision.score
    assert dumped["decision"]["route"] == "order_status"
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "both"},
        {"max_outputs": 2},
        {"mode": "multi", "max_outputs": 0},
        {"mode": "multi", "min_margin": 0.1},
        {"threshold": 2},
        {"min_margin": -1},
        {"zero_shot_threshold": "high"},
        {"threshold": 0.5, "zero_shot_threshold": 0.3},
        {"fallback": -1},
        {"fallback": True},
        {"fallback": 1.5},
    ],
)
def test_settings_that_make_no_sense_are_refused(router, settings):
    with pytest.raises(ConfigurationError):
        SemanticRouteSelector(router, **settings)


def test_threshold_and_margin_of_the_call_stand_in_the_place_of_the_routers(router, tools):
    with pytest.raises(NoRouteError):
        SemanticRouteSelector(router, threshold=0.99).select(tools, "where is my parcel, pray")
    assert SemanticRouteSelector(router, threshold=-1, min_margin=0).select(tools, OUTSIDE).decision


def test_a_pickled_selector_opens_its_router_anew(bundled, support_routes, tools):
    with AdaptiveRouter(support_routes[:2], encoder=bundled, config=RouterConfig(workers=1)) as router:
        selector = SemanticRouteSelector(router, fallback=1)
        before = selector.select(tools[:2], ORDER)
        copy = pickle.loads(pickle.dumps(selector))
        with copy.router:
            assert copy.select(tools[:2], ORDER).selections == before.selections


# --- the query's own embedding --------------------------------------------------------------------


@pytest.fixture
def encoded(router):
    """How many texts the router has encoded since."""
    before = router.stats().encoded
    return lambda: router.stats().encoded - before


def test_an_embedding_of_an_equal_encoder_is_used(router, tools, embedding, encoded):
    selector = SemanticRouteSelector(router, fallback="best", query_embed_model=embedding)
    text = "has the courier lost my package somewhere"
    vector = embedding.get_query_embedding(text)
    result = selector.select(tools, QueryBundle(text, embedding=vector))
    assert encoded() == 0
    assert result.decision == SemanticRouteSelector(router, fallback="best").select(tools, text).decision


@pytest.mark.parametrize("fault", ["not told", "another encoder", "dimension", "nan", "zero", "custom strings"])
def test_an_embedding_that_may_be_another_is_not_used(router, tools, embedding, encoded, fault):
    text = f"my parcel went astray, it seems: {fault}"
    vector = embedding.get_query_embedding("please delete my account")
    model = embedding
    strings = None
    if fault == "not told":
        model = None
    elif fault == "another encoder":
        model = type(embedding)(HashingEncoder())
    elif fault == "custom strings":
        strings = ["something else"]
    else:
        vector = {"dimension": vector[:-1], "nan": [float("nan"), *vector[1:]], "zero": [0.0] * len(vector)}[fault]
    selector = SemanticRouteSelector(router, fallback="best", query_embed_model=model)
    result = selector.select(tools, QueryBundle(text, embedding=vector, custom_embedding_strs=strings))
    assert encoded() == 1
    assert result.decision.score == router.route(text).score
