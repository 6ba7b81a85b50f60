"""The adapters and the service work with the oldest frameworks that ``pyproject.toml`` allows.

The other tests use the newest.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FRAMEWORKS = ("langchain-core", "langchain-tests", "langgraph", "langchain", "llama-index-core", "fastapi", "uvicorn")
SERVICE = ("test_editing_http", "test_hostile_wire")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def requirements(extra: str) -> set[str]:
    """What an extra needs, with the extras that it names taken apart."""
    found: set[str] = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", requirement)
        found |= set().union(*map(requirements, own[1].split(","))) if own else {requirement}
    return found


def lower_bounds(needed: set[str]) -> dict[str, str]:
    """The oldest version of each framework."""
    found = {}
    for requirement in needed:
        name, _, bounds = requirement.partition(">=")
        if name in FRAMEWORKS:
            oldest = bounds.split(",")[0]
            found[name] = oldest + ".0" * (2 - oldest.count("."))
    assert set(found) == set(FRAMEWORKS)
    return found


def link(source: str, target: str) -> None:
    """pip never writes into a file, it puts another in its place; so the two may be one."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@contextmanager
def environment(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The Python and the packages of an environment that has what this one has; removed at the end."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    here = Path(sysconfig.get_path("purelib"))
    packages = folder / here.relative_to(sys.prefix)
    shutil.copytree(here, packages, copy_function=link, symlinks=True, dirs_exist_ok=True)
    try:
        yield folder / "bin" / "python", packages
    finally:
        shutil.rmtree(folder)


def test_all_works_with_the_oldest_frameworks(tmp_path):
    needed = {*PROJECT["dependencies"], *requirements("test")}
    oldest = lower_bounds(needed)
    with environment(tmp_path / "old") as (python, packages):
        # All requirements, for what else must be older beside old frameworks; the others are there already.
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        pins = [f"{name}=={version}" for name, version in oldest.items()]
        subprocess.run([*install, *pins, *sorted(needed)], check=True, timeout=400)
        installed = {found.name: found.version for found in distributions(path=[str(packages)])}
        assert {name: installed[name] for name in oldest} == oldest
        # These frameworks are older than the newest pydantic, which warns of them.
        command = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--no-header",
            *("-o", "filterwarnings=default"),
        ]
        folders = [path for path in (ROOT / "tests" / "integrations").iterdir() if is_of_a_framework(path)]
        folders += [ROOT / "tests" / "server" / f"{name}.py" for name in SERVICE]
        run = subprocess.run(
            [*command, *folders],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-4000:]


def is_of_a_framework(path: Path) -> bool:
    return path.name.startswith(("agents", "langchain", "llamaindex", "test_lang"))
