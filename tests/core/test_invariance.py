"""A text's vector does not depend on the texts beside it, and a model in which it does is found out."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_onnx import write_model
from tokenizers import Tokenizer

from synaptoroute_core import AdaptiveRouter, BundledEncoder, FastEmbedEncoder, HashingEncoder, Route, RouterConfig
from synaptoroute_core.encoders import encode_each
from synaptoroute_core.encoders.bundled import BUNDLED_MODEL
from synaptoroute_core.encoders.invariance import INVARIANT_BELOW, has_dynamic_quantisation, measure_movement
from synaptoroute_core.encoders.sessions import open_session

HOSTILE = [
    "the parcel did not come and nobody answers " * 60,  # cut to 256 tokens
    "!!!! ???? #### @@@@ " * 40,
    "z" * 16_384,
    "😀🎉🚀" * 50,
    "\x00\x01\x02 \ud800 \ufffd",
    "",
]

# --- the bundled model ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(support_examples) -> list[str]:
    """Real queries, and some that are much longer or shorter."""
    return [*[text for text, _ in support_examples][:96], "no", *HOSTILE[:2], "refund please " * 30]


@pytest.fixture(scope="module")
def alone(bundled, texts) -> np.ndarray:
    """Each text by itself."""
    return np.concatenate([bundled.encode([text]) for text in texts])


def in_random_batches(encoder: BundledEncoder, texts: list[str]) -> np.ndarray:
    vectors = np.empty((len(texts), encoder.dim), np.float32)
    rows = list(range(len(texts)))
    random.Random(len(texts)).shuffle(rows)
    for start in range(0, len(rows), 32):
        batch = rows[start : start + 32]
        vectors[batch] = encoder.encode([texts[row] for row in batch])
    return vectors


def in_random_order_five_times(encoder: BundledEncoder, texts: list[str]) -> np.ndarray:
    """The vectors that differ most from those of the first draw, over five draws."""
    rng = random.Random(5)
    first = worst = in_random_batches(encoder, texts)
    for _ in range(4):
        order = rng.sample(range(len(texts)), len(texts))
        drawn = np.empty_like(first)
        drawn[order] = in_random_batches(encoder, [texts[row] for row in order])
        worst = np.where(np.abs(drawn - first) > np.abs(worst - first), drawn, worst)
    return worst


def beside_hostile_mates(encoder: BundledEncoder, texts: list[str]) -> np.ndarray:
    return np.concatenate([encoder.encode([HOSTILE[0], text, *HOSTILE[1:]])[1:2] for text in texts[:16]])


def in_eight_threads(encoder: BundledEncoder, texts: list[str]) -> np.ndarray:
    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda start: encoder.encode(texts[start : start + 12]), range(0, len(texts), 12))
        return np.concatenate(list(parts))


def padded_to_many_lengths(encoder: BundledEncoder, texts: list[str]) -> np.ndarray:
    """Straight through the session, since the encoder itself pads little; the worst of all lengths."""
    tokenizer = Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    session = open_session(BUNDLED_MODEL / "model.onnx", providers=None, threads=1)
    vectors = []
    for text in texts[:16]:
        tokens = tokenizer.encode(text).ids
        by_length = []
        for padding in (0, 1, 2, 3, 5, 8, 13, 64, 256 - len(tokens)):
            inputs = {"input_ids": [tokens + [0] * padding], "attention_mask": [[1] * len(tokens) + [0] * padding]}
            by_length.append(session.run(["sentence_embedding"], inputs)[0][0])
        moved = [np.abs(vector - by_length[0]).max() for vector in by_length]
        vectors.append(by_length[int(np.argmax(moved))])
    return np.array(vectors)


COMPANY = [in_random_order_five_times, beside_hostile_mates, in_eight_threads, padded_to_many_lengths]


@pytest.fixture(scope="module", params=COMPANY, ids=lambda function: function.__name__)
def in_company(request, bundled, texts) -> np.ndarray:
    """The vectors of the first of the texts, encoded beside others."""
    return request.param(bundled, texts)


def test_a_vector_is_the_same_alone_and_in_any_company(alone, in_company):
    """With dynamic int8 a stranger's text moved a score by 0.05."""
    np.testing.assert_allclose(in_company, alone[: len(in_company)], rtol=0, atol=1e-6)


def test_a_vector_is_the_same_to_the_last_bit_alone_and_in_any_company(alone, in_company):
    assert in_company.tobytes() == alone[: len(in_company)].tobytes()


