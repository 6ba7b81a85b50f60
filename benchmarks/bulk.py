"""Bulk routing: a million generated queries in one process, from file to file, and on Ray; scaling over processors.

- ``scaling``: a share of the queries with ``route-file`` and with Ray Data, on one processor and on all, round by round
  in random order, so that all see the same machine.
- ``batch``: all queries with ``route_batch``, read and written with pyarrow, in one process.
- ``file``: all of them with ``synaptoroute route-file``.
- ``ray``: all of them with Ray Data, an actor on each processor.
- ``check``: every decision of these three, compared.

Each is saved when it is done, so that they can be run one by one, with ``--only``. Each way is also run over a few
queries: that is its start-up, and what is left is the steady state. Memory is what the process and all its children
hold at a time (PSS: what is shared counts once), looked at every few seconds; processor time is theirs together.

``--encoder hashing`` does without a model: what is left is what moves the queries and decides, over a million of them
in minutes, for memory and sameness. Its figures are saved apart.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import datasets
import harness
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import queries
from bulk_ways import COLUMNS, ENCODERS
from processes import say, watched
from tables import number, table

from synaptoroute_core import AdaptiveRouter, Route

HERE = Path(__file__).parent
PARTS = ("scaling", "batch", "file", "ray", "check")
WITHOUT_MODEL = ("batch", "ray", "check")
"""The command line knows no encoder without a model."""
NAMES = {
    "batch": "`route_batch`, {}",
    "file": "`synaptoroute route-file`, {}",
    "ray": "Ray Data, {}",
}
UNITS = {"batch": "thread", "file": "thread", "ray": "actor"}
FEW = 64
"""Queries that cost next to nothing beside the start-up, and give each worker something to do."""
Figures = dict[str, Any]


# --- what is run ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where the queries, the routes and the results are.

    Attributes:
        folder: The folder of it all.
        data: Folder of the public data sets.
        encoder: Name of one of :data:`bulk_ways.ENCODERS`.
    """

    folder: Path
    data: Path
    encoder: str

    @property
    def store(self) -> Path:
        """The routes, encoded."""
        return self.folder / f"routes-{self.encoder}.sqlite"

    def queries(self, rows: int) -> Path:
        """The file of the first so many queries."""
        return self.folder / f"queries-{rows}.parquet"

    def result(self, way: str, rows: int) -> Path:
        """What a way makes of them."""
        return self.folder / f"{self.encoder}-{way}-{rows}.parquet"

    def prepare(self, rows: int) -> None:
        """Make the queries and the routes, if they are not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        texts_of, _ = harness.work(self.data, 0)
        if not self.store.exists():
            routes = [Route(name, texts) for name, texts in texts_of.items()]
            AdaptiveRouter(routes, encoder=ENCODERS[self.encoder](), store=self.store).close()
        if not self.queries(rows).exists():
            say(f"generating {rows:,} queries")
            utterances = {text for texts in texts_of.values() for text in texts}
            queries.write(self.queries(rows), queries.generated(queries.pool(self.data, utterances)), rows)

    def command(self, way: str, workers: int, rows: int) -> list[str]:
        """The process that labels so many queries in one way."""
        files = [str(self.queries(rows)), str(self.result(way, rows))]
        if way == "file":
            options = ["--db", str(self.store), "--workers", str(workers), "--overwrite"]
            return [sys.executable, "-m", "synaptoroute_integrations", "route-file", *files, *options]
        return [sys.executable, str(HERE / "bulk_ways.py"), way, str(self.store), self.encoder, str(workers), *files]

    def clear(self, way: str, rows: int) -> None:
        """Remove an earlier result, so that nothing of it is used."""
        for path in (self.result(way, rows), self.result(way, rows).with_suffix(".parquet.parts")):
            if path.is_dir():
                for each in path.iterdir():
                    each.unlink()
                path.rmdir()
            path.unlink(missing_ok=True)


def run(place: Place, way: str, workers: int, rows: int) -> Figures:
    """One run of a way over so many queries."""
    place.clear(way, rows)
    return watched(place.command(way, workers, rows), place.folder / f"{place.encoder}-{way}.log")


def measured(place: Place, way: str, workers: int, rows: int) -> Figures:
    """A way over a few queries, then over many."""
    place.prepare(FEW)
    few, many = run(place, way, workers, FEW), run(place, way, workers, rows)
    counted = rows - FEW
    figures = {
        "workers": workers,
        "queries": rows,
        "start_up_s": few["wall_s"],
        "start_up_mib": few["peak_mib"],
        "wall_s": many["wall_s"],
        "queries_per_s": counted / (many["wall_s"] - few["wall_s"]),
        "cpu_s_per_1000": (many["cpu_s"] - few["cpu_s"]) / counted * 1000,
        "peak_mib": many["peak_mib"],
    }
    say(
        f"{way}, {workers}: {rows:,} queries in {many['wall_s']:.1f} s, {few['wall_s']:.1f} s of it start-up: "
        f"{figures['queries_per_s']:.0f} a second, {figures['peak_mib']:.0f} MiB"
    )
    return figures


# --- parts ---------------------------------------------------------------------------------------


def scaling(place: Place, rows: int, rounds: int, cores: int) -> Figures:
    """Each way on one processor and on all: medians of the rounds, and of their ratios."""
    place.prepare(rows)
    ways = [(way, workers) for way in available(("file", "ray")) for workers in sorted({1, cores})]
    found: dict[tuple[str, int], list[Figures]] = {way: [] for way in ways}
    chance = random.Random(0)
    for _ in range(rounds):
        for way, workers in chance.sample(ways, len(ways)):
            found[way, workers].append(measured(place, way, workers, rows))
    medians = {
        f"{way} {workers}": {key: float(np.median([each[key] for each in runs])) for key in runs[0]}
        for (way, workers), runs in found.items()
    }
    ratios = {way: _ratios(found[way, cores], found[way, 1]) for way, workers in ways if workers == cores > 1}
    return {"rounds": rounds, "medians": medians, "ratios": ratios}


def _ratios(above: list[Figures], below: list[Figures]) -> list[float]:
    pairs = zip(above, below, strict=True)
    return sorted(one["queries_per_s"] / other["queries_per_s"] for one, other in pairs)


def available(ways: tuple[str, ...]) -> list[str]:
    """Those that can be run here; why the others cannot is said."""
    if "ray" in ways and find_spec("ray") is None:
        print("skipped: Ray is not installed (some 200 MB, and not among what `make bench` sets up): pip install ray")
        return [way for way in ways if way != "ray"]
    return list(ways)


def check(place: Place, rows: int) -> Figures:
    """Every decision of each way beside those of ``route_batch``."""
    names = ["id", "text", *COLUMNS]
    there = [way for way in NAMES if place.result(way, rows).exists()]
    if not there[1:]:
        raise SystemExit(f"nothing to compare in {place.folder}: run the parts batch, file and ray before")
    base = _read(place.result(there[0], rows), names)
    given = _read(place.queries(rows), names[:2])
    for name in given.column_names:
        if not given.column(name).equals(base.column(name)):
            raise SystemExit(f"the queries of {there[0]} are not those that were given")
    compared = {way: _compared(base, _read(place.result(way, rows), names)) for way in there[1:]}
    return {"queries": len(base), "with": there[0], "compared": compared}


def _read(path: Path, names: list[str]) -> pa.Table:
    """A file, or a folder of files, in the order of the queries."""
    read = pa.dataset.dataset(path).to_table(names)
    return read.take(pa.compute.sort_indices(read.column("id"))).combine_chunks()


def _compared(base: pa.Table, other: pa.Table) -> Figures:
    """In how many rows each column differs, and the numbers by how much."""
    if len(base) != len(other):
        raise SystemExit(f"{len(other):,} rows in the place of {len(base):,}")
    different = {name: _differing(base.column(name), other.column(name)) for name in base.column_names}
    largest = 0.0
    for name, kind in COLUMNS.items():
        if pa.types.is_floating(kind):
            gap = pa.compute.max(pa.compute.abs(pa.compute.subtract(base.column(name), other.column(name)))).as_py()
            largest = max(largest, gap or 0.0)
    return {"different": different, "largest_difference": largest}


def _differing(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    missing = pa.compute.and_(one.is_null(), other.is_null())
    same = pa.compute.or_(missing, pa.compute.fill_null(pa.compute.equal(one, other), fill_value=False))
    return len(same) - int(pa.compute.sum(same).as_py() or 0)


# --- table ---------------------------------------------------------------------------------------


def page(figures: Figures) -> str:
    """The figures as Markdown."""
    runs = [(way, figures[way]) for way in NAMES if way in figures]
    shares = figures.get("scaling", {"medians": {}, "ratios": {}})
    runs += [(name.split()[0], at) for name, at in shares["medians"].items()]
    rows = [
        [
            NAMES[way].format(_counted(int(at["workers"]), UNITS[way])),
            int(at["queries"]),
            *(at[key] for key in ("queries_per_s", "cpu_s_per_1000", "peak_mib", "start_up_s")),
        ]
        for way, at in runs
    ]
    header = ["", "queries", "a second", "processor seconds per 1,000", "peak memory, MiB", "start-up, s"]
    lines = [table(header, rows), ""]
    for way, ratios in shares["ratios"].items():
        span = f"{number(ratios[0])} to {number(ratios[-1])}"
        name = NAMES[way].partition(",")[0]
        lines.append(f"- {name}, all processors over one: {number(float(np.median(ratios)))} times ({span})")
    for way, at in figures.get("check", {"compared": {}})["compared"].items():
        different, other = at["different"], NAMES[figures["check"]["with"]].partition(",")[0]
        lines.append(
            f"- {NAMES[way].partition(',')[0]} beside {other}, all {figures['check']['queries']:,} queries: "
            f"{different['route']:,} with another route, {different['reason']:,} with another reason, "
            f"{different['score']:,} with another score; no number differs by more than {at['largest_difference']:.2g}"
        )
    if "machine" in figures:
        machine, ray = figures["machine"], figures["versions"].get("ray", "not installed")
        lines.append(f"- {machine['processor']}, {machine['cores']} processors; Ray {ray}; {machine['date']}")
    return "\n".join(lines)


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'s' * (count != 1)}"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = datasets.parser(__doc__)
    parser.add_argument("--queries", type=int, default=1_000_000, help="how many the parts but scaling are run over")
    parser.add_argument("--share", type=int, default=40_000, help="how many scaling is measured over")
    parser.add_argument("--rounds", type=int, default=3, help="how often scaling is measured")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads, and actors; all processors")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run")
    parser.add_argument("--work", type=Path, default=harness.RESULTS.parent / "bulk", help="folder for large files")
    parser.add_argument("--encoder", choices=ENCODERS, default="bundled", help="hashing: without a model")
    parser.add_argument("--page", action="store_true", help="print what is saved, and measure nothing")
    return parser.parse_args()


def save(name: str, part: str, found: Figures) -> None:
    """Keep a part's figures beside those of the others."""
    figures = harness.load(name) or {}
    figures.pop("machine", None)
    there = {name: version(name) for name in ("pyarrow", "ray") if find_spec(name)}
    harness.save(name, {**figures, "versions": there, part: found})


def main() -> None:
    """Measure, save part by part, and print a table."""
    arguments = parsed()
    hashing = arguments.encoder == "hashing"
    name = "bulk_hashing" if hashing else "bulk"
    if not arguments.page:
        place = Place(arguments.work.resolve(), datasets.require(arguments.data), arguments.encoder)
        rows, workers = arguments.queries, arguments.workers
        place.prepare(rows)
        parts: dict[str, Callable[[], Figures]] = {
            "scaling": lambda: scaling(place, arguments.share, arguments.rounds, workers),
            **{way: partial(measured, place, way, workers, rows) for way in NAMES},
            "check": lambda: check(place, rows),
        }
        for part in available(tuple(part for part in (WITHOUT_MODEL if hashing else PARTS) if part in arguments.only)):
            say(f"== {part}")
            save(name, part, parts[part]())
    print(page(harness.load(name) or {}))


if __name__ == "__main__":
    main()
