"""Which decision rule is right most often, and knows best when it is not? On public data, all on the same vectors.

Each contender is made from the train split alone and judged on the test split, with texts that belong to no route
beside it: ``docs/quality.md`` says more. ``--validation`` judges on validation splits instead, which is what choices
are to be made on; the test splits are for the page.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import datasets
import harness
import numpy as np
from quality_contenders import OURS, Contender, KnownEncoder
from quality_figures import Answers, curve, judge
from quality_rivals import RIVALS
from quality_tasks import TASKS, Run, runs

CONTENDERS: dict[str, type[Contender]] = OURS | RIVALS
COLUMNS = ("accuracy", "auroc", "fpr95", "cov1", "cov2", "cov5", "aurc", "ece", "ece_inside", "fit_s", "ms")
CURVES_OF = "clinc150"
Figures = dict[str, Any]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = datasets.parser(__doc__)
    parser.add_argument("--validation", action="store_true", help="judge on validation splits, not on test splits")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="only these")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="only these")
    return parser.parse_args()


def measure(work: list[Run], contenders: list[str]) -> Figures:
    """Figures of every contender in every task, and the risk-coverage curves of one."""
    encoder = KnownEncoder()
    encoding = encoder.learn([text for run in work for rows in (run.train, *run.queries.values()) for text, _ in rows])
    print(f"encoded the texts: {encoding:.2f} ms each")
    taken: dict[str, dict[str, list[Figures]]] = {name: defaultdict(list) for name in TASKS}
    curves: Figures = {}
    for run in work:
        for name in contenders:
            for task, answers, figures in outcomes(run, CONTENDERS[name], encoder):
                print(f"  {task:16} {name:16} " + " ".join(f"{key} {value:.3f}" for key, value in figures.items()))
                taken[task][name].append(figures)
                if task == CURVES_OF:
                    curves[name] = curve(answers, labels_of(run, task))
    tasks = {task: {name: summary(each) for name, each in found.items()} for task, found in taken.items() if found}
    return {"encoding_ms": encoding, "tasks": tasks, "curves": curves}


def outcomes(run: Run, kind: type[Contender], encoder: KnownEncoder) -> Iterator[tuple[str, Answers, Figures]]:
    """Fit a contender once, ask it the queries of every task of the run."""
    contender = kind(run.train, encoder)
    try:
        for task, rows in run.queries.items():
            answers = contender.answer([text for text, _ in rows])
            yield task, answers, judge(answers, labels_of(run, task)) | {"fit_s": contender.fit_s}
    finally:
        contender.close()


def labels_of(run: Run, task: str) -> list[str]:
    """The labels of the queries of a task."""
    return [label for _, label in run.queries[task]]


def summary(each: list[Figures]) -> dict[str, list[float]]:
    """Of each figure the mean, the least and the largest."""
    return {
        key: [float(reduce([figures[key] for figures in each])) for reduce in (np.mean, np.min, np.max)]
        for key in COLUMNS
        if key in each[0]
    }


def show(tasks: Figures) -> str:
    """A plain table of means."""
    lines = [f"{'task':16} {'contender':16} " + " ".join(f"{column:>10}" for column in COLUMNS)]
    for task, found in tasks.items():
        for name, figures in found.items():
            cells = (f"{figures[column][0]:10.3f}" if column in figures else f"{'-':>10}" for column in COLUMNS)
            lines.append(f"{task:16} {name:16} " + " ".join(cells))
    return "\n".join(lines)


def save(figures: Figures, *, validation: bool) -> None:
    """Keep the figures for the page, with the machine they were taken on."""
    machine = harness.machine()
    machine["versions"]["scikit-learn"] = version("scikit-learn")
    path = harness.RESULTS / f"{'quality_validation' if validation else 'quality'}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, **figures}, indent=1), encoding="utf-8")
    print(f"saved {path}")


def main() -> None:
    """Measure, print, save what is complete."""
    chosen = arguments()
    folder = datasets.require(chosen.data)
    work = list(runs(folder, validation=chosen.validation, names=tuple(chosen.tasks)))
    figures = measure(work, chosen.contenders)
    print(f"\njudged on {'validation' if chosen.validation else 'test'} splits; means\n\n{show(figures['tasks'])}\n")
    if set(chosen.tasks) == set(TASKS) and set(chosen.contenders) == set(CONTENDERS):
        save(figures, validation=chosen.validation)
    else:
        print("not saved: some tasks or contenders were left out")


if __name__ == "__main__":
    main()
