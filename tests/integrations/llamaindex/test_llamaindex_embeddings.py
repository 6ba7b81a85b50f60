"""Encoders as embedding models and back; and what importing the package imports."""

import asyncio
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from llama_index.core.embeddings import MockEmbedding

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Encoder, HashingEncoder, Route
from synaptoroute_integrations.llamaindex import LlamaIndexEncoder, SynaptoRouteEmbedding

TEXTS = ["where is my order", "a recipe for pancakes", "book me a flight"]


def test_vectors_are_the_encoders_own_to_the_last_bit_in_every_way_of_asking(bundled, embedding):
    expected = bundled.encode(TEXTS)
    one_by_one = [embedding.get_text_embedding(text) for text in TEXTS]
    assert np.array_equal(np.array(one_by_one, np.float32), expected)
    assert embedding.get_text_embedding_batch(TEXTS) == one_by_one
    assert [embedding.get_query_embedding(text) for text in TEXTS] == one_by_one

    async def ask():
        queries = await asyncio.gather(*[embedding.aget_query_embedding(text) for text in TEXTS])
        texts = await asyncio.gather(*[embedding.aget_text_embedding(text) for text in TEXTS])
        return queries, texts, await embedding.aget_text_embedding_batch(TEXTS)

    assert asyncio.run(ask()) == ([*one_by_one], [*one_by_one], [*one_by_one])


def test_an_encoder_whose_vectors_depend_on_their_batch_gets_one_text_at_a_time():
    sizes = []

    class Variant(HashingEncoder):
        batch_invariant = False

        def encode(self, texts):
            sizes.append(len(texts))
            return super().encode(texts)

    SynaptoRouteEmbedding(Variant()).get_text_embedding_batch(TEXTS)
    assert sizes == [1, 1, 1]


class Slow(HashingEncoder):
    """Encodes only when told to."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def encode(self, texts):
        assert self.go.wait(30)
        return super().encode(texts)


@pytest.mark.parametrize("method", ["aget_query_embedding", "aget_text_embedding", "aget_text_embedding_batch"])
async def test_async_methods_do_not_block_the_event_loop(method):
    encoder = Slow()
    asked = asyncio.create_task(
        getattr(SynaptoRouteEmbedding(encoder), method)(["a"] if method.endswith("batch") else "a")
    )
    await asyncio.sleep(0.01)
    encoder.go.set()  # reached only if the loop runs while the encoder waits
    assert await asked


def test_it_travels_with_its_encoder(embedding):
    copy = pickle.loads(pickle.dumps(embedding))
    assert copy.encoder.fingerprint == embedding.encoder.fingerprint
    assert copy.get_text_embedding("hello") == embedding.get_text_embedding("hello")
    hashing = SynaptoRouteEmbedding(HashingEncoder(), embed_batch_size=3)
    copy = pickle.loads(pickle.dumps(hashing))
    assert (copy.model_name, copy.embed_batch_size) == (hashing.model_name, 3)
    assert copy.get_text_embedding("hello") == hashing.get_text_embedding("hello")


def test_an_encoder_that_cannot_travel_says_so_instead_of_becoming_another():
    embedding = SynaptoRouteEmbedding(Slow())
    with pytest.raises(TypeError, match="cannot be pickled: Slow"):
        pickle.dumps(embedding)
    assert isinstance(embedding.encoder, Slow)


def test_what_is_written_down_names_the_encoder_and_is_refused_for_another(embedding):
    written = embedding.to_dict()
    assert "encoder" not in written
    assert written["model_name"] == embedding.encoder.fingerprint
    assert SynaptoRouteEmbedding.from_dict(written).model_name == embedding.model_name
    with pytest.raises(ConfigurationError, match="pass the encoder, not its name"):
        SynaptoRouteEmbedding.from_dict(SynaptoRouteEmbedding(HashingEncoder()).to_dict())


# --- the way back ---------------------------------------------------------------------------------


def test_there_and_back_is_the_same_encoder(bundled, embedding):
    back = LlamaIndexEncoder(embedding)
    assert isinstance(back, Encoder)
    assert (back.fingerprint, back.dim, back.batch_invariant) == (bundled.fingerprint, bundled.dim, True)
    assert np.array_equal(back.encode(TEXTS), bundled.encode(TEXTS))


class Lengthy(MockEmbedding):
    """A model whose vectors are not of unit length."""

    def _get_text_embedding(self, text):
        return [
            3.0 + len(text),
            *[float(ord(sign) % 7) for sign in text[: self.embed_dim - 1].ljust(self.embed_dim - 1)],
        ]


def test_any_embedding_model_can_route():
    encoder = LlamaIndexEncoder(Lengthy(embed_dim=8, model_name="lengthy"))
    assert (encoder.dim, encoder.batch_invariant) == (8, False)
    assert encoder.fingerprint == "llama-index/MockEmbedding/lengthy"
    assert np.allclose(np.linalg.norm(encoder.encode(TEXTS), axis=1), 1)
    with AdaptiveRouter([Route("a", TEXTS[:1]), Route("b", TEXTS[1:2])], encoder=encoder) as router:
        decision = router.route(TEXTS[0])
        assert decision.candidates[0].route == "a"
        assert decision.score == pytest.approx(1)


def test_a_model_without_a_name_needs_a_fingerprint():
    unnamed = MockEmbedding(embed_dim=3)
    unnamed.model_name = "unknown"
    with pytest.raises(ConfigurationError, match="pass fingerprint="):
        LlamaIndexEncoder(unnamed)
    assert LlamaIndexEncoder(unnamed, "mine", batch_invariant=True).fingerprint == "mine"


def test_an_encoder_of_an_embedding_model_travels(embedding):
    copy = pickle.loads(pickle.dumps(LlamaIndexEncoder(embedding, "mine", batch_invariant=False)))
    assert (copy.fingerprint, copy.dim, copy.batch_invariant) == ("mine", 384, False)


def test_the_dimension_is_found_once_by_many_threads():
    asked = []

    class Probed(MockEmbedding):
        def _get_text_embedding(self, text):
            asked.append(text)
            time.sleep(0.01)
            return [1.0, 0.0]

    encoder = LlamaIndexEncoder(Probed(embed_dim=2, model_name="probed"))
    threads = [threading.Thread(target=lambda: encoder.dim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


# --- imports --------------------------------------------------------------------------------------

FRAMEWORKS = ("llama_index", "langchain", "langchain_core", "langgraph")


def imported_by(code: str, *hidden: str) -> str:
    """What a fresh interpreter prints after ``code``, in which some packages cannot be imported."""
    hide = f"import sys\nfor name in {hidden!r}: sys.modules[name] = None"
    report = f"print(sorted(name for name in {FRAMEWORKS!r} if sys.modules.get(name)))"
    program = f"{hide}\n{code}\n{report}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100)
    return run.stdout.strip() if run.returncode == 0 else run.stderr


def test_neither_the_engine_nor_the_package_imports_a_framework():
    assert imported_by("import synaptoroute_core, synaptoroute_integrations") == "[]"


def test_it_works_without_langchain():
    hidden = ("langchain", "langchain_core", "langgraph")
    assert imported_by("import synaptoroute_integrations.llamaindex", *hidden) == "['llama_index']"


@pytest.mark.parametrize("hidden", ["llama_index", "llama_index.core"])
def test_without_llamaindex_it_says_what_to_install(hidden):
    message = imported_by("import synaptoroute_integrations.llamaindex", hidden)
    assert "pip install 'synaptoroute-integrations[llama-index]'" in message
