"""A payment line's money moves once: by a voucher or by a refund, however late the read models are (I-23, I-28)."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

from services.collection.refunds import events as r
from services.collection.refunds.publication import RefundPublication
from services.collection.treasury import events as t
from shared.contracts.collection import RefundPaidAfterCancellationV1
from shared.contracts.registration import DeathReportCorrectedV1, RefundVerificationRejectedV1
from shared.kernel.insurance import Insurance
from tests.unit.collection.money_service import (
    CAMPAIGN,
    MoneyService,
    begin_day,
    day_file,
    declaration_body,
    opened,
    payment,
    settled_village,
    states,
    to_treasury,
)
from tests.unit.collection.refunds.test_refund_routes import died, paid, state_of, verdicts

NUMBER = "F-WECHAT-O1-1"


async def approved() -> MoneyService:
    """Paid by WeChat, died before paying: the refund is approved."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.receive(died("2019-10-30"))
    await verdicts(money, NUMBER)
    return money


async def alive_again(money: MoneyService) -> None:
    await money.receive(DeathReportCorrectedV1(person_id="p1", date=None, source="CIVIL_AFFAIRS"))


async def test_a_line_that_was_paid_back_is_on_no_voucher() -> None:
    """The refund has the line's claim: a voucher made later leaves it out."""
    money = await settled_village("p1", "p2")
    await money.receive(died("2019-10-30"))
    number = "F-CASH_AGENT-C-p1-1"
    await verdicts(money, number)
    assert (await money.post(f"/refunds/{number}:paid", paid())).status_code == 200
    held = await money.service.ports.store.guard_holders("vouchered", ["CASH_AGENT-C-p1/1"])
    assert held == {"CASH_AGENT-C-p1/1": number}
    submitted = await money.post("/declarations", declaration_body())
    declaration = submitted.json()["declaration_no"]
    await money.post(f"/declarations/{declaration}:verify", {"actor": "tax-03"})
    [issued] = await money.events(t.TaxVoucherIssued)
    assert (issued.count, issued.fen) == (1, 26000)


async def test_a_declared_line_paid_back_behind_the_read_models_is_left_out_of_the_voucher() -> None:
    """The claim decides, not the lagging read model: the declaration's other lines are vouchered."""
    from services.collection.refunds.domain import Owed, Payout
    from services.collection.refunds.handlers import MoneyTrail, pay_command
    from services.collection.treasury.stream import voucher_stream
    from shared.eventstore.commands import Done
    from shared.eventstore.streams import Metadata
    from shared.kernel.insurance import Insurance
    from tests.unit.collection.money_service import GivenFacts

    money = await settled_village("p1", "p2")
    submitted = await money.post("/declarations", declaration_body())
    await money.receive(died("2019-10-30"))
    number = "F-CASH_AGENT-C-p1-1"
    await verdicts(money, number)
    owed = Owed(2020, Insurance.MEDICAL, "p1", "CASH_AGENT-C-p1/1")
    behind = MoneyTrail(GivenFacts("stages"), voucher_stream)
    payout = Payout(26000, dt.date(2019, 12, 5), "R1")
    command = pay_command(owed, payout, behind, "", Metadata("test"), None)
    assert isinstance(await money.service.ports.store.execute(command), Done)
    declaration = submitted.json()["declaration_no"]
    await money.post(f"/declarations/{declaration}:verify", {"actor": "tax-03"})
    [issued] = await money.events(t.TaxVoucherIssued)
    [lines] = await money.events(t.VoucherLines)
    assert (issued.fen, [line.person_id for line in lines.lines]) == (26000, ["p2"])


async def test_a_vouchered_line_is_refunded_only_from_the_treasury() -> None:
    """The voucher's own state decides, whatever the read model says."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000)))
    await money.receive(died("2019-10-30"))
    await verdicts(money, NUMBER)
    early = await money.post(f"/refunds/{NUMBER}:paid", paid())
    assert (early.status_code, early.json()["rule"]) == (409, "MONEY_IN_FLIGHT")
    await to_treasury(money, f"V-{CAMPAIGN}-WECHAT-20191102-medical", 26000)
    assert (await money.post(f"/refunds/{NUMBER}:paid", paid())).status_code == 200
    assert await states(money) == {"REFUNDED": 26000}


async def test_a_refund_paid_before_settlement_is_never_vouchered() -> None:
    """The channel's day comes after the refund: the line is settled, and stays without a voucher."""
    money = await approved()
    assert (await money.post(f"/refunds/{NUMBER}:paid", paid())).status_code == 200
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "p1", 26000)))
    await begin_day(money, "2019-12-06")
    assert not await money.events(t.TaxVoucherIssued)
    assert await states(money) == {"REFUNDED": 26000}


