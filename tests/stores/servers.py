"""Servers of one's own, to be killed and started again: PostgreSQL and Redis in folders of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from proxy import free_port

START_S = 30.0
FAST = """
fsync = off
shared_buffers = 16MB
max_connections = 60
autovacuum = off
unix_socket_directories = ''
listen_addresses = '127.0.0.1'
"""


class PrivatePostgres:
    """A PostgreSQL server in a folder of its own, which it leaves with nothing in it. Closed in a ``with`` statement.

    It does not wait for the disk, which is of no use against a process that is killed, only against a lost machine.
    """

    def __init__(self) -> None:
        self._programs = _postgres_programs()
        # Not the test's own folder: the server must not run as root, and others cannot look into that.
        self._folder = Path(tempfile.mkdtemp(prefix="synaptoroute_postgres_"))
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self._run("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--no-locale")
        (self._folder / "data" / "postgresql.auto.conf").write_text(f"{FAST}port = {self.port}\n", encoding="utf-8")
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.kill()
        shutil.rmtree(self._folder)

    @contextlib.contextmanager
    def standby(self) -> Iterator[str]:
        """The URL of a server that follows this one, and only lets read."""
        copy = PrivatePostgres()
        source = ["-d", self.url, "--write-recovery-conf", "--checkpoint=fast"]
        copy._run("pg_basebackup", *source)
        with (copy._folder / "data" / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"port = {copy.port}\n")
        copy.start()
        try:
            yield copy.url
        finally:
            copy.__exit__()

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-t", f"{START_S:.0f}", "-l", str(self._folder / "log"), "start")

    def kill(self) -> None:
        """End it as a crash does."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)


class PrivateBouncer:
    """A PgBouncer that gives each transaction any connection. Closed in a ``with`` statement.

    Args:
        port: The server's.
    """

    def __init__(self, port: int) -> None:
        self._program = shutil.which("pgbouncer")
        if self._program is None:
            pytest.skip("pgbouncer is not installed")
        self._target = port
        self._folder = Path(tempfile.mkdtemp(prefix="synaptoroute_bouncer_"))
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={self._target} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 3\n",
            encoding="utf-8",
        )
        command = [str(self._program), "-q", str(settings)]
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        self._process = subprocess.Popen(command, cwd=self._folder, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, "pgbouncer did not start"
            time.sleep(0.02)
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class PrivateRedis:
    """A Redis server on a port of its own. Closed in a ``with`` statement.

    Args:
        folder: Where its file is; None = it has none, and forgets everything when it ends.
        options: Further ones, of its command line.
    """

    def __init__(self, folder: Path | None, *options: str) -> None:
        self._program = shutil.which("redis-server")
        if self._program is None:
            pytest.skip("redis-server is not installed: make test-services")
        self._options = ["--save", "", *options]
        if folder is not None:
            self._options += ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always"]
        self._elsewhere = tempfile.TemporaryDirectory(prefix="redis-")  # one that follows another writes a file
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self._elsewhere.cleanup()

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self._elsewhere.name)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
            asked.sendall(b"PING\r\n")
            return asked.recv(16).startswith(b"+PONG")
        return False


def _postgres_programs() -> Path:
    """The folder of initdb and pg_ctl, which Debian has off the path."""
    found = [Path(found) for found in [shutil.which("pg_ctl")] if found]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)
    if not found or (os.geteuid() == 0 and shutil.which("setpriv") is None):
        pytest.skip("no PostgreSQL server can be started here: make test-services")
    return found[0].resolve().parent
