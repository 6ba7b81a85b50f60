"""Evaluating a router on files of labelled texts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from tqdm import tqdm

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    EvaluationReport,
    Example,
    FitReport,
    Route,
    evaluate_decisions,
)
from synaptoroute_core.errors import RouteNotFoundError
from synaptoroute_core.learning.evaluation.comparing import check_amount, require_same
from synaptoroute_core.text import utterance_key
from synaptoroute_integrations.cli.app import FAILED
from synaptoroute_integrations.cli.output import show_error
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
class Labelled:
    """The labelled texts of a file, which may name routes that are not there.

    Attributes:
        examples: The texts, with route names for labels.
        places: Where each of them stands, for messages.
    """

    examples: Sequence[Example]
    places: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> Labelled:
        """The texts of a file.

        Raises:
            ConfigurationError: It is not usable; the message names file and line.
        """
        rows = read_labelled(path)
        return cls(name_routes(rows)[0], [row.place for row in rows])

    def examples_of(self, router: AdaptiveRouter) -> Sequence[Example]:
        """The texts.

        Raises:
            ConfigurationError: A label is no route's name; the message says where it stands.
        """
        require_known(self.examples, self.places, router.routes)
        return self.examples


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

    def open(self, source: Source, *, apart: bool = False) -> AdaptiveRouter:
        """The router to evaluate.

        Args:
            source: Where the routes are, if they are not those of the trial.
            apart: Whether the router is to be changed without the store.
        """
        return source.open(apart=apart) if self.routes is None else source.open_memory(self.routes)

    def run(self, router: AdaptiveRouter, *, price_per_call: float | None = None) -> EvaluationReport:
        """Route the examples, with a progress bar on a terminal if they are many, and compare with their labels.

        Args:
            router: The router.
            price_per_call: What an LLM call costs; None = not known.

        Raises:
            ConfigurationError: A label is no route's name; the message says where it stands.
        """
        names = list(router.routes)
        require_known(self.examples, self.places, names)
        started = time.perf_counter()
        decisions = route_all(router, [text for text, _ in self.examples])
        seconds = time.perf_counter() - started
        return evaluate_decisions(self.examples, decisions, names, seconds=seconds, price_per_call=price_per_call)

    def notes(self, router: AdaptiveRouter) -> list[str]:
        """What a reader of the figures should know of the data."""
        notes = []
        if self.unused:
            notes.append(f"{self.unused:,} of the training texts belong to no route and are not used")
        leaked, fitted = count_learned(router, self.examples)
        if leaked:
            notes.append(f"{leaked:,} of the test texts are utterances of a route too: that flatters the figures")
        if fitted:
            notes.append(f"{fitted:,} of the test texts are what the head was fitted to: that flatters the figures")
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


def require_known(examples: Iterable[Example], places: Iterable[str], names: Collection[str]) -> None:
    """Check that labels are names of routes.

    Raises:
        ConfigurationError: One is not; the message says where it stands.
    """
    for (_, label), place in zip(examples, places, strict=True):
        if label is not None and label not in names:
            raise ConfigurationError(f"{place}: {RouteNotFoundError(label, names)}")


def count_learned(router: AdaptiveRouter, examples: Iterable[Example]) -> tuple[int, int]:
    """How many of the texts are utterances, and how many others a head was fitted to."""
    utterances = {utterance_key(text) for route in router.routes.values() for text in route.utterances}
    fitted = {utterance_key(text) for fit in router.fits for text, _ in fit.details.get("examples", ())}
    keys = [utterance_key(text) for text, _ in examples]
    return sum(key in utterances for key in keys), sum(key in fitted - utterances for key in keys)


def fit_head(
    router: AdaptiveRouter, examples: Iterable[Example] = (), *, share: float | None = None, seed: int = 0
) -> FitReport:
    """Fit a head; ends the command if the extra for it is not installed."""
    try:
        return router.fit(examples, out_of_scope_share=share, seed=seed)
    except ImportError as error:
        show_error(str(error))
        raise typer.Exit(FAILED) from None


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
