"""How many LLM calls a router still needs as it learns from their answers, and how often it is wrong: clinc150.

A stream of queries, some of them out of scope, meets a router that knows three utterances a route. What it abstains
on is answered by a stand-in for an LLM and recorded. After each block, the router is offered a change drafted from
the record, which it takes if the change passes its tests, and is fitted. Beside it, on the same stream: a router that
stays as it is, one that is fitted once, one that learns and is not fitted, and one whose LLM errs at times.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import harness
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from plots import BLUE, GREEN, GREY, ORANGE, RED, STYLE, svg

from synaptoroute_core import AdaptiveRouter, BundledEncoder, Decision, Encoder, Example, FeedbackLog

PICTURE = Path(__file__).parents[1] / "docs" / "img" / "learning_stream.svg"
QUERIES, BLOCKS = 6_000, 12
UTTERANCES, GOLDEN = 3, 2
"""Utterances and golden queries of each route."""
TESTED, TESTED_OUT = 1_500, 300
SEED = 7


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to run the router along the stream.

    Attributes:
        fit: Whether it is fitted at the start, and after each block if it learns.
        learn: Whether it takes changes drafted from the record.
        wrong: Share of the LLM's answers that are wrong.
        look: Colour, marker and line of its curve.
    """

    fit: bool = False
    learn: bool = False
    wrong: float = 0.0
    look: tuple[str, str, str] = (GREY, "", "-")


VARIANTS = {
    "as it is": Variant(look=(GREY, "", "--")),
    "fitted once": Variant(fit=True, look=(ORANGE, "", "--")),
    "learns": Variant(learn=True, look=(GREEN, "^", "-")),
    "learns, is fitted": Variant(fit=True, learn=True, look=(BLUE, "o", "-")),
    "learns, is fitted, 10 % of the LLM's answers wrong": Variant(
        fit=True, learn=True, wrong=0.1, look=(RED, "s", ":")
    ),
}


@dataclass(frozen=True, slots=True)
class Task:
    """The texts, all distinct.

    Attributes:
        routes: Utterances by route.
        stream: The queries with their labels, in order; None = out of scope.
        golden: Queries whose labels the router may be tested with.
        test: Queries of the test split, seen by nobody.
    """

    routes: dict[str, list[str]]
    stream: list[Example]
    golden: list[Example]
    test: list[Example]


class Fallback:
    """Stands in for an LLM: knows the answers, and gives a wrong one at times."""

    def __init__(self, names: list[str], wrong: float) -> None:
        self._names = names
        self._wrong = wrong
        self._chance = random.Random(SEED)

    def answer(self, label: str | None) -> str | None:
        """The label, or another route's name."""
        if self._chance.random() >= self._wrong:
            return label
        return self._chance.choice([name for name in self._names if name != label])


def read_task(folder: Path) -> Task:
    """Seeds and stream from the training split, golden queries from the validation split, the rest joins the stream."""
    chance = random.Random(SEED)
    train, validation = (datasets.read(folder, f"clinc150/{split}") for split in ("train", "validation"))
    seeds, golden = datasets.sample(train, UTTERANCES), datasets.sample(validation, GOLDEN)
    routes: dict[str, list[str]] = defaultdict(list)
    for text, label in seeds:
        routes[label].append(text)
    used = {text for text, _ in (*seeds, *golden)}
    rest = list({text: (text, label) for text, label in (*train, *validation) if text not in used}.values())
    outside: list[Example] = [
        (text, None) for split in ("train", "validation") for text, _ in datasets.read(folder, f"clinc150/ood_{split}")
    ]
    stream = [*chance.sample(rest, QUERIES - len(outside)), *outside]
    chance.shuffle(stream)
    test = chance.sample(datasets.read(folder, "clinc150/test"), TESTED)
    test_out = [(text, None) for text, _ in chance.sample(datasets.read(folder, "clinc150/ood_test"), TESTED_OUT)]
    return Task(dict(routes), stream, list(golden), [*test, *test_out])


# --- measuring ---------------------------------------------------------------------------------


