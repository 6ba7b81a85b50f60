"""Write the figures of ``serving.py`` into docs/http.md, between its two marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
from tables import number

PAGE = Path(__file__).parents[1] / "docs" / "http.md"
BEGIN, END = "<!-- figures: benchmarks/serving.py -->", "<!-- end of figures -->"


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is asked, what it should be, what was measured."""
    through, over, memory = figures["throughput"], figures["overload"], figures["memory"]
    low, high = over["at_80"], over["at_200"]
    refused = high["statuses"].get("429", 0) / sum(high["statuses"].values())
    at_once = high["ms"].get("429", {"p50": 0.0, "p99": 0.0})
    return [
        (
            "queries a second over HTTP at 64 connections, over the engine's own at 64 at a time",
            "at least 0.80",
            (
                f"{number(through['http_to_engine'])} ({number(through['http_per_second'])} to "
                f"{number(through['engine_per_second'])} a second)"
            ),
        ),
        (
            "p99 of the answered at twice the capacity, over p99 at 80 % of it",
            "at most 3.00",
            (
                f"{number(over['p99_ratio'])} ({number(high['ms']['200']['p99'])} ms to "
                f"{number(low['ms']['200']['p99'])} ms)"
            ),
        ),
        ("refused with 429 at twice the capacity", "about half", f"{refused:.0%}"),
        (
            "how soon the refused learn it: p50, p99",
            "at once",
            f"{number(at_once['p50'])} ms, {number(at_once['p99'])} ms",
        ),
        (
            "growth of memory from 10,000 to 100,000 requests",
            "flat",
            f"{number(memory['growth_mb'])} MB of {number(max(memory['mb'].values()))} MB",
        ),
    ]


def main() -> None:
    """Read the figures and write the section."""
    figures = harness.load("serving")
    if figures is None:
        raise SystemExit("there are no figures yet: run benchmarks/serving.py")
    machine = figures["machine"]
    lines = [
        BEGIN,
        (
            f"Taken {machine['date']} on {machine['cores']} cores ({machine['processor']}), which the service shares "
            "with the load. clinc150: 150 routes of 20 utterances, no text twice in the cache."
        ),
        "",
        "| question | target | measured |",
        "|---|---|---|",
        *(f"| {question} | {target} | {measured} |" for question, target, measured in rows(figures)),
        END,
    ]
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + "\n".join(lines) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
