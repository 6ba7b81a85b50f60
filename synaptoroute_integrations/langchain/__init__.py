"""SynaptoRoute for LangChain and LangGraph.

>>> from synaptoroute_core import Route
>>> from synaptoroute_integrations.langchain import RunnableSemanticRouter
>>> step = RunnableSemanticRouter.from_routes([Route("refund", ["I want my money back"])])
>>> step.invoke("please refund me").route
'refund'
>>> step.router.close()
"""

from synaptoroute_core.errors import missing_extra

try:
    import langchain_core  # noqa: F401
except ModuleNotFoundError as error:
    raise missing_extra("langchain", error) from error

from synaptoroute_integrations.langchain.branching import SemanticBranch
from synaptoroute_integrations.langchain.embeddings import LangChainEncoder, SynaptoRouteEmbeddings
from synaptoroute_integrations.langchain.events import ROUTE_EVENT
from synaptoroute_integrations.langchain.outputs import CommandView, KeyView, RouterInputView, RouterView, StateView
from synaptoroute_integrations.langchain.runnable import RunnableSemanticRouter
from synaptoroute_integrations.langchain.savings import Savings, SavingsHandler

__all__ = [
    "ROUTE_EVENT",
    "CommandView",
    "KeyView",
    "LangChainEncoder",
    "RouterInputView",
    "RouterView",
    "RunnableSemanticRouter",
    "Savings",
    "SavingsHandler",
    "SemanticBranch",
    "StateView",
    "SynaptoRouteEmbeddings",
]
