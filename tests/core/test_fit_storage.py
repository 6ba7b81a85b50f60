"""A fit on disk: the same decisions after a restart, without scikit-learn, and damage is named with its remedy."""

import json
import pickle
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from fitted import ENCODER, EXAMPLES, MANY, NEW, QUERIES, ROUTES, answers, newest_head, open_router, scorers

from synaptoroute_core import AdaptiveRouter, StorageError


@pytest.fixture(scope="module")
def fitted_store(tmp_path_factory):
    """A file with a head, calibrated."""
    path = tmp_path_factory.mktemp("store") / "routes.db"
    with open_router(store=path) as router:
        router.fit(EXAMPLES, out_of_scope_share=0.3, seed=2)
        assert router.calibrate(MANY, max_error=0.2).changed
    return path


@pytest.fixture
def path(fitted_store, tmp_path):
    """A copy of it to spoil."""
    return shutil.copy(fitted_store, tmp_path / "copy.db")


def execute(path, *statements) -> None:
    with closing(sqlite3.connect(path)) as raw:
        for statement, *values in statements:
            raw.execute(statement, values)
        raw.commit()


# --- restarts -------------------------------------------------------------------------------------


def test_the_same_routes_given_anew_leave_the_head_in_force(path):
    """As programs do that open their store with the routes of a file each time."""
    with open_router(ROUTES, store=path) as again:
        assert scorers(again) == {"head"}


def test_a_real_router_decides_alike_after_a_restart(fitted_file, bundled, support_examples):
    texts = [text for text, _ in support_examples]
    decisions = []
    for _ in range(2):
        with AdaptiveRouter(encoder=bundled, store=fitted_file) as router:
            decisions.append(router.route_batch(texts))
    assert decisions[0] == decisions[1]
    assert {decision.scorer for decision in decisions[0]} == {"head"}


def test_a_router_in_memory_carries_its_fit_when_it_is_pickled():
    with open_router(min_confidence=0.4) as router:
        router.fit()
        with pickle.loads(pickle.dumps(router)) as twin:
            assert answers(twin) == answers(router)
            assert newest_head(twin) == newest_head(router)
            twin.undo_fit()
            assert scorers(twin) == {"similarity"}
        assert scorers(router) == {"head"}


WITHOUT = """
import json, logging, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"sklearn", "scipy", "threadpoolctl"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
from synaptoroute_core import AdaptiveRouter, HashingEncoder, refitting

refitting.QUIET_S = 0.05
with AdaptiveRouter(encoder=HashingEncoder(dim=64), store=sys.argv[1]) as router:
    decisions = router.route_batch(json.loads(sys.argv[2]))
    print(json.dumps([decision.model_dump(mode="json") for decision in decisions]))
    router.add_utterances("hours", ["is it open"])
    assert router.wait_for_refit(30)
    print(json.dumps(sorted({decision.scorer for decision in router.route_batch(json.loads(sys.argv[2]))})))
    try:
        router.fit()
    except ImportError as error:
        print(error)
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] in {"sklearn", "scipy"})))
"""


def test_decisions_of_a_head_need_no_scikit_learn(path):
    """And where there is none, a warning says that the head was not made again, and similarity goes on."""
    with open_router((), store=path) as router:
        expected = [decision.model_dump(mode="json") for decision in router.route_batch(QUERIES)]
    command = [sys.executable, "-c", WITHOUT, str(path), json.dumps(QUERIES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    decisions, warning, scorer, error, modules = done.stdout.splitlines()
    assert json.loads(decisions) == expected
    assert warning.startswith("WARNING the router was not fitted again, decisions go by similarity")
    assert json.loads(scorer) == ["similarity"]
    assert "pip install 'synaptoroute-integrations[fit]'" in error
    assert json.loads(modules) == []


# --- older and other files ------------------------------------------------------------------------


def test_a_file_without_fits_is_brought_up_to_date_and_can_be_fitted(tmp_path):
    path = tmp_path / "old.db"
    with open_router(store=path) as router:
        before = answers(router)
    execute(path, ["DROP TABLE fits"], ["DROP TABLE heads"], ["DROP TABLE epoch"], ["PRAGMA user_version = 1"])
    with open_router((), store=path) as router:
        assert answers(router) == before
        assert router.fit().revision == 2
        with_head = answers(router)
    with open_router((), store=path) as again:
        assert answers(again) == with_head


# --- damage ---------------------------------------------------------------------------------------

HEAD_DAMAGE = {
    "a byte is another": "UPDATE heads SET content = replace(content, substr(content, 900, 4), x'01020304')",
    "it is cut": "UPDATE heads SET content = substr(content, 1, length(content) - 7)",
    "it is empty": "UPDATE heads SET content = x''",
    "it is text": "UPDATE heads SET content = 'weights'",
}
FIT_DAMAGE = {
    "details are no JSON": "UPDATE fits SET details = '{'",
    "thresholds are no JSON": "UPDATE fits SET replaced = 'none'",
}


@pytest.mark.parametrize("damage", HEAD_DAMAGE.values(), ids=HEAD_DAMAGE)
def test_a_damaged_head_is_named_with_its_remedy_and_the_remedy_helps(path, damage):
    execute(path, [damage])
    with pytest.raises(StorageError, match=r"fitted head in the database .*copy\.db is damaged") as raised:
        open_router((), store=path)
    assert "delete all rows of the table fits, open it again and fit again" in str(raised.value)
    execute(path, ["DELETE FROM fits"])
    with open_router((), store=path) as router, open_router() as plain:
        assert answers(router) == answers(plain)
        router.fit()
        assert scorers(router) == {"head"}


@pytest.mark.parametrize("damage", FIT_DAMAGE.values(), ids=FIT_DAMAGE)
def test_a_damaged_fit_is_a_storage_error(path, damage):
    execute(path, [damage])
    with pytest.raises(StorageError, match=r"a fit in the database .*copy\.db is damaged"):
        open_router((), store=path)


def test_a_head_that_is_gone_is_a_storage_error(path):
    execute(path, ["DELETE FROM heads"])
    with pytest.raises(StorageError, match="its content is not what its digest says"):
        open_router((), store=path)


def test_a_head_of_other_routes_does_not_decide(path):
    """Whoever wrote it there: a program that knows no fits, or a hand."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE routes SET name = 'times' WHERE name = 'hours'")
        raw.commit()
    with open_router((), store=path) as router:
        assert scorers(router) == {"similarity"}
        assert router.add_route(NEW).changed == len(NEW.utterances)
    assert ENCODER.dim == 64
