"""POST /payments through the middleware and the memory store: asked orders, captured money, repeats."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from services.collection.obligations import events as e
from services.collection.payments import events as p
from shared.contracts.registration import DeathReportCorrectedV1, DeathReportedV1
from shared.kernel.insurance import Insurance
from tests.unit.collection.money_service import (
    AGENT,
    CAMPAIGN,
    MoneyService,
    agent_fact,
    assessed,
    campaign_fact,
    cash,
    line,
    opened,
    payment,
    roster_fact,
    states,
)


async def test_a_self_service_payment_becomes_effective() -> None:
    """A family pays in one order, all lines or none (interfaces; 002:L69)."""
    money = await opened("p1", "p2")
    response = await money.post("/payments", payment("O1", "p1", "p2"))
    assert response.status_code == 201, response.text
    body = response.json()
    assert body["payment_id"] == "WECHAT-O1"
    assert body["status"] == "RECEIVED"
    assert [(each["line_id"], each["standing"]) for each in body["lines"]] == [
        ("WECHAT-O1/1", "EFFECTIVE"),
        ("WECHAT-O1/2", "EFFECTIVE"),
    ]
    rows = await money.get("/payments", campaign=CAMPAIGN)
    assert [(row["line_id"], row["fen"], row["standing"]) for row in rows["items"]] == [
        ("WECHAT-O1/1", 26000, "EFFECTIVE"),
        ("WECHAT-O1/2", 26000, "EFFECTIVE"),
    ]


async def test_the_same_order_under_another_key_is_answered_as_before() -> None:
    """(channel, order number) is the permanent guard: same body 200, other body 409 (I-17)."""
    money = await opened("p1", "p2")
    first = await money.post("/payments", payment("O1", "p1", "p2"))
    again = await money.post("/payments", payment("O1", "p1", "p2"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert [x["line_id"] for x in again.json()["lines"]] == [x["line_id"] for x in first.json()["lines"]]
    for other in (
        payment("O1", "p1"),
        payment("O1", "p1", "p2", paid_at="2019-11-03T10:00:00+08:00"),
        payment("O1", "p2", "p1"),
    ):
        refused = await money.post("/payments", other)
        assert (refused.status_code, refused.json()["code"]) == (409, "ORDER_NO_TAKEN")
    assert len(await money.events(e.PaymentReceived)) == 2


async def test_the_same_key_is_replayed() -> None:
    """A client that lost the answer asks again with its key."""
    money = await opened("p1")
    first = await money.post("/payments", payment("O1", "p1"), key="k")
    again = await money.post("/payments", payment("O1", "p1"), key="k")
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (payment("O1", "nobody"), 422, "AMOUNT_NOT_ASSESSED"),
        (payment("O1", "p1") | {"lines": [line("p1", fen=26001)]}, 422, "AMOUNT_NOT_ASSESSED"),
        (payment("O1", "p1") | {"lines": [line("p1", fen=25999)]}, 422, "AMOUNT_NOT_ASSESSED"),
        (payment("O1", "p1", "p1"), 409, "ALREADY_PAID"),
        (payment("O1", "p1", channel="PIGEON"), 422, "CHANNEL_NOT_ALLOWED"),
        (payment("O1", "p1", channel="CASH_AGENT"), 422, "CHANNEL_NOT_ALLOWED"),
        (payment("O1", "p1", paid_at="2019-09-30T23:59:59+08:00"), 409, "OUTSIDE_WINDOW"),
        (payment("O1", "p1", paid_at="2019-12-21T00:00:00+08:00"), 409, "OUTSIDE_WINDOW"),
        (cash("O1", "p1", paid_at="2019-11-21T09:00:00+08:00"), 409, "OUTSIDE_WINDOW"),
        (cash("O1", "p1", receipt=None), 422, "RECEIPT_REQUIRED"),
        (cash("O1", "p1", agent="agent-x"), 403, "DIVISION_FORBIDDEN"),
        (payment("O1", "p1", paid_at="2019-11-02T10:15:00"), 422, "VALIDATION_FAILED"),
        (payment("O/1", "p1"), 422, "VALIDATION_FAILED"),
        (payment("O1"), 422, "VALIDATION_FAILED"),
        (payment("O1", "p1") | {"lines": [line("p1", fen=0)]}, 422, "VALIDATION_FAILED"),
    ],
)
async def test_an_asked_order_is_refused_and_writes_nothing(body: dict, status: int, code: str) -> None:
    """I-14, I-17, I-19; 002:L81; D-25: the window, the channel, the amount, the receipt."""
    money = await opened("p1")
    response = await money.post("/payments", body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not await money.events(e.PaymentReceived)
    assert not await money.events(p.ReceiptIssued)


async def test_the_first_and_the_last_day_of_the_window_are_inside() -> None:
    """By the payer's own pay time in Shanghai (D-51, 002:L81)."""
    money = await opened("p1", "p2")
    for number, (person, paid_at) in enumerate(
        [("p1", "2019-09-30T16:00:00Z"), ("p2", "2019-12-20T23:59:59+08:00")]
    ):
        response = await money.post("/payments", payment(f"O{number}", person, paid_at=paid_at))
        assert response.status_code == 201, response.text


