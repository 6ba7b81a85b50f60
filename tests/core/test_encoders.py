"""What the engine makes of an encoder: checks every vector, blames the right text, takes any class."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    BundledEncoder,
    ConfigurationError,
    Encoder,
    EncoderError,
    HashingEncoder,
    Route,
    RouterConfig,
)
from synaptoroute_core.encoders import encode_each, encode_texts, resolve_encoder, unit_rows
from synaptoroute_core.encoders.base import CHUNK, DEFAULT_NOISE, encode_checked, noise_of

BAD = "the bad one"
GOOD = [f"good text number {number}" for number in range(31)]


class FaultyEncoder(HashingEncoder):
    """Gives good vectors except for one text."""

    def __init__(self, fault, *, batch_invariant=True):
        super().__init__()
        self.fault = fault
        self.batch_invariant = batch_invariant
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str]):
        self.calls.append(len(texts))
        vectors = super().encode(texts)
        return self.fault(vectors, texts.index(BAD)) if BAD in texts else vectors


def raise_error(vectors, row):
    raise RuntimeError("out of luck")


def with_row(value):
    """A fault that fills the bad text's row."""

    def fault(vectors, row):
        vectors[row] = value
        return vectors

    return fault


FAULTS = {
    "raises": (raise_error, "RuntimeError: out of luck"),
    "raises a KeyError": (lambda vectors, row: {}["x"], "KeyError"),
    "nan": (with_row(np.nan), "length nan"),
    "infinite": (with_row(np.inf), "length inf"),
    "zero": (with_row(0.0), "length 0"),
    "too long": (with_row(1.0), "length 16"),
    "one number nan": (lambda vectors, row: vectors + np.where(vectors == vectors[row], np.nan, 0), "length nan"),
    "too few rows": (lambda vectors, row: vectors[1:], "shape"),
    "too many rows": (lambda vectors, row: np.vstack([vectors, vectors[:1]]), "shape"),
    "too few columns": (lambda vectors, row: vectors[:, 1:], "shape"),
    "one axis": (lambda vectors, row: vectors.ravel(), "shape"),
    "three axes": (lambda vectors, row: vectors[None], "shape"),
    "nothing": (lambda vectors, row: None, "the encoder"),
    "text": (lambda vectors, row: "vectors", "the encoder failed"),
    "rows of unequal length": (lambda vectors, row: [[1.0], *vectors.tolist()][: len(vectors)], "the encoder"),
}
each_fault = pytest.mark.parametrize(("fault", "message"), FAULTS.values(), ids=FAULTS)


# --- checking -------------------------------------------------------------------------------------


@each_fault
def test_every_fault_becomes_an_encoder_error_that_says_what_was_wrong(fault, message):
    with pytest.raises(EncoderError, match=message):
        encode_checked(FaultyEncoder(fault), [BAD])


@each_fault
@pytest.mark.parametrize("batch_invariant", [True, False])
def test_one_bad_text_fails_alone_and_the_others_get_their_own_vectors(fault, message, batch_invariant):
    """A stranger's text in the batch must not cost anybody an answer."""
    encoder = FaultyEncoder(fault, batch_invariant=batch_invariant)
    results = encode_each(encoder, [*GOOD[:7], BAD, *GOOD[7:]])
    assert isinstance(results[7], EncoderError)
    expected = HashingEncoder().encode(GOOD)
    assert (
        np.array([vector for vector in results if not isinstance(vector, EncoderError)]).tobytes() == expected.tobytes()
    )


@each_fault
def test_utterances_are_refused_together_if_one_fails(fault, message):
    with pytest.raises(EncoderError, match=message):
        encode_texts(FaultyEncoder(fault), [*GOOD, BAD])


def test_the_message_names_the_bad_text_and_not_the_batch():
    with pytest.raises(EncoderError, match=re.escape(repr(BAD))):
        encode_texts(FaultyEncoder(raise_error), [*GOOD, BAD])


def test_the_message_does_not_drag_a_whole_document_along():
    text = "x" * 100_000
    with pytest.raises(EncoderError) as caught:
        encode_checked(FaultyEncoder(raise_error), [BAD, text])
    assert len(str(caught.value)) < 400


