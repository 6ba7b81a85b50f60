"""What a user gets from ``pip install``: a wheel built from the tracked files, in an environment with nothing else."""

import email
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"synaptoroute_core", "synaptoroute_integrations"}
MODEL = "synaptoroute_core/models/all-minilm-l6-v2/"
ADAPTED = (
    "langchain_core",
    "langgraph",
    "llama_index",
    "sklearn",
    "fastapi",
    "uvicorn",
    "starlette",
    "flask",
    "IPython",
)
FRAMEWORKS = [*ADAPTED, "langchain", "torch", "transformers", "matplotlib", "pytest"]
HEAVY = ["onnxruntime", "fastembed", "tokenizers", "huggingface_hub", "requests", "httpx", "yaml", "rich", "typer"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Installation:
    """An environment with the built wheel and what it depends on."""

    wheel: Path
    python: Path
    folder: Path

    def run(self, code: str, *arguments: str) -> str:
        """What a program prints that runs in a folder of no meaning."""
        return self.command(str(self.python), "-I", "-c", code, *arguments)

    def command(self, *command: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        run = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def importable(self, names: list[str]) -> list[str]:
        code = "import sys, importlib.util as u; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
        return self.run(code, *names).split()


def tracked_files() -> list[str]:
    """What is in the repository, or would be if everything new was added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Iterator[Installation]:
    """Built and installed once for all tests here."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout: the tracked files are not known")
    base = tmp_path_factory.mktemp("packaging")
    source, dist, environment, folder = (base / name for name in ("source", "dist", "environment", "elsewhere"))
    for name in tracked_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    folder.mkdir()
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", dist, source)
    (wheel,) = dist.iterdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip("--python", environment, "install", "--quiet", "--no-compile", wheel)  # most of it is never imported
    yield Installation(wheel, environment / "bin" / "python", folder)
    shutil.rmtree(base)


# --- the wheel ------------------------------------------------------------------------------------


def wheel_names(installation: Installation) -> list[str]:
    with zipfile.ZipFile(installation.wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_exactly_the_two_packages(installed):
    folders = {name.split("/")[0] for name in wheel_names(installed)}
    assert {name for name in folders if not name.endswith(".dist-info")} == PACKAGES
    assert len(folders) == 3


def test_the_wheel_says_that_it_holds_the_two_packages(installed):
    with zipfile.ZipFile(installed.wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/top_level.txt")]
        assert set(archive.read(name).decode().split()) == PACKAGES


def test_the_wheel_holds_every_module_and_data_file_of_the_packages(installed):
    """Package data is lost in silence when a pattern does not match."""
    expected = {
        name.removeprefix("core/")
        for name in tracked_files()
        if name.startswith(("core/synaptoroute_core/", "synaptoroute_integrations/"))
    }
    assert expected <= set(wheel_names(installed))


@pytest.mark.parametrize(
    "name",
    [
        "synaptoroute_core/py.typed",
        "synaptoroute_integrations/py.typed",
        "synaptoroute_integrations/samples/support_routes.yaml",
        "synaptoroute_integrations/samples/support_queries.jsonl",
        *(MODEL + name for name in ("model.onnx", "tokenizer.json", "manifest.json", "LICENSE", "README.md")),
    ],
)
def test_the_wheel_holds_what_is_no_python(installed, name):
    assert name in wheel_names(installed)


def test_the_wheel_holds_nothing_that_was_generated(installed):
    assert [
        name for name in wheel_names(installed) if "__pycache__" in name or name.endswith((".pyc", ".sqlite"))
    ] == []


def test_the_wheel_carries_the_licence_of_the_code_and_that_of_the_model(installed):
    with zipfile.ZipFile(installed.wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        message = email.message_from_bytes(archive.read(metadata))
        licences = [archive.read(name).decode() for name in archive.namelist() if name.endswith("LICENSE")]
    assert message["License-Expression"].startswith("MIT")
    assert any("Permission is hereby granted" in text for text in licences)
    assert any("Apache License" in text and "Version 2.0" in text for text in licences)


# --- the environment ------------------------------------------------------------------------------


def test_nothing_but_the_two_packages_becomes_importable(installed):
    """With another build tool the folders of the repository became packages by accident."""
    own = ["core", "tests", "benchmarks", "notebooks", "scripts", "docs", *sorted(PACKAGES)]
    assert installed.importable(own) == sorted(PACKAGES)


def test_a_plain_installation_brings_no_framework(installed):
    assert installed.importable(FRAMEWORKS) == []


ROUTE = """
import sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise OSError(f"no network: {event} {arguments}")

sys.addaudithook(forbid)
from synaptoroute_core import AdaptiveRouter, Route

routes = [Route("refund", ["I want my money back"]), Route("cancel", ["cancel my subscription"])]
with AdaptiveRouter(routes, store="routes.db") as router:
    print(router.route("please refund me the money").route, router.route("what is the capital of France").route)
"""


def test_the_first_program_needs_no_network_and_no_download(installed):
    assert installed.run(ROUTE).split() == ["refund", "None"]


def test_the_samples_are_there_to_be_read(installed):
    code = (
        "import importlib.resources as r; from synaptoroute_core import load_routes;"
        "print(len(load_routes(str(r.files('synaptoroute_integrations') / 'samples' / 'support_routes.yaml'))))"
    )
    assert int(installed.run(code)) >= 5


def test_every_module_can_be_imported_or_names_its_extra(installed):
    """Without the tools of a developer: a missing import once went out with a release elsewhere."""
    code = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            if "pip install" not in str(error):
                print(found.name, error)
"""
    assert installed.run(code, *sorted(PACKAGES)) == ""


def test_the_command_is_installed_and_explains_itself(installed):
    assert "Usage" in installed.command(str(installed.python.parent / "synaptoroute"), "--help")


def test_the_packages_can_be_run_as_a_module(installed):
    assert "Usage" in installed.command(str(installed.python), "-m", "synaptoroute_integrations", "--help")


# --- importing ------------------------------------------------------------------------------------


def test_importing_the_engine_loads_nothing_heavy(installed):
    code = "import sys, json, synaptoroute_core; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    loaded = set(json.loads(installed.run(code)))
    assert loaded & {*HEAVY, *FRAMEWORKS} == set()
    assert "synaptoroute_integrations" not in loaded


def test_importing_the_engine_starts_no_thread_and_opens_no_file(installed):
    code = (
        "import sys, threading; opened = [];"
        "sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == 'open' else None);"
        "import synaptoroute_core; assert threading.active_count() == 1;"
        "print(*[name for name in opened if '/models/' in name or '/samples/' in name])"
    )
    assert installed.run(code).split() == []


TIME = """
import subprocess, sys, time

def best(code):
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return min(times)

print(best("import synaptoroute_core") / best("import numpy, asyncio, sqlite3; from pydantic import BaseModel"))
"""


def test_importing_the_engine_takes_little_longer_than_importing_what_it_needs(installed):
    """A ratio, since seconds depend on the machine; the best of five, since others use it too."""
    assert float(installed.run(TIME)) < 3
