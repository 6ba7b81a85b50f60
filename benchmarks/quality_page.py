"""Write docs/quality.md and its picture from the figures that ``quality.py`` left in build/bench.

The words are in ``quality.md`` beside this file. What was not measured is said to be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import Any

import harness
from plots import BLUE, GREEN, GREY, INK, ORANGE, STYLE, canvas, plt, svg
from quality_tasks import TASKS
from report import DOCS, HERE, machine
from tables import Figures, number, table

CONTENDERS = {
    "fit": "`fit()`",
    "unfitted": "without a fit",
    "nearest": "nearest utterance",
    "synaptoroute": "synaptoroute 0.4.1",
    "semantic-router": "semantic-router 1.1.1",
}
COLUMNS = {
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "fpr95": "FPR@95",
    "cov1": "cov@1 %",
    "cov2": "cov@2 %",
    "cov5": "cov@5 %",
    "aurc": "AURC",
    "ece": "ECE",
    "ece_inside": "ECE in scope",
    "fit_s": "fit, s",
    "ms": "ms a query",
}
MORE_IS_BETTER = ("accuracy", "auroc", "cov1", "cov2", "cov5")
TIMES = ("fit_s", "ms")
ON_VALIDATION = ("accuracy", "fpr95", "cov2", "aurc", "ece")
PICTURE = "quality_risk.svg"
COMMANDS = (
    "python benchmarks/quality.py --data FOLDER",
    "python benchmarks/quality.py --data FOLDER --validation",
    "python benchmarks/learning.py --data FOLDER",
    "python benchmarks/quality_page.py",
)


# --- targets -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What a figure of ``fit()`` is to reach: at least where more is better, else at most."""

    task: str
    column: str
    limit: float

    def row(self, tasks: Figures) -> list[str]:
        """Task, figure, target, measured, verdict."""
        more = self.column in MORE_IS_BETTER
        measured = tasks.get(self.task, {}).get("fit", {}).get(self.column)
        cells = [TASKS[self.task], COLUMNS[self.column], f"at {'least' if more else 'most'} {self._say(self.limit)}"]
        if measured is None:
            return [*cells, "not measured", ""]
        short = (self.limit - measured[0]) if more else (measured[0] - self.limit)
        return [*cells, self._say(measured[0]), "met" if short <= 0 else f"**missed by {self._say(short)}**"]

    def _say(self, value: float) -> str:
        return f"{value:.1f}" if self.column in TIMES else f"{value:.4f}".rstrip("0")


TARGETS = tuple(
    Target(task, column, limit)
    for task, limits in {
        "clinc150": {"accuracy": 0.960, "fpr95": 0.10, "cov2": 0.72, "aurc": 0.032, "ece": 0.03, "fit_s": 60.0},
        "clinc150_10": {"accuracy": 0.918, "fpr95": 0.22, "cov2": 0.56, "aurc": 0.049},
        "hint3": {"accuracy": 0.885, "fpr95": 0.51, "cov2": 0.12, "aurc": 0.270},
        "banking77": {"accuracy": 0.935},
        "banking77_10": {"accuracy": 0.862},
        "banking77_typos": {"accuracy": 0.865},
        "bitext": {"accuracy": 0.997, "fpr95": 0.007},
        "bitext_typos": {"accuracy": 0.985},
    }.items()
    for column, limit in limits.items()
)


def targets(tasks: Figures) -> str:
    """The table of targets."""
    return table(["task", "figure", "target", "measured", "verdict"], [target.row(tasks) for target in TARGETS])


# --- tables ------------------------------------------------------------------------------------


def task_table(found: Figures) -> str:
    """A row a contender, a column a figure that at least one of them has."""
    columns = [column for column in COLUMNS if any(column in figures for figures in found.values())]
    best = {column: _best(column, found) for column in columns if column not in TIMES}
    rows = [
        [CONTENDERS[name], *(_cell(name, column, figures, best) for column in columns)]
        for name, figures in found.items()
    ]
    return table(["", *(COLUMNS[column] for column in columns)], rows)


def _best(column: str, found: Figures) -> float:
    means = [figures[column][0] for figures in found.values() if column in figures]
    return float(max(means) if column in MORE_IS_BETTER else min(means))


