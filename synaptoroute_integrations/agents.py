"""Middleware for LangChain agents: answer, or choose tools, without asking a language model."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeAlias

from synaptoroute_core import (
    AdaptiveRouter,
    Choices,
    ConfigurationError,
    Decision,
    Encoder,
    InspectableRouter,
    Route,
    RouteOptions,
    Router,
)
from synaptoroute_core.closing import Closing
from synaptoroute_core.errors import InvalidTextError, NoRouteError, missing_extra, shorten
from synaptoroute_core.protocols import require_inspectable
from synaptoroute_core.text import clean_query

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse, hook_config
    from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
    from langchain_core.runnables.config import run_in_executor
    from langchain_core.tools import BaseTool, tool
    from langgraph.runtime import Runtime
except ModuleNotFoundError as error:
    raise missing_extra("agents", error) from error

from synaptoroute_integrations.langchain import RunnableSemanticRouter

Answer: TypeAlias = "str | AIMessage | dict[str, Any] | None"
Handler: TypeAlias = "str | Callable[[AgentState[Any]], Answer | Awaitable[Answer]]"
"""What answers for a route: a fixed text, or a function of the agent's state, plain or ``async``.

It returns a text, a message, an update of the state (which ends the turn, unless it holds ``jump_to``:
None), or None to leave the turn to the model."""

TOOL_THRESHOLD = 0.20
"""Least score at which a tool known by its name and description only is offered. Descriptions score far
lower than examples of queries. Bundled model, 20 tools and 60 queries: at 0.20 the right tool was offered
for 96.7 % of the queries, 3.2 tools on average; 0.15 offered 4.8 for the same 96.7 %; at 0.25 it was 93.3 %,
and 15 % of the queries fitted nothing. 14 support routes as tools, 121 queries: 96.7 % with 6.0 tools
(``tests/integrations/agents/test_agent_tools.py`` holds the first of the two)."""


class SemanticRoutingMiddleware(AgentMiddleware):
    """Answers what a route matches before the model is called; what the router abstains on goes to the model.

    It acts on a new human message only, never on tool results, so a turn that the model has begun is the
    model's. A message without text goes to the model too. The answer's ``response_metadata`` holds the
    decision under ``semantic_route``.

    Args:
        router: A router, or a runnable made of one. Closing it stays the caller's business.
        handlers: For each route what answers. A matched route without a handler goes to the model.
        jump_to: ``end``: an answer ends the turn. ``tools``: an answer with tool calls goes to the tools, any
            other ends the turn; the agent must have tools.
        name: Names the middleware in the graph; two of one agent need two names. None = the class's.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    def __new__(cls, *_: Any, jump_to: Literal["end", "tools"] = "end", **__: Any) -> Self:
        """An instance of the class with the jumps: agents read them off the class, not the instance."""
        if jump_to == "tools" and not issubclass(cls, _ToTools):
            return super().__new__(type(cls.__name__, (_ToTools, cls), {"__module__": cls.__module__}))
        return super().__new__(cls)

    def __init__(
        self,
        router: Router | RunnableSemanticRouter,
        handlers: Mapping[str, Handler],
        *,
        jump_to: Literal["end", "tools"] = "end",
        name: str | None = None,
    ) -> None:
        super().__init__()
        if jump_to not in ("end", "tools"):
            raise ConfigurationError(f"jump_to = {shorten(jump_to)}: use 'end' or 'tools'")
        for route, handler in handlers.items():
            if not isinstance(handler, str) and not callable(handler):
                raise ConfigurationError(f"the handler of {route!r} is {shorten(handler)}: use a text or a function")
        # An agent's state may have more fields in which a query could be looked for.
        self.router = (
            router
            if isinstance(router, RunnableSemanticRouter)
            else RunnableSemanticRouter(router, input_key="messages")
        )
        self.handlers = dict(handlers)
        self.jump_to = jump_to
        self._name = name

    @property
    def name(self) -> str:
        """The middleware's name in the graph."""
        return self._name or super().name

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Answer and jump, or None for the model to be called.

        Raises:
            ConfigurationError: The handler is ``async``: the agent must be awaited.
            Others as :meth:`AdaptiveRouter.route`, and what the handler raises.
        """
        if not _is_fresh_turn(state):
            return None
        try:
            decision = self.router.invoke(state)
        except NoRouteError as error:  # a runnable that is set to raise
            decision = error.decision
        handler = self.handlers.get(decision.route or "")
        answer = handler(state) if callable(handler) else handler
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()  # or Python warns that it was never awaited
            raise ConfigurationError(f"the handler of {decision.route!r} is async: call the agent's ainvoke or astream")
        return self._update(answer, decision)

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """The awaitable twin of :meth:`before_model`; a plain handler runs in a thread."""
        if not _is_fresh_turn(state):
            return None
        try:
            decision = await self.router.ainvoke(state)
        except NoRouteError as error:  # likewise
            decision = error.decision
        handler = self.handlers.get(decision.route or "")
        answer: Any = await run_in_executor(None, handler, state) if callable(handler) else handler
        return self._update(await answer if inspect.isawaitable(answer) else answer, decision)

    def _update(self, answer: Any, decision: Decision) -> dict[str, Any] | None:
        """What a handler's answer changes in the agent's state."""
        if answer is None:
            return None
        if isinstance(answer, dict):
            return {"jump_to": "end", **answer}
        message = AIMessage(answer) if isinstance(answer, str) else answer
        if not isinstance(message, AIMessage):
            raise ConfigurationError(f"the handler of {decision.route!r} returned {shorten(answer)}")
        if message.tool_calls and self.jump_to != "tools":
            raise ConfigurationError(f"the handler of {decision.route!r} calls a tool: that needs jump_to='tools'")
        metadata = {**message.response_metadata, "semantic_route": _summary(decision)}
        answered = message.model_copy(update={"response_metadata": metadata})
        return {"messages": [answered], "jump_to": "tools" if message.tool_calls else "end"}


class _ToTools(SemanticRoutingMiddleware):
    """The same hooks for an agent with tools: an agent without them refuses the jump when it is made."""

    @hook_config(can_jump_to=["end", "tools"])
    def before_model(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        return super().before_model(state, runtime)

    @hook_config(can_jump_to=["end", "tools"])
    async def abefore_model(self, state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
        return await super().abefore_model(state, runtime)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A choice among an agent's tools, and what it was made for.

    Attributes:
        offered: Names and descriptions of the tools.
        stored: Names of those that have a route.
        revision: The revision at which they had.
        choices: The choice.
    """

    offered: tuple[tuple[str, str], ...]
    stored: frozenset[str]
    revision: int
    choices: Choices


