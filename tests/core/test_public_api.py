"""The public surface: what it names, that all of it is explained, and that both colours match."""

import builtins
import doctest
import inspect
import re
import types
import typing
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

import synaptoroute_core
from synaptoroute_core import AdaptiveRouter, FastEmbedEncoder, Route, RouterConfig, SynaptoRouteError, errors

PUBLIC = {name: getattr(synaptoroute_core, name) for name in synaptoroute_core.__all__}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
ALIASES = {"Change", "Example"}
"""Names for types made of others, which carry no docstring."""
WITHOUT_TWIN = {"from_file", "export", "stats", "observe_batches", "sync_status", "vectors"}
"""Making a router, writing a file, reading counts and asking for reports: none of them waits for other queries."""


def own_members(cls: type) -> Iterator[tuple[str, object]]:
    """Public methods and properties that our code defines, wherever in the class's ancestry."""
    for ancestor in cls.__mro__:
        if ancestor.__module__.startswith("synaptoroute_core"):
            for name, member in vars(ancestor).items():
                if not name.startswith("_") and isinstance(
                    member, types.FunctionType | property | classmethod | staticmethod
                ):
                    yield name, member


# --- names ----------------------------------------------------------------------------------------


def test_all_is_sorted_and_names_nothing_twice():
    assert synaptoroute_core.__all__ == sorted(set(synaptoroute_core.__all__))


def test_all_is_exactly_what_can_be_imported():
    visible = {
        name
        for name, value in vars(synaptoroute_core).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert visible == set(synaptoroute_core.__all__)


def mentioned(annotation: object) -> Iterator[type]:
    """Our classes in an annotation, however deep."""
    if inspect.isclass(annotation) and annotation.__module__.startswith("synaptoroute_core"):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from mentioned(argument)


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_public_signature_mentions_is_public_itself(name):
    """Who writes a store or an encoder of their own needs the types that go in and out."""
    found: set[type] = set()
    for _, member in own_members(CLASSES[name]):
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        for annotation in typing.get_type_hints(function).values():
            found.update(mentioned(annotation))
    for field, annotation in typing.get_type_hints(CLASSES[name]).items():
        if not field.startswith("_"):
            found.update(mentioned(annotation))
    assert {cls.__name__ for cls in found} - set(PUBLIC) == set()


SIGNATURES = {
    AdaptiveRouter: "(routes=(), *, encoder=None, store=':memory:', config=None)",
    AdaptiveRouter.route: "(self, text, *, allowed=None, options=None, vector=None, timeout=None)",
    AdaptiveRouter.route_batch: "(self, texts, *, allowed=None, options=None)",
    AdaptiveRouter.route_each: "(self, texts, *, options=None)",
    AdaptiveRouter.choices: "(self, names=(), extra=())",
    AdaptiveRouter.explain: "(self, text, *, allowed=None)",
    AdaptiveRouter.evaluate: "(self, examples, *, price_per_call=None)",
    AdaptiveRouter.fit: "(self, examples=(), *, out_of_scope_share=None, seed=0, progress=None)",
    AdaptiveRouter.fit_thresholds: "(self, examples, *, objective='f1', max_fpr=None, max_error=None, seed=0)",
    AdaptiveRouter.calibrate: "(self, examples, *, max_error=0.02, confidence=0.95)",
    AdaptiveRouter.undo_fit: "(self, *, expected_revision=None)",
    AdaptiveRouter.wait_for_refit: "(self, timeout=None)",
    AdaptiveRouter.audit: "(self, *, reached=None, limit=20, near_duplicate=0.97, min_lead=0.1)",
    AdaptiveRouter.suggest: "(self, texts, k=20, *, seed=0)",
    AdaptiveRouter.propose: (
        "(self, feedback, *, golden=(), apply=False, holdout=0.3, max_regressions=0, max_error=0.1, create=False, "
        "max_trials=12, seed=0)"
    ),
    AdaptiveRouter.withdraw: "(self, proposal)",
    AdaptiveRouter.add_route: "(self, route, *, overwrite=False, expected_revision=None)",
    AdaptiveRouter.remove_route: "(self, name, *, expected_revision=None)",
    AdaptiveRouter.add_utterances: "(self, name, texts, *, expected_revision=None)",
    AdaptiveRouter.remove_utterances: "(self, name, texts, *, expected_revision=None)",
    AdaptiveRouter.update_threshold: "(self, name, value, *, expected_revision=None)",
    AdaptiveRouter.export: "(self, path)",
    AdaptiveRouter.observe_batches: "(self, hook)",
    Route: "(name, utterances, *, description='', threshold=None, metadata=None)",
}


@pytest.mark.parametrize(("function", "expected"), SIGNATURES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_call_that_users_have_written_goes_on_working(function, expected):
    signature = inspect.signature(function)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == expected


# --- explanations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - ALIASES))
def test_every_public_name_has_a_docstring_of_its_own(name):
    documentation = vars(PUBLIC[name]).get("__doc__") if name in CLASSES else PUBLIC[name].__doc__
    assert documentation
    assert len(documentation.split()) >= 4


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_and_property_has_a_docstring(name):
    undocumented = [each for each, member in own_members(CLASSES[name]) if not inspect.getdoc(member)]
    assert undocumented == []


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if issubclass(cls, BaseModel)])
def test_every_field_of_a_public_value_is_explained(name):
    explained = re.findall(r"^ +(\w+): ", CLASSES[name].__doc__, flags=re.MULTILINE)
    assert [field for field in CLASSES[name].model_fields if field not in explained] == []


