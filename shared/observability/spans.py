"""Spans by OpenTelemetry's SDK (extra ``tracing``); ids and times come from the runtime as everywhere."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from shared.kernel.clock import Runtime
from shared.observability.tracing import PATTERN, Attributes, Kind

SEND_SECONDS = 2.0
"""How long a collector is waited for; spans are dropped rather than kept for ever."""

_KINDS = {Kind.SERVER: SpanKind.SERVER, Kind.CONSUMER: SpanKind.CONSUMER}
_NANOSECONDS = 1_000_000_000


def to_collector(service: str, runtime: Runtime, url: str, share: float) -> OtelTracing:
    """Spans in batches, from a thread of the SDK's own, to an OTLP/HTTP address."""
    exporter = OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS)
    return OtelTracing(service, runtime, BatchSpanProcessor(exporter), share)


class OtelTracing:
    """See tracing.Tracing. processor: where ended spans go."""

    def __init__(self, service: str, runtime: Runtime, processor: SpanProcessor, share: float = 1.0) -> None:
        self._runtime = runtime
        self._ids = _Ids(runtime)
        self._provider = TracerProvider(
            sampler=ParentBased(root=TraceIdRatioBased(share)),
            resource=Resource.create({SERVICE_NAME: service, SERVICE_NAMESPACE: "liangxian"}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("liangxian")

    def begin(self, name: str, kind: Kind, parent: str = "", trace: str = "") -> OtelTraced:
        """See tracing.Tracing.begin."""
        context = Context()
        came = PATTERN.fullmatch(parent)
        if came is not None:
            before = SpanContext(
                int(came[1], 16), int(came[2], 16), is_remote=True, trace_flags=TraceFlags(int(came[3], 16))
            )
            context = set_span_in_context(NonRecordingSpan(before), context)
        else:
            self._ids.next_trace = trace.replace("-", "")
        span = self._tracer.start_span(name, context, _KINDS[kind], start_time=self._now())
        return OtelTraced(self, span)

    def _now(self) -> int:
        return int(self._runtime.timestamp() * _NANOSECONDS)

    def close(self) -> None:
        """See tracing.Tracing.close."""
        self._provider.shutdown()


class OtelTraced:
    """See tracing.Span."""

    __slots__ = ("_span", "_tracing", "traceparent")

    def __init__(self, tracing: OtelTracing, span: OtelSpan) -> None:
        self._tracing = tracing
        self._span = span
        context = span.get_span_context()
        self.traceparent = ""
        if context.trace_flags.sampled:
            self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def end(self, name: str, attributes: Attributes, *, failed: bool = False) -> None:
        """See tracing.Span.end."""
        if not self.traceparent:
            return
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(self._tracing._now())


class _Ids(IdGenerator):
    """next_trace: the id of the next trace that begins here, hex; anything else: a random one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.next_trace = ""

    def _random(self, count: int) -> int:
        return int.from_bytes(self._runtime.random_bytes(count), "big") or 1

    def generate_span_id(self) -> int:
        return self._random(8)

    def generate_trace_id(self) -> int:
        wanted, self.next_trace = self.next_trace, ""
        try:
            return (int(wanted, 16) if len(wanted) == 32 else 0) or self._random(16)
        except ValueError:
            return self._random(16)
