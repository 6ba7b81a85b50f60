"""A way to label a file that :mod:`bulk` measures, as a process: ``bulk_ways.py WAY STORE ENCODER WORKERS IN OUT``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet

from synaptoroute_core import AdaptiveRouter, BundledEncoder, Encoder, HashingEncoder, RouterConfig
from synaptoroute_integrations.bulk import FrozenRoutes, RouteBatch

CHUNK = 4096
ENCODERS: dict[str, type[Encoder]] = {"bundled": BundledEncoder, "hashing": HashingEncoder}
COLUMNS = {
    "route": pa.string(),
    "score": pa.float64(),
    "margin": pa.float64(),
    "confidence": pa.float64(),
    "reason": pa.string(),
}


def plain(store: str, encoder: Encoder, workers: int, source: str, target: str) -> None:
    """``route_batch``, and pyarrow around it: nothing of what is made for bulk routing."""
    config = RouterConfig(workers=workers)
    router = AdaptiveRouter(store=store, encoder=encoder, config=config)
    with router, pa.parquet.ParquetFile(source) as file:
        schema = file.schema_arrow
        for name, kind in COLUMNS.items():
            schema = schema.append(pa.field(name, kind))
        with pa.parquet.ParquetWriter(target, schema) as writer:
            for batch in file.iter_batches(CHUNK):
                decisions = router.route_batch(batch.column("text").to_pylist())
                added = [pa.array([getattr(each, name) for each in decisions], kind) for name, kind in COLUMNS.items()]
                writer.write_table(pa.table([*batch.columns, *added], schema=schema))


def on_ray(store: str, encoder: Encoder, workers: int, source: str, target: str) -> None:
    """Ray Data on this machine, with one actor on each processor; its results lie in a folder."""
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    import ray
    from ray.data import DataContext

    with AdaptiveRouter(store=store, encoder=encoder) as router:
        frozen = FrozenRoutes.of(router)
    # Actors keep their processors to the end: without one more, those that read wait for ever. It is a number only.
    ray.init(num_cpus=workers + 1, include_dashboard=False, log_to_driver=False, object_store_memory=512 << 20)
    DataContext.get_current().enable_progress_bars = False
    # A block goes to one actor as a whole, and a file can be a single one.
    ray.data.read_parquet(source).repartition(target_num_rows_per_block=CHUNK).map_batches(
        RouteBatch,
        fn_constructor_kwargs={"router": frozen},
        batch_format="pyarrow",
        batch_size=CHUNK,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    ).write_parquet(target)
    ray.shutdown()


WAYS: dict[str, Callable[[str, Encoder, int, str, str], None]] = {"batch": plain, "ray": on_ray}

if __name__ == "__main__":
    way, given, name, number, *files = sys.argv[1:]
    WAYS[way](given, ENCODERS[name](), int(number), *files)
