"""The shapes that LangGraph and LangChain want a decision in."""

import json
import pickle
import sys
import threading
import warnings
from typing import Any, TypedDict

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.runnables.router import RouterRunnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from probes_langchain import BLANK, CANCEL, ORDER, ROUTES, TEXTS, WEATHER, CountingBatches, Tracer

from synaptoroute_core import Decision, InvalidTextError, NoRouteError
from synaptoroute_integrations.langchain import RunnableSemanticRouter


class State(TypedDict, total=False):
    query: str
    route: dict[str, Any]
    seen: str


def node(name):
    def run(state):
        return {"seen": name}

    return run


def graph_of(**nodes):
    graph = StateGraph(State)
    for name, runnable in nodes.items():
        graph.add_node(name, runnable)
    return graph


async def asked(view, inputs):
    """A view's outputs by invoke, ainvoke, batch and abatch, which must be the same."""
    outputs = [view.invoke(given) for given in inputs]
    assert [await view.ainvoke(given) for given in inputs] == outputs
    assert view.batch(inputs) == await view.abatch(inputs) == outputs
    return outputs


# --- keys --------------------------------------------------------------------------------------------


async def test_a_key_is_the_routes_name_or_the_default(step):
    keys = await asked(step.as_key(default="llm"), TEXTS)
    assert keys == ["order_status", "cancel_order", "llm"]
    assert {type(key) for key in keys} == {str}
    with pytest.raises(TypeError, match="default"):
        step.as_key()


async def test_a_key_leads_along_a_conditional_edge(step):
    graph = graph_of(order_status=node("order_status"), cancel_order=node("cancel_order"))
    graph.add_conditional_edges(START, step.as_key(default=END))
    app = graph.compile()
    for text, route in zip(TEXTS, ROUTES, strict=True):
        assert app.invoke({"query": text}).get("seen") == route
        assert (await app.ainvoke({"query": text})).get("seen") == route


def test_two_routers_with_names_stand_on_one_node(engine):
    graph = graph_of(a=node("a"), b=node("b"))
    first, second = RunnableSemanticRouter(engine, name="first"), RunnableSemanticRouter(engine, name="second")
    graph.add_edge(START, "a")
    graph.add_conditional_edges("a", first.as_key(default=END), {END: END, "order_status": "b", "cancel_order": "b"})
    graph.add_conditional_edges("a", second.as_key(default=END), [END, "b"])
    graph.add_conditional_edges("a", second.as_key(default=END, name="third"), [END, "b"])
    assert set(graph.branches["a"]) == {"first.as_key", "second.as_key", "third"}


# --- states, commands, keyed inputs ------------------------------------------------------------------


async def test_a_state_update_is_plain_data_that_becomes_a_decision_again(step):
    updates = await asked(step.as_state("route"), TEXTS)
    for update, text in zip(updates, TEXTS, strict=True):
        assert json.loads(json.dumps(update)) == update
        assert Decision.model_validate(update["route"]) == step.invoke(text)


def test_a_checkpoint_keeps_the_decision_without_knowing_its_class(step):
    graph = graph_of(router=step.as_state("route"))
    graph.add_edge(START, "router")
    app = graph.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        app.invoke({"query": ORDER}, config)
        kept = app.get_state(config).values["route"]
    assert Decision.model_validate(kept) == step.invoke(ORDER)


async def test_a_command_goes_to_the_routes_node(step):
    view = step.as_command({"order_status": "orders"}, default="llm", update_key="route")
    commands = await asked(view, TEXTS)
    assert [command.goto for command in commands] == ["orders", "llm", "llm"]
    assert [command.update["route"]["route"] for command in commands] == ROUTES
    assert step.as_command({}, default=END).invoke(ORDER) == Command(goto=END)


async def test_a_node_that_gives_commands_leads_through_a_graph(step):
    view = step.as_command({"order_status": "orders"}, default="llm", update_key="route")
    graph = graph_of(orders=node("orders"), llm=node("llm"))
    graph.add_node("router", view, destinations=("orders", "llm"))
    graph.add_edge(START, "router")
    app = graph.compile()
    assert app.invoke({"query": ORDER})["seen"] == "orders"
    assert (await app.ainvoke({"query": WEATHER}))["seen"] == "llm"
    assert app.invoke({"query": ORDER})["route"]["route"] == "order_status"


def test_without_langgraph_a_command_says_what_to_install(step, monkeypatch):
    monkeypatch.setitem(sys.modules, "langgraph.types", None)
    with pytest.raises(ImportError, match=r"pip install 'synaptoroute-integrations\[langgraph\]'"):
        step.as_command({}, default="llm")


async def test_a_keyed_input_leads_through_a_router_runnable(step):
    shout, other = RunnableLambda(str.upper), RunnableLambda(len)
    keyed = step.as_router_input(default="other")
    assert (await asked(keyed, [ORDER]))[0] == {"key": "order_status", "input": ORDER}
    chain = keyed | RouterRunnable({"order_status": shout, "cancel_order": shout, "other": other})
    assert await asked(chain, TEXTS) == [ORDER.upper(), CANCEL.upper(), len(WEATHER)]


# --- branches ----------------------------------------------------------------------------------------


async def test_a_branch_gets_the_input_of_its_route(step):
    branch = step.to_branch({"order_status": str.upper, "not_yet_a_route": str.lower}, default=len)
    assert await asked(branch, TEXTS) == [ORDER.upper(), len(CANCEL), len(WEATHER)]
    mapped = step.to_branch({"order_status": {"a": RunnablePassthrough()}}, default=len)
    assert mapped.invoke(ORDER) == {"a": ORDER}


