"""What the router remembers of texts that were asked before."""

import random
import threading

import numpy as np
import pytest

from synaptoroute_core import Decision
from synaptoroute_core.cache import TextCache

PATIENCE_S = 30
ANY = None


def vector(number: float):
    return np.full(4, number, np.float32)


def decision(revision: int, route: str = "refund") -> Decision:
    return Decision(route=route, reason="matched", score=0.9, threshold=0.5, revision=revision)


def test_a_decision_is_given_out_for_the_same_text_revision_and_choice():
    cache = TextCache(10)
    made = decision(7)
    cache.remember("hello", vector(1), ANY, made)
    assert cache.decision("hello", (7, 0), ANY) is made


@pytest.mark.parametrize(
    ("text", "revision", "allowed"),
    [
        ("other", 7, frozenset({"refund"})),
        ("hello", 8, frozenset({"refund"})),
        ("hello", 6, frozenset({"refund"})),
        ("hello", 7, ANY),
        ("hello", 7, frozenset()),
        ("hello", 7, frozenset({"refund", "cancel"})),
    ],
)
def test_a_decision_is_not_given_out_where_anything_differs(text, revision, allowed):
    """An answer from before a change, or of another choice, would be a wrong one."""
    cache = TextCache(10)
    cache.remember("hello", vector(1), frozenset({"refund"}), decision(7))
    assert cache.decision(text, (revision, 0), allowed) is None


def test_a_vector_outlives_changes_of_the_routes():
    cache = TextCache(10)
    cache.remember("hello", vector(1), ANY, decision(7))
    assert cache.decision("hello", (8, 0), ANY) is None
    assert np.array_equal(cache.vector("hello"), vector(1))


def test_of_one_text_the_decision_made_last_is_kept():
    cache = TextCache(10)
    cache.remember("hello", vector(1), ANY, decision(7, "old"))
    cache.remember("hello", vector(1), ANY, decision(8, "new"))
    assert len(cache) == 1
    assert cache.decision("hello", (7, 0), ANY) is None
    assert cache.decision("hello", (8, 0), ANY).route == "new"


def test_the_text_not_asked_for_longest_goes_first():
    cache = TextCache(3)
    for number, text in enumerate(["a", "b", "c"]):
        cache.remember(text, vector(number), ANY, decision(1))
    cache.vector("a")
    cache.decision("b", (1, 0), ANY)
    cache.remember("d", vector(3), ANY, decision(1))
    assert cache.vector("c") is None
    assert all(cache.vector(text) is not None for text in "abd")


def test_a_text_asked_again_counts_as_new():
    cache = TextCache(2)
    for text in ["a", "b", "a", "c"]:
        cache.remember(text, vector(0), ANY, decision(1))
    assert cache.vector("b") is None
    assert cache.vector("a") is not None


def test_there_are_never_more_texts_than_the_limit():
    cache = TextCache(5)
    for number in range(100):
        cache.remember(f"text {number}", vector(number), ANY, decision(1))
        assert len(cache) <= 5


def test_a_cache_of_size_nought_remembers_nothing():
    cache = TextCache(0)
    cache.remember("hello", vector(1), ANY, decision(1))
    assert len(cache) == 0
    assert cache.vector("hello") is None
    assert cache.decision("hello", (1, 0), ANY) is None


def test_only_decisions_that_were_given_out_are_counted():
    cache = TextCache(10)
    cache.decision("hello", (1, 0), ANY)
    cache.remember("hello", vector(1), ANY, decision(1))
    cache.vector("hello")
    cache.decision("hello", (1, 0), ANY)
    cache.decision("hello", (2, 0), ANY)
    assert cache.recalled == 1


def test_threads_never_get_what_belongs_to_another_text():
    cache = TextCache(20)
    wrong: list[str] = []
    given = [0] * 4

    def use(thread):
        dice = random.Random(thread)
        for _ in range(3000):
            number = dice.randrange(40)
            text = f"text {number}"
            known, made = cache.vector(text), cache.decision(text, number, ANY)
            given[thread] += made is not None
            if known is not None and not np.array_equal(known, vector(number)):
                wrong.append(text)
            if made is not None and made.route != text.replace(" ", "_"):
                wrong.append(text)
            cache.remember(text, vector(number), ANY, decision(number, text.replace(" ", "_")))
            if len(cache) > 21:
                wrong.append("too many")

    threads = [threading.Thread(target=use, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not wrong
    assert cache.recalled == sum(given), "no count is lost between threads"
    assert len(cache) == 20


def test_a_revision_whose_number_was_given_out_again_is_another_one():
    cache = TextCache(10)
    cache.remember("hello", vector(1), ANY, decision(7, "before the backup"), 3)
    assert cache.decision("hello", (7, 3), ANY).route == "before the backup"
    assert cache.decision("hello", (7, 4), ANY) is None
