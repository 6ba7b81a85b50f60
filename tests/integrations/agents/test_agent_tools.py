"""The middleware that offers few of many tools, in real agents with a scripted model that counts its calls."""

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage
from scripted_agents import TOOLS, ScriptedModel, made

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Route, RouterClosedError
from synaptoroute_integrations.agents import SemanticRoutingMiddleware, SemanticToolSelectorMiddleware, tool_route

OPENING = "We are open from 9 to 5."
ROUTES = [Route("opening_hours", ["when are you open", "what are your opening hours", "are you open on Sunday"])]
IN = "what are the opening hours?"


@pytest.fixture(scope="module")
def tools():
    return [made(name, description) for name, (description, _) in TOOLS.items()]


@pytest.fixture(scope="module")
def selector(tools, bundled):
    with SemanticToolSelectorMiddleware.from_tools(tools, encoder=bundled) as opened:
        yield opened


@pytest.fixture(scope="module")
def router(bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled) as opened:
        yield opened


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
