"""Spans as OpenTelemetry has them. The only module that imports it, and only where tracing is turned on.

Spans are made with ids of our own (`schemas.trace`), which OpenTelemetry's tracers cannot do, so what is given to its
exporter are finished spans. Everything else about the exporter (headers, certificates, compression) is said by its own
variables, `OTEL_EXPORTER_OTLP_*`; who we are may be overruled by `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from schemas.trace import TraceContext
from streams.tracing.spans import Span
from streams.tracing.spans import SpanKind as Kind

TIMEOUT_S: Final = 5.0
KINDS: Final = {
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.INTERNAL: SpanKind.INTERNAL,
}


class OtlpExporter:
    """See `streams.tracing.outbox.Exporter`."""

    def __init__(self, exporter: SpanExporter, service: str, instance: str | None = None) -> None:
        self._exporter = exporter
        ours = {"service.name": service, "service.version": version("pegel")}
        if instance is not None:
            ours["service.instance.id"] = instance
        self._resource = Resource(ours).merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope("pegel", version("pegel"))

    def export(self, spans: Sequence[Span]) -> bool:
        return self._exporter.export([self.finished(span) for span in spans]) is SpanExportResult.SUCCESS

    def close(self) -> None:
        self._exporter.shutdown()

    def finished(self, span: Span) -> ReadableSpan:
        """A span in OpenTelemetry's terms."""
        attributes = dict(span.attributes)
        if span.failed is not None:
            attributes["error.type"] = span.failed
        return ReadableSpan(
            span.name,
            _context(span.context),
            None if span.parent is None else _context(span.parent, remote=True),
            self._resource,
            attributes,
            links=[Link(_context(one, remote=True)) for one in span.links],
            kind=KINDS[span.kind],
            status=Status(StatusCode.UNSET) if span.failed is None else Status(StatusCode.ERROR, span.failed),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


def otlp_exporter(endpoint: str | None, service: str, instance: str | None) -> OtlpExporter:
    """`endpoint` None: as the variables say."""
    return OtlpExporter(OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S), service, instance)


def _context(context: TraceContext, *, remote: bool = False) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
