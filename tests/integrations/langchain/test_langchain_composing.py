"""Fallbacks, retries, copies, schemas, and the place of the router in chains."""

import copy
import json
import pickle
import warnings

import pytest
from langchain_core.load import dumps
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel, RunnablePassthrough
from probes_langchain import BLANK, CANCEL, ORDER, ROUTES, TEXTS, WEATHER, CountingBatches, routes_of

from synaptoroute_core import ConfigurationError, Decision, InvalidTextError, NoRouteError, RouterOverloadedError
from synaptoroute_integrations.langchain import RunnableSemanticRouter

# --- abstention, fallbacks, retries ------------------------------------------------------------------


async def test_an_abstention_is_an_error_when_asked_to(engine):
    step = RunnableSemanticRouter(engine, on_no_match="raise")
    with pytest.raises(NoRouteError) as raised:
        step.invoke(WEATHER)
    assert raised.value.decision == engine.route(WEATHER)
    with pytest.raises(NoRouteError):
        await step.ainvoke(WEATHER)
    for outcomes in (
        step.batch(TEXTS, return_exceptions=True),
        await step.abatch(TEXTS, return_exceptions=True),
    ):
        assert [type(outcome) for outcome in outcomes] == [Decision, Decision, NoRouteError]


async def test_only_doubtful_queries_reach_the_fallback(engine):
    asked = []

    def llm(text):
        asked.append(text)
        return "the LLM says"

    step = RunnableSemanticRouter(engine, on_no_match="raise")
    guarded = step.with_fallbacks([RunnableLambda(llm)], exceptions_to_handle=(NoRouteError,))
    assert guarded.invoke(ORDER).route == "order_status"
    assert guarded.invoke(WEATHER) == "the LLM says"
    assert await guarded.ainvoke(WEATHER) == "the LLM says"
    for outcomes in (guarded.batch(TEXTS), await guarded.abatch(TEXTS)):
        assert [getattr(outcome, "route", outcome) for outcome in outcomes] == [*ROUTES[:2], "the LLM says"]
    assert asked == [WEATHER] * 4
    with pytest.raises(InvalidTextError):
        guarded.invoke(BLANK)


async def test_a_retry_asks_again_only_what_failed(step, engine, monkeypatch):
    each, seen = engine.route_each, []

    def overloaded_once(texts, **arguments):
        seen.append(list(texts))
        answers = each(texts, **arguments)
        if len(seen) == 1:
            answers[1] = RouterOverloadedError(10, 10, 0.0)
        return answers

    monkeypatch.setattr(engine, "route_each", overloaded_once)
    retrying = step.with_retry(
        retry_if_exception_type=(RouterOverloadedError,), wait_exponential_jitter=False, stop_after_attempt=2
    )
    assert routes_of(retrying.batch(TEXTS)) == ROUTES
    assert seen == [TEXTS, [CANCEL]]


# --- schemas, names, copies --------------------------------------------------------------------------


def test_schemas_say_what_goes_in_and_out_without_warnings(step):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kinds = step.get_input_jsonschema()["anyOf"]
        properties = step.get_output_jsonschema()["properties"]
        json.dumps(step.get_config_jsonschema())
        step.get_graph().draw_mermaid()
    assert {"type": "string"} in kinds
    assert {"route", "score", "margin", "candidates"} <= set(properties)
    assert step.input_schema.model_validate(ORDER).root == ORDER


def test_it_is_not_serialised_because_loading_would_open_files(step):
    assert step.is_lc_serializable() is False
    assert json.loads(dumps(step))["type"] == "not_implemented"


def test_its_text_form_drags_no_engine_along(step):
    assert "AdaptiveRouter" not in repr(step)
    assert "router" not in step.model_dump()


@pytest.mark.parametrize(
    "changed",
    [
        lambda step: step.with_config(tags=["a"]),
        lambda step: step.bind(),
        lambda step: step.with_retry(),
        lambda step: step.with_types(output_type=Decision),
        lambda step: step.configurable_fields(on_no_match=ConfigurableField(id="policy")),
        lambda step: step.configurable_alternatives(ConfigurableField(id="which"), other=RunnableLambda(str)),
        copy.copy,
        copy.deepcopy,
        lambda step: step.model_copy(),
    ],
    ids=["with_config", "bind", "retry", "types", "fields", "alternatives", "copy", "deepcopy", "model_copy"],
)
def test_what_is_made_of_it_asks_the_same_engine_and_counts_together(step, changed):
    made = changed(step)
    assert made.invoke(ORDER) == step.invoke(ORDER)
    assert step.savings().queries == 2


def test_a_field_that_is_set_for_one_call_keeps_engine_and_counts(step):
    configurable = step.configurable_fields(on_no_match=ConfigurableField(id="policy"))
    with pytest.raises(NoRouteError):
        configurable.invoke(WEATHER, {"configurable": {"policy": "raise"}})
    assert not configurable.invoke(WEATHER)
    assert step.savings().abstained == 2


def test_a_pickled_runnable_opens_an_engine_of_its_own(step):
    decision = step.invoke(ORDER)
    loaded = pickle.loads(pickle.dumps(step))  # made here
    with loaded.router as router:
        assert router is not step.router
        assert loaded.invoke(ORDER).route == decision.route
        assert loaded.savings().queries == 1


def test_routes_are_enough_to_make_one(support_routes, bundled):
    step = RunnableSemanticRouter.from_routes(support_routes[:2], encoder=bundled, name="triage")
    with step.router:
        assert step.invoke(ORDER).route == "order_status"
        assert step.get_name() == "triage"


def test_wrong_arguments_are_refused_when_it_is_made(engine, bundled, support_routes):
    with pytest.raises(ConfigurationError, match="AdaptiveRouter"):
        RunnableSemanticRouter("routes.yaml")
    with pytest.raises(ConfigurationError, match="'abstain' or 'raise'"):
        RunnableSemanticRouter(engine, on_no_match="best")
    with pytest.raises(ConfigurationError, match="one of them"):
        RunnableSemanticRouter(engine, input_key="a", input_fn=str)
    with pytest.raises(TypeError):
        RunnableSemanticRouter(engine, on_nomatch="raise")
    with pytest.raises(ConfigurationError, match="on_no_match"):  # and the engine is closed again
        RunnableSemanticRouter.from_routes(support_routes[:1], encoder=bundled, on_no_match="best")


# --- in chains ---------------------------------------------------------------------------------------


async def test_it_composes_with_pipes_maps_and_assignments(step):
    chain = RunnableLambda(str.strip) | step | RunnableLambda(lambda decision: decision.route)
    assert chain.batch(TEXTS) == await chain.abatch(TEXTS) == ROUTES
    assert routes_of(step.map().invoke(TEXTS)) == ROUTES
    both = {"route": step, "input": RunnablePassthrough()} | RunnableLambda(lambda made: made["route"].route)
    assert both.batch(TEXTS) == ROUTES
    assigned = await RunnablePassthrough.assign(route=step).ainvoke({"input": ORDER})
    assert assigned["route"].route == "order_status"
    parallel = RunnableParallel(a=step, b=step).invoke(ORDER)
    assert parallel["a"] == parallel["b"]


def test_a_chain_and_its_map_batch_natively(step, engine, monkeypatch):
    calls = CountingBatches(engine, monkeypatch)
    (RunnableLambda(str.strip) | step.with_config(tags=["a"])).batch(TEXTS)
    step.map().invoke(TEXTS)
    assert calls.sizes == [3, 3]
