"""Route files: YAML or JSON that people edit and every part of the project reads.

::

    routes:
      - name: refund_status
        description: Where the money of a returned order is.
        threshold: 0.6          # optional
        utterances:
          - when do I get my money back
          - has my refund been sent
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synaptoroute_core.errors import ConfigurationError, SynaptoRouteError, shorten
from synaptoroute_core.frozen import readable
from synaptoroute_core.types import Route

YAML_SUFFIXES = (".yaml", ".yml")


def load_routes(path: str | Path) -> tuple[Route, ...]:
    """Read a route file.

    Args:
        path: A ``.yaml``, ``.yml`` or ``.json`` file.

    Raises:
        ConfigurationError: The file cannot be read, is not a route file, or names a route twice; the
            message says where.
        InvalidTextError: An utterance is not usable text.
    """
    path = Path(path)
    content = _parse(path)
    entries = content.get("routes") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path}: expected a list under 'routes', got {shorten(entries)}")
    unknown = [key for key in content if key != "routes"] if isinstance(content, dict) else []
    if unknown:
        raise ConfigurationError(f"{path}: unknown key beside 'routes': {', '.join(map(shorten, unknown))}")
    routes: dict[str, Route] = {}
    for number, entry in enumerate(entries, start=1):
        route = _read_route(path, number, entry)
        if route.name in routes:
            raise ConfigurationError(f"{path}: the route {route.name!r} is there twice")
        routes[route.name] = route
    return tuple(routes.values())


def save_routes(path: str | Path, routes: Iterable[Route]) -> None:
    """Write a route file; the old one stays whole until the new one is on disk.

    The new one has the rights of the old one. A link stays a link, and what it leads to is written.

    Raises:
        ConfigurationError: The suffix is none of ``.yaml``, ``.yml`` and ``.json``.
        OSError: The file cannot be written.
    """
    path = Path(path)
    content = {"routes": [_as_entry(route) for route in routes]}
    if _is_yaml(path):
        from synaptoroute_core.yaml_text import write_yaml

        text = write_yaml(content)
    else:
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    _replace(path.resolve(), text)


def _replace(path: Path, text: str) -> None:
    """Put a file with this text in the place of the one that is there, in one step."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with new.open("x", encoding="utf-8") as file:  # unlike those of tempfile, with the rights of any new file
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, new)
            new.replace(path)
        except BaseException:
            new.unlink()
            raise


def _parse(path: Path) -> Any:
    is_yaml = _is_yaml(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"cannot read the route file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"cannot read the route file {path}: {error}") from error
    try:
        if not is_yaml:
            return json.loads(text, object_pairs_hook=_without_twins)
        from synaptoroute_core.yaml_text import read_yaml

        return read_yaml(text)
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid {'YAML' if is_yaml else 'JSON'}: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply") from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, of whose keys Python would keep the last of equals."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shorten(twin)} is there twice")
    return found


def _is_yaml(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (*YAML_SUFFIXES, ".json"):
        raise ConfigurationError(f"{path}: a route file ends in .yaml, .yml or .json")
    return suffix in YAML_SUFFIXES


def _read_route(path: Path, number: int, entry: object) -> Route:
    try:
        return Route.model_validate(entry)
    except ValidationError as error:
        cause: SynaptoRouteError = readable(error)
    name = entry.get("name") if isinstance(entry, dict) else None
    raise type(cause)(f"{path}: route {number} ({shorten(name)}): {cause}") from cause


def _as_entry(route: Route) -> dict[str, Any]:
    """The route without what it leaves at its default."""
    entry: dict[str, Any] = {"name": route.name}
    if route.description:
        entry["description"] = route.description
    if route.threshold is not None:
        entry["threshold"] = route.threshold
    if route.metadata:
        entry["metadata"] = route.metadata
    entry["utterances"] = list(route.utterances)
    return entry
