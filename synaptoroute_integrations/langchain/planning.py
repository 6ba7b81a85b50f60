"""From inputs to the engine's queries, and from its answers to outcomes, events and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig

from synaptoroute_core import Decision, RouteOptions
from synaptoroute_integrations.langchain.events import event_data, is_heard
from synaptoroute_integrations.langchain.running import Run
from synaptoroute_integrations.langchain.savings import SavingsCounter
from synaptoroute_integrations.langchain.settings import options_of

Outcome = Decision | Exception


class Plan:
    """The queries among some inputs, and what became of each input.

    Args:
        given: The inputs.
        runs: Their runs.
        text_of: Finds an input's query text, or raises.
        arguments: Settings that were bound or given by name.
    """

    def __init__(
        self, given: Sequence[Any], runs: Sequence[Run], text_of: Callable[[Any], str], arguments: dict[str, Any]
    ) -> None:
        self._started = time.perf_counter()
        self._runs = runs
        self._queries: list[str | None] = [None] * len(given)
        self._rows: list[int] = []
        self.outcomes: list[Outcome | None] = [None] * len(given)
        self.texts: list[str] = []
        self.options: list[RouteOptions | None] = []
        for row, (one, run) in enumerate(zip(given, runs, strict=True)):
            try:
                text, options = text_of(one), options_of(run.config, arguments)
            except Exception as error:  # noqa: BLE001  # this input's outcome: the others are routed
                self.outcomes[row] = error
                continue
            self._queries[row] = text
            self._rows.append(row)
            self.texts.append(text)
            self.options.append(options)

    def parts(self) -> list[slice]:
        """Slices of the queries to hand in together: all, or of ``max_concurrency`` where it is set."""
        count = len(self.texts)
        size = self._runs[0].config.get("max_concurrency") or max(count, 1)
        return [slice(start, start + size) for start in range(0, count, size)]

    def fill(self, part: slice, found: Sequence[Outcome] | Exception) -> None:
        """Put the answers of one slice, or the error that all of it ended in, in their places."""
        rows = self._rows[part]
        answers = [found] * len(rows) if isinstance(found, Exception) else found
        for row, answer in zip(rows, answers, strict=True):
            self.outcomes[row] = answer

    def finish(
        self, counter: SavingsCounter, router: str, *, with_query: bool
    ) -> list[tuple[dict[str, Any], RunnableConfig]]:
        """Count the outcomes; the events that somebody listens for, with the configurations of their runs."""
        share = (time.perf_counter() - self._started) * 1000 / len(self.outcomes)
        events = []
        for run, outcome, query in zip(self._runs, self.outcomes, self._queries, strict=True):
            if not isinstance(outcome, Decision | Exception):
                continue  # an interrupt among the answers: raised later
            counter.count_outcome(outcome, share)
            if is_heard(run.manager):
                shown = query if with_query else None
                events.append((event_data(outcome, router=router, milliseconds=share, query=shown), run.config))
        return events
