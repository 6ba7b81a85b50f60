"""The values that go in and out: checked where they are made, frozen from then on."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from synaptoroute_core import (
    Candidate,
    ConfigurationError,
    Decision,
    InvalidTextError,
    Neighbour,
    Receipt,
    Route,
    RouteQuality,
    SynaptoRouteError,
)
from synaptoroute_core.types import MAX_METADATA_BYTES, clean_name, clean_threshold

REFUND = Route("refund", ["I want my money back"])
BAD_THRESHOLDS = [math.nan, math.inf, -math.inf, 1.0000001, -1.5, 2, True, False, "high", [0.5]]


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "order_status", "v1.2-beta", "2024", "rückgabe", "退款", "заказ", "x" * 128])
def test_letters_digits_underscore_dot_and_hyphen_make_a_name(name):
    assert Route(name, ["hello"]).name == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a\n", "\na", "a\nb", "a\r", "a/b", "a\\b", "a:b", "a\x00", "a\u200b", "😀", "\ud800", "x" * 129],
)
def test_any_other_character_or_length_is_refused_as_a_name(name):
    with pytest.raises(ConfigurationError, match="cannot be a route's name: use 1 to 128 letters"):
        Route(name, ["hello"])


@pytest.mark.parametrize("name", [None, 404, True, b"refund", ["refund"]])
def test_a_name_that_is_not_a_string_is_refused(name):
    with pytest.raises(ConfigurationError, match="cannot be a route's name"):
        Route(name, ["hello"])


def test_a_refused_name_is_shown_with_its_invisible_characters_escaped():
    with pytest.raises(ConfigurationError, match=r"'refund\\n' cannot"):
        clean_name("refund\n")


# --- utterances --------------------------------------------------------------------------------


def test_utterances_are_stripped_and_keep_their_order():
    assert Route("a", [" zebra ", "apple\n", "mango"]).utterances == ("zebra", "apple", "mango")


def test_of_utterances_that_differ_in_case_or_spacing_the_first_is_kept():
    """A twin that was dropped only on reload once moved every later vector to another text."""
    route = Route("a", ["Where is it", "where  IS it", " where is it\n", "zebra", "Zebra"])
    assert route.utterances == ("Where is it", "zebra")


def test_utterances_may_come_from_any_iterable():
    assert Route("a", (text for text in ("one", "two"))).utterances == ("one", "two")
    assert Route("a", {"one": 1}.keys()).utterances == ("one",)


@pytest.mark.parametrize("texts", ["where is my order", b"where", {"where": 1}, None, 3])
def test_what_is_no_list_of_utterances_is_refused(texts):
    """A single string would otherwise become a route of letters."""
    with pytest.raises(ConfigurationError, match="utterances must be a list of strings, got"):
        Route("a", texts)


def test_a_route_without_utterances_is_refused():
    with pytest.raises(ConfigurationError, match="at least one utterance"):
        Route("a", [])


@pytest.mark.parametrize("bad", ["", "   ", "\u200b", None, 12, "x" * 16_385])
def test_one_bad_utterance_among_good_ones_is_refused(bad):
    """A blank utterance that got in once made a database unopenable."""
    with pytest.raises(InvalidTextError):
        Route("a", ["good", bad, "also good"])


def test_a_bad_utterance_is_named_in_the_message():
    with pytest.raises(InvalidTextError, match=r"an utterance must be a string, got int: 12345"):
        Route("a", ["good", 12345])


# --- thresholds --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, -1.0, 0, 0.62, 1, 1.0, np.float64(0.5)])
def test_a_number_from_minus_one_to_one_is_a_threshold(value):
    assert Route("a", ["x"], threshold=value).threshold == value
    assert clean_threshold(value) == value


def test_no_threshold_means_the_routers():
    assert Route("a", ["x"]).threshold is None
    assert clean_threshold(None) is None


@pytest.mark.parametrize("value", BAD_THRESHOLDS, ids=repr)
def test_anything_else_is_refused_as_the_threshold_of_a_new_route(value):
    """``threshold: yes`` in a YAML file would be 1.0, and the route would never be chosen again."""
    with pytest.raises(ConfigurationError) as caught:
        Route("a", ["x"], threshold=value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", BAD_THRESHOLDS, ids=repr)
def test_anything_else_is_refused_as_the_new_threshold_of_a_route(value):
    with pytest.raises(ConfigurationError, match="use a number from -1 to 1, or None") as caught:
        clean_threshold(value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(1), "0.5"], ids=repr)
def test_a_new_route_and_a_threshold_update_take_the_same_values(value):
    """Of doubtful values: both take it, or both refuse it."""
    outcomes = []
    for attempt in (lambda: Route("a", ["x"], threshold=value).threshold, lambda: clean_threshold(value)):
        try:
            outcomes.append(attempt())
        except ConfigurationError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


# --- description and metadata ------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 3, True, ["list"]])
def test_a_description_that_is_not_a_string_is_refused(value):
    with pytest.raises(ConfigurationError, match="description") as caught:
        Route("a", ["x"], description=value)
    assert repr(value) in str(caught.value)


def test_no_lone_surrogate_gets_through_to_storage():
    """Neither SQLite nor a file in UTF-8 can hold one: refuse it or replace it."""
    try:
        route = Route("a", ["x"], description="d\ud800", metadata={"key": "m\ud800"})
    except SynaptoRouteError:
        return
    assert route.description.encode()
    assert route.metadata["key"].encode()


def test_metadata_of_json_data_is_kept():
    data = {"tool": "refund_tool", "n": 3, "x": 1.5, "on": True, "none": None, "list": [1, {"deep": "é"}]}
    assert Route("a", ["x"], metadata=data).metadata == data


def test_metadata_is_not_the_callers_any_more():
    """A caller who went on using the dict once changed the live router with it."""
    data = {"tags": ["one"]}
    route = Route("a", ["x"], metadata=data)
    data["tags"].append("two")
    data["new"] = 1
    assert route.metadata == {"tags": ["one"]}


def test_utterances_are_not_the_callers_any_more():
    texts = ["one"]
    route = Route("a", texts)
    texts.append("two")
    assert route.utterances == ("one",)


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), b"x", math.nan, math.inf, {(1, 2): 3}],
    ids=["set", "object", "bytes", "nan", "inf", "key"],
)
def test_metadata_that_is_no_json_data_is_refused(value):
    with pytest.raises(ConfigurationError, match="metadata must be JSON data"):
        Route("a", ["x"], metadata={"deep": [value]})


@pytest.mark.parametrize("value", [[1], "text", 3])
def test_metadata_that_is_no_mapping_is_refused(value):
    with pytest.raises(ConfigurationError, match="metadata"):
        Route("a", ["x"], metadata=value)


def test_metadata_that_contains_itself_is_refused():
    data = {}
    data["self"] = data
    with pytest.raises(ConfigurationError, match="metadata must be JSON data"):
        Route("a", ["x"], metadata=data)


def test_metadata_nested_beyond_what_json_can_write_is_refused():
    with pytest.raises(ConfigurationError, match="metadata"):
        Route("a", ["x"], metadata={"deep": nested(100_000)})


def test_metadata_is_taken_up_to_its_limit_and_no_further():
    room = MAX_METADATA_BYTES - len(json.dumps({"k": ""}))
    assert len(Route("a", ["x"], metadata={"k": "v" * room}).metadata["k"]) == room
    with pytest.raises(ConfigurationError, match=r"metadata takes 16,385 bytes, the limit is 16,384"):
        Route("a", ["x"], metadata={"k": "v" * (room + 1)})


# --- values as values --------------------------------------------------------------------------


VALUES = [
    REFUND,
    Candidate(route="a", score=0.5, utterance="x"),
    Decision(route=None, reason="no_routes"),
    Receipt(revision=1, changed=2),
    Neighbour(route="a", utterance="x", similarity=0.5),
    RouteQuality(route="a", support=1, answered=1, precision=1.0, recall=1.0, f1=1.0),
]
ALL_VALUES = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


@ALL_VALUES
def test_no_field_can_be_set_or_deleted(value):
    for name in type(value).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, name, None)
        with pytest.raises(ValidationError, match="frozen"):
            delattr(value, name)


@ALL_VALUES
def test_no_field_can_be_added(value):
    with pytest.raises(ValidationError):
        value.extra = 1


@ALL_VALUES
def test_an_unknown_field_is_refused_with_its_name_and_value(value):
    fields = {name: getattr(value, name) for name in type(value).model_fields}
    with pytest.raises(ValueError, match="tresh") as caught:
        type(value).model_validate({**fields, "tresh": 0.7})
    assert "0.7" in str(caught.value)


@ALL_VALUES
def test_a_value_survives_copying_pickling_and_json(value):
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value
    assert type(value).model_validate_json(value.model_dump_json()) == value


@ALL_VALUES
def test_a_value_can_be_a_member_of_a_set(value):
    assert value in {value, copy.deepcopy(value)}


def test_routes_are_equal_when_all_they_say_is_equal():
    assert Route("refund", ["I want my money back"]) == REFUND
    assert Route("refund", ["I want my money back"], threshold=0.5) != REFUND


@pytest.mark.parametrize("reason", ["below_threshold", "ambiguous", "low_confidence", "no_routes"])
def test_an_abstention_is_false(reason):
    assert not Decision(route=None, reason=reason)


def test_a_choice_is_true():
    assert Decision(route="refund", reason="matched", score=0.9)


def test_a_reason_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="'default'"):
        Decision(route=None, reason="default")


names = st.text(st.characters(codec="utf-8"), max_size=130)


@given(names, st.lists(st.text(max_size=20), max_size=4), st.floats() | st.booleans() | st.none() | st.text(max_size=3))
def test_a_route_is_valid_or_refused_by_an_error_of_ours(name, texts, threshold):
    try:
        route = Route(name, texts, threshold=threshold)
    except SynaptoRouteError:
        return
    assert route.utterances
    assert all(text.strip() for text in route.utterances)
    assert 1 <= len(route.name) <= 128
    assert route.threshold is None or -1 <= route.threshold <= 1


def layered(depth: int) -> dict:
    found: dict = {}
    for _ in range(depth - 1):
        found = {"a": found}
    return found


def test_metadata_may_be_nested_as_deeply_as_every_serialiser_bears():
    """300 levels were accepted once, and the route could then be neither shown nor removed over HTTP."""
    route = Route("a", ["x"], metadata=layered(64))
    assert Route.model_validate_json(route.model_dump_json()) == route
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        Route("a", ["x"], metadata=layered(65))
