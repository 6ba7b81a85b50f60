"""Generated queries: those of a public set, varied as people vary them; all distinct, the same for the same seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterator
from itertools import count, islice
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet
from corruption import corrupt

SET = "clinc150"
GROUP_ROWS = 1 << 16
BEFORE = (
    "hi, ",
    "hello ",
    "please ",
    "hey there, ",
    "good morning, ",
    "sorry to ask, but ",
    "quick question: ",
    "um, ",
)
AFTER = (" please", " thanks", " thank you", ", thanks a lot", " asap", " - can you help?", ", it is urgent", " pls")
NUMBERED = (" (order {})", ", my order number is {}", " #{}", ", ref {}", ". order no. {}", " for {}")
ENDINGS = ("", "", ".", "?", "!", "??", "...", " !")
CASES = (str, str, str, str.lower, str.lower, str.capitalize, str.upper)
OFTEN = 0.2
"""Chance of each addition, and of typing errors at all."""
TYPING_ERRORS = 0.03
"""Chance of one at each character then."""


def pool(data: Path, without: Collection[str]) -> list[str]:
    """All texts of the set but for some, each once, in a fixed order."""
    names = [f"{SET}/{file.stem}" for file in sorted((data / SET).glob("*.jsonl"))]
    found = {text.strip(): None for name in names for text, _ in datasets.read(data, name)}
    return [text for text in found if text and text not in without]


def varied(text: str, chooser: random.Random) -> str:
    """A text as somebody else might have typed it."""
    if chooser.random() < OFTEN:
        text = chooser.choice(BEFORE) + text
    text = text.rstrip(".?! ")
    if chooser.random() < OFTEN:
        text += chooser.choice(NUMBERED).format(chooser.randrange(10_000, 100_000_000))
    if chooser.random() < OFTEN:
        text += chooser.choice(AFTER)
    text = chooser.choice(CASES)(text) + chooser.choice(ENDINGS)
    if chooser.random() < OFTEN:
        text = corrupt(text, rate=TYPING_ERRORS, seed=chooser.randrange(1 << 30))
    return text


def generated(texts: list[str], seed: int = 0) -> Iterator[str]:
    """Distinct variations, without an end."""
    chooser = random.Random(seed)
    seen: set[int] = set()
    while True:
        text = varied(chooser.choice(texts), chooser)
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        if digest not in seen:
            seen.add(digest)
            yield text


def write(path: Path, texts: Iterator[str], rows: int) -> None:
    """A Parquet file of ids and texts; held are one row group, and a number for each text that was there already."""
    schema, ids, new = pa.schema({"id": pa.int64(), "text": pa.string()}), count(), path.with_suffix(".new")
    with pa.parquet.ParquetWriter(new, schema) as writer:
        left = islice(texts, rows)
        while group := list(islice(left, GROUP_ROWS)):
            writer.write_table(pa.table([list(islice(ids, len(group))), group], schema=schema))
    new.replace(path)
