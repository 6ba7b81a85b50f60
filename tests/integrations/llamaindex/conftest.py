"""Fixtures for the LlamaIndex tests: a real router, choices, and an LLM that counts."""

from typing import Any

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.tools import ToolMetadata

from synaptoroute_core import AdaptiveRouter
from synaptoroute_integrations.llamaindex import SynaptoRouteEmbedding


@pytest.fixture(scope="package")
def router(bundled, support_routes):
    """The sample routes; tests that edit make their own."""
    with AdaptiveRouter(support_routes, encoder=bundled) as opened:
        yield opened


@pytest.fixture(scope="session")
def tools(support_routes) -> list[ToolMetadata]:
    return [ToolMetadata(description=f"Answers about {route.name}", name=route.name) for route in support_routes]


class CountingLLM(CustomLLM):
    """Gives one canned answer and counts how often it is asked."""

    answer: str = "[]"
    prompts: list[str] = []  # noqa: RUF012  # pydantic copies it

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: FBT001, FBT002
        self.prompts.append(prompt)
        return CompletionResponse(text=self.answer)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any):  # noqa: FBT001, FBT002
        self.prompts.append(prompt)
        yield CompletionResponse(text=self.answer, delta=self.answer)


@pytest.fixture
def llm() -> CountingLLM:
    return CountingLLM()


@pytest.fixture(scope="session")
def embedding(bundled) -> SynaptoRouteEmbedding:
    return SynaptoRouteEmbedding(bundled)
