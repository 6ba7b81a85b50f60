"""The adapters and the service work with the oldest frameworks that ``pyproject.toml`` allows.

The other tests use the newest.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRAMEWORKS = ("langchain-core", "langgraph", "langchain", "llama-index-core", "fastapi", "uvicorn")
EXTRAS = ("langchain", "langgraph", "agents", "llama-index", "server")
SERVICE = ("test_editing_http", "test_hostile_wire")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def lower_bounds() -> list[str]:
    """``name==oldest`` of each framework, as the extras say."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    requirements = [one for name in EXTRAS for one in extras[name]]
    found = {}
    for requirement in requirements:
        name, _, bounds = requirement.partition(">=")
        if name in FRAMEWORKS:
            oldest = bounds.split(",")[0]
            found[name] = oldest + ".0" * (2 - oldest.count("."))
    assert set(found) == set(FRAMEWORKS)
    return [f"{name}=={version}" for name, version in found.items()]


def test_all_works_with_the_oldest_frameworks(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "old")], check=True)
    python = str(tmp_path / "old" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-e", f"{ROOT}[test]", *lower_bounds()], check=True, timeout=400)
    # These frameworks are older than the newest pydantic, which warns of them.
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--no-header"]
    folders = [str(path) for path in (ROOT / "tests" / "integrations").iterdir() if is_of_a_framework(path)]
    folders += [str(ROOT / "tests" / "server" / f"{name}.py") for name in SERVICE]
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