def replay(task: Task, variant: Variant, encoder: Encoder) -> dict[str, Any]:
    """Figures of each block and of the whole stream, and on the test split before and after it."""
    fallback = Fallback(list(task.routes), variant.wrong)
    size = len(task.stream) // BLOCKS
    with (
        TemporaryDirectory() as folder,
        FeedbackLog(Path(folder) / "feedback.db") as log,
        harness.open_router(task.routes, encoder, cache_size=4 * QUERIES) as router,
    ):
        if variant.fit:
            router.fit()
        found: dict[str, Any] = {"before": tested(router, task), "blocks": []}
        for number in range(BLOCKS):
            block = task.stream[number * size : (number + 1) * size]
            decisions = router.route_batch([text for text, _ in block])
            for (text, label), decision in zip(block, decisions, strict=True):
                if not decision:
                    log.record(text, decision, fallback.answer(label))
            figures = counts(block, decisions)
            if variant.learn:
                figures |= improve(router, log, task, variant, number)
            found["blocks"].append(figures)
        found["after"] = tested(router, task)
        found["utterances"] = router.stats().utterances
    return found | totals(found["blocks"])


def counts(block: list[Example], decisions: list[Decision]) -> dict[str, Any]:
    """Queries, LLM calls and wrong local answers of a block; an out-of-scope query that is answered is wrong."""
    local = [(decision.route, label) for (_, label), decision in zip(block, decisions, strict=True) if decision]
    return {
        "queries": len(block),
        "llm_calls": len(block) - len(local),
        "wrong_locally": sum(route != label for route, label in local),
    }


def improve(router: AdaptiveRouter, log: FeedbackLog, task: Task, variant: Variant, number: int) -> dict[str, Any]:
    """Let the router learn from the record; what it took, and the seconds that it needed."""
    started = time.perf_counter()
    proposal = router.propose(log, golden=task.golden, seed=number, apply=True)
    proposed = time.perf_counter()
    if variant.fit:
        router.fit()
    return {
        "edits": len(proposal.edits) if proposal.applied else 0,
        "left_out": len(proposal.left_out),
        "trials": proposal.trials,
        "propose_s": proposed - started,
        "fit_s": time.perf_counter() - proposed,
    }


def totals(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares of each block, of all queries until its end, and of the whole stream."""
    running: dict[str, float] = defaultdict(float)
    for block in blocks:
        for key in ("queries", "llm_calls", "wrong_locally"):
            running[key] += block[key]
        block.update(shares(block), until_here=shares(running))
    return {"stream": shares(running)}


def shares(figures: dict[str, Any]) -> dict[str, float]:
    """LLM calls among all queries, and wrong answers among those that were answered locally."""
    local = figures["queries"] - figures["llm_calls"]
    return {
        "llm_share": figures["llm_calls"] / figures["queries"],
        "error_among_local": figures["wrong_locally"] / max(1, local),
    }


def tested(router: AdaptiveRouter, task: Task) -> dict[str, float | None]:
    """The router on the test split."""
    report = router.evaluate(task.test)
    return {
        name: getattr(report, name)
        for name in ("accuracy", "answered", "answered_in_scope", "error", "out_of_scope_accepted")
    }


# --- drawing -----------------------------------------------------------------------------------


def picture(found: dict[str, Any]) -> str:
    """LLM calls and local errors, block by block."""
    with plt.rc_context(STYLE):
        figure, (calls, errors) = plt.subplots(2, 1, figsize=(7.2, 6.0), layout="constrained", sharex=True)
        figure.get_layout_engine().set(w_pad=0.14, h_pad=0.1)
        for name, figures in found.items():
            _curve(calls, name, figures["blocks"], "llm_share")
            _curve(errors, name, figures["blocks"], "error_among_local")
        calls.set_title("queries that still need the LLM")
        errors.set_title("wrong among the queries answered locally")
        errors.set_xlabel("queries so far")
        errors.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        for axes in (calls, errors):
            axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
            axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
            axes.grid(axis="y")
        handles, labels = calls.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=9, columnspacing=1.6)
        return svg(figure)


def _curve(axes: Axes, name: str, blocks: list[dict[str, Any]], key: str) -> None:
    colour, marker, line = VARIANTS[name].look
    ends, seen = [], 0
    for block in blocks:
        seen += block["queries"]
        ends.append(seen)
    values = [100 * block[key] for block in blocks]
    axes.plot(ends, values, line, marker=marker, markersize=5, color=colour, label=name, clip_on=False)


def main() -> None:
    """Measure, save and draw."""
    task, encoder = read_task(harness.arguments(__doc__)), BundledEncoder()
    found: dict[str, Any] = {}
    for name, variant in VARIANTS.items():
        started = time.perf_counter()
        found[name] = replay(task, variant, encoder)
        found[name]["seconds"] = time.perf_counter() - started
    setting = {"queries": QUERIES, "blocks": BLOCKS, "utterances_a_route": UTTERANCES, "golden": len(task.golden)}
    harness.save("learning", {**setting, "variants": found})
    PICTURE.write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
