"""Days on which money is taken: orders at doors and on phones, evenings at the bank, entries at the treasury."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.driver import Driver
from deploy.rehearsal.plan import (
    CASH,
    DIED_UNPAID,
    DOUBLE,
    LATE,
    LOST_ANSWER,
    OVER,
    SELF_SERVICE,
    SHORT,
    PlannedHousehold,
)
from deploy.rehearsal.residents import Resident

SHORT_FEN = 10_000
OVER_FEN = 26_000
MISFIT = {SHORT: -SHORT_FEN, OVER: OVER_FEN}

Owed = Mapping[str, Sequence[Mapping[str, Any]]]
"""Unpaid obligations with something to pay, by person id."""


async def take_payments(driver: Driver, day: dt.date) -> dict[str, Any]:
    """Everybody who pays today: decided once, then placed; agents one door after the other."""
    if not driver.plan.paying_on(day):
        return {"moved": 0, "orders": 0}

    async def decide() -> list[dict[str, Any]]:
        owed = await unpaid(driver)
        return [order for each in driver.plan.paying_on(day) for order in orders_of(driver, each, day, owed)]

    orders: list[dict[str, Any]] = await driver.journal.decided(f"{day}/orders", decide)
    lanes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for order in orders:
        # An agent writes one receipt after the other; a household's own orders keep their order.
        lanes[order["agent"] or order["household"]].append(order)

    async def lane(those: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [await place(driver, order) for order in those]

    answers = await driver.together([partial(lane, those) for those in lanes.values()])
    placed = [answer for some in answers for answer in some]
    driver.watcher.payments(len(placed))
    return {
        "moved": len(placed),
        "orders": len(placed),
        "refused": sorted(
            [answer["order_no"], answer["code"]] for answer in placed if answer["state"] == "REFUSED"
        ),
        "repeated": sorted(answer["repeated"] for answer in placed if answer["repeated"]),
    }


async def unpaid(driver: Driver) -> Owed:
    """What is still to be paid in the village, by person."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    async for row in driver.obligations():
        if not row["paid_standing"] and not row["refused"] and row["personal_fen"] > 0:
            found[row["person_id"]].append(row)
    return found


def orders_of(driver: Driver, planned: PlannedHousehold, day: dt.date, owed: Owed) -> list[dict[str, Any]]:
    """A household's orders of the day: one for everybody, and what its role adds to it."""
    lines = [
        line
        for member in planned.household.members
        if not member.employee
        for line in lines_of(driver, member, owed)
    ]
    if not lines:
        return []
    short = planned.household.number[-5:]
    order = {
        "household": short,
        "channel": planned.channel,
        "agent": planned.agent,
        "order_no": f"{driver.plan.seed}-{short}-{day:%m%d}",
        "paid_at": f"{day}T{9 + int(short[-1]) % 8:02d}:{int(short[-2:]) % 60:02d}:00+08:00",
        "lines": lines,
        "asked": True,
        "lose_answer": planned.role == LOST_ANSWER,
        "without": [],
    }
    if planned.role == DIED_UNPAID:
        order["without"] = [driver.person(planned.payers[0])]
    if planned.role != DOUBLE:
        return [order]
    twice = next(line for line in lines if line["insurance"] == "medical")
    second = {
        **order,
        "channel": "WECHAT",
        "agent": "",
        "order_no": f"{order['order_no']}-2",
        "paid_at": f"{day}T18:20:00+08:00",
        "lines": [twice],
        "asked": False,
    }
    return [order, second]


def lines_of(driver: Driver, member: Resident, owed: Owed) -> list[dict[str, Any]]:
    """What a member owes, as lines of an order."""
    person = driver.person(member)
    rows = sorted(owed.get(person, ()), key=lambda row: row["insurance"])
    return [
        {
            "person_id": person,
            "village": driver.plan.village.division,
            "insurance": row["insurance"],
            "year": row["year"],
            "fen": row["personal_fen"],
        }
        for row in rows
    ]


