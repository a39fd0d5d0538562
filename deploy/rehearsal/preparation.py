"""Preparing the campaign (筹资准备): the days of its steps; pack, targets, virtual households and agents.

The steps themselves are in ``enrolling``, ``subsidy_lists``, ``rosters`` and ``bills``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from deploy.rehearsal import bills, enrolling, rosters, subsidy_lists, years
from deploy.rehearsal.driver import Act, Driver
from deploy.rehearsal.population import VillageSize

Task = tuple[dt.date, str, Act]

DAY = dt.timedelta(days=1)


def tasks(driver: Driver) -> Sequence[Task]:
    """Steps of the preparation, each on its day; every one of them comes to rest before the next."""
    days, plan = driver.plan.script.days, driver.plan
    notice = plan.pack.notice_days("ROSTER")
    closed = days.roster + dt.timedelta(days=2 + (notice or 0) + 1)
    found: list[Task] = [
        *years.tasks_before(driver),
        (days.open, "open-campaign", lambda: open_campaign(driver)),
        (days.open, "assign-targets", lambda: assign_targets(driver)),
        (days.open, "authorise-agents", lambda: authorise_agents(driver)),
        (days.register, "register-people", lambda: enrolling.register_people(driver)),
        *(
            []
            if plan.before
            else [(days.register, "report-employees", lambda: enrolling.report_employees(driver))]
        ),
        *years.tasks_of_history(driver),
        (days.enrol, "enrol", lambda: enrolling.enrol(driver)),
        (days.lists, "submit-lists", lambda: subsidy_lists.submit_lists(driver)),
        (days.lists, "verify-lists", lambda: subsidy_lists.verify_lists(driver)),
        (days.lists + DAY, "resubmit-list", lambda: subsidy_lists.resubmit_list(driver)),
        (days.lists + DAY, "verify-resubmitted", lambda: subsidy_lists.verify_resubmitted(driver)),
        (days.tiers, "choose-tiers", lambda: enrolling.choose_tiers(driver)),
        (days.roster, "generate-rosters", lambda: rosters.generate_rosters(driver)),
        (days.roster + DAY, "review-rosters", lambda: rosters.review_rosters(driver)),
        (days.roster + 2 * DAY, "publish-rosters", lambda: rosters.publish_rosters(driver)),
    ]
    if notice:
        raised = days.roster + 3 * DAY
        found += [
            (raised, "raise-objections", lambda: rosters.raise_objections(driver)),
            (raised + DAY, "register-omitted", lambda: rosters.register_omitted(driver)),
            (raised + DAY, "enrol-omitted", lambda: rosters.enrol_omitted(driver)),
            (raised + DAY, "resolve-objections", lambda: rosters.resolve_objections(driver)),
            (closed, "amend-roster", lambda: rosters.amend_roster(driver)),
        ]
    found += [
        (closed, "finalise-rosters", lambda: rosters.finalise_rosters(driver)),
        (max(days.learn, closed), "learn-bills", lambda: bills.learn_bills(driver)),
    ]
    return found


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
    """下达任务: the plan's task table, one table per insurance, in the units it prints (I-02, D-19, D-20)."""
    table, plan = driver.plan.pack.document.task_table, driver.plan
    if plan.before is not None:
        return await years.assign_proposed_targets(driver)
    if table is None:
        return {}
    codes = {size.name: size.division for size in plan.villages}
    rows: dict[str, list[dict[str, Any]]] = {"medical": [], "pension": []}
    for row in table.rows:
        division = row.division or codes.get(row.name, "")
        if not division:
            continue
        common = {"division": division, "name": row.name, "statistical_scope": table.scope}
        medical = common | {"insurance": "medical", "persons": row.medical_persons}
        if row.medical_amount_yuan is not None:
            medical["amount_fen"] = row.medical_amount_yuan * 100
        rows["medical"].append(medical)
        if row.pension_persons is not None:
            amount = {"amount_wan_yuan": row.pension_amount_wan_yuan}
            rows["pension"].append(common | {"insurance": "pension", "persons": row.pension_persons} | amount)
    path = f"/campaigns/{plan.campaign}/targets"
    for insurance, lines in rows.items():
        if not lines:
            continue
        unit = "amount_fen" if insurance == "medical" else "amount_wan_yuan"
        amounts = [line.get(unit) for line in lines]
        body: dict[str, Any] = {
            "rows": lines,
            "stated_total_persons": sum(line["persons"] for line in lines),
        }
        if None not in amounts:
            body["stated_total_amount"] = sum(amounts)
        await driver.services.post("tax", "collection", path, body, driver.key("targets", insurance))
    return {"rows": sum(len(lines) for lines in rows.values())}


async def authorise_agents(driver: Driver) -> Any:
    """代收单位与代办员: where the pack has virtual households each town has one; every village its agents."""
    plan = driver.plan
    for town in plan.population.towns:
        if plan.script.households:
            await _register_household(driver, town.division, town.name)
    works = [partial(_authorise, driver, size, *hand) for size in plan.villages for hand in plan.hands(size)]
    await driver.each(works)
    await _tell_agents(driver)
    return {"agents": len(works)}


async def _register_household(driver: Driver, town: str, name: str) -> None:
    """The collecting unit is sent by 医保; the tax branch registers its virtual household and scope."""
    plan, post = driver.plan, driver.services.post
    villages = [size.division for size in plan.population.of_town(town)]
    unit_name = f"{name}养老医保管理所（合成）"
    unit = {"unit_id": plan.unit(town), "name": unit_name, "village": villages[0]}
    await post("medical", "registration", "/collecting-units", unit, driver.key("unit", town))
    household = {
        "virtual_household_id": plan.virtual_household(town),
        "campaign": plan.campaign,
        "unit_id": plan.unit(town),
        "name": unit_name,
        "villages": villages,
    }
    await post("tax-branch", "collection", "/virtual-households", household, driver.key("household", town))
    scope = {"insurances": ["medical", "pension"], "divisions": [town]}
    path = f"/virtual-households/{plan.virtual_household(town)}:assign-scope"
    await post("tax-branch", "collection", path, scope, driver.key("scope", town))


async def _authorise(
    driver: Driver, size: VillageSize, agent: str, channels: frozenset[str], household: str
) -> None:
    plan = driver.plan
    body = {
        "agent_id": agent,
        "campaign": plan.campaign,
        "village": size.division,
        "virtual_household_id": household,
        "unit": plan.unit(size.town),
        "designated_account_ref": plan.account(size.town),
        "channels": sorted(channels),
    }
    await driver.services.post("tax-branch", "collection", "/agents", body, driver.key("agent", agent))


async def _tell_agents(driver: Driver) -> None:
    plan = driver.plan
    receipts = sorted(code for code in plan.script.at_hand if plan.pack.receipt_required(code))
    agents = [
        {
            "agent": agent,
            "village": size.division,
            "account_ref": plan.account(size.town),
            "receipts": " ".join(receipts),
        }
        for size in plan.villages
        for agent, _, _ in plan.hands(size)
    ]
    await driver.outside.post("/agents", {"campaign": plan.campaign, "agents": agents})