def test_two_threads_within_a_run_give_the_same_vectors(alone, texts):
    np.testing.assert_allclose(BundledEncoder(threads=2).encode(texts[:32]), alone[:32], rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ["where is my order", HOSTILE[0]], ids=["short", "256 tokens"])
def test_the_same_text_many_times_gives_one_vector(bundled, text):
    assert len(np.unique(bundled.encode([text] * 32), axis=0)) == 1


def test_the_bundled_model_has_no_operator_that_quantises_at_run_time():
    assert not has_dynamic_quantisation(BUNDLED_MODEL / "model.onnx")


def test_the_probe_finds_no_movement_in_the_bundled_model(bundled):
    assert measure_movement(bundled.encode) == 0.0


# --- models in which it does depend ---------------------------------------------------------------


@pytest.fixture(scope="module", params=["dynamic", "disguised"])
def dependent(request, tmp_path_factory) -> FastEmbedEncoder:
    """An encoder whose model gives a text another vector in other company."""
    folder = write_model(tmp_path_factory.mktemp("models") / request.param, request.param)
    return FastEmbedEncoder(model_path=folder)


def test_a_model_that_depends_on_company_really_does_so_when_run_in_batches(dependent, texts):
    """What the guard is for: without this the tests below would show nothing."""
    together = np.array(list(dependent._model.embed(texts[:8])))
    by_itself = np.array([next(iter(dependent._model.embed([text]))) for text in texts[:8]])
    assert np.abs(together - by_itself).max() > 1e-3


def test_such_a_model_is_declared_not_invariant_and_noisy(dependent):
    assert dependent.batch_invariant is False
    assert dependent.noise > 1e-3


def test_such_a_model_is_reported_once_in_the_log(tmp_path, caplog):
    FastEmbedEncoder(model_path=write_model(tmp_path / "model", "dynamic"))
    assert [record.levelname for record in caplog.records if "one text at a time" in record.message] == ["WARNING"]


def test_the_encoder_of_such_a_model_still_gives_each_text_one_vector(dependent, texts):
    batch = [*HOSTILE[:4], *texts[:20]]
    assert dependent.encode(batch).tobytes() == b"".join(dependent.encode([text]).tobytes() for text in batch)


def test_an_encoder_without_the_promise_is_given_one_text_at_a_time(texts):
    class Watched(HashingEncoder):
        batch_invariant = False
        sizes: list[int] = []  # noqa: RUF012  # one instance

        def encode(self, texts):
            self.sizes.append(len(texts))
            return super().encode(texts)

    encoder = Watched()
    encode_each(encoder, texts[:10])
    assert encoder.sizes == [1] * 10


def test_a_router_on_such_a_model_decides_alike_alone_and_in_a_batch(dependent, support_routes, texts):
    """Three to four of 75 queries changed their decision with their batch-mates."""
    config = RouterConfig(threshold=0.3, min_margin=0.01, cache_size=0)
    with AdaptiveRouter(support_routes, encoder=dependent, config=config) as router:
        single = [router.route(text) for text in texts[:60]]
        assert router.route_batch(texts[:60]) == single
        assert any(single)
        assert not all(single)


def test_a_decision_within_the_noise_of_such_a_model_is_marked(dependent):
    with AdaptiveRouter([Route("greet", ["hello there"])], encoder=dependent) as router:
        score = router.route("hello you").score
        router.update_threshold("greet", score + dependent.noise / 2)
        assert router.route("hello you").near_boundary


def test_a_float_model_without_such_operators_is_declared_invariant(tmp_path):
    encoder = FastEmbedEncoder(model_path=write_model(tmp_path / "model", "float"))
    assert encoder.batch_invariant is True


@pytest.mark.parametrize(("kind", "expected"), [("float", False), ("dynamic", True), ("disguised", False)])
def test_the_scan_names_the_models_with_operators_that_quantise_at_run_time(tmp_path, kind, expected):
    assert has_dynamic_quantisation(write_model(tmp_path / "model", kind) / "model.onnx") is expected


def shifted(by: float) -> Callable[[list[str]], np.ndarray]:
    """An encoding that moves by a given amount as soon as there is company."""

    def encode(texts):
        vectors = HashingEncoder().encode(texts)
        vectors[:, 0] += by * (len(texts) > 1)
        return vectors

    return encode


@pytest.mark.parametrize("movement", [0.0, 1e-3, 0.05])
def test_the_probe_measures_by_how_much_company_moves_a_vector(movement):
    assert measure_movement(shifted(movement)) == pytest.approx(movement, abs=INVARIANT_BELOW)