async def test_an_extended_window_takes_self_service_payments() -> None:
    """CampaignWindowExtended: no late charge inside the new window (scenario 11)."""
    money = await opened("p1")
    end = dt.date(2019, 12, 31)
    money.facts.campaigns.known[CAMPAIGN] = campaign_fact(window_to=end, extended_to=end)
    response = await money.post("/payments", payment("O1", "p1", paid_at="2019-12-31T20:00:00+08:00"))
    assert response.status_code == 201, response.text


async def test_a_caller_pays_only_in_his_divisions() -> None:
    """DIVISION_FORBIDDEN: the obligation's village is outside the caller's scope."""
    money = await opened("p1")
    refused = await money.post("/payments", payment("O1", "p1"), divisions=["370404"])
    assert (refused.status_code, refused.json()["code"]) == (403, "DIVISION_FORBIDDEN")
    assert (await money.post("/payments", payment("O1", "p1"), divisions=["370406"])).status_code == 201


async def test_an_agent_takes_cash_and_issues_a_receipt_once() -> None:
    """I-19: one receipt per order, amount = sum of lines; a serial is used once."""
    money = await opened("p1", "p2", "p3")
    assert (await money.post("/payments", cash("C1", "p1", "p2"))).status_code == 201
    [issued] = await money.events(p.ReceiptIssued)
    assert (issued.serial_no, issued.fen, issued.lines) == ("C1", 52000, 2)
    refused = await money.post("/payments", cash("C2", "p3", serial="C1"))
    assert (refused.status_code, refused.json()["code"]) == (409, "RECEIPT_USED")
    void = {"agent": AGENT, "reason": "miswritten"}
    assert (await money.post("/receipts/B1/C1:void", void)).status_code == 409
    assert (await money.post("/receipts/B1/C9:void", void)).status_code == 201
    assert (await money.post("/receipts/B1/C9:void", void)).status_code == 200
    refused = await money.post("/payments", cash("C3", "p3", serial="C9"))
    assert (refused.status_code, refused.json()["code"]) == (409, "RECEIPT_VOIDED")


async def test_an_agent_is_bound_to_roster_notice_and_scope() -> None:
    """I-09: nobody off the roster, nobody before its notice has closed; not in another village."""
    money = await opened("p1", "p2", "p3")
    del money.facts.rosters.known[CAMPAIGN, Insurance.MEDICAL, "p1"]
    money.facts.rosters.known[CAMPAIGN, Insurance.MEDICAL, "p2"] = roster_fact(notice_closed=False)
    codes = [
        (await money.post("/payments", cash(f"C-{person}", person))).json()["code"] for person in ("p1", "p2")
    ]
    assert codes == ["NOT_ON_ROSTER", "ROSTER_NOTICE_OPEN"]
    money.facts.agents.known[AGENT, CAMPAIGN] = agent_fact(active=False)
    assert (await money.post("/payments", cash("C-p3", "p3"))).status_code == 403
    money.facts.agents.known[AGENT, CAMPAIGN] = agent_fact(mode="FALLBACK")
    refused = await money.post("/payments", cash("C-p3", "p3"))
    assert refused.json()["rule"] == "I-07"


async def test_self_service_needs_no_roster() -> None:
    """NOT_ON_ROSTER binds agents; self-service opens with the legal window (D-47)."""
    money = await opened("p1")
    money.facts.rosters.known.clear()
    assert (await money.post("/payments", payment("O1", "p1"))).status_code == 201


async def test_a_second_payment_is_refused_or_recorded_as_duplicate() -> None:
    """Scenario 5: WeChat and agent on one day (I-17)."""
    money = await opened("p1")
    assert (await money.post("/payments", payment("O1", "p1"))).status_code == 201
    refused = await money.post("/payments", cash("C1", "p1"))
    assert (refused.status_code, refused.json()["code"]) == (409, "ALREADY_PAID")
    taken = await money.post("/payments", cash("C2", "p1", captured=True))
    assert (taken.status_code, taken.json()["status"]) == (201, "RECORDED")
    assert taken.json()["lines"][0]["standing"] == "DUPLICATE"
    [found] = await money.events(e.DuplicatePaymentDetected)
    assert found.effective_line_id == "WECHAT-O1/1"


