"""What was learned, as it is kept: which of it is in force, and heads as bytes, whole or damaged."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core.fits import (
    ARRAYS,
    LENGTH_BYTES,
    MAGIC,
    MAX_FITS,
    Fit,
    FittedRule,
    digest_of,
    head_from_bytes,
    head_to_bytes,
    newest_of,
    rule_of,
)
from synaptoroute_core.head import FEATURES, Head
from synaptoroute_core.lexical import BUCKETS, Lexicon

START = len(MAGIC) + LENGTH_BYTES


def head(*, routes: int = 3, dim: int = 4, letters: int = 2, used: int = 5, words: int = 3, seed: int = 0) -> Head:
    """A head of random numbers."""
    chance = np.random.default_rng(seed)
    return Head(
        names=tuple(f"route{number:03d}" for number in range(routes)),
        weights=chance.normal(size=(routes, dim + letters)).astype(np.float32),
        biases=chance.normal(size=routes).astype(np.float32),
        blend=float(chance.normal()),
        lexical_weight=float(chance.normal()),
        lexicon=Lexicon(
            used=np.sort(chance.permutation(BUCKETS)[:used]).astype(np.int32),
            idf=chance.random(used).astype(np.float32),
            unseen_idf=float(chance.random()),
            projection=chance.normal(size=(used, letters)).astype(np.float16),
            words=np.unique(chance.integers(0, 2**32, words).astype(np.uint32)),
        ),
        acceptor=chance.normal(size=len(FEATURES) + 1),
    )


def with_header(content: bytes, change) -> bytes:
    """The bytes with another header."""
    end = START + int.from_bytes(content[len(MAGIC) : START], "little")
    header = json.loads(content[START:end])
    change(header)
    written = json.dumps(header).encode()
    return MAGIC + len(written).to_bytes(LENGTH_BYTES, "little") + written + content[end:]


# --- heads as bytes -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    routes=st.integers(2, 6),
    dim=st.integers(1, 9),
    letters=st.integers(1, 5),
    used=st.integers(1, 9),
    words=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_a_head_comes_back_from_its_bytes_to_the_last_bit(**sizes):
    before = head(**sizes)
    content = head_to_bytes(before)
    after = head_from_bytes(content)
    assert head_to_bytes(after) == content
    assert after.names == before.names
    assert (after.blend, after.lexical_weight) == (before.blend, before.lexical_weight)
    assert after.lexicon.unseen_idf == before.lexicon.unseen_idf
    for name in ARRAYS:
        owners = (after.lexicon, before.lexicon) if hasattr(before.lexicon, name) else (after, before)
        read, written = (getattr(owner, name) for owner in owners)
        assert read.dtype == written.dtype
        assert read.dtype.isnative
        assert read.tobytes() == written.tobytes()
        assert read.shape == written.shape


def test_equal_heads_have_equal_digests_and_others_have_others():
    assert digest_of(head_to_bytes(head(seed=1))) == digest_of(head_to_bytes(head(seed=1)))
    assert digest_of(head_to_bytes(head(seed=1))) != digest_of(head_to_bytes(head(seed=2)))


def test_route_names_of_any_script_survive():
    named = replace(head(), names=("a.b", "退款", "été"))
    assert head_from_bytes(head_to_bytes(replace(named, names=tuple(sorted(named.names))))).names == (
        "a.b",
        "été",
        "退款",
    )


def test_bytes_cut_anywhere_are_refused():
    content = head_to_bytes(head())
    for cut in range(len(content)):
        with pytest.raises(ValueError, match=r"no head of this version|damaged|smaller|Expecting|bytes|Unterminated"):
            head_from_bytes(content[:cut])


@pytest.mark.parametrize("content", [b"", b"x", b"synaptoroute-head-2\n" + b"0" * 99, MAGIC, MAGIC + b"\xff" * 40])
def test_bytes_of_something_else_are_refused(content):
    with pytest.raises(ValueError, match=r".+"):
        head_from_bytes(content)


def test_bytes_that_lie_behind_a_head_are_noticed():
    content = head_to_bytes(head())
    with pytest.raises(ValueError, match=f"it has {len(content) + 1:,} bytes"):
        head_from_bytes(content + b"x")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_changed_byte_gives_a_sound_head_or_a_value_error(data):
    content = bytearray(head_to_bytes(head()))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = head_from_bytes(bytes(content))
    except ValueError:
        return
    assert np.isfinite(read.weights).all()
    assert len(read.names) == len(read.weights) == len(read.biases)
    assert np.isfinite(read.read("route hello").vector).all()


def shape(name, value):
    return lambda header: header["shapes"].update({name: value})


HEADERS = {
    "no names": lambda header: header.pop("names"),
    "no blend": lambda header: header.pop("blend"),
    "no shapes": lambda header: header.pop("shapes"),
    "a shape too few": lambda header: header["shapes"].pop("words"),
    "a name too few": lambda header: header["names"].pop(),
    "a name twice": lambda header: header.update(names=["a", "a", "b"]),
    "names out of order": lambda header: header["names"].reverse(),
    "a blend that is no number": lambda header: header.update(blend="much"),
    "a blend that is not finite": lambda header: header.update(blend=float("inf")),
    "a weight that is NaN": lambda header: header.update(lexical_weight=float("nan")),
    "a length below zero": shape("weights", [-1]),
    "a length beyond all memory": shape("weights", [2**40, 2**20]),
    "a length that overflows": shape("weights", [2**62, 4]),
    "a length without end": shape("weights", [float("inf")]),
    "a shape that is a word": shape("words", "many"),
    "a shape that is nothing": shape("words", None),
    "weights of another shape": shape("weights", [18]),
    "a header that is a list": lambda header: header.clear(),
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_a_header_that_does_not_fit_is_a_value_error(change):
    content = with_header(head_to_bytes(head()), change)
    with pytest.raises(ValueError, match=r".+"):
        head_from_bytes(content)


UNSOUND = {
    "NaN": lambda it: replace(it, weights=it.weights * np.float32("nan")),
    "infinity": lambda it: replace(it, biases=it.biases / np.float32(0)),
    "an acceptor of other features": lambda it: replace(it, acceptor=it.acceptor[:-1]),
    "biases of other routes": lambda it: replace(it, biases=it.biases[:-1]),
    "no room for an embedding": lambda it: replace(it, weights=it.weights[:, :2]),
    "a bucket too high": lambda it: replace(it, lexicon=replace(it.lexicon, used=it.lexicon.used + BUCKETS)),
    "a bucket below zero": lambda it: replace(it, lexicon=replace(it.lexicon, used=it.lexicon.used - BUCKETS)),
    "a weight of nothing": lambda it: replace(it, lexicon=replace(it.lexicon, idf=it.lexicon.idf * np.float32(0))),
    "a weight beyond all": lambda it: replace(it, lexicon=replace(it.lexicon, unseen_idf=1e300)),
    "weights of other buckets": lambda it: replace(it, lexicon=replace(it.lexicon, idf=it.lexicon.idf[1:])),
    "rows of other buckets": lambda it: replace(it, lexicon=replace(it.lexicon, projection=np.ones((2, 2), "f2"))),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("spoil", UNSOUND.values(), ids=UNSOUND)
def test_a_head_whose_parts_do_not_fit_together_is_refused(spoil):
    with pytest.raises(ValueError, match="do not fit together"):
        head_from_bytes(head_to_bytes(spoil(head())))


def test_a_head_covers_its_own_routes_and_vectors_of_its_own_length():
    one = head(dim=4)
    assert one.covers(["route000", "route001", "route002"], 4)
    assert not one.covers(["route000", "route001", "route002"], 5)
    assert not one.covers(["route000", "route001"], 4)
    assert not one.covers(["route000", "route002", "route001"], 4)


# --- which is in force ----------------------------------------------------------------------------

FIRST, SECOND = head(seed=1), head(seed=2)


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ([], FittedRule()),
        ([Fit("thresholds", 0.6)], FittedRule(None, 0.6)),
        ([Fit("head", head=FIRST)], FittedRule(FIRST, None)),
        ([Fit("head", head=FIRST, fresh=False)], FittedRule()),
        ([Fit("thresholds", 0.6, fresh=False)], FittedRule(None, 0.6)),
        ([Fit("head", head=FIRST), Fit("calibration", 0.9, FIRST)], FittedRule(FIRST, 0.9)),
        ([Fit("thresholds", 0.6), Fit("head", head=FIRST, fresh=False)], FittedRule(None, 0.6)),
        ([Fit("head", head=FIRST, fresh=False), Fit("head", head=SECOND)], FittedRule(SECOND, None)),
        ([Fit("head", head=FIRST), Fit("thresholds", 0.6)], FittedRule(None, 0.6)),
        ([Fit("head", head=FIRST, fresh=False), Fit("calibration", 0.9, FIRST, fresh=False)], FittedRule()),
    ],
)
def test_the_newest_fit_that_still_holds_is_in_force(fits, expected):
    assert rule_of(fits) == expected


def test_as_many_fits_are_kept_as_was_promised_and_the_oldest_goes_first():
    fits = [Fit("thresholds", number / 10) for number in range(7)]
    assert MAX_FITS == 4
    assert [fit.threshold for fit in newest_of(fits)] == [0.3, 0.4, 0.5, 0.6]
    assert newest_of(fits[:2]) == tuple(fits[:2])


def test_calibrations_do_not_push_out_the_fit_that_their_head_comes_from():
    """It is what the head is made again from."""
    fits: tuple[Fit, ...] = (Fit("head", head=FIRST, details={"seed": 7}),)
    for number in range(6):
        fits = newest_of((*fits, Fit("calibration", number / 10, FIRST)))
    assert [(fit.kind, fit.threshold) for fit in fits] == [
        ("head", None),
        ("calibration", 0.3),
        ("calibration", 0.4),
        ("calibration", 0.5),
    ]
