"""A router and the runnables that it chooses from, in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig, patch_config
from langchain_core.runnables.base import RunnableLike, coerce_to_runnable
from langchain_core.runnables.config import get_executor_for_config
from langchain_core.runnables.utils import get_unique_config_specs
from pydantic import Field

from synaptoroute_core import Decision
from synaptoroute_integrations.langchain.events import RunManager
from synaptoroute_integrations.langchain.running import BatchRunnable, Run

DEFAULT_BRANCH = "default"


class SemanticBranch(BatchRunnable[Any]):
    """Gives the input to the runnable of its route. Its runs are children of this one's, like the router's.

    Unlike LangChain's ``RunnableBranch``, a batch is routed at once, and each branch gets one batch. The
    batches of different branches run at the same time, unless ``max_concurrency`` is set.

    Args:
        router: Gives the decisions.
        branches: For routes, what to give the input to.
        default: What abstentions and routes without a branch are given to.
        name: Name in traces.
        trace_query: Show inputs in this run's and the router's trace; the branches' own show them anyway.
    """

    router: Runnable[Any, Decision] = Field(exclude=True, repr=False)
    branches: dict[str, Runnable[Any, Any]]
    default: Runnable[Any, Any]

    def __init__(
        self,
        *,
        router: Runnable[Any, Decision],
        branches: Mapping[str, RunnableLike[Any, Any]],
        default: RunnableLike[Any, Any],
        name: str | None = None,
        trace_query: bool = False,
    ) -> None:
        fields: dict[str, Any] = {
            "router": router,
            "branches": {route: coerce_to_runnable(branch) for route, branch in branches.items()},
            "default": coerce_to_runnable(default),
        }
        super().__init__(name=name, trace_query=trace_query, **fields)

    @property
    def OutputType(self) -> Any:  # noqa: N802  # LangChain's name
        """Whatever the branches give."""
        return Any

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The router's and the branches'."""
        parts = [self.router, *self.branches.values(), self.default]
        return get_unique_config_specs(spec for part in parts for spec in part.config_specs)

    # --- answering -------------------------------------------------------------------------------

    def _answer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Any:
        branch = self._branch_of(self.router.invoke(given, run.config))
        return self._runnable(branch).invoke(given, _branch_config(run, branch), **arguments)

    async def _aanswer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Any:
        branch = self._branch_of(await self.router.ainvoke(given, run.config))
        return await self._runnable(branch).ainvoke(given, _branch_config(run, branch), **arguments)

    def _answer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Any]:
        outcomes: list[Any] = self.router.batch(given, [run.config for run in runs], return_exceptions=True)
        groups = self._groups(outcomes)

        def answer(branch: str | None) -> list[Any]:
            inputs, configs = _inputs_of(branch, groups[branch], given, runs)
            return self._runnable(branch).batch(inputs, configs, return_exceptions=True, **arguments)

        if len(groups) < 2 or _is_limited(runs):  # noqa: PLR2004
            answers = [answer(branch) for branch in groups]
        else:
            with get_executor_for_config(runs[0].config) as executor:
                answers = list(executor.map(answer, groups))
        return _fill(outcomes, groups, answers)

    async def _aanswer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Any]:
        outcomes: list[Any] = await self.router.abatch(given, [run.config for run in runs], return_exceptions=True)
        groups = self._groups(outcomes)

        async def answer(branch: str | None) -> list[Any]:
            inputs, configs = _inputs_of(branch, groups[branch], given, runs)
            return await self._runnable(branch).abatch(inputs, configs, return_exceptions=True, **arguments)

        if _is_limited(runs):
            answers = [await answer(branch) for branch in groups]
        else:
            answers = await asyncio.gather(*map(answer, groups))
        return _fill(outcomes, groups, answers)

    # --- streaming: the branch's own chunks --------------------------------------------------------

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        """Route, then stream what the branch streams."""

        def chunks(shown: Iterator[Any], run_manager: RunManager, config: RunnableConfig) -> Iterator[Any]:
            del shown
            branch = self._branch_of(self.router.invoke(input, config))
            yield from self._runnable(branch).stream(input, _branch_config(Run(run_manager, config), branch), **kwargs)

        yield from self._transform_stream_with_config(iter([self._shown(input)]), chunks, config)

    async def astream(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """The awaitable twin of :meth:`stream`."""

        async def chunks(
            shown: AsyncIterator[Any], run_manager: RunManager, config: RunnableConfig
        ) -> AsyncIterator[Any]:
            del shown
            branch = self._branch_of(await self.router.ainvoke(input, config))
            run = Run(run_manager, config)
            async for chunk in self._runnable(branch).astream(input, _branch_config(run, branch), **kwargs):
                yield chunk

        async def once() -> AsyncIterator[Any]:
            yield self._shown(input)

        async for chunk in self._atransform_stream_with_config(once(), chunks, config):
            yield chunk

    # --- choosing --------------------------------------------------------------------------------

    def _branch_of(self, decision: Decision) -> str | None:
        """The key of the decision's branch; None = the default."""
        return decision.route if decision.route in self.branches else None

    def _runnable(self, branch: str | None) -> Runnable[Any, Any]:
        return self.default if branch is None else self.branches[branch]

    def _groups(self, outcomes: list[Any]) -> dict[str | None, list[int]]:
        """For each branch that is needed, the rows that go to it."""
        groups: dict[str | None, list[int]] = {}
        for row, outcome in enumerate(outcomes):
            if isinstance(outcome, Decision):
                groups.setdefault(self._branch_of(outcome), []).append(row)
        return groups


def _branch_config(run: Run, branch: str | None) -> RunnableConfig:
    return patch_config(run.config, callbacks=run.manager.get_child(tag=f"branch:{branch or DEFAULT_BRANCH}"))


def _inputs_of(
    branch: str | None, rows: list[int], given: list[Any], runs: list[Run]
) -> tuple[list[Any], list[RunnableConfig]]:
    return [given[row] for row in rows], [_branch_config(runs[row], branch) for row in rows]


def _is_limited(runs: list[Run]) -> bool:
    """With ``max_concurrency``, branches take turns: each keeps to the limit by itself, not with others."""
    return runs[0].config.get("max_concurrency") is not None


def _fill(outcomes: list[Any], groups: dict[str | None, list[int]], answers: list[list[Any]]) -> list[Any]:
    for rows, found in zip(groups.values(), answers, strict=True):
        for row, answer in zip(rows, found, strict=True):
            outcomes[row] = answer
    return outcomes
