"""What a run over a file has done so far: parts of the result in a folder beside it, and what they are parts of.

A part is written under another name, brought to disk and then renamed, so that one that is there is whole. A run that
was killed is taken up by doing the parts that are not there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from synaptoroute_core import ConfigurationError
from synaptoroute_core.errors import missing_extra, shorten
from synaptoroute_integrations.bulk.targets import write_target

try:
    import pyarrow as pa
    import pyarrow.parquet
except ModuleNotFoundError as error:
    raise missing_extra("bulk", error) from error

JOURNAL, LOCK, RESULT, FINISHED, NEW = "journal.json", "lock.sqlite", "result", "finished.json", "new"
OWN = re.compile(rf"{JOURNAL}|{LOCK}.*|{RESULT}|{FINISHED}|{NEW}|part-\d+\.parquet")
"""Names of files that may be removed."""
SHOWN = 40

Identity = Mapping[str, Any]
"""What a run depends on, by what it is called in messages: JSON data."""


class Parts:
    """The folder of a run.

    Args:
        target: Where the result is to be.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.parts")

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes out; the system ends this when the process ends, however it does.

        Raises:
            ConfigurationError: Another process is at work, or the folder is somebody else's.
        """
        self.folder.mkdir(exist_ok=True)
        foreign = sorted(path.name for path in self.folder.iterdir() if not OWN.fullmatch(path.name))
        if foreign:
            raise ConfigurationError(
                f"{self.folder} is to hold parts of {self.target.name} and has {shorten(foreign[0])} in it: move it, "
                "or name another file for the result"
            )
        # A lock of SQLite's is one on every system, and needs no package.
        with closing(sqlite3.connect(self.folder / LOCK, timeout=0, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise ConfigurationError(f"another process is writing {self.target}: wait for it to end") from error
            yield

    def begin(self, identity: Identity, *, overwrite: bool) -> None:
        """Take up the run that is there, or begin a new one.

        Args:
            identity: What the run depends on.
            overwrite: Whether to throw away a run that depended on something else.

        Raises:
            ConfigurationError: There is such a run, and it is not to be thrown away.
        """
        known = _read(self.folder / JOURNAL)
        if known == identity:
            return
        if known is not None and not overwrite and any(self.folder.glob("part-*")):
            changed = [
                f"{name} (was {shorten(known.get(name), SHOWN)}, is {shorten(value, SHOWN)})"
                for name, value in identity.items()
                if known.get(name) != value
            ]
            raise ConfigurationError(
                f"{self.folder} holds part of a result for which something was different: {', '.join(changed)}. Put it "
                "back to finish that run, pass overwrite=True (--overwrite) to begin anew, or name another file"
            )
        for path in self.folder.iterdir():
            if not path.name.startswith(LOCK):
                path.unlink()
        _write(self.folder / JOURNAL, identity)

    def is_done(self, number: int, rows: int) -> bool:
        """Whether a part is there, with all its rows."""
        try:
            found: int = pa.parquet.read_metadata(self._path(number)).num_rows
        except (OSError, pa.ArrowException):
            return False
        return found == rows

    def put(self, number: int, table: pa.Table) -> None:
        """Keep a part.

        Raises:
            OSError: It cannot be written.
        """
        new = self.folder / NEW
        write_target(new, ".parquet", table.schema, [table])
        new.replace(self._path(number))

    def get(self, number: int) -> pa.Table:
        """A part."""
        with pa.parquet.ParquetFile(self._path(number)) as file:
            return file.read()

    def write_result(self, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        """Write the result, but not yet where it is to be.

        Raises:
            OSError: It cannot be written.
        """
        write_target(self.folder / RESULT, self.target.suffix, schema, tables)

    def publish(self, note: Mapping[str, Any]) -> None:
        """Put the result where it is to be, in one step.

        Args:
            note: JSON data that :meth:`published` gives.

        Raises:
            OSError: It cannot be put there.
        """
        result = self.folder / RESULT
        if self.target.exists():
            shutil.copymode(self.target, result)
        _write(self.folder / FINISHED, {"stamp": _stamp(result), "note": note})
        result.replace(self.target)
        _sync_folder(self.target.parent)

    def published(self) -> Any:
        """The note of a run that came to its end, but for removing the folder; None = there is none."""
        found = _read(self.folder / FINISHED)
        return found["note"] if found and self.target.is_file() and found["stamp"] == _stamp(self.target) else None

    def remove(self) -> None:
        """Remove the folder; what says that the run has come to its end goes last."""
        with suppress(FileNotFoundError):  # another process has found the run finished, and removes it too
            for path in sorted(self.folder.iterdir(), key=lambda path: path.name == FINISHED):
                path.unlink(missing_ok=True)
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:08}.parquet"


def _stamp(path: Path) -> dict[str, int]:
    """What stays the same of a file when it is renamed, and differs between two that were written."""
    found = path.stat()
    return {"inode": found.st_ino, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _sync_folder(folder: Path) -> None:
    """Bring to disk that a file there has another name now, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Path) -> Any:
    """What a file holds; None if it is not there, or is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, content: Any) -> None:
    new = path.with_name(NEW)
    with new.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
