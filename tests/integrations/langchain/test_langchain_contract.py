"""What LangChain expects of every runnable's calls, on the real engine."""

import asyncio
import uuid

import pytest
from probes_langchain import BLANK, CANCEL, ORDER, ROUTES, TEXTS, CountingBatches, Tracer, routes_of

from synaptoroute_core import (
    AdaptiveRouter,
    Decision,
    InvalidTextError,
    RouterClosedError,
)
from synaptoroute_integrations.langchain import RunnableSemanticRouter

# --- one input ---------------------------------------------------------------------------------------


async def test_one_input_gets_the_engines_decision(step, engine):
    for text, route in zip(TEXTS, ROUTES, strict=True):
        decision = step.invoke(text)  # within a running loop
        assert decision == engine.route(text)
        assert decision.route == route
        assert bool(decision) is (route is not None)
        assert await step.ainvoke(text) == decision


def test_an_event_loop_of_its_own_for_each_call_works(step):
    for _ in range(2):
        assert asyncio.run(step.ainvoke(ORDER)).route == "order_status"


def test_an_error_is_raised_and_told_to_the_tracer(step):
    tracer = Tracer()
    with pytest.raises(InvalidTextError):
        step.invoke(BLANK, {"callbacks": [tracer]})
    assert "InvalidTextError" in tracer.runs[0].error


def test_names_ids_tags_and_metadata_of_a_run_are_the_callers(step):
    tracer, run_id = Tracer(), uuid.uuid4()
    config = {"callbacks": [tracer], "run_name": "triage", "run_id": run_id, "tags": ["a"], "metadata": {"b": 1}}
    step.invoke(ORDER, config)
    run = tracer.runs[0]
    assert (run.name, run.id) == ("triage", run_id)
    assert "a" in run.tags
    assert run.extra["metadata"]["b"] == 1


def test_without_a_name_the_class_names_the_run(engine):
    tracer = Tracer()
    RunnableSemanticRouter(engine).invoke(ORDER, {"callbacks": [tracer]})
    RunnableSemanticRouter(engine, name="triage").invoke(ORDER, {"callbacks": [tracer]})
    assert [run.name for run in tracer.runs] == ["RunnableSemanticRouter", "triage"]


def test_listeners_hear_start_end_and_error(step):
    heard = []
    listening = step.with_listeners(
        on_start=lambda run: heard.append("start"),
        on_end=lambda run: heard.append("end"),
        on_error=lambda run: heard.append("error"),
    )
    listening.invoke(ORDER)
    with pytest.raises(InvalidTextError):
        listening.invoke(BLANK)
    assert heard == ["start", "end", "start", "error"]


# --- many inputs -------------------------------------------------------------------------------------


async def test_a_batch_is_one_call_of_the_engine(step, engine, monkeypatch):
    calls = CountingBatches(engine, monkeypatch)
    assert routes_of(step.batch(TEXTS)) == ROUTES
    assert routes_of(await step.abatch(TEXTS)) == ROUTES
    assert calls.sizes == [3, 3]


async def test_an_empty_batch_is_an_empty_list(step):
    assert step.batch([]) == []
    assert await step.abatch([]) == []


async def test_one_bad_input_fails_alone(step):
    tracer = Tracer()
    for outcomes in (
        step.batch([ORDER, BLANK, 7, CANCEL], {"callbacks": [tracer]}, return_exceptions=True),
        await step.abatch([ORDER, BLANK, 7, CANCEL], {"callbacks": [tracer]}, return_exceptions=True),
    ):
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Decision, InvalidTextError, TypeError, Decision]
    traced = [run.error is None for run in tracer.runs]
    assert traced[:4] == [True, False, False, True]
    assert sorted(traced[4:]) == [False, False, True, True], "awaited runs are traced in whatever order they begin"


async def test_a_batch_raises_its_first_error(step):
    with pytest.raises(TypeError):
        step.batch([ORDER, 7, BLANK])
    with pytest.raises(InvalidTextError):
        await step.abatch([ORDER, BLANK, 7])


async def test_a_list_of_configurations_is_one_for_each_input(step):
    tracer = Tracer()
    configs = [{"run_name": "one", "callbacks": [tracer]}, {"run_name": "two", "callbacks": [tracer]}]
    step.batch([ORDER, CANCEL], configs)
    await step.abatch([ORDER, CANCEL], configs)
    assert [run.name for run in tracer.runs] == ["one", "two"] * 2
    with pytest.raises(ValueError, match="same length"):
        step.batch(TEXTS, configs)


