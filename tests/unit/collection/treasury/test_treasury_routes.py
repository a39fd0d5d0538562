"""Declarations and vouchers through their routes (I-21, I-23, I-24; scenarios 1 and 10)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from services.collection.obligations import events as e
from services.collection.treasury import events as t
from services.collection.treasury.publication import TreasuryPublication, returned_message
from shared.contracts.collection import CollectionInfoReturnedV1
from shared.contracts.registration import CollectionInfoAcknowledgedV1
from shared.contracts.subsidy import GovernmentLine, GovernmentPaymentSubmittedV1
from shared.kernel.insurance import Insurance, Leg, Payer
from tests.unit.collection.money_service import (
    AGENT,
    CAMPAIGN,
    ROSTER,
    VILLAGE,
    MoneyService,
    assessed,
    begin_day,
    cash,
    day_file,
    declaration_body,
    deposit,
    opened,
    roster_state,
    settled_village,
    states,
    summary,
    to_treasury,
)

DECLARATION = f"D-{VILLAGE}-{CAMPAIGN}-1"
VOUCHER = f"V-{DECLARATION}-medical"


async def declared(*persons: str) -> MoneyService:
    money = await settled_village(*persons)
    response = await money.post("/declarations", declaration_body())
    assert response.status_code == 201, response.text
    assert response.json()["declaration_no"] == DECLARATION
    return money


async def vouchered(*persons: str) -> MoneyService:
    money = await declared(*persons)
    response = await money.post(f"/declarations/{DECLARATION}:verify", {"actor": "tax-03"})
    assert response.status_code == 200, response.text
    return money


async def test_a_village_goes_from_declaration_to_return() -> None:
    """Steps 5 and 7: declared = settled, voucher = declared, entry = voucher, return = entry (I-24)."""
    money = await vouchered("p1", "p2")
    [imported] = await money.events(t.RosterImportedToTaxSystem)
    assert imported.rows == 2
    [issued] = (await money.get("/vouchers", state="ISSUED"))["items"]
    assert (issued["voucher_no"], issued["fen"], issued["source"]) == (VOUCHER, 52000, "DECLARATION")
    assert await states(money) == {"VOUCHERED": 52000}
    await to_treasury(money, VOUCHER, 52000)
    assert await states(money) == {"RETURNED": 52000}
    [receipt] = await money.events(t.TaxReceiptIssued)
    assert receipt.receipt_no == f"T-{VOUCHER}"
    ack = CollectionInfoAcknowledgedV1(
        voucher_no=VOUCHER, return_no=f"R-{VOUCHER}", booked_lines=2, booked_fen=52000
    )
    await money.receive(ack)
    await money.receive(ack)
    assert len(await money.events(t.CollectionInfoAcknowledged)) == 1


async def test_the_published_return_holds_every_line_once() -> None:
    """I-24: lines numbered through all parts, fen equal to the entry."""
    money = await vouchered("p1", "p2")
    await to_treasury(money, VOUCHER, 52000)
    page = await money.service.parts.log.read(0, 10_000)
    sent = [
        message
        for recorded in page
        if isinstance(recorded.event, t.CollectionInfoReturned)
        for message in TreasuryPublication().publish(recorded)
    ]
    [message] = sent
    assert isinstance(message, CollectionInfoReturnedV1)
    assert [(line.line_no, line.person_id, line.fen) for line in message.lines] == [
        (1, "p1", 26000),
        (2, "p2", 26000),
    ]
    assert (message.total_count, message.total_fen) == (2, 52000)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"final": False}, "ROSTER_NOT_FINAL"),
        ({"pre_declaration_closed": False}, "PRE_DECLARATION_NOTICE_OPEN"),
    ],
)
async def test_a_declaration_needs_a_final_roster_and_its_notice(changes: dict, rule: str) -> None:
    """I-21, D-10."""
    money = await settled_village("p1")
    money.facts.roster_states.known[ROSTER] = roster_state(**changes)
    response = await money.post("/declarations", declaration_body())
    assert (response.status_code, response.json()["rule"]) == (409, rule)


async def test_a_declaration_is_blocked_by_an_open_discrepancy() -> None:
    """I-21, scenario 6: less than was taken blocks the declaration."""
    money = await opened("p1")
    await money.post("/payments", cash("C1", "p1"))
    await money.post(f"/agents/{AGENT}/summaries", summary(1, 26000))
    await money.post("/deposits:import", deposit(25000))
    response = await money.post("/declarations", declaration_body())
    assert (response.status_code, response.json()["rule"]) == (409, "DISCREPANCY_OPEN")


async def test_nothing_settled_nothing_declared_and_totals_must_agree() -> None:
    """I-21: declared total = confirmed settlements."""
    money = await opened("p1")
    response = await money.post("/declarations", declaration_body())
    assert response.json()["rule"] == "NOTHING_TO_DECLARE"
    money = await settled_village("p1")
    response = await money.post("/declarations", declaration_body(total_fen=1))
    assert (response.status_code, response.json()["code"]) == (422, "TOTALS_MISMATCH")
    assert (await money.post("/declarations", declaration_body(total_fen=26000))).status_code == 201


async def test_lines_off_the_roster_stay_behind() -> None:
    """I-21: declaration lines are a part of the final roster or its supplements."""
    money = await settled_village("p1", "p2")
    del money.facts.rosters.known[CAMPAIGN, Insurance.MEDICAL, "p2"]
    response = await money.post("/declarations", declaration_body())
    assert (response.json()["count"], response.json()["off_roster"]) == (1, 1)
    assert await states(money) == {"DECLARED": 26000, "SETTLED": 26000}


async def test_a_returned_declaration_frees_its_lines() -> None:
    """申报退回: they may be declared again under the next number."""
    money = await declared("p1")
    body = {"actor": "tax-03", "accepted": False, "differences": "stamp missing"}
    assert (await money.post(f"/declarations/{DECLARATION}:verify", body)).status_code == 200
    assert await states(money) == {"SETTLED": 26000}
    again = await money.post("/declarations", declaration_body())
    assert again.json()["declaration_no"] == DECLARATION[:-1] + "2"
    late = await money.post(f"/declarations/{DECLARATION}:verify", {"actor": "tax-03"})
    assert (late.status_code, late.json()["rule"]) == (409, "DECLARATION_RETURNED")


async def test_the_same_lines_are_not_declared_twice() -> None:
    """A second declaration finds nothing left."""
    money = await declared("p1")
    response = await money.post("/declarations", declaration_body())
    assert response.json()["rule"] == "NOTHING_TO_DECLARE"


async def test_verifying_twice_issues_one_voucher() -> None:
    """Repeats are harmless."""
    money = await vouchered("p1")
    assert (await money.post(f"/declarations/{DECLARATION}:verify", {"actor": "x"})).status_code == 200
    assert len(await money.events(t.TaxVoucherIssued)) == 1


async def test_steps_out_of_order_are_refused_and_repeats_answered() -> None:
    """I-23, scenario 10: strictly ordered; out-of-order and repeated entry give one return."""
    money = await vouchered("p1")
    entry = {"treasury_date": "2019-12-01", "amount_fen": 26000}
    early = await money.post(f"/vouchers/{VOUCHER}:in-treasury", entry)
    assert (early.status_code, early.json()["code"]) == (409, "VOUCHER_STATE")
    remitted = {"batch": "1", "at": "2019-12-01T10:00:00+08:00"}
    assert (await money.post(f"/vouchers/{VOUCHER}:remitted", remitted)).status_code == 409
    wrong = {"method": "POS", "bank_ref": "B", "amount_fen": 25999, "at": "2019-12-01T09:00:00+08:00"}
    refused = await money.post(f"/vouchers/{VOUCHER}:debited", wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "AMOUNT_MISMATCH")
    await to_treasury(money, VOUCHER, 26000)
    for _ in range(2):
        repeat = await money.post(f"/vouchers/{VOUCHER}:in-treasury", entry)
        assert (repeat.status_code, repeat.json()["status"]) == (200, "IN_TREASURY")
    other = await money.post(f"/vouchers/{VOUCHER}:in-treasury", entry | {"treasury_date": "2019-12-02"})
    assert other.status_code == 409
    assert len(await money.events(t.CollectionInfoReturned)) == 1
    assert (await money.post("/vouchers/V-none:remitted", remitted)).status_code == 404


async def test_a_rejected_entry_returns_nothing_and_is_debited_anew() -> None:
    """Scenario 10: no return, no entitlement; reissue, a new debit, one return."""
    money = await vouchered("p1")
    debit = {"method": "POS", "bank_ref": "B1", "amount_fen": 26000, "at": "2019-12-01T09:00:00+08:00"}
    remitted = {"batch": "1", "at": "2019-12-01T10:00:00+08:00"}
    await money.post(f"/vouchers/{VOUCHER}:debited", debit)
    await money.post(f"/vouchers/{VOUCHER}:remitted", remitted)
    rejection = {
        "treasury_date": "2019-12-01",
        "amount_fen": 26000,
        "result": "REJECTED",
        "reason": "ACCOUNT",
    }
    response = await money.post(f"/vouchers/{VOUCHER}:in-treasury", rejection)
    assert response.json()["status"] == "REJECTED"
    assert not await money.events(t.CollectionInfoReturned)
    assert (await money.post(f"/vouchers/{VOUCHER}:reissue", {})).json()["status"] == "ISSUED"
    stale = await money.post(f"/vouchers/{VOUCHER}:debited", debit)
    assert stale.json()["rule"] == "DEBIT_OF_EARLIER_CYCLE"
    await to_treasury(money, VOUCHER, 26000)
    assert len(await money.events(t.CollectionInfoReturned)) == 1
    assert await states(money) == {"RETURNED": 26000}


async def test_vouchers_move_by_a_file_too() -> None:
    """POST /vouchers:import: one step a row."""
    money = await vouchered("p1")
    rows = [
        {"voucher_no": VOUCHER, "step": step, "amount_fen": 26000, "date": "2019-12-01"}
        for step in ("debited", "remitted", "in-treasury")
    ]
    async with money.service.client(["collection:treasury:write"]) as client:
        response = await client.post(
            "/vouchers:import",
            content=b"\n".join(map(msgspec.json.encode, rows)),
            headers={"Idempotency-Key": "f1", "Content-Type": "application/x-ndjson"},
        )
    assert response.status_code == 202
    await money.service.settle()
    assert await states(money) == {"RETURNED": 26000}


async def steps_of(money: MoneyService, rows: list[dict[str, Any]], key: str) -> list[str]:
    """Rule or code of each row of a treasury file; "" for the accepted."""
    async with money.service.client(["collection:treasury:write", "collection:imports:read"]) as client:
        response = await client.post(
            "/vouchers:import",
            content=b"\n".join(map(msgspec.json.encode, rows)),
            headers={"Idempotency-Key": key, "Content-Type": "application/x-ndjson"},
        )
        await money.service.settle()
        outcomes = await client.get(f"/imports/{response.json()['import_id']}/outcomes")
    return [each["rule"] or each["code"] for each in outcomes.json()["items"]]


async def test_a_treasury_file_out_of_order_is_refused_row_by_row_and_sent_again() -> None:
    """I-23: a voucher that is not there yet, a step that is not its turn, a wrong amount: each row says so."""
    money = await settled_village("p1")
    row = {"voucher_no": VOUCHER, "amount_fen": 26000, "date": "2019-12-01", "ref": "B1"}
    debited, remitted = row | {"step": "debited"}, row | {"step": "remitted"}
    entered = row | {"step": "in-treasury"}
    file = [entered, remitted, debited]
    assert await steps_of(money, file, "k1") == ["VOUCHER_UNKNOWN"] * 3
    submitted = await money.post("/declarations", declaration_body())
    declaration = submitted.json()["declaration_no"]
    await money.post(f"/declarations/{declaration}:verify", {"actor": "tax-03"})
    assert await steps_of(money, file, "k2") == ["IS_ISSUED", "IS_ISSUED", ""]
    assert await steps_of(money, [*file, remitted | {"amount_fen": 1}], "k3") == [
        "IS_DEBITED",
        "",
        "",
        "I-23",
    ]
    assert await steps_of(money, file, "k4") == ["", "", ""]
    assert len(await money.events(t.CollectionInfoReturned)) == 1
    rejected = entered | {"result": "REJECTED", "reason": "LATE"}
    assert await steps_of(money, [rejected, row | {"step": "burnt"}], "k5") == [
        "IS_IN_TREASURY",
        "VALUE_NOT_ALLOWED",
    ]
    assert await states(money) == {"RETURNED": 26000}


async def test_a_channel_day_gives_one_voucher_per_insurance_over_all_villages() -> None:
    """Self-service has no declaration; lines EFFECTIVE only; what is whose village's is in the lines."""
    money = await opened("p1", "p2")
    await money.given(assessed("p3", village="370406101202"))
    file = day_file("D1", ("O1", "p1", 26000), ("O2", "p2", 26000), ("O3", "p3", 26000), ("O4", "p1", 26000))
    await money.post("/channels/WECHAT/day-files", file)
    numbers = [(v["voucher_no"], v["fen"]) for v in (await money.get("/vouchers", source="CHANNEL"))["items"]]
    assert numbers == [
        (f"V-{CAMPAIGN}-WECHAT-20191102-medical", 78000),
    ]
    assert (await states(money))["REFUND_DUE"] == 26000


