"""Typing errors made on purpose: repeatable, few, and never so many that nothing is left."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core.learning.heads.corruption import KEYS, LETTERS, RATE, corrupt

texts = st.text(min_size=1, max_size=60).filter(str.strip)
TEXT = "please send the parcel to my new address in the old town"


def distance(first: str, second: str) -> int:
    """Letters to leave out, put in or replace, at least."""
    row = list(range(len(second) + 1))
    for number, letter in enumerate(first, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(second, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
    return row[-1]


@settings(max_examples=200)
@given(texts, st.integers(0, 99))
def test_the_same_chances_give_the_same_copy(text, seed):
    assert corrupt(text, random.Random(seed)) == corrupt(text, random.Random(seed))


@settings(max_examples=300)
@given(texts, st.integers(0, 99), st.floats(0, 1))
def test_a_copy_always_has_something_to_read(text, seed, rate):
    assert corrupt(text, random.Random(seed), rate).strip()


@settings(max_examples=200)
@given(texts, st.integers(0, 99))
def test_at_a_rate_of_nothing_one_finger_slips(text, seed):
    assert distance(text, corrupt(text, random.Random(seed), 0.0)) <= 2  # two letters exchanged
    assert abs(len(text) - len(corrupt(text, random.Random(seed), 0.0))) <= 1


def test_about_as_many_letters_are_hit_as_the_rate_says():
    slips = sum(distance(TEXT, corrupt(TEXT, random.Random(seed))) for seed in range(300)) / 300
    assert 0.7 * RATE * len(TEXT) < slips < 1.5 * RATE * len(TEXT)


def test_copies_of_one_text_differ():
    chooser = random.Random(0)
    assert len({corrupt(TEXT, chooser) for _ in range(50)}) > 40


def test_every_kind_of_slip_comes_about():
    """Left out, doubled or put in, exchanged, replaced by a neighbour on the keyboard."""
    copies = {corrupt("cat", random.Random(seed), 0.0) for seed in range(600)}
    assert {"at", "ct", "ca"} <= copies
    assert {"ccat", "caat", "catt"} <= copies
    assert {"act", "cta"} <= copies
    assert {"xat", "vat", "cst", "car", "cay"} <= copies
    assert any(len(copy) == 4 and sorted(copy) != sorted("cat" + letter) for copy in copies for letter in "x")


@pytest.mark.parametrize("text", ["退款", "😀", "\u0301", "é" * 5, "123", "...", "a"])
def test_any_script_can_be_mistyped(text):
    for seed in range(40):
        assert corrupt(text, random.Random(seed))


def test_neighbours_on_the_keyboard_are_mutual_and_complete():
    assert set(KEYS) == set(LETTERS)
    for letter, near in KEYS.items():
        assert 1 <= len(near) <= 2
        assert all(letter in KEYS[other] for other in near)
