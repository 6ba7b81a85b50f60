"""How many LLM calls were saved."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from synaptoroute_core import ConfigurationError, Decision
from synaptoroute_core.errors import shorten
from synaptoroute_core.views import report_html
from synaptoroute_integrations.langchain.events import ROUTE_EVENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """What routing on this machine has spared so far.

    Attributes:
        local: Queries that got a route: no LLM was needed to choose one.
        abstained: Queries that got none, and are the LLM's.
        failed: Queries that ended in an error.
        milliseconds: Time spent on them, from input to decision; of a batch, from its first to its last.
        price_per_call: What one LLM call costs, in the currency of your choice; None = not given.
    """

    local: int = 0
    abstained: int = 0
    failed: int = 0
    milliseconds: float = 0.0
    price_per_call: float | None = None

    @property
    def queries(self) -> int:
        """All queries."""
        return self.local + self.abstained + self.failed

    @property
    def llm_calls_saved(self) -> int:
        """One for each query that got a route."""
        return self.local

    @property
    def money_saved(self) -> float | None:
        """In the currency of ``price_per_call``; None without a price."""
        return None if self.price_per_call is None else self.local * self.price_per_call

    def to_markdown(self) -> str:
        """The counts, and what they are worth, as a table."""
        each = f"{self.milliseconds / self.queries:.1f}" if self.queries else "-"
        money = "-" if self.money_saved is None else f"{self.money_saved:,.2f}"
        return (
            "| queries | routed here | abstained | failed | ms each | LLM calls saved | money saved |\n"
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            f"| {self.queries:,} | {self.local:,} | {self.abstained:,} | {self.failed:,} | {each} "
            f"| {self.llm_calls_saved:,} | {money} |\n"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return report_html(self)

    def __str__(self) -> str:
        if not self.queries:
            return "no queries yet"
        parts = [
            f"{self.queries:,} queries: {self.local:,} routed here ({self.local / self.queries:.1%})",
            f"{self.abstained:,} abstained",
            f"{self.failed:,} failed",
            f"{self.milliseconds / self.queries:.1f} ms each",
            f"{self.llm_calls_saved:,} LLM calls saved",
        ]
        money = "" if self.money_saved is None else f", worth {self.money_saved:,.2f}"
        return ", ".join(parts) + money


class SavingsCounter:
    """Counts for any number of threads. Copies of a runnable share one; another process begins with zeros."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Savings()

    def count(self, *, local: int = 0, abstained: int = 0, failed: int = 0, milliseconds: float = 0.0) -> None:
        """Add to the counts."""
        with self._lock:
            total = self._total
            self._total = Savings(
                local=total.local + local,
                abstained=total.abstained + abstained,
                failed=total.failed + failed,
                milliseconds=total.milliseconds + milliseconds,
            )

    def count_outcome(self, outcome: Decision | Exception, milliseconds: float) -> None:
        """Add one query."""
        failed = isinstance(outcome, Exception)
        local = not failed and bool(outcome)
        self.count(local=local, abstained=not failed and not local, failed=failed, milliseconds=milliseconds)

    def savings(self, price_per_call: float | None) -> Savings:
        """The counts as they are now.

        Raises:
            ConfigurationError: The price is not a number of 0 or more.
        """
        if price_per_call is not None and (
            isinstance(price_per_call, bool) or not isinstance(price_per_call, int | float) or not price_per_call >= 0
        ):
            raise ConfigurationError(f"price_per_call = {shorten(price_per_call)}: give a number, 0 or more, or None")
        return replace(self._total, price_per_call=price_per_call)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[SavingsCounter], tuple[()]]:
        return SavingsCounter, ()


class SavingsHandler(BaseCallbackHandler):
    """Counts savings over all routers of the calls that it is given to, from their ``semantic_route`` events.

    ``graph.invoke(state, config={"callbacks": [handler]})``, then ``print(handler.savings())``.
    """

    run_inline = True  # counting is quicker than handing it to an executor

    ignore_llm = True
    ignore_chat_model = True
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True

    def __init__(self) -> None:
        self._counter = SavingsCounter()

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        """Count one query."""
        if name != ROUTE_EVENT:
            return
        failed = data["error"] is not None
        local = data["route"] is not None
        abstained = not failed and not local
        self._counter.count(local=local, abstained=abstained, failed=failed, milliseconds=data["milliseconds"])

    def savings(self, price_per_call: float | None = None) -> Savings:
        """The counts as they are now.

        Args:
            price_per_call: What one LLM call costs, in any currency.

        Raises:
            ConfigurationError: The price is not a number of 0 or more.
        """
        return self._counter.savings(price_per_call)