async def test_what_the_bank_paid_of_a_cancelled_refund_is_recorded_and_claimed_back() -> None:
    """Scenario 4 (d), I-28: the death was withdrawn after approval, the money is out: a recovery opens."""
    money = await approved()
    await alive_again(money)
    assert await state_of(money, NUMBER) == "CANCELLED"
    told = await money.post(f"/refunds/{NUMBER}:paid", paid())
    assert (told.status_code, told.json()["status"]) == (200, "RECOVERY_DUE")
    [recovery] = await money.events(r.RefundRecoveryOpened)
    assert (recovery.person_id, recovery.fen) == ("p1", 26000)
    [vain] = await money.events(r.RefundPaidAfterCancellation)
    [message] = RefundPublication().publish(SimpleNamespace(event=vain))  # type: ignore[arg-type]
    assert isinstance(message, RefundPaidAfterCancellationV1)
    assert (message.refund_no, message.fen, message.insurance) == (NUMBER, 26000, Insurance.MEDICAL)
    assert await states(money) == {"RECEIVED": 26000}
    head = await money.service.parts.log.head()
    assert (await money.post(f"/refunds/{NUMBER}:paid", paid())).status_code == 200
    assert await money.service.parts.log.head() == head
    other = await money.post(f"/refunds/{NUMBER}:paid", paid(on="2019-12-09"))
    assert (other.status_code, other.json()["rule"]) == (409, "REFUND_RECOVERY_DUE")


async def test_a_recovery_ends_when_the_whole_amount_came_back() -> None:
    """追回: in full, once; the refund may then be asked for anew."""
    money = await approved()
    await alive_again(money)
    await money.post(f"/refunds/{NUMBER}:paid", paid())
    back = {"amount_fen": 26000, "received_on": "2019-12-20", "bank_ref": "K1"}
    path = f"/refunds/{NUMBER}:recovered"
    assert (await money.post(path, back | {"amount_fen": 1})).json()["code"] == "AMOUNT_MISMATCH"
    assert (await money.post(path, back, divisions=["370402"])).status_code == 403
    assert (await money.post(path, back)).json()["status"] == "RECOVERED"
    assert (await money.post(path, back)).status_code == 200
    assert (await money.post(path, back | {"bank_ref": "K2"})).json()["rule"] == "REFUND_RECOVERED"
    assert len(await money.events(r.RefundRecovered)) == 1
    await money.receive(died("2019-10-29"))
    assert await state_of(money, NUMBER) == "ACCEPTED"


async def test_nothing_is_recovered_of_a_refund_that_was_right_or_unknown() -> None:
    """Only a payout without ground is claimed back."""
    money = await approved()
    back = {"amount_fen": 26000, "received_on": "2019-12-20", "bank_ref": "K1"}
    assert (await money.post(f"/refunds/{NUMBER}:recovered", back)).json()["rule"] == "REFUND_APPROVED"
    assert (await money.post("/refunds/F-none:recovered", back)).status_code == 404


async def test_a_refund_nobody_approved_is_not_paid_when_cancelled() -> None:
    """No order to pay was ever given: there is nothing to record."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.receive(died("2019-10-30"))
    await alive_again(money)
    refused = await money.post(f"/refunds/{NUMBER}:paid", paid())
    assert (refused.status_code, refused.json()["rule"]) == (409, "REFUND_CANCELLED")
    assert not await money.events(r.RefundPaidAfterCancellation)


async def test_a_verdict_on_an_earlier_request_does_not_settle_the_reopened_refund() -> None:
    """I-28, scenario 4d: asked, withdrawn, asked again; the first question's late answer says nothing."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    await money.receive(died("2019-10-30"))
    await alive_again(money)
    await money.receive(died("2019-10-30"))
    first, second = await money.events(r.RefundVerificationRequested)
    assert (first.round, second.round) == (1, 2)
    verdict = {"person_id": "p1", "refund_no": NUMBER, "payment_id": "x", "rule": "NOT_DECEASED"}
    await money.receive(RefundVerificationRejectedV1(**verdict, round=1))
    assert await state_of(money, NUMBER) == "ACCEPTED"
    await money.receive(RefundVerificationRejectedV1(**verdict, round=2))
    assert await state_of(money, NUMBER) == "REFUSED"
