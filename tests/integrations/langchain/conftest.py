"""A real engine behind the LangChain tests, and no network."""

import pytest
from pytest_socket import disable_socket, enable_socket

from synaptoroute_core import AdaptiveRouter
from synaptoroute_integrations.langchain import RunnableSemanticRouter

ROUTE_COUNT = 6


@pytest.fixture(autouse=True)
def _no_network():
    """Event loops need their local socket pair; nothing else may open one."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="module")
def engine(bundled, support_routes):
    """A router with the bundled model over a few routes."""
    with AdaptiveRouter(support_routes[:ROUTE_COUNT], encoder=bundled) as router:
        yield router


@pytest.fixture
def step(engine):
    """The runnable over it, with counts of its own."""
    return RunnableSemanticRouter(engine)
