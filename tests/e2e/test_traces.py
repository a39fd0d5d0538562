"""One trace over several services (issue 5 §5): request, message, booking, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from shared.kernel.clock import Runtime
from shared.observability.spans import OtelTracing
from shared.observability.tracing import CORRELATION, TRACEPARENT, Tracing
from tests.e2e.scene import COLLECTING, Payer, Scene, scene

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PAYMENTS = "collection.payments.v1"


def into(exporter: InMemorySpanExporter, share: float) -> Callable[[str, Runtime], Tracing]:
    def make(service: str, runtime: Runtime) -> Tracing:
        return OtelTracing(service, runtime, SimpleSpanProcessor(exporter), share)

    return make


def service_of(span: ReadableSpan) -> str:
    return str(span.resource.attributes["service.name"])


def of_trace(exporter: InMemorySpanExporter, trace: str) -> list[ReadableSpan]:
    return [each for each in exporter.get_finished_spans() if f"{each.context.trace_id:032x}" == trace]


def parents(spans: Sequence[ReadableSpan]) -> dict[str, str]:
    """Service and name of each span -> those of its parent, "" for one outside."""
    named = {each.context.span_id: f"{service_of(each)} {each.name}" for each in spans}
    return {
        named[each.context.span_id]: named.get(each.parent.span_id, "") if each.parent is not None else ""
        for each in spans
    }


async def pay(village: Scene, **headers: str) -> str:
    """A mobile payment with headers of its caller's; the correlation it was answered with."""
    lines = [
        {"person_id": line["person_id"], "year": 2020, "insurance": "medical", "amount_fen": line["fen"]}
        for line in await village.lines("a", "medical")
    ]
    paid_at = f"{COLLECTING.isoformat()}T08:30:00+08:00"
    body = {"order_no": "W-1", "channel": "WECHAT", "paid_at": paid_at, "lines": lines}
    reply = await village.system.clients.call(
        "channel-wechat",
        "collection",
        "POST",
        "/payments",
        json=body,
        headers={"Idempotency-Key": "k", **headers},
    )
    assert reply.status == 201
    await village.system.drain()
    log = village.system.services["collection"].parts.log
    page = await log.read_page(0, 1_000_000, None, await log.head())
    return next(
        row.metadata.correlation for row in page.events if type(row.event).__name__ == "PaymentReceived"
    )


@pytest.mark.parametrize("fronted", [True, False], ids=["front", "stack"])
async def test_a_payments_trace_spans_collection_and_registration(*, fronted: bool) -> None:
    """Given a sampled trace of the channel's, when it pays, then what registration books hangs below the request."""
    exporter = InMemorySpanExporter()
    async with scene(Payer("a"), tracing=into(exporter, 0.0)) as village:
        await village.roster()
        await village.day(COLLECTING)
        if not fronted:
            village.system.services["collection"].app.front = None
        assert exporter.get_finished_spans() == ()
        correlation = await pay(village, traceparent=f"00-{TRACE}-{CALLER}-01")
        assert correlation == TRACE
        spans = of_trace(exporter, TRACE)
        assert len(spans) == len(exporter.get_finished_spans())
        [request] = [each for each in spans if each.kind is SpanKind.SERVER]
        assert (service_of(request), request.name) == ("collection", "POST /payments")
        assert request.parent is not None
        assert f"{request.parent.span_id:016x}" == CALLER
        assert dict(request.attributes or {}) == {
            "http.request.method": "POST",
            "http.route": "/payments",
            "http.response.status_code": 201,
            CORRELATION: TRACE,
        }
        assert parents(spans)[f"registration process {PAYMENTS}"] == "collection POST /payments"
        booked = next(each for each in spans if service_of(each) == "registration")
        assert booked.kind is SpanKind.CONSUMER
        assert (booked.attributes or {})["messaging.destination.name"] == PAYMENTS
        assert request.start_time is not None
        assert booked.end_time is not None
        assert booked.start_time is not None
        assert booked.start_time <= booked.end_time


async def test_a_trace_goes_on_through_reactions_to_the_next_service() -> None:
    """Given every trace sampled, when a resident enrols, then who hears of collection's answer is below collection."""
    exporter = InMemorySpanExporter()
    async with scene(Payer("a"), tracing=into(exporter, 1.0)):
        [enrolled] = [each for each in exporter.get_finished_spans() if each.name == "POST /enrolments"]
        assert (enrolled.attributes or {})[CORRELATION].replace(
            "-", ""
        ) == f"{enrolled.context.trace_id:032x}"
        found = parents(of_trace(exporter, f"{enrolled.context.trace_id:032x}"))
        first = [name for name, parent in found.items() if parent == "registration POST /enrolments"]
        assert any(name.startswith("collection process registration.") for name in first)
        second = [name for name, parent in found.items() if parent in first]
        assert any(name.partition(" process collection.")[1] for name in second), found


async def test_a_trace_that_is_not_sampled_leaves_nothing_behind() -> None:
    """No span, and not a byte in the log or a message."""
    exporter = InMemorySpanExporter()
    async with scene(Payer("a"), tracing=into(exporter, 1.0)) as village:
        await village.roster()
        await village.day(COLLECTING)
        exporter.clear()
        await pay(village, traceparent=f"00-{TRACE}-{CALLER}-00")
        assert of_trace(exporter, TRACE) == []
        for service in village.system.services.values():
            page = await service.parts.log.read_page(0, 1_000_000, None, await service.parts.log.head())
            rows = [row for row in page.events if row.metadata.correlation == TRACE]
            assert all(TRACEPARENT not in row.metadata.extra for row in rows)
        published = await village.published("collection", "payment_received")
        assert [each.get("traceparent") for each in published] == [None]


async def test_without_tracing_a_callers_header_is_its_correlation_and_no_more() -> None:
    """Off: the log holds what it held before, whatever the caller asks for."""
    async with scene(Payer("a")) as village:
        await village.roster()
        await village.day(COLLECTING)
        assert await pay(village, traceparent=f"00-{TRACE}-{CALLER}-01") == TRACE
        for service in village.system.services.values():
            page = await service.parts.log.read_page(0, 1_000_000, None, await service.parts.log.head())
            assert all(TRACEPARENT not in row.metadata.extra for row in page.events)