async def place(driver: Driver, order: Mapping[str, Any]) -> dict[str, Any]:
    """One order at its channel or agent; refused for somebody's death, the others pay without him."""
    answer = await _send(driver, order, order["order_no"], order["lines"])
    left = [line for line in order["lines"] if line["person_id"] not in order["without"]]
    if answer["code"] == "PERSON_DECEASED" and order["without"] and left:
        await _send(driver, order, f"{order['order_no']}-B", left)
    return answer


async def _send(
    driver: Driver, order: Mapping[str, Any], order_no: str, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    body = {
        "order_no": order_no,
        "campaign": driver.plan.campaign,
        "paid_at": order["paid_at"],
        "lines": lines,
        "asked": order["asked"],
        "lose_answer": order["lose_answer"],
    }
    path = f"/agents/{order['agent']}/collect" if order["agent"] else f"/channels/{order['channel']}/pay"
    answer: dict[str, Any] = await driver.outside.post(path, body)
    return answer


async def close_day(driver: Driver, day: dt.date) -> dict[str, Any]:
    """Agents' summaries and slips; the bank's deposit file; the channels' day files."""
    plan = driver.plan
    slips = 0
    for number, agent in enumerate(plan.agents):
        late = plan.roles[LATE].on == day and number == 1
        misfits = [
            fen
            for role, fen in MISFIT.items()
            if plan.roles[role].on == day and plan.roles[role].agent == agent
        ]
        body = {
            "village": plan.village.division,
            "campaign": plan.campaign,
            "date": day.isoformat(),
            "deposited_on": (day + dt.timedelta(days=1) if late else day).isoformat(),
            "account_ref": plan.account,
            "adjustments": {"medical": sum(misfits)} if misfits else {},
        }
        answer = await driver.outside.post(f"/agents/{agent}/close-day", body)
        slips += len(answer["slips"])
    campaign = {"campaign": plan.campaign}
    deposits = await driver.outside.post(f"/bank/deposit-files/{day}", campaign)
    filed = 0
    for channel in SELF_SERVICE:
        filed += (await driver.outside.post(f"/channels/{channel}/day-files/{day}", campaign))["lines"]
    moved = slips + deposits["lines"] + filed
    return {"moved": moved, "slips": slips, "deposits": deposits["lines"], "channel_lines": filed}


async def debit_vouchers(driver: Driver, day: dt.date) -> dict[str, Any]:
    """The bank's evening: what was issued is debited and remitted."""
    answer: dict[str, Any] = await driver.outside.post(
        f"/bank/vouchers/{day}", {"campaign": driver.plan.campaign}
    )
    return answer


async def enter_treasury(driver: Driver, day: dt.date, reject: Sequence[str] = ()) -> dict[str, Any]:
    """The treasury's day: what was remitted before today is entered, or sent back."""
    answer: dict[str, Any] = await driver.outside.post(
        f"/treasury/entries/{day}", {"campaign": driver.plan.campaign, "reject": list(reject)}
    )
    return answer


async def correct_deposit(driver: Driver, role: str, day: dt.date) -> dict[str, Any]:
    """The day after: the missing cash is deposited, or the excess given back, and the town agency says so."""
    plan = driver.plan
    planned = plan.roles[role]
    taken = planned.on
    assert taken is not None
    kind = "CORRECTION" if role == SHORT else "RETURN"
    slip = f"{kind[0]}-{planned.agent}-{taken:%Y%m%d}"
    fen = abs(MISFIT[role])
    common = {"insurance": "medical", "date": taken.isoformat(), "campaign": plan.campaign}
    at_the_bank = common | {
        "slip_no": slip,
        "agent": planned.agent,
        "village": plan.village.division,
        "fen": fen,
        "deposited_on": day.isoformat(),
        "kind": kind,
    }
    await driver.outside.post("/bank/corrections", at_the_bank)
    resolution = {
        "kind": "CORRECTIVE_DEPOSIT" if role == SHORT else "RETURNED_EXCESS",
        "slip_no": slip,
        "amount_fen": fen,
        "note": "次日更正 / corrected next day",
    }
    body = common | {"agent_id": planned.agent, "resolution": resolution}
    await driver.services.post("town-agency", "collection", "/settlements", body, driver.key("correct", role))
    return {"slip_no": slip, "fen": fen}


def is_cash(planned: PlannedHousehold) -> bool:
    """True for a household the agent visits."""
    return planned.channel == CASH
