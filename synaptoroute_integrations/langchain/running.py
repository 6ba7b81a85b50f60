"""Runnables that answer in native batches, with LangChain's callbacks around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict

from synaptoroute_integrations.langchain.events import RunManager
from synaptoroute_integrations.langchain.inputs import RouterInput

Out = TypeVar("Out")

HIDDEN_INPUT = "<hidden: show it with trace_query=True>"
"""Stands for the input in traces."""


class Run(NamedTuple):
    """One run under way: its manager, and the configuration for its children."""

    manager: RunManager
    config: RunnableConfig


class BatchRunnable(RunnableSerializable[Any, Out], ABC, Generic[Out]):
    """A runnable whose subclass says how one input and how a list of inputs is answered.

    Callbacks, run names and ids, configuration lists and the rest of the contract are LangChain's own
    helpers'. What they are told of the input is ``HIDDEN_INPUT``, unless ``trace_query``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    trace_query: bool = False

    @abstractmethod
    def _answer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Out:
        """The output for one input."""

    @abstractmethod
    async def _aanswer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Out:
        """The awaitable twin of :meth:`_answer`."""

    @abstractmethod
    def _answer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Out | Exception]:
        """For each input its output or its error."""

    @abstractmethod
    async def _aanswer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Out | Exception]:
        """The awaitable twin of :meth:`_answer_all`."""

    @property
    def InputType(self) -> Any:  # noqa: N802  # LangChain's name
        """What is taken; see :mod:`synaptoroute_integrations.langchain.inputs`."""
        return RouterInput

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Out:  # noqa: A002
        """Answer one input."""
        return self._call_with_config(
            self._run,  # type: ignore[arg-type]
            self._shown(input),
            config,
            given=input,
            arguments=kwargs,
        )

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Out:  # noqa: A002
        """The awaitable twin of :meth:`invoke`; no thread is taken for it."""
        return await self._acall_with_config(
            self._arun,  # type: ignore[arg-type]
            self._shown(input),
            config,
            given=input,
            arguments=kwargs,
        )

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Out]:
        """Answer many inputs in one native batch; of ``max_concurrency``, in batches of that size."""
        return _without_interrupts(
            self._batch_with_config(
                self._run_all,  # type: ignore[arg-type]
                [self._shown(given) for given in inputs],
                config,
                return_exceptions=return_exceptions,
                given=list(inputs),
                arguments=kwargs,
            )
        )

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Out]:
        """The awaitable twin of :meth:`batch`."""
        return _without_interrupts(
            await self._abatch_with_config(
                self._arun_all,  # type: ignore[arg-type]
                [self._shown(given) for given in inputs],
                config,
                return_exceptions=return_exceptions,
                given=list(inputs),
                arguments=kwargs,
            )
        )

    def _shown(self, given: Any) -> Any:
        return given if self.trace_query else HIDDEN_INPUT

    # LangChain's helpers look for parameters of the names `run_manager` and `config`, and pass what else
    # they are given on as it is, which their types do not tell.

    def _run(
        self, _shown: Any, run_manager: RunManager, config: RunnableConfig, *, given: Any, arguments: dict[str, Any]
    ) -> Out:
        return self._answer(given, Run(run_manager, config), arguments)

    async def _arun(
        self, _shown: Any, run_manager: RunManager, config: RunnableConfig, *, given: Any, arguments: dict[str, Any]
    ) -> Out:
        return await self._aanswer(given, Run(run_manager, config), arguments)

    def _run_all(
        self,
        _shown: list[Any],
        run_manager: list[RunManager],
        config: list[RunnableConfig],
        *,
        given: list[Any],
        arguments: dict[str, Any],
    ) -> list[Out | Exception]:
        return _without_interrupts(self._answer_all(given, list(map(Run, run_manager, config)), arguments))

    async def _arun_all(
        self,
        _shown: list[Any],
        run_manager: list[RunManager],
        config: list[RunnableConfig],
        *,
        given: list[Any],
        arguments: dict[str, Any],
    ) -> list[Out | Exception]:
        return _without_interrupts(await self._aanswer_all(given, list(map(Run, run_manager, config)), arguments))


def _without_interrupts(outcomes: list[Any]) -> list[Any]:
    """Raise an interrupt or a cancellation that stands among outcomes, where nobody would look for it.

    LangChain's helpers take for an error only what is an ``Exception``, and give a cancellation back as
    an outcome with ``return_exceptions``.
    """
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
    return outcomes
