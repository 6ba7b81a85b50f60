"""Any fastembed model: by name, from a folder, beside others, with errors that say what to do."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tiny_onnx import write_model

from synaptoroute_core import AdaptiveRouter, ConfigurationError, Encoder, EncoderError, FastEmbedEncoder, RouterConfig
from synaptoroute_core.encoders.bundled import BUNDLED_MODEL
from synaptoroute_core.encoders.sessions import CPU
from synaptoroute_core.text import MAX_TEXT_CHARS

KNOWN = "sentence-transformers/all-MiniLM-L6-v2"
CUDA = "CUDAExecutionProvider"
without_cuda = pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this build has CUDA")


@pytest.fixture(scope="module")
def texts(support_examples) -> list[str]:
    return [text for text, _ in support_examples][:24]


@pytest.fixture(scope="module")
def from_folder() -> FastEmbedEncoder:
    """The bundled model, which is laid out as fastembed expects it."""
    return FastEmbedEncoder(model_path=BUNDLED_MODEL)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small model of which nothing is known to fastembed yet."""
    return write_model(tmp_path / "model", "float")


# --- the same model through fastembed -------------------------------------------------------------


@pytest.mark.parametrize("name", [None, KNOWN, KNOWN.upper()], ids=["folder alone", "known name", "other letter case"])
def test_a_folder_gives_the_vectors_of_the_bundled_encoder(bundled, texts, name):
    encoder = FastEmbedEncoder(name, model_path=BUNDLED_MODEL)
    assert isinstance(encoder, Encoder)
    assert encoder.dim == 384
    np.testing.assert_allclose(encoder.encode(texts), bundled.encode(texts), rtol=0, atol=1e-5)


def test_the_bundled_model_is_found_invariant_through_fastembed_too(from_folder, texts):
    assert from_folder.batch_invariant is True
    alone = np.concatenate([from_folder.encode([text]) for text in texts])
    np.testing.assert_allclose(from_folder.encode(texts), alone, rtol=0, atol=1e-6)


def test_pooling_over_the_first_token_gives_other_vectors(from_folder, texts):
    first_token = FastEmbedEncoder(model_path=BUNDLED_MODEL, pooling="cls")
    assert np.abs(first_token.encode(texts) - from_folder.encode(texts)).max() > 0.01
    assert first_token.fingerprint != from_folder.fingerprint


def test_a_pooling_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="max"):
        FastEmbedEncoder(model_path=BUNDLED_MODEL, pooling="max")


@pytest.mark.parametrize("argument", [{"pooling": "cls"}, {"model_file": "other.onnx"}])
def test_an_argument_that_a_known_name_leaves_without_effect_is_refused(argument):
    """An option that does nothing is worse than an error."""
    with pytest.raises(ConfigurationError, match=next(iter(argument))):
        FastEmbedEncoder(KNOWN, model_path=BUNDLED_MODEL, **argument)


@pytest.mark.parametrize(
    "text",
    ["where is \ud800 my order", "\x00", "😀🎉", "", " ", "x" * 100_000],
    ids=["lone surrogate", "nul", "emoji", "empty", "blank", "long"],
)
def test_any_text_gives_a_unit_vector_and_leaves_its_neighbours_alone(from_folder, text):
    vectors = from_folder.encode(["where is my order", text])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors[0], from_folder.encode(["where is my order"])[0], rtol=0, atol=1e-6)


def test_only_the_first_characters_of_a_huge_text_are_read(from_folder):
    """A tokeniser reads to the end before it cuts."""
    huge = "where is my order? " * 300_000
    assert from_folder.encode([huge]).tobytes() == from_folder.encode([huge[:MAX_TEXT_CHARS]]).tobytes()


@pytest.mark.parametrize("kind", ["float", "dynamic"])
def test_no_texts_give_no_vectors(tmp_path, kind):
    encoder = FastEmbedEncoder(model_path=write_model(tmp_path / "model", kind))
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_vectors_come_back_in_the_order_of_the_texts(from_folder, texts):
    reordered = [*texts[12:], *texts[:12]]
    np.testing.assert_allclose(from_folder.encode(reordered)[12:], from_folder.encode(texts)[:12], rtol=0, atol=1e-6)


