"""Refunds through their routes and messages (I-28, I-31; scenarios 4 and 5)."""

from __future__ import annotations

import datetime as dt

import pytest

from services.collection.obligations import events as e
from services.collection.refunds import events as r
from services.collection.refunds.publication import RefundPublication
from shared.contracts.registration import (
    DeathReportCorrectedV1,
    DeathReportedV1,
    RefundVerificationRejectedV1,
    RefundVerifiedV1,
)
from shared.contracts.subsidy import RefundApprovedV1
from shared.kernel.insurance import Insurance
from tests.unit.collection.money_service import (
    CAMPAIGN,
    MoneyService,
    cash,
    declaration_body,
    line,
    opened,
    payment,
    settled_village,
    states,
)

DUPLICATE = "F-CASH_AGENT-C1-1"


async def duplicate() -> MoneyService:
    """Paid by WeChat, then captured again by the agent."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.post("/payments", cash("C1", "p1", captured=True))
    return money


async def verdicts(money: MoneyService, refund_no: str, fen: int = 26000) -> None:
    """Registration verifies, finance approves."""
    await money.receive(RefundVerifiedV1(person_id="p1", refund_no=refund_no, payment_id="x", rule="OK"))
    await money.receive(RefundApprovedV1(person_id="p1", refund_no=refund_no, fen=fen))


def paid(fen: int = 26000, on: str = "2019-12-05") -> dict[str, object]:
    return {"amount_fen": fen, "paid_on": on, "bank_ref": "R1"}


async def state_of(money: MoneyService, refund_no: str) -> str:
    items = (await money.get("/refunds"))["items"]
    return next(item["state"] for item in items if item["refund_no"] == refund_no)


async def test_a_refund_of_another_division_is_neither_shown_nor_paid() -> None:
    """Scopes hold per division, for what is paid out and for what is read."""
    money = await duplicate()
    await verdicts(money, DUPLICATE)
    elsewhere = ("370402",)
    refused = await money.post(f"/refunds/{DUPLICATE}:paid", paid(), divisions=elsewhere)
    assert (refused.status_code, refused.json()["code"]) == (403, "DIVISION_FORBIDDEN")
    async with money.service.client(["collection:refunds:read"], elsewhere) as c:
        assert (await c.get("/refunds")).json()["items"] == []
    assert (await money.post(f"/refunds/{DUPLICATE}:paid", paid())).status_code == 200


async def test_a_duplicate_is_refunded_from_finding_to_settlement() -> None:
    """Scenario 5: requested, verified by registration, approved by finance, paid whole, settled."""
    money = await duplicate()
    [request] = await money.events(r.RefundVerificationRequested)
    assert (request.refund_no, request.reason, request.effective_payment_remains) == (
        DUPLICATE,
        "DUPLICATE",
        True,
    )
    early = await money.post(f"/refunds/{DUPLICATE}:paid", paid())
    assert (early.status_code, early.json()["rule"]) == (409, "REFUND_ACCEPTED")
    await verdicts(money, DUPLICATE)
    assert await state_of(money, DUPLICATE) == "APPROVED"
    wrong = await money.post(f"/refunds/{DUPLICATE}:paid", paid(13000))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "AMOUNT_MISMATCH")
    assert (await money.post(f"/refunds/{DUPLICATE}:paid", paid())).status_code == 200
    again = await money.post(f"/refunds/{DUPLICATE}:paid", paid())
    assert (again.status_code, again.json()["status"]) == (200, "SETTLED")
    assert (await money.post(f"/refunds/{DUPLICATE}:paid", paid(on="2019-12-06"))).status_code == 409
    assert len(await money.events(e.PaymentRefunded)) == 1
    assert await states(money) == {"RECEIVED": 26000, "REFUNDED": 26000}


async def test_what_is_published_names_the_line_and_what_remains() -> None:
    """RefundVerificationRequestedV1, RefundApprovalRequestedV1, RefundPaidV1, RefundSettledV1."""
    money = await duplicate()
    await verdicts(money, DUPLICATE)
    await money.post(f"/refunds/{DUPLICATE}:paid", paid())
    publication = RefundPublication()
    page = await money.service.parts.log.read(0, 10_000)
    told = [m for one in page if isinstance(one.event, publication.handles) for m in publication.publish(one)]
    assert [type(message).__name__ for message in told] == [
        "RefundVerificationRequestedV1",
        "RefundApprovalRequestedV1",
        "RefundPaidV1",
        "RefundSettledV1",
    ]


async def test_registration_may_refuse() -> None:
    """I-31: only registration decides; a refused refund is not paid."""
    money = await duplicate()
    await money.receive(
        RefundVerificationRejectedV1(person_id="p1", refund_no=DUPLICATE, payment_id="x", rule="NO")
    )
    await verdicts(money, DUPLICATE)
    assert await state_of(money, DUPLICATE) == "REFUSED"
    assert (await money.post(f"/refunds/{DUPLICATE}:paid", paid())).status_code == 409


async def test_verdicts_may_come_twice() -> None:
    """Redelivered messages change nothing."""
    money = await duplicate()
    await verdicts(money, DUPLICATE)
    await verdicts(money, DUPLICATE)
    assert len(await money.events(r.RefundApproved)) == 1


@pytest.mark.parametrize("reason", ["WRONG_AMOUNT", "OUT_OF_WINDOW"])
async def test_misfits_open_refunds(reason: str) -> None:
    """Final money that fits nothing is owed back."""
    money = await opened("p1")
    body = payment("O1", "p1", captured=True)
    body |= (
        {"lines": [line("p1", fen=1)]}
        if reason == "WRONG_AMOUNT"
        else {"paid_at": "2020-03-01T10:00:00+08:00"}
    )
    await money.post("/payments", body)
    [opened_] = await money.events(r.RefundRequested)
    assert (opened_.reason, opened_.applicant) == (reason, "SYSTEM")


def died(on: str) -> DeathReportedV1:
    return DeathReportedV1(
        person_id="p1", date=dt.date.fromisoformat(on), source="CIVIL_AFFAIRS", batch_month="2019-12"
    )


async def test_a_withdrawn_death_cancels_the_refund() -> None:
    """Scenario 4 (d): everything undone, the payment is effective again and cannot be refunded."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.receive(died("2019-10-30"))
    number = "F-WECHAT-O1-1"
    await money.receive(DeathReportCorrectedV1(person_id="p1", date=None, source="CIVIL_AFFAIRS"))
    assert await state_of(money, number) == "CANCELLED"
    assert (await money.post(f"/refunds/{number}:paid", paid())).status_code == 409
    assert await states(money) == {"RECEIVED": 26000}
    await money.receive(died("2019-10-29"))
    assert await state_of(money, number) == "ACCEPTED"


