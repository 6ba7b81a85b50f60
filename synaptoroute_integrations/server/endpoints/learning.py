"""Endpoints for what takes its time: fits and evaluations, as jobs.

What is known of jobs lies on disk, so that all but one of these run in threads.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from synaptoroute_core import Receipt
from synaptoroute_integrations.server.endpoints.shared import (
    BODY,
    Expected,
    ServiceOf,
    json_of,
    problems,
    receipt,
    router,
)
from synaptoroute_integrations.server.schemas import EvaluateBody, FitBody, Job, Jobs
from synaptoroute_integrations.server.working import evaluate_work, fit_work

learning = router(tags=["learn"])


@learning.post("/fit", status_code=202, summary="Fit the router", response_model=Job, responses={**problems(*BODY)})
def fit(body: FitBody, service: ServiceOf) -> Response:
    """Learn to tell the routes apart, or fit their thresholds. Queries go on meanwhile."""
    return _accepted(service.jobs.submit("fit", fit_work(body)))


@learning.delete("/fit", summary="Take the last fit back", response_model=Receipt, responses={**problems(412, 422)})
async def undo_fit(service: ServiceOf, expected: Expected) -> Response:
    """Put in force what was in force before the last fit."""
    return receipt(service, await service.router.aundo_fit(expected_revision=expected))


@learning.post(
    "/evaluate", status_code=202, summary="Evaluate the router", response_model=Job, responses={**problems(*BODY)}
)
def evaluate(body: EvaluateBody, service: ServiceOf) -> Response:
    """Route labelled texts and compare."""
    return _accepted(service.jobs.submit("evaluate", evaluate_work(body)))


@learning.get("/jobs", summary="The jobs that are remembered", responses={**problems()})
def list_jobs(service: ServiceOf) -> Jobs:
    """The last hundred, newest first."""
    return Jobs(jobs=service.jobs.all())


@learning.get("/jobs/{job_id}", summary="One job", responses={**problems(404, 422)})
def get_job(job_id: Annotated[str, Path(max_length=64)], service: ServiceOf) -> Job:
    """Its state, its progress from 0 to 1, and its report when it is done."""
    return service.jobs.find(job_id)


def _accepted(job: Job) -> Response:
    return json_of(job, status=202, headers={"Location": f"/jobs/{job.id}"})
