"""A real engine behind the LangChain tests."""

import pytest

from synaptoroute_core import AdaptiveRouter
from synaptoroute_integrations.langchain import RunnableSemanticRouter

ROUTE_COUNT = 6


@pytest.fixture(scope="module")
def engine(bundled, support_routes):
    """A router with the bundled model over a few routes."""
    with AdaptiveRouter(support_routes[:ROUTE_COUNT], encoder=bundled) as router:
        yield router


@pytest.fixture
def step(engine):
    """The runnable over it, with counts of its own."""
    return RunnableSemanticRouter(engine)
