"""Settings: checked when they are made."""

import math
import threading

import pytest
from pydantic import ValidationError

from synaptoroute_core import ConfigurationError, RouterConfig, SynaptoRouteError

NUMBERS = set(RouterConfig.model_fields) - {"on_encoder_change", "auto_refit"}
WHOLE = {"max_candidates", "max_pending", "max_batch_size", "workers", "cache_size", "max_text_chars"}
MAY_BE_NONE = {"workers", "timeout_s", "max_queue_s", "follow_interval_s"}
SECONDS = {"timeout_s", "drain_timeout_s", "follow_interval_s", "max_queue_s"}


def refused(**settings):
    """The message of the error that the settings cause, which must name them."""
    with pytest.raises(ConfigurationError) as caught:
        RouterConfig(**settings)
    ((name, value),) = settings.items()
    message = str(caught.value)
    assert name in message
    assert repr(value) in message
    return message


def test_the_defaults_are_valid_and_those_of_the_design():
    config = RouterConfig()
    assert (config.max_pending, config.max_batch_size, config.max_text_chars) == (10_000, 32, 16_384)
    assert config.timeout_s is None
    assert config.workers is None
    assert RouterConfig(**config.model_dump()) == config


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=repr)
def test_no_setting_is_nan_or_infinite(name, value):
    refused(**{name: value})


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize("value", [True, False])
def test_no_number_is_a_truth_value(name, value):
    """``max_pending=True`` would admit one query."""
    refused(**{name: value})


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize("value", ["many", b"many", [1], {}], ids=repr)
def test_no_number_is_something_else(name, value):
    refused(**{name: value})


@pytest.mark.parametrize("name", sorted(NUMBERS - MAY_BE_NONE))
def test_only_what_may_be_unset_may_be_none(name):
    refused(**{name: None})


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_count_is_a_whole_number(name):
    refused(**{name: 1.5})


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("threshold", -1, 1),
        ("min_confidence", 0, 1),
        ("min_margin", 0, 2),
        ("max_candidates", 1, 1000),
        ("max_pending", 1, None),
        ("max_batch_size", 1, 4096),
        ("max_wait_ms", 0, 10_000),
        ("workers", 1, 256),
        ("timeout_s", 0, None),
        ("cache_size", 0, None),
        ("max_text_chars", 1, 16_384),
        ("drain_timeout_s", 0, None),
        ("follow_interval_s", 0, None),
    ],
)
def test_a_number_is_taken_at_its_bounds_and_refused_beyond_them(name, least, most):
    assert getattr(RouterConfig(**{name: least}), name) == least
    assert str(least) in refused(**{name: least - 1})
    if most is not None:
        assert getattr(RouterConfig(**{name: most}), name) == most
        assert str(most) in refused(**{name: most + 1})


@pytest.mark.parametrize("name", sorted(SECONDS))
def test_no_time_is_longer_than_a_thread_can_wait(name):
    """Python's locks raise OverflowError beyond this, in the middle of a query."""
    refused(**{name: threading.TIMEOUT_MAX * 2})


@pytest.mark.parametrize("value", [1, 0, "yes", None, 0.5], ids=repr)
def test_fitting_again_is_on_or_off(value):
    refused(auto_refit=value)
    assert RouterConfig(auto_refit=False).auto_refit is False


def test_an_answer_must_be_as_sure_as_is_worth_it_where_an_error_undoes_two_right_answers():
    assert RouterConfig().min_confidence == pytest.approx(2 / 3)
    assert RouterConfig().auto_refit is True


@pytest.mark.parametrize("value", ["re-encode", "", None, True, "RAISE"])
def test_only_reencode_and_raise_answer_a_change_of_encoder(value):
    message = refused(on_encoder_change=value)
    assert "'reencode'" in message
    assert "'raise'" in message


def test_an_unknown_setting_is_refused_by_name():
    """A mistyped setting that is silently dropped looks as if it had no effect."""
    refused(treshold=0.7)


def test_settings_cannot_be_changed():
    config = RouterConfig()
    for name in RouterConfig.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, name, getattr(config, name))


def test_equal_settings_are_equal_and_hash_alike():
    assert RouterConfig(threshold=0.7) == RouterConfig(threshold=0.7)
    assert len({RouterConfig(threshold=0.7), RouterConfig(threshold=0.7), RouterConfig()}) == 2


@pytest.mark.parametrize("catch", [SynaptoRouteError, ValueError])
def test_a_wrong_setting_is_caught_as_ours_and_as_a_value_error(catch):
    with pytest.raises(catch):
        RouterConfig(max_pending=0)


def test_a_long_wrong_value_is_shortened_in_the_message():
    with pytest.raises(ConfigurationError, match="threshold") as caught:
        RouterConfig(threshold="x" * 1_000_000)
    assert len(str(caught.value)) < 400
