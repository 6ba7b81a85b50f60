"""Fixtures of the engine's tests."""

import pytest
from gates import Gated


@pytest.fixture
def gated():
    """An encoder that waits at texts beginning with "slow"; opened when the test ends."""
    encoder = Gated()
    yield encoder
    encoder.gate.set()
