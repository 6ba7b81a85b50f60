"""Write docs/benchmarks.md and its pictures from the figures that the other scripts left in build/bench.

The words are in ``report.md`` beside this file; every figure comes from a script. What was not measured is said
to be missing, so that one script's figures can be renewed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import harness
import plots
from tables import TABLES, Figures, is_rival, number, table

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
SCRIPTS = ("deciding", "editing", "latency", "throughput", "selecting", "skipping", "adapters", "defaults")
PICTURES = {
    "throughput_plot": ("throughput", "Queries a second over queries at a time", plots.throughput),
    "latency_plot": ("latency", "Latency of one query after another, by contender", plots.latency),
    "cost_plot": ("deciding", "Milliseconds of a decision over the number of utterances", plots.cost),
}
"""Pictures by their placeholder in ``report.md``: script, what is to be seen, how it is drawn."""


# --- targets -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A figure with what it is to be.

    Attributes:
        question: What is asked, in words.
        script: Whose figures answer it.
        measured: The answer; raises KeyError where it was not measured.
        at_most: What it must not exceed.
        at_least: What it must reach; None = there is a limit above.
        unit: Follows the numbers.
    """

    question: str
    script: str
    measured: Callable[[Figures], float]
    at_most: float = 0.0
    at_least: float | None = None
    unit: str = "times"

    def row(self, figures: Figures) -> list[str]:
        """Question, target, measured, verdict; an empty list if it was not measured."""
        try:
            value = self.measured(figures)
        except (KeyError, ValueError):  # ValueError: the least or the largest of nothing
            return []
        limit = self.at_most if self.at_least is None else self.at_least
        bound = f"{'at most' if self.at_least is None else 'at least'} {self._say(limit)}"
        return [self.question, bound, self._say(value), self._verdict(value)]

    def _say(self, value: float) -> str:
        return f"{number(value)} {self.unit}".strip()

    def _verdict(self, value: float) -> str:
        limit, short = self.at_most, value
        if self.at_least is not None:
            limit, short = self.at_least, 2 * self.at_least - value  # mirrored: too little is too much
        if short <= limit:
            return "met"
        return f"**missed by {(short - limit) / limit:.0%}**" if limit else f"**missed by {self._say(short)}**"


def lead_over(encoder: str) -> Callable[[Figures], float]:
    """How many times as long as ``aroute`` the faster rival takes for the crowd, with "their" encoder or "our"."""

    def lead(figures: Figures) -> float:
        return min(
            times
            for name, times in figures["crowd"]["to_aroute"].items()
            if is_rival(name) and ("our encoder" in name) == (encoder == "our")
        )

    return lead


def alone(name: str, what: str) -> Callable[[Figures], float]:
    """A lone query's median, over another's."""
    return lambda found: float(found["one_by_one"]["ms"][name]["p50"] / found["one_by_one"]["ms"][what]["p50"])


def fastest_rival(figures: Figures) -> float:
    """The median of a lone query over that of the faster rival with the encoder class that it ships."""
    medians = {name: at["p50"] for name, at in figures["one_by_one"]["ms"].items()}
    own = [p50 for name, p50 in medians.items() if is_rival(name) and "our encoder" not in name]
    return float(medians["route"] / min(own))


def penalty_ratio(figures: Figures) -> float:
    """semantic-router's price of an addition, over our penalty, at the largest size."""
    sizes = largest(figures["by_utterances"])
    return float(sizes["semantic-router 1.1.1"]["add_and_query_over_plain_ms"] / sizes["ours"]["penalty_ms"])


def penalty_growth(figures: Figures) -> float:
    """The penalty with the most utterances over the one with the fewest."""
    sizes = figures["by_utterances"]
    return float(largest(sizes)["ours"]["penalty_ms"] / sizes[min(sizes, key=int)]["ours"]["penalty_ms"])


def growth(figures: Figures) -> float:
    """Megabytes that memory grows by between the first count that is under load and the last."""
    values = list(figures["overwrites_rss_mb"].values())[1:]
    return float(max(values) - values[0])


def largest(part: Figures) -> Any:
    """The entry of the largest size."""
    return part[max(part, key=int)]


def decision_at(size: str) -> Callable[[Figures], float]:
    """A decision over the bare product, with so many utterances."""
    return lambda found: float(found["decision"][size]["decision_to_product_1_thread"])


