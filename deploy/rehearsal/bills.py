"""What each household will be asked for: learnt once from the obligations, and planned as orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import partial
from typing import Any

from deploy.rehearsal.driver import Driver
from deploy.rehearsal.population import VillageSize

VILLAGES_AT_ONCE = 4
"""One is planned here, one read from collection, one kept by the outside world, and one waits for its turn."""


async def learn_bills(driver: Driver) -> Any:
    """Channels and agents learn what each village owes, and what its households will pay and when."""
    plan = driver.plan
    orders = done = 0

    async def one(size: VillageSize) -> None:
        nonlocal orders, done
        body = {
            "campaign": plan.campaign,
            "village": size.division,
            "orders": list(_orders(driver, size)),
        }
        planned = await driver.outside.post("/orders:plan", body)
        orders += int(planned["orders"])
        done += 1
        driver.watcher.progress(done, len(plan.villages))

    await driver.together([partial(one, size) for size in plan.villages], VILLAGES_AT_ONCE)
    return {"orders": orders}


def _orders(driver: Driver, size: VillageSize) -> Iterable[dict[str, Any]]:
    plan, persons = driver.plan, driver.persons(size)
    for planned in plan.households(size):
        if planned.on is None or planned.role:
            continue
        number = planned.household.number
        people = [persons[each.ordinal] for each in planned.household.members if not each.employee]
        if not people:
            continue
        order = {
            "channel": planned.channel,
            "agent": planned.agent,
            "persons": people,
            "paid_at": moment(planned.on, number),
            "order_no": order_no(driver, size, number, planned.on),
            "insurances": ["medical", "pension"],
        }
        if planned.pension_on is None:
            yield order
            continue
        yield order | {"insurances": ["medical"]}
        later = planned.pension_on
        yield order | {
            "insurances": ["pension"],
            "paid_at": moment(later, number),
            "order_no": order_no(driver, size, number, later),
        }


def order_no(driver: Driver, size: VillageSize, household: int, day: dt.date) -> str:
    """A household's order of a day."""
    return f"{driver.plan.run}-{size.division[3:]}-{household:04d}-{day:%m%d}"


def moment(day: dt.date, household: int) -> str:
    """When a household pays on a day."""
    return f"{day}T{9 + household % 8:02d}:{household * 7 % 60:02d}:00+08:00"
