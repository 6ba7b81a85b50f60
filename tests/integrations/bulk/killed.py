"""A program that routes a file and is killed while it does: ``killed.py IN OUT [PART_ROWS]``."""

import sys

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_integrations.bulk import RouteBatch
from synaptoroute_integrations.bulk.files import PART_ROWS, route_file

ROUTES = [Route("refund", ["I want my money back", "please refund me"]), Route("parcel", ["where is my parcel"])]


def label() -> RouteBatch:
    """What labels the texts."""
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(dim=32)) as router:
        return RouteBatch(router, errors="keep")


if __name__ == "__main__":
    source, target, *rest = sys.argv[1:]
    report = route_file(label(), source, target, part_rows=int(rest[0]) if rest else PART_ROWS)
    sys.stdout.write(f"{report.rows} {report.resumed}")
