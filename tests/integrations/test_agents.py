"""Middleware for LangChain agents, in real agents with a scripted model that counts its calls."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field
from pytest_socket import disable_socket, enable_socket

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, RouterClosedError
from synaptoroute_integrations.agents import (
    SemanticRoutingMiddleware,
    SemanticToolSelectorMiddleware,
    tool_route,
)
from synaptoroute_integrations.langchain import RunnableSemanticRouter

OPENING = "We are open from 9 to 5."
ROUTES = [
    Route("opening_hours", ["when are you open", "what are your opening hours", "are you open on Sunday"]),
    Route("order_status", ["where is my order", "track my parcel", "has my package shipped"]),
    Route("goodbye", ["bye", "goodbye", "see you later"]),
]
IN, OUT = "what are the opening hours?", "write a poem about autumn"

# What 20 tools do, and what people say who need them.
TOOLS = {
    "get_weather": (
        "Get the current weather and the forecast for a city.",
        ["will I need an umbrella in Oslo tomorrow", "how hot is it in Madrid now", "is it going to snow this weekend"],
    ),
    "book_flight": (
        "Search for flights between two airports and book seats.",
        ["I need to fly from Berlin to Rome", "two seats on a plane to Tokyo", "cheapest way to fly to Boston"],
    ),
    "book_hotel": (
        "Find and reserve hotel rooms for given dates.",
        [
            "somewhere to stay in Paris for three nights",
            "reserve a double room",
            "I need a hotel in Vienna from the 3rd",
        ],
    ),
    "send_email": (
        "Send an email to one or more recipients.",
        ["write to Anna that the meeting is off", "mail the report to the whole team", "drop Bob a line about it"],
    ),
    "create_calendar_event": (
        "Create an event in the user's calendar and invite people.",
        ["put lunch with Sam in my diary", "schedule a call with the lawyers at 3pm", "invite everyone to a kickoff"],
    ),
    "set_reminder": (
        "Remind the user of something at a given time.",
        ["don't let me forget to water the plants", "remind me to call mum at six", "nudge me in an hour"],
    ),
    "web_search": (
        "Search the web for up-to-date information.",
        [
            "look up who won the match last night",
            "find articles about heat pumps",
            "google the opening hours of the zoo",
        ],
    ),
    "calculator": (
        "Evaluate arithmetic expressions.",
        ["what is 17 percent of 2340", "multiply 48 by 193", "square root of 1764 plus 12"],
    ),
    "currency_converter": (
        "Convert an amount of money from one currency to another.",
        ["how many dollars are 300 euros", "what's 5000 yen in pounds", "exchange rate for swiss francs today"],
    ),
    "translate_text": (
        "Translate text from one language to another.",
        [
            "how do you say thank you in Japanese",
            "put this paragraph into French",
            "what does Feierabend mean in English",
        ],
    ),
    "query_database": (
        "Run a read-only SQL query against the company's data warehouse.",
        ["how many orders did we ship last quarter", "select all customers in Spain", "revenue by region for 2024"],
    ),
    "create_support_ticket": (
        "Open a ticket with the support team about a problem.",
        [
            "the app keeps crashing, tell support",
            "open a case about my broken router",
            "file a bug about the login page",
        ],
    ),
    "play_music": (
        "Play songs, albums or playlists.",
        ["put on some jazz", "play the new album by Adele", "I want to hear something calm"],
    ),
    "smart_home": (
        "Control lights, heating and other devices at home.",
        ["turn off the lamps in the living room", "make it warmer in the bedroom", "switch on the coffee machine"],
    ),
    "order_food": (
        "Order food from restaurants for delivery.",
        ["I'm hungry, get me a pizza", "have some sushi delivered to the office", "order two burgers and fries"],
    ),
    "stock_price": (
        "Get the price of a share and its recent history.",
        ["how is Apple trading", "what did Tesla close at yesterday", "has Nvidia gone up this week"],
    ),
    "summarize_document": (
        "Summarise a document or a web page.",
        ["give me the gist of this PDF", "what are the main points of the report", "tl;dr of this article"],
    ),
    "get_directions": (
        "Give directions and travel time between two places.",
        ["how do I get to the airport", "how long does it take to drive to Lyon", "fastest way to walk to the museum"],
    ),
    "generate_image": (
        "Draw an image from a description.",
        ["make a picture of a cat on a bicycle", "draw me a logo with a mountain", "paint a sunset over the sea"],
    ),
    "run_python": (
        "Execute Python code and return its output.",
        ["run this script and show what it prints", "plot a histogram with pandas", "execute the code above"],
    ),
}


class ScriptedModel(BaseChatModel):
    """Answers from a script, and keeps what it was asked and which tools it was offered."""

    script: list = Field(default_factory=list)
    asked: list = Field(default_factory=list)
    offered: list = Field(default_factory=list)
    bound: list = Field(default_factory=list)

    @property
    def _llm_type(self):
        return "scripted"

    @property
    def calls(self):
        return len(self.asked)

    def bind_tools(self, tools, **kwargs):
        return self.bind(names=[each["name"] if isinstance(each, dict) else each.name for each in tools])

    def _generate(self, messages, stop=None, run_manager=None, names=(), **kwargs):
        self.offered.append(list(names))
        answer = self.script[len(self.asked)] if len(self.asked) < len(self.script) else AIMessage("from the model")
        self.asked.append(messages)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def made(name, description):
    return StructuredTool.from_function(lambda query="": f"{name} ran", name=name, description=description)


@pytest.fixture(autouse=True)
def no_network():
    disable_socket(allow_unix_socket=True)  # event loops talk to themselves over one
    yield
    enable_socket()


@pytest.fixture(scope="module")
def tools():
    return [made(name, description) for name, (description, _) in TOOLS.items()]


@pytest.fixture(scope="module")
def router(bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled) as opened:
        yield opened


@pytest.fixture(scope="module")
def selector(tools, bundled):
    with SemanticToolSelectorMiddleware.from_tools(tools, encoder=bundled) as opened:
        yield opened


@pytest.fixture
def model():
    return ScriptedModel()


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Calls an agent in both colours."""
    if request.param == "sync":
        return lambda agent, text, **config: agent.invoke({"messages": [("user", text)]}, config or None)
    return lambda agent, text, **config: asyncio.run(agent.ainvoke({"messages": [("user", text)]}, config or None))


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


