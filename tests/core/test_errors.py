"""The error tree, and messages that say what was wrong and what to do."""

import copy
import inspect
import pickle
import re

import pytest

import synaptoroute_core
from synaptoroute_core import (
    Candidate,
    CommitUncertainError,
    ConfigurationError,
    Decision,
    EncoderError,
    EncoderMismatchError,
    InvalidTextError,
    NoRouteError,
    RevisionConflictError,
    RouteExistsError,
    RouteNotFoundError,
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    StorageError,
    SynaptoRouteError,
    errors,
)
from synaptoroute_core.errors import shorten

ABSTENTION = Decision(
    route=None,
    reason="below_threshold",
    score=0.4321,
    threshold=0.55,
    candidates=(Candidate(route="refund_status", score=0.4321, utterance="has my refund been sent"),),
)
EXAMPLES = [
    SynaptoRouteError("something"),
    ConfigurationError("something"),
    InvalidTextError("something"),
    RouteNotFoundError("refnd", ["refund", "order"]),
    RouteExistsError("refund"),
    RevisionConflictError(3, 5),
    NoRouteError(ABSTENTION),
    RouterOverloadedError(10_001, 10_000, 2.5),
    RouterTimeoutError(0.25),
    RouterClosedError("something"),
    EncoderError("something"),
    EncoderMismatchError("bge/1", "minilm/2"),
    StorageError("something"),
    CommitUncertainError("something"),
]
ALL_ERRORS = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
BUILTINS = {
    ConfigurationError: ValueError,
    InvalidTextError: ValueError,
    RouteNotFoundError: LookupError,
    RouteExistsError: ValueError,
    NoRouteError: LookupError,
    RouterTimeoutError: TimeoutError,
}


def defined_errors():
    """Every exception class that the module defines."""
    members = inspect.getmembers(errors, inspect.isclass)
    return {value for _, value in members if issubclass(value, Exception) and value.__module__ == errors.__name__}


def drawn_tree():
    """(name, name of the parent, name of the builtin or None) for each line of the docstring's tree."""
    rows = []
    above = {-1: None}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^ {4}(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w*Error)(?: \((?P<builtin>\w+)\))?", line)
        if found:
            depth = len(found["branch"]) // 4
            above[depth] = found["name"]
            rows.append((found["name"], above[depth - 1], found["builtin"]))
    return rows


def test_the_tree_drawn_in_the_docstring_is_the_tree_that_exists():
    real = []
    for error in defined_errors():
        ours = [base.__name__ for base in error.__bases__ if base in defined_errors()]
        foreign = [base.__name__ for base in error.__bases__ if base not in (*defined_errors(), Exception)]
        real.append((error.__name__, ours[0] if ours else None, foreign[0] if foreign else None))
    assert sorted(drawn_tree(), key=str) == sorted(real, key=str)


def test_every_error_is_public():
    assert {error.__name__ for error in defined_errors()} <= set(synaptoroute_core.__all__)


def test_the_examples_of_this_module_are_complete():
    assert {type(example) for example in EXAMPLES} == defined_errors()


@ALL_ERRORS
def test_every_error_is_caught_by_the_common_base(error):
    with pytest.raises(SynaptoRouteError):
        raise error


@pytest.mark.parametrize(("ours", "builtin"), BUILTINS.items(), ids=lambda kind: kind.__name__)
def test_an_error_is_caught_by_the_builtin_that_a_caller_would_expect(ours, builtin):
    (error,) = (example for example in EXAMPLES if type(example) is ours)
    with pytest.raises(builtin):
        raise error