async def test_money_identified_after_its_settlement_is_vouchered_the_next_day() -> None:
    """Nothing settled stays without a voucher once it is effective."""
    money = await opened("p1")
    await money.post("/channels/WECHAT/day-files", day_file("D1", ("O1", "nobody", 26000)))
    assert not await money.events(t.TaxVoucherIssued)
    body = {"line_id": "WECHAT-O1/1", "person_id": "p1", "year": 2020, "insurance": "medical"}
    assert (await money.post("/suspense/WECHAT/O1:identify", body)).status_code == 201
    await begin_day(money, "2019-11-03")
    [issued] = await money.events(t.TaxVoucherIssued)
    assert issued.voucher_no == f"V-{CAMPAIGN}-WECHAT-20191102-medical-20191103"
    told = await money.get("/money/unaccounted", campaign=CAMPAIGN)
    assert (told["unaccounted_fen"], told["checked"]) == (0, 1)
    await begin_day(money, "2019-11-04")
    assert len(await money.events(t.TaxVoucherIssued)) == 1


def paid_by_finance(person_id: str) -> e.ContributionAssessed:
    return assessed(person_id, legs=(Leg(Payer.FINANCE, 26000),), category="MINIMUM_LIVING")


def government(*lines: tuple[str, int], part: int = 1, parts: int = 1) -> GovernmentPaymentSubmittedV1:
    return GovernmentPaymentSubmittedV1(
        department="CIVIL_AFFAIRS",
        payment_no="G1",
        campaign=CAMPAIGN,
        insurance=Insurance.MEDICAL,
        year=2020,
        part=part,
        parts=parts,
        lines=tuple(GovernmentLine(person, VILLAGE, "finance", fen) for person, fen in lines),
        total_count=len(lines),
        total_fen=sum(fen for _, fen in lines),
    )


