"""Fixtures of the engine's tests."""

import shutil

import pytest
from fitted import GatedMaking
from gates import Gated

from synaptoroute_core import AdaptiveRouter, fitting, refitting


@pytest.fixture
def gated():
    """An encoder that waits at texts beginning with "slow"; opened when the test ends."""
    encoder = Gated()
    yield encoder
    encoder.gate.set()


@pytest.fixture(scope="session")
def fitted_file(tmp_path_factory, bundled, support_routes):
    """A file with the sample routes and a head fitted on them, with the real model; copy it before you write."""
    path = tmp_path_factory.mktemp("fitted") / "support.db"
    with AdaptiveRouter(support_routes, encoder=bundled, store=path) as router:
        router.fit()
    return path


@pytest.fixture
def fitted_support(fitted_file, bundled, tmp_path):
    """A router of one's own with the sample routes and a fitted head."""
    path = shutil.copy(fitted_file, tmp_path / "own.db")
    with AdaptiveRouter(encoder=bundled, store=path) as router:
        yield router


@pytest.fixture
def soon(monkeypatch):
    """A burst of edits ends after 50 ms."""
    monkeypatch.setattr(refitting, "QUIET_S", 0.05)


@pytest.fixture
def making(monkeypatch):
    """A gate before each making of a head, shut at first; opened when the test ends."""
    gate = GatedMaking()
    monkeypatch.setattr(fitting, "make_head", gate)
    yield gate
    gate.gate.set()