async def test_a_refund_by_death_is_held_while_sources_disagree() -> None:
    """Scenario 4 (e): found and approved, but paid only when the sources agree."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.receive(died("2019-10-30"))
    [request] = await money.events(r.RefundVerificationRequested)
    number = request.refund_no
    await verdicts(money, number)
    other = dt.date(2019, 10, 30)
    await money.receive(
        DeathReportedV1(person_id="p1", date=other, source="POLICE", batch_month="2019-11", disputed=True)
    )
    held = await money.post(f"/refunds/{number}:paid", paid())
    assert (held.status_code, held.json()["rule"]) == (409, "DEATH_DATE_DISPUTED")
    await money.receive(DeathReportCorrectedV1(person_id="p1", date=other, source="POLICE"))
    assert (await money.post(f"/refunds/{number}:paid", paid())).status_code == 200


async def test_died_before_the_year_is_refunded_on_request_medical_only() -> None:
    """Scenario 4 (a), (b): before 1 January yes; after it no; a pension payment is inherited."""
    money = await opened("p1")
    await money.assess("p1", insurance=Insurance.PENSION)
    body = payment("O1", "p1") | {"lines": [line("p1"), line("p1", "pension", 30000)]}
    assert (await money.post("/payments", body)).status_code == 201
    ask = {"payment_line_id": "WECHAT-O1/1", "reason": "DIED_BEFORE_PERIOD", "applicant": "heir"}
    alive = await money.post("/refunds", ask)
    assert (alive.status_code, alive.json()["rule"]) == (422, "NOT_DEAD_BEFORE_PERIOD")
    await money.receive(died("2019-12-31"))
    assert (await money.post("/refunds", ask)).status_code == 201
    assert (await money.post("/refunds", ask)).status_code == 200
    pension = await money.post("/refunds", ask | {"payment_line_id": "WECHAT-O1/2"})
    assert pension.json()["rule"] == "PENSION_INHERITABLE"
    await money.receive(
        DeathReportCorrectedV1(person_id="p1", date=dt.date(2020, 1, 1), source="CIVIL_AFFAIRS")
    )
    assert await state_of(money, "F-WECHAT-O1-1") == "CANCELLED"


async def test_a_refund_is_asked_only_for_what_stands_so() -> None:
    """I-28: an effective payment is no duplicate; an unknown line is unknown; divisions bind."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    ask = {"payment_line_id": "WECHAT-O1/1", "reason": "DUPLICATE"}
    assert (await money.post("/refunds", ask)).json()["code"] == "REFUND_NOT_DUE"
    assert (await money.post("/refunds", ask | {"payment_line_id": "nothing"})).status_code == 404
    assert (await money.post("/refunds", ask, divisions=["370404"])).status_code == 403


async def test_money_in_flight_is_refunded_after_it_arrived() -> None:
    """I-23: between declaration and treasury nobody can reach the money."""
    money = await settled_village("p1")
    await money.post("/declarations", declaration_body())
    await money.receive(died("2019-10-30"))
    number = "F-CASH_AGENT-C-p1-1"
    await verdicts(money, number)
    refused = await money.post(f"/refunds/{number}:paid", paid())
    assert (refused.status_code, refused.json()["rule"]) == (409, "MONEY_IN_FLIGHT")


async def test_after_a_refund_of_the_effective_payment_nothing_effective_remains() -> None:
    """RefundPaid tells registration whether to end the enrolment."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.receive(died("2019-10-30"))
    await verdicts(money, "F-WECHAT-O1-1")
    await money.post("/refunds/F-WECHAT-O1-1:paid", paid())
    [refund] = await money.events(r.RefundPaid)
    assert not refund.effective_payment_remains
    assert await states(money) == {"REFUNDED": 26000}
    assert (await money.get("/payments", campaign=CAMPAIGN))["items"][0]["standing"] == "REFUNDED"
