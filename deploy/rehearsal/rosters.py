"""征收清册 of a campaign: generated, reviewed, published, objected to, amended, final."""

from __future__ import annotations

from functools import partial
from typing import Any

from deploy.rehearsal.driver import Driver
from deploy.rehearsal.enrolling import person_row
from deploy.rehearsal.plan import OBJECTOR
from deploy.rehearsal.population import VillageSize


async def generate_rosters(driver: Driver) -> Any:
    """缴费信息清册生成, each village its own."""

    async def one(size: VillageSize) -> None:
        body = {"campaign": driver.plan.campaign, "village": size.division}
        key = driver.key("roster", size.division)
        await driver.services.post("tax-branch", "collection", "/rosters", body, key)

    await driver.each([partial(one, size) for size in driver.plan.villages])
    return {"rosters": len(driver.plan.villages)}


async def review_rosters(driver: Driver) -> Any:
    """初审 by the tax branch and the town agency: two persons of two organisations."""

    async def one(size: VillageSize) -> None:
        path = f"/rosters/{driver.plan.roster(size)}:review"
        for client, role, actor in (
            ("tax-branch", "TAX_BRANCH", "branch-03"),
            ("town-agency", "TOWN_AGENCY", "town-05"),
        ):
            body = {"role": role, "actor": actor, "findings": []}
            key = driver.key("review", role, size.division)
            await driver.services.post(client, "collection", path, body, key)

    await driver.each([partial(one, size) for size in driver.plan.villages])
    return {}


async def publish_rosters(driver: Driver) -> Any:
    """移交镇街、管区，转交代办员; where the pack has one, the village notice follows."""
    plan = driver.plan

    async def one(size: VillageSize) -> None:
        body = {"to": "TOWN_AGENCY", "agents": [agent for agent, _, _ in plan.hands(size)]}
        path = f"/rosters/{plan.roster(size)}:publish"
        await driver.services.post(
            "town-agency", "collection", path, body, driver.key("dispatch", size.division)
        )

    await driver.each([partial(one, size) for size in plan.villages])
    return {}


async def finalise_rosters(driver: Driver) -> Any:
    """定稿上报."""

    async def one(size: VillageSize) -> None:
        path = f"/rosters/{driver.plan.roster(size)}:finalise"
        await driver.services.post(
            "town-agency", "collection", path, {}, driver.key("finalise", size.division)
        )

    await driver.each([partial(one, size) for size in driver.plan.villages])
    return {}


async def notice_of(driver: Driver, kind: str) -> dict[str, Any]:
    """The first village's latest notice of a kind."""
    found = [
        row
        async for row in driver.services.pages(
            "village-committee", "notification", "/notices", village=driver.plan.cast.division, kind=kind
        )
    ]
    return found[-1]


async def raise_objections(driver: Driver) -> Any:
    """One neighbour disputes an amount; one says somebody of his household is missing."""
    notice = (await notice_of(driver, "ROSTER"))["notice_id"]
    disputed, other = driver.plan.roles[OBJECTOR].payers[:2]
    ids = {}
    for name, who, claim in (("amount", disputed, "WRONG_AMOUNT"), ("missing", other, "NOT_LISTED")):
        body = {"person_id": driver.person(who), "insurance": "medical", "claim": claim}
        path, key = f"/notices/{notice}/objections", driver.key("objection", name)
        reply = await driver.services.post("village-committee", "notification", path, body, key)
        ids[name] = reply.body["objection_id"]
    driver.journal.write("objections", ids)
    return ids


async def register_omitted(driver: Driver) -> Any:
    """The forgotten person registers."""
    omitted = driver.plan.omitted
    if omitted is None:
        return {}
    row = person_row(driver.plan.cast, omitted)
    reply = await driver.services.post("hr", "registration", "/people", row, driver.key("omitted"))
    driver.journal.add_persons([(omitted.ordinal, str(reply.body["person_id"]))])
    return {}


async def enrol_omitted(driver: Driver) -> Any:
    """And is enrolled, in whatever he belongs to."""
    omitted, plan = driver.plan.omitted, driver.plan
    if omitted is None:
        return {}
    person = driver.person(omitted)
    for client, insurance in (("medical", "medical"), ("hr", "pension")):
        if insurance == "pension" and omitted.pension_tier is None:
            continue
        body = {"person_id": person, "insurance": insurance, "year": plan.year}
        key = driver.key("enrol-omitted", insurance)
        await driver.services.post(client, "registration", "/enrolments", body, key)
    return {}


async def resolve_objections(driver: Driver) -> Any:
    """Both are resolved before the notice may close: one rejected, one upheld."""
    ids = driver.journal.note("objections")
    for name, outcome, finding in (
        ("amount", "REJECTED", "标准与文件一致 / the amount is the plan's"),
        ("missing", "UPHELD", "漏登，已补登记 / omitted, registered now"),
    ):
        body = {"roster_id": driver.plan.roster(driver.plan.cast), "outcome": outcome, "finding": finding}
        path = f"/objections/{ids[name]}:resolve"
        await driver.services.post("town-agency", "collection", path, body, driver.key("resolve", name))
    return {}


async def amend_roster(driver: Driver) -> Any:
    """补充修改清册: the forgotten person is added."""
    omitted, plan = driver.plan.omitted, driver.plan
    if omitted is None:
        return {}
    person = driver.person(omitted)
    if omitted.pension_tier is not None:
        tier = {
            "person_id": person,
            "year": plan.year,
            "campaign": plan.campaign,
            "tier_yuan": omitted.pension_tier,
        }
        await driver.services.post("town-agency", "collection", "/tiers", tier, driver.key("tier-omitted"))
        await driver.drain()
    insurances = ["medical"] + (["pension"] if omitted.pension_tier is not None else [])
    body = {"add": [{"person_id": person, "insurance": each} for each in insurances], "remove": []}
    path = f"/rosters/{plan.roster(plan.cast)}:amend"
    await driver.services.post("town-agency", "collection", path, body, driver.key("amend"))
    return {}
