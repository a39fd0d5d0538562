"""Scenario 1 in one service: from the campaign's opening to the return, every step through its route or message."""

from __future__ import annotations

import datetime as dt
from typing import Any

from shared.contracts.notification import PaymentNoticeClosedV1
from shared.kernel.insurance import Insurance
from tests.integration.collection.conftest import CAMPAIGN, ROSTER, VILLAGE, World, at, registration
from tests.integration.collection.test_roster_flow import dispatched, notice_closed

DAY = dt.date(2019, 11, 2)
AGENT = "A-1"


async def agent_of_the_village(world: World) -> None:
    await world.post(
        "/virtual-households",
        {
            "virtual_household_id": "VH-1",
            "campaign": CAMPAIGN,
            "unit_id": "U-1",
            "name": "店子镇养老医保管理所",
            "villages": [VILLAGE],
        },
        201,
    )
    scope = {"insurances": ["medical", "pension"], "divisions": [VILLAGE]}
    await world.post("/virtual-households/VH-1:assign-scope", scope)
    agent = {
        "agent_id": AGENT,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "virtual_household_id": "VH-1",
        "unit": "U-1",
        "designated_account_ref": "ACC-1",
        "channels": ["CASH_AGENT"],
    }
    await world.post("/agents", agent, 201)


def cash(number: int, lines: list[tuple[str, str, int]], **more: Any) -> dict[str, Any]:
    """An order the agent takes in cash, with a receipt."""
    return {
        "order_no": f"C{number}",
        "channel": "CASH_AGENT",
        "paid_at": at(DAY),
        "agent": AGENT,
        "receipt": {"book_no": "B1", "serial_no": f"{number:04d}"},
        "lines": [
            {"person_id": person, "year": 2020, "insurance": insurance, "amount_fen": fen}
            for person, insurance, fen in lines
        ],
        **more,
    }


async def test_an_agent_collects_only_under_a_roster_whose_notice_is_over(opened: World) -> None:
    """I-09, D-47: before the notice closes the agent takes nothing; self-service is open already."""
    world = opened
    await agent_of_the_village(world)
    await dispatched(world)
    order = cash(1, [("p1", "medical", 26000)])
    refused = await world.post("/payments", order, 409)
    assert refused["code"] == "ROSTER_NOTICE_OPEN"
    await world.receive(registration("p8", Insurance.MEDICAL))
    unlisted = await world.post("/payments", cash(2, [("p8", "medical", 26000)]), 409)
    assert unlisted["code"] == "NOT_ON_ROSTER"
    online = {
        "order_no": "W1",
        "channel": "WECHAT",
        "paid_at": at(DAY),
        "lines": [{"person_id": "p8", "year": 2020, "insurance": "medical", "amount_fen": 26000}],
    }
    await world.post("/payments", online, 201)
    await world.receive(notice_closed())
    await world.post("/payments", order, 201)
    again = await world.post("/payments", cash(3, [("p1", "medical", 26000)]), 409)
    assert again["code"] == "ALREADY_PAID"


async def test_from_the_roster_to_the_return(opened: World) -> None:
    """Scenario 1: 260 × 2 and a pension of 300 in cash, all of it declared, vouchered, in treasury, returned."""
    world = opened
    await agent_of_the_village(world)
    await dispatched(world)
    await world.receive(notice_closed())
    await world.post(f"/rosters/{ROSTER}:finalise", {})
    await world.service.begin_day(DAY)
    await world.post("/payments", cash(1, [("p1", "medical", 26000), ("p1", "pension", 30000)]), 201)
    await world.post("/payments", cash(2, [("p2", "medical", 26000)]), 201)

    totals = [
        {"insurance": "medical", "count": 2, "amount_fen": 52000},
        {"insurance": "pension", "count": 1, "amount_fen": 30000},
    ]
    summary = {
        "campaign": CAMPAIGN,
        "date": DAY.isoformat(),
        "totals": totals,
        "receipts_from": "0001",
        "receipts_to": "0002",
    }
    await world.post(f"/agents/{AGENT}/summaries", summary, 201)
    slips = [
        {
            "slip_no": f"S-{total['insurance']}",
            "agent_id": AGENT,
            "date": DAY.isoformat(),
            "insurance": total["insurance"],
            "amount_fen": total["amount_fen"],
            "deposited_on": DAY.isoformat(),
            "account_ref": "ACC-1",
        }
        for total in totals
    ]
    await world.post(
        "/deposits:import", {"file_no": "F1", "bank": "RCB", "campaign": CAMPAIGN, "lines": slips}, 201
    )
    declaration = {"virtual_household_id": "VH-1", "campaign": CAMPAIGN, "village": VILLAGE, "via": "HALL"}
    early = await world.post("/declarations", declaration, 409)
    assert (early["code"], early["rule"]) == ("INVALID_STATE", "PRE_DECLARATION_NOTICE_OPEN")
    signed = await world.post(f"/rosters/{ROSTER}:sign", {"actor": "village-committee-01"})
    assert signed["signed"] is True
    await world.receive(
        PaymentNoticeClosedV1(
            village=VILLAGE,
            campaign=CAMPAIGN,
            notice_id=f"N-PRE-{ROSTER}",
            kind="PRE_DECLARATION",
            closed_on=DAY,
        )
    )
    submitted = await world.post("/declarations", declaration, 201)
    await world.post(f"/declarations/{submitted['declaration_no']}:verify", {"actor": "tax-03"})
    vouchers = (await world.get("/vouchers", state="ISSUED"))["items"]
    assert sorted((row["insurance"], row["fen"]) for row in vouchers) == [
        ("medical", 52000),
        ("pension", 30000),
    ]
    for row in vouchers:
        path = f"/vouchers/{row['voucher_no']}"
        debited = {
            "method": "FOUR_PARTY_AGREEMENT",
            "bank_ref": f"B-{row['insurance']}",
            "amount_fen": row["fen"],
            "at": at(DAY),
        }
        await world.post(f"{path}:debited", debited)
        await world.post(f"{path}:remitted", {"batch": "R1", "at": at(DAY)})
        entry = {"treasury_date": DAY.isoformat(), "amount_fen": row["fen"]}
        await world.post(f"{path}:in-treasury", entry)

    assert (await world.get(f"/rosters/{ROSTER}"))["stamped"] is True
    published = await world.messages()
    names = [type(message).__name__ for message in published]
    assert names.count("VillageRosterSignedV1") == 1
    assert names.count("PaymentNoticeStampedV1") == 1
    returned = [message for message in published if type(message).__name__ == "CollectionInfoReturnedV1"]
    lines = [line for message in returned for line in message.lines]  # type: ignore[attr-defined]
    assert sorted((line.person_id, line.fen) for line in lines) == [
        ("p1", 26000),
        ("p1", 30000),
        ("p2", 26000),
    ]
    money = await world.get("/money/unaccounted", campaign=CAMPAIGN)
    assert money["unaccounted_fen"] == 0
    assert money["checked"] > 0