class SemanticToolSelectorMiddleware(AgentMiddleware, Closing):
    """Offers the model only the tools that fit the last human message, without a call of a model.

    Takes the place of LangChain's ``LLMToolSelectorMiddleware``. A tool fits by the route of its name: its
    examples, its threshold. A tool without a route fits by its name and description (:func:`tool_route`),
    encoded once, not stored. All tools that reach their threshold are offered, also when they are close.

    Args:
        router: A router, or a runnable made of one; it may hold routes for no tool at all. Closing it stays
            the caller's business.
        max_tools: Most tools to offer, the best ones; None = all that fit.
        always_include: Names of tools to offer in any case; they do not count for ``max_tools``.
        on_no_match: What to offer when no tool fits, or there is no text: ``all`` tools, or ``none`` but
            those of ``always_include``.
        threshold: Least score, in the place of every route's own; None = the routes' own.
        description_threshold: Least score of tools without a route.

    Raises:
        ConfigurationError: An argument is not valid.
    """

    def __init__(
        self,
        router: InspectableRouter | RunnableSemanticRouter,
        *,
        max_tools: int | None = None,
        always_include: Sequence[str] | None = None,
        on_no_match: Literal["all", "none"] = "all",
        threshold: float | None = None,
        description_threshold: float = TOOL_THRESHOLD,
    ) -> None:
        super().__init__()
        if max_tools is not None and (not isinstance(max_tools, int) or max_tools < 1):
            raise ConfigurationError(f"max_tools = {shorten(max_tools)}: use a whole number from 1, or None")
        if on_no_match not in ("all", "none"):
            raise ConfigurationError(f"on_no_match = {shorten(on_no_match)}: use 'all' or 'none'")
        self.router = require_inspectable(router.router if isinstance(router, RunnableSemanticRouter) else router)
        self.max_tools = max_tools
        self.always_include = list(always_include or ())
        self.on_no_match = on_no_match
        self.threshold = RouteOptions(threshold=threshold).threshold
        self.description_threshold = description_threshold
        self._owns_router = False
        self._prepared: _Prepared | None = None

    @classmethod
    def from_tools(
        cls, tools: Iterable[BaseTool | Callable[..., Any]], *, encoder: Encoder | str | None = None, **arguments: Any
    ) -> Self:
        """A middleware with a router of its own, made of the tools' names and descriptions alone.

        Close it when done, or use it in a ``with`` statement.

        Args:
            tools: The agent's tools.
            encoder: As for :class:`AdaptiveRouter`. The default threshold is for the bundled model.
            **arguments: As for the constructor, without ``router``.
        """
        threshold = arguments.get("description_threshold", TOOL_THRESHOLD)
        made = [each if isinstance(each, BaseTool) else tool(each) for each in tools]
        router = AdaptiveRouter((tool_route(each, threshold=threshold) for each in made), encoder=encoder)
        try:
            middleware = cls(router, **arguments)
        except BaseException:
            router.close()
            raise
        middleware._owns_router = True
        return middleware

    def close(self) -> None:
        """Close the router if :meth:`from_tools` made it."""
        if self._owns_router:
            self.router.close()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with the tools that fit.

        Raises:
            ConfigurationError: The agent has no tool of a name in ``always_include``, or a tool's name
                cannot be a route's.
            Others as :meth:`AdaptiveRouter.route`.
        """
        candidates = self._candidates(request)
        text = _last_human_text(request.messages)
        if not candidates:
            return handler(request)
        if text is None:
            return handler(self._narrowed(request, candidates, []))
        decision = self.router.route(text, options=self._options(candidates))
        return handler(self._narrowed(request, candidates, _fitting(decision)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """The awaitable twin of :meth:`wrap_model_call`."""
        candidates = self._candidates(request)
        text = _last_human_text(request.messages)
        if not candidates:
            return await handler(request)
        if text is None:
            return await handler(self._narrowed(request, candidates, []))
        options = await run_in_executor(None, self._options, candidates)
        decision = await self.router.aroute(text, options=options)
        return await handler(self._narrowed(request, candidates, _fitting(decision)))

    def _candidates(self, request: ModelRequest[Any]) -> list[BaseTool]:
        """The tools to choose from: neither those always included nor those that the provider runs."""
        tools = [each for each in request.tools if isinstance(each, BaseTool)]
        missing = set(self.always_include) - {each.name for each in tools}
        if missing:
            raise ConfigurationError(f"the agent has no tool named {sorted(missing)}, which always_include names")
        return [each for each in tools if each.name not in self.always_include]

    def _options(self, tools: list[BaseTool]) -> RouteOptions:
        # An agent's tools seldom change: one preparation is kept, swapped whole, so no lock is needed.
        prepared = self._prepared
        revision = self.router.revision  # before the routes are read: a change meanwhile is seen next time
        offered = tuple((each.name, each.description) for each in tools)
        if prepared is None or prepared.revision != revision or prepared.offered != offered:
            prepared = self._prepared = self._prepare(tools, offered, revision)
        return RouteOptions(allowed=prepared.choices, threshold=self.threshold, max_candidates=len(tools))

    def _prepare(self, tools: list[BaseTool], offered: tuple[tuple[str, str], ...], revision: int) -> _Prepared:
        routes = self.router.routes
        stored = frozenset(each.name for each in tools if each.name in routes)
        last = self._prepared
        if last is not None and (last.offered, last.stored) == (offered, stored):
            return replace(last, revision=revision)
        extra = [tool_route(each, threshold=self.description_threshold) for each in tools if each.name not in stored]
        return _Prepared(offered, stored, revision, self.router.choices(stored, extra))

    def _narrowed(
        self, request: ModelRequest[Any], candidates: list[BaseTool], fitting: list[str]
    ) -> ModelRequest[Any]:
        """The request with the tools that fit, in the order in which it came."""
        if not fitting and self.on_no_match == "all":
            return request
        dropped = {each.name for each in candidates} - set(fitting[: self.max_tools])
        kept = [each for each in request.tools if not isinstance(each, BaseTool) or each.name not in dropped]
        return request.override(tools=kept)


def tool_route(tool: BaseTool, utterances: Iterable[str] = (), *, threshold: float | None = None) -> Route:
    """The route of a tool: its name in words, the first paragraph of its description, and your examples.

    Args:
        tool: The tool; its name must be one that a route can have.
        utterances: What users say when they need it. With them the name and the description are left out,
            because they score lower, and ``threshold`` is the router's unless given.
        threshold: Least score; None = :data:`TOOL_THRESHOLD` without utterances, with them the router's.

    Raises:
        ConfigurationError: The name cannot be a route's.
    """
    examples = list(utterances)
    if not examples:
        words = tool.name.replace("_", " ").replace("-", " ").replace(".", " ")
        examples = [text for text in (words, tool.description.strip().split("\n\n")[0]) if text.strip()]
        threshold = TOOL_THRESHOLD if threshold is None else threshold
    return Route(tool.name, examples, description=tool.description, threshold=threshold)


def _fitting(decision: Decision) -> list[str]:
    """The routes that reach their threshold, best first: several tools may fit one text."""
    return [candidate.route for candidate in decision.candidates if candidate.passes]


def _is_fresh_turn(state: AgentState[Any]) -> bool:
    messages = state["messages"]
    return bool(messages) and isinstance(messages[-1], HumanMessage) and _last_human_text(messages) is not None


def _last_human_text(messages: Sequence[AnyMessage]) -> str | None:
    """The text of the last human message; None if there is none that could be read."""
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            try:
                return clean_query(str(message.text))
            except InvalidTextError:  # an image alone, for instance: the model's business
                return None
    return None


def _summary(decision: Decision) -> dict[str, Any]:
    return decision.model_dump(mode="json", include={"route", "score", "threshold", "margin", "confidence"})