async def test_a_branch_is_routed_as_one_batch_and_runs_one_batch_a_branch(step, engine, monkeypatch):
    calls, batches = CountingBatches(engine, monkeypatch), []

    class Batching(RunnableLambda):
        def batch(self, inputs, *args, **kwargs):
            batches.append(len(inputs))
            return super().batch(inputs, *args, **kwargs)

        async def abatch(self, inputs, *args, **kwargs):
            batches.append(len(inputs))
            return await super().abatch(inputs, *args, **kwargs)

    branch = step.to_branch({"order_status": Batching(str.upper)}, default=Batching(str.lower))
    texts = [ORDER, WEATHER, ORDER + "?", CANCEL, BLANK]
    expected = [ORDER.upper(), WEATHER.lower(), (ORDER + "?").upper(), CANCEL.lower()]
    for outcomes in (
        branch.batch(texts, return_exceptions=True),
        await branch.abatch(texts, return_exceptions=True),
        branch.batch(texts, {"max_concurrency": 8}, return_exceptions=True),
        await branch.abatch(texts, {"max_concurrency": 8}, return_exceptions=True),
    ):
        assert outcomes[:4] == expected
        assert isinstance(outcomes[4], InvalidTextError)
    assert batches == [2, 2] * 4
    assert calls.sizes == [5] * 4


async def test_a_failing_branch_fails_its_own_inputs(step):
    def fail(text):
        raise LookupError(text)

    branch = step.to_branch({"order_status": fail}, default=len)
    for outcomes in (branch.batch(TEXTS, return_exceptions=True), await branch.abatch(TEXTS, return_exceptions=True)):
        assert [type(outcome) for outcome in outcomes] == [LookupError, int, int]
    with pytest.raises(LookupError):
        branch.batch(TEXTS)


def test_branches_of_a_batch_run_at_the_same_time(step):
    both = threading.Barrier(2, timeout=30)

    def meet(text):
        both.wait()
        return text

    assert step.to_branch({"order_status": meet}, default=meet).batch([ORDER, WEATHER]) == [ORDER, WEATHER]


async def test_a_branch_streams_what_its_runnable_streams(step):
    model = FakeListChatModel(responses=["abc"])
    tracer = Tracer()
    branch = step.to_branch({"order_status": model}, default=len)
    chunks = [chunk.text for chunk in branch.stream(ORDER, {"callbacks": [tracer]}) if chunk.text]
    assert chunks == [chunk.text async for chunk in branch.astream(ORDER) if chunk.text] == ["a", "b", "c"]
    assert ORDER not in str(tracer.runs[0].inputs)
    assert tracer.runs[0].outputs
    assert {run.name for run in tracer.runs[0].child_runs} == {"RunnableSemanticRouter", "FakeListChatModel"}
    events = [event async for event in branch.astream_events(ORDER, version="v2")]
    assert "on_chat_model_stream" in {event["event"] for event in events}


# --- what all views have in common -------------------------------------------------------------------


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "batch", "abatch"])
async def test_the_router_is_a_run_below_its_view(step, way):
    for view in (
        step.as_key(default="llm"),
        step.as_state(),
        step.as_command({}, default="llm"),
        step.as_router_input(default="llm"),
        step.to_branch({"order_status": len}, default=len),
    ):
        tracer = Tracer()
        given = [ORDER] if "batch" in way else ORDER
        answer = getattr(view, way)(given, {"callbacks": [tracer]})
        if way.startswith("a"):
            await answer
        run = tracer.runs[0]
        assert run.name == view.get_name()
        assert run.child_runs[0].name == "RunnableSemanticRouter"
        assert run.child_runs[0].outputs["output"].route == "order_status"
        assert ORDER not in str(run.inputs)
        if "branch" in view.get_name():
            assert "branch:order_status" in run.child_runs[1].tags


def test_views_raise_when_the_router_is_to_raise(engine):
    step = RunnableSemanticRouter(engine, on_no_match="raise")
    for view in (step.as_key(default="llm"), step.as_state(), step.to_branch({}, default=len)):
        with pytest.raises(NoRouteError):
            view.invoke(WEATHER)
        outcomes = view.batch([ORDER, WEATHER], return_exceptions=True)
        assert isinstance(outcomes[1], NoRouteError)
        assert not isinstance(outcomes[0], Exception)


def test_views_are_named_after_their_router_and_can_be_copied(engine):
    step = RunnableSemanticRouter(engine, name="triage")
    assert step.as_key(default="llm").get_name() == "triage.as_key"
    assert step.to_branch({}, default=len, name="desk").get_name() == "desk"
    assert "AdaptiveRouter" not in repr(step.as_key(default="llm"))
    loaded = pickle.loads(pickle.dumps(step.as_key(default="llm")))  # made here
    with loaded.router.router:
        assert loaded.invoke(ORDER) == "order_status"


def test_views_have_schemas_and_drawings(step):
    assert step.as_key(default="llm").get_output_jsonschema()["type"] == "string"
    assert step.as_state().get_output_jsonschema()["type"] == "object"
    assert {"key", "input"} <= set(str(step.as_router_input(default="llm").get_output_jsonschema()).split("'"))
    for view in (step.as_command({}, default="llm"), step.to_branch({}, default=len)):
        assert view.get_input_jsonschema()["anyOf"]
        view.get_graph().draw_mermaid()
