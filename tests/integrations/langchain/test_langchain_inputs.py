"""Where the query is found in what LangChain and LangGraph hand over."""

import dataclasses
import enum
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from probes_langchain import CANCEL, ORDER, WEATHER
from pydantic import BaseModel

from synaptoroute_core import ConfigurationError, InvalidTextError
from synaptoroute_integrations.langchain import RunnableSemanticRouter
from synaptoroute_integrations.langchain.inputs import InputReader

IMAGE = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
TALK = [
    SystemMessage("you cancel orders"),
    HumanMessage(WEATHER),
    AIMessage("sunny"),
    HumanMessage(ORDER),
    AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}]),
    ToolMessage("please cancel my order", tool_call_id="1"),
]


class Topic(str, enum.Enum):  # noqa: UP042  # str() of such a member is not its value
    ORDER = ORDER


@dataclasses.dataclass
class DataclassState:
    messages: list[Any]
    note: str = CANCEL


class ModelState(BaseModel):
    messages: list[Any]
    query: str | None = None


INPUTS = {
    "string": ORDER,
    "member of an enumeration": Topic.ORDER,
    "message": HumanMessage(ORDER),
    "answer of a model": AIMessage(ORDER),
    "content blocks": HumanMessage([{"type": "text", "text": ORDER}, IMAGE]),
    "messages": TALK,
    "tuple of messages": tuple(TALK),
    "role and text": ("user", ORDER),
    "roles and texts": [("system", "you cancel orders"), ("human", ORDER), ("ai", "hm")],
    "message dict": {"role": "user", "content": ORDER},
    "message dicts": [{"role": "user", "content": ORDER}, {"role": "assistant", "content": "hm"}],
    "chat message": [ChatMessage(role="user", content=ORDER), ChatMessage(role="critic", content=CANCEL)],
    "prompt value": PromptTemplate.from_template("{x}").invoke({"x": ORDER}),
    "chat prompt value": ChatPromptTemplate([("system", CANCEL), ("human", "{x}")]).invoke({"x": ORDER}),
    "state as dict": {"messages": TALK, "note": CANCEL},
    "state as dataclass": DataclassState(TALK),
    "state as pydantic model": ModelState(messages=TALK),
    "dict with input": {"input": ORDER, "history": [CANCEL]},
    "dict with query": {"query": ORDER},
    "dict with question": {"question": HumanMessage(ORDER)},
    "dict with text": {"text": ORDER},
}


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
def test_the_query_is_found(step, given):
    assert step.invoke(given) == step.invoke(ORDER)


@pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS)
def test_the_text_is_a_plain_string(given):
    assert type(InputReader(None, None).text(given)) is str


async def test_kinds_may_be_mixed_in_a_batch(step):
    expected = [step.invoke(ORDER)] * len(INPUTS)
    assert step.batch(list(INPUTS.values())) == expected
    assert await step.abatch(list(INPUTS.values())) == expected


def test_a_key_says_where_the_query_is(engine):
    step = RunnableSemanticRouter(engine, input_key="note")
    assert step.invoke({"messages": TALK, "note": ORDER}).route == "order_status"
    assert step.invoke({"note": TALK}).route == "order_status"
    assert step.invoke(DataclassState(TALK)).route == "cancel_order"
    assert step.invoke(ORDER).route == "order_status"
    with pytest.raises(TypeError, match=r"has no 'note', which is the input_key; it has: 'messages', 'query'"):
        step.invoke(ModelState(messages=TALK))


def test_a_function_finds_the_query_in_anything_else(engine):
    step = RunnableSemanticRouter(engine, input_fn=lambda order: order["lines"][0])
    assert step.invoke({"lines": [ORDER, CANCEL]}).route == "order_status"
    assert RunnableSemanticRouter(engine, input_fn=lambda _: TALK).invoke(7).route == "order_status"
    with pytest.raises(KeyError):
        step.invoke({})


def test_a_coroutine_function_is_refused(engine):
    async def find(given):
        return given

    with pytest.raises(ConfigurationError, match="coroutine"):
        RunnableSemanticRouter(engine, input_fn=find)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, r"cannot find a query in int: .*input_key"),
        (None, "cannot find a query in NoneType"),
        (b"where is my order", "cannot find a query in bytes"),
        ({"input": ORDER, "query": CANCEL}, r"could be 'input' or 'query'\. Say which with input_key="),
        ({"messages": TALK, "question": ORDER}, "'messages' or 'question'"),
        ({"user_text": ORDER}, r"it has: 'user_text'\. Say which with input_key"),
        ({}, "it has: nothing"),
        ({"input": {"text": ORDER}}, "cannot find a query in dict"),
        ([ORDER, CANCEL], r"list of 2 strings: use batch\(\)"),
        ([3], "a list of messages holds int"),
        ([{"text": ORDER}], "a list of messages holds dict"),
    ],
)
def test_what_is_not_understood_is_named_with_the_remedy(step, given, message):
    with pytest.raises(TypeError, match=message) as raised:
        step.invoke(given)
    assert ORDER not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([AIMessage("hello"), SystemMessage("x")], "no human message to route by, only: ai, system"),
        ({"messages": []}, "only: no messages at all"),
        (HumanMessage([IMAGE]), "the human message has no text to route by, only: image"),
        ([HumanMessage(ORDER), HumanMessage([IMAGE])], "only: image"),
        (HumanMessage("  "), "it is empty"),
        ("  ", "blank"),
    ],
)
def test_a_message_without_text_to_route_by_is_a_clear_error(step, given, message):
    with pytest.raises(InvalidTextError, match=message):
        step.invoke(given)
