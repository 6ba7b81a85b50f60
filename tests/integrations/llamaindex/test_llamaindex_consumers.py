"""LlamaIndex's own consumers of a selector, over real indices, with an LLM that counts."""

import asyncio

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.retrievers import RouterRetriever
from llama_index.core.selectors import LLMMultiSelector, LLMSingleSelector
from llama_index.core.tools import FunctionTool, QueryEngineTool, RetrieverTool
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

from synaptoroute_core import ConfigurationError, NoRouteError
from synaptoroute_integrations.llamaindex import (
    SemanticRouteEvent,
    SemanticRouteSelector,
    SemanticSelectorResult,
    SemanticToolRetriever,
)

DOCUMENTS = {
    "order_status": ["Parcels arrive within three working days.", "The courier sends a tracking link by email."],
    "refund_status": ["Refunds reach the card within five days.", "Money for cancelled orders is returned at once."],
    "reset_password": ["The link in the login window resets a password.", "A link is valid for one hour."],
}
ORDER, REFUND, OUTSIDE = "where is my order", "when will my refund arrive", "what will the weather be on Sunday"
NAMES = list(DOCUMENTS)


@pytest.fixture(scope="module")
def indices(embedding):
    return {
        name: VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=embedding)
        for name, texts in DOCUMENTS.items()
    }


@pytest.fixture
def engine_tools(indices, llm):
    return [
        QueryEngineTool.from_defaults(
            index.as_query_engine(llm=MockLLM(), similarity_top_k=1), name=name, description=f"About {name}"
        )
        for name, index in indices.items()
    ]


@pytest.fixture
def retriever_tools(indices):
    return [
        RetrieverTool.from_defaults(index.as_retriever(similarity_top_k=1), name=name, description=f"About {name}")
        for name, index in indices.items()
    ]


# --- RouterQueryEngine ----------------------------------------------------------------------------


def test_a_query_engine_is_chosen_and_the_figures_arrive_in_the_response(router, engine_tools):
    engine = RouterQueryEngine(SemanticRouteSelector(router), engine_tools, llm=MockLLM())
    response = engine.query(REFUND)
    result = response.metadata["selector_result"]
    assert isinstance(result, SemanticSelectorResult)
    assert NAMES[result.ind] == result.decision.route == "refund_status"
    assert result.selections[0].score == result.decision.score
    assert response.source_nodes[0].text in DOCUMENTS["refund_status"]


async def test_a_query_engine_is_chosen_in_async_code(router, engine_tools):
    engine = RouterQueryEngine(SemanticRouteSelector(router), engine_tools, llm=MockLLM())
    assert (await engine.aquery(ORDER)).metadata["selector_result"].decision.route == "order_status"


def test_a_query_engine_raises_the_decision_when_none_fits(router, engine_tools):
    with pytest.raises(NoRouteError):
        RouterQueryEngine(SemanticRouteSelector(router), engine_tools, llm=MockLLM()).query(OUTSIDE)


def test_several_engines_answer_in_mode_multi(router, engine_tools, llm):
    selector = SemanticRouteSelector(router, mode="multi", threshold=-1, max_outputs=2)
    response = RouterQueryEngine(selector, engine_tools, llm=llm).query(REFUND)
    assert len(response.metadata["selector_result"].inds) == 2
    assert len(response.source_nodes) == 2


def test_two_hundred_queries_at_once_share_batches(router, engine_tools):
    engine = RouterQueryEngine(SemanticRouteSelector(router, fallback="best"), engine_tools, llm=MockLLM())
    before = router.stats()

    async def ask():
        await asyncio.gather(*[engine.aquery(f"where is my order number {number}") for number in range(200)])

    asyncio.run(ask())
    after = router.stats()
    assert after.encoded - before.encoded == 200
    assert 200 / (after.batches - before.batches) > 8


# --- no LLM ---------------------------------------------------------------------------------------


def test_no_llm_is_asked_unless_the_fallback_says_so(router, retriever_tools, llm):
    """All ways of selecting, sync and async; a retriever has no answer to write, so nothing else asks one."""
    for settings in ({"fallback": "best"}, {"fallback": 0}, {"fallback": "best", "mode": "multi"}, {}):
        retriever = RouterRetriever(SemanticRouteSelector(router, **settings), retriever_tools, llm=llm)
        for text in (ORDER, REFUND, OUTSIDE):
            try:
                assert retriever.retrieve(text)
                assert asyncio.run(retriever.aretrieve(text))
            except NoRouteError:
                assert (settings, text) == ({}, OUTSIDE)
    assert llm.prompts == []


@pytest.mark.parametrize("kind", [LLMSingleSelector, LLMMultiSelector])
def test_local_first_and_the_llm_when_unsure(router, retriever_tools, llm, kind):
    llm.answer = '[{"choice": 3, "reason": "nothing better"}]'
    selector = SemanticRouteSelector(router, fallback=kind.from_defaults(llm=llm))
    retriever = RouterRetriever(selector, retriever_tools, llm=llm)
    assert retriever.retrieve(ORDER)[0].text in DOCUMENTS["order_status"]
    assert llm.prompts == []
    assert retriever.retrieve(OUTSIDE)[0].text in DOCUMENTS["reset_password"]
    assert asyncio.run(retriever.aretrieve(OUTSIDE))[0].text in DOCUMENTS["reset_password"]
    assert len(llm.prompts) == 2
    assert "fallback:prompt" in selector.get_prompts()


