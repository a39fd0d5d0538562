"""Preparing the campaign (筹资准备): pack, targets, households, people, lists, tiers, roster and its notice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.clients import Reply
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.plan import OBJECTOR, lists_of
from deploy.rehearsal.residents import Resident

Task = tuple[dt.date, str, Act]

DEPARTMENT_CLIENTS = {
    "CIVIL_AFFAIRS": "civil-affairs",
    "DISABLED_FEDERATION": "disabled-persons-federation",
    "HEALTH": "health",
    "POVERTY_RELIEF": "poverty-office",
}
REFUSED_EMPLOYEES = 5
"""So many employees try to enrol all the same and are refused (I-05)."""


def tasks(driver: Driver) -> Sequence[Task]:
    """Steps of October, each on its day."""
    start = driver.plan.pack.document.phases[0].start

    def on(day: int) -> dt.date:
        return start + dt.timedelta(days=day - 1)

    return [
        (on(1), "open-campaign", lambda: open_campaign(driver)),
        (on(1), "assign-targets", lambda: assign_targets(driver)),
        (on(1), "virtual-household", lambda: register_household(driver)),
        (on(2), "register-people", lambda: register_people(driver)),
        (on(2), "find-people", lambda: find_people(driver)),
        (on(2), "report-employees", lambda: report_employees(driver)),
        (on(3), "enrol", lambda: enrol(driver)),
        (on(8), "submit-lists", lambda: submit_lists(driver)),
        (on(9), "verify-lists", lambda: verify_lists(driver)),
        (on(10), "choose-tiers", lambda: choose_tiers(driver)),
        (on(14), "generate-roster", lambda: generate_roster(driver)),
        (on(15), "review-roster", lambda: review_roster(driver)),
        (on(16), "publish-roster", lambda: publish_roster(driver)),
        (on(17), "raise-objections", lambda: raise_objections(driver)),
        (on(18), "register-omitted", lambda: register_omitted(driver)),
        (on(18), "enrol-omitted", lambda: enrol_omitted(driver)),
        (on(18), "resolve-objections", lambda: resolve_objections(driver)),
        (on(20), "amend-roster", lambda: amend_roster(driver)),
        (on(21), "finalise-roster", lambda: finalise_roster(driver)),
    ]


async def open_campaign(driver: Driver) -> Any:
    """Pack drafted, published by another person, campaign opened (I-01)."""
    plan, post = driver.plan, driver.services.post
    pack = plan.pack.id
    await post("tax", "collection", "/packs", {"pack_id": pack, "maker": "tax-01"}, driver.key("draft"))
    body = {"campaign": plan.campaign, "approver": "tax-02"}
    await post("tax", "collection", f"/packs/{pack}:publish", body, driver.key("publish"))
    opened = {"campaign": plan.campaign, "pack_id": pack}
    await post("tax", "collection", "/campaigns", opened, driver.key("open"))
    return {}


async def assign_targets(driver: Driver) -> Any:
    """下达任务: the plan's task table, one table per insurance, in the units it prints (I-02, D-19)."""
    table = driver.plan.pack.document.task_table
    if table is None or table.total is None:
        return {}
    medical = [
        {
            "division": row.division,
            "name": row.name,
            "insurance": "medical",
            "persons": row.medical_persons,
            "amount_fen": (row.medical_amount_yuan or 0) * 100,
        }
        for row in table.rows
    ]
    pension = [
        {
            "division": row.division,
            "name": row.name,
            "insurance": "pension",
            "persons": row.pension_persons,
            "amount_wan_yuan": row.pension_amount_wan_yuan,
        }
        for row in table.rows
    ]
    total = table.total
    path = f"/campaigns/{driver.plan.campaign}/targets"
    for insurance, rows, persons, amount in (
        ("medical", medical, total.medical_persons, (total.medical_amount_yuan or 0) * 100),
        ("pension", pension, total.pension_persons, total.pension_amount_wan_yuan),
    ):
        body = {"rows": rows, "stated_total_persons": persons, "stated_total_amount": amount}
        await driver.services.post("tax", "collection", path, body, driver.key("targets", insurance))
    return {"rows": len(medical) + len(pension)}


async def register_household(driver: Driver) -> Any:
    """The collecting unit is sent by 医保; the tax branch registers the virtual household and its agents."""
    plan, post = driver.plan, driver.services.post
    unit_name = f"{plan.place}养老医保管理所（合成）"
    unit = {"unit_id": plan.unit, "name": unit_name, "village": plan.village.division}
    await post("medical", "registration", "/collecting-units", unit, driver.key("unit"))
    household = {
        "virtual_household_id": plan.virtual_household,
        "campaign": plan.campaign,
        "unit_id": plan.unit,
        "name": unit_name,
        "villages": [plan.village.division],
    }
    await post("tax-branch", "collection", "/virtual-households", household, driver.key("household"))
    scope = {"insurances": ["medical", "pension"], "divisions": [plan.town]}
    path = f"/virtual-households/{plan.virtual_household}:assign-scope"
    await post("tax-branch", "collection", path, scope, driver.key("scope"))
    for agent in plan.agents:
        body = {
            "agent_id": agent,
            "campaign": plan.campaign,
            "village": plan.village.division,
            "virtual_household_id": plan.virtual_household,
            "unit": plan.unit,
            "designated_account_ref": plan.account,
            "channels": ["CASH_AGENT"],
        }
        await post("tax-branch", "collection", "/agents", body, driver.key("agent", agent))
    return {}


