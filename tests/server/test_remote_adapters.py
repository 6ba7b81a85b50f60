"""A router elsewhere in the place of an engine: LangChain, LangGraph, agents and LlamaIndex over real HTTP."""

import asyncio
from typing import TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, StateGraph
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.retrievers import RouterRetriever
from llama_index.core.tools import FunctionTool, QueryEngineTool, RetrieverTool, ToolMetadata

from synaptoroute_core import ConfigurationError, NoRouteError, Route
from synaptoroute_integrations.agents import SemanticRoutingMiddleware, SemanticToolSelectorMiddleware
from synaptoroute_integrations.langchain import RunnableSemanticRouter
from synaptoroute_integrations.langgraph import route_edge, route_node
from synaptoroute_integrations.llamaindex import SemanticRouteSelector, SemanticToolRetriever, SynaptoRouteEmbedding

ORDER, REFUND, OUTSIDE = "where is my order", "when do I get my refund", "sing me a song about pirates"


@pytest.fixture
def requests(served, remote):
    """What the client asks the service from now on."""
    asked = []

    class Noting:
        async def __call__(self, scope, receive, send):
            if scope["type"] == "http":
                asked.append((scope["method"], scope["path"]))
            await inner(scope, receive, send)

    inner = served.app.middleware_stack
    served.app.middleware_stack = Noting()
    return asked


# --- LangChain and LangGraph -----------------------------------------------------------------------


async def test_a_runnable_answers_in_every_way(remote, local, support_examples):
    step, twin = RunnableSemanticRouter(remote), RunnableSemanticRouter(local)
    texts = [text for text, _ in support_examples]
    expected = twin.batch(texts)
    assert await asyncio.to_thread(step.invoke, texts[0]) == expected[0]
    assert await asyncio.to_thread(step.batch, texts) == expected
    assert await asyncio.to_thread(step.batch, texts, {"max_concurrency": 10}) == expected
    assert await step.ainvoke(texts[0]) == expected[0]
    assert await step.abatch(texts) == expected
    assert await asyncio.gather(*map(step.ainvoke, texts)) == expected
    config = {"configurable": {"allowed": ["refund_status"], "threshold": 0.1}}
    assert await step.ainvoke("my money", config) == twin.invoke("my money", config)
    await remote.aclose()


def test_one_bad_input_fails_alone(remote):
    good, blank, unknown = RunnableSemanticRouter(remote).batch(
        [ORDER, " ", ORDER], [{}, {}, {"configurable": {"allowed": ["nowhere"]}}], return_exceptions=True
    )
    assert good.route == "order_status"
    assert type(blank).__name__ == "InvalidTextError"
    assert type(unknown).__name__ == "RouteNotFoundError"


def test_what_is_no_router_is_refused():
    for make in (RunnableSemanticRouter, SemanticRouteSelector, SemanticToolSelectorMiddleware):
        with pytest.raises(ConfigurationError, match="give an AdaptiveRouter or a RemoteRouter"):
            make("http://localhost:8000")


class State(TypedDict, total=False):
    text: str
    route: dict
    done: str


def test_a_graph_branches_by_it(remote):
    graph = StateGraph(State)
    graph.add_node("classify", route_node(remote))
    graph.add_node("order_status", lambda state: {"done": "order"})
    graph.add_node("agent", lambda state: {"done": "agent"})
    graph.add_edge(START, "classify")
    graph.add_conditional_edges("classify", *route_edge(remote, ["order_status"], default="agent"))
    graph.add_edge("order_status", END)
    graph.add_edge("agent", END)
    app = graph.compile()
    outcome = app.invoke({"text": ORDER})
    assert (outcome["done"], outcome["route"]["route"]) == ("order", "order_status")
    assert app.invoke({"text": OUTSIDE})["done"] == "agent"


# --- agents ----------------------------------------------------------------------------------------


class ToolTakingModel(GenericFakeChatModel):
    """Says the same each time and keeps which tools it was offered."""

    offered: list = []  # noqa: RUF012  # pydantic copies it

    def bind_tools(self, tools, **kwargs):
        self.offered.append(sorted(tool.name for tool in tools))
        return self


def talkative():
    return ToolTakingModel(messages=(AIMessage("as the model says") for _ in range(9)))


def test_middleware_answers_what_matches(remote):
    agent = create_agent(
        talkative(), [], middleware=[SemanticRoutingMiddleware(remote, {"order_status": "On its way."})]
    )
    assert agent.invoke({"messages": [("user", ORDER)]})["messages"][-1].content == "On its way."
    assert agent.invoke({"messages": [("user", OUTSIDE)]})["messages"][-1].content == "as the model says"