CROWD = "1,000 queries at once"
TARGETS = (
    Target(f"{CROWD}, `aroute` over the floor", "throughput", lambda f: f["crowd"]["to_floor"]["aroute"], 1.25),
    Target(
        f"{CROWD}, `route` from 64 threads over the floor",
        "throughput",
        lambda f: f["crowd"]["to_floor"]["route from 64 threads"],
        1.25,
    ),
    Target(f"{CROWD}, the faster rival over `aroute`", "throughput", lead_over("their"), at_least=3.0),
    Target(f"{CROWD}, the faster rival with our encoder over `aroute`", "throughput", lead_over("our"), at_least=3.0),
    Target("one query alone over the floor with one thread", "latency", alone("route", "floor, 1 thread"), 1.10),
    Target("one query alone over the floor with all threads", "latency", alone("route", "floor, 2 threads"), 1.10),
    Target("one query alone over the faster rival", "latency", fastest_rival, 1.0),
    Target("refused at 50 % of capacity", "latency", lambda f: f["open_loop"]["50%"]["refused"], 0, unit="queries"),
    Target("refused at 90 % of capacity", "latency", lambda f: f["open_loop"]["90%"]["refused"], 0, unit="queries"),
    Target("a repeated query, `route`", "latency", lambda f: f["repeated"]["route_us"], 100, unit="µs"),
    Target("a repeated query, `aroute`", "latency", lambda f: f["repeated"]["aroute_us"], 200, unit="µs"),
    Target("LangChain `abatch` of 200 over `aroute_batch`", "adapters", lambda f: f["to_engine"]["abatch"], 1.15),
    Target("LlamaIndex `aselect` of 200 over `aroute`", "adapters", lambda f: f["to_engine"]["aselect"], 1.15),
    Target("LangChain `invoke` over `route`", "adapters", lambda f: f["invoke_over_route_ms"], 0.6, unit="ms"),
    Target(
        "what the query after a change pays, 50,000 utterances",
        "editing",
        lambda f: largest(f["by_utterances"])["ours"]["penalty_ms"],
        1.0,
        unit="ms",
    ),
    Target("the same in semantic-router over ours", "editing", penalty_ratio, at_least=100),
    Target("the same from 1,000 to 50,000 utterances", "editing", penalty_growth, 2.0),
    Target("a decision over a bare product, 3,000 utterances", "deciding", decision_at("3000"), 1.5),
    Target("a decision over a bare product, 50,000 utterances", "deciding", decision_at("50000"), 1.5),
    Target(
        "opening a store of 50,000 utterances",
        "editing",
        lambda f: largest(f["by_utterances"])["ours"]["opening_s"],
        1.0,
        unit="s",
    ),
    Target(
        "utterances encoded by opening it",
        "editing",
        lambda f: largest(f["by_utterances"])["ours"]["encoded_at_opening"],
        0,
        unit="utterances",
    ),
    Target("growth of memory from 2,000 to 20,000 overwrites", "editing", growth, 5.0, unit="MB"),
    Target("kept in memory after long texts", "deciding", lambda f: f["long_texts"]["kept_mb"], 60, unit="MB"),
    Target(
        "texts that `EmbeddingSingleSelector` encodes a query, over ours",
        "selecting",
        lambda f: f["speed"]["texts_a_query"]["rival"] / f["speed"]["texts_a_query"]["ours"],
        at_least=10,
    ),
)


def targets(found: dict[str, Figures]) -> str:
    """The table of questions."""
    rows = [target.row(found.get(target.script, {})) for target in TARGETS]
    return table(["question", "target", "measured", "verdict"], [row for row in rows if row])


# --- page --------------------------------------------------------------------------------------


def machine(found: dict[str, Figures]) -> str:
    """Where the figures were taken: a paragraph for each machine."""
    places: dict[str, dict[str, Figures]] = {}
    for script, figures in found.items():
        at = figures["machine"]
        place = f"{at['processor']}, {at['cores']} cores, {at['system']}, Python {at['python']}"
        places.setdefault(place, {})[script] = at
    return "\n\n".join(f"{_whose(at, found)}: {place}. {_versions(list(at.values()))}" for place, at in places.items())


def _whose(scripts: Figures, found: Figures) -> str:
    return "Machine" if len(scripts) == len(found) else f"Machine of {', '.join(scripts)}"


def _versions(machines: list[Figures]) -> str:
    """Dates and versions; scripts that were run by turns may have seen several."""
    known: dict[str, set[str]] = {}
    for at in machines:
        for package, version in at["versions"].items():
            if version[0].isdigit():
                known.setdefault(package, set()).add(version)
    dates = sorted({at["date"] for at in machines})
    packages = ", ".join(f"{package} {' and '.join(sorted(versions))}" for package, versions in known.items())
    return f"Taken {' to '.join(dict.fromkeys((dates[0], dates[-1])))} with {packages}."


def commands(found: dict[str, Figures]) -> str:
    """What to type."""
    known = [script for script in SCRIPTS if script in found]
    each = (f"python benchmarks/{script}.py --data FOLDER" for script in known)
    return "\n".join(["make bench DATA=FOLDER      # all of it, or one by one:", *each, "python benchmarks/report.py"])


def missing(script: str) -> str:
    """In the place of what there are no figures for."""
    return f"*Not measured yet: `python benchmarks/{script}.py`*"


def picture(name: str, figures: Figures, images: Path) -> str:
    """Draw a picture into the folder; the Markdown that shows it."""
    _, title, draw = PICTURES[name]
    path = images / f"benchmark_{name.removesuffix('_plot')}.svg"
    path.write_text(draw(figures), encoding="utf-8")
    return f"![{title}](img/{path.name})"


def page(found: dict[str, Figures], images: Path) -> str:
    """The text of the page; its pictures go to the folder ``images``."""
    images.mkdir(parents=True, exist_ok=True)
    parts = {"machine": machine(found), "commands": commands(found), "targets": targets(found)}
    for name, (script, render) in TABLES.items():
        parts[name] = _rendered(script, render, found)
    for name, (script, *_) in PICTURES.items():
        parts[name] = _rendered(script, lambda figures, name=name: picture(name, figures, images), found)
    return Template((HERE / "report.md").read_text(encoding="utf-8")).substitute(parts)


def _rendered(script: str, render: Callable[[Figures], str], found: dict[str, Figures]) -> str:
    figures = {key: value for key, value in found.get(script, {}).items() if key != "machine"}
    try:
        return render(figures) if figures else missing(script)
    except KeyError as error:
        print(f"{script}: no figure {error}")
        return missing(script)


def main() -> None:
    """Read, draw, write."""
    found = {script: figures for script in SCRIPTS if (figures := harness.load(script)) is not None}
    if not found:
        print(f"nothing to report: there are no figures in {harness.RESULTS}; run the benchmarks first")
        return
    (DOCS / "benchmarks.md").write_text(page(found, DOCS / "img"), encoding="utf-8")
    print(f"wrote docs/benchmarks.md from {', '.join(found)}")


if __name__ == "__main__":
    main()