class TestToolSelection:
    def test_the_model_is_offered_few_of_many_tools_and_the_right_one_among_them(self, selector, tools, model, call):
        agent = create_agent(model, tools, middleware=[selector])
        call(agent, "will I need an umbrella in Oslo tomorrow")
        call(agent, "multiply 48 by 193")
        assert "get_weather" in model.offered[0]
        assert "calculator" in model.offered[1]
        assert max(map(len, model.offered)) <= 6
        assert model.calls == 2  # one for each turn: choosing the tools took none

    def test_the_default_threshold_offers_the_right_tool_nearly_always_and_few_others(self, selector, tools):
        queries = [(text, name) for name, (_, texts) in TOOLS.items() for text in texts]
        options = selector._options(tools)
        decisions = [selector.router.route(text, options=options) for text, _ in queries]
        offered = [[c.route for c in decision.candidates if c.passes] for decision in decisions]
        right = [name in names or not names for names, (_, name) in zip(offered, queries, strict=True)]
        sizes = [len(names) or len(TOOLS) for names in offered]
        assert len(queries) == 60
        assert sum(right) / 60 >= 0.93
        assert sum(sizes) / 60 <= 4.5

    def test_max_tools_keeps_the_best(self, tools, bundled, model, call):
        with SemanticToolSelectorMiddleware.from_tools(tools, encoder=bundled, max_tools=1) as selector:
            call(create_agent(model, tools, middleware=[selector]), "play the new album by Adele")
        assert model.offered == [["play_music"]]

    def test_always_included_tools_come_in_addition(self, tools, bundled, model, call):
        with SemanticToolSelectorMiddleware.from_tools(
            tools, encoder=bundled, max_tools=1, always_include=["web_search"]
        ) as selector:
            call(create_agent(model, tools, middleware=[selector]), "play the new album by Adele")
        assert sorted(model.offered[0]) == ["play_music", "web_search"]

    def test_a_tool_that_is_not_there_cannot_be_always_included(self, router, tools, model, call):
        selector = SemanticToolSelectorMiddleware(router, always_include=["nothing"])
        with pytest.raises(ConfigurationError, match="nothing"):
            call(create_agent(model, tools, middleware=[selector]), IN)

    @pytest.mark.parametrize("policy", ["all", "none"])
    def test_the_stated_policy_holds_when_no_tool_fits(self, selector, tools, model, call, policy):
        other = SemanticToolSelectorMiddleware(selector.router, on_no_match=policy)
        agent = create_agent(model, tools, middleware=[other])
        call(agent, "xyzzy")
        call(agent, " ")
        offered = len(tools) if policy == "all" else 0
        assert [len(names) for names in model.offered] == [offered, offered]

    def test_registered_routes_speak_for_their_tools_and_the_rest_is_zero_shot(self, bundled, tools, model, call):
        examples = {"set_reminder": ["ping me about the laundry", "wake me up at seven"]}
        with AdaptiveRouter([Route("set_reminder", examples["set_reminder"])], encoder=bundled) as router:
            agent = create_agent(model, tools, middleware=[SemanticToolSelectorMiddleware(router, max_tools=2)])
            call(agent, "wake me up at eight")
            call(agent, "translate this into French")
            assert model.offered[0][0] == "set_reminder"
            assert "translate_text" in model.offered[1]
            assert list(router.routes) == ["set_reminder"]

    def test_a_route_that_is_added_later_is_followed(self, bundled, tools, model, call):
        with AdaptiveRouter(encoder=bundled) as router:
            agent = create_agent(model, tools, middleware=[SemanticToolSelectorMiddleware(router, max_tools=1)])
            call(agent, "flibber the gizmo")
            router.add_route(Route("run_python", ["flibber the gizmo"]))
            call(agent, "flibber the gizmo")
        assert model.offered[1] == ["run_python"]

    def test_descriptions_are_encoded_once(self, bundled, tools, model, call):
        class Counting:
            fingerprint, dim, batch_invariant = bundled.fingerprint, bundled.dim, True
            texts = 0

            def encode(self, texts):
                self.texts += len(texts)
                return bundled.encode(texts)

        counting = Counting()
        with AdaptiveRouter(encoder=counting) as router:
            agent = create_agent(model, tools, middleware=[SemanticToolSelectorMiddleware(router)])
            for text in ("put on some jazz", "draw me a logo", "order a pizza"):
                call(agent, text)
        assert counting.texts == 2 * len(tools) + 3

    def test_the_tools_that_were_chosen_hold_through_the_turn(self, tools, selector, call):
        ask = AIMessage("", tool_calls=[{"name": "play_music", "args": {}, "id": "1"}])
        model = ScriptedModel(script=[ask, AIMessage("enjoy")])
        call(create_agent(model, tools, middleware=[selector]), "put on some jazz")
        assert model.offered[0] == model.offered[1]

    def test_tools_that_the_provider_runs_are_kept(self, tools, bundled, model, call):
        provided = {"type": "code_interpreter", "name": "code_interpreter"}
        with SemanticToolSelectorMiddleware.from_tools(tools, encoder=bundled, max_tools=1) as selector:
            call(create_agent(model, [*tools, provided], middleware=[selector]), "play the new album by Adele")
        assert model.offered == [["play_music", "code_interpreter"]]

    def test_an_agent_without_tools_is_left_alone(self, router, model, call):
        call(create_agent(model, middleware=[SemanticToolSelectorMiddleware(router)]), IN)
        assert model.calls == 1

    def test_it_works_beside_the_routing_middleware_and_other_middleware(self, router, tools, selector, model, call):
        class Seen(AgentMiddleware):
            tools_seen = 0

            def wrap_model_call(self, request, handler):
                self.tools_seen = len(request.tools)
                return handler(request)

            async def awrap_model_call(self, request, handler):
                self.tools_seen = len(request.tools)
                return await handler(request)

        seen = Seen()
        routing = SemanticRoutingMiddleware(router, {"opening_hours": OPENING})
        agent = create_agent(model, tools, middleware=[routing, selector, seen])
        call(agent, IN)
        assert (model.calls, seen.tools_seen) == (0, 0)
        call(agent, "put on some jazz")
        assert (model.calls, 1 <= seen.tools_seen < len(tools)) == (1, True)

    def test_functions_are_taken_as_tools(self, bundled):
        def add_numbers(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        with SemanticToolSelectorMiddleware.from_tools([add_numbers], encoder=bundled) as selector:
            assert selector.router.routes["add_numbers"].utterances == ("add numbers", "Add two numbers.")

    def test_it_closes_the_router_that_it_made_and_no_other(self, router, tools, bundled):
        SemanticToolSelectorMiddleware(router).close()
        assert router.route(IN)
        selector = SemanticToolSelectorMiddleware.from_tools(tools[:2], encoder=bundled)
        selector.close()
        with pytest.raises(RouterClosedError):
            selector.router.route(IN)

    @pytest.mark.parametrize(
        "arguments", [{"max_tools": 0}, {"max_tools": "3"}, {"on_no_match": "some"}, {"threshold": 2.0}]
    )
    def test_senseless_arguments_are_refused(self, router, tools, bundled, arguments):
        with pytest.raises(ConfigurationError):
            SemanticToolSelectorMiddleware(router, **arguments)
        with pytest.raises(ConfigurationError):  # and the router that it would have owned is closed, or it would warn
            SemanticToolSelectorMiddleware.from_tools(tools[:1], encoder=bundled, **arguments)


def test_a_tools_route_has_its_name_in_words_and_the_first_paragraph_of_its_description():
    described = made("get_stock-price", "Get the price of a share.\n\nArgs:\n    symbol: Its symbol.")
    route = tool_route(described)
    assert route.utterances == ("get stock price", "Get the price of a share.")
    assert route.threshold == 0.20


def test_a_tools_route_with_examples_has_only_those_and_the_routers_threshold():
    route = tool_route(made("stock_price", "Get the price of a share."), ["how is Apple trading"])
    assert (route.utterances, route.threshold) == (("how is Apple trading",), None)


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")  # as_tool itself
def test_a_runnable_router_is_a_tool_of_an_agent(router, call):
    classify = RunnableSemanticRouter(router=router, input_key="query").as_tool(
        name="classify", description="Say what a text is about.", arg_types={"query": str}
    )
    ask = AIMessage("", tool_calls=[{"name": "classify", "args": {"query": IN}, "id": "1"}])
    model = ScriptedModel(script=[ask, AIMessage("done")])
    messages = call(create_agent(model, [classify]), IN)["messages"]
    assert "opening_hours" in messages[2].content
