"""What a router, an encoder and a store carry when they are pickled."""

import copy
import os
import pickle
import subprocess
import sys

import pytest
from tiny_onnx import write_model

from synaptoroute_core import (
    AdaptiveRouter,
    BundledEncoder,
    FastEmbedEncoder,
    HashingEncoder,
    Route,
    RouterConfig,
    SqliteStore,
)

ROUTES = (Route("refund", ["please refund me"], metadata={"team": "money"}), Route("parcel", ["where is my parcel"]))


def test_a_router_in_memory_carries_its_routes():
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), config=RouterConfig(threshold=0.3)) as router:
        router.add_utterances("refund", ["give me my cash"])
        with pickle.loads(pickle.dumps(router)) as twin:
            assert dict(twin.routes) == dict(router.routes)
            assert twin.config == router.config
            assert twin.route("my cash").candidates == router.route("my cash").candidates


@pytest.mark.parametrize("kind", [str, SqliteStore])
def test_a_router_with_a_file_carries_its_path(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=kind("routes.sqlite")) as router:
        data = pickle.dumps(router)
        assert b"please refund me" not in data
        monkeypatch.chdir("/")  # the path must not depend on where the other process stands
        with pickle.loads(data) as twin:
            router.add_utterances("refund", ["give me my cash"])
            twin.add_utterances("parcel", ["track it"])  # a commit catches up with what others wrote
            assert "give me my cash" in twin.routes["refund"].utterances


def test_another_process_opens_the_same_router(tmp_path, bundled):
    with AdaptiveRouter(ROUTES, encoder=bundled, store=tmp_path / "routes.sqlite") as router:
        (tmp_path / "router.pickle").write_bytes(pickle.dumps(router))
        code = (
            "import pickle, sys\n"
            "with pickle.load(open(sys.argv[1], 'rb')) as router:\n"
            "    print(repr(router.route('I want a refund').score))\n"
        )
        child = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "router.pickle")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        )
        assert float(child.stdout) == router.route("I want a refund").score


def test_a_copy_of_a_router_is_the_router():
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder()) as router:
        assert copy.copy(router) is router
        assert copy.deepcopy({"chain": [router]})["chain"][0] is router


def test_a_bundled_encoder_carries_its_arguments_and_no_model():
    encoder = BundledEncoder(threads=2)
    encoder.encode(["load it"])
    data = pickle.dumps(encoder)
    assert len(data) < 1000
    twin = pickle.loads(data)
    assert twin.fingerprint == encoder.fingerprint
    assert (twin.encode(["the same"]) == encoder.encode(["the same"])).all()


def test_a_fastembed_encoder_carries_its_arguments_and_no_model(tmp_path):
    encoder = FastEmbedEncoder(model_path=write_model(tmp_path / "model", "float"))
    data = pickle.dumps(encoder)
    assert len(data) < 1000
    assert pickle.loads(data).fingerprint == encoder.fingerprint


def test_a_store_in_memory_is_not_carried_to_where_it_is_not():
    store = SqliteStore(":memory:")
    with pytest.raises(TypeError, match="use a file"):
        pickle.dumps(store)
    with (
        AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=store) as router,
        pickle.loads(pickle.dumps(router)) as twin,
    ):
        assert dict(twin.routes) == dict(router.routes)
