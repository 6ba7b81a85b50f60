"""Counting what was spared."""

import asyncio
import dataclasses
import threading

import pytest
from probes_langchain import BLANK, ORDER, TEXTS, WEATHER

from synaptoroute_core import ConfigurationError, NoRouteError
from synaptoroute_integrations.langchain import RunnableSemanticRouter, Savings, SavingsHandler


async def ask_in_every_way(step, config=None):
    """Of 12 queries 6 get a route, 4 do not, 2 fail."""
    step.invoke(ORDER, config)
    await step.ainvoke(WEATHER, config)
    step.batch(TEXTS, config)
    await step.abatch(TEXTS, config)
    step.as_key(default="llm").invoke(ORDER, config)
    step.to_branch({}, default=len).invoke(WEATHER, config)
    for ask in (step.invoke, lambda *given: step.batch([given[0]], given[1])):
        with pytest.raises(ValueError, match="blank"):
            ask(BLANK, config)


async def test_every_query_counts_once_whichever_way_it_came(step):
    await ask_in_every_way(step)
    savings = step.savings(price_per_call=0.002)
    assert (savings.queries, savings.local, savings.abstained, savings.failed) == (12, 6, 4, 2)
    assert savings.llm_calls_saved == 6
    assert savings.money_saved == pytest.approx(0.012)
    assert savings.milliseconds > 0
    assert step.savings().money_saved is None


async def test_a_handler_counts_the_same_over_several_routers(step, engine):
    handler = SavingsHandler()
    other = RunnableSemanticRouter(engine, name="other")
    await ask_in_every_way(step, {"callbacks": [handler]})
    other.invoke(ORDER, {"callbacks": [handler]})
    counted, own = handler.savings(0.5), step.savings(0.5)
    assert (counted.local, counted.abstained, counted.failed) == (own.local + 1, own.abstained, own.failed)
    assert counted.milliseconds == pytest.approx(own.milliseconds + other.savings().milliseconds)


def test_a_raised_abstention_is_an_abstention(engine):
    step, handler = RunnableSemanticRouter(engine, on_no_match="raise"), SavingsHandler()
    with pytest.raises(NoRouteError):
        step.invoke(WEATHER, {"callbacks": [handler]})
    assert (step.savings().abstained, step.savings().failed) == (1, 0)
    assert (handler.savings().abstained, handler.savings().failed) == (1, 0)


async def test_no_count_is_lost_between_threads_and_tasks(step):
    def ask():
        for _ in range(20):
            step.invoke(ORDER)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(step.ainvoke(ORDER) for _ in range(20)))
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert step.savings().local == 100


def test_savings_read_well_and_do_not_change(step):
    savings = Savings(local=1500, abstained=499, failed=1, milliseconds=4000.0, price_per_call=0.01)
    assert str(savings) == (
        "2,000 queries: 1,500 routed here (75.0%), 499 abstained, 1 failed, 2.0 ms each, "
        "1,500 LLM calls saved, worth 15.00"
    )
    assert str(step.savings()) == "no queries yet"
    with pytest.raises(dataclasses.FrozenInstanceError):
        savings.local = 7


@pytest.mark.parametrize("price", [-1, "free", True, float("nan")])
def test_a_price_is_a_number_of_0_or_more(step, price):
    with pytest.raises(ConfigurationError, match="price_per_call"):
        step.savings(price)