def test_a_router_works_on_it_from_end_to_end(tmp_path, support_routes, support_examples):
    config, examples = RouterConfig(on_encoder_change="raise"), support_examples[:60]
    for given in (support_routes, ()):  # the second time from the file, with another encoder of the same model
        encoder = FastEmbedEncoder(model_path=BUNDLED_MODEL)
        with AdaptiveRouter(given, encoder=encoder, store=tmp_path / "routes.db", config=config) as router:
            accuracy = router.evaluate(examples).accuracy
    with AdaptiveRouter(support_routes) as router:
        assert router.evaluate(examples).accuracy == pytest.approx(accuracy, abs=0.02)
    assert accuracy > 0.6


def test_threads_may_share_it(from_folder, texts):
    expected = from_folder.encode(texts).tobytes()
    with ThreadPoolExecutor(4) as pool:
        assert {vectors.tobytes() for vectors in pool.map(from_folder.encode, [texts] * 4)} == {expected}


# --- fastembed's list of models, of which there is one for the process ------------------------------


def test_one_folder_may_be_opened_again_and_again(folder, texts):
    first, second = FastEmbedEncoder(model_path=folder), FastEmbedEncoder(model_path=folder)
    assert first.fingerprint == second.fingerprint
    assert first.encode(texts).tobytes() == second.encode(texts).tobytes()


def test_one_folder_may_be_opened_by_many_threads_at_once(folder, texts):
    with ThreadPoolExecutor(8) as pool:
        encoders = list(pool.map(lambda _: FastEmbedEncoder(model_path=folder), range(16)))
    assert len({encoder.fingerprint for encoder in encoders}) == 1
    assert len({encoder.encode(texts).tobytes() for encoder in encoders}) == 1


def test_the_same_model_in_two_layouts_may_be_opened_by_one_process(folder, texts):
    """What is registered first must not say where the other one has its file."""
    first = FastEmbedEncoder(model_path=folder)
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    second = FastEmbedEncoder(model_path=folder)
    assert first.encode(texts).tobytes() == second.encode(texts).tobytes()


@pytest.mark.parametrize("name", ["weights.onnx", "onnx/weights.onnx"])
def test_the_model_file_may_have_a_name_of_its_own(tmp_path, folder, texts, name):
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / name)
    other = FastEmbedEncoder(model_path=write_model(tmp_path / "other", "float"))
    assert FastEmbedEncoder(model_path=folder, model_file=name).encode(texts).tobytes() == other.encode(texts).tobytes()


def test_models_that_read_different_lengths_have_different_fingerprints(folder):
    """Equal fingerprints mean that stored vectors may be used, and these would be wrong."""
    whole = FastEmbedEncoder(model_path=folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 8}), encoding="utf-8")
    short = FastEmbedEncoder(model_path=folder)
    text = ["one two three four five six seven eight nine ten"]
    assert np.abs(whole.encode(text) - short.encode(text)).max() > 0.01
    assert whole.fingerprint != short.fingerprint


# --- what cannot work -----------------------------------------------------------------------------


def test_a_model_that_is_not_in_the_cache_of_an_offline_machine_says_what_to_do(tmp_path):
    with pytest.raises(EncoderError, match=r"bge-small-en-v1\.5.*model_path=FOLDER.*bundled model"):
        FastEmbedEncoder("BAAI/bge-small-en-v1.5", cache_dir=tmp_path, local_files_only=True)


