"""Reads our docstrings and classes as pages need them; an extension of griffe, which mkdocs.yml names.

* ``:class:`Decision``` becomes a link to where ``Decision`` is described, or its name if that is nowhere.
* ``::`` at the end of a paragraph becomes ``:``; the indented lines below it are code in Markdown too.
* Examples with ``>>>`` become blocks of code.
* "As ..." and "Others as ..." among the errors become an entry of their own, which the parser would drop.
* Awaitable twins (``aroute`` beside ``route``) have no entry of their own: a label of the other names them.
* The constructor of a value takes its fields, which pydantic knows and the source does not say.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(?P<short>~?)(?P<name>[\w.]+)`")
OTHERS = re.compile(r"^(?P<indent> +)(?:Others as|As) (?=[^:\n]*:\w+:`)", re.MULTILINE)
DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
LITERAL = re.compile(r"^(?P<text>.*?) ?::$", re.MULTILINE)
VALUE = "FrozenModel"


class DocstringRoles(griffe.Extension):
    """Turns Sphinx's roles into links, hides awaitable twins, and shows the fields of values."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Go through a package once all of it is known.

        Args:
            pkg: The package.
        """
        visit(pkg)


def visit(thing: griffe.Object) -> None:
    """Rewrite an object and what it holds."""
    if thing.docstring is not None:
        thing.docstring.value = as_markdown(thing.docstring.value, thing)
    if isinstance(thing, griffe.Class):
        join_twins(thing)
        show_fields(thing)
    for member in list(thing.members.values()):
        if not member.is_alias:
            visit(member)


def as_markdown(text: str, scope: griffe.Object) -> str:
    """A docstring with links in the place of roles.

    Args:
        text: The docstring.
        scope: The object that it describes, where its names mean something.
    """

    def link(found: re.Match[str]) -> str:
        name = found["name"]
        shown = name.rpartition(".")[2] if found["short"] else name
        return f'<autoref optional identifier="{path_of(name, scope)}">`{shown}`</autoref>'

    text = DOCTEST.sub(r"```pycon\n\g<0>\n```", OTHERS.sub(r"\g<indent>Others: As ", text))
    return LITERAL.sub(lambda found: f"{found['text']}:" if found["text"] else "", ROLE.sub(link, text))


def path_of(name: str, scope: griffe.Object) -> str:
    """The full path of what a name means where it is written; that of the engine if it means nothing there."""
    if name.startswith("synaptoroute_"):
        return name
    first, dot, rest = name.partition(".")
    try:
        resolved = scope.resolve(first)
        found = scope.modules_collection[resolved]
    except (griffe.NameResolutionError, KeyError):
        return f"synaptoroute_core.{name}"
    return f"{found.target_path if found.is_alias else resolved}{dot}{rest}"


def join_twins(described: griffe.Class) -> None:
    """Take out each method ``aX`` that stands beside a method ``X``, and say so at ``X``."""
    functions = {name: member for name, member in described.members.items() if member.is_function}
    for name, function in functions.items():
        twin = functions.get(f"a{name}")
        if twin is not None and not name.startswith("_"):
            function.labels.add(f"await {twin.name}")
            described.del_member(twin.name)


def show_fields(described: griffe.Class) -> None:
    """Give a value that has no constructor of its own one that takes its fields by name."""
    ancestors = described.mro()
    if VALUE not in [each.name for each in ancestors]:
        return
    if any("__init__" in each.members for each in (described, *ancestors) if each.name != VALUE):
        return
    fields = {name: field for each in (*reversed(ancestors), described) for name, field in each.attributes.items()}
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    parameters += [
        griffe.Parameter(name, annotation=field.annotation, default=field.value, kind=griffe.ParameterKind.keyword_only)
        for name, field in fields.items()
        if field.annotation is not None and not name.startswith("_") and "property" not in field.labels
    ]
    described.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters)))
