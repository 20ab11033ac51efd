"""Traces for OpenTelemetry: a request, the job it asked for, and the vendor's calls of that job, as one story.

Off unless the extra `tracing` is installed and OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) is set; while it is
off, each place that could tell costs one comparison. The SDK reads its other settings (OTEL_TRACES_SAMPLER, …) itself.

What a span may say is written here and nowhere else: methods, route templates, hosts, paths without their query, status
codes, ids. Never a header, a query, a body or the text of an error, for any of these can hold a secret.
Names are those of OpenTelemetry's semantic conventions (HTTP and messaging).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    import httpx
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

log = structlog.get_logger(__name__)

TRACEPARENT = "traceparent"
# A collector that does not answer holds the end of the process up no longer than this.
LAST_SPANS_S = 3.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Switch:
    tracer: Tracer | None = None


_switch = _Switch()
_OFF: AbstractContextManager[None] = nullcontext()


def is_on() -> bool:
    """Whether anything is told."""
    return _switch.tracer is not None


@asynccontextmanager
async def traced(process_id: object) -> AsyncIterator[None]:
    """Tell for the time of the block, where that is set up; what is still untold is sent at the end."""
    processor = _exporting() if _is_asked_for() else None
    if processor is None:
        yield
        return
    try:
        with telling(processor, process_id=process_id):
            yield
    finally:
        ending = threading.Thread(target=processor.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, LAST_SPANS_S)


@contextmanager
def telling(processor: SpanProcessor, *, process_id: object = "") -> Iterator[None]:
    """Tell spans to this processor for the time of the block."""
    provider = _provider(process_id)
    provider.add_span_processor(processor)
    _switch.tracer = provider.get_tracer("seatwise")
    try:
        yield
    finally:
        _switch.tracer = None


def _is_asked_for() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    elsewhere = os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    return any(os.environ.get(name) for name in _ENDPOINTS) and not disabled and not elsewhere


def _exporting() -> SpanProcessor | None:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("tracing.not_installed", detail="Install Seatwise with its extra `tracing` to send traces.")
        return None
    return BatchSpanProcessor(OTLPSpanExporter())


def _provider(process_id: object) -> TracerProvider:
    """Of this service, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider

    own = {
        "service.name": "seatwise",
        "service.version": version("seatwise"),
        "service.instance.id": str(process_id),
    }
    resource = Resource.create(own).merge(OTELResourceDetector().detect())
    return TracerProvider(resource=resource, shutdown_on_exit=False)


def request(method: str, scheme: str, headers: Mapping[str, str]) -> AbstractContextManager[Span | None]:
    """The time of one request to the API; within the caller's trace where a W3C `traceparent` names one."""
    tracer = _switch.tracer
    if tracer is None:
        return _OFF
    from opentelemetry.trace import SpanKind

    attributes = {"http.request.method": _known(method), "url.scheme": scheme}
    return _span(tracer, _known(method), SpanKind.SERVER, attributes, _context(headers))


def served(span: Span | None, method: str, route: str | None, status: int, request_id: str) -> None:
    """What became of a request. `route` is the template: a path may have been mistyped with a key in it."""
    if span is None:
        return
    if route is not None:
        span.update_name(f"{_known(method)} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("http.response.header.x-request-id", [request_id])
    if status >= 500:
        _failed(span, str(status))


def _known(method: str) -> str:
    return method if method in _METHODS else "_OTHER"


def job(name: str, job_id: object, payload: Mapping[str, Any]) -> AbstractContextManager[Span | None]:
    """The time of one turn of a job; within the trace of what asked for it."""
    tracer = _switch.tracer
    if tracer is None:
        return _OFF
    from opentelemetry.trace import SpanKind

    attributes = {
        "messaging.system": "pgqueuer",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": name,
        "messaging.message.id": str(job_id),
    }
    return _span(tracer, f"process {name}", SpanKind.CONSUMER, attributes, _context(payload))


def carried(payload: dict[str, Any]) -> dict[str, Any]:
    """A job's payload with the trace that it is asked for in."""
    if _switch.tracer is None:
        return payload
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {**payload, TRACEPARENT: carrier[TRACEPARENT]} if TRACEPARENT in carrier else payload


def vendor_call(sent: httpx.Request, path: str) -> AbstractContextManager[Span | None]:
    """The time of one request to a vendor. Its URL is told without user, query and fragment.

    path   of the URL, free of secrets: ids in it are the vendor's, which may repeat what it was told.
    """
    tracer = _switch.tracer
    if tracer is None:
        return _OFF
    attributes = _called(sent.method, sent.url)
    attributes["url.full"] = f"{sent.url.scheme}://{sent.url.netloc.decode('ascii')}{path}"
    return _client_span(tracer, sent.method, attributes)


def webhook_attempt(url: httpx.URL, message_id: str) -> AbstractContextManager[Span | None]:
    """The time of one attempt at a webhook. Many receivers keep a secret in the path, so only the host is told."""
    tracer = _switch.tracer
    if tracer is None:
        return _OFF
    attributes = _called("POST", url)
    attributes["messaging.message.id"] = message_id
    return _client_span(tracer, "POST webhook", attributes)


def answered(span: Span | None, status: int) -> None:
    """What a vendor or a receiver said."""
    if span is None:
        return
    span.set_attribute("http.response.status_code", status)
    if status >= 400:
        _failed(span, str(status))


def _called(method: str, url: httpx.URL) -> dict[str, str | int]:
    port = url.port or (443 if url.scheme == "https" else 80)
    return {"http.request.method": method, "server.address": url.host, "server.port": port}


def _client_span(tracer: Tracer, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[Span]:
    from opentelemetry.trace import SpanKind

    return _span(tracer, name, SpanKind.CLIENT, attributes, None)


def _context(carrier: Mapping[str, str]) -> Context:
    """The trace that a carrier names, of an empty context where it names none that can be read.

    A `tracestate` stays where it came from: it has whatever somebody put into it.
    """
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    named = {TRACEPARENT: carrier[TRACEPARENT]} if TRACEPARENT in carrier else {}
    return TraceContextTextMapPropagator().extract(named, context=Context())


@contextmanager
def _span(
    tracer: Tracer, name: str, kind: SpanKind, attributes: Mapping[str, str | int], context: Context | None
) -> Iterator[Span]:
    """A span of the block, and its trace's id in the block's log lines. Of what is raised only the type is told."""
    with tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        trace_id = format(span.get_span_context().trace_id, "032x")
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                yield span
            except BaseException as error:
                _failed(span, type(error).__qualname__)
                raise


def _failed(span: Span, error_type: str) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR)