def test_the_original_error_stays_attached():
    with pytest.raises(EncoderError) as caught:
        encode_checked(FaultyEncoder(raise_error), [BAD])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_interrupt_is_not_turned_into_an_encoder_error():
    def interrupt(vectors, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_each(FaultyEncoder(interrupt), [BAD])


def test_a_nan_does_not_win_the_routing():
    """numpy's argmax would choose the row with the NaN."""
    with AdaptiveRouter([Route("a", GOOD[:3])], encoder=FaultyEncoder(with_row(np.nan))) as router:
        with pytest.raises(EncoderError, match="length nan"):
            router.route(BAD)
        assert router.route(GOOD[0]).route == "a"


def test_a_good_batch_is_encoded_in_one_call_and_a_bad_one_text_by_text():
    encoder = FaultyEncoder(raise_error)
    encode_each(encoder, GOOD)
    encode_each(encoder, [*GOOD[:3], BAD])
    assert encoder.calls == [31, 4, 1, 1, 1, 1]


def test_a_single_bad_text_is_not_tried_twice():
    encoder = FaultyEncoder(raise_error)
    assert isinstance(encode_each(encoder, [BAD])[0], EncoderError)
    assert encoder.calls == [1]


@pytest.mark.parametrize("batch_invariant", [True, False])
def test_no_texts_give_no_vectors(batch_invariant):
    encoder = FaultyEncoder(raise_error, batch_invariant=batch_invariant)
    assert encode_each(encoder, []) == []
    assert encode_texts(encoder, []).shape == (0, 256)


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_many_texts_are_encoded_in_chunks_and_keep_their_order(count):
    texts = [f"text number {number}" for number in range(count)]
    assert encode_texts(HashingEncoder(), texts).tobytes() == HashingEncoder().encode(texts).tobytes()


@pytest.mark.parametrize("convert", [np.float64, np.float16, list], ids=["float64", "float16", "lists"])
def test_vectors_of_other_types_are_taken_as_float32(convert):
    class Converting(HashingEncoder):
        def encode(self, texts):
            vectors = super().encode(texts)
            return vectors.tolist() if convert is list else vectors.astype(convert)

    vectors = encode_texts(Converting(), GOOD)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, HashingEncoder().encode(GOOD), atol=1e-3)


# --- choosing an encoder --------------------------------------------------------------------------


def test_no_encoder_means_the_bundled_model():
    assert isinstance(resolve_encoder(None), BundledEncoder)


def test_an_encoder_is_used_as_it_is(hashing):
    assert resolve_encoder(hashing) is hashing


def test_an_unknown_model_name_names_the_nearest_ones():
    with pytest.raises(ConfigurationError, match=r"BAAI/bge-smal-en-v1\.5.*did you mean BAAI/bge-small-en-v1\.5"):
        AdaptiveRouter(encoder="BAAI/bge-smal-en-v1.5")


class WithoutEncode:
    fingerprint, dim, batch_invariant = "mine", 8, True


@pytest.mark.parametrize("value", [3, b"model", object(), WithoutEncode(), HashingEncoder, ["BAAI/bge-small-en-v1.5"]])
def test_what_is_no_encoder_is_refused_with_what_it_lacks(value):
    with pytest.raises(
        ConfigurationError, match=r"is no encoder: it needs fingerprint, dim, batch_invariant and encode"
    ):
        AdaptiveRouter(encoder=value)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("dim", 0),
        ("dim", -1),
        ("dim", "256"),
        ("dim", 2.5),
        ("fingerprint", None),
        ("fingerprint", b"x"),
        ("encode", 7),
    ],
)
def test_an_encoder_with_a_member_of_the_wrong_kind_is_refused(tmp_path, member, value):
    """With None for a fingerprint a store would take the routes, and be empty when it is opened again."""
    encoder = HashingEncoder()
    setattr(encoder, member, value)
    with pytest.raises(ConfigurationError, match=member):
        AdaptiveRouter([Route("a", ["b"])], encoder=encoder, store=tmp_path / "routes.db").close()


@pytest.mark.parametrize("encoder", [HashingEncoder(), BundledEncoder()])
def test_our_own_encoders_keep_the_protocol(encoder):
    assert isinstance(encoder, Encoder)
    assert encoder.encode(["hello", "there"]).shape == (2, encoder.dim)


# --- an encoder of the user's own -----------------------------------------------------------------


class LengthEncoder:
    """The least that an encoder can be: no base class, four members."""

    fingerprint = "length of the text in two dimensions"
    dim = 2
    batch_invariant = True

    def encode(self, texts):
        angles = [min(len(text), 90) * np.pi / 180 for text in texts]
        return [[np.cos(angle), np.sin(angle)] for angle in angles]


def test_a_class_with_four_members_serves_a_router(tmp_path):
    routes = [Route("short", ["hm"]), Route("long", ["this is quite a lot of text for one utterance, is it not?"])]
    for given in (routes, []):  # the second time from the file
        with AdaptiveRouter(given, encoder=LengthEncoder(), store=tmp_path / "routes.db") as router:
            assert router.route("no").route == "short"
            assert router.route("is this a text that has about as many letters as the other").route == "long"
            assert router.route("thirty letters, no more or less").reason == "ambiguous"


def test_an_encoder_may_say_how_noisy_it_is(hashing):
    class Noisy(HashingEncoder):
        noise = 0.25

    assert noise_of(Noisy()) == 0.25
    assert noise_of(hashing) == DEFAULT_NOISE
    config = RouterConfig(threshold=0.9, min_margin=0.0)
    with AdaptiveRouter([Route("a", ["hello"])], encoder=Noisy(), config=config) as router:
        assert router.route("hello").near_boundary


def test_rows_of_a_foreign_model_get_unit_length_and_good_ones_keep_their_bits():
    good = HashingEncoder().encode(["a text that is good as it is"])[0]
    rows = unit_rows([good.tolist(), [3.0, *[0.0] * (len(good) - 2), 4.0], [0.0] * len(good)])
    assert rows.dtype == np.float32
    assert rows[0].tobytes() == good.tobytes()
    assert rows[1][[0, -1]].tolist() == [np.float32(0.6), np.float32(0.8)]
    assert not rows[2].any()  # no direction: the engine refuses it by name
    assert unit_rows([1.0, 2.0]).shape == (2,)
