"""A program that says by how many bytes its memory grew over a large file: ``measured.py SMALL LARGE OUT``."""

import resource
import sys

from killed import label

from synaptoroute_integrations.bulk.files import route_file


def peak() -> int:
    """Most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


small, large, target = sys.argv[1:]
batch = label()
route_file(batch, small, target)
before = peak()
route_file(batch, large, target, overwrite=True)
sys.stdout.write(str(peak() - before))