@pytest.mark.parametrize(
    ("body", "standing"),
    [
        (payment("O1", "nobody"), "UNIDENTIFIED"),
        (payment("O1", "p1") | {"lines": [line("p1", fen=1)]}, "WRONG_AMOUNT"),
        (payment("O1", "p1", paid_at="2020-01-05T10:00:00+08:00"), "OUT_OF_WINDOW"),
        (payment("O1", "p1", channel="PIGEON"), "OUT_OF_WINDOW"),
        (payment("O1", "p1"), "EFFECTIVE"),
    ],
)
async def test_final_money_is_never_refused(body: dict, standing: str) -> None:
    """Interfaces: captured money is recorded, effective or not, and repeated safely."""
    money = await opened("p1")
    response = await money.post("/payments", body | {"captured": True})
    assert response.status_code == 201, response.text
    assert response.json()["lines"][0]["standing"] == standing
    again = await money.post("/payments", body | {"captured": True})
    assert (again.status_code, again.json()["lines"][0]["standing"]) == (200, standing)
    positions = await money.get("/money/positions", campaign=CAMPAIGN)
    assert sum(row["fen"] for row in positions["rows"]) == body["lines"][0]["amount_fen"]


async def test_final_cash_with_a_used_receipt_is_kept_and_shown() -> None:
    """I-19 flags the serial; the money is not lost."""
    money = await opened("p1", "p2")
    await money.post("/payments", cash("C1", "p1", serial="S1"))
    taken = await money.post("/payments", cash("C2", "p2", serial="S1", captured=True))
    assert taken.json()["lines"][0]["standing"] == "EFFECTIVE"
    assert len(await money.events(p.ReceiptReuseDetected)) == 1


async def test_unidentified_money_is_identified() -> None:
    """A suspense line goes to the obligation it was meant for, under its own line id."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "nobody", captured=True))
    body = {"line_id": "WECHAT-O1/1", "person_id": "p1", "year": 2020, "insurance": "medical"}
    wrong = await money.post("/suspense/WECHAT/O1:identify", body | {"person_id": "nobody2"})
    assert wrong.status_code == 422
    done = await money.post("/suspense/WECHAT/O1:identify", body)
    assert (done.status_code, done.json()["standing"]) == (201, "EFFECTIVE")
    assert (await money.post("/suspense/WECHAT/O1:identify", body)).json()["code"] == "ALREADY_IDENTIFIED"
    rows = (await money.get("/payments", person_id="p1"))["items"]
    assert [(row["line_id"], row["standing"]) for row in rows] == [("WECHAT-O1/1", "EFFECTIVE")]


async def test_payment_after_a_known_death_is_refused_on_the_day_itself_it_is_not() -> None:
    """I-16: paid_at <= death date, by the day."""
    money = await opened("p1", "p2")
    for person in ("p1", "p2"):
        money.facts.deaths.known[person] = dt.date(2019, 11, 2)
    on_the_day = await money.post("/payments", payment("O1", "p1"))
    after = await money.post("/payments", payment("O2", "p2", paid_at="2019-11-03T00:00:00+08:00"))
    assert (on_the_day.status_code, after.status_code) == (201, 409)
    assert after.json()["code"] == "PERSON_DECEASED"


async def test_a_death_learned_later_is_found_and_a_withdrawal_undoes_it() -> None:
    """Scenario 4 (c) and (d): whenever learned; withdrawn, everything is undone."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    died = DeathReportedV1(
        person_id="p1", date=dt.date(2019, 10, 30), source="CIVIL_AFFAIRS", batch_month="2019-10"
    )
    await money.receive(died)
    [found] = await money.events(e.PostDeathPaymentDetected)
    assert found.was_effective
    assert (await money.get("/payments", person_id="p1"))["items"][0]["standing"] == "AFTER_DEATH"
    refused = await money.post("/payments", payment("O2", "p1"))
    assert refused.json()["code"] == "PERSON_DECEASED"
    await money.receive(DeathReportCorrectedV1(person_id="p1", date=None, source="CIVIL_AFFAIRS"))
    assert (await money.get("/payments", person_id="p1"))["items"][0]["standing"] == "EFFECTIVE"
    assert (await money.post("/payments", payment("O2", "p1"))).json()["code"] == "ALREADY_PAID"


