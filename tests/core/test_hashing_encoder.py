"""The encoder without a model: the same everywhere, whatever the text."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, Route

TEXTS = ["where is my order", "I want my money back", "?!...", "日本語", "😀", "", "\ud800", "a\x00b"]


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}, {"OPENBLAS_CORETYPE": "Haswell"}, {"OPENBLAS_CORETYPE": ""}],
    ids=["one hash seed", "another hash seed", "another processor", "this processor"],
)
def test_its_vectors_are_the_same_in_every_process_and_on_every_machine(environment):
    """Python's own hash of a string differs between processes, and BLAS adds up in another order elsewhere."""
    code = f"from synaptoroute_core import *; print(HashingEncoder().encode({TEXTS!r}).tobytes().hex())"
    command, environment = [sys.executable, "-c", code], os.environ | environment
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == HashingEncoder().encode(TEXTS).tobytes().hex()


@given(st.lists(st.text(st.characters(), max_size=50), max_size=8))
def test_any_texts_give_unit_vectors(texts):
    vectors = HashingEncoder().encode(texts)
    assert vectors.shape == (len(texts), 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_a_vector_does_not_depend_on_the_texts_beside_it(texts):
    encoder = HashingEncoder()
    assert encoder.encode(texts).tobytes() == b"".join(encoder.encode([text]).tobytes() for text in texts)


def test_threads_may_share_it(hashing):
    expected = hashing.encode(TEXTS).tobytes()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: hashing.encode(TEXTS).tobytes(), range(100)))
    assert set(results) == {expected}


def test_texts_that_share_words_are_near_and_others_are_not(hashing):
    order, parcel, joke = hashing.encode(["where is my order", "where is my parcel", "tell us a joke"])
    assert order @ parcel > 0.4
    assert order @ joke < 0.2


def test_a_typo_moves_a_text_less_than_another_word(hashing):
    right, typo, other = hashing.encode(["cancel my subscription", "cancel my subscripton", "cancel my newspaper"])
    assert right @ typo > right @ other


def test_letter_case_does_not_matter(hashing):
    lower, upper = hashing.encode(["straße nach köln", "STRASSE NACH KÖLN"])
    assert lower.tobytes() == upper.tobytes()


def test_its_fingerprint_and_vectors_have_its_dimensions():
    encoder = HashingEncoder(dim=64)
    assert encoder.encode(["x"]).shape == (1, encoder.dim) == (1, 64)
    assert encoder.fingerprint != HashingEncoder().fingerprint


@pytest.mark.parametrize("dim", [7, 0, -1])
def test_too_few_dimensions_are_refused(dim):
    with pytest.raises(ConfigurationError, match=f"dim = {dim}: use at least 8"):
        HashingEncoder(dim)


def test_it_serves_a_router(hashing):
    routes = [Route("refund", ["I want my money back"]), Route("joke", ["tell me a joke"])]
    with AdaptiveRouter(routes, encoder=hashing) as router:
        assert router.route("i want my money BACK please").route == "refund"
        assert not router.route("unrelated")
