"""The files that deploy the service, read as the tools that use them read them."""

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile; ``stage`` counts the FROMs before it."""

    keyword: str
    value: str
    stage: int

    @property
    def command(self) -> list[str]:
        """The words of an exec form; ValueError if it is a shell form."""
        return json.loads(self.value)

    @property
    def pairs(self) -> dict[str, str]:
        """The variables of an ENV, or the labels of a LABEL."""
        return dict(word.split("=", 1) for word in shlex.split(self.value))

    @property
    def words(self) -> list[str]:
        """What is no option."""
        return [word for word in self.value.split() if not word.startswith("--")]

    @property
    def is_from_stage(self) -> bool:
        """Whether a COPY takes what another stage made."""
        return "--from=" in self.value


def dockerfile() -> list[Instruction]:
    """The instructions of the Dockerfile, with continued lines joined and comments left out."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    instructions: list[Instruction] = []
    stage = 0
    for line in re.sub(r"\\\n\s*", "", kept).splitlines():
        if line.strip():
            keyword, value = line.strip().split(maxsplit=1)
            stage += keyword == "FROM"
            instructions.append(Instruction(keyword, value, stage))
    return instructions


def instructions(keyword: str, *, last_stage: bool = False) -> list[Instruction]:
    """The instructions of a kind."""
    every = dockerfile()
    stages = every[-1].stage
    return [one for one in every if one.keyword == keyword and (not last_stage or one.stage == stages)]


def instruction(keyword: str) -> Instruction:
    """The only instruction of a kind in the last stage."""
    (found,) = instructions(keyword, last_stage=True)
    return found


def health_command() -> list[str]:
    """What the image runs to see whether the service is well."""
    return json.loads(instruction("HEALTHCHECK").value.partition("CMD ")[2])


def image_environment() -> dict[str, str]:
    """The variables of the finished image."""
    return {name: text for one in instructions("ENV", last_stage=True) for name, text in one.pairs.items()}


def repository_files() -> list[str]:
    """What is in the repository, or would be if everything new was added."""
    names = git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def git(*arguments: str) -> str:
    """What git says of the repository; the test is skipped where there is none."""
    program = shutil.which("git")
    if program is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the files of the repository are not known")
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def is_sent_to_the_builder(name: str) -> bool:
    """Whether ``.dockerignore`` lets a file of the repository through: the last pattern that fits decides."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = True
    for line in lines:
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and _fits(pattern.removeprefix("!"), name):
            sent = pattern.startswith("!")
    return sent


def _fits(pattern: str, name: str) -> bool:
    """Whether a pattern names a file or a folder above it; ``*`` stops at a slash, ``**/`` is any depth."""
    parts = name.split("/")
    paths = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    if pattern.startswith("**/"):
        return any(fnmatchcase(part, pattern[3:]) for part in parts)
    return any(path.count("/") == pattern.count("/") and fnmatchcase(path, pattern) for path in paths)


def compose() -> dict[str, Any]:
    """The compose file."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def service() -> dict[str, Any]:
    """What the compose file says of the service."""
    return compose()["services"]["synaptoroute"]


def kubernetes(kind: str, file: str = "kubernetes.yaml") -> dict[str, Any]:
    """The only object of a kind."""
    documents = yaml.safe_load_all((DEPLOY / file).read_text(encoding="utf-8"))
    (found,) = [one for one in documents if one["kind"] == kind]
    return found


def pod(file: str = "kubernetes.yaml", kind: str = "Deployment") -> dict[str, Any]:
    """What a Deployment, or a Job, says of its pods."""
    return kubernetes(kind, file)["spec"]["template"]["spec"]


def container(file: str = "kubernetes.yaml", kind: str = "Deployment") -> dict[str, Any]:
    """The only container of a pod."""
    (found,) = pod(file, kind)["containers"]
    return found


def variables(file: str, kind: str = "Deployment") -> dict[str, str]:
    """What the manifest sets for a pod; what comes from the Secret of the store is as in its example."""
    example = kubernetes("Secret", "kubernetes-store.example.yaml")
    found = {}
    for one in container(file, kind)["env"]:
        reference = one.get("valueFrom", {}).get("secretKeyRef")
        assert reference is None or reference["name"] == example["metadata"]["name"]
        found[one["name"]] = one["value"] if reference is None else example["stringData"][reference["key"]]
    return found


def unit() -> dict[str, list[str]]:
    """The settings of the systemd unit; each may be given more than once."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "synaptoroute.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def environments() -> dict[str, dict[str, str]]:
    """What the service finds in its environment, by what runs it."""
    words = [word for line in unit()["Environment"] for word in line.split()]
    in_compose = {name: default_of(value) for name, value in service()["environment"].items()}
    return {
        "compose": {**image_environment(), **in_compose},
        "kubernetes": {**image_environment(), **variables("kubernetes.yaml")},
        "kubernetes-shared": {**image_environment(), **variables("kubernetes-shared.yaml")},
        "systemd": dict(word.split("=", 1) for word in words),
    }


def default_of(value: str) -> str:
    """A value of the compose file where the reader's own environment sets nothing."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def seconds(text: str) -> float:
    """Of a duration such as ``20s``, ``2m`` or ``20``."""
    number, letter = re.fullmatch(r"(\d+)([sm]?)", text).groups()
    return int(number) * (60 if letter == "m" else 1)