def person_row(driver: Driver, resident: Resident) -> dict[str, Any]:
    """A row of the people file."""
    return {
        "name": resident.name,
        "number": resident.number,
        "division": driver.plan.village.division,
        "hukou_division": driver.plan.village.division[:6],
        "student": resident.student,
        "household": resident.household[-5:],
    }


async def register_people(driver: Driver) -> Any:
    """参保登记: everybody of the village but the one who is forgotten."""
    omitted = driver.plan.omitted.ordinal
    rows = [person_row(driver, each) for each in driver.plan.residents if each.ordinal != omitted]
    return await driver.import_file("hr", "registration", "/people:import", rows, driver.key("people"))


async def find_people(driver: Driver) -> Any:
    """Who is who: numbers are asked for once."""
    residents = [each for each in driver.plan.residents if each.ordinal != driver.plan.omitted.ordinal]
    known = driver.journal.persons()

    async def find(resident: Resident) -> None:
        if resident.ordinal not in known:
            body = {"number": resident.number}
            reply = await driver.services.post("hr", "registration", "/people:search", body)
            driver.journal.add_person(resident.ordinal, str(reply.body["person_id"]))

    await driver.together([partial(find, each) for each in residents])
    return {"persons": len(residents)}


async def report_employees(driver: Driver) -> Any:
    """职工参保: who is insured as an employee (I-05)."""
    employees = [each for each in driver.plan.residents if each.employee]

    async def report(resident: Resident, insurance: str) -> Reply:
        body = {"person_id": driver.person(resident), "insurance": insurance, "from_date": "2018-01-01"}
        key = driver.key("employee", insurance, resident.ordinal)
        return await driver.services.post("hr", "registration", "/employee-insurance", body, key)

    works = [partial(report, each, insurance) for each in employees for insurance in ("medical", "pension")]
    await driver.together(works)
    return {"employees": len(employees)}


async def enrol(driver: Driver) -> Any:
    """Enrolments by 医保 and 人社; some employees try and are refused."""
    plan, year = driver.plan, driver.plan.year
    people = [each for each in plan.residents if each.ordinal != plan.omitted.ordinal]
    trying = [each for each in people if each.employee][:REFUSED_EMPLOYEES]
    medical = [each for each in people if not each.employee] + trying
    pension = [each for each in people if each.pension_tier is not None]
    answers = {}
    for organisation, insurance, who in (("medical", "medical", medical), ("hr", "pension", pension)):
        rows = [{"person_id": driver.person(each), "insurance": insurance, "year": year} for each in who]
        answers[insurance] = await driver.import_file(
            organisation, "registration", "/enrolments:import", rows, driver.key("enrol", insurance)
        )
    return answers


async def submit_lists(driver: Driver) -> Any:
    """资助名单: one per department, category and insurance; one line of somebody nobody knows."""
    plan = driver.plan
    lines_sent = 0
    for (department, category, insurance), people in lists_of(plan):
        listed = list(people)
        if (category, insurance) == ("MINIMUM_LIVING", "medical"):
            listed.append(plan.stranger)
        lines = [
            {"line_no": number, "name": each.name, "number": each.number}
            for number, each in enumerate(listed, 1)
        ]
        body = {
            "list_id": list_id(driver, department, category, insurance),
            "department": department,
            "category": category,
            "insurance": insurance,
            "campaign": plan.campaign,
            "stamped_total": len(lines),
            "legal_basis": "ST-2020",
            "lines": lines,
        }
        await driver.services.post(
            DEPARTMENT_CLIENTS[department], "subsidy", "/lists", body, driver.key("list", body["list_id"])
        )
        lines_sent += len(lines)
    return {"lines": lines_sent}


def list_id(driver: Driver, department: str, category: str, insurance: str) -> str:
    """Id of a department's list."""
    return f"{department}-{category}-{insurance}-{driver.plan.year}-1"


async def verify_lists(driver: Driver) -> Any:
    """核实盖章确认 with the number of lines."""
    for (department, category, insurance), people in lists_of(driver.plan):
        name = list_id(driver, department, category, insurance)
        count = len(people) + ((category, insurance) == ("MINIMUM_LIVING", "medical"))
        body = {"stamp": f"{department}-01", "count": count}
        client = DEPARTMENT_CLIENTS[department]
        await driver.services.post(
            client, "subsidy", f"/lists/{name}:verify", body, driver.key("verify", name)
        )
    return {}


