"""Days on which money is taken: the mass by file, injected households one by one; evenings; the treasury."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.rehearsal.bills import moment, order_no
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.plan import (
    ANSWERED_TWICE,
    DIED_UNPAID,
    DOUBLE,
    LATE,
    LATE_FILE,
    LOST_ANSWER,
    MISFILED,
    OVER,
    SHORT,
    PlannedHousehold,
)

SHORT_FEN = 10_000
OVER_FEN = 26_000
MISFIT = {SHORT: -SHORT_FEN, OVER: OVER_FEN}
REPEATS = {LOST_ANSWER: "lost", ANSWERED_TWICE: "twice"}
DAY = dt.timedelta(days=1)

Owed = Mapping[str, Sequence[Mapping[str, Any]]]
"""Unpaid obligations with something to pay, by person id."""


async def take_payments(driver: Driver, day: dt.date) -> dict[str, Any]:
    """Everybody who pays today: the mass first, then the households with a role."""
    answer = await driver.outside.post(f"/days/{day}/pay", {"campaign": driver.plan.campaign})
    cast = await _cast(driver, day)
    orders = answer["orders"] + len(cast)
    driver.watcher.payments(orders)
    refused = sorted(each["code"] for each in cast if each["state"] == "REFUSED")
    return {
        "moved": answer["moved"] + len(cast),
        "orders": orders,
        "refused": [*answer["refused"], *refused],
        "repeated": sorted(each["repeated"] for each in cast if each["repeated"]),
    }


async def _cast(driver: Driver, day: dt.date) -> list[dict[str, Any]]:
    """The orders of the day's roles, decided once."""
    todays = [planned for planned in driver.plan.roles.values() if planned.on == day]
    if not todays:
        return []

    async def decide() -> list[dict[str, Any]]:
        found = []
        for planned in todays:
            found += await _orders_of(driver, planned, day)
        return found

    return [await _place(driver, order) for order in await driver.journal.decided(f"{day}/orders", decide)]


async def unpaid(driver: Driver, planned: PlannedHousehold) -> Owed:
    """What a household still has to pay, asked afresh, by person."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for member in planned.household.members:
        if member.employee:
            continue
        person = driver.person(member)
        async for row in driver.services.pages(
            "village-agent", "collection", "/obligations", campaign=driver.plan.campaign, person_id=person
        ):
            if not row["paid_standing"] and not row["refused"] and row["personal_fen"] > 0:
                found[person].append(row)
    return found


async def _orders_of(driver: Driver, planned: PlannedHousehold, day: dt.date) -> list[dict[str, Any]]:
    """A role's orders of the day: one for everybody, and what the role adds to it."""
    lines = lines_of(driver, await unpaid(driver, planned))
    if not lines:
        return []
    number = planned.household.number
    order = {
        "channel": planned.channel,
        "agent": planned.agent,
        "order_no": order_no(driver, driver.plan.cast, number, day),
        "paid_at": moment(day, number),
        "lines": lines,
        "asked": True,
        "repeat": REPEATS.get(planned.role, ""),
        "without": [driver.person(planned.payers[0])] if planned.role == DIED_UNPAID else [],
    }
    if planned.role != DOUBLE:
        return [order]
    twice = next(line for line in lines if line["insurance"] == "medical")
    second = {
        **order,
        "channel": driver.plan.script.online[0],
        "agent": "",
        "order_no": f"{order['order_no']}-2",
        "paid_at": f"{day}T18:20:00+08:00",
        "lines": [twice],
        "asked": False,
    }
    return [order, second]


def lines_of(driver: Driver, owed: Owed) -> list[dict[str, Any]]:
    """What a household owes, as lines of an order."""
    return [
        {
            "person_id": row["person_id"],
            "village": driver.plan.cast.division,
            "insurance": row["insurance"],
            "year": row["year"],
            "fen": row["personal_fen"],
        }
        for rows in owed.values()
        for row in sorted(rows, key=lambda row: row["insurance"])
    ]


