"""Work that takes longer than a request should: one job at a time, seen by all workers of a service."""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel

from synaptoroute_core import AdaptiveRouter, Report, SynaptoRouteError
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
        folder: Where the files are; made if it is not there.
        router: What the jobs work on.
    """

    def __init__(self, folder: Path, router: AdaptiveRouter) -> None:
        self._folder = folder
        self._router = router
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="synaptoroute-job")
        self._waiting = 0
        self._counting = threading.Lock()
        self._closing = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)

    def submit(self, kind: Literal["fit", "evaluate"], work: Work) -> Job:
        """Hand in a job.

        Raises:
            ProblemError: Too many are waiting, or the service is stopping.
        """
        with self._counting:
            if self._closing.is_set():
                raise draining()
            if self._waiting >= MAX_WAITING:
                raise retry_later(429, "overloaded", f"{self._waiting} jobs are waiting: try again later", 10.0)
            self._waiting += 1
        job = Job(id=secrets.token_hex(16), kind=kind, state="queued", progress=0.0, created_at=datetime.now(UTC))
        self._write(job)
        self._forget_old()
        self._executor.submit(self._run, job, work)
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

    def close(self) -> None:
        """End the job at work at its next step, and those that wait."""
        self._closing.set()
        self._executor.shutdown(wait=True, cancel_futures=False)

    # --- in the job's thread -------------------------------------------------------------------

    def _run(self, job: Job, work: Work) -> None:
        with self._counting:
            self._waiting -= 1
        written = 0.0

        def progress(share: float) -> None:
            nonlocal written
            if self._closing.is_set():
                raise draining()
            if share - written >= STEP:
                written = share
                self._write(job.model_copy(update={"state": "running", "progress": min(share, 1.0)}))

        try:
            progress(STEP)
            report = work(self._router, progress)
            ended = {"state": "done", "progress": 1.0, "report": report.to_dict()}
        except Exception as error:  # whatever it is, whoever asks for the job must learn of it
            if not isinstance(error, SynaptoRouteError | ProblemError):
                logger.exception("job %s failed", job.id)
            ended = {"state": "failed", "error": Problem(**problem_of(error).body())}
        self._write(job.model_copy(update={**ended, "finished_at": datetime.now(UTC)}))

    # --- on disk -------------------------------------------------------------------------------

    def _files(self) -> Iterator[Path]:
        return self._folder.glob("*.json")

    def _write(self, job: Job) -> None:
        whole = self._folder / f"{job.id}.json"
        part = whole.with_suffix(".part")
        part.write_text(_Record(job=job, pid=os.getpid()).model_dump_json(), encoding="utf-8")
        part.replace(whole)

    def _read(self, job_id: str) -> Job | None:
        try:
            record = _Record.model_validate_json((self._folder / f"{job_id}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if record.job.finished_at is None and not is_alive(record.pid):
            lost = ProblemError(503, "internal", "the process that did this job has ended; hand it in again")
            return record.job.model_copy(update={"state": "failed", "error": Problem(**lost.body())})
        return record.job

    def _forget_old(self) -> None:
        for job in self.all()[JOBS_KEPT:]:
            if job.finished_at is not None:
                (self._folder / f"{job.id}.json").unlink(missing_ok=True)