@ALL_ERRORS
@pytest.mark.parametrize("carry", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_an_error_comes_whole_through_a_copy_and_out_of_another_process(error, carry):
    """One that cannot be unpickled breaks a process pool: the caller never learns what happened."""
    twin = carry(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


# --- messages ----------------------------------------------------------------------------------


def test_a_route_that_is_not_there_brings_up_the_names_that_are_close():
    error = RouteNotFoundError("refund_statsu", ["refund_status", "order_status", "weather"])
    assert error.name == "refund_statsu"
    assert "no route is named 'refund_statsu'" in str(error)
    assert "did you mean 'refund_status'" in str(error)
    assert "weather" not in str(error)


def test_a_route_that_is_like_no_other_brings_up_what_there_is():
    message = str(RouteNotFoundError("zzz", ["weather", "order"]))
    assert "there are 2 routes" in message
    assert "order, weather" in message


def test_a_route_in_an_empty_router_brings_up_how_to_add_one():
    assert "add_route()" in str(RouteNotFoundError("refund", []))


def test_thousands_of_routes_are_not_all_listed():
    assert len(str(RouteNotFoundError("?", [f"route_{number}" for number in range(5_000)]))) < 400


@pytest.mark.parametrize("name", [None, 404, ["refund"], b"refund"], ids=repr)
def test_a_name_of_another_type_is_named_too(name):
    """A caller may look for anything: the answer is that it is not there, not a TypeError."""
    assert repr(name) in str(RouteNotFoundError(name, ["refund"]))


def test_a_taken_name_brings_up_both_ways_on():
    error = RouteExistsError("refund")
    assert error.name == "refund"
    assert "'refund'" in str(error)
    assert "overwrite=True" in str(error)
    assert "add_utterances()" in str(error)


def test_a_conflict_of_revisions_brings_up_both_and_the_way_on():
    error = RevisionConflictError(3, 5)
    assert (error.expected, error.current) == (3, 5)
    for expected in ("revision 3", "revision 5", "look at them again", "expected_revision=5"):
        assert expected in str(error)


def test_an_abstention_that_raises_says_what_was_nearest_and_what_it_lacked():
    error = NoRouteError(ABSTENTION)
    assert error.decision is ABSTENTION
    for expected in ("below_threshold", "refund_status", "0.43", "0.55"):
        assert expected in str(error)


def test_an_abstention_without_any_route_can_raise_as_well():
    assert "no_routes" in str(NoRouteError(Decision(route=None, reason="no_routes")))


def test_an_overload_brings_up_both_numbers_and_when_to_come_back():
    error = RouterOverloadedError(10_001, 10_000, 2.5)
    assert (error.pending, error.limit, error.retry_after_s) == (10_001, 10_000, 2.5)
    for expected in ("10,001", "10,000", "2.50 s", "max_pending"):
        assert expected in str(error)


def test_an_overload_by_time_brings_up_the_time_and_not_the_number():
    error = RouterOverloadedError(300, 10_000, 2.5, max_queue_s=1.0)
    assert (error.pending, error.limit, error.retry_after_s, error.max_queue_s) == (300, 10_000, 2.5, 1.0)
    for expected in ("300 queries", "limit is 1 s", "2.50 s", "max_queue_s"):
        assert expected in str(error)
    assert "max_pending" not in str(error)
    assert "10,000" not in str(error)


def test_a_timeout_brings_up_the_time_that_was_given():
    error = RouterTimeoutError(0.25)
    assert error.timeout_s == 0.25
    assert "0.25 s" in str(error)


def test_a_change_of_encoder_brings_up_both_and_the_way_out():
    error = EncoderMismatchError("bge/1", "minilm/2")
    assert (error.stored, error.current) == ("bge/1", "minilm/2")
    for expected in ("'bge/1'", "'minilm/2'", "on_encoder_change='reencode'"):
        assert expected in str(error)


# --- values in messages ------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["short", "x" * 78, 12, None, ["a"], b"bytes"])
def test_a_short_value_is_shown_whole(value):
    assert shorten(value) == repr(value)


def test_a_long_string_is_cut_and_its_length_is_told():
    shown = shorten("x" * 1_000_000)
    assert shown == f"'{'x' * 80}'... (1,000,000 characters)"


@pytest.mark.parametrize(
    "value", [b"x" * 100_000, list(range(100_000)), {"key": "x" * 100_000}], ids=["bytes", "list", "dict"]
)
def test_any_other_long_value_is_cut(value):
    shown = shorten(value)
    assert repr(value).startswith(shown.removesuffix("..."))
    assert len(shown) < 100


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nFAKE LOG LINE", "a\rb", "\u202egnp.exe", "\ud800"])
def test_a_message_never_carries_a_character_that_a_terminal_or_a_log_would_obey(text):
    for error in (RouteNotFoundError(text), RouteExistsError(text), EncoderMismatchError(text, text)):
        assert str(error).isprintable()
    assert shorten(text).isprintable()


@pytest.mark.parametrize("make", [RouteNotFoundError, RouteExistsError], ids=lambda kind: kind.__name__)
def test_a_long_name_is_shortened_in_the_message(make):
    assert len(str(make("x" * 10_000))) < 400