async def choose_tiers(driver: Driver) -> Any:
    """选择缴费档次: everybody whose tier the government does not pay."""
    plan = driver.plan
    rows = [
        {
            "person_id": driver.person(each),
            "year": plan.year,
            "campaign": plan.campaign,
            "tier_yuan": each.pension_tier,
        }
        for each in plan.residents
        if each.pension_tier is not None
        and each.ordinal != plan.omitted.ordinal
        and not any(listing.insurance == "pension" for listing in each.listings)
    ]
    return await driver.import_file("town-agency", "collection", "/tiers:import", rows, driver.key("tiers"))


async def generate_roster(driver: Driver) -> Any:
    """缴费信息清册生成."""
    body = {"campaign": driver.plan.campaign, "village": driver.plan.village.division}
    await driver.services.post("tax-branch", "collection", "/rosters", body, driver.key("roster"))
    return {}


async def review_roster(driver: Driver) -> Any:
    """初审 by the tax branch and the town agency: two persons of two organisations."""
    path = f"/rosters/{driver.plan.roster}:review"
    for client, role, actor in (
        ("tax-branch", "TAX_BRANCH", "branch-03"),
        ("town-agency", "TOWN_AGENCY", "town-05"),
    ):
        body = {"role": role, "actor": actor, "findings": []}
        await driver.services.post(client, "collection", path, body, driver.key("review", role))
    return {}


async def publish_roster(driver: Driver) -> Any:
    """移交镇街、转交代办员; the village notice of three days follows."""
    body = {"to": "TOWN_AGENCY", "agents": list(driver.plan.agents)}
    path = f"/rosters/{driver.plan.roster}:publish"
    await driver.services.post("town-agency", "collection", path, body, driver.key("dispatch"))
    return {}


async def notice_of(driver: Driver, kind: str) -> dict[str, Any]:
    """The village's latest notice of a kind."""
    found = [
        row
        async for row in driver.services.pages(
            "village-committee", "notification", "/notices", village=driver.plan.village.division, kind=kind
        )
    ]
    return found[-1]


async def raise_objections(driver: Driver) -> Any:
    """One neighbour disputes an amount; one says somebody of his household is missing."""
    notice = (await notice_of(driver, "ROSTER"))["notice_id"]
    disputed = driver.plan.roles[OBJECTOR].payers[0]
    other = driver.plan.roles[OBJECTOR].payers[1]
    ids = {}
    for name, who, claim in (("amount", disputed, "WRONG_AMOUNT"), ("missing", other, "NOT_LISTED")):
        body = {"person_id": driver.person(who), "insurance": "medical", "claim": claim}
        reply = await driver.services.post(
            "village-committee",
            "notification",
            f"/notices/{notice}/objections",
            body,
            driver.key("objection", name),
        )
        ids[name] = reply.body["objection_id"]
    return ids


async def register_omitted(driver: Driver) -> Any:
    """The forgotten person registers."""
    omitted = driver.plan.omitted
    row = person_row(driver, omitted)
    reply = await driver.services.post("hr", "registration", "/people", row, driver.key("omitted"))
    driver.journal.add_person(omitted.ordinal, str(reply.body["person_id"]))
    return {}


async def enrol_omitted(driver: Driver) -> Any:
    """And is enrolled."""
    body = {
        "person_id": driver.person(driver.plan.omitted),
        "insurance": "medical",
        "year": driver.plan.year,
    }
    key = driver.key("enrol-omitted")
    await driver.services.post("medical", "registration", "/enrolments", body, key)
    return {}


async def resolve_objections(driver: Driver) -> Any:
    """Both are resolved before the notice may close: one rejected, one upheld."""
    ids = driver.journal.answer(f"{step_day(driver, 17)}/raise-objections")
    for name, outcome, finding in (
        ("amount", "REJECTED", "标准与文件一致 / the amount is the plan's"),
        ("missing", "UPHELD", "漏登，已补登记 / omitted, registered now"),
    ):
        body = {"roster_id": driver.plan.roster, "outcome": outcome, "finding": finding}
        path = f"/objections/{ids[name]}:resolve"
        await driver.services.post("town-agency", "collection", path, body, driver.key("resolve", name))
    return {}


def step_day(driver: Driver, day: int) -> dt.date:
    """A day of the preparation phase, from 1."""
    start: dt.date = driver.plan.pack.document.phases[0].start
    return start + dt.timedelta(days=day - 1)


async def amend_roster(driver: Driver) -> Any:
    """补充修改清册: the forgotten person is added."""
    who = driver.person(driver.plan.omitted)
    body = {"add": [{"person_id": who, "insurance": "medical"}], "remove": []}
    path = f"/rosters/{driver.plan.roster}:amend"
    await driver.services.post("town-agency", "collection", path, body, driver.key("amend"))
    return {}


async def finalise_roster(driver: Driver) -> Any:
    """定稿上报."""
    path = f"/rosters/{driver.plan.roster}:finalise"
    await driver.services.post("town-agency", "collection", path, {}, driver.key("finalise"))
    return {}