async def test_a_disputed_earlier_date_is_found_but_moves_no_money() -> None:
    """Scenario 4 (e), I-16: the earliest date counts; the refund waits until the sources agree."""
    money = await opened("p1")
    await money.post("/payments", payment("O1", "p1"))
    for date, disputed in ((dt.date(2019, 11, 10), False), (dt.date(2019, 10, 30), True)):
        await money.receive(
            DeathReportedV1(
                person_id="p1", date=date, source="POLICE", batch_month="2019-11", disputed=disputed
            )
        )
    [found] = await money.events(e.PostDeathPaymentDetected)
    assert found.died_on == dt.date(2019, 10, 30)
    noted = [(each.died_on.day, each.disputed) for each in await money.events(e.PayerDeathNoted)]
    assert noted == [(10, False), (30, True)]


async def test_a_late_payment_needs_its_special_assessment() -> None:
    """I-31: the special amount, until valid_to, collected exactly."""
    money = await opened()
    special = assessed(
        "p1",
        special_assessment_no="S1",
        valid_to=dt.date(2020, 2, 1),
    )
    await money.given(special)
    late = await money.post("/payments", payment("O1", "p1", paid_at="2020-02-02T08:00:00+08:00"))
    assert late.json()["rule"] == "SPECIAL_ASSESSMENT_EXPIRED"
    paid = await money.post("/payments", payment("O2", "p1", paid_at="2020-02-01T23:00:00+08:00"))
    assert paid.status_code == 201, paid.text
    [received] = await money.events(e.PaymentReceived)
    assert (received.late, received.special_assessment_no) == (True, "S1")


async def test_payments_are_imported_as_final_money() -> None:
    """POST /payments:import: one order a row, outcomes per row."""
    money = await opened("p1", "p2")
    rows = b"\n".join(
        msgspec.json.encode(payment(f"O{n}", person)) for n, person in enumerate(["p1", "p2", "p1"])
    )
    async with money.service.client(["collection:payments:write"]) as client:
        response = await client.post(
            "/payments:import",
            content=rows,
            headers={"Idempotency-Key": "i1", "Content-Type": "application/x-ndjson"},
        )
    assert response.status_code == 202, response.text
    await money.service.settle()
    standings = [row["standing"] for row in (await money.get("/payments", campaign=CAMPAIGN))["items"]]
    assert sorted(standings) == ["DUPLICATE", "EFFECTIVE", "EFFECTIVE"]


async def imported(
    money: MoneyService, rows: list[dict[str, object]], key: str = "i1"
) -> list[dict[str, Any]]:
    """Outcomes of a file of orders."""
    scopes = ["collection:payments:write", "collection:imports:read"]
    async with money.service.client(scopes) as client:
        response = await client.post(
            "/payments:import",
            content=b"\n".join(map(msgspec.json.encode, rows)),
            headers={"Idempotency-Key": key, "Content-Type": "application/x-ndjson"},
        )
        assert response.status_code == 202, response.text
        await money.service.settle()
        outcomes = await client.get(f"/imports/{response.json()['import_id']}/outcomes")
    items: list[dict[str, Any]] = outcomes.json()["items"]
    return items


async def test_a_file_of_asked_orders_is_checked_as_single_ones_are() -> None:
    """ "captured": false: several lines, an agent, a receipt; each row refused or accepted by itself (I-09..I-19)."""
    money = await opened("p1", "p2", "p3", "p4")
    await money.assess("p1", insurance=Insurance.PENSION)
    asked = {"captured": False}
    rows = [
        payment("O1", "p1") | asked | {"lines": [line("p1"), line("p1", "pension", 30000)]},
        cash("C1", "p2") | asked,
        payment("O2", "p1") | asked,
        payment("O3", "p3") | asked | {"lines": [line("p3", fen=25999)]},
        cash("C2", "p3") | asked | {"receipt": {"book_no": "B1", "serial_no": "C1"}},
        cash("C3", "p4") | asked | {"receipt": None},
        payment("O4", "p4") | asked,
    ]
    told = [(each["id"], each["rule"] or each["code"]) for each in await imported(money, rows)]
    assert told == [
        ("WECHAT-O1", ""),
        ("CASH_AGENT-C1", ""),
        ("", "I-17"),
        ("", "I-14"),
        ("", "I-19"),
        ("", "I-19"),
        ("WECHAT-O4", ""),
    ]
    assert await states(money) == {"RECEIVED": 26000 * 3 + 30000}


async def test_an_order_number_of_another_order_is_refused_in_a_file_too() -> None:
    """The same order again is answered as before; another body under its number is refused (I-17)."""
    money = await opened("p1", "p2")
    await money.post("/payments", payment("O1", "p1", "p2"))
    rows = [payment("O1", "p1", "p2"), payment("O1", "p1")]
    told = [(each["outcome"], each["code"]) for each in await imported(money, rows)]
    assert told == [("accepted", ""), ("refused", "ORDER_NO_TAKEN")]
    assert await states(money) == {"RECEIVED": 52000}
