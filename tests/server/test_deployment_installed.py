"""What the Dockerfile builds, built and run without a container: its own commands in folders of this machine.

The instructions of the build stage run as they stand, with their folders under a temporary one; the last stage's
environment, entry point and health check then run there, as another user and in a folder that cannot be written to.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deployed import (
    ROOT,
    Instruction,
    dockerfile,
    health_command,
    image_environment,
    instruction,
    is_sent_to_the_builder,
    repository_files,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

USER, GROUP = (int(part) for part in instruction("USER").value.split(":"))
FOLDERS = re.compile(r"(?<![\w.])/(?=(?:opt/venv|build|dist|data)\b)")
START_S, END_S = 90, 30


@dataclass(frozen=True)
class Image:
    """The file system of the image under a folder."""

    root: Path

    def place(self, text: str) -> str:
        """A text of the Dockerfile with its folders under this one."""
        return FOLDERS.sub(f"{self.root}/", text)

    @property
    def environment(self) -> dict[str, str]:
        """What the image sets and nothing else: no HOME, and a port that is free."""
        found = {name: self.place(text).replace("$PATH", os.defpath) for name, text in image_environment().items()}
        return {**found, "SYNAPTOROUTE_PORT": str(free_port()), "TMPDIR": str(self.root / "tmp")}

    def start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        """A process of the image, as its user, in a folder that cannot be written to."""
        program = shutil.which(command[0], path=environment["PATH"])
        assert program is not None
        return subprocess.Popen(
            [program, *command[1:]],
            env=environment,
            cwd=self.root / "elsewhere",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.user,
        )

    def run(self, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """The exit code of a command and what it says."""
        with self.start(command, environment) as process:
            said, _ = process.communicate(timeout=START_S)
        return process.returncode, said

    @property
    def user(self) -> dict[str, object]:
        """Another user's numbers, where this one may become another who may run this Python."""
        other = {"user": USER, "group": GROUP, "extra_groups": ()}
        if os.geteuid() != 0:
            return {}
        try:
            subprocess.run([sys.executable, "-c", ""], check=True, **other)
        except (OSError, subprocess.CalledProcessError):
            return {}
        return other


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def build(image: Image, step: Instruction) -> None:
    """What the builder would do for an instruction of the first stage."""
    work = image.root / "build"
    if step.keyword == "COPY":
        *sources, target = step.words
        for name in repository_files():
            for source in sources:
                if is_sent_to_the_builder(name) and (name == source or name.startswith(f"{source}/")):
                    place = work / target / (Path(name).name if name == source else Path(name).relative_to(source))
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / name, place)
    elif step.keyword == "RUN":
        # Here the cache is no part of an image, and what was downloaded once need not be downloaded again.
        command = image.place(step.value).replace(" --no-cache-dir", "")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COMPILE": "0"}
        shell = ["/bin/sh", "-ec", command]
        run = subprocess.run(shell, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built once for all tests here, where another user may look: pytest's own folders are closed to others."""
    root = Path(tempfile.mkdtemp(prefix="image-"))
    try:
        root.chmod(0o755)
        made = Image(root)
        (root / "build").mkdir()
        for step in dockerfile():
            if step.stage == 1:
                build(made, step)
        shutil.rmtree(root / "build")
        (root / "elsewhere").mkdir(mode=0o555)
        for name in ("data", "tmp"):
            (root / name).mkdir(mode=0o700)
            if made.user:
                os.chown(root / name, USER, GROUP)
        yield made
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def secret(image: Image) -> str:
    """A key, made by the image's own command; its line is where the service looks for it."""
    code, said = image.run(["synaptoroute", "key", "operator", "--scope", "admin", "--json"], image.environment)
    assert code == 0, said
    made = json.loads(said)
    (image.root / "keys").write_text(f"{made['line']}\n", encoding="utf-8")
    (image.root / "keys").chmod(0o444)
    return made["key"]


def ask(port: str, method: str, path: str, body: object = None, secret: str = "") -> tuple[int, dict]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {secret}"} if secret else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def is_healthy(image: Image, environment: dict[str, str]) -> bool:
    """Whether the image's own health check says so."""
    code, _ = image.run(health_command(), environment)
    return code == 0


def wait_until_healthy(image: Image, environment: dict[str, str], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_S
    while not is_healthy(image, environment):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "the service did not become healthy"


def test_the_image_has_what_the_service_a_fit_and_shared_stores_need(image):
    program = "import fastapi, uvicorn, sklearn, psycopg, redis, synaptoroute_core"
    code, said = image.run(["python", "-c", program], image.environment)
    assert code == 0, said


def test_the_image_has_nothing_to_install_with(image):
    code, _ = image.run(["python", "-c", "import pip"], image.environment)
    assert code == 1


def test_the_image_does_not_start_without_keys(image):
    code, said = image.run(instruction("ENTRYPOINT").command, image.environment)
    assert code == 2
    assert "no keys" in said


def test_the_image_serves_says_that_it_is_well_and_ends_when_it_is_told_to(image, secret):
    environment = {**image.environment, "SYNAPTOROUTE_KEYS_FILE": str(image.root / "keys")}
    port = environment["SYNAPTOROUTE_PORT"]
    assert not is_healthy(image, environment)
    with image.start(instruction("ENTRYPOINT").command, environment) as process:
        try:
            wait_until_healthy(image, environment, process)
            assert ask(port, "POST", "/route", {"text": "refund me"})[0] == 401
            assert ask(port, "PUT", "/routes/refund", {"utterances": ["I want my money back"]}, secret)[0] == 201
            status, decision = ask(port, "POST", "/route", {"text": "please give my money back"}, secret)
            assert (status, decision["route"]) == (200, "refund")
            process.send_signal(getattr(signal, instruction("STOPSIGNAL").value))
            said, _ = process.communicate(timeout=END_S)
        finally:
            process.kill()
    assert process.returncode == 0, said
    store = (image.root / "data" / "routes.sqlite").stat()
    assert store.st_size > 0
    assert store.st_uid == image.user.get("user", os.geteuid())
    assert list((image.root / "elsewhere").iterdir()) == []
