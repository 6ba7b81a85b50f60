"""Encoders as LangChain embeddings, LangChain embeddings as encoders."""

import asyncio
import math
from typing import ClassVar

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.example_selectors import SemanticSimilarityExampleSelector
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from synaptoroute_core import (
    AdaptiveRouter,
    BundledEncoder,
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    InvalidTextError,
    Route,
    RouterConfig,
)
from synaptoroute_integrations.langchain.embeddings import LangChainEncoder, SynaptoRouteEmbeddings

ROUTES = [
    Route("refund", ["I want my money back", "please refund me"]),
    Route("weather", ["will it rain tomorrow", "what's the weather like"]),
]


class TestLangChainsOwnUnitTests(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return SynaptoRouteEmbeddings


class TestLangChainsOwnIntegrationTests(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return SynaptoRouteEmbeddings


class Named(Embeddings):
    """Wraps the bundled model, keeps count, and spoils vectors where told to."""

    model = "named-1"
    spoilt: ClassVar[dict] = {
        "zero": lambda v: [0.0] * len(v),
        "nan": lambda v: [math.nan] * len(v),
        "infinite": lambda v: [math.inf, *v[1:]],
        "short": lambda v: v[:-1],
    }

    def __init__(self, encoder, *, scale=1.0, drift=0.0):
        self.encoder, self.scale, self.drift, self.requests = encoder, scale, drift, []

    def embed_documents(self, texts):
        self.requests.append(len(texts))
        vectors = self.encoder.encode(texts).astype(float) * self.scale
        vectors[:, 0] += self.drift * len(texts)
        spoils = [self.spoilt.get(text, list) for text in texts]
        if "error" in texts:
            raise ConnectionError("the service is down")
        return [spoil(row) for spoil, row in zip(spoils, vectors.tolist(), strict=True)]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.fixture(scope="module")
def embeddings(bundled):
    return SynaptoRouteEmbeddings(bundled)


def test_vectors_are_the_encoders_own_to_the_last_bit(bundled, embeddings):
    texts = ["where is my parcel", "cancel"]
    assert np.array_equal(np.array(embeddings.embed_documents(texts), np.float32), bundled.encode(texts))
    assert embeddings.embed_query(texts[0]) == embeddings.embed_documents(texts)[0]
    assert embeddings.embed_documents([]) == []


async def test_awaited_vectors_are_the_same_and_many_can_be_awaited_at_once(embeddings):
    texts = [f"order number {number}" for number in range(40)]
    awaited = await asyncio.gather(*(embeddings.aembed_query(text) for text in texts))
    assert awaited == await embeddings.aembed_documents(texts) == embeddings.embed_documents(texts)


@pytest.mark.parametrize("blank", ["", "  \n", "\u200b"])
def test_blank_text_is_refused_and_its_place_is_named(embeddings, blank):
    with pytest.raises(InvalidTextError, match=r"text 1 cannot be embedded.*blank"):
        embeddings.embed_documents(["refund", blank])
    with pytest.raises(InvalidTextError, match="the query cannot be embedded"):
        embeddings.embed_query(blank)


def test_an_example_selector_picks_the_nearest_examples(embeddings):
    examples = [{"q": "I want my money back", "a": "refund"}, {"q": "will it rain", "a": "weather"}]
    selector = SemanticSimilarityExampleSelector.from_examples(examples, embeddings, InMemoryVectorStore, k=1)
    assert selector.select_examples({"q": "can I get a refund"})[0]["a"] == "refund"
    assert selector.select_examples({"q": "is it going to be sunny"})[0]["a"] == "weather"


async def test_an_in_memory_vector_store_serves_as_a_semantic_cache_of_answers(embeddings):
    store = InMemoryVectorStore(embeddings)
    store.add_documents([Document("how do I reset my password", metadata={"answer": "Use the link."})])

    async def cached(question):
        [(found, score)] = await store.asimilarity_search_with_score(question, k=1)
        return found.metadata["answer"] if score >= 0.8 else None

    assert await cached("how can I reset my password?") == "Use the link."
    assert await cached("how do I delete my account") is None


def test_a_round_trip_through_langchain_keeps_every_decision(bundled, embeddings, support_routes, support_examples):
    texts = [text for text, _ in support_examples][:60]
    with (
        AdaptiveRouter(support_routes, encoder=bundled) as straight,
        AdaptiveRouter(support_routes, encoder=LangChainEncoder(embeddings)) as round_trip,
    ):
        assert round_trip.route_batch(texts) == straight.route_batch(texts)
        assert round_trip.encoder.batch_invariant


def test_vectors_of_any_length_are_scaled_to_one(bundled):
    encoder = LangChainEncoder(Named(bundled, scale=7.3))
    vectors = encoder.encode(["one", "two"])
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, bundled.encode(["one", "two"]), atol=1e-6)
    assert encoder.dim == 384


def test_the_fingerprint_names_class_model_and_length(bundled):
    encoder = LangChainEncoder(Named(bundled))
    assert encoder.fingerprint == "langchain/Named/named-1/document/384"
    assert LangChainEncoder(Named(bundled), fingerprint="mine").fingerprint == "mine"


def test_embeddings_that_do_not_name_their_model_need_a_fingerprint():
    unnamed = DeterministicFakeEmbedding(size=16)
    with pytest.raises(ConfigurationError, match=r"DeterministicFakeEmbedding does not say which model.*fingerprint="):
        LangChainEncoder(unnamed)
    with AdaptiveRouter(ROUTES, encoder=LangChainEncoder(unnamed, fingerprint="fake/16")) as router:
        assert router.route("please refund me").route == "refund"


@pytest.mark.parametrize("wrong", [None, "text-embedding-3-small", Named, object()])
def test_what_is_not_embeddings_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="no LangChain Embeddings"):
        LangChainEncoder(wrong)