async def _place(driver: Driver, order: Mapping[str, Any]) -> dict[str, Any]:
    """One order at its channel or agent; refused for somebody's death, the others pay without him."""
    answer = await send(driver, order, order["order_no"], order["lines"])
    left = [line for line in order["lines"] if line["person_id"] not in order["without"]]
    if answer["code"] == "PERSON_DECEASED" and order["without"] and left:
        await send(driver, order, f"{order['order_no']}-B", left)
    return answer


async def send(
    driver: Driver, order: Mapping[str, Any], number: str, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Tell the outside world of one order."""
    body = {
        "order_no": number,
        "campaign": driver.plan.campaign,
        "paid_at": order["paid_at"],
        "lines": lines,
        "agent": order.get("agent", ""),
        "asked": order["asked"],
        "repeat": order.get("repeat", ""),
    }
    answer: dict[str, Any] = await driver.outside.post(f"/channels/{order['channel']}/pay", body)
    return answer


async def close_day(driver: Driver, day: dt.date, mixed: Sequence[str] = ()) -> dict[str, Any]:
    """Agents' summaries and slips, the bank's deposit file; what goes wrong in them today."""
    plan = driver.plan
    today = {name: role for name, role in plan.roles.items() if role.on == day}
    body = {
        "campaign": plan.campaign,
        "late_agents": [today[LATE].agent] if LATE in today else [],
        "misfits": {today[name].agent: fen for name, fen in MISFIT.items() if name in today},
        "mixed": list(mixed),
    }
    answer: dict[str, Any] = await driver.outside.post(f"/days/{day}/close", body)
    return answer


async def send_channel_files(driver: Driver, day: dt.date) -> dict[str, Any]:
    """渠道日终文件 of a day, sent the morning after: one is late by a day, one forgets an order."""
    plan = driver.plan
    roles = {name: plan.roles[name] for name in (MISFILED, LATE_FILE) if name in plan.roles}
    forgotten, late = (name in roles and roles[name].on == day for name in (MISFILED, LATE_FILE))
    body = {
        "campaign": plan.campaign,
        "late": [roles[LATE_FILE].channel] if late else [],
        "left_out": [_order_of(driver, roles[MISFILED], day)] if forgotten else [],
    }
    answer: dict[str, Any] = await driver.outside.post(f"/days/{day}/files", body)
    before = day - DAY
    for name, role in roles.items():
        if role.on == before:
            part = {"part": "-2", "left_out": [_order_of(driver, role, before)]} if name == MISFILED else {}
            path = f"/channels/{role.channel}/day-files/{before}"
            answer["moved"] += (await driver.outside.post(path, {"campaign": plan.campaign, **part}))["lines"]
    return answer


def _order_of(driver: Driver, planned: PlannedHousehold, day: dt.date) -> str:
    return order_no(driver, driver.plan.cast, planned.household.number, day)


async def debit_vouchers(driver: Driver, day: dt.date, hasty: bool) -> dict[str, Any]:
    """The bank's day: what was issued is debited and remitted."""
    body = {"campaign": driver.plan.campaign, "hasty": hasty}
    answer: dict[str, Any] = await driver.outside.post(f"/days/{day}/debit", body)
    return answer


async def enter_treasury(driver: Driver, day: dt.date, reject: Sequence[str] = ()) -> dict[str, Any]:
    """The treasury's day: what was remitted before today is entered, or sent back."""
    body = {"campaign": driver.plan.campaign, "reject": list(reject)}
    answer: dict[str, Any] = await driver.outside.post(f"/days/{day}/enter", body)
    return answer


async def correct_deposit(driver: Driver, role: str, day: dt.date) -> dict[str, Any]:
    """The day after: the missing cash is deposited, or the excess given back, and the town agency says so."""
    plan = driver.plan
    planned = plan.roles[role]
    taken = day - DAY
    kind = "CORRECTION" if role == SHORT else "RETURN"
    slip = f"{kind[0]}-{planned.agent}-{taken:%Y%m%d}"
    fen = abs(MISFIT[role])
    common = {"insurance": "medical", "date": taken.isoformat(), "campaign": plan.campaign}
    at_the_bank = common | {
        "slip_no": slip,
        "agent": planned.agent,
        "village": plan.cast.division,
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
