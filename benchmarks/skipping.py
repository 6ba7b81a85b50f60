"""How many LLM calls a LangGraph graph skips, and how often it is wrong where it skips one: clinc150.

The graph has a node that answers locally and a node that asks a stand-in for an LLM, which counts its calls. All test
queries of the 150 routes, and all out-of-scope queries, are awaited at once, up to CONCURRENCY at a time.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import datasets
import harness
from langgraph.graph import END, START, StateGraph

from synaptoroute_core import AdaptiveRouter
from synaptoroute_integrations.langgraph import command_node

CONCURRENCY = 256


class State(TypedDict, total=False):
    """One query's way through the graph."""

    query: str
    route: dict[str, Any]
    answered_by: str


class CountingModel:
    """Stands in for an LLM: knows every answer, and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    async def node(self, state: State) -> State:  # noqa: ARG002  # it is the count that matters
        """The fallback node."""
        self.calls += 1
        return {"answered_by": "model"}


def support_graph(router: AdaptiveRouter, model: CountingModel) -> Any:
    """A graph that answers all routes locally and asks the model about the rest."""
    graph = StateGraph(State)
    graph.add_node("classify", **command_node(router, dict.fromkeys(router.routes, "local"), "model"))
    graph.add_node("local", lambda _: {"answered_by": "router"})
    graph.add_node("model", model.node)
    graph.add_edge(START, "classify")
    graph.add_edge("local", END)
    graph.add_edge("model", END)
    return graph.compile()


def run(graph: Any, rows: datasets.Rows) -> list[State]:
    """The final state of each query."""
    inputs = [State(query=text) for text, _ in rows]
    states: list[State] = asyncio.run(graph.abatch(inputs, {"max_concurrency": CONCURRENCY}))
    return states


def figures(states: list[State], rows: datasets.Rows, calls: int) -> dict[str, Any]:
    """Shares; an out-of-scope query that is answered locally is wrong."""
    local = [
        (state["route"]["route"], label)
        for state, (_, label) in zip(states, rows, strict=True)
        if state["answered_by"] == "router"
    ]
    if len(local) + calls != len(rows):
        raise RuntimeError(f"{len(rows)} queries, {len(local)} answered locally, but {calls} LLM calls")
    wrong = sum(route != label for route, label in local)
    return {
        "queries": len(rows),
        "llm_calls": calls,
        "llm_calls_skipped": len(local) / len(rows),
        "answered_locally": len(local),
        "wrong_locally": wrong,
        "error_among_local": wrong / len(local) if local else 0.0,
    }


def measure(routes: dict[str, list[str]], splits: dict[str, datasets.Rows]) -> dict[str, Any]:
    """Figures and seconds for each split, in one graph."""
    found: dict[str, Any] = {"utterances": sum(map(len, routes.values()))}
    with harness.open_router(routes) as router:
        for name, rows in splits.items():
            model = CountingModel()
            graph = support_graph(router, model)
            states: list[State] = []
            taken = harness.seconds(lambda graph=graph, rows=rows, states=states: states.extend(run(graph, rows)))
            found[name] = {**figures(states, rows, model.calls), "ms_per_query": taken / len(rows) * 1e3}
    return found


def main() -> None:
    """Measure and save."""
    folder = harness.arguments(__doc__)
    few, _ = harness.work(folder, 0)
    every: dict[str, list[str]] = {name: [] for name in few}
    for text, label in datasets.read(folder, "clinc150/train"):
        every[label].append(text)
    test, out = datasets.read(folder, "clinc150/test"), datasets.read(folder, "clinc150/ood_test")
    splits = {"in_scope": test, "out_of_scope": out, "together": [*test, *out]}
    harness.save(
        "skipping",
        {
            f"{harness.UTTERANCES}_utterances_a_route": measure(few, splits),
            "all_utterances": measure(every, splits),
        },
    )


if __name__ == "__main__":
    main()
