"""What a plan adds for some: the birthday rule online (004:L203-207), family-planning couples (D-15, D-57), and
the fiscal moneys claimed from booked heads (D-45). Each step only where the pack has it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

from deploy.rehearsal.bills import moment, order_no
from deploy.rehearsal.collecting import lines_of, send, unpaid
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.plan import BIRTHDAY, BORN_ON
from deploy.rehearsal.residents import Resident
from shared.kernel.identity import Sex, full_years

DAY = dt.timedelta(days=1)
COUPLES = 5
FISCAL_KINDS = ("MEDICAL_FISCAL", "PENSION_MATCHING", "FAMILY_PLANNING")


def tasks(driver: Driver) -> Iterator[tuple[dt.date, str, Act]]:
    """Steps of the plan's own, each on its day."""
    plan = driver.plan
    days = plan.script.days
    if BIRTHDAY in plan.roles:
        before, after = plan.day(6), birthday(driver) + DAY
        yield before, "pay-before-birthday", partial(pay, driver, before)
        yield after, "pay-after-birthday", partial(pay, driver, after)
    if plan.pack.document.pension.family_planning is not None:
        yield days.tiers, "record-couples", lambda: record_couples(driver)
    if plan.pack.fiscal_subsidy_fen is not None:
        last = days.last
        yield last - 4 * DAY, "count-heads", lambda: count_heads(driver)
        yield (
            last - 3 * DAY,
            "appropriate-fiscal",
            partial(move_fiscal, driver, "appropriate", last - 3 * DAY),
        )
        yield last - 2 * DAY, "fiscal-arrived", partial(move_fiscal, driver, "arrived", last - 2 * DAY)


def birthday(driver: Driver) -> dt.date:
    """The day on which the role's person turns 60."""
    return dt.date(driver.plan.year - 1, *BORN_ON)


async def pay(driver: Driver, day: dt.date) -> Any:
    """His half price, online: refused until the birthday, taken after it."""
    role = driver.plan.roles[BIRTHDAY]
    person = driver.person(elder(driver))

    async def decide() -> list[dict[str, Any]]:
        owed = lines_of(driver, await unpaid(driver, role))
        return [line for line in owed if line["person_id"] == person and line["insurance"] == "medical"]

    lines = await driver.journal.decided(f"{day}/birthday", decide)
    number = role.household.number
    channel = driver.plan.script.online[0]
    order = {"channel": channel, "paid_at": moment(day, number), "asked": True}
    answer = await send(driver, order, order_no(driver, driver.plan.cast, number, day), lines)
    return {"state": answer["state"], "code": answer["code"]}


def elder(driver: Driver) -> Resident:
    """Whose birthday it is."""
    members = driver.plan.roles[BIRTHDAY].household.members
    return next(each for each in members if each.ordinal == driver.plan.birthday)


def couples(driver: Driver) -> list[tuple[Resident, Resident]]:
    """Some couples of the first village, both in the pension, the wife of the age the plan asks."""
    given = driver.plan.pack.document.pension.family_planning
    found: list[tuple[Resident, Resident]] = []
    if given is None:
        return found
    busy = {role.household.number for role in driver.plan.roles.values()}
    for household in driver.plan.village(driver.plan.cast).households:
        if household.number in busy:
            continue
        paying = [each for each in household.members if each.pension_tier is not None]
        wives = [
            each
            for each in paying
            if each.sex is Sex.FEMALE and full_years(each.birth, given.wife_age_on) >= given.wife_age_min
        ]
        husbands = [each for each in paying if each.sex is Sex.MALE]
        if wives and husbands and len(found) < COUPLES:
            found.append((wives[0], husbands[0]))
    return found


async def record_couples(driver: Driver) -> Any:
    """登记计生家庭 by the health department, found by their numbers."""
    given = driver.plan.pack.document.pension.family_planning
    known = couples(driver)
    if given is None:
        return {"moved": 0, "couples": 0}
    client = driver.plan.script.departments.get(given.supplier, "health")
    for number, (wife, husband) in enumerate(known, 1):
        body = {
            "campaign": driver.plan.campaign,
            "kind": given.kinds[number % len(given.kinds)],
            "department": given.supplier,
            "wife_number": wife.number,
            "husband_number": husband.number,
        }
        path, key = "/family-planning-couples", driver.key("couple", number)
        await driver.services.post(client, "subsidy", path, body, key)
    return {"moved": len(known), "couples": len(known)}


async def count_heads(driver: Driver) -> Any:
    """财政补助人数核报: 人社 counts who is booked; subsidy claims for them."""
    body = {"campaign": driver.plan.campaign}
    reply = await driver.services.post("hr", "registration", "/fiscal-heads:count", body, driver.key("heads"))
    return reply.body


async def move_fiscal(driver: Driver, step: str, day: dt.date) -> Any:
    """财政拨付、到账: what is claimed is appropriated, what is appropriated arrives."""
    campaign = driver.plan.campaign
    column = "outstanding_fen" if step == "appropriate" else "in_transit_fen"

    async def decide() -> list[tuple[str, int]]:
        rows = await fiscal(driver)
        return [(row["kind"], row[column]) for row in rows if row[column] > 0]

    moved = await driver.journal.decided(f"{day}/fiscal", decide)
    for kind, fen in moved:
        body: dict[str, Any] = {"fen": fen, "on": day.isoformat()}
        if step == "arrived":
            body["bank_ref"] = f"F-{kind}-{day:%Y%m%d}"
        path = f"/fiscal-subsidies/{campaign}/{kind}:{step}"
        await driver.services.post("finance", "subsidy", path, body, driver.key(step, kind))
    return {"moved": len(moved)}


async def fiscal(driver: Driver) -> list[dict[str, Any]]:
    """The three fiscal moneys of the campaign."""
    page = await driver.services.get("finance", "subsidy", "/fiscal-subsidies", campaign=driver.plan.campaign)
    rows: list[dict[str, Any]] = page["items"]
    return rows
