"""Views: a router's decision in the shapes that LangGraph and LangChain want.

A view is a runnable over the router, which stays a run of its own below it: traces show the whole decision.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.runnables import ConfigurableFieldSpec, Runnable
from langchain_core.runnables.router import RouterInput as KeyedInput
from pydantic import Field

from synaptoroute_core import Decision
from synaptoroute_core.errors import missing_extra
from synaptoroute_integrations.langchain.running import BatchRunnable, Run

if TYPE_CHECKING:
    from langgraph.types import Command

Out = TypeVar("Out")


def plain(decision: Decision) -> dict[str, Any]:
    """A decision as JSON data, which any checkpointer stores without knowing the class."""
    return decision.model_dump(mode="json")


class RouterView(BatchRunnable[Out]):
    """What all views have in common.

    Args:
        router: Gives the decisions.
        name: Name in traces, and of the branch in LangGraph.
        trace_query: Show inputs in traces.
    """

    router: Runnable[Any, Decision] = Field(exclude=True, repr=False)

    @abstractmethod
    def _view(self, decision: Decision, given: Any) -> Out:
        """The output for a decision on an input."""

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The router's."""
        return self.router.config_specs

    def _answer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Out:
        return self._view(self.router.invoke(given, run.config, **arguments), given)

    async def _aanswer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Out:
        return self._view(await self.router.ainvoke(given, run.config, **arguments), given)

    def _answer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Out | Exception]:
        configs = [run.config for run in runs]
        return self._views(self.router.batch(given, configs, return_exceptions=True, **arguments), given)

    async def _aanswer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Out | Exception]:
        configs = [run.config for run in runs]
        return self._views(await self.router.abatch(given, configs, return_exceptions=True, **arguments), given)

    def _views(self, decisions: list[Decision], given: list[Any]) -> list[Out | Exception]:
        return [
            decision if isinstance(decision, Exception) else self._view(decision, one)
            for decision, one in zip(decisions, given, strict=True)
        ]


class KeyView(RouterView[str]):
    """The route's name, or ``default`` for an abstention: what ``add_conditional_edges`` wants.

    Args:
        router: Gives the decisions.
        default: What an abstention becomes.
    """

    default: str

    @property
    def OutputType(self) -> type[str]:  # noqa: N802  # LangChain's name
        """A route's name, or the default."""
        return str

    def _view(self, decision: Decision, given: Any) -> str:  # noqa: ARG002
        return self.default if decision.route is None else decision.route


class RouterInputView(RouterView[KeyedInput]):
    """``{"key": route, "input": input}``: what LangChain's ``RouterRunnable`` wants.

    Args:
        router: Gives the decisions.
        default: The key of an abstention.
    """

    default: str

    @property
    def OutputType(self) -> type[KeyedInput]:  # noqa: N802  # LangChain's name
        """A key and the input."""
        return KeyedInput

    def _view(self, decision: Decision, given: Any) -> KeyedInput:
        return {"key": self.default if decision.route is None else decision.route, "input": given}


class StateView(RouterView[dict[str, Any]]):
    """``{key: decision}``, with the decision as JSON data: an update of a LangGraph state.

    Args:
        router: Gives the decisions.
        key: The state's key.
    """

    key: str

    @property
    def OutputType(self) -> Any:  # noqa: N802  # LangChain's name
        """The update."""
        return dict[str, Any]

    def _view(self, decision: Decision, given: Any) -> dict[str, Any]:  # noqa: ARG002
        return {self.key: plain(decision)}


class CommandView(RouterView["Command[Any]"]):
    """A LangGraph ``Command`` that goes to the route's node.

    Args:
        router: Gives the decisions.
        nodes: For routes, the nodes to go to.
        default: The node for abstentions and for routes that ``nodes`` does not have.
        update_key: The state's key that gets the decision as JSON data; None = no update.

    Raises:
        ImportError: langgraph is not installed.
    """

    nodes: dict[str, str]
    default: str
    update_key: str | None = None

    def __init__(self, **fields: Any) -> None:
        _command_class()  # now, rather than at the first query
        super().__init__(**fields)

    @property
    def OutputType(self) -> Any:  # noqa: N802  # LangChain's name
        """A command, of which there is no JSON schema."""
        return Any

    def _view(self, decision: Decision, given: Any) -> Command[Any]:  # noqa: ARG002
        node = self.default if decision.route is None else self.nodes.get(decision.route, self.default)
        update = None if self.update_key is None else {self.update_key: plain(decision)}
        return _command_class()(goto=node, update=update)


def _command_class() -> type[Command[Any]]:
    try:
        from langgraph.types import Command
    except ModuleNotFoundError as error:
        raise missing_extra("langgraph", error) from error
    return Command
