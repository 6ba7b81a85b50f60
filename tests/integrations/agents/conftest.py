"""A model that counts its calls, and agents called in both colours."""

import asyncio

import pytest
from scripted_agents import ScriptedModel


@pytest.fixture
def model():
    return ScriptedModel()


@pytest.fixture(params=["sync", "async"])
def call(request):
    """Calls an agent in both colours."""
    if request.param == "sync":
        return lambda agent, text, **config: agent.invoke({"messages": [("user", text)]}, config or None)
    return lambda agent, text, **config: asyncio.run(agent.ainvoke({"messages": [("user", text)]}, config or None))
