"""Preparing a campaign without a tax bureau: 人社 opens it and its fund accounts; no rosters, no households."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal import enrolling, subsidy_lists
from deploy.rehearsal.bills import moment, order_no
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.fund_world import HANDED_OUT, books_of
from deploy.rehearsal.outside import PER_INSURANCE
from deploy.rehearsal.plan import PlannedHousehold
from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.preparation import Task
from deploy.rehearsal.residents import Resident
from deploy.rehearsal.script import CASH

DAY = dt.timedelta(days=1)
INSURANCES = ("medical", "pension")
INCOME, FISCAL = "INCOME", "FISCAL"
PRIOR_FEN = {"medical": 15_000, "pension": 30_000}
"""What last year's history says everybody paid (synthetic: no plan of 2017 is among the sources)."""
STAYED = 93
"""In a hundred of this year's people, who had paid last year too (synthetic)."""


def tasks(driver: Driver) -> Sequence[Task]:
    """Steps of the preparation, each on its day."""
    days = driver.plan.script.days
    return [
        (days.open, "open-campaign", lambda: open_campaign(driver)),
        (days.open, "open-accounts", lambda: open_accounts(driver)),
        (days.open, "authorise-agents", lambda: authorise_agents(driver)),
        (days.register, "register-people", lambda: enrolling.register_people(driver)),
        (days.register, "report-employees", lambda: enrolling.report_employees(driver)),
        (days.register + DAY, "load-history", lambda: load_history(driver)),
        (days.enrol, "enrol", lambda: enrolling.enrol(driver)),
        (days.lists, "submit-lists", lambda: subsidy_lists.submit_lists(driver)),
        (days.lists, "verify-lists", lambda: subsidy_lists.verify_lists(driver)),
        (days.lists + DAY, "resubmit-list", lambda: subsidy_lists.resubmit_list(driver)),
        (days.lists + DAY, "verify-resubmitted", lambda: subsidy_lists.verify_resubmitted(driver)),
        (days.lists + 2 * DAY, "show-lists", lambda: show_lists(driver)),
        (days.tiers, "choose-tiers", lambda: enrolling.choose_tiers(driver)),
        (days.learn - DAY, "show-prior-year", lambda: show_prior_year(driver)),
        (days.learn, "learn-bills", lambda: learn_bills(driver)),
    ]


def account(kind: str, insurance: str) -> str:
    """Reference of a fund account, never a number."""
    return f"{kind}-{insurance}"


async def open_campaign(driver: Driver) -> Any:
    """The plan published by two persons of 人社, the campaign opened."""
    plan, post = driver.plan, driver.services.post
    pack = plan.pack.id
    await post("hr", "collection", "/packs", {"pack_id": pack, "maker": "hr-01"}, driver.key("draft"))
    body = {"campaign": plan.campaign, "approver": "hr-02"}
    await post("hr", "collection", f"/packs/{pack}:publish", body, driver.key("publish"))
    opened = {"campaign": plan.campaign, "pack_id": pack}
    await post("hr", "collection", "/campaigns", opened, driver.key("open"))
    return {}


async def open_accounts(driver: Driver) -> Any:
    """基金收入账户、财政专户: of each insurance its own (000:L151-155)."""
    for insurance in INSURANCES:
        for kind in (INCOME, FISCAL):
            body = {
                "campaign": driver.plan.campaign,
                "insurance": insurance,
                "kind": kind,
                "account_ref": account(kind, insurance),
                "bank": "RCB",
            }
            key = driver.key("account", kind, insurance)
            await driver.services.post("hr", "collection", "/fund-accounts", body, key)
    return {}


async def authorise_agents(driver: Driver) -> Any:
    """村居协办员: each in his own village, with his receipts; he deposits per insurance."""
    plan = driver.plan

    async def one(size: VillageSize, agent: str) -> None:
        body = {
            "agent_id": agent,
            "campaign": plan.campaign,
            "village": size.division,
            "unit": plan.unit(size.town),
            "designated_account_ref": account(INCOME, "medical"),
            "channels": sorted(plan.script.at_hand),
        }
        await driver.services.post("town-agency", "collection", "/agents", body, driver.key("agent", agent))
        for book in books_of(agent):
            forms = {
                "book_no": book,
                "campaign": plan.campaign,
                "village": size.division,
                "agent": agent,
                "first": f"{1:06d}",
                "last": f"{HANDED_OUT:06d}",
            }
            key = driver.key("book", book)
            await driver.services.post("town-agency", "collection", "/receipt-books", forms, key)

    pairs = [(size, agent) for size in plan.villages for agent in plan.agents(size)]
    await driver.together([partial(one, size, agent) for size, agent in pairs])
    agents = [
        {
            "agent": agent,
            "village": size.division,
            "account_ref": account(INCOME, PER_INSURANCE),
            "receipts": CASH,
        }
        for size, agent in pairs
    ]
    await driver.outside.post("/agents", {"campaign": plan.campaign, "agents": agents})
    return {"agents": len(pairs)}


# -- last year ------------------------------------------------------------------------------------------


