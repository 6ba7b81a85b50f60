"""The methods that make views of a router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableLike

from synaptoroute_core import Decision
from synaptoroute_integrations.langchain.branching import SemanticBranch
from synaptoroute_integrations.langchain.outputs import CommandView, KeyView, RouterInputView, StateView
from synaptoroute_integrations.langchain.running import BatchRunnable


class Viewing(BatchRunnable[Decision]):
    """A runnable that gives decisions, and what can be made of it."""

    # LangChain's bindings pass the configuration that they add to methods with a `config` parameter.

    def as_key(self, *, default: str, name: str | None = None, config: RunnableConfig | None = None) -> KeyView:
        """A runnable that gives the route's name: for ``add_conditional_edges``.

        Args:
            default: What it gives when the router abstains, such as ``langgraph.graph.END``.
            name: Its name; None = the router's with ``.as_key``. LangGraph tells the conditions of one
                node apart by their names.
            config: Configuration to route with.
        """
        return KeyView(router=self._under(config), default=default, **self._traits("as_key", name))

    def as_state(
        self, key: str = "route", *, name: str | None = None, config: RunnableConfig | None = None
    ) -> StateView:
        """A runnable that gives ``{key: decision}``, the decision as plain JSON data: a LangGraph node.

        ``Decision.model_validate(state[key])`` makes it a decision again.

        Args:
            key: The state's key.
            name: Its name; None = the router's with ``.as_state``.
            config: Configuration to route with.
        """
        return StateView(router=self._under(config), key=key, **self._traits("as_state", name))

    def as_router_input(
        self, *, default: str, name: str | None = None, config: RunnableConfig | None = None
    ) -> RouterInputView:
        """A runnable that gives ``{"key": route, "input": input}``: for LangChain's ``RouterRunnable``.

        Args:
            default: The key when the router abstains.
            name: Its name; None = the router's with ``.as_router_input``.
            config: Configuration to route with.
        """
        return RouterInputView(router=self._under(config), default=default, **self._traits("as_router_input", name))

    def as_command(
        self,
        nodes: Mapping[str, str],
        *,
        default: str,
        update_key: str | None = None,
        name: str | None = None,
        config: RunnableConfig | None = None,
    ) -> CommandView:
        """A runnable that gives a LangGraph ``Command``: a node that says itself where to go.

        Args:
            nodes: For routes, the nodes to go to.
            default: The node for abstentions and for routes that ``nodes`` does not have.
            update_key: The state's key that gets the decision as plain JSON data; None = no update.
            name: Its name; None = the router's with ``.as_command``.
            config: Configuration to route with.

        Raises:
            ImportError: langgraph is not installed.
        """
        return CommandView(
            router=self._under(config),
            nodes=dict(nodes),
            default=default,
            update_key=update_key,
            **self._traits("as_command", name),
        )

    def to_branch(
        self,
        branches: Mapping[str, RunnableLike[Any, Any]],
        *,
        default: RunnableLike[Any, Any],
        name: str | None = None,
        config: RunnableConfig | None = None,
    ) -> SemanticBranch:
        """A runnable that gives the input to the runnable of its route.

        A batch is routed at once, and each branch gets its inputs as one batch.

        Args:
            branches: For routes, the runnables, functions or dicts of them.
            default: What abstentions and routes that ``branches`` does not have are given to.
            name: Its name; None = the router's with ``.to_branch``.
            config: Configuration to route with.
        """
        return SemanticBranch(
            router=self._under(config), branches=branches, default=default, **self._traits("to_branch", name)
        )

    def _under(self, config: RunnableConfig | None) -> Runnable[Any, Decision]:
        return self if config is None else self.with_config(config)

    def _traits(self, view: str, name: str | None) -> dict[str, Any]:
        return {"name": name or f"{self.get_name()}.{view}", "trace_query": self.trace_query}