def test_an_unknown_input_type_is_refused(bundled):
    with pytest.raises(ConfigurationError, match="input_type = 'search'"):
        LangChainEncoder(Named(bundled), input_type="search")


@pytest.mark.parametrize("text", ["zero", "nan", "infinite", "short", "error"])
def test_a_vector_that_cannot_be_used_is_an_encoder_error_of_that_text_alone(bundled, text):
    with AdaptiveRouter(ROUTES, encoder=LangChainEncoder(Named(bundled))) as router:
        with pytest.raises(EncoderError):
            router.route(text)
        assert router.route("please refund me").route == "refund"
        failed, answered = router.route_each([text, "will it rain tomorrow?"])
        assert isinstance(failed, EncoderError)
        assert answered.route == "weather"


def test_embeddings_that_depend_on_their_batch_are_asked_one_text_at_a_time(bundled):
    embeddings = Named(bundled, drift=0.05)
    encoder = LangChainEncoder(embeddings)
    assert not encoder.batch_invariant
    with AdaptiveRouter(ROUTES, encoder=encoder) as router:
        embeddings.requests.clear()
        together = router.route_batch(["refund please", "rain today?", "something else"])
        assert embeddings.requests == [1, 1, 1]
        assert together == [router.route(text) for text in ("refund please", "rain today?", "something else")]


def test_embeddings_that_do_not_depend_on_their_batch_are_asked_together(bundled):
    embeddings = Named(bundled)
    with AdaptiveRouter(encoder=LangChainEncoder(embeddings)) as router:
        embeddings.requests.clear()
        router.add_route(Route("many", [f"utterance {number}" for number in range(50)]))
        assert embeddings.requests == [50]


def test_no_request_is_made_before_the_first_text_if_length_and_invariance_are_given(bundled):
    embeddings = Named(bundled)
    encoder = LangChainEncoder(embeddings, dim=384, batch_invariant=True, noise=1e-3)
    assert embeddings.requests == []
    assert encoder.noise == 1e-3


@pytest.mark.parametrize("answer", [[], [[]], [[0.0] * 3, [1.0] * 3], [1.0, 2.0], [[1.0], [1.0, 2.0]], [["a"]], None])
def test_embeddings_whose_first_answer_makes_no_sense_are_refused_at_once(answer):
    class Senseless(Embeddings):
        model = "senseless"

        def embed_documents(self, texts):
            return answer

        embed_query = None

    with pytest.raises(EncoderError):
        LangChainEncoder(Senseless())


def test_embeddings_that_cannot_be_reached_are_an_encoder_error_with_its_cause():
    class Unreachable(Embeddings):
        model = "far"

        def embed_documents(self, texts):
            raise ConnectionError("no route to host")

        embed_query = None

    with pytest.raises(EncoderError, match="no route to host") as caught:
        LangChainEncoder(Unreachable())
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_wrong_length_is_an_encoder_error_and_a_senseless_one_a_configuration_error(bundled):
    with pytest.raises(EncoderError, match="shape"):
        AdaptiveRouter(ROUTES, encoder=LangChainEncoder(Named(bundled), dim=100, batch_invariant=True))
    with pytest.raises(ConfigurationError, match="dim"):
        AdaptiveRouter(ROUTES, encoder=LangChainEncoder(Named(bundled), dim=0, batch_invariant=True))


def test_queries_can_be_marked_as_such_on_both_sides(bundled):
    class Marking(Named):
        def embed_query(self, text):
            return super().embed_query(f"query: {text}")

    encoder = LangChainEncoder(Marking(bundled), input_type="query")
    assert encoder.fingerprint == "langchain/Marking/named-1/query/384"
    assert np.allclose(encoder.encode(["refund"]), bundled.encode(["query: refund"]), atol=1e-6)
    assert encoder.batch_invariant


def test_a_store_made_with_another_langchain_model_is_told_apart(bundled, tmp_path):
    first, second = Named(bundled), Named(bundled)
    second.model = "named-2"
    store = tmp_path / "routes.sqlite"
    with AdaptiveRouter(ROUTES, encoder=LangChainEncoder(first), store=store):
        pass
    config = RouterConfig(on_encoder_change="raise")
    with pytest.raises(EncoderMismatchError, match=r"named-1.*named-2"):
        AdaptiveRouter(encoder=LangChainEncoder(second), store=store, config=config)


def test_the_bundled_model_is_the_default():
    assert SynaptoRouteEmbeddings().model == BundledEncoder().fingerprint
