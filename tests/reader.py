"""Does what a document says, as its reader would, and finds out whether that is so."""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from documents import OUTPUT, PYTHON, ROOT, SHELL, Block, read

WAIT_S = 100
SERVICE = "http://127.0.0.1:8000"
PRINTED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)
PROGRAMS = (
    "awk",
    "bash",
    "cat",
    "chmod",
    "cp",
    "curl",
    "cut",
    "grep",
    "head",
    "install",
    "jq",
    "ls",
    "mkdir",
    "mv",
    "node",
    "rm",
    "sed",
)
PROGRAMS += ("sleep", "sort", "tail", "tee", "uniq", "wc")
OURS = ("python", "synaptoroute")
COMPARED = re.compile(r"(?:\.venv/bin/)?(?:python -m )?(?P<program>pip|make|python(?= (?:benchmarks|scripts)/))(?: |$)")
PIP = re.compile(r"'?(?:synaptoroute-integrations|\.)\[([\w,-]+)\]'?")


class Reader:
    """Does what a page says, from top to bottom, in one folder."""

    def __init__(self, document: str, folder: Path) -> None:
        self.document = document
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": "documented"}
        self.said = ""
        self.url = SERVICE
        self._service: subprocess.Popen[bytes] | None = None

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        if block.kind == OUTPUT:
            if block.follows and self.said:
                assert_lines(block.code, self.said)
            return
        self.said = ""
        if block.kind == PYTHON:
            self.said = self.python(block)
        elif block.kind == SHELL:
            self.said = "".join(
                self.shell(block.code.replace("\\\n", " ").splitlines(), checked=is_checked(block.code))
            )
        else:
            self.data(block)

    def python(self, block: Block) -> str:
        said = io.StringIO()
        code = compile(block.code.replace(SERVICE, self.url), self.document, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(said):
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(eval(code, self.namespace))  # noqa: S307  # our own document
            else:
                exec(code, self.namespace)  # noqa: S102  # our own document
        assert_prints(PRINTED.findall(block.code), said.getvalue())
        return said.getvalue()

    def shell(self, lines: list[str], *, checked: bool) -> Iterator[str]:
        waiting: list[str] = []
        for line in lines:
            if COMPARED.match(line):
                compare(line)
            elif line.startswith("synaptoroute serve"):
                yield self.bash(waiting, checked=checked)
                waiting = []
                self.serve(shlex.split(line)[2:])
            else:
                waiting.append(line.replace(SERVICE, self.url).replace("tail -f ", "cat "))
        yield self.bash(waiting, checked=checked)

    def bash(self, lines: list[str], *, checked: bool) -> str:
        """What commands say; ``synaptoroute`` may exit with 1, an answer, unless the script looks at that."""
        if not lines:
            return ""
        script = "\n".join(lines)
        if not checked:
            script = 'synaptoroute() { command synaptoroute "$@" || test $? -eq 1; }\n' + script
        done = subprocess.run(
            [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment(self.folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "synaptoroute_integrations", "serve", *arguments, "--port", "0"]
        log = self.folder / "service.log"
        with log.open("w", encoding="utf-8") as said:
            self._service = subprocess.Popen(command, cwd=self.folder, env=environment(self.folder), stderr=said)
        while not (found := re.search(r"serving .* on (http://[\d.:]+)", log.read_text("utf-8"))):
            assert self._service.poll() is None, log.read_text("utf-8")
            time.sleep(0.05)
        self.url = found[1]

    def data(self, block: Block) -> None:
        """Read it, and keep it as a file if its first line says its name."""
        if block.kind == "yaml":
            list(yaml.safe_load_all(block.code))
        else:
            for text in [block.code] if block.kind == "json" else block.code.splitlines():
                json.loads(text)
        name = re.match(r"# ([\w-]+\.\w+)\n", block.code)
        if name:
            (self.folder / name[1]).write_text(block.code, encoding="utf-8")

    def close(self) -> None:
        if self._service is not None:
            self._service.terminate()
            self._service.wait(WAIT_S)


def environment(folder: Path) -> dict[str, str]:
    """That of a reader without a network, who has no program that reaches beyond the folder."""
    programs = folder / ".programs"
    if not programs.exists():
        programs.mkdir()
        for name in filter(shutil.which, PROGRAMS):
            (programs / name).symlink_to(shutil.which(name))
        for name in OURS:
            (programs / name).write_text(f'#!/bin/sh\nexec "{Path(sys.executable).parent / name}" "$@"\n', "utf-8")
            (programs / name).chmod(0o755)
    offline = {"HF_HUB_OFFLINE": "1", "no_proxy": "*"}
    return {**os.environ, **offline, "PATH": str(programs), "NO_COLOR": "1", "COLUMNS": "120"}


def is_checked(code: str) -> bool:
    """Whether a script looks at exit codes itself."""
    return bool(re.search(r"\$\?|\|\||&&|^\s*if |^\s*while ", code, re.MULTILINE))


def assert_prints(expected: list[str], printed: str) -> None:
    """Everything expected is printed, in this order; it may end in ``...``."""
    place = 0
    for text in expected:
        place = printed.find(start := text.removesuffix("...").strip(), place)
        assert place >= 0, f"{start!r} is not printed, but {printed!r}"


def assert_lines(shown: str, said: str) -> None:
    """Each line that is shown comes, in this order; ``...`` and ``…`` stand for anything."""
    place = 0
    for line in filter(str.strip, shown.splitlines()):
        parts = [re.escape(part.strip()) for part in re.split(r"\.\.\.|…", line)]
        found = re.compile(r"\s*" + ".*".join(parts).replace(r"\ ", " ") + r"\s*", re.MULTILINE).search(said, place)
        assert found, f"{line!r} does not come after character {place} of\n{said}"
        place = found.end()


def compare(line: str) -> None:
    """Hold a command that is not run to what there is: extras, targets, scripts and their options."""
    words = [word for word in shlex.split(line, comments=True) if not word.startswith("#")]
    program = COMPARED.match(line)["program"]
    if program == "pip":
        offered = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
        wanted = {extra for found in PIP.findall(line) for extra in found.split(",")}
        assert words[:2] == ["pip", "install"]
        assert wanted, f"{line}: of no extra; mark it as not run"
        assert wanted <= set(offered), f"{line}: the extras are {sorted(offered)}"
    elif program == "make":
        targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word} <= targets, f"{line}: the targets are {sorted(targets)}"
    else:
        script = ROOT / words[1]
        assert script.is_file(), f"{line}: there is no {words[1]}"
        source = script.read_text(encoding="utf-8") + shared_options(script)
        assert [word for word in words[2:] if word.startswith("--") and f'"{word}"' not in source] == [], line


def shared_options(script: Path) -> str:
    """The modules beside a script, which may define its options."""
    return "".join(path.read_text(encoding="utf-8") for path in script.parent.glob("*.py") if path != script)
