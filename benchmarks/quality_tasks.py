"""What the decision rules are compared on: labelled utterances to learn from, labelled queries to be judged on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets
from corruption import corrupt
from datasets import OUT_OF_SCOPE, Rows
from defaults import hidden_tasks

SEEDS = (0, 1, 2)
FEW = 10
CLINC, HINT3, BANKING, BITEXT = "clinc150", "hint3_curekart", "banking77", "bitext_customer_support"
TASKS = {
    "clinc150": "clinc150, all utterances",
    "clinc150_10": f"clinc150, {FEW} a route",
    "hint3": "hint3_curekart, all utterances",
    "banking77": "banking77, all utterances",
    "banking77_10": f"banking77, {FEW} a route",
    "banking77_typos": "banking77, all utterances; 5 % of the characters of the queries corrupted",
    "bitext": "bitext, all utterances; out of scope from clinc150",
    "bitext_typos": "bitext, all utterances; 5 % of the characters of the queries corrupted",
}
"""Names of the tasks, and what they are called on the page."""


@dataclass(frozen=True)
class Run:
    """What a contender is fitted on once, and the queries of each task that it is then asked."""

    train: Rows
    queries: dict[str, Rows]


def runs(folder: Path, *, validation: bool, names: tuple[str, ...]) -> Iterator[Run]:
    """The runs of the named tasks; a task with several seeds or splits has several.

    Args:
        folder: The data sets.
        validation: Judge on validation splits, which choices may be made on, and not on test splits.
        names: Tasks of :data:`TASKS`.
    """
    for run in _all_runs(folder, "validation" if validation else "test"):
        wanted = {name: _plain(rows) for name, rows in run.queries.items() if name in names}
        if wanted:
            yield Run(_plain(run.train), wanted)


def _all_runs(folder: Path, split: str) -> Iterator[Run]:
    clinc, banking = datasets.read(folder, f"{CLINC}/train"), datasets.read(folder, f"{BANKING}/train")
    outside = _outside(folder, split)
    clinc_queries = datasets.read(folder, f"{CLINC}/{split}")
    banking_queries = datasets.read(folder, f"{BANKING}/{split}")
    yield Run(clinc, {"clinc150": clinc_queries + outside})
    for seed in SEEDS:
        yield Run(datasets.sample(clinc, FEW, seed), {"clinc150_10": clinc_queries + outside})
    yield from _hint3(folder, split, (clinc, clinc_queries), (banking, banking_queries))
    yield Run(banking, {"banking77": banking_queries, "banking77_typos": _corrupted(banking_queries)})
    for seed in SEEDS:
        yield Run(datasets.sample(banking, FEW, seed), {"banking77_10": banking_queries})
    bitext = datasets.read(folder, f"{BITEXT}/{split}")
    yield Run(
        datasets.read(folder, f"{BITEXT}/train"), {"bitext": bitext + outside, "bitext_typos": _corrupted(bitext)}
    )


def _outside(folder: Path, split: str) -> Rows:
    if split == "test":
        return datasets.read(folder, f"{CLINC}/ood_test")
    return datasets.read(folder, f"{CLINC}/ood_validation") + datasets.read(folder, f"{CLINC}/ood_train")


def _hint3(folder: Path, split: str, clinc: tuple[Rows, Rows], banking: tuple[Rows, Rows]) -> Iterator[Run]:
    """It has no validation split: two thirds of train against one third, in which 8 of 28 routes are hidden."""
    if split == "test":
        queries = datasets.read(folder, f"{HINT3}/test") + datasets.read(folder, f"{HINT3}/ood_test")
        yield Run(datasets.read(folder, f"{HINT3}/train"), {"hint3": queries})
        return
    for task in hidden_tasks(folder, clinc, banking):
        if task.name.startswith(HINT3):
            yield Run(task.train, {"hint3": task.queries})


def _corrupted(rows: Rows) -> Rows:
    return [(corrupt(text), label) for text, label in rows]


def _plain(rows: Rows) -> Rows:
    """Labels as every contender takes them for names; ``reverted_card_payment?`` is none."""
    return [(text, label if label == OUT_OF_SCOPE else _name(label)) for text, label in rows]


def _name(label: str) -> str:
    return "".join(character if character.isalnum() or character in "_-" else "_" for character in label)
