"""Which scoring rule, which threshold, which margin? Chosen on train and validation splits alone.

Prints the tables of ``docs/decisions.md``. Tasks, each with the bundled model:

* clinc150 with 1, 5, 10, 20 and 100 utterances a route; validation queries and 200 out-of-scope ones
* clinc150 with five of its ten domains merged into one route each of 500 diverse utterances, beside 75
  routes of 1, 5 or 20: does a big diverse route crowd out a small one, or the other way round?
* banking77 (10 and 50 a route) and bitext (10 a route), with clinc150's out-of-scope queries
* hint3_curekart, three times two thirds of its train split, with 8 of its 28 routes hidden: their
  texts are out of scope and near; the same with a third of the routes of clinc150 and banking77
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from datasets import OUT_OF_SCOPE, Rows
from numpy.typing import NDArray

from synaptoroute_core import BundledEncoder
from synaptoroute_core.encoders import encode_texts

Array = NDArray[np.float32]
WRONG_COSTS = 2.0
"""A wrong answer undoes two right ones: the utility that the threshold and margin are chosen by."""


@dataclass(frozen=True)
class Task:
    """Labelled utterances to route by, labelled queries to route."""

    name: str
    train: Rows
    queries: Rows


# --- tasks -------------------------------------------------------------------------------------


def tasks(folder: Path) -> Iterator[Task]:
    """All tasks, in the order in which they are printed."""
    clinc, clinc_queries = datasets.read(folder, "clinc150/train"), datasets.read(folder, "clinc150/validation")
    outside = datasets.read(folder, "clinc150/ood_validation") + datasets.read(folder, "clinc150/ood_train")
    for count in (1, 5, 10, 20, 100):
        yield Task(f"clinc150 k={count}", datasets.sample(clinc, count), clinc_queries + outside)
    domains = json.loads((folder / "clinc150" / "domains.json").read_text(encoding="utf-8"))
    merged = {intent: name for name in sorted(domains)[:5] for intent in domains[name]}
    for count in (1, 5, 20):
        small = datasets.sample([row for row in clinc if row[1] not in merged], count)
        big = datasets.sample([(text, merged[label]) for text, label in clinc if label in merged], 500)
        yield Task(
            f"5 x 500 and 75 x {count}", big + small, [(t, merged.get(i, i)) for t, i in clinc_queries] + outside
        )
    banking, banking_queries = datasets.read(folder, "banking77/train"), datasets.read(folder, "banking77/validation")
    for count in (10, 50):
        yield Task(f"banking77 k={count}", datasets.sample(banking, count), banking_queries + outside)
    bitext = datasets.sample(datasets.read(folder, "bitext_customer_support/train"), 10)
    yield Task("bitext k=10", bitext, datasets.read(folder, "bitext_customer_support/validation") + outside)
    yield from hidden_tasks(folder, (clinc, clinc_queries), (banking, banking_queries))


def hidden_tasks(folder: Path, clinc: tuple[Rows, Rows], banking: tuple[Rows, Rows]) -> Iterator[Task]:
    """Tasks in which the texts of hidden routes are out of scope."""
    for name, (train, queries) in (("clinc150", clinc), ("banking77", banking)):
        labels = sorted({label for _, label in train})
        hidden = set(np.random.default_rng(1).permutation(labels)[: len(labels) // 3])
        yield hide(f"{name} k=20, a third hidden", datasets.sample(train, 20), queries, hidden)
    curekart = datasets.read(folder, "hint3_curekart/train")
    labels = sorted({label for _, label in curekart})
    for seed in range(3):
        chooser = np.random.default_rng(seed)
        held_back = set(chooser.permutation(len(curekart))[: len(curekart) // 3].tolist())
        hidden = set(chooser.permutation(labels)[:8])
        train = [row for number, row in enumerate(curekart) if number not in held_back]
        queries = [row for number, row in enumerate(curekart) if number in held_back or row[1] in hidden]
        yield hide(f"hint3_curekart, 8 hidden ({seed})", train, queries, hidden)


def hide(name: str, train: Rows, queries: Rows, hidden: set[str]) -> Task:
    """A task without the hidden routes, whose queries become out of scope."""
    kept = [row for row in train if row[1] not in hidden]
    return Task(name, kept, [(text, OUT_OF_SCOPE if label in hidden else label) for text, label in queries])


# --- rules -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Similarities:
    """Of each query to each route: nearest, mean of the three nearest, cosine of the centre."""

    nearest: Array
    three: Array
    centre: Array
    tightness: Array  # length of the mean vector of each route: shape (routes,)


def similarities(queries: Array, vectors: Array, owners: NDArray[np.intp]) -> Similarities:
    """What all rules are made of."""
    products = queries @ vectors.T
    routes = range(int(owners.max()) + 1)
    ranked = [-np.sort(-products[:, owners == route], axis=1)[:, :3] for route in routes]
    means = np.stack([vectors[owners == route].mean(axis=0) for route in routes])
    lengths = np.linalg.norm(means, axis=1)
    return Similarities(
        nearest=np.stack([best[:, 0] for best in ranked], axis=1),
        three=np.stack([best.mean(axis=1) for best in ranked], axis=1),
        centre=queries @ (means / lengths[:, None]).T,
        tightness=lengths,
    )


def blend(weight: float, power: int) -> Callable[[Similarities], Array]:
    """The nearest utterance and the centre, which is trusted by the route's tightness."""

    def rule(found: Similarities) -> Array:
        trust = weight * found.tightness**power
        return np.asarray((1 - trust) * found.nearest + trust * found.centre)

    return rule


