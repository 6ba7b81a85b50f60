"""Spans of OpenTelemetry, if its SDK is there; where they go is set up as always with OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from synaptoroute_core import Decision

if TYPE_CHECKING:
    from opentelemetry.trace import Span

FAILED = 500


class RequestSpan:
    """The span of one request.

    Args:
        span: OpenTelemetry's.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._decisions = 0
        self._abstentions = 0
        self._last: Decision | None = None

    def decided(self, decision: Decision) -> None:
        """Note a decision of this request."""
        self._decisions += 1
        self._abstentions += decision.route is None
        self._last = decision

    def end_with(self, status: int, method: str, path: str) -> None:
        """Say what became of the request, in OpenTelemetry's terms. Texts stay out of it."""
        if not self._span.is_recording():
            return
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{method} {path}")
        self._span.set_attribute("http.route", path)
        self._span.set_attribute("http.response.status_code", status)
        if status >= FAILED:
            self._span.set_status(StatusCode.ERROR)
        if self._last is not None:
            self._span.set_attribute("synaptoroute.decisions", self._decisions)
            self._span.set_attribute("synaptoroute.abstentions", self._abstentions)
            self._span.set_attribute("synaptoroute.revision", self._last.revision)
            if self._decisions == 1:
                self._describe(self._last)

    def _describe(self, decision: Decision) -> None:
        for name in ("reason", "route", "score", "threshold", "margin", "confidence", "scorer"):
            value = getattr(decision, name)
            if value is not None:
                self._span.set_attribute(f"synaptoroute.{name}", value)


_current: ContextVar[RequestSpan | None] = ContextVar("synaptoroute_request_span", default=None)


class Tracing:
    """Makes a span for each request, under the one that its caller names in ``traceparent``."""

    def __init__(self) -> None:
        from opentelemetry import trace

        self._tracer = trace.get_tracer("synaptoroute_integrations.server")

    @classmethod
    def if_installed(cls) -> Tracing | None:
        """Tracing if the SDK is there."""
        return cls() if find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None else None

    @property
    def is_on(self) -> bool:
        """Whether spans go anywhere: making ones that nobody wants costs a third of what a request does."""
        from opentelemetry import trace

        return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

    @contextmanager
    def span(self, method: str, headers: Headers) -> Iterator[RequestSpan]:
        """The span of a request, current as long as the block runs."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        with self._tracer.start_as_current_span(
            method,
            context=extract(dict(headers)),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method},
            record_exception=False,  # its words may be those of a text
            set_status_on_exception=False,
        ) as span:
            made = RequestSpan(span)
            token = _current.set(made)
            try:
                yield made
            except BaseException:
                span.set_status(StatusCode.ERROR)
                raise
            finally:
                _current.reset(token)

    def decided(self, decision: Decision) -> None:
        """Put a decision on the span of the request at work."""
        made = _current.get()
        if made is not None:
            made.decided(decision)