@pytest.mark.parametrize("number", [0, 99])
def test_a_choice_that_the_llm_made_up_is_not_run(router, retriever_tools, llm, number):
    """It counts from 1: its 0 becomes index -1, which would run the last engine."""
    llm.answer = f'[{{"choice": {number}, "reason": "made up"}}]'
    selector = SemanticRouteSelector(router, fallback=LLMSingleSelector.from_defaults(llm=llm))
    with pytest.raises(NoRouteError, match="LLMSingleSelector selected"):
        RouterRetriever(selector, retriever_tools, llm=llm).retrieve(OUTSIDE)


def test_the_embedding_that_a_retriever_makes_can_be_the_routers_too(router, embedding, retriever_tools, llm):
    """The retriever's own bundle is left as it was: an embedding is only read."""
    selector = SemanticRouteSelector(router, query_embed_model=embedding)
    nodes = RouterRetriever(selector, retriever_tools, llm=llm).retrieve(REFUND)
    assert nodes[0].text in DOCUMENTS["refund_status"]


# --- workflows and agents -------------------------------------------------------------------------


class Chosen(Event):
    tool: str


class Desk(Workflow):
    """Two steps: choose, then act."""

    def __init__(self, selector, choices):
        super().__init__(timeout=30)
        self.selector, self.choices = selector, choices

    @step
    async def choose(self, event: StartEvent) -> Chosen | StopEvent:
        try:
            result = await self.selector.aselect(self.choices, event.query)
        except NoRouteError as error:
            return StopEvent(result=error.decision.reason)
        return Chosen(tool=self.choices[result.ind].name)

    @step
    async def act(self, event: Chosen) -> StopEvent:
        return StopEvent(result=f"ran {event.tool}")


async def test_a_workflow_step_chooses(router, tools):
    desk = Desk(SemanticRouteSelector(router), tools)
    assert await desk.run(query=ORDER) == "ran order_status"
    assert await desk.run(query=OUTSIDE) == "below_threshold"


def function_tools():
    return [
        FunctionTool.from_defaults(lambda text: text, name=name, description=f"Tool for {name}") for name in DOCUMENTS
    ]


# LlamaIndex's agents list all their attributes, and ask whether they run.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
@pytest.mark.parametrize(("query", "seen"), [(ORDER, ["order_status"]), (OUTSIDE, NAMES)])
async def test_an_agents_llm_reads_only_the_tools_that_fit_or_all_if_none_does(router, llm, query, seen):
    llm.answer = "Thought: I can answer without using any more tools.\nAnswer: done"
    retriever = SemanticToolRetriever(SemanticRouteSelector(router, mode="multi"), function_tools())
    agent = ReActAgent(tool_retriever=retriever, llm=llm, streaming=False)
    await agent.run(query)
    assert [name for name in NAMES if f"Tool for {name}" in llm.prompts[0]] == seen


def test_tools_for_a_query_that_none_fits(router):
    selector, tools = SemanticRouteSelector(router), function_tools()
    assert SemanticToolRetriever(selector, tools).retrieve(OUTSIDE) == tools
    assert SemanticToolRetriever(selector, tools, on_no_match="none").retrieve(OUTSIDE) == []
    with pytest.raises(NoRouteError):
        SemanticToolRetriever(selector, tools, on_no_match="raise").retrieve(OUTSIDE)
    with pytest.raises(ConfigurationError):
        SemanticToolRetriever(selector, tools, on_no_match="some")
    with pytest.raises(ConfigurationError):
        SemanticToolRetriever(selector, [])


# --- instrumentation ------------------------------------------------------------------------------


class Events(BaseEventHandler):
    seen: list = []  # noqa: RUF012  # pydantic copies it

    def handle(self, event, **kwargs):
        self.seen.append(event)


@pytest.fixture
def heard():
    """Events and spans that LlamaIndex's instrumentation hands on."""
    events, spans, root = Events(), SimpleSpanHandler(), get_dispatcher()
    handlers = list(root.event_handlers), list(root.span_handlers)
    root.add_event_handler(events)
    root.add_span_handler(spans)
    yield events.seen, spans
    root.event_handlers, root.span_handlers = handlers


def test_a_selection_is_an_event_inside_the_selectors_span(router, tools, heard):
    events, spans = heard
    selector = SemanticRouteSelector(router, fallback="best")
    result = selector.select(tools, ORDER)
    selector.select(tools, OUTSIDE)
    asyncio.run(selector.aselect(tools, ORDER))
    found = [event for event in events if isinstance(event, SemanticRouteEvent)]
    assert [(event.route, event.fallback) for event in found] == [
        ("order_status", None),
        (None, "best"),
        ("order_status", None),
    ]
    first = found[0]
    decision = result.decision
    assert (first.indices, first.score, first.margin, first.threshold, first.reason) == (
        result.inds,
        decision.score,
        decision.margin,
        decision.threshold,
        "matched",
    )
    assert first.span_id in {span.id_ for span in spans.completed_spans}
    assert first.span_id.startswith("SemanticRouteSelector._select")


def test_the_event_does_not_hold_the_query(router, tools, heard):
    text = "my card number is 4111 and where is my order"
    SemanticRouteSelector(router, fallback="best").select(tools, text)
    for event in heard[0]:
        assert "4111" not in event.model_dump_json()


def test_an_abstention_that_raises_is_an_event_too(router, tools, heard):
    with pytest.raises(NoRouteError):
        SemanticRouteSelector(router).select(tools, OUTSIDE)
    (event,) = [event for event in heard[0] if isinstance(event, SemanticRouteEvent)]
    assert (event.route, event.indices, event.reason, event.fallback) == (None, [], "below_threshold", "raise")
