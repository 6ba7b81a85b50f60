"""Spans of OpenTelemetry, if its SDK is there; where they go is set up as always with OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

    def end_with(self, status: int, method: str, path: str) -> None:
        """Say what became of the request, in OpenTelemetry's terms."""
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{method} {path}")
        self._span.set_attribute("http.route", path)
        self._span.set_attribute("http.response.status_code", status)
        if status >= FAILED:
            self._span.set_status(StatusCode.ERROR)


class Tracing:
    """Makes a span for each request, under the one that its caller names in ``traceparent``."""

    def __init__(self) -> None:
        from opentelemetry import trace

        self._tracer = trace.get_tracer("synaptoroute_integrations.server")

    @classmethod
    def if_installed(cls) -> Tracing | None:
        """Tracing if the SDK is there."""
        return cls() if find_spec("opentelemetry") is not None and find_spec("opentelemetry.sdk") is not None else None

    @contextmanager
    def span(self, method: str, headers: Headers) -> Iterator[RequestSpan]:
        """The span of a request, current as long as the block runs."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        attributes = {"http.request.method": method}
        with self._tracer.start_as_current_span(
            method, context=extract(dict(headers)), kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            yield RequestSpan(span)

    def decided(self, decision: Decision) -> None:
        """Put a decision on the current span. The text stays out of it."""
        from opentelemetry import trace

        span = trace.get_current_span()
        if not span.is_recording():
            return
        span.set_attribute("synaptoroute.reason", decision.reason)
        span.set_attribute("synaptoroute.revision", decision.revision)
        for name in ("route", "score", "threshold", "margin", "confidence"):
            value = getattr(decision, name)
            if value is not None:
                span.set_attribute(f"synaptoroute.{name}", value)
