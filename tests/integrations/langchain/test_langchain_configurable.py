"""Settings of one call."""

import pytest
from langchain_core.runnables import ConfigurableField, RunnableLambda
from probes_langchain import CANCEL, ORDER, ROUTES, TEXTS, WEATHER, CountingBatches, routes_of

from synaptoroute_core import ConfigurationError, Decision, Route, RouteNotFoundError


def configured(**settings):
    return {"configurable": settings}


async def test_threshold_margin_and_allowed_hold_for_one_call(step, engine):
    assert not step.invoke(ORDER, configured(threshold=0.99))
    assert not step.invoke(ORDER, configured(margin=1.9))
    assert step.invoke(WEATHER, configured(threshold=-1.0, margin=0.0))
    assert step.invoke(ORDER, configured(allowed=["cancel_order"], threshold=0.0)).route == "cancel_order"
    assert (await step.ainvoke(ORDER, configured(threshold=0.99))).threshold == 0.99
    assert step.invoke(ORDER, configured(threshold=None)) == step.invoke(ORDER) == engine.route(ORDER)


async def test_choices_of_the_engine_are_allowed_too(step, engine):
    choices = engine.choices([], extra=[Route("forecast", ["what will the weather be like"])])
    assert step.invoke(WEATHER, configured(allowed=choices)).route == "forecast"


async def test_each_input_of_one_native_batch_may_have_its_own(step, engine, monkeypatch):
    calls = CountingBatches(engine, monkeypatch)
    configs = [configured(threshold=0.99), configured(allowed=["cancel_order"]), configured(threshold=-1, margin=0)]
    expected = [step.invoke(text, config) for text, config in zip(TEXTS, configs, strict=True)]
    assert [bool(decision) for decision in expected] == [False, True, True]
    assert step.batch(TEXTS, configs) == await step.abatch(TEXTS, configs) == expected
    assert calls.sizes == [3, 3]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"threshold": 7}, ConfigurationError),
        ({"threshold": "high"}, ConfigurationError),
        ({"margin": -1}, ConfigurationError),
        ({"allowed": "refund"}, ConfigurationError),
        ({"allowed": ["no_such_route"]}, RouteNotFoundError),
    ],
)
async def test_a_bad_value_fails_its_own_input(step, settings, error):
    configs = [configured(), configured(**settings)]
    for outcomes in (
        step.batch([ORDER, CANCEL], configs, return_exceptions=True),
        await step.abatch([ORDER, CANCEL], configs, return_exceptions=True),
    ):
        assert [type(outcome) for outcome in outcomes] == [Decision, error]
    with pytest.raises(error):
        step.invoke(ORDER, configured(**settings))


def test_settings_may_be_bound(step):
    assert not step.bind(threshold=0.99).invoke(ORDER)
    assert routes_of(step.bind(threshold=0.99).batch(TEXTS)) == [None] * 3
    assert not step.bind(threshold=0.99).invoke(ORDER, configured(threshold=0.1))
    with pytest.raises(ConfigurationError, match="'treshold' is no setting of a call: there are threshold, margin"):
        step.bind(treshold=0.99).invoke(ORDER)


def test_settings_reach_the_router_through_chains_and_views(step):
    config = configured(threshold=0.99)
    chain = RunnableLambda(str.strip) | step
    assert not chain.invoke(ORDER, config)
    assert not step.with_config(configurable={"threshold": 0.99}).invoke(ORDER)
    assert step.as_key(default="llm").batch(TEXTS, config) == ["llm"] * 3
    assert step.to_branch({}, default=len).with_config(config).invoke(ORDER) == len(ORDER)


def test_a_view_of_a_configured_router_keeps_its_settings(step):
    strict = step.with_config(configurable={"threshold": 0.99})
    assert strict.as_key(default="llm").batch(TEXTS) == ["llm"] * 3
    assert strict.to_branch({"order_status": str.upper}, default=len).invoke(ORDER) == len(ORDER)


def test_settings_of_other_runnables_are_none_of_the_routers(step):
    assert routes_of(step.batch(TEXTS, configured(thread_id="1", model="large"))) == ROUTES


def test_the_settings_are_declared(step):
    names = ["threshold", "margin", "allowed"]
    assert [spec.id for spec in step.config_specs] == names
    assert set(step.config_schema().model_json_schema()["$defs"]["Configurable"]["properties"]) == set(names)
    assert [spec.id for spec in step.as_key(default="llm").config_specs] == names
    both = step | RunnableLambda(str) | step.configurable_fields(on_no_match=ConfigurableField(id="policy"))
    assert {spec.id for spec in both.config_specs} == {*names, "policy"}
