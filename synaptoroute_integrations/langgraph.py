"""Edges and nodes for LangGraph that route locally, so that only the doubtful turns reach a language model.

>>> from langgraph.graph import END, START, MessagesState, StateGraph
>>> def support_graph(router, refund, agent):
...     graph = StateGraph(MessagesState)
...     graph.add_node("refund", refund)
...     graph.add_node("agent", agent)
...     graph.add_conditional_edges(START, *route_edge(router, {"refund": "refund"}, default="agent"))
...     return graph.compile()
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeAlias, TypedDict

from synaptoroute_core import ConfigurationError, Decision, Router
from synaptoroute_core.errors import missing_extra, shorten

try:
    import langgraph.types  # noqa: F401  # here, rather than in the middle of building a graph
    from langchain_core.runnables import Runnable, RunnableLambda
except ModuleNotFoundError as error:
    raise missing_extra("langgraph", error) from error

from synaptoroute_integrations.langchain import CommandView, RouterView, RunnableSemanticRouter, StateView

AnyRouter: TypeAlias = Router | RunnableSemanticRouter
PathMap: TypeAlias = Mapping[str, str] | Iterable[str]
"""Route name to node name; or just names, where a node is named as its route."""

NO_MATCH = "no match"
"""Label of the default branch. No route can have a name with a space."""

NAMED_LABELS = 3


class CommandNode(TypedDict):
    """Keyword arguments of ``StateGraph.add_node``."""

    action: CommandView
    destinations: dict[str, str]


class EdgeView(RouterView[str]):
    """The label of a branch: the route's name, or ``no match`` for what has no branch of its own.

    Args:
        nodes: The node of each route that has one.
    """

    nodes: dict[str, str]

    def _view(self, decision: Decision, given: Any) -> str:  # noqa: ARG002
        return decision.route if decision.route is not None and decision.route in self.nodes else NO_MATCH


def route_edge(
    router: AnyRouter, path_map: PathMap, default: str, *, name: str | None = None
) -> tuple[EdgeView, dict[Hashable, str]]:
    """A conditional edge: ``graph.add_conditional_edges(source, *route_edge(router, ..., default=...))``.

    Args:
        router: A router, or a runnable made of one, which can say where in the state the text is. One that
            is set to raise when it abstains raises ``NoRouteError`` here too.
        path_map: The node of each route, or just names where a node is named as its route.
        default: Node, or ``END``, for abstentions and for routes that ``path_map`` does not name.
        name: Names the edge in traces; several edges from one node need several names. None = made from
            the router's name and the routes.

    Returns:
        The runnable that chooses a label, and the node of each label: the drawn graph shows them.

    Raises:
        ConfigurationError: ``path_map`` is empty, or neither a mapping nor names.
    """
    runnable = _runnable(router)
    nodes = _nodes(path_map)
    named = name or _edge_name(runnable.get_name(), nodes)
    view = EdgeView(router=runnable, nodes=nodes, name=named, trace_query=runnable.trace_query)
    return view, _branches(nodes, default)


def follow_edge(
    path_map: PathMap, default: str, *, key: str = "route", name: str | None = None
) -> tuple[Runnable[Any, str], dict[Hashable, str]]:
    """A conditional edge that goes by the decision that :func:`route_node` wrote; it asks no router.

    Args:
        path_map: As for :func:`route_edge`.
        default: As for :func:`route_edge`; also where there is no decision.
        key: The state's field with the decision.
        name: As for :func:`route_edge`.

    Raises:
        ConfigurationError: As for :func:`route_edge`.
    """
    nodes = _nodes(path_map)

    def follow(state: Any) -> str:
        stored = state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)
        chosen = stored.get("route") if isinstance(stored, Mapping) else None
        return chosen if chosen in nodes else NO_MATCH

    return RunnableLambda(follow, name=name or _edge_name(key, nodes)), _branches(nodes, default)


def route_node(router: AnyRouter, key: str = "route", *, name: str | None = None) -> StateView:
    """A node that writes the decision to the state, for ``graph.add_node("classify", ...)``.

    What it writes is plain data, which every checkpointer keeps: ``state["route"]["route"]`` is the route's
    name or None, ``Decision.model_validate(state["route"])`` the decision. Declare the field in the state's
    schema.

    Args:
        router: As for :func:`route_edge`.
        key: The state's field.
        name: Names the node in traces.
    """
    return _runnable(router).as_state(key, name=name)


def command_node(
    router: AnyRouter, path_map: PathMap, default: str, *, key: str | None = "route", name: str | None = None
) -> CommandNode:
    """A node that goes on by itself: ``graph.add_node("classify", **command_node(router, ..., default=...))``.

    It needs no edges; the drawn graph shows its branches.

    Args:
        router: As for :func:`route_edge`.
        path_map: As for :func:`route_edge`.
        default: As for :func:`route_edge`.
        key: The state's field for the decision, as :func:`route_node` writes it; None = none.
        name: As for :func:`route_node`.

    Raises:
        ConfigurationError: As for :func:`route_edge`.
    """
    nodes = _nodes(path_map)
    labels: dict[str, list[str]] = {}
    for label, node in {**nodes, NO_MATCH: default}.items():
        labels.setdefault(node, []).append(label)
    return CommandNode(
        action=_runnable(router).as_command(nodes, default=default, update_key=key, name=name),
        destinations={node: ", ".join(names) for node, names in labels.items()},
    )


def _runnable(router: AnyRouter) -> RunnableSemanticRouter:
    return router if isinstance(router, RunnableSemanticRouter) else RunnableSemanticRouter(router)


def _nodes(path_map: PathMap) -> dict[str, str]:
    if isinstance(path_map, str) or not isinstance(path_map, Iterable):
        raise ConfigurationError(f"path_map = {shorten(path_map)}: use {{route: node}}, or a list of names")
    nodes = dict(path_map) if isinstance(path_map, Mapping) else {name: name for name in path_map}
    if not nodes or not all(isinstance(part, str) for pair in nodes.items() for part in pair):
        raise ConfigurationError(f"path_map = {shorten(path_map)}: use at least one route name and node name, as texts")
    return nodes


def _branches(nodes: Mapping[str, str], default: str) -> dict[Hashable, str]:
    branches: dict[Hashable, str] = dict(nodes.items())
    branches[NO_MATCH] = default
    return branches


def _edge_name(base: str, nodes: Mapping[str, str]) -> str:
    """The same for the same edge in every process, and another one for other routes."""
    labels = list(nodes)
    if len(labels) <= NAMED_LABELS:
        return f"{base}: {', '.join(labels)}"
    code = zlib.crc32("\n".join(f"{label}\t{node}" for label, node in nodes.items()).encode())
    return f"{base}: {', '.join(labels[:NAMED_LABELS])} and {len(labels) - NAMED_LABELS} more ({code:08x})"
