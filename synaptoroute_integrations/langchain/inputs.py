"""The query text in what LangChain and LangGraph hand to a runnable."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import AnyMessage, BaseMessage, ChatMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import ChatPromptValueConcrete, PromptValue, StringPromptValue
from pydantic import BaseModel

from synaptoroute_core import ConfigurationError, InvalidTextError
from synaptoroute_core.errors import shorten

RouterInput: TypeAlias = (
    str | StringPromptValue | ChatPromptValueConcrete | list[AnyMessage] | AnyMessage | dict[str, Any]
)
"""What the schemas of the runnables show; LangGraph states of other kinds are taken too."""

InputFunction: TypeAlias = Callable[[Any], Any]

INPUT_KEYS = ("messages", "input", "query", "question", "text")
"""Where a query is looked for in a dict or a state, unless ``input_key`` says where."""

HUMAN_ROLES = ("human", "user")
MAX_LISTED = 200


class InputReader:
    """Finds the query text in a runnable's input.

    Args:
        input_key: Key or attribute of a dict or state that holds the query; None = one of ``INPUT_KEYS``.
        input_fn: Called with the input; gives the query, or anything that this class reads.

    Raises:
        ConfigurationError: Both are given, or ``input_fn`` is not a plain function.
    """

    def __init__(self, input_key: str | None, input_fn: InputFunction | None) -> None:
        if input_key is not None and input_fn is not None:
            raise ConfigurationError("input_key and input_fn were both given: use one of them")
        if input_fn is not None and (not callable(input_fn) or inspect.iscoroutinefunction(input_fn)):
            raise ConfigurationError(
                f"input_fn = {shorten(input_fn)}: give a function that is not a coroutine function"
            )
        self._input_key = input_key
        self._input_fn = input_fn

    def text(self, given: object) -> str:
        """The query text.

        Raises:
            TypeError: The input is of a kind that is not read, or it is not clear which part is meant.
            InvalidTextError: There is no human message, or no text in it.
        """
        if self._input_fn is not None:
            return InputReader(None, None).text(self._input_fn(given))
        if isinstance(given, list) and given and all(isinstance(item, str) for item in given):
            raise TypeError(f"the input is a list of {len(given)} strings: use batch() for many queries")
        if not isinstance(given, BaseMessage | PromptValue) and not _is_message_dict(given):
            state = fields_of(given)
            if state is not None:
                return text_of(self._chosen(given, state))
        return text_of(given)

    def _chosen(self, given: object, state: Mapping[str, Any]) -> object:
        if self._input_key is not None:
            if self._input_key in state:
                return state[self._input_key]
            raise TypeError(
                f"the input, of type {type(given).__name__}, has no {self._input_key!r}, "
                f"which is the input_key; it has: {_listed(state)}"
            )
        # A state's field that is not filled yet is None.
        found = [key for key in INPUT_KEYS if state.get(key) is not None]
        if len(found) == 1:
            return state[found[0]]
        problem = f"could be {' or '.join(map(repr, found))}" if found else f"is not clear; it has: {_listed(state)}"
        raise TypeError(
            f"where the query is in the input, of type {type(given).__name__}, {problem}. "
            "Say which with input_key='...', or give input_fn=..."
        )


def text_of(value: object) -> str:
    """The text of a string, a message, a prompt value or a list of messages.

    Raises:
        TypeError: It is none of these.
        InvalidTextError: There is no human message, or no text in it.
    """
    if isinstance(value, str):
        return str.__str__(value)  # a plain string also of a subclass: LangChain's own, or a StrEnum
    if isinstance(value, PromptValue):
        return _last_human(value.to_messages())
    if isinstance(value, BaseMessage):
        return _message_text(value)
    if _is_message_dict(value) or _is_role_and_text(value):
        return _message_text(_message(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return _last_human(value)
    raise TypeError(
        f"a router cannot find a query in {type(value).__name__}: give a string, a message, a list of messages, a "
        "prompt value, or a dict or state with one of these, and input_key='...' or input_fn=... to say where it is"
    )


def fields_of(value: object) -> Mapping[str, Any] | None:
    """Names and values of a mapping, a pydantic model or a dataclass; None for anything else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return None


def _last_human(items: Sequence[object]) -> str:
    for item in reversed(items):
        message = _message(item)
        if isinstance(message, HumanMessage) or (isinstance(message, ChatMessage) and message.role in HUMAN_ROLES):
            return _message_text(message)
    kinds = ", ".join(dict.fromkeys(_message(item).type for item in items)) or "no messages at all"
    raise InvalidTextError(f"there is no human message to route by, only: {kinds}")


def _message(item: object) -> BaseMessage:
    if isinstance(item, BaseMessage):
        return item
    try:
        return convert_to_messages([item])[0]  # type: ignore[list-item]  # it says itself what it does not take
    except (NotImplementedError, ValueError, TypeError):
        # The cause would quote the message, which does not belong in traces.
        raise TypeError(
            f"a list of messages holds {type(item).__name__}, which is no message: "
            "give messages, ('human', text) or {'role': 'user', 'content': text}"
        ) from None


def _message_text(message: BaseMessage) -> str:
    text = str.__str__(message.text)
    if text.strip():
        return text
    content = message.content
    blocks = [block.get("type", "?") for block in content if isinstance(block, dict)] if content else []
    held = f"only: {', '.join(dict.fromkeys(blocks))}" if blocks else "it is empty"
    raise InvalidTextError(f"the {message.type} message has no text to route by, {held}")


def _is_message_dict(value: object) -> bool:
    return isinstance(value, Mapping) and "content" in value and ("role" in value or "type" in value)


def _is_role_and_text(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value)  # noqa: PLR2004


def _listed(state: Mapping[str, Any]) -> str:
    names = ", ".join(map(repr, state)) or "nothing"
    return names if len(names) <= MAX_LISTED else f"{names[:MAX_LISTED]}..."
