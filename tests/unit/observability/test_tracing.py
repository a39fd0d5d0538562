"""Spans by OpenTelemetry's SDK: ids, sampling, and what a collector receives (issue 5 §5)."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.kernel.clock import SeededRuntime
from shared.observability.spans import OtelTracing
from shared.observability.tracing import PATTERN, Kind, Tracing, open_tracing
from tests.unit.observability.collector import collecting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


def recording(share: float = 1.0, seed: int = 1) -> tuple[OtelTracing, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    return OtelTracing("collection", SeededRuntime(seed), SimpleSpanProcessor(exporter), share), exporter


def test_without_an_address_there_is_no_tracing() -> None:
    assert open_tracing("collection", SeededRuntime(1), "", 1.0) is None


def test_a_collector_receives_the_spans_that_ended() -> None:
    """Sent at the latest when the process ends; one that never ended is not among them."""
    with collecting() as collector:
        tracing = open_tracing("collection", SeededRuntime(1), collector.url, 1.0)
        assert tracing is not None
        tracing.begin("POST", Kind.SERVER, trace=TRACE).end(
            "POST /payments", {"http.response.status_code": 201}
        )
        tracing.begin("POST", Kind.SERVER)
        tracing.close()
    [of_resource] = collector.received()
    resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert (resource["service.name"], resource["service.namespace"]) == ("collection", "liangxian")
    [scope] = of_resource.scope_spans
    [span] = scope.spans
    assert (span.name, span.trace_id.hex()) == ("POST /payments", TRACE)


def test_a_collector_that_is_away_ends_nothing() -> None:
    """Spans are dropped rather than kept: neither a request nor the end of the process waits for them."""
    tracing = open_tracing("collection", SeededRuntime(1), "http://127.0.0.1:1/v1/traces", 1.0)
    assert tracing is not None
    tracing.begin("POST", Kind.SERVER).end("POST /payments", {})
    tracing.close()


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (TRACE, TRACE),
        ("0190b4c6-7d3a-7b1e-8f00-1234567890ab", "0190b4c67d3a7b1e8f001234567890ab"),
        ("gateway-00000001", None),
        ("0" * 32, None),
        ("", None),
    ],
)
def test_a_trace_that_begins_here_has_the_correlations_id_where_it_can(
    trace: str, expected: str | None
) -> None:
    tracing, _ = recording()
    found = PATTERN.fullmatch(tracing.begin("POST", Kind.SERVER, trace=trace).traceparent)
    assert found is not None
    assert (found[1] == expected) == (expected is not None)
    again = PATTERN.fullmatch(tracing.begin("POST", Kind.SERVER).traceparent)
    assert again is not None
    assert again[1] != found[1]


def test_a_callers_trace_is_gone_on_with_and_its_word_on_sampling_counts() -> None:
    tracing, exporter = recording(share=0.0)
    sampled = tracing.begin("POST", Kind.SERVER, f"00-{TRACE}-{CALLER}-01")
    silent = tracing.begin("POST", Kind.SERVER, f"00-{TRACE}-{CALLER}-00")
    own = tracing.begin("POST", Kind.SERVER)
    assert sampled.traceparent.startswith(f"00-{TRACE}-")
    assert CALLER not in sampled.traceparent
    assert (silent.traceparent, own.traceparent) == ("", "")
    for span in (sampled, silent, own):
        span.end("POST /payments", {}, failed=True)
    [told] = exporter.get_finished_spans()
    assert told.parent is not None
    assert f"{told.parent.span_id:016x}" == CALLER
    assert not told.status.is_ok


def test_a_malformed_parent_begins_a_trace() -> None:
    tracing, _ = recording()
    assert TRACE not in tracing.begin("POST", Kind.SERVER, f"00-{TRACE}-nonsense-01").traceparent


async def test_ids_and_times_come_from_the_runtime() -> None:
    """One seed, one history: also with tracing."""

    async def history(tracing: OtelTracing, runtime: SeededRuntime) -> None:
        span = tracing.begin("POST", Kind.SERVER)
        await runtime.sleep(2)
        span.end("POST /payments", {})

    told = []
    for _ in range(2):
        runtime, exporter = SeededRuntime(7), InMemorySpanExporter()
        await history(OtelTracing("collection", runtime, SimpleSpanProcessor(exporter)), runtime)
        [span] = exporter.get_finished_spans()
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.end_time - span.start_time == 2_000_000_000
        told.append((span.context.trace_id, span.context.span_id, span.start_time))
    assert told[0] == told[1]


def test_the_adapter_is_what_the_port_says() -> None:
    tracing: Tracing = recording()[0]
    tracing.close()