async def test_government_legs_are_vouchered_and_returned() -> None:
    """I-17, I-27: each leg once for ever, without receipt, settlement or declaration."""
    money = await opened()
    await money.given(paid_by_finance("g1"), paid_by_finance("g2"))
    await money.receive(government(("g1", 26000), ("g2", 26000)))
    number = "V-GOV-G1-medical"
    [issued] = (await money.get("/vouchers", source="GOVERNMENT"))["items"]
    assert (issued["voucher_no"], issued["fen"]) == (number, 52000)
    await to_treasury(money, number, 52000)
    [returned] = await money.events(t.CollectionInfoReturned)
    assert {line.payer for line in returned.lines} == {"finance"}
    assert await states(money) == {"RETURNED": 52000}
    await money.receive(government(("g1", 26000), part=2, parts=2))
    [refused] = await money.events(t.GovernmentLineRefused)
    assert (refused.person_id, refused.reason) == ("g1", "ALREADY_VOUCHERED")


async def test_a_government_payment_waits_for_its_assessments() -> None:
    """Messages of two topics have no order: it waits, then refuses what still differs."""
    money = await opened()
    await money.given(paid_by_finance("g1"))
    await money.receive(government(("g1", 26000), ("g2", 26000)))
    assert not await money.events(t.TaxVoucherIssued)
    await money.given(paid_by_finance("g2"))
    await begin_day(money, "2019-11-03")
    [issued] = await money.events(t.TaxVoucherIssued)
    assert issued.count == 2


