"""No test of an adapter may reach the network."""

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_network():
    """Event loops need their local socket pair; nothing else may open one."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