@pytest.mark.parametrize("cls", [AdaptiveRouter, FastEmbedEncoder, synaptoroute_core.BundledEncoder])
def test_every_argument_of_a_constructor_is_explained(cls):
    explained = re.findall(r"^ +(\w+): ", cls.__doc__, flags=re.MULTILINE)
    assert [argument for argument in inspect.signature(cls).parameters if argument not in explained] == []


def public_functions() -> dict[str, types.FunctionType]:
    functions = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
    methods = {name: member for name, member in own_members(AdaptiveRouter) if inspect.isfunction(member)}
    return functions | methods


@pytest.mark.parametrize("name", public_functions())
def test_an_error_named_in_a_docstring_exists(name):
    named = set(re.findall(r"\b(\w+Error)\b", public_functions()[name].__doc__))
    assert {error for error in named if not hasattr(errors, error) and not hasattr(builtins, error)} == set()


def test_the_example_of_the_package_is_true():
    result = doctest.testmod(synaptoroute_core)
    assert result.attempted >= 2
    assert result.failed == 0


def test_settings_have_their_units_in_their_names():
    """Fields that hold a time say in what."""
    times = [name for name in RouterConfig.model_fields if re.search(r"time|wait|interval|delay", name)]
    assert times
    assert [name for name in times if not name.endswith(("_s", "_ms"))] == []


# --- errors ---------------------------------------------------------------------------------------

DRAWN = re.findall(r"^ *((?:│   )*[├└]── )(\w+)(?: \((\w+)\))?", errors.__doc__, flags=re.MULTILINE)


def test_the_tree_of_errors_is_the_one_that_is_drawn():
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert {name for _, name, _ in DRAWN} | {"SynaptoRouteError"} == defined


@pytest.mark.parametrize(("name", "builtin"), [(name, builtin) for _, name, builtin in DRAWN])
def test_an_error_can_be_caught_as_ours_and_as_the_builtin_that_one_would_expect(name, builtin):
    error = getattr(errors, name)
    assert issubclass(error, SynaptoRouteError)
    expected = {"ValueError": ValueError, "LookupError": LookupError, "TimeoutError": TimeoutError, "": Exception}
    assert issubclass(error, expected[builtin])


@pytest.mark.parametrize("name", [name for _, name, _ in DRAWN])
def test_every_error_is_public(name):
    assert PUBLIC[name] is getattr(errors, name)


# --- both colours ---------------------------------------------------------------------------------

METHODS = {name: member for name, member in own_members(AdaptiveRouter) if inspect.isfunction(member)}
AWAITABLE = {name for name, member in METHODS.items() if inspect.iscoroutinefunction(member)}
BLOCKING = set(METHODS) - AWAITABLE - WITHOUT_TWIN


@pytest.mark.parametrize("name", sorted(BLOCKING))
def test_every_blocking_method_has_an_awaitable_twin(name):
    assert f"a{name}" in AWAITABLE


@pytest.mark.parametrize("name", sorted(AWAITABLE))
def test_an_awaitable_method_takes_and_gives_what_its_blocking_twin_does(name):
    twin = METHODS[name.removeprefix("a")]
    assert inspect.signature(METHODS[name]) == inspect.signature(twin)


def test_a_router_is_a_context_manager_in_both_colours():
    assert all(hasattr(AdaptiveRouter, f"__{name}__") for name in ("enter", "exit", "aenter", "aexit"))
