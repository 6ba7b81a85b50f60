"""What counts as text, and what happens to the rest where it enters."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synaptoroute_core import InvalidTextError
from synaptoroute_core.text import MAX_TEXT_CHARS, clean_query, clean_utterance, replace_surrogates, utterance_key

CLEANERS = pytest.mark.parametrize("clean", [clean_query, clean_utterance], ids=["query", "utterance"])
TEN_MILLION = 10_000_000

any_text = st.text(st.characters(exclude_categories=()))
"""Strings as Python may hold them, lone surrogates among them."""

BLANKS = {
    "nothing": "",
    "spaces": "   ",
    "tabs and newlines": "\t\r\n\v\f",
    "no-break space": "\u00a0\u202f",
    "ideographic space": "\u3000",
    "line separators": "\x85\u2028\u2029",
    "zero-width space": "\u200b",
    "zero-width joiners": "\u200c\u200d",
    "byte order mark": "\ufeff",
    "word joiner": "\u2060",
    "soft hyphen": "\u00ad",
    "direction marks": "\u200e\u200f\u202a\u202c\u061c",
    "tag characters": "\U000e0020\U000e0041",
    "nulls and bells": "\x00\x07",
    "escape and delete": "\x1b\x7f",
    "C1 controls": "\x80\x9f",
    "all sorts": " \u200b\x00 \n\ufeff",
}

# Letters, marks and symbols by category, that no font draws: the usual way to send an "empty" message.
UNSEEN = {
    "Hangul filler": "\u3164",
    "half-width Hangul filler": "\uffa0",
    "Hangul leading and vowel fillers": "\u115f\u1160",
    "empty Braille pattern": "\u2800",
    "combining grapheme joiner": "\u034f",
    "variation selectors": "\ufe0f\U000e0100",
}


@CLEANERS
@pytest.mark.parametrize("text", BLANKS.values(), ids=BLANKS)
def test_a_text_without_anything_to_see_is_refused_as_blank(clean, text):
    with pytest.raises(InvalidTextError, match="is blank"):
        clean(text)


@CLEANERS
@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)
def test_characters_that_no_font_draws_do_not_make_a_text(clean, text):
    with pytest.raises(InvalidTextError, match="is blank"):
        clean(text)


@CLEANERS
@pytest.mark.parametrize("text", ["?", "7", "日本", "👍", "é", "ب", "\u200bx", "👨\u200d👩\u200d👧", "❤\ufe0f"])
def test_one_visible_character_is_enough(clean, text):
    assert clean(text) == text


@CLEANERS
@pytest.mark.parametrize("value", [None, 12, 1.5, True, b"refund", bytearray(b"refund"), ["refund"], {"a": 1}, object])
def test_what_is_not_a_string_is_refused_by_its_type(clean, value):
    with pytest.raises(InvalidTextError, match=f"must be a string, got {type(value).__name__}"):
        clean(value)


@pytest.mark.parametrize("value", [True, 12, 1.5])
def test_an_utterance_that_is_a_bare_number_or_truth_value_is_told_to_wear_quotes(value):
    with pytest.raises(InvalidTextError, match="put it in quotes"):
        clean_utterance(value)


@CLEANERS
def test_white_space_at_both_ends_is_dropped_and_kept_within(clean):
    assert clean("\n\t where  is\nmy order \u00a0") == "where  is\nmy order"


@CLEANERS
def test_a_surrogate_pair_becomes_its_character(clean):
    assert clean("\ud83d\ude00 thanks") == "😀 thanks"


@CLEANERS
@pytest.mark.parametrize("text", ["a\ud800b", "a\udc00\ud800b", "a\ud800\ud83d\ude00b"])
def test_a_lone_surrogate_is_replaced_and_its_neighbours_stay(clean, text):
    """One such character made a tokeniser fail for a whole batch, and SQLite for a whole change."""
    cleaned = clean(text)
    assert cleaned.startswith("a\ufffd")
    assert cleaned.endswith("b")
    assert cleaned.encode().decode() == cleaned


@given(any_text)
def test_replacing_surrogates_changes_nothing_else(text):
    replaced = replace_surrogates(text)
    assert replaced.encode().decode() == replaced

    def kept(characters):
        return [c for c in characters if ord(c) <= 0xFFFF and c != "\ufffd" and unicodedata.category(c) != "Cs"]

    assert kept(replaced) == kept(text)


@given(any_text)
def test_any_string_is_cleaned_or_refused_and_never_crashes(text):
    try:
        cleaned = clean_query(text)
    except InvalidTextError:
        return
    assert cleaned == cleaned.strip()
    assert cleaned.encode()
    assert 0 < len(cleaned) <= MAX_TEXT_CHARS


@given(any_text)
def test_cleaning_twice_is_cleaning_once(text):
    try:
        cleaned = clean_query(text)
    except InvalidTextError:
        return
    assert clean_query(cleaned) == cleaned
    assert clean_utterance(cleaned) == cleaned


@given(any_text)
def test_query_and_utterance_are_cleaned_alike(text):
    """A query identical to an utterance must meet it, whatever it is made of."""
    try:
        cleaned = clean_utterance(text)
    except InvalidTextError:
        with pytest.raises(InvalidTextError):
            clean_query(text)
    else:
        assert clean_query(text) == cleaned


def test_a_query_is_cut_at_the_limit():
    assert clean_query("x" * (MAX_TEXT_CHARS + 1)) == "x" * MAX_TEXT_CHARS
    assert clean_query("abcdef", max_chars=4) == "abcd"


def test_ten_megabytes_of_query_cost_no_more_than_looking_at_them():
    """Cutting comes before everything that reads the text: it once took a tokeniser 13 s and 1.3 GB.

    Compared with one pass over the text on the same machine, so that a slow machine does not matter.
    """
    text = "word " * (TEN_MILLION // 5) + "\ud800"
    started = time.perf_counter()
    passes = text.encode("utf-8", "replace").count(b" ")
    one_pass = time.perf_counter() - started
    started = time.perf_counter()
    cleaned = clean_query(text)
    assert passes
    assert len(cleaned) <= MAX_TEXT_CHARS
    assert time.perf_counter() - started < 5 * one_pass


def test_white_space_in_front_does_not_use_up_the_limit_of_a_query():
    """The query has words, so it must not be refused as blank."""
    assert clean_query(" " * (MAX_TEXT_CHARS + 1) + "refund") == "refund"


def test_an_utterance_at_the_limit_is_taken_and_one_beyond_it_is_refused():
    assert clean_utterance("x" * MAX_TEXT_CHARS) == "x" * MAX_TEXT_CHARS
    with pytest.raises(InvalidTextError, match=r"16,385 characters, the limit is 16,384"):
        clean_utterance("x" * (MAX_TEXT_CHARS + 1))


def test_ten_megabytes_of_utterance_are_refused_with_a_short_message():
    with pytest.raises(InvalidTextError, match="10,000,000 characters") as caught:
        clean_utterance("x" * TEN_MILLION)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "twin", ["Where IS my order", "where  is\tmy\norder", " where is my order ", "WHERE\u00a0IS MY ORDER"]
)
def test_utterances_that_differ_in_case_or_spacing_have_one_key(twin):
    assert utterance_key(clean_utterance(twin)) == utterance_key("where is my order")


def test_case_is_folded_beyond_ascii():
    assert utterance_key("STRASSE ΣΟΦΟΣ") == utterance_key("straße σοφος")


@pytest.mark.parametrize("other", ["where is my orders", "where is my order?", "whereis my order"])
def test_utterances_that_differ_in_letters_or_signs_have_different_keys(other):
    assert utterance_key(other) != utterance_key("where is my order")


@given(any_text)
def test_a_key_is_its_own_key(text):
    assert utterance_key(utterance_key(text)) == utterance_key(text)
