"""A program that labels texts with a framework, on two processors of this machine: ``clustered.py NAME IN OUT``.

IN is a file of JSON: the texts. Into OUT it writes the rows of each form in which batches were handed over.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from killed import ROUTES

from synaptoroute_core import AdaptiveRouter, HashingEncoder
from synaptoroute_integrations.bulk import FrozenRoutes, RouteBatch

Rows = list[dict[str, Any]]


class Signed(RouteBatch):
    """Says also which router of which process labelled a row."""

    def __call__(self, batch: Any) -> Any:
        labelled = super().__call__(batch)
        return {**labelled, "router": [f"{os.getpid()} {id(self.router())}"] * len(batch["id"])}


class Mortal(RouteBatch):
    """Takes its process with it at the second batch, once for all processes."""

    def __init__(self, *, mark: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.mark = Path(mark)
        self.batches = 0

    def __call__(self, batch: Any) -> Any:
        self.batches += 1
        if self.batches > 1 and not self.mark.exists():
            self.mark.touch()
            os._exit(1)
        return super().__call__(batch)


def on_ray(frozen: FrozenRoutes, rows: Rows) -> dict[str, Rows]:
    """With two actors, in each form that Ray has; and with one that dies."""
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    ray.data.DataContext.get_current().enable_progress_bars = False
    dataset = ray.data.from_items(rows)
    arguments = {"router": frozen, "text": "query", "errors": "keep", "with_revision": True}

    def labelled(kind: type[RouteBatch], form: str, **more: str) -> Rows:
        found: Rows = dataset.map_batches(
            kind,
            fn_constructor_kwargs={**arguments, **more},
            batch_format=form,
            batch_size=20,
            compute=ray.data.ActorPoolStrategy(size=2),
            num_cpus=1,
        ).take_all()
        return found

    forms = {form: labelled(RouteBatch, form) for form in ("numpy", "pandas", "pyarrow")}
    forms["signed"] = labelled(Signed, "numpy")
    with tempfile.TemporaryDirectory() as folder:
        forms["killed"] = labelled(Mortal, "pyarrow", mark=f"{folder}/mark")
        assert Path(folder, "mark").exists()
    ray.shutdown()
    return forms


def on_spark(frozen: FrozenRoutes, rows: Rows) -> dict[str, Rows]:
    """With two worker processes, as data frames and as record batches."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    frame = spark.createDataFrame([(row["id"], row["query"]) for row in rows], "id int, query string").repartition(6)
    frame = frame.union(spark.createDataFrame([], frame.schema))  # partitions without a row
    label = RouteBatch(frozen, text="query", errors="keep", with_revision=True)
    schema = label.spark_schema(frame)
    forms = {
        "pandas": frame.mapInPandas(label.iterate, schema=schema).collect(),
        "arrow": frame.mapInArrow(label.iterate, schema=schema).collect(),
    }
    assert frame.columns == ["id", "query"]
    spark.stop()
    return {form: [row.asDict() for row in found] for form, found in forms.items()}


def on_dask(frozen: FrozenRoutes, rows: Rows) -> dict[str, Rows]:
    """With two threads, and with two processes."""
    import dask.dataframe
    import pandas as pd

    frame = dask.dataframe.from_pandas(pd.DataFrame(rows), npartitions=6)
    frame = dask.dataframe.concat([frame, frame[frame.id < 0]])  # partitions without a row
    label = RouteBatch(frozen, text="query", errors="keep", with_revision=True)
    labelled = frame.map_partitions(label, meta=label.dask_meta(frame))
    forms = {scheduler: labelled.compute(scheduler=scheduler, num_workers=2) for scheduler in ("threads", "processes")}
    assert all((found.dtypes == labelled.dtypes).all() for found in forms.values())
    return {form: json.loads(found.to_json(orient="records", double_precision=15)) for form, found in forms.items()}


FRAMEWORKS: dict[str, Callable[[FrozenRoutes, Rows], dict[str, Rows]]] = {
    "ray": on_ray,
    "pyspark": on_spark,
    "dask": on_dask,
}

if __name__ == "__main__":
    name, source, target = sys.argv[1:]
    texts = json.loads(Path(source).read_text(encoding="utf-8"))
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(dim=32)) as router:
        taken = FrozenRoutes.of(router)
    found = FRAMEWORKS[name](taken, [{"id": number, "query": text} for number, text in enumerate(texts)])
    Path(target).write_text(json.dumps(found, default=str), encoding="utf-8")
