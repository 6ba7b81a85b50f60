"""LlamaIndex: choose query engines, retrievers and tools locally, and ask an LLM only when unsure.

:class:`SemanticRouteSelector` stands wherever LlamaIndex takes a selector. Needs the extra
``llama-index``; this package imports no other framework.
"""

from synaptoroute_core.errors import missing_extra

try:
    import llama_index.core  # noqa: F401  # to say what is missing before a module of ours fails on it
except ModuleNotFoundError as error:
    raise missing_extra("llama-index", error) from error

from synaptoroute_integrations.llamaindex.embeddings import LlamaIndexEncoder, SynaptoRouteEmbedding
from synaptoroute_integrations.llamaindex.events import SemanticRouteEvent
from synaptoroute_integrations.llamaindex.results import FallbackError, SemanticSelection, SemanticSelectorResult
from synaptoroute_integrations.llamaindex.selector import SemanticRouteSelector
from synaptoroute_integrations.llamaindex.settings import SelectorSettings
from synaptoroute_integrations.llamaindex.tools import SemanticToolRetriever

__all__ = [
    "FallbackError",
    "LlamaIndexEncoder",
    "SelectorSettings",
    "SemanticRouteEvent",
    "SemanticRouteSelector",
    "SemanticSelection",
    "SemanticSelectorResult",
    "SemanticToolRetriever",
    "SynaptoRouteEmbedding",
]
