"""No test of an adapter may reach the network."""

import signal

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_network():
    """Event loops need their local socket pair; nothing else may open one."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def interruptible():
    """What is started from here hears interrupts, even if a shell started the tests in the background, deaf to them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