def test_a_run_id_is_the_first_inputs(step):
    tracer, run_id = Tracer(), uuid.uuid4()
    with pytest.warns(RuntimeWarning, match="run_id"):
        step.batch([ORDER, CANCEL], {"run_id": run_id, "callbacks": [tracer]})
    assert tracer.runs[0].id == run_id
    assert tracer.runs[1].id != run_id


async def test_max_concurrency_is_the_size_of_the_native_batches(step, engine, monkeypatch):
    calls = CountingBatches(engine, monkeypatch)
    texts = [*TEXTS, "track my order", "wrong shipping address"]
    config = {"max_concurrency": 2}
    assert step.batch(texts, config) == await step.abatch(texts, config) == step.batch(texts)
    assert calls.sizes == [2, 2, 1, 2, 2, 1, 5]


async def test_results_as_they_come_are_complete_and_know_their_place(step):
    expected = dict(enumerate(step.batch(TEXTS)))
    assert dict(step.batch_as_completed(TEXTS)) == expected
    assert {row: outcome async for row, outcome in step.abatch_as_completed(TEXTS)} == expected
    outcomes = dict(step.batch_as_completed([ORDER, BLANK], return_exceptions=True))
    assert isinstance(outcomes[1], InvalidTextError)


async def test_an_engine_that_refuses_all_fails_every_input(bundled, support_routes):
    with AdaptiveRouter(support_routes[:2], encoder=bundled) as router:
        step = RunnableSemanticRouter(router)
    for outcomes in (
        step.batch(TEXTS, return_exceptions=True),
        await step.abatch(TEXTS, return_exceptions=True),
    ):
        assert [type(outcome) for outcome in outcomes] == [RouterClosedError] * 3


# --- cancellation ------------------------------------------------------------------------------------


class Standstill:
    """An engine's awaitable methods that never answer."""

    def __init__(self, engine, monkeypatch):
        self.begun = asyncio.Event()
        monkeypatch.setattr(engine, "aroute_each", self.wait)
        monkeypatch.setattr(engine, "aroute", self.wait)

    async def wait(self, *args, **kwargs):
        self.begun.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_cancelled_batch_is_cancelled_and_traced_as_an_error(step, engine, monkeypatch, return_exceptions):
    still, tracer = Standstill(engine, monkeypatch), Tracer()
    task = asyncio.create_task(step.abatch(TEXTS, {"callbacks": [tracer]}, return_exceptions=return_exceptions))
    await still.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [bool(run.error) for run in tracer.runs] == [True] * 3
    assert not any(run.outputs for run in tracer.runs)


async def test_a_cancelled_call_is_cancelled_and_counts_as_nothing(step, engine, monkeypatch):
    still, tracer = Standstill(engine, monkeypatch), Tracer()
    task = asyncio.create_task(step.ainvoke(ORDER, {"callbacks": [tracer]}))
    await still.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "CancelledError" in tracer.runs[0].error
    assert step.savings().queries == 0


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_cancellation_among_the_answers_is_no_success(step, engine, monkeypatch, return_exceptions):
    async def aroute_each(texts, **kwargs):
        return [asyncio.CancelledError() for _ in texts]

    monkeypatch.setattr(engine, "aroute_each", aroute_each)
    tracer = Tracer()
    with pytest.raises(asyncio.CancelledError):
        await step.abatch(TEXTS, {"callbacks": [tracer]}, return_exceptions=return_exceptions)
    assert all(run.error for run in tracer.runs)


# --- streams -----------------------------------------------------------------------------------------


async def test_a_stream_is_one_decision(step):
    expected = step.invoke(ORDER)
    assert list(step.stream(ORDER)) == [expected]
    assert [chunk async for chunk in step.astream(ORDER)] == [expected]


async def test_a_streamed_string_is_put_together_before_it_is_routed(step):
    expected = step.invoke(ORDER)
    assert list(step.transform(iter(["where is ", "my order now"]))) == [expected]

    async def parts():
        yield "where is "
        yield "my order now"

    assert [chunk async for chunk in step.atransform(parts())] == [expected]


async def test_streamed_events_have_start_decision_and_end(step):
    events = [event async for event in step.astream_events(ORDER, version="v2")]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "on_chain_start"
    assert kinds[-1] == "on_chain_end"
    custom = next(event for event in events if event["event"] == "on_custom_event")
    assert custom["name"] == "semantic_route"
    assert custom["data"]["route"] == "order_status"
    assert events[-1]["data"]["output"].route == "order_status"
    assert custom["run_id"] == events[0]["run_id"]
