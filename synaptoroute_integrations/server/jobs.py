"""Work that takes longer than a request should: one job at a time, seen by all workers of a service."""

from __future__ import annotations

import logging
import os
import queue
import re
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from synaptoroute_core import AdaptiveRouter, EncoderError, Report, StorageError, SynaptoRouteError
from synaptoroute_integrations.server.logs import cause_of
from synaptoroute_integrations.server.problems import Problem, ProblemError, draining, problem_of, retry_later
from synaptoroute_integrations.server.processes import is_alive
from synaptoroute_integrations.server.schemas import Job

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[float], None]
Work: TypeAlias = Callable[[AdaptiveRouter, Progress], Report]

JOB_ID = re.compile(r"[0-9a-f]{32}")
MAX_WAITING = 8
JOBS_KEPT = 100
STEP = 0.01
"""Least progress that is worth writing down."""


class _Record(BaseModel):
    """A job as it lies on disk."""

    job: Job
    pid: int


class JobDesk:
    """Takes jobs, does one at a time, and keeps what became of the last hundred.

    What is known of a job lies in a file, so that each worker of a service can tell of all of them.

    Args:
        folder: Where the files are; made if it is not there. None = a temporary one, from the first job to the end.
        router: What the jobs work on.
    """

    def __init__(self, folder: Path | None, router: AdaptiveRouter) -> None:
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._router = router
        self._queue: queue.SimpleQueue[tuple[Job, Work] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._unfinished: dict[str, Job] = {}
        self._closing = threading.Event()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def submit(self, kind: Literal["fit", "evaluate"], work: Work) -> Job:
        """Hand in a job.

        Raises:
            ProblemError: Too many are waiting, or the service is stopping.
        """
        job = Job(id=secrets.token_hex(16), kind=kind, state="queued", progress=0.0, created_at=datetime.now(UTC))
        with self._lock:
            if self._closing.is_set():
                raise draining()
            if len(self._unfinished) > MAX_WAITING:
                raise retry_later(429, "overloaded", f"{MAX_WAITING} jobs are waiting: try again later", 10.0)
            if self._folder is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="synaptoroute-")
                self._folder = Path(self._temporary.name)
            self._write(job)
            self._unfinished[job.id] = job
            if self._thread is None:
                # Not of a pool, whose threads the interpreter waits for at its end: a job may hang in its model.
                self._thread = threading.Thread(target=self._work, name="synaptoroute-job", daemon=True)
                self._thread.start()
        self._queue.put((job, work))
        self._forget_old()
        return job

    def find(self, job_id: str) -> Job:
        """A job of this service.

        Raises:
            ProblemError: There is none of that number.
        """
        job = self._read(job_id) if JOB_ID.fullmatch(job_id) else None
        if job is None:
            raise ProblemError(404, "not-found", "there is no such job: the last hundred are remembered")
        return job

    def all(self) -> list[Job]:
        """The jobs that are remembered, newest first."""
        found = [job for path in self._files() if (job := self._read(path.stem)) is not None]
        return sorted(found, key=lambda job: job.created_at, reverse=True)

    def stop(self) -> None:
        """End the job at work at its next step, and those that wait; does not wait for it."""
        self._closing.set()

    def close(self, timeout_s: float) -> None:
        """End all jobs.

        Args:
            timeout_s: A job that takes no step for so long is left alone; it has failed all the same.
        """
        self.stop()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)
        with self._lock:
            for job in list(self._unfinished.values()):
                self._end(job, {"state": "failed", "error": _problem(_stopped())})
        self.discard()

    def discard(self) -> None:
        """Remove the temporary folder, if there is one."""
        if self._temporary is not None:
            self._temporary.cleanup()

    # --- in the job's thread -------------------------------------------------------------------

    def _work(self) -> None:
        while (handed_in := self._queue.get()) is not None:
            try:
                self._run(*handed_in)
            except OSError:
                logger.exception("what became of job %s could not be written", handed_in[0].id)

    def _run(self, job: Job, work: Work) -> None:
        written = 0.0

        def progress(share: float) -> None:
            nonlocal written
            if self._closing.is_set():
                raise _stopped()
            if share - written >= STEP:
                written = share
                self._note(job.model_copy(update={"state": "running", "progress": min(share, 1.0)}))

        try:
            progress(STEP)
            report = work(self._router, progress)
            ended = {"state": "done", "progress": 1.0, "report": report.to_dict()}
        except Exception as error:  # whatever it is, whoever asks for the job must learn of it
            if isinstance(error, EncoderError | StorageError):
                logger.error("job %s failed: %s", job.id, cause_of(error))  # noqa: TRY400  # its words may be a text's
            elif not isinstance(error, SynaptoRouteError | ProblemError):
                logger.exception("job %s failed", job.id)
            ended = {"state": "failed", "error": _problem(error)}
        with self._lock:
            self._end(job, ended)

    def _note(self, job: Job) -> None:
        with self._lock:
            if job.id in self._unfinished:  # else it was given up
                self._unfinished[job.id] = job
                self._write(job)

    def _end(self, job: Job, ended: dict[str, Any]) -> None:
        """Say what became of a job, with the lock held."""
        last = self._unfinished.get(job.id)
        if last is None:
            return  # it was given up
        try:
            self._write(last.model_copy(update={**ended, "finished_at": datetime.now(UTC)}))
        finally:
            del self._unfinished[job.id]

    # --- on disk -------------------------------------------------------------------------------

    def _file(self, job_id: str) -> Path:
        if self._folder is None:
            raise FileNotFoundError(job_id)  # there was no job yet
        return self._folder / f"{job_id}.json"

    def _files(self) -> Iterator[Path]:
        return iter(()) if self._folder is None else self._folder.glob("*.json")

    def _write(self, job: Job) -> None:
        whole = self._file(job.id)
        part = whole.with_suffix(".part")
        part.write_text(_Record(job=job, pid=os.getpid()).model_dump_json(), encoding="utf-8")
        part.replace(whole)

    def _read(self, job_id: str) -> Job | None:
        record = self._load(job_id)
        if record is None:
            return None
        if record.job.finished_at is not None or self._is_at_work(record):
            return record.job
        again = self._load(job_id)  # it may have ended between the looks at the file and at its process
        return again.job if again is not None and again.job.finished_at is not None else _lost(record.job)

    def _load(self, job_id: str) -> _Record | None:
        try:
            return _Record.model_validate_json(self._file(job_id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _is_at_work(self, record: _Record) -> bool:
        if record.pid == os.getpid():  # which may have been another process's number before
            return record.job.id in self._unfinished
        return is_alive(record.pid)

    def _forget_old(self) -> None:
        for job in self.all()[JOBS_KEPT:]:
            if job.state in ("done", "failed"):
                self._file(job.id).unlink(missing_ok=True)


def _stopped() -> ProblemError:
    return ProblemError(503, "draining", "the service was stopped before this job was done: hand it in again")


def _lost(job: Job) -> Job:
    """A job whose process ended without a word."""
    error = ProblemError(503, "internal", "the process that did this job has ended: hand it in again")
    return job.model_copy(update={"state": "failed", "error": _problem(error)})


def _problem(error: Exception) -> Problem:
    return Problem(**problem_of(error).body())
