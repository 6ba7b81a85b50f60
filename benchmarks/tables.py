"""The tables of the results page: what a script saved becomes Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, Any]
"""What one script saved, or a part of it."""

OURS = ("aroute", "route")
WORDS = {
    "floor": "floor: sorted by length, runs of 32, one on each core",
    "aroute": "`aroute`, all in one event loop",
    "LlamaIndex EmbeddingSingleSelector, one by one": "LlamaIndex `EmbeddingSingleSelector`, one after another",
    "0 ms": "no window",
    "5 ms": "window of 5 ms",
}
"""What something is called on the page, where its name in the figures does not say enough."""


# --- words, numbers, tables --------------------------------------------------------------------


def is_rival(name: str) -> bool:
    """Whether it is neither ours nor the floor."""
    return not name.startswith((*OURS, "floor"))


def number(value: object) -> str:
    """Three digits or all before the point; what is no number as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not int(10 * abs(value)):  # below 0.1
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:,.{max(0, 3 - len(str(int(abs(value)))))}f}"


def named(name: str) -> str:
    """A contender's name on the page."""
    if name in WORDS:
        return WORDS[name]
    call = re.match(r"a?route(_batch)?\b", name)
    return f"`{call[0]}`{name[call.end() :]}" if call else name


def levels_of(figures: Figures) -> Figures:
    """Queries a second by level and series; a level's only figure stands for ours."""
    found = figures.get("levels") or figures["queries_per_s_by_level_and_window"]
    return {level: at if isinstance(at, dict) else {"aroute": at} for level, at in found.items()}


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table; numbers are written by :func:`number`."""
    lines = [header, ["---"] * len(header), *([number(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def generic(figures: Figures) -> str:
    """Any nested figures: a row for each innermost group, named by its path."""
    rows = list(innermost(figures))
    columns = list(dict.fromkeys(key for _, values in rows for key in values))
    return table(
        ["", *(column.replace("_", " ") for column in columns)],
        [[name, *(values.get(column, "") for column in columns)] for name, values in rows],
    )


def innermost(figures: Figures, path: tuple[str, ...] = (), above: Figures | None = None) -> Iterator[tuple[str, Any]]:
    """Groups without groups in them, with the plain figures that stand above them."""
    plain = {**(above or {}), **{key: value for key, value in figures.items() if isinstance(value, int | float | str)}}
    groups = {key: value for key, value in figures.items() if isinstance(value, dict) and value}
    if not groups and plain:
        yield ", ".join(path).replace("_", " "), plain
    for key, group in groups.items():
        yield from innermost(group, (*path, key), plain)


# --- sections ----------------------------------------------------------------------------------


def crowd(figures: Figures) -> str:
    """All at once, fastest first."""
    part = figures["crowd"]
    each = sorted(part["ms_per_query"].items(), key=lambda item: item[1])
    rows = [[named(name), ms, part["to_floor"].get(name, "")] for name, ms in each]
    return table(["", "ms a query", "times the floor"], rows)


def levels(figures: Figures) -> str:
    """Queries a second, a row a way of asking, a column a level."""
    by_level = levels_of(figures)
    series = list(dict.fromkeys(name for values in by_level.values() for name in values))
    heads = [f"{int(level):,}" for level in by_level]
    rows = [[named(name), *(values.get(name, "") for values in by_level.values())] for name in series]
    return table(["queries a second, by queries at a time", *heads], rows)


def one_by_one(figures: Figures) -> str:
    """Percentiles of lone queries, alone and beside a busy process."""
    part = figures["one_by_one"]
    ratios = part.get("p50_to_best_floor") or part["p50_to_floor"]
    beside = part.get("ms_beside_a_busy_process", {})
    header = ["ms", "p50", "p95", "p99", "p50 over the better floor"]
    rows = []
    for name, at in part["ms"].items():
        row = [named(name), at["p50"], at["p95"], at["p99"], ratios.get(name, "")]
        rows.append([*row, *([beside.get(name, {}).get(q, "") for q in ("p50", "p95")] if beside else [])])
    if beside:
        header += ["p50 beside a busy process", "p95 beside it"]
    return table(header, rows)


def open_loop(figures: Figures) -> str:
    """Latency of random arrivals by load."""
    part = figures["open_loop"]
    loads = {load: at for load, at in part.items() if isinstance(at, dict)}
    rows = [[load, at["p50"], at["p95"], at["p99"], at["refused"]] for load, at in loads.items()]
    capacity = f"share of {number(part['capacity_per_s'])} queries a second"
    return table([capacity, "p50, ms", "p95, ms", "p99, ms", "refused"], rows)


def repeated(figures: Figures) -> str:
    """Microseconds from the cache."""
    part = figures["repeated"]
    return table(["`route`", "`aroute`"], [[f"{number(part[key])} µs" for key in ("route_us", "aroute_us")]])


def decision(figures: Figures) -> str:
    """A decision beside the bare product."""
    keys = ("decision_ms", "product_1_thread_ms", "product_all_threads_ms", "decision_to_product_1_thread")
    rows = [[f"{int(size):,}", *(at.get(key, "") for key in keys)] for size, at in figures["decision"].items()]
    header = ["utterances", "decision, ms", "float32 product on one thread, ms", "on all, ms", "decision over product"]
    return table(header, rows)


def long_texts(figures: Figures) -> str:
    """Resident memory."""
    part = figures["long_texts"]
    return table(["before", "kept afterwards"], [[f"{number(part[key])} MB" for key in ("before_mb", "kept_mb")]])


def editing(figures: Figures) -> str:
    """What a change costs, a column a size."""
    sizes = figures["by_utterances"]
    peer = next((name for each in sizes.values() for name in each if name != "ours"), "")
    lines = (
        ("commit of an added utterance, ms", "ours", "commit_ms"),
        ("what the next query pays for it, ms", "ours", "penalty_ms"),
        (f"the same in {peer}: adding and querying, over a plain query, ms", peer, "add_and_query_over_plain_ms"),
        ("opening the store again, first query included, s", "ours", "opening_s"),
        ("utterances encoded for that", "ours", "encoded_at_opening"),
    )
    rows = [[words, *(at.get(who, {}).get(key, "") for at in sizes.values())] for words, who, key in lines]
    return table(["utterances stored", *(f"{int(size):,}" for size in sizes)], rows)


def overwrites(figures: Figures) -> str:
    """Resident memory by overwrites, at most six columns."""
    known = figures["overwrites_rss_mb"]
    shown = list(known)[:: max(1, (len(known) - 1) // 5)]
    return table(["overwrites", *(f"{int(at):,}" for at in shown)], [["MB", *(f"{known[at]:.1f}" for at in shown)]])


def selecting_speed(figures: Figures) -> str:
    """Selecting among 20 tools."""
    part = figures["speed"]
    names = {"ours": "`SemanticRouteSelector`", "rival": "`EmbeddingSingleSelector`"}
    rows = [[words, part["texts_a_query"][key], part["ms_a_query"][key]] for key, words in names.items()]
    return table(["20 tools, one query after another", "texts encoded a query", "ms a query"], rows)


def selecting_answers(figures: Figures) -> str:
    """Right and wrong answers."""
    part = figures["answers"]
    heads = (
        "best tool right",
        "queries answered",
        "wrong among these",
        f"wrong answers, of {number(part['in_scope'])} in scope",
        f"of {number(part['out_of_scope'])} out of scope",
    )
    rows = [[name, *at.values()] for name, at in part.items() if isinstance(at, dict)]
    return table(["", *heads], rows)


TABLES: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "crowd": ("throughput", crowd),
    "levels": ("throughput", levels),
    "one_by_one": ("latency", one_by_one),
    "open_loop": ("latency", open_loop),
    "repeated": ("latency", repeated),
    "decision": ("deciding", decision),
    "long_texts": ("deciding", long_texts),
    "editing": ("editing", editing),
    "overwrites": ("editing", overwrites),
    "selecting_speed": ("selecting", selecting_speed),
    "selecting_answers": ("selecting", selecting_answers),
    "skipping": ("skipping", generic),
    "adapters": ("adapters", generic),
}
"""Tables by their placeholder in ``report.md``, with the script whose figures they show."""
