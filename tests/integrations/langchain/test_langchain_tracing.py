"""What traces and callback handlers get to see."""

import json

from langchain_core.callbacks import AsyncCallbackHandler
from probes_langchain import CANCEL, ORDER, Events, Tracer

from synaptoroute_core import Decision
from synaptoroute_integrations.langchain import RunnableSemanticRouter

# --- traces ------------------------------------------------------------------------------------------


async def test_a_trace_shows_route_score_and_margin_and_not_the_query(step):
    tracer, events = Tracer(), Events()
    config = {"callbacks": [tracer, events]}
    decision = step.invoke(ORDER + " please xyzzy", config)
    await step.ainvoke(ORDER + " please xyzzy", config)
    step.batch([ORDER + " please xyzzy"], config)
    await step.abatch([ORDER + " please xyzzy"], config)
    assert len(tracer.runs) == len(events.data) == 4
    for run, data in zip(tracer.runs, events.data, strict=True):
        output = run.outputs.get("output", run.outputs)
        shown = output if isinstance(output, Decision) else Decision.model_validate(output)
        assert (shown.route, shown.score, shown.margin) == (decision.route, decision.score, decision.margin)
        assert data["route"] == decision.route
        assert data["score"] == decision.score
        assert data["margin"] == decision.margin
        assert data["threshold"] == decision.threshold
        assert data["confidence"] is None
        assert data["evidence"] == len(decision.candidates)
        assert (data["reason"], data["revision"]) == ("matched", decision.revision)
        json.dumps(data)
        for part in (run.inputs, run.outputs, run.extra, run.events, data):
            assert "xyzzy" not in str(part)
    assert [run.id for run in tracer.runs] == events.run_ids


def test_a_trace_shows_the_query_when_asked_to(engine):
    step = RunnableSemanticRouter(engine, trace_query=True)
    tracer, events = Tracer(), Events()
    step.invoke({"input": ORDER}, {"callbacks": [tracer, events]})
    assert tracer.runs[0].inputs == {"input": ORDER}
    assert events.data[0]["query"] == ORDER


async def test_a_handler_with_awaitable_methods_hears_the_event(step):
    heard = []

    class Handler(AsyncCallbackHandler):
        async def on_custom_event(self, name, data, *, run_id, **kwargs):
            heard.append(data["route"])

    await step.abatch([ORDER, CANCEL], {"callbacks": [Handler()]})
    assert heard == ["order_status", "cancel_order"]