async def test_a_government_line_that_never_fits_is_refused_after_its_patience() -> None:
    """I-27: shown as refused, its neighbours are paid."""
    money = await opened("p1")
    await money.given(paid_by_finance("g1"))
    await money.receive(government(("g1", 26000), ("p1", 26000)))
    for day in ("2019-11-03", "2019-11-04", "2019-11-05", "2019-11-06"):
        await begin_day(money, day)
    [refused] = await money.events(t.GovernmentLineRefused)
    assert (refused.person_id, refused.reason) == ("p1", "LEG_DIFFERS")
    [issued] = await money.events(t.TaxVoucherIssued)
    assert (issued.count, issued.fen) == (1, 26000)


async def test_large_documents_are_cut_into_parts() -> None:
    """At most 500 lines and 64 KiB an event; the return's lines are numbered through."""
    from services.collection.treasury.domain import (
        Issue,
        Voucher,
        confirm_entry,
        evolve_voucher,
        issue_voucher,
    )

    when = dt.datetime.fromisoformat("2019-11-02T10:00:00+08:00")
    lines = tuple(
        t.VoucherLine(f"CASH_AGENT-{n:032d}/1", f"{n:032x}", VILLAGE, "person", 26000, 26000, when)
        for n in range(1203)
    )
    command = Issue("V-1", CAMPAIGN, VILLAGE, Insurance.MEDICAL, 2020, "DECLARATION", "D-1", lines)
    state = Voucher()
    issued = issue_voucher(state, command)
    assert isinstance(issued, list)
    for event in issued:
        assert len(msgspec.json.encode(event)) <= 64 * 1024
        state = evolve_voucher(state, event)
    state = state.having("DEBITED").having("REMITTED")
    entered = confirm_entry(state, "V-1", dt.date(2019, 12, 1), 1203 * 26000)
    assert isinstance(entered, list)
    returned = [event for event in entered if isinstance(event, t.CollectionInfoReturned)]
    numbers = [
        number
        for part in returned
        for number in range(part.first_line_no, part.first_line_no + len(part.lines))
    ]
    assert numbers == list(range(1, 1204))
    assert all(len(msgspec.json.encode(returned_message(part))) <= 64 * 1024 for part in returned)
    assert all(len(part.lines) <= 500 and part.parts == len(returned) for part in returned)
    assert all(len(msgspec.json.encode(part)) <= 64 * 1024 for part in returned)