def test_an_environment_that_forbids_downloads_is_obeyed(tmp_path):
    """In a process of its own, where any connection would raise: none is tried."""
    code = f"""
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        print("connected")
sys.addaudithook(watch)
from synaptoroute_core import EncoderError, FastEmbedEncoder
try:
    FastEmbedEncoder("BAAI/bge-small-en-v1.5", cache_dir={str(tmp_path)!r})
except EncoderError:
    print("refused")
"""
    run = subprocess.run(
        [sys.executable, "-c", code], env={"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["refused"]


def test_a_file_cut_short_in_the_cache_does_not_pass_for_a_model(tmp_path):
    """A cache broken by an interrupted download stayed broken until it was deleted by hand, so name the file."""
    cached = tmp_path / "models--Qdrant--bge-small-en-v1.5-onnx-Q"
    snapshot = cached / "snapshots" / ("a" * 40)
    shutil.copytree(BUNDLED_MODEL, snapshot)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    content = (snapshot / "model.onnx").read_bytes()
    (snapshot / "model_optimized.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(EncoderError, match=re.escape(str(snapshot / "model_optimized.onnx"))):
        FastEmbedEncoder("BAAI/bge-small-en-v1.5", cache_dir=tmp_path, local_files_only=True)


def test_a_model_in_the_cache_is_used_without_a_connection(tmp_path, texts, from_folder):
    cached = tmp_path / "models--Qdrant--all-MiniLM-L6-v2-onnx"
    shutil.copytree(BUNDLED_MODEL, cached / "snapshots" / ("a" * 40))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    encoder = FastEmbedEncoder(KNOWN, cache_dir=tmp_path, local_files_only=True)
    np.testing.assert_allclose(encoder.encode(texts), from_folder.encode(texts), rtol=0, atol=1e-6)


def test_an_unknown_name_names_the_nearest_ones():
    with pytest.raises(ConfigurationError, match=r"'bge-small-en'.*did you mean BAAI/bge-small-en"):
        FastEmbedEncoder("bge-small-en")


@pytest.mark.parametrize("name", ["", "zzzzzz", "/etc/passwd"])
def test_a_name_like_no_other_is_refused_with_the_way_to_a_folder(name):
    with pytest.raises(ConfigurationError, match=f"no text model '{name}'.*model_path=FOLDER"):
        FastEmbedEncoder(name)


def test_neither_name_nor_folder_is_refused():
    with pytest.raises(ConfigurationError, match="model_name, model_path or both"):
        FastEmbedEncoder()


def test_a_folder_without_a_model_is_refused_with_what_was_looked_for(tmp_path):
    with pytest.raises(ConfigurationError, match=f"no model.onnx or onnx/model.onnx in {re.escape(str(tmp_path))}"):
        FastEmbedEncoder(model_path=tmp_path)


def test_a_model_file_that_is_not_there_is_refused_rather_than_replaced_by_another(folder):
    with pytest.raises(ConfigurationError, match=r"no other\.onnx in"):
        FastEmbedEncoder(model_path=folder, model_file="other.onnx")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_folder_without_its_tokenizer_is_refused_with_what_is_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises((ConfigurationError, EncoderError), match=re.escape(name)):
        FastEmbedEncoder(model_path=folder)


def test_a_file_that_is_no_model_is_refused_by_its_name(folder):
    (folder / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(EncoderError, match=re.escape(str(folder / "model.onnx"))):
        FastEmbedEncoder(model_path=folder)


def test_a_folder_that_lacks_the_file_of_the_named_model_is_refused_with_its_name(tmp_path):
    """fastembed expects another file for this model than for most."""
    shutil.copy(BUNDLED_MODEL / "tokenizer.json", tmp_path)
    with pytest.raises((ConfigurationError, EncoderError), match=r"model_optimized\.onnx"):
        FastEmbedEncoder("BAAI/bge-small-en-v1.5", model_path=tmp_path)


def test_a_model_that_pools_by_itself_is_refused_with_the_shape_of_its_output(tmp_path):
    """Its vectors cannot be pooled once more, and the error would otherwise be one of numpy's."""
    folder = write_model(tmp_path / "model", "pooled")
    with pytest.raises(ConfigurationError, match="shape"):
        FastEmbedEncoder(model_path=folder)


@without_cuda
@pytest.mark.parametrize("name", [None, KNOWN, "BAAI/bge-small-en-v1.5"])
def test_asking_for_a_gpu_without_its_build_names_the_package_to_install(name):
    """Before anything is downloaded, and never a silent fall to the CPU."""
    folder = None if name and name != KNOWN else BUNDLED_MODEL
    with pytest.raises(ConfigurationError, match=f"{CUDA}.*pip install onnxruntime-gpu.*{CPU}"):
        FastEmbedEncoder(name, model_path=folder, providers=[CUDA, CPU])


@pytest.mark.parametrize("provider", [CPU, (CPU, {})], ids=["name", "name and options"])
def test_a_provider_may_be_given_as_onnx_runtime_takes_it(folder, provider):
    assert FastEmbedEncoder(model_path=folder, providers=[provider]).encode(["hello"]).shape == (1, 16)
