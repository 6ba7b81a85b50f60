"""Keys: who may do what. A key is kept as the hash of a long random secret, never as the secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.server.settings import ServerSettings

Scope: TypeAlias = Literal["route", "admin"]

KEY_NAME = re.compile(r"[\w.\-]{1,64}")
KEY_LINE = re.compile(r"(?P<name>\S+)\s+(?P<scope>\S+)\s+sha256:(?P<digest>[0-9a-fA-F]{64})")
SECRET_PREFIX = "srk_"  # noqa: S105  # lets scanners of leaked secrets find ours
SECRET_BYTES = 32
LINE_END = "\n"

OPEN = frozenset({"/", "/docs", "/openapi.json", "/health/live", "/health/ready"})
OPEN_FOLDERS = ("/playground/", "/docs/")
ASKING = frozenset({("POST", "/route"), ("POST", "/route/stream"), ("POST", "/explain")})
LOOKING = frozenset({"/routes", "/metrics", "/stats"})


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the service knows it.

    Attributes:
        name: Whose it is; in logs.
        scope: ``route`` may ask and look, ``admin`` may also change.
        digest: SHA-256 of the secret.
    """

    name: str
    scope: Scope
    digest: bytes = field(repr=False)

    def allows(self, scope: Scope) -> bool:
        """Whether it is good for what needs ``scope``."""
        return self.scope == "admin" or scope == "route"

    def line(self) -> str:
        """The line of a keys file."""
        return f"{self.name} {self.scope} sha256:{self.digest.hex()}"


class KeyRing:
    """The keys that open the service.

    Args:
        keys: The keys; their names differ.

    Raises:
        ConfigurationError: Two have one name.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)
        names = [key.name for key in self._keys]
        if len(set(names)) != len(names):
            raise ConfigurationError(f"two keys have one name among {shorten(', '.join(names), 200)}")

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> KeyRing | None:
        """The keys that the settings name; None = no keys are needed.

        Raises:
            ConfigurationError: The file cannot be read, or a line is no key.
        """
        if settings.keys is not None:
            return cls(parse_keys(settings.keys.get_secret_value().split(","), "keys"))
        if settings.keys_file is None:
            return None
        return cls(parse_keys(_lines(Path(settings.keys_file)), settings.keys_file))

    def find(self, secret: str) -> Key | None:
        """The key of a secret. Every key is compared, each in constant time."""
        digest = hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def __len__(self) -> int:
        return len(self._keys)


def make_key(name: str, scope: Scope) -> tuple[Key, str]:
    """A new key and its secret, which is nowhere else.

    Raises:
        ConfigurationError: The name or the scope is not valid.
    """
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return _checked(name, scope, hashlib.sha256(secret.encode()).hexdigest(), f"the key {shorten(name)}"), secret


def parse_keys(lines: Iterable[str], source: str) -> list[Key]:
    """The keys of a file's lines; blank ones and comments, which begin with ``#``, are passed over.

    Raises:
        ConfigurationError: A line is no key, or there is none. What the line says is not repeated: it may
            hold a secret.
    """
    keys = _found(lines, source)
    if not keys:
        raise ConfigurationError(f"{source} holds no key: nobody could use the service")
    return keys


def add_key(file: Path, key: Key) -> None:
    """Add a key to a keys file; a new file is one that its owner alone may read.

    Raises:
        ConfigurationError: The file is none of keys or cannot be written, or the name is taken.
    """
    there = _found(_lines(file), str(file)) if file.exists() else []
    KeyRing([*there, key])
    try:
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+", encoding="utf-8") as lines:
            lines.seek(0)
            text = lines.read()
            lines.write(f"{'' if not text or text.endswith(LINE_END) else LINE_END}{key.line()}{LINE_END}")
    except OSError as error:
        raise ConfigurationError(f"the keys file {file} cannot be written: {error.strerror}") from error


def required_scope(method: str, path: str) -> Scope | None:
    """What a request needs; None = it is open to all. What is not listed needs ``admin``."""
    if path in OPEN or path.startswith(OPEN_FOLDERS):
        return None
    looks = method in ("GET", "HEAD") and (path in LOOKING or path.startswith("/routes/"))
    return "route" if looks or (method, path) in ASKING else "admin"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigurationError(f"the keys file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the keys file {file} is no text: byte {error.start} is not UTF-8") from None


def _found(lines: Iterable[str], source: str) -> list[Key]:
    keys = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        parts = KEY_LINE.fullmatch(text)
        place = f"{source}, entry {number}"
        if parts is None:
            raise ConfigurationError(
                f"{place} is not `NAME SCOPE sha256:HEX`; `synaptoroute key NAME --scope SCOPE` prints such lines"
            )
        keys.append(_checked(parts["name"], parts["scope"], parts["digest"], place))
    return keys


def _checked(name: str, scope: str, digest: str, place: str) -> Key:
    if KEY_NAME.fullmatch(name) is None:
        raise ConfigurationError(f"{place}: this cannot be its name: use 1 to 64 letters, digits, _, . or -")
    if name.startswith(SECRET_PREFIX):
        raise ConfigurationError(f"{place}: a key stands where its name should; names are shown in the log")
    if scope not in ("route", "admin"):
        raise ConfigurationError(f"{place}: this is no scope: use route or admin")
    return Key(name, "admin" if scope == "admin" else "route", bytes.fromhex(digest))
