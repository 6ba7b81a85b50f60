"""Evaluating a router on files of labelled texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    EvaluationReport,
    Example,
    Route,
    evaluate_decisions,
)
from synaptoroute_core.errors import RouteNotFoundError
from synaptoroute_core.learning.evaluation.comparing import check_amount, require_same
from synaptoroute_core.text import utterance_key
from synaptoroute_integrations.cli.sources import Source, require_source
from synaptoroute_integrations.examples import (
    LabelledText,
    build_routes,
    limit_utterances,
    name_routes,
    read_labelled,
)

CHUNK = 512
"""Texts that are routed between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be evaluated.

    Attributes:
        routes: Made of the training texts; None = they come from a store or a route file.
        examples: The labelled texts to route.
        places: Where each of them stands, for messages.
        unused: Training texts without a route.
    """

    routes: Sequence[Route] | None
    examples: Sequence[Example]
    places: Sequence[str]
    unused: int

    def open(self, source: Source) -> AdaptiveRouter:
        """The router to evaluate."""
        return source.open() if self.routes is None else source.open_memory(self.routes)

    def run(self, router: AdaptiveRouter, *, price_per_call: float | None = None) -> EvaluationReport:
        """Route the examples, with a progress bar on a terminal if they are many, and compare with their labels.

        Args:
            router: The router.
            price_per_call: What an LLM call costs; None = not known.

        Raises:
            ConfigurationError: A label is no route's name; the message says where it stands.
        """
        names = list(router.routes)
        known = frozenset(names)
        for (_, label), place in zip(self.examples, self.places, strict=True):
            if label is not None and label not in known:
                raise ConfigurationError(f"{place}: {RouteNotFoundError(label, names)}")
        started = time.perf_counter()
        decisions = route_all(router, [text for text, _ in self.examples])
        seconds = time.perf_counter() - started
        return evaluate_decisions(self.examples, decisions, names, seconds=seconds, price_per_call=price_per_call)

    def notes(self, router: AdaptiveRouter) -> list[str]:
        """What a reader of the figures should know of the data."""
        notes = []
        if self.unused:
            notes.append(f"{self.unused:,} of the training texts belong to no route and are not used")
        known = {utterance_key(text) for route in router.routes.values() for text in route.utterances}
        leaked = sum(utterance_key(text) in known for text, _ in self.examples)
        if leaked:
            notes.append(f"{leaked:,} of the test texts are utterances of a route too: that flatters the figures")
        return notes


def load_trial(
    source: Source, *, test: Path, train: Path | None, ood: Path | None, limit: int | None, seed: int
) -> Trial:
    """Read the files of a trial.

    Raises:
        ConfigurationError: There are no routes, or two sources of them; or a file is not usable, and
            the message names file and line.
    """
    if train is None:
        require_source(source.db, source.routes, or_else="labelled texts with --train FILE")
        if limit is not None:
            raise ConfigurationError("--limit-per-route draws from --train FILE, which is not given")
    elif source.db is not None or source.routes is not None:
        raise ConfigurationError("--train makes routes of its own: leave --db and --routes out, or --train")
    training = read_labelled(train, utterances=True) if train is not None else []
    testing: list[LabelledText] = read_labelled(test)
    if ood is not None:
        testing += read_labelled(ood, out_of_scope=True)
    learned, examples = name_routes(training, testing)
    routes = build_routes(learned) if train is not None else None
    if routes is not None and not routes:
        raise ConfigurationError(f"{train}: no text has a label, so there is nothing to make routes of")
    if routes is not None and limit is not None:
        routes = limit_utterances(routes, limit, seed=seed)
    unused = sum(name is None for _, name in learned)
    return Trial(routes, examples, [row.place for row in testing], unused)


def route_all(router: AdaptiveRouter, texts: Sequence[str]) -> list[Decision]:
    """The decisions on many texts."""
    decisions: list[Decision] = []
    # disable=None: no bar where standard error is not a terminal.
    with tqdm(total=len(texts), desc="routing", unit="text", leave=False, disable=None) as bar:
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            decisions += router.route_batch(chunk)
            bar.update(len(chunk))
    return decisions


# --- reports that are kept -------------------------------------------------------------------------


def check_plan(save: Path | None, price: float | None) -> None:
    """Refuse at once what would fail after all texts are routed.

    Raises:
        ConfigurationError: The report cannot be saved there, or the price is no amount.
    """
    check_amount("--price", price)
    if save is not None and (save.is_dir() or not save.parent.is_dir()):
        raise ConfigurationError(f"cannot save the report as {save}: name a file in a folder that is there")


def save_report(path: Path, report: EvaluationReport) -> None:
    """Write a report for a later run to compare itself with.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    try:
        path.write_text(report.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot save the report as {path}: {error.strerror or error}") from error


def load_earlier(path: Path, examples: Sequence[Example]) -> EvaluationReport:
    """Read the report of an earlier run on the same examples.

    Raises:
        ConfigurationError: The file cannot be read, is no report, or is one of other examples.
    """
    try:
        report = EvaluationReport.from_json(path.read_bytes())
        require_same(((row.text, row.expected) for row in report.rows), examples)
    except OSError as error:
        raise ConfigurationError(f"cannot read the report {path}: {error.strerror or error}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return report
