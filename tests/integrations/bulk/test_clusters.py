"""Ray, Spark and Dask, as they are installed, on this machine: each in a process of its own, with its own workers."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from killed import ROUTES

from synaptoroute_core import AdaptiveRouter, HashingEncoder

PROGRAM = Path(__file__).parent / "clustered.py"
NEW = ["route", "score", "margin", "confidence", "reason", "revision"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def needs(name):
    return pytest.mark.skipif(
        find_spec(name) is None, reason=f"{name} is not installed: pip install 'synaptoroute-integrations[test-bulk]'"
    )


@pytest.fixture(scope="module")
def given(texts):
    return [*texts[:60], None, *texts[60:100], " "]


@pytest.fixture
def rows_of(given, tmp_path):
    def run(framework):
        source, target = tmp_path / "in.json", tmp_path / "out.json"
        source.write_text(json.dumps(given), encoding="utf-8")
        command = [sys.executable, "-W", "ignore", str(PROGRAM), framework, str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr[-4000:]
        forms = json.loads(target.read_text(encoding="utf-8"))
        return {form: sorted(rows, key=lambda row: row["id"]) for form, rows in forms.items()}

    return run


def require_decisions(rows, given):
    """Check that rows have the decisions of ``route_batch``, and errors in the place of those that cannot be."""
    usable = [number for number, text in enumerate(given) if text and text.strip()]
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(dim=32)) as router:
        decisions = router.route_batch([given[number] for number in usable])
    expected = dict.fromkeys(range(len(given)))
    for number, each in zip(usable, decisions, strict=True):
        expected[number] = (each.route, each.score, each.margin, each.confidence, each.reason, 1)
    assert [row["query"] for row in rows] == given
    for number, row in enumerate(rows):
        values = tuple(None if row[name] != row[name] else row[name] for name in NEW)  # NaN
        if expected[number] is None:
            assert (values, bool(row["error"])) == ((None, None, None, None, None, 1), True)
        else:
            assert values == pytest.approx(expected[number], abs=1e-12)
            assert row["error"] is None


@needs("ray")
def test_ray_gives_the_decisions_of_route_batch_with_a_router_in_each_actor_even_if_one_dies(rows_of, given):
    forms = rows_of("ray")
    signed = forms.pop("signed")
    assert set(forms) == {"numpy", "pandas", "pyarrow", "killed"}
    for rows in forms.values():
        require_decisions(rows, given)
    routers = {row["router"] for row in signed}
    assert len(routers) == len({name.split()[0] for name in routers})
    assert len(routers) <= 2 < len(given) / 20


@needs("pyspark")
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs a Java: apt-get install openjdk-17-jre-headless")
def test_spark_gives_the_decisions_of_route_batch(rows_of, given):
    forms = rows_of("pyspark")
    assert set(forms) == {"pandas", "arrow"}
    for rows in forms.values():
        require_decisions(rows, given)


@needs("dask")
def test_dask_gives_the_decisions_of_route_batch(rows_of, given):
    forms = rows_of("dask")
    assert set(forms) == {"threads", "processes"}
    for rows in forms.values():
        require_decisions(rows, given)