async def load_history(driver: Driver) -> Any:
    """上年度缴费: who had paid last year, per village, as the town kept it (synthetic)."""
    plan = driver.plan
    told = 0

    async def one(size: VillageSize) -> int:
        persons = driver.persons(size)
        lines = [
            {"person_id": persons[each.ordinal], "insurance": insurance, "paid_fen": PRIOR_FEN[insurance]}
            for each in plan.village(size).each()
            if not each.employee and each.ordinal % 100 < STAYED
            for insurance in INSURANCES
            if insurance == "medical" or each.pension_tier is not None
        ]
        for start in range(0, len(lines), 5000):
            body = {
                "year": plan.year - 1,
                "village": size.division,
                "source": "上年度个人缴费明细表（合成）",
                "lines": lines[start : start + 5000],
            }
            key = driver.key("history", size.division, start)
            await driver.services.post("hr", "collection", "/history", body, key)
        return len(lines)

    for done, size in enumerate(plan.villages, 1):
        told += await one(size)
        driver.watcher.progress(done, len(plan.villages))
    return {"lines": told}


async def show_prior_year(driver: Driver) -> Any:
    """上年度缴费情况公示: each village shows the form's totals (000:L149-151)."""
    plan = driver.plan
    shown = 0
    for size in plan.villages:
        where = {"campaign": plan.campaign, "village": size.division}
        totals = await driver.services.get(
            "town-agency", "collection", "/forms/payment-detail/totals", **where
        )
        body = where | {"persons": totals["persons"], "fen": totals["fen"]}
        key = driver.key("prior-year", size.division)
        await driver.services.post("village-committee", "notification", "/prior-year-payments", body, key)
        shown += int(totals["persons"])
    return {"villages": len(plan.villages), "persons": shown}


async def show_lists(driver: Driver) -> Any:
    """资助名单公示: the villages show whom each list names among them (000:L204-206)."""
    plan = driver.plan
    shown = 0
    for size in plan.villages:
        counts: dict[tuple[str, str, str], int] = {}
        for each in plan.village(size).each():
            for listing in each.listings:
                name = (listing.department, listing.category, listing.insurance)
                counts[name] = counts.get(name, 0) + 1
        for (department, category, insurance), persons in sorted(counts.items()):
            list_id = subsidy_lists.list_id(driver, size.town, department, category, insurance, 1)
            body = {"campaign": plan.campaign, "village": size.division, "list_id": list_id}
            key = driver.key("show", size.division, list_id)
            await driver.services.post(
                "village-committee", "notification", "/subsidy-lists-shown", body | {"persons": persons}, key
            )
            shown += 1
    return {"shown": shown}


# -- bills ----------------------------------------------------------------------------------------------


async def learn_bills(driver: Driver) -> Any:
    """What each village owes, and what its households will pay, where and when."""
    plan = driver.plan
    orders = 0
    for done, size in enumerate(plan.villages, 1):
        body = {"campaign": plan.campaign, "village": size.division, "orders": list(_orders(driver, size))}
        orders += int((await driver.outside.post("/orders:plan", body))["orders"])
        driver.watcher.progress(done, len(plan.villages))
    return {"orders": orders}


def _orders(driver: Driver, size: VillageSize) -> Iterable[dict[str, Any]]:
    """As everywhere; what a channel does not take for an insurance or a relieved payer the village takes."""
    plan, persons = driver.plan, driver.persons(size)
    agents = plan.agents(size)
    for planned in plan.households(size):
        if planned.on is None or planned.role:
            continue
        members = [each for each in planned.household.members if not each.employee]
        at_village = [each for each in members if planned.channel == "HR_WEBSITE" and relieved(driver, each)]
        number = planned.household.number
        agent = planned.agent or agents[number % len(agents)]
        insurances = list(INSURANCES)
        channel = plan.pack.channel(planned.channel)
        if channel is not None:
            insurances = [each for each in INSURANCES if each in channel.insurances]
        left = [each for each in INSURANCES if each not in insurances]
        paying = [persons[each.ordinal] for each in members if each not in at_village]
        if paying:
            yield {
                "channel": planned.channel,
                "agent": planned.agent,
                "persons": paying,
                "paid_at": moment(planned.on, number),
                "order_no": order_no(driver, size, number, planned.on),
                "insurances": insurances,
            }
        visit = visiting_day(driver, planned, size)
        for suffix, who, what in (
            ("V", at_village, list(INSURANCES)),
            ("P", _others(members, at_village), left),
        ):
            if who and what:
                yield {
                    "channel": CASH,
                    "agent": agent,
                    "persons": [persons[each.ordinal] for each in who],
                    "paid_at": moment(visit, number),
                    "order_no": f"{order_no(driver, size, number, visit)}-{suffix}",
                    "insurances": what,
                }


def _others(members: Sequence[Resident], but: Sequence[Resident]) -> list[Resident]:
    return [each for each in members if each not in but]


def relieved(driver: Driver, resident: Resident) -> bool:
    """Who would lose a relief online (000:L129-131): listed people and those of sixty and more."""
    born = driver.plan.year - 1 - resident.birth.year
    return bool(resident.listings) or born >= 60


def visiting_day(driver: Driver, planned: PlannedHousehold, size: VillageSize) -> dt.date:
    """A day of the collecting phase on which the agent comes by."""
    collection = driver.plan.pack.collection
    days = (collection.end - collection.start).days
    return collection.start + dt.timedelta(days=(planned.household.number * 3 + size.number) % (days - 2) + 2)
