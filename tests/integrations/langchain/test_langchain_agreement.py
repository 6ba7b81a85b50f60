"""Every way to a decision leads to the same one, and concurrent calls share batches."""

import asyncio
import itertools

import pytest
from langchain_core.runnables import RunnableBranch, RunnableLambda, RunnableParallel, RunnablePassthrough

from synaptoroute_core import AdaptiveRouter, RouterConfig
from synaptoroute_integrations.langchain import RunnableSemanticRouter

COUNT = 500
CONCURRENT = 200
PHRASES = ("{}", "hi, {}", "{} please", "hello there, {}, thanks")


@pytest.fixture(scope="module")
def texts(support_examples):
    """Distinct queries: the sample ones, dressed in a few ways."""
    dressed = (phrase.format(text) for phrase, (text, _) in itertools.product(PHRASES, support_examples))
    distinct = list(dict.fromkeys(dressed))[:COUNT]
    assert len(distinct) == COUNT
    return distinct


@pytest.fixture(scope="module")
def uncached(bundled, support_routes):
    """A router that remembers nothing: every way has to encode."""
    with AdaptiveRouter(support_routes[:6], encoder=bundled, config=RouterConfig(cache_size=0)) as router:
        yield router


@pytest.fixture(scope="module")
def expected(uncached, texts):
    return uncached.route_batch(texts)


def branching(step):
    """The decision, by way of the two sides of a branch."""
    return RunnableBranch((step, RunnableLambda(lambda text: ("yes", text))), RunnableLambda(lambda text: ("no", text)))


def sides_of(texts, decisions):
    return [("yes" if decision else "no", text) for text, decision in zip(texts, decisions, strict=True)]


async def test_every_way_to_a_decision_leads_to_the_same(engine, texts, expected):
    step = RunnableSemanticRouter(engine)  # with its cache: what was decided once is found again
    assert len({decision.route for decision in expected}) == 7
    assert step.batch(texts) == expected
    assert [step.invoke(text) for text in texts] == expected
    assert await asyncio.gather(*map(step.ainvoke, texts)) == expected
    assert await step.abatch(texts) == expected
    assert branching(step).batch(texts) == sides_of(texts, expected)
    assert await branching(step).abatch(texts) == sides_of(texts, expected)
    assert RunnableParallel(a=step).batch(texts) == [{"a": decision} for decision in expected]
    assigned = await RunnablePassthrough.assign(route=step).abatch([{"input": text} for text in texts])
    assert [made["route"] for made in assigned] == expected
    assert engine.route_batch(texts) == expected


async def test_the_ways_agree_without_a_cache_too(uncached, texts, expected):
    step, some = RunnableSemanticRouter(uncached), slice(0, 60)
    assert [step.invoke(text) for text in texts[some]] == expected[some]
    assert await asyncio.gather(*map(step.ainvoke, texts[some])) == expected[some]
    assert branching(step).batch(texts[some]) == sides_of(texts[some], expected[some])
    assert step.batch(texts[some]) == await step.abatch(texts[some]) == expected[some]


async def test_concurrent_calls_through_a_branch_are_encoded_in_shared_batches(uncached, texts, expected):
    chain = branching(RunnableSemanticRouter(uncached))
    before = uncached.stats()
    answers = await asyncio.gather(*map(chain.ainvoke, texts[:CONCURRENT]))
    after = uncached.stats()
    assert answers == sides_of(texts[:CONCURRENT], expected[:CONCURRENT])
    assert after.encoded - before.encoded == CONCURRENT
    assert (after.encoded - before.encoded) / (after.batches - before.batches) > 8
