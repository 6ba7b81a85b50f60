"""What is taken for a router, and that finding it out evaluates no property."""

import inspect

import pytest

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, Router
from synaptoroute_core.protocols import require_inspectable

METHODS = [name for name, _ in inspect.getmembers(Router, inspect.isfunction) if not name.startswith("_")]


class Elsewhere:
    """Has the methods of a router, and properties that may not be looked at."""

    @property
    def routes(self):
        raise AssertionError("a request was made")

    revision = routes


for name in METHODS:
    setattr(Elsewhere, name, lambda self: None)


@pytest.mark.parametrize("name", METHODS)
def test_the_engine_has_the_methods_of_the_protocol_as_they_are_there(name):
    assert inspect.signature(getattr(Router, name)) == inspect.signature(getattr(AdaptiveRouter, name))


def test_what_has_the_methods_is_a_router():
    assert len(METHODS) == 8
    with AdaptiveRouter(encoder=HashingEncoder()) as engine:
        assert isinstance(engine, Router)
        assert require_inspectable(engine) is engine
    assert isinstance(Elsewhere(), Router)
    assert not isinstance(object(), Router)


def test_properties_are_not_evaluated_to_find_out():
    there = Elsewhere()
    assert require_inspectable(there) is there


@pytest.mark.parametrize("value", [None, "http://localhost:8000", object(), type("Bare", (), {"routes": {}})()])
def test_what_is_none_is_refused_with_what_to_give(value):
    with pytest.raises(ConfigurationError, match="give an AdaptiveRouter or a RemoteRouter"):
        require_inspectable(value)


def test_a_router_that_does_not_say_its_routes_cannot_be_matched_to_tools():
    without = type("Blind", (), {name: vars(Elsewhere)[name] for name in METHODS})()
    assert isinstance(without, Router)
    with pytest.raises(ConfigurationError):
        require_inspectable(without)