async def test_middleware_offers_tools_with_and_without_routes_and_asks_once_a_turn(remote, local, requests):
    def tool(name, description):
        return StructuredTool.from_function(lambda: "done", name=name, description=description)

    tools = [tool("order_status", "Look up an order"), tool("get_weather", "Get the weather forecast of a city")]
    model = talkative()
    agent = create_agent(model, tools, middleware=[SemanticToolSelectorMiddleware(remote)])
    for text in (ORDER, "what will the weather in Oslo be like"):
        await agent.ainvoke({"messages": [("user", text)]})
    assert model.offered == [["order_status"], ["get_weather"]]
    requests.clear()
    await agent.ainvoke({"messages": [("user", ORDER)]})
    assert requests == [("POST", "/route")]
    await asyncio.to_thread(local.add_route, Route("get_weather", ["is it raining", "will it be sunny"]))
    for text in (ORDER, "is it raining today"):  # the first of them brings the news
        await agent.ainvoke({"messages": [("user", text)]})
    assert model.offered[-1] == ["get_weather"]
    await remote.aclose()


# --- LlamaIndex ------------------------------------------------------------------------------------

DOCUMENTS = {"order_status": "Parcels take three days.", "refund_status": "Refunds take five days."}
ZERO_SHOT = {"weather": "What the weather is like", "recipes": "How to cook a meal"}


@pytest.fixture
def embedding(bundled):
    return SynaptoRouteEmbedding(bundled)


@pytest.fixture
def indices(embedding):
    texts = {**DOCUMENTS, **ZERO_SHOT}
    return {
        name: VectorStoreIndex.from_documents([Document(text=text)], embed_model=embedding)
        for name, text in texts.items()
    }


def described(name):
    return ZERO_SHOT.get(name, f"About {name}")


async def test_a_retriever_is_selected_by_route_or_by_description(remote, local, indices):
    tools = [
        RetrieverTool.from_defaults(index.as_retriever(), name=name, description=described(name))
        for name, index in indices.items()
    ]
    retriever = RouterRetriever(SemanticRouteSelector(remote), tools, llm=MockLLM())
    twin = RouterRetriever(SemanticRouteSelector(local), tools, llm=MockLLM())
    for text in (ORDER, REFUND, "is the weather nice today", "how do I cook dinner"):
        found = await retriever.aretrieve(text)
        assert found[0].text == (await asyncio.to_thread(twin.retrieve, text))[0].text
        assert found[0].text == (await asyncio.to_thread(retriever.retrieve, text))[0].text
    with pytest.raises(NoRouteError):
        await retriever.aretrieve("zzz qqq xxx")
    await remote.aclose()


def test_a_query_engine_is_selected_and_an_embedded_query_is_encoded_there(remote, local, indices, embedding):
    tools = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=MockLLM()), name=name, description=described(name))
        for name, index in indices.items()
    ]
    selector = SemanticRouteSelector(remote, query_embed_model=embedding)
    response = RouterQueryEngine(selector, tools, llm=MockLLM()).query(REFUND)
    assert response.metadata["selector_result"].decision.route == "refund_status"
    assert response.source_nodes[0].text == DOCUMENTS["refund_status"]
    metadata = [tool.metadata for tool in tools]
    for mode in ("single", "multi"):
        there = SemanticRouteSelector(remote, mode=mode, fallback="best").select(metadata, ORDER)
        here = SemanticRouteSelector(local, mode=mode, fallback="best").select(metadata, ORDER)
        assert there.inds == here.inds
        assert there.decision == here.decision


async def test_choices_that_are_known_cost_one_request_a_query(remote, local, requests):
    choices = [ToolMetadata(description=described(name), name=name) for name in (*DOCUMENTS, *ZERO_SHOT)]
    selector = SemanticRouteSelector(remote)
    await selector.aselect(choices, ORDER)
    requests.clear()
    await selector.aselect(choices, REFUND)
    await asyncio.to_thread(selector.select, choices, ORDER)
    assert requests == [("POST", "/route")] * 2
    await asyncio.to_thread(local.add_route, Route("weather", ["is it raining", "will it be sunny"]))
    await selector.aselect(choices, ORDER)  # brings the news
    assert (await selector.aselect(choices, "is it raining today")).selections[0].zero_shot is False
    await remote.aclose()


def test_tools_are_retrieved_by_it(remote):
    tools = [
        FunctionTool.from_defaults(lambda: "done", name=name, description=described(name))
        for name in (*DOCUMENTS, *ZERO_SHOT)
    ]
    retriever = SemanticToolRetriever(SemanticRouteSelector(remote, mode="multi"), tools)
    assert [tool.metadata.name for tool in retriever.retrieve(REFUND)] == ["refund_status"]
    assert len(retriever.retrieve("zzz qqq xxx")) == len(tools)
