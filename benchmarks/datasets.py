"""The public data sets that the benchmarks read, from a folder that the user names."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import defaultdict
from pathlib import Path

OUT_OF_SCOPE = "__ood__"
DEFAULT_FOLDER = Path(__file__).parents[2] / "shared" / "data"

Rows = list[tuple[str, str]]


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the folder of the data sets."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("SYNAPTOROUTE_DATA", DEFAULT_FOLDER)),
        help="folder of the public data sets (or the environment variable SYNAPTOROUTE_DATA)",
    )
    return made


def require(folder: Path) -> Path:
    """The folder, or the end of the program with a word on what is missing."""
    if not (folder / "clinc150" / "train.jsonl").is_file():
        print(f"skipped: the data sets are not in {folder}; name their folder with --data or SYNAPTOROUTE_DATA")
        sys.exit(0)
    return folder


def read(folder: Path, name: str) -> Rows:
    """Texts and labels of a split such as ``clinc150/train``."""
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [(row["text"], row["label"]) for row in map(json.loads, lines)]


def sample(rows: Rows, per_label: int | None, seed: int = 0) -> Rows:
    """At most ``per_label`` random texts of each label; None = all."""
    if per_label is None:
        return rows
    by_label: dict[str, list[str]] = defaultdict(list)
    for text, label in rows:
        by_label[label].append(text)
    chooser = random.Random(seed)
    return [
        (text, label)
        for label, texts in sorted(by_label.items())
        for text in chooser.sample(texts, min(per_label, len(texts)))
    ]
