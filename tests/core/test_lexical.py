"""The letters of a text: hashed alike on every machine, read alike in training and when a query comes."""

import re
import zlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core.head import letters_of
from synaptoroute_core.learning.heads.letters import build_lexicon, read_letters
from synaptoroute_core.lexical import BUCKETS, MAX_CHARS, Lexicon, bag_of, weigh

TEXTS = [
    "where is my parcel",
    "track a parcel",
    "I want my money back!",
    "refund, please",
    "reset my password",
    "code SUMMER20 does not work",
    "stra\u00dfe",
    "我要退款",
]
WORDS = ["parcel", "PARCEL", "SUMMER20", "x_y", "stra\u00dfe", "STRASSE", "我要退款", "été", "😀", "...", "u\u0308ber"]
WORDS += ["\u0130", "\ufb01"]  # their lower case is longer
texts = st.text(st.characters(exclude_categories=())) | st.lists(
    st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=()), max_size=3), max_size=12
).map(" ".join)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return build_lexicon([bag_of(text) for text in TEXTS], seed=0)


# --- hashing --------------------------------------------------------------------------------------


def mixed(code: int) -> int:
    code ^= code >> 16
    code = code * 0x7FEB352D % 2**32
    code ^= code >> 15
    code = code * 0x846CA68B % 2**32
    return code ^ (code >> 16)


def reference(text: str) -> Counter[int]:
    """The buckets of a text, one n-gram after the other, in plain Python."""
    words = re.findall(r"\w+", text[:MAX_CHARS].casefold())
    codes = []
    for word in words:
        padded = f" {word} "
        for length in (2, 3, 4):
            for start in range(len(padded) - length + 1):
                code = 0
                for letter in padded[start : start + length]:
                    code = (code * 16_777_619 + ord(letter)) % 2**32
                codes.append(code + length)
    hashes = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words]
    codes += hashes
    codes += [first * 16_777_619 + second + 0x9E3779B9 for first, second in pairwise(hashes)]
    return Counter(mixed(code % 2**32) % BUCKETS for code in codes)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_the_n_grams_are_those_of_a_plain_reading(text):
    bag = bag_of(text)
    assert dict(zip(bag.buckets.tolist(), bag.counts.tolist(), strict=True)) == reference(text)
    assert bag.buckets.tolist() == sorted(bag.buckets.tolist())
    assert len(bag.words) == len(re.findall(r"\w+", text[:MAX_CHARS].casefold()))


def test_the_hashes_are_the_same_as_in_the_heads_that_are_stored():
    """Were they to change, every stored head would read other letters than it was trained on."""
    bag = bag_of("Refund my parcel, 退款!")
    assert bag.words.tolist() == [1529615448, 3092500109, 3382402400, 1597123644]
    assert (len(bag.buckets), int(bag.counts.sum())) == (55, 55)
    assert zlib.crc32(np.repeat(bag.buckets, bag.counts).astype("<u4").tobytes()) == 1737261459


@pytest.mark.parametrize("text", ["", " ", "?!... --- ", "😀🎉", "\u0301\u0308", "\ud800\udfff", "\x00\n\t"])
def test_a_text_without_words_has_no_letters(text, lexicon):
    bag, row = bag_of(text), lexicon.row(text)
    assert (len(bag.buckets), len(bag.counts), len(bag.words)) == (0, 0, 0)
    assert not row.vector.any()
    assert (row.covered, row.unknown, row.words) == (0.0, 1.0, 0)


@pytest.mark.parametrize("pair", [("Refund, PLEASE!", "refund please"), ("STRASSE", "stra\u00dfe"), ("a  b", "a-b")])
def test_case_and_punctuation_do_not_matter(pair):
    first, second = map(bag_of, pair)
    assert first.buckets.tolist() == second.buckets.tolist()
    assert first.words.tolist() == second.words.tolist()


def test_the_order_of_words_matters():
    assert set(bag_of("dog bites man").buckets) != set(bag_of("man bites dog").buckets)


