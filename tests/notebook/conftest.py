"""Fixtures of the tests of pictures and frames."""

import sys
from pathlib import Path

import numpy as np
import pytest
from drawn import HOSTILE, PLACES

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_integrations.notebook.charts import Axis, Bars, Chart, Grid, Line, Note, Points, Rule

sys.path.append(str(Path(__file__).parents[1] / "server"))
from browsing import chromium


@pytest.fixture(scope="module")
def browser():
    """Chromium."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def router():
    """A router of three routes, of which two share their words."""
    routes = [
        Route("parcel", ["where is my parcel", "is my parcel late"]),
        Route("joke", ["tell me something funny", "make me laugh", "a riddle"]),
        Route("parcel_lost", ["my parcel is lost", "where is the parcel that I lost"]),
    ]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as opened:
        yield opened


@pytest.fixture(scope="session")
def large_router():
    """A router of 150 routes."""
    routes = [Route(f"route_{number}", [f"say {number} please", f"word {number}"]) for number in range(150)]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as opened:
        yield opened


@pytest.fixture(scope="session")
def hostile_charts():
    """Charts of every kind of layer, in which every text is hostile."""
    numbers, names = Axis(HOSTILE), Axis(HOSTILE, categories=(HOSTILE, f"_{HOSTILE}"))
    lines = (
        Points(HOSTILE, PLACES, PLACES, hover=[HOSTILE] * 3, shape="star"),
        Line(HOSTILE, PLACES, PLACES, low=PLACES - 0.1, high=PLACES + 0.1, hover=[HOSTILE] * 3),
        Bars(HOSTILE, PLACES, PLACES[:2]),
        Rule(0.5, HOSTILE),
        Note(0.5, 0.5, HOSTILE),
        Note(0.1, 0.1, HOSTILE, arrow=False),
    )
    grid = Grid(HOSTILE, np.array([[1.0, np.nan], [0.0, 0.5]]), (0.0, 1.0), written=True)
    return [Chart(HOSTILE, HOSTILE, numbers, numbers, lines), Chart(HOSTILE, HOSTILE, names, names, (grid,))]
