"""A program that says by how many bytes its memory grew over a large file: ``measured.py SMALL LARGE OUT``."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from killed import label

from synaptoroute_integrations.bulk.files import route_file

PART_ROWS = 500


@contextmanager
def watched() -> Iterator[list[int]]:
    """The most memory that the process has meanwhile, in bytes; what the system counts includes the parent's."""
    process, done, peak = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


small, large, target = sys.argv[1:]
batch = label()
with watched() as before:
    route_file(batch, small, target, part_rows=PART_ROWS)
with watched() as after:
    route_file(batch, large, target, part_rows=PART_ROWS, overwrite=True)
sys.stdout.write(str(after[0] - before[0]))
