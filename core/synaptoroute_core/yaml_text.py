"""YAML as this project reads and writes it: nothing lost on the way in, nothing changed on the way out."""

from __future__ import annotations

import sys
from typing import Any

import yaml

BREAKS = frozenset("\n\x85\u2028\u2029")
"""What YAML takes for the end of a line, and folds unless it is escaped."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would keep the last."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add((key.tag, str(key.value)))
        return node


class _Dumper(yaml.SafeDumper):
    """Writes text with line breaks in double quotes, in which they are escaped."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        node = super().represent_str(text)
        if not BREAKS.isdisjoint(text):
            node.style = '"'
        return node


_Dumper.add_representer(str, _Dumper.represent_str)


def read_yaml(text: str) -> Any:
    """The data in a YAML text.

    Raises:
        ValueError: It is not valid YAML, or a key is there twice.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, LookupError, AttributeError) as error:  # the last two: a wrong !!bool or !!timestamp
        raise ValueError(str(error)) from error


def write_yaml(data: object) -> str:
    """The data as YAML for people: in its order, letters of any script as they are."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=sys.maxsize)
