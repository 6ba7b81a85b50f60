"""Fixtures that several test modules share."""

import json
from pathlib import Path

import pytest

import synaptoroute_integrations
from synaptoroute_core import BundledEncoder, Example, HashingEncoder, Route, load_routes

SAMPLES = Path(synaptoroute_integrations.__file__).parent / "samples"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deep", action="store_true", help="let the tests that search for failures search for minutes")


@pytest.fixture(scope="session")
def bundled() -> BundledEncoder:
    """The real model, loaded once."""
    return BundledEncoder()


@pytest.fixture
def hashing() -> HashingEncoder:
    """An encoder without a model, for tests in which meaning does not matter."""
    return HashingEncoder()


@pytest.fixture(scope="session")
def support_routes() -> tuple[Route, ...]:
    """The routes of the sample file."""
    return load_routes(SAMPLES / "support_routes.yaml")


@pytest.fixture(scope="session")
def support_examples() -> list[Example]:
    """The labelled queries of the sample file."""
    lines = (SAMPLES / "support_queries.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row["text"], row["label"]) for row in rows]
