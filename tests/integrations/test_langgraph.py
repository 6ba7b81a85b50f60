"""Edges and nodes of real graphs, with the bundled model."""

import asyncio
import dataclasses
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Decision, NoRouteError, Route
from synaptoroute_integrations.langchain import RunnableSemanticRouter
from synaptoroute_integrations.langchain.outputs import plain
from synaptoroute_integrations.langgraph import NO_MATCH, command_node, follow_edge, route_edge, route_node

ROUTES = [
    Route("refund", ["I want my money back", "please refund me", "refund my order"]),
    Route("order_status", ["where is my parcel", "track my order", "has it been shipped yet"]),
    Route("weather", ["what's the weather like", "will it rain tomorrow"]),
]
ASKED = {"refund": "can I get a refund?", "order_status": "where is my package", "weather": "will it rain?"}
OUT = "write a poem about my cat"
PATHS = {"refund": "refunds", "order_status": "orders"}


@pytest.fixture(scope="module")
def router(bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled) as opened:
        yield opened


class TypedState(TypedDict, total=False):
    query: str
    route: dict[str, Any]
    visited: Annotated[list[str], operator.add]


@dataclasses.dataclass
class DataState:
    query: str = ""
    route: dict[str, Any] | None = None
    visited: Annotated[list[str], operator.add] = dataclasses.field(default_factory=list)


class PydanticState(BaseModel):
    query: str = ""
    route: dict[str, Any] | None = None
    visited: Annotated[list[str], operator.add] = []


class MessagesAndVisited(MessagesState, total=False):
    route: dict[str, Any]
    visited: Annotated[list[str], operator.add]


SCHEMAS = [TypedState, DataState, PydanticState, MessagesAndVisited]


def visit(name):
    return lambda state: {"visited": [name]}


def given(schema, text):
    return {"messages": [("user", text)]} if schema is MessagesAndVisited else {"query": text}


def nodes(schema, *names):
    graph = StateGraph(schema)
    for name in names:
        graph.add_node(name, visit(name))
    return graph


def edge_graph(router, schema, default="agent", **arguments):
    graph = nodes(schema, "refunds", "orders", "agent")
    graph.add_conditional_edges(START, *route_edge(router, PATHS, default, **arguments))
    return graph


def command_graph(router, schema, **arguments):
    graph = nodes(schema, "refunds", "orders", "agent")
    graph.add_node("classify", **command_node(router, PATHS, "agent", **arguments))
    graph.add_edge(START, "classify")
    return graph


def node_graph(router, schema):
    graph = nodes(schema, "refunds", "orders", "agent")
    graph.add_node("classify", route_node(router))
    graph.add_edge(START, "classify")
    graph.add_conditional_edges("classify", *follow_edge(PATHS, "agent"))
    return graph


