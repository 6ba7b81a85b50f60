"""The router as a LangChain runnable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

from langchain_core.runnables import ConfigurableFieldSpec
from pydantic import Field

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    NoRouteError,
    Route,
    Router,
)
from synaptoroute_core.errors import shorten
from synaptoroute_integrations.langchain.events import asend_event, send_event
from synaptoroute_integrations.langchain.inputs import InputFunction, InputReader
from synaptoroute_integrations.langchain.planning import Outcome, Plan
from synaptoroute_integrations.langchain.running import Run
from synaptoroute_integrations.langchain.savings import Savings, SavingsCounter
from synaptoroute_integrations.langchain.settings import SPECS
from synaptoroute_integrations.langchain.viewing import Viewing


class RunnableSemanticRouter(Viewing):
    """Routes a query without an LLM: a runnable from an input to a :class:`~synaptoroute_core.Decision`.

    The input is a string, a message, a list of messages (the last human one counts), a prompt value, or a
    dict or LangGraph state with one of these. The decision is falsy when the router abstains. For one
    call, ``config={"configurable": {...}}`` takes ``threshold``, ``margin`` and ``allowed``.

    Callback handlers get a custom event, ``semantic_route``, for each query. Traces show the decision and,
    by default, not the query.

    Args:
        router: The engine, or a ``RemoteRouter``. It is shared, not copied, and not closed by the runnable.
        input_key: Key or attribute of a dict or state that holds the query; None = ``messages``,
            ``input``, ``query``, ``question`` or ``text``, whichever is there alone.
        input_fn: Called with the input; gives the query, or anything listed above.
        on_no_match: ``abstain`` gives the falsy decision; ``raise`` raises ``NoRouteError``, which carries
            it, for ``with_fallbacks(..., exceptions_to_handle=(NoRouteError,))``.
        trace_query: Show inputs in traces and the query in the event.
        name: Name in traces, and the stem of its views' names; None = the class's.
        counter: Where savings are counted; None = a counter of its own.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    router: Router = Field(exclude=True, repr=False)
    input_key: str | None = None
    input_fn: InputFunction | None = Field(default=None, exclude=True, repr=False)
    on_no_match: Literal["abstain", "raise"] = "abstain"
    counter: SavingsCounter = Field(default_factory=SavingsCounter, exclude=True, repr=False)

    def __init__(
        self,
        router: Router,
        *,
        input_key: str | None = None,
        input_fn: InputFunction | None = None,
        on_no_match: Literal["abstain", "raise"] = "abstain",
        trace_query: bool = False,
        name: str | None = None,
        counter: SavingsCounter | None = None,
    ) -> None:
        if not isinstance(router, Router):
            raise ConfigurationError(
                f"router = {shorten(router)}: give an AdaptiveRouter or a RemoteRouter, "
                "or use RunnableSemanticRouter.from_routes(routes)"
            )
        if on_no_match not in ("abstain", "raise"):
            raise ConfigurationError(f"on_no_match = {shorten(on_no_match)}: use 'abstain' or 'raise'")
        InputReader(input_key, input_fn)  # raises now what it would raise at the first query
        fields: dict[str, Any] = {
            "router": router,
            "input_key": input_key,
            "input_fn": input_fn,
            "on_no_match": on_no_match,
            "counter": counter if counter is not None else SavingsCounter(),
        }
        super().__init__(name=name, trace_query=trace_query, **fields)

    @classmethod
    def from_routes(
        cls,
        routes: Iterable[Route],
        *,
        input_key: str | None = None,
        input_fn: InputFunction | None = None,
        on_no_match: Literal["abstain", "raise"] = "abstain",
        trace_query: bool = False,
        name: str | None = None,
        **engine_arguments: Any,
    ) -> Self:
        """A runnable with an engine of its own: close ``runnable.router`` when done.

        Args:
            routes: The routes.
            input_key: As for the class, like the arguments after it.
            input_fn: As above.
            on_no_match: As above.
            trace_query: As above.
            name: As above.
            **engine_arguments: For :class:`~synaptoroute_core.AdaptiveRouter`: ``encoder``, ``store``,
                ``config``.

        Raises:
            As the class and :class:`~synaptoroute_core.AdaptiveRouter`.
        """
        router = AdaptiveRouter(routes, **engine_arguments)
        try:
            return cls(
                router,
                input_key=input_key,
                input_fn=input_fn,
                on_no_match=on_no_match,
                trace_query=trace_query,
                name=name,
            )
        except BaseException:
            router.close()
            raise

    @property
    def OutputType(self) -> type[Decision]:  # noqa: N802  # LangChain's name
        """A decision."""
        return Decision

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What ``config["configurable"]`` may hold for one call."""
        return list(SPECS)

    def savings(self, price_per_call: float | None = None) -> Savings:
        """What this runnable, its copies and its views have spared so far.

        Args:
            price_per_call: What one LLM call costs, in any currency.

        Raises:
            ConfigurationError: The price is not a number of 0 or more.
        """
        return self.counter.savings(price_per_call)

    # --- answering -------------------------------------------------------------------------------

    def _answer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Decision:
        plan = self._plan([given], [run], arguments)
        if plan.texts:
            try:
                plan.outcomes[0] = self.router.route(plan.texts[0], options=plan.options[0])
            except Exception as error:  # noqa: BLE001  # counted and told, then raised
                plan.outcomes[0] = error
        self._tell(plan)
        return _or_raise(self._concluded(plan)[0])

    async def _aanswer(self, given: Any, run: Run, arguments: dict[str, Any]) -> Decision:
        plan = self._plan([given], [run], arguments)
        if plan.texts:
            try:
                plan.outcomes[0] = await self.router.aroute(plan.texts[0], options=plan.options[0])
            except Exception as error:  # noqa: BLE001  # counted and told, then raised
                plan.outcomes[0] = error
        await self._atell(plan)
        return _or_raise(self._concluded(plan)[0])

    def _answer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Outcome]:
        plan = self._plan(given, runs, arguments)
        for part in plan.parts():
            try:
                plan.fill(part, self.router.route_each(plan.texts[part], options=plan.options[part]))
            except Exception as error:  # noqa: BLE001  # the outcome of all of this part
                plan.fill(part, error)
        self._tell(plan)
        return self._concluded(plan)

    async def _aanswer_all(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> list[Outcome]:
        plan = self._plan(given, runs, arguments)
        for part in plan.parts():
            try:
                plan.fill(part, await self.router.aroute_each(plan.texts[part], options=plan.options[part]))
            except Exception as error:  # noqa: BLE001  # the outcome of all of this part
                plan.fill(part, error)
        await self._atell(plan)
        return self._concluded(plan)

    def _plan(self, given: list[Any], runs: list[Run], arguments: dict[str, Any]) -> Plan:
        return Plan(given, runs, InputReader(self.input_key, self.input_fn).text, arguments)

    def _tell(self, plan: Plan) -> None:
        for data, config in plan.finish(self.counter, self.get_name(), with_query=self.trace_query):
            send_event(data, config)

    async def _atell(self, plan: Plan) -> None:
        for data, config in plan.finish(self.counter, self.get_name(), with_query=self.trace_query):
            await asend_event(data, config)

    def _concluded(self, plan: Plan) -> list[Any]:
        """The outcomes, with an abstention as an error where that is wanted."""
        if self.on_no_match == "abstain":
            return list(plan.outcomes)
        return [
            NoRouteError(outcome) if isinstance(outcome, Decision) and not outcome else outcome
            for outcome in plan.outcomes
        ]


def _or_raise(outcome: Any) -> Decision:
    if isinstance(outcome, BaseException):
        raise outcome
    decision: Decision = outcome
    return decision
