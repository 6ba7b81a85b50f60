"""Choices without a registered route: known by name and description, encoded once, never stored."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.tools import FunctionTool, ToolMetadata

from synaptoroute_core import AdaptiveRouter, ConfigurationError, NoRouteError, Route
from synaptoroute_integrations.llamaindex import SemanticRouteSelector
from synaptoroute_integrations.llamaindex.choices import OFFERS_KEPT
from synaptoroute_integrations.llamaindex.phrasing import clauses, internal_name, phrases

CHOICES = [
    ToolMetadata("Planning and taking trips: flights, hotels, car rental, luggage and visas.", "travel & trips"),
    ToolMetadata("Cooking and eating out: recipes, ingredients and restaurant reservations.", "kitchen"),
    ToolMetadata("Everyday banking: account balances, transfers, bills and fraud."),
]


class Counting:
    """The bundled encoder, counting the texts it is given."""

    batch_invariant = True

    def __init__(self, encoder):
        self._encoder, self.dim, self.fingerprint = encoder, encoder.dim, encoder.fingerprint
        self.texts = []

    def encode(self, texts):
        self.texts.extend(texts)
        return self._encoder.encode(texts)


@pytest.fixture
def counting(bundled):
    return Counting(bundled)


def test_choices_are_selected_by_what_they_say_of_themselves(bundled):
    with SemanticRouteSelector.from_choices(CHOICES, encoder=bundled) as selector:
        for position, text in enumerate(["book me a flight to Rome", "a recipe for pancakes", "what is my balance"]):
            (selection,) = selector.select(CHOICES, text).selections
            assert (selection.index, selection.zero_shot) == (position, True)
            assert "zero-shot" in selection.reason
            assert selection.threshold == 0.35
        with pytest.raises(NoRouteError):
            selector.select(CHOICES, "who won the chess championship in 1972")


def test_descriptions_are_encoded_once_and_then_only_the_query(counting):
    with SemanticRouteSelector.from_choices(CHOICES, encoder=counting, fallback="best") as selector:
        counting.texts.clear()
        texts = [f"flight number {number}" for number in range(20)]
        for text in texts:
            selector.select(CHOICES, text)
        assert counting.texts == texts


def test_many_callers_with_the_same_new_choices_encode_them_once(counting):
    with AdaptiveRouter(encoder=counting) as router:
        selector = SemanticRouteSelector(router, fallback="best")

        async def ask():
            await asyncio.gather(*[selector.aselect(CHOICES, "a hotel") for _ in range(50)])

        asyncio.run(ask())
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: selector.select(CHOICES, "a hotel"), range(50)))
        descriptions = {"Cooking", "recipes", "flights", "hotels", "bills", "fraud"}
        assert [counting.texts.count(part) for part in descriptions] == [1] * len(descriptions)


def test_zero_shot_choices_are_never_stored(bundled, tmp_path):
    store = tmp_path / "routes.sqlite"
    with AdaptiveRouter([Route("kitchen", ["a recipe for pancakes"])], encoder=bundled, store=store) as router:
        revision = router.revision
        result = SemanticRouteSelector(router).select(CHOICES, "book me a flight to Rome")
        assert (result.ind, list(router.routes), router.revision) == (0, ["kitchen"], revision)
    with AdaptiveRouter(encoder=bundled, store=store) as router:
        assert list(router.routes) == ["kitchen"]


def test_registered_and_zero_shot_choices_stand_beside_each_other_each_with_its_threshold(bundled):
    with AdaptiveRouter([Route("kitchen", ["a recipe for pancakes"], threshold=0.6)], encoder=bundled) as router:
        selector = SemanticRouteSelector(router, mode="multi", zero_shot_threshold=-1)
        result = selector.select(CHOICES, "a recipe for pancakes")
        found = {selection.index: (selection.zero_shot, selection.threshold) for selection in result.selections}
        assert found == {1: (False, 0.6), 0: (True, -1.0), 2: (True, -1.0)}


def test_what_is_remembered_is_bounded(hashing):
    with AdaptiveRouter(encoder=hashing) as router:
        selector = SemanticRouteSelector(router, fallback="best")
        for number in range(OFFERS_KEPT + 20):
            selector.select([f"choice {number}", "another"], "choice")
        assert len(selector._offers) == OFFERS_KEPT


def test_examples_of_what_users_say_make_registered_routes(bundled):
    utterances = {
        "travel & trips": ["get me to Rome", "a room for two nights"],
        CHOICES[2].description: ["how much do I have"],
    }
    with SemanticRouteSelector.from_choices(CHOICES, encoder=bundled, utterances=utterances) as selector:
        kinds = [selector.select(CHOICES, text).selections[0] for text in ("get me to Rome", "how much do I have")]
        assert [(kind.index, kind.zero_shot) for kind in kinds] == [(0, False), (2, False)]
        assert selector.select(CHOICES, "a recipe for pancakes").selections[0].zero_shot


def test_a_name_that_must_be_changed_does_not_become_another_choices(bundled):
    choices = [ToolMetadata("the same", "a b"), ToolMetadata("the same", "a_b")]
    with SemanticRouteSelector.from_choices(choices, encoder=bundled, utterances={"a b": ["fly"]}) as selector:
        assert selector.select(choices, "fly").ind == 0


def test_utterances_for_a_choice_that_is_not_there_are_refused():
    with pytest.raises(ConfigurationError, match="'kichen', which is not among the choices"):
        SemanticRouteSelector.from_choices(CHOICES, utterances={"kichen": ["bake"]})


async def test_without_a_router_every_choice_is_zero_shot():
    async with SemanticRouteSelector.from_defaults(fallback="best") as selector:
        assert (await selector.aselect(CHOICES, "a recipe for pancakes")).ind == 1


def test_closing_leaves_a_router_alone_that_is_somebody_elses(router):
    with SemanticRouteSelector(router):
        pass
    assert router.route("where is my order")


# --- phrasing -------------------------------------------------------------------------------------


def test_a_description_is_cut_into_clauses():
    assert clauses("Changing the name, email, or other details; and more.") == [
        "Changing the name",
        "email",
        "other details",
        "more",
    ]
    assert clauses("... --- !") == []
    assert clauses("Use v1.5, not 1.4") == ["Use v1.5", "not 1.4"]


def test_name_and_clauses_become_utterances():
    assert phrases("creditCards", "Limits and rewards.") == [
        "credit Cards: Limits and rewards.",
        "Limits",
        "rewards",
        "credit Cards: Limits",
        "credit Cards: rewards",
    ]
    assert phrases("roll_dice", "") == ["roll dice"]
    assert phrases(None, "Rolls dice") == ["Rolls dice", "Rolls dice"]
    assert len(phrases("long", "a, " * 10_000)) == 65


def test_the_signature_that_llamaindex_puts_before_a_docstring_is_left_out():
    def weather(city: str, days: int = 1) -> str:
        """Forecasts rain and wind."""

    metadata = FunctionTool.from_defaults(weather).metadata
    assert metadata.description.startswith("weather(city")
    assert phrases(metadata.name, metadata.description)[:3] == [
        "weather: Forecasts rain and wind.",
        "Forecasts rain",
        "wind",
    ]


@pytest.mark.parametrize("name", [None, "", "___"])
def test_a_choice_without_a_word_is_refused(router, name):
    with pytest.raises(ConfigurationError, match="nothing to go by"):
        SemanticRouteSelector(router).select([ToolMetadata("", name), "x"], "hello")


def test_any_name_becomes_a_valid_route_name_of_its_own():
    taken = {"a_b"}
    assert internal_name("a b", "", taken) == "a_b-2"
    assert internal_name("a/b", "", taken) == "a_b-3"
    assert internal_name("🎲", "", taken) == "choice"
    assert internal_name(None, "What is it? " * 50, taken).startswith("What_is_it_")
