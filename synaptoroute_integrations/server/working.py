"""What jobs do: fits and evaluations, in steps that can be watched and broken off."""

from __future__ import annotations

import time
from importlib.util import find_spec

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    Report,
    RouterOverloadedError,
    evaluate_decisions,
)
from synaptoroute_core.errors import missing_extra
from synaptoroute_core.types import checked_examples
from synaptoroute_integrations.server.jobs import Progress, Work
from synaptoroute_integrations.server.schemas import EvaluateBody, FitBody

AT_ONCE = 32
"""Texts that an evaluation hands in together: one batch, so that live queries find a worker free."""


def fit_work(body: FitBody) -> Work:
    """The fit of a head or of thresholds."""
    examples = [each.example() for each in body.examples]

    def work(router: AdaptiveRouter, progress: Progress) -> Report:
        if body.method == "head":
            require_training()
            return router.fit(examples, out_of_scope_share=body.out_of_scope_share, seed=body.seed, progress=progress)
        return router.fit_thresholds(
            examples, objective=body.objective, max_fpr=body.max_fpr, max_error=body.max_error, seed=body.seed
        )

    return work


def require_training() -> None:
    """Check that heads can be trained here.

    Raises:
        ConfigurationError: What it takes is not installed.
    """
    if find_spec("sklearn") is None:
        raise ConfigurationError(str(missing_extra("fit", ModuleNotFoundError("scikit-learn", name="scikit-learn"))))


def evaluate_work(body: EvaluateBody) -> Work:
    """The routing of labelled texts, and the comparison."""

    def work(router: AdaptiveRouter, progress: Progress) -> Report:
        names = list(router.routes)
        examples = checked_examples([each.example() for each in body.examples], names)
        decisions: list[Decision] = []
        started = time.perf_counter()
        for start in range(0, len(examples), AT_ONCE):
            decisions += _routed(router, [text for text, _ in examples[start : start + AT_ONCE]], progress)
            progress(len(decisions) / len(examples))
        seconds = time.perf_counter() - started
        return evaluate_decisions(examples, decisions, names, seconds=seconds, price_per_call=body.price_per_call)

    return work


def _routed(router: AdaptiveRouter, texts: list[str], progress: Progress) -> list[Decision]:
    """Decisions on texts, which give way to queries that somebody waits for."""
    while True:
        try:
            return router.route_batch(texts)
        except RouterOverloadedError as error:
            progress(0.0)  # ends it here if the service is stopping
            time.sleep(max(error.retry_after_s, 0.01))
