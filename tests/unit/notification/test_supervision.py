"""Supervision: rule hits open a case, a case closes with a finding (I-22)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import msgspec
import pytest

from services.notification.app import SERVICE
from services.notification.supervision import domain as d
from services.notification.supervision import events as e
from shared.contracts.collection import RefundPaidAfterCancellationV1
from shared.eventstore.commands import BlindAppend, Page
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.testing.service import memory_service

DAY = dt.date(2019, 10, 28)
FLAG = d.Flag(
    d.RETENTION,
    "agent-01",
    "370406-2020",
    "370406101201",
    Insurance.MEDICAL,
    dt.date(2019, 10, 27),
    52_000,
    ("event-1",),
)


def given(*events: object) -> d.Case:
    state = d.Case()
    for event in events:
        state = d.evolve(state, event)  # type: ignore[arg-type]
    return state


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (d.RETENTION, e.FundRetentionFlagged),
        (d.ADVANCE, e.AdvanceFundingFlagged),
        (d.SHORTFALL, e.ShortfallFlagged),
        (d.PAID_IN_VAIN, e.RefundPaidInVainFlagged),
    ],
)
def test_the_first_hit_opens_a_case(rule: str, kind: type[e.Flagged]) -> None:
    """I-22: older cash is 滞留, a deposit above receipts 垫资."""
    decision = d.flag(d.Case(), replace(FLAG, rule=rule), DAY)
    assert isinstance(decision, list)
    hit, opened = decision
    assert isinstance(hit, kind)
    assert hit.fen == 52_000
    assert isinstance(opened, e.AuditCaseOpened)


def test_the_same_evidence_twice_is_one_hit_and_another_adds_to_the_case() -> None:
    first = d.flag(d.Case(), FLAG, DAY)
    assert isinstance(first, list)
    assert d.flag(given(*first), FLAG, DAY) == []
    second = d.flag(given(*first), replace(FLAG, evidence=("event-2",)), DAY)
    assert isinstance(second, list)
    assert [type(event) for event in second] == [e.FundRetentionFlagged]


def test_a_case_closes_once_and_only_with_a_finding() -> None:
    """A closed case needs a finding."""
    opened = d.flag(d.Case(), FLAG, DAY)
    assert isinstance(opened, list)
    for history, finding, code in (
        ([], "x", "CASE_UNKNOWN"),
        (opened, "  ", "FINDING_MISSING"),
    ):
        refusal = d.close_case(given(*history), "c", finding, "auditor", DAY)
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
    closed = d.close_case(given(*opened), "c", "已补缴", "auditor", DAY)
    assert isinstance(closed, list)
    again = d.close_case(given(*opened, *closed), "c", "已补缴", "auditor", DAY)
    assert isinstance(again, Refusal)
    assert again.code == "CASE_CLOSED"


async def test_a_refund_paid_in_vain_is_a_case_of_its_village_and_only_a_finding_ends_it() -> None:
    """I-28: the bank had paid what was cancelled; told twice it is one hit, and auditors see the case."""
    paid = RefundPaidAfterCancellationV1(
        person_id="p1",
        refund_no="F-1",
        payment_line_id="L-1",
        campaign="370406-2020",
        village="370406101201",
        insurance=Insurance.MEDICAL,
        year=2020,
        fen=26_000,
        paid_on=DAY,
    )
    async with memory_service(SERVICE, today=DAY) as service:
        told = BlindAppend(
            "received:collection:refunds:p1",
            paid.type_name(),
            msgspec.json.encode(paid),
            Metadata("correlation", "event-1"),
            service.ports.clock.now(),
        )
        for _ in range(2):
            await service.ports.store.execute_page(Page((), blind=[told]))
            await service.settle()
        async with service.client(["notification:supervision:read"], ["370406101201"]) as client:
            [shown] = (await client.get("/cases", params={"rule": d.PAID_IN_VAIN})).json()["items"]
        async with service.client(["notification:supervision:read"], ["370406102201"]) as client:
            elsewhere = (await client.get("/cases")).json()["items"]
    assert (shown["subject"], shown["hits"], shown["fen"], shown["state"]) == ("F-1", 1, 26_000, "OPEN")
    assert elsewhere == []