GRAPHS = {"edge": edge_graph, "node and edge": node_graph, "command": command_graph}


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Runs a compiled graph in both colours."""
    if request.param == "sync":
        return lambda graph, *arguments: graph.invoke(*arguments)
    return lambda graph, *arguments: asyncio.run(graph.ainvoke(*arguments))


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_matched_texts_take_their_branch_and_all_others_the_default(router, call, build, schema):
    graph = build(router, schema).compile()
    for text, node in [(ASKED["refund"], "refunds"), (ASKED["order_status"], "orders"), (OUT, "agent")]:
        assert call(graph, given(schema, text))["visited"] == [node]


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_a_route_without_a_node_takes_the_default(router, call, build):
    assert router.route(ASKED["weather"]).route == "weather"
    graph = build(router, TypedState).compile()
    assert call(graph, given(TypedState, ASKED["weather"]))["visited"] == ["agent"]


def test_the_default_can_be_the_end(router, call):
    graph = edge_graph(router, TypedState, default=END).compile()
    assert "visited" not in call(graph, given(TypedState, OUT)) or not call(graph, given(TypedState, OUT))["visited"]
    command = nodes(TypedState, "refunds", "orders")
    command.add_node("classify", **command_node(router, PATHS, END))
    command.add_edge(START, "classify")
    assert call(command.compile(), given(TypedState, OUT))["route"]["route"] is None


def test_names_alone_lead_to_nodes_of_the_same_names(router, call):
    graph = nodes(TypedState, "refund", "agent")
    graph.add_conditional_edges(START, *route_edge(router, ["refund"], "agent"))
    assert call(graph.compile(), given(TypedState, ASKED["refund"]))["visited"] == ["refund"]


@pytest.mark.parametrize("build", [edge_graph, command_graph], ids=["edge", "command"])
def test_the_drawn_graph_shows_each_branch_with_its_label(router, build):
    drawn = build(router, TypedState).compile().get_graph()
    labels = {edge.target: edge.data or edge.target for edge in drawn.edges if edge.conditional}
    assert labels == {"refunds": "refund", "orders": "order_status", "agent": NO_MATCH}
    assert "no match" in drawn.draw_mermaid()


def test_routes_that_share_a_node_are_drawn_on_one_branch_of_a_command(router):
    node = command_node(router, {"refund": "money", "order_status": "money"}, "agent")
    assert node["destinations"] == {"money": "refund, order_status", "agent": NO_MATCH}


def test_several_edges_from_one_node_run_side_by_side(router, bundled, call):
    tones = [Route("angry", ["this is outrageous", "I am furious about this"])]
    with AdaptiveRouter(tones, encoder=bundled) as tone:
        graph = nodes(TypedState, "start", "refunds", "orders", "agent", "calm_down")
        graph.add_edge(START, "start")
        graph.add_conditional_edges("start", *route_edge(router, PATHS, "agent"))
        graph.add_conditional_edges("start", *route_edge(tone, {"angry": "calm_down"}, END))
        compiled = graph.compile()
        visited = call(compiled, given(TypedState, "I am furious about this"))["visited"]
        assert sorted(visited) == ["agent", "calm_down", "start"]


def test_edges_are_named_alike_in_every_process_and_apart_from_each_other(router):
    few = [route_edge(router, [name], END)[0].get_name() for name in ("a", "b", "a")]
    assert few[0] == few[2] != few[1]
    many = [f"r{number}" for number in range(150)]
    long = [route_edge(router, names, END)[0].get_name() for names in (many, [*many[:-1], "other"])]
    assert long[0] != long[1]
    assert max(map(len, long)) < 100
    assert route_edge(router, ["a"], END, name="mine")[0].get_name() == "mine"


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_a_runnable_says_where_in_the_state_the_text_is(router, call, build):
    class Mail(TypedDict, total=False):
        subject: str
        route: dict[str, Any]
        visited: Annotated[list[str], operator.add]

    graph = build(RunnableSemanticRouter(router=router, input_key="subject"), Mail).compile()
    assert call(graph, {"subject": ASKED["refund"]})["visited"] == ["refunds"]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("build", [node_graph, command_graph], ids=["node and edge", "command"])
def test_a_decision_comes_back_whole_from_a_checkpoint_without_a_warning(router, build, strict, monkeypatch, caplog):
    if strict:
        # LANGGRAPH_STRICT_MSGPACK is read when langgraph is imported.
        serde = pytest.importorskip("langgraph.checkpoint.serde._msgpack", reason="this langgraph has no strict mode")
        monkeypatch.setattr(serde, "STRICT_MSGPACK_ENABLED", True)
    config = {"configurable": {"thread_id": "1"}}
    graph = build(router, MessagesAndVisited).compile(checkpointer=InMemorySaver(serde=JsonPlusSerializer()))
    graph.invoke({"messages": [("user", ASKED["refund"])]}, config)
    kept = graph.get_state(config).values["route"]
    assert Decision.model_validate(kept) == router.route(ASKED["refund"])
    assert not caplog.records


def test_plain_decisions_survive_langgraphs_serialiser(router):
    serde = JsonPlusSerializer()
    for text in (*ASKED.values(), OUT):
        decision = plain(router.route(text))
        assert serde.loads_typed(serde.dumps_typed(decision)) == decision


def test_a_graph_can_be_interrupted_before_the_branch_and_goes_on_with_the_same_decision(router, call):
    config = {"configurable": {"thread_id": "1"}}
    graph = node_graph(router, TypedState).compile(checkpointer=InMemorySaver(), interrupt_before=["refunds"])
    stopped = call(graph, given(TypedState, ASKED["refund"]), config)
    assert graph.get_state(config).next == ("refunds",)
    asked = router.stats().answered
    resumed = call(graph, None, config)
    assert resumed["visited"] == ["refunds"]
    assert resumed["route"] == stopped["route"]
    assert router.stats().answered == asked


def test_a_human_can_overrule_the_decision_after_routing(router, call):
    def confirm(state):
        return {"route": {**state["route"], "route": interrupt(state["route"]["route"])}}

    graph = nodes(TypedState, "refunds", "orders", "agent")
    graph.add_node("classify", route_node(router))
    graph.add_node("confirm", confirm)
    graph.add_edge(START, "classify")
    graph.add_edge("classify", "confirm")
    graph.add_conditional_edges("confirm", *follow_edge(PATHS, "agent"))
    compiled = graph.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    stopped = call(compiled, given(TypedState, ASKED["refund"]), config)
    assert stopped["__interrupt__"][0].value == "refund"
    assert call(compiled, Command(resume="order_status"), config)["visited"] == ["orders"]


@pytest.mark.parametrize("stored", [None, {}, {"route": None}, {"route": "elsewhere"}, "refund"])
def test_an_edge_that_finds_no_usable_decision_takes_the_default(stored):
    path, branches = follow_edge(PATHS, "agent")
    assert branches[path.invoke({"route": stored})] == "agent"
    assert branches[path.invoke({})] == "agent"


@pytest.mark.parametrize("mode", ["values", "updates", "custom", "debug"])
async def test_every_stream_mode_works_alike_in_both_colours(router, mode):
    from langgraph.config import get_stream_writer

    def talk(state):
        get_stream_writer()({"said": "hello"})
        return {"visited": ["talk"]}

    graph = StateGraph(TypedState)
    graph.add_node("talk", talk)
    graph.add_node("agent", visit("agent"))
    graph.add_node("classify", **command_node(router, {"refund": "talk"}, "agent"))
    graph.add_edge(START, "classify")
    compiled = graph.compile()
    text = given(TypedState, ASKED["refund"])
    blocking = list(compiled.stream(text, stream_mode=mode))
    awaited = [chunk async for chunk in compiled.astream(text, stream_mode=mode)]
    shown = {
        "values": lambda chunks: chunks[-1]["visited"] == ["talk"] and chunks[-1]["route"]["route"] == "refund",
        "updates": lambda chunks: [list(chunk) for chunk in chunks] == [["classify"], ["talk"]],
        "custom": lambda chunks: chunks == [{"said": "hello"}],
        "debug": lambda chunks: {chunk["type"] for chunk in chunks} >= {"task", "task_result"},
    }[mode]
    assert shown(blocking)
    assert shown(awaited)


async def test_the_decision_behind_an_edge_is_an_event_of_the_run(router):
    graph = edge_graph(router, TypedState).compile()
    events = [event async for event in graph.astream_events(given(TypedState, ASKED["refund"]), version="v2")]
    [told] = [event for event in events if event["event"] == "on_custom_event"]
    assert (told["name"], told["data"]["route"]) == ("semantic_route", "refund")


async def test_two_hundred_graphs_at_once_share_the_engines_batches(bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled) as router:
        graph = edge_graph(router, TypedState).compile()
        texts = [f"{text} {number}" for number in range(67) for text in ASKED.values()][:200]
        results = await asyncio.gather(*(graph.ainvoke(given(TypedState, text)) for text in texts))
        stats = router.stats()
        assert stats.answered == 200
        assert stats.batches <= 100
        for text, result in zip(texts, results, strict=True):
            assert result["visited"] == [PATHS.get(router.route(text).route, "agent")]


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_a_runnable_that_is_set_to_raise_raises_in_a_graph_too(router, call, build):
    graph = build(RunnableSemanticRouter(router, on_no_match="raise"), TypedState).compile()
    assert call(graph, given(TypedState, ASKED["refund"]))["visited"] == ["refunds"]
    with pytest.raises(NoRouteError):
        call(graph, given(TypedState, OUT))


def test_messages_hold_the_text_and_the_last_human_one_counts(router, call):
    graph = node_graph(router, MessagesAndVisited).compile()
    talk = [("user", ASKED["order_status"]), AIMessage("On its way."), ("user", ASKED["refund"]), AIMessage("Hm.")]
    assert call(graph, {"messages": talk})["visited"] == ["refunds"]


def test_a_route_added_while_the_graph_runs_is_followed(bundled, call):
    with AdaptiveRouter(ROUTES[1:], encoder=bundled) as router:
        graph = edge_graph(router, TypedState).compile()
        assert call(graph, given(TypedState, ASKED["refund"]))["visited"] == ["agent"]
        router.add_route(ROUTES[0])
        assert call(graph, given(TypedState, ASKED["refund"]))["visited"] == ["refunds"]


@pytest.mark.parametrize("paths", ["refund", 7, {}, [], {"refund": 1}, [None]])
def test_paths_that_lead_nowhere_are_refused(router, paths):
    for build in (route_edge, command_node):
        with pytest.raises(ConfigurationError, match="path_map"):
            build(router, paths, "agent")
    with pytest.raises(ConfigurationError, match="path_map"):
        follow_edge(paths, "agent")


def test_no_field_is_written_where_none_is_wanted(router, call):
    graph = command_graph(router, TypedState, key=None).compile()
    assert "route" not in call(graph, given(TypedState, ASKED["refund"]))
