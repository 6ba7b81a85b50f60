"""Middleware for LangChain agents, in real agents with a scripted model that counts its calls."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from scripted_agents import ScriptedModel, made

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, RouterClosedError
from synaptoroute_integrations.agents import SemanticRoutingMiddleware
from synaptoroute_integrations.langchain import RunnableSemanticRouter

OPENING = "We are open from 9 to 5."
ROUTES = [
    Route("opening_hours", ["when are you open", "what are your opening hours", "are you open on Sunday"]),
    Route("order_status", ["where is my order", "track my parcel", "has my package shipped"]),
    Route("goodbye", ["bye", "goodbye", "see you later"]),
]
IN, OUT = "what are the opening hours?", "write a poem about autumn"


@pytest.fixture(scope="module")
def router(bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled) as opened:
        yield opened


class TestRouting:
    def test_a_matched_text_is_answered_without_the_model_and_the_others_by_it(self, router, model, call):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        assert call(agent, IN)["messages"][-1].content == OPENING
        assert model.calls == 0
        assert call(agent, OUT)["messages"][-1].content == "from the model"
        assert model.calls == 1

    def test_a_route_without_a_handler_goes_to_the_model(self, router, model, call):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        call(agent, "where is my order?")
        assert model.calls == 1

    def test_the_answer_carries_the_decision(self, router, model, call):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        told = call(agent, IN)["messages"][-1].response_metadata["semantic_route"]
        assert told["route"] == "opening_hours"
        assert told["score"] >= told["threshold"]

    @pytest.mark.parametrize(
        "handler",
        [
            lambda state: f"You said: {state['messages'][-1].text}",
            lambda state: AIMessage(f"You said: {state['messages'][-1].text}"),
            lambda state: {"messages": [AIMessage(f"You said: {state['messages'][-1].text}")]},
        ],
        ids=["text", "message", "update"],
    )
    def test_a_handler_sees_the_state_and_returns_a_text_a_message_or_an_update(self, router, model, call, handler):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": handler})])
        assert call(agent, IN)["messages"][-1].content == f"You said: {IN}"
        assert model.calls == 0

    @pytest.mark.parametrize("answer", [None, {"jump_to": None}], ids=["none", "update without a jump"])
    def test_a_handler_can_leave_the_turn_to_the_model(self, router, model, call, answer):
        middleware = SemanticRoutingMiddleware(router, {"opening_hours": lambda state: answer})
        assert call(create_agent(model, middleware=[middleware]), IN)["messages"][-1].content == "from the model"

    async def test_an_async_handler_is_awaited(self, router, model):
        async def handler(state):
            await asyncio.sleep(0)
            return OPENING

        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": handler})])
        assert (await agent.ainvoke({"messages": [("user", IN)]}))["messages"][-1].content == OPENING
        with pytest.raises(ConfigurationError, match="ainvoke"):
            agent.invoke({"messages": [("user", IN)]})

    def test_a_handler_that_fails_fails_the_call(self, router, model, call):
        def handler(state):
            raise LookupError("no such shop")

        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": handler})])
        with pytest.raises(LookupError, match="no such shop"):
            call(agent, IN)

    def test_a_handler_that_returns_something_else_is_named(self, router, model, call):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": lambda state: 7})])
        with pytest.raises(ConfigurationError, match="'opening_hours' returned 7"):
            call(agent, IN)

    def test_tool_results_are_the_models_business_even_if_the_question_matched(self, router, call):
        ask = AIMessage("", tool_calls=[{"name": "clock", "args": {}, "id": "1"}])
        model = ScriptedModel(script=[ask, AIMessage("done")])
        asked = []
        middleware = SemanticRoutingMiddleware(router, {"opening_hours": asked.append})  # leaves it to the model
        agent = create_agent(model, [made("clock", "The time.")], middleware=[middleware])
        messages = call(agent, IN)["messages"]
        assert len(asked) == 1
        assert [type(message) for message in messages] == [HumanMessage, AIMessage, ToolMessage, AIMessage]
        assert model.calls == 2

    def test_a_handler_can_call_a_tool_in_the_models_place(self, router, call):
        model = ScriptedModel(script=[AIMessage("It is on its way.")])
        track = AIMessage("", tool_calls=[{"name": "track", "args": {}, "id": "1"}])
        middleware = SemanticRoutingMiddleware(
            router, {"order_status": lambda state: track, "goodbye": "Bye!"}, jump_to="tools"
        )
        agent = create_agent(model, [made("track", "Track a parcel.")], middleware=[middleware])
        messages = call(agent, "where is my order?")["messages"]
        assert [message.content for message in messages[2:]] == ["track ran", "It is on its way."]
        assert model.calls == 1
        assert call(agent, "goodbye")["messages"][-1].content == "Bye!"
        assert model.calls == 1

    def test_a_tool_call_needs_the_jump_to_the_tools(self, router, model, call):
        track = AIMessage("", tool_calls=[{"name": "track", "args": {}, "id": "1"}])
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"order_status": lambda s: track})])
        with pytest.raises(ConfigurationError, match="needs jump_to='tools'"):
            call(agent, "where is my order?")

    def test_a_subclass_keeps_its_own_hooks_when_it_jumps_to_the_tools(self, router, model, call):
        class Silent(SemanticRoutingMiddleware):
            def before_model(self, state, runtime):
                return None

            async def abefore_model(self, state, runtime):
                return None

        middleware = Silent(router, {"goodbye": "Bye!"}, jump_to="tools")
        assert (isinstance(middleware, Silent), middleware.name) == (True, "Silent")
        call(create_agent(model, [made("track", "Track a parcel.")], middleware=[middleware]), "goodbye")
        assert model.calls == 1

    def test_two_of_them_work_in_one_agent_under_two_names(self, router, model, call):
        first = SemanticRoutingMiddleware(router, {"opening_hours": OPENING})
        second = SemanticRoutingMiddleware(router, {"goodbye": "Bye!"}, name="farewell")
        agent = create_agent(model, middleware=[first, second])
        assert call(agent, IN)["messages"][-1].content == OPENING
        assert call(agent, "goodbye")["messages"][-1].content == "Bye!"
        assert model.calls == 0

    def test_the_last_human_message_of_a_long_conversation_counts(self, router, model, call):
        agent = create_agent(
            model,
            middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})],
            checkpointer=InMemorySaver(),
        )
        config = {"configurable": {"thread_id": "1"}}
        call(agent, IN, **config)
        messages = call(agent, OUT, **config)["messages"]
        assert [message.content for message in messages] == [IN, OPENING, OUT, "from the model"]
        assert call(agent, "what are your hours", **config)["messages"][-1].content == OPENING
        assert model.calls == 1

    def test_a_message_without_text_goes_to_the_model(self, router, model, call):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        for content in ("  ", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]):
            call(agent, content)
        assert model.calls == 2

    def test_text_in_content_blocks_is_read(self, router, model, call):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        assert call(agent, [{"type": "text", "text": IN}])["messages"][-1].content == OPENING

    def test_a_runnable_is_taken_with_its_settings_even_one_that_raises(self, router, model, call):
        runnable = RunnableSemanticRouter(
            router=router, on_no_match="raise", input_fn=lambda state: state["messages"][-1].text.removeprefix("bot, ")
        )
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(runnable, {"opening_hours": OPENING})])
        assert call(agent, f"bot, {IN}")["messages"][-1].content == OPENING
        assert call(agent, OUT)["messages"][-1].content == "from the model"

    def test_an_error_of_the_router_is_not_hidden(self, bundled, model, call):
        with AdaptiveRouter(ROUTES, encoder=bundled) as closed:
            agent = create_agent(model, middleware=[SemanticRoutingMiddleware(closed, {"opening_hours": OPENING})])
        with pytest.raises(RouterClosedError):
            call(agent, IN)

    @pytest.mark.parametrize("arguments", [{"handlers": {"a": 7}}, {"handlers": {}, "jump_to": "model"}])
    def test_senseless_arguments_are_refused(self, router, arguments):
        with pytest.raises(ConfigurationError):
            SemanticRoutingMiddleware(router, **arguments)

    def test_streaming_shows_the_answer_as_a_step(self, router, model):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        [step] = agent.stream({"messages": [("user", IN)]}, stream_mode="updates")
        assert list(step) == ["SemanticRoutingMiddleware.before_model"]

    def test_the_drawn_agent_shows_the_way_past_the_model(self, router, model):
        agent = create_agent(model, middleware=[SemanticRoutingMiddleware(router, {"opening_hours": OPENING})])
        edges = {(edge.source, edge.target) for edge in agent.get_graph().edges}
        assert ("SemanticRoutingMiddleware.before_model", "__end__") in edges


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")  # as_tool itself
def test_a_runnable_router_is_a_tool_of_an_agent(router, call):
    classify = RunnableSemanticRouter(router=router, input_key="query").as_tool(
        name="classify", description="Say what a text is about.", arg_types={"query": str}
    )
    ask = AIMessage("", tool_calls=[{"name": "classify", "args": {"query": IN}, "id": "1"}])
    model = ScriptedModel(script=[ask, AIMessage("done")])
    messages = call(create_agent(model, [classify]), IN)["messages"]
    assert "opening_hours" in messages[2].content
