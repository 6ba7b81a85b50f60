"""The base of all values: models that cannot be changed, fail with our errors, and show themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from synaptoroute_core.errors import ConfigurationError, SynaptoRouteError, shorten
from synaptoroute_core.views import Printer, fields_html, fields_text, write_text


class FrozenModel(BaseModel):
    """A pydantic model that cannot be changed and fails with :class:`ConfigurationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise readable(error) from error

    # Tells pydantic that validation need not go through this constructor: a model inside another
    # one, or made by model_validate, then reports its errors as pydantic users expect.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return fields_html(self)

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002, FBT001  # as IPython calls it
        """What IPython shows where there is no HTML."""
        write_text(printer, self._text(), self._line())

    def _text(self) -> str:
        """The value on lines of its own."""
        return fields_text(self)

    def _line(self) -> str:
        """The value in the midst of others."""
        return repr(self)


def readable(error: ValidationError) -> SynaptoRouteError:
    """The first thing that is wrong, as one of our errors, with the value and its place."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, SynaptoRouteError):
        return cause
    place = ".".join(str(part) for part in first["loc"]) or "value"
    return ConfigurationError(f"{error.title}: {place} = {shorten(first['input'])}: {first['msg']}")