RULES: dict[str, Callable[[Similarities], Array]] = {
    "nearest": lambda found: found.nearest,
    "3 nearest": lambda found: found.three,
    "centre": lambda found: found.centre,
    "half and half": blend(0.5, 0),
    "r, w = 0.6": blend(0.6, 1),
    "r², w = 0.5": blend(0.5, 2),
    "**r², w = 0.7**": blend(0.7, 2),
    "r², w = 1": blend(1.0, 2),
}


# --- figures -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """Of each query: best score, lead, whether the best route is right, whether it is in scope."""

    score: Array
    margin: Array
    right: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Share of in-scope queries whose best route is right."""
        return float(self.right[self.inside].mean())

    @property
    def aurc(self) -> float:
        """Mean error over all coverages, ranked by score."""
        ranked = ~self.right[np.argsort(-self.score, kind="stable")]
        return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1)).mean())


def outcome(scores: Array, names: list[str], labels: list[str]) -> Outcome:
    """Judge one rule on one task."""
    ranked = np.sort(scores, axis=1)
    best = [names[position] for position in scores.argmax(axis=1)]
    return Outcome(
        score=ranked[:, -1],
        margin=ranked[:, -1] - ranked[:, -2],
        right=np.array([name == label for name, label in zip(best, labels, strict=True)]),
        inside=np.array([label != OUT_OF_SCOPE for label in labels]),
    )


def judge_all(folder: Path) -> dict[str, dict[str, Outcome]]:
    """Outcome of each rule on each task."""
    encoder = BundledEncoder(threads=2)
    known: dict[str, Array] = {}

    def encode(texts: list[str]) -> Array:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, encode_texts(encoder, missing), strict=True))
        return np.stack([known[text] for text in texts])

    outcomes: dict[str, dict[str, Outcome]] = {rule: {} for rule in RULES}
    for task in tasks(folder):
        names = sorted({label for _, label in task.train})
        owners = np.array([names.index(label) for _, label in task.train])
        found = similarities(encode([t for t, _ in task.queries]), encode([t for t, _ in task.train]), owners)
        for rule, score in RULES.items():
            outcomes[rule][task.name] = outcome(score(found), names, [label for _, label in task.queries])
    return outcomes


def print_rules(outcomes: dict[str, dict[str, Outcome]]) -> None:
    """Accuracy / AURC of every rule, a task a line."""
    print("| task | " + " | ".join(outcomes) + " |")
    print("|---|" + "---|" * len(outcomes))
    for name in next(iter(outcomes.values())):
        cells = [f"{judged[name].accuracy:.3f} / {judged[name].aurc:.3f}" for judged in outcomes.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    means = [
        f"{np.mean([each.accuracy for each in judged.values()]):.3f} / "
        f"{np.mean([each.aurc for each in judged.values()]):.3f}"
        for judged in outcomes.values()
    ]
    print("| mean | " + " | ".join(means) + " |")


def print_thresholds(judged: dict[str, Outcome]) -> None:
    """Coverage, error and out-of-scope acceptance of thresholds and margins, mean over the tasks."""
    print("| threshold | margin | in scope answered | error among answered | out of scope accepted | utility |")
    print("|---|---|---|---|---|---|")
    for threshold in (0.40, 0.45, 0.50, 0.55, 0.60, 0.65):
        for margin in (0.0, 0.03, 0.05, 0.08):
            figures = np.mean([figures_at(each, threshold, margin) for each in judged.values()], axis=0)
            print(f"| {threshold:.2f} | {margin:.2f} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")


def figures_at(judged: Outcome, threshold: float, margin: float) -> tuple[float, float, float, float]:
    """The figures of one row."""
    answered = (judged.score >= threshold) & (judged.margin >= margin)
    wrong = answered & ~judged.right
    utility = float((answered & judged.right).mean() - WRONG_COSTS * wrong.mean())
    error = float(wrong.sum() / max(1, answered.sum()))
    return float(answered[judged.inside].mean()), error, float(answered[~judged.inside].mean()), utility


def main() -> None:
    """Judge the rules, then the thresholds of the chosen one."""
    arguments = datasets.parser(__doc__).parse_args()
    outcomes = judge_all(datasets.require(arguments.data))
    print("Accuracy in scope / area under the risk-coverage curve\n")
    print_rules(outcomes)
    print(f"\nThresholds and margins; utility = right - {WRONG_COSTS:g} x wrong, as shares of all queries\n")
    print_thresholds(next(judged for rule, judged in outcomes.items() if rule.startswith("**")))


if __name__ == "__main__":
    main()