@pytest.mark.parametrize("piece", ["refund ", "x", "\ufb03 ", "退款", "\u0390"])
def test_a_very_long_text_costs_no_more_than_its_first_kilobyte(piece, lexicon):
    """Some letters become three when their case is folded."""
    text = piece * (MAX_CHARS // len(piece) + 1)
    bag = bag_of(text[:MAX_CHARS] + " and a million more" * 60_000)
    assert bag.counts.sum() <= 3 * MAX_CHARS * 5
    assert bag.buckets.tolist() == bag_of(text[:MAX_CHARS]).buckets.tolist()
    assert lexicon.row(text + "zebra" * 1000).vector.tolist() == lexicon.row(text[:MAX_CHARS]).vector.tolist()


# --- a lexicon ------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(text=texts, before=st.lists(texts, max_size=4))
def test_a_text_gives_the_same_bits_whatever_was_asked_before(lexicon, text, before):
    first = lexicon.row(text)
    for each in before:
        lexicon.row(each)
    again = lexicon.row(text)
    assert again.vector.tobytes() == first.vector.tobytes()
    assert again[1:] == first[1:]


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6))
def test_training_reads_the_letters_that_a_query_will_have(lexicon, asked):
    vectors, letters = read_letters(lexicon, [bag_of(text) for text in asked])
    rows = [lexicon.row(text) for text in asked]
    assert vectors == pytest.approx(np.stack([row.vector for row in rows]), abs=1e-5)
    assert letters == pytest.approx(np.array([letters_of(row) for row in rows]), abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(texts)
def test_a_row_has_unit_length_or_is_zero_and_its_shares_are_shares(lexicon, text):
    row = lexicon.row(text)
    length = float(np.linalg.norm(row.vector))
    assert length == pytest.approx(1.0, abs=1e-5) or (length == 0.0 and row.covered == 0.0)
    assert row.vector.dtype == np.float32
    assert 0.0 <= row.covered <= 1.01
    assert 0.0 <= row.unknown <= 1.0


def test_words_that_were_never_seen_count_as_a_share(lexicon):
    assert lexicon.row("track my parcel").unknown == 0.0
    assert lexicon.row("track my zeppelin quickly").unknown == 0.5
    assert lexicon.row("zeppelin").unknown == 1.0


def test_a_misspelt_word_lies_near_the_right_one_and_far_from_another(lexicon):
    right, misspelt, other = (lexicon.row(text).vector for text in ("parcel", "parcle", "password"))
    assert right @ misspelt > 0.5 > right @ other


def test_a_text_of_known_letters_is_covered_and_one_of_others_is_not(lexicon):
    assert lexicon.row("where is my parcel").covered > 0.7
    assert lexicon.row("quixotic jazz").covered < 0.4


@pytest.mark.parametrize("known", [["???", "!!!"], ["a", "a"], ["a"], ["one two", "one two"], ["退款", "😀"]])
def test_the_smallest_lexicons_read_any_text(known):
    lexicon = build_lexicon([bag_of(text) for text in known], seed=0)
    for text in [*known, "", "something else", "退款"]:
        row = lexicon.row(text)
        assert np.isfinite(row.vector).all()
        assert len(row.vector) == lexicon.dim >= 1


def test_equal_texts_and_seeds_give_equal_lexicons_to_the_bit():
    first, second, other = (build_lexicon([bag_of(text) for text in TEXTS], seed=seed) for seed in (3, 3, 4))
    assert first.projection.tobytes() == second.projection.tobytes()
    assert (first.used.tolist(), first.words.tolist()) == (other.used.tolist(), other.words.tolist())


def test_a_rare_word_weighs_more_than_a_common_one():
    counts = np.array([1, 1])
    rare, common = weigh(counts, np.array([3.0, 1.0], np.float32))
    assert rare > common
    assert rare**2 + common**2 == pytest.approx(1.0, abs=1e-6)


def test_a_word_said_ten_times_does_not_drown_the_others():
    often, once = weigh(np.array([10, 1]), np.ones(2, np.float32))
    assert 2 * once < often < 4 * once