def _cell(name: str, column: str, figures: Figures, best: dict[str, float]) -> str:
    if column not in figures or (column == "fit_s" and not figures[column][0]):
        return ""
    mean, least, largest = figures[column]
    if column in TIMES:
        return ("≈ " if (name, column) == ("synaptoroute", "fit_s") else "") + number(mean)
    said = f"**{mean:.3f}**" if mean == best[column] else f"{mean:.3f}"
    return said if least == largest else f"{said} ({least:.3f} to {largest:.3f})"


def validation_table(tasks: Figures) -> str:
    """All tasks in one table, without ranges."""
    rows = [
        [
            task.replace("_", " "),
            CONTENDERS[name],
            *(f"{figures[column][0]:.3f}" if column in figures else "" for column in ON_VALIDATION),
        ]
        for task, found in tasks.items()
        for name, figures in found.items()
    ]
    return table(["task", "", *(COLUMNS[column] for column in ON_VALIDATION)], rows)


def missing(command: str) -> str:
    """In the place of what there are no figures for."""
    return f"*Not measured yet: `{command}`*"


def learning(found: dict[str, Any] | None) -> str:
    """What the replayed stream showed."""
    if found is None:
        return missing("python benchmarks/learning.py --data FOLDER")
    rows = []
    for name, run in found["variants"].items():
        first, last = run["blocks"][0], run["blocks"][-1]
        rows.append(
            [
                name,
                *(f"{100 * block[key]:.1f} %" for key in ("llm_share", "error_among_local") for block in (first, last)),
                *(f"{run[when]['accuracy']:.3f}" for when in ("before", "after")),
                *(f"{100 * run[when]['out_of_scope_accepted']:.1f} %" for when in ("before", "after")),
            ]
        )
    head = ["router", "LLM calls, first block", "last block", "local answers wrong, first block", "last block"]
    head += ["accuracy on test, before", "after", "out of scope accepted on test, before", "after"]
    picture = "![LLM calls and local errors over the stream](img/learning_stream.svg)"
    return "\n\n".join([table(head, rows), picture])


# --- picture -----------------------------------------------------------------------------------


def risk_plot(curves: dict[str, list[list[float]]]) -> str:
    """Error among the answered over the share that is answered, a line a contender."""
    looks = {
        "fit": (BLUE, "-"),
        "unfitted": ("#56B4E9", "-"),
        "nearest": (GREY, "--"),
        "synaptoroute": (ORANGE, "-."),
        "semantic-router": (GREEN, ":"),
    }
    with plt.rc_context(STYLE):
        figure, axes = canvas(6.8, 4.0)
        for name, points in curves.items():
            colour, style = looks[name]
            label = CONTENDERS[name].replace("`", "")
            axes.plot(*zip(*points, strict=True), style, color=colour, label=label)
        for error in (0.02, 0.05):
            axes.axhline(error, color=INK, linewidth=0.6, alpha=0.5)
            axes.annotate(f"{error:.0%}", (1, error), (3, -3), textcoords="offset points", fontsize=8.5)
        axes.set(xlabel="share of all queries that is answered", ylabel="wrong among the answered")
        # The error of the very first queries may be anything, up to all of them.
        axes.set(xlim=(0, 1), ylim=(0, 1.1 * max(points[-1][1] for points in curves.values())))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        axes.legend(loc="upper left", bbox_to_anchor=(0.06, 1.0))
        return svg(figure)


# --- page --------------------------------------------------------------------------------------


def page(found: Figures, validation: Figures | None) -> dict[str, str]:
    """Files of the documents by their path: the page and its picture."""
    tasks = found["tasks"]
    parts: dict[str, Any] = {
        "commands": "\n".join(COMMANDS),
        "machine": machine({"quality": found}),
        "targets": targets(tasks),
        "learning": learning(harness.load("learning")),
        "encoding": f"{found['encoding_ms']:.1f}",
        "validation": validation_table(validation["tasks"]) if validation else missing(COMMANDS[1]),
        "risk_plot": f"![Error among the answered over the share of queries that is answered](img/{PICTURE})",
        **{task: task_table(tasks[task]) if task in tasks else missing(COMMANDS[0]) for task in TASKS},
    }
    words = Template((HERE / "quality.md").read_text(encoding="utf-8"))
    return {"quality.md": words.substitute(parts), f"img/{PICTURE}": risk_plot(found["curves"])}


def main() -> None:
    """Read, draw, write."""
    found = harness.load("quality")
    if found is None:
        print(f"nothing to report: there is no quality.json in {harness.RESULTS}; run benchmarks/quality.py first")
        return
    for name, text in page(found, harness.load("quality_validation")).items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
