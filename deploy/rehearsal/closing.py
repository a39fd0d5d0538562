"""From the signed roster to the reconciled year: declarations, stamps, refunds, government money, month ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.bills import moment, order_no
from deploy.rehearsal.clients import UnexpectedAnswerError
from deploy.rehearsal.collecting import lines_of, send, unpaid
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.plan import DIED_EARLY, LATE_PAYER, OUT_OF_WINDOW
from deploy.rehearsal.population import VillageSize

INSURANCES = ("medical", "pension")


async def sign_rosters(driver: Driver) -> Any:
    """村居签字 (D-10): a village has finished; the notice before the declaration follows."""

    async def one(size: VillageSize) -> None:
        path = f"/rosters/{driver.plan.roster(size)}:sign"
        body = {"actor": "village-committee-01"}
        key = driver.key("sign", size.division)
        await driver.services.post("village-committee", "collection", path, body, key)

    await _every_village(driver, one)
    return {}


async def declare(driver: Driver) -> Any:
    """虚拟户申报 at the hall, with roster, receipts and slips; then 核对 by the tax branch."""
    plan = driver.plan

    async def one(size: VillageSize) -> None:
        query = f"campaign={plan.campaign}&village={size.division}"
        papers = await driver.outside.get(f"/papers?{query}")
        roster = await driver.services.get("town-agency", "collection", f"/rosters/{plan.roster(size)}")
        body = {
            "virtual_household_id": plan.virtual_household(size.town),
            "campaign": plan.campaign,
            "village": size.division,
            "via": "HALL",
            "attachments": {"roster_digest": str(roster.get("digest", "")), **papers},
        }
        key = driver.key("declare", size.division)
        reply = await driver.services.ask("town-agency", "collection", "/declarations", body, key)
        if reply.status >= 400 and reply.rule != "NOTHING_TO_DECLARE":
            raise UnexpectedAnswerError("POST", "/declarations", reply.status, reply.code)
        if reply.status < 400:
            await _verify(driver, str(reply.body["declaration_no"]))

    await _every_village(driver, one)
    return {}


async def _verify(driver: Driver, declaration_no: str) -> None:
    """核对: the tax branch compares, imports the roster and vouchers are issued."""
    body = {"actor": "branch-03", "accepted": True}
    path = f"/declarations/{declaration_no}:verify"
    await driver.services.post(
        "tax-branch", "collection", path, body, driver.key("verify-declaration", declaration_no)
    )


async def reissue_voucher(driver: Driver, voucher_no: str) -> Any:
    """重新开票 after the treasury sent it back."""
    path = f"/vouchers/{voucher_no}:reissue"
    await driver.services.post("tax", "collection", path, {}, driver.key("reissue", voucher_no))
    return {}


async def stamp_rosters(driver: Driver) -> Any:
    """缴费清册加盖印章 after treasury entry; the notice of payments follows (D-10)."""

    async def one(size: VillageSize) -> None:
        path = f"/rosters/{driver.plan.roster(size)}:stamp"
        key = driver.key("stamp", size.division)
        reply = await driver.services.ask("tax-branch", "collection", path, {"actor": "branch-03"}, key)
        if reply.status >= 400 and reply.rule != "NOT_IN_TREASURY":  # a village that declared nothing
            raise UnexpectedAnswerError("POST", path, reply.status, reply.code)

    await _every_village(driver, one)
    return {}


async def _every_village(driver: Driver, act: Any) -> None:
    villages = driver.plan.villages
    step = max(driver.concurrency * 4, 1)
    for start in range(0, len(villages), step):
        await driver.together([partial(act, size) for size in villages[start : start + step]])
        driver.watcher.progress(min(start + step, len(villages)), len(villages))


# -- deaths and refunds ---------------------------------------------------------------------------------


async def report_death(driver: Driver, role: str, died_on: dt.date, told_on: dt.date) -> Any:
    """死亡销户: the police tell of a death."""
    body = {
        "person_id": driver.person(driver.plan.roles[role].payers[0]),
        "died_on": died_on.isoformat(),
        "told_on": told_on.isoformat(),
    }
    await driver.outside.post("/police/deaths", body)
    return {"died_on": body["died_on"], "told_on": body["told_on"]}


async def report_death_batches(driver: Driver, month: dt.date) -> Any:
    """每月通报: both sources report the month before, be it nobody."""
    previous = month.replace(day=1) - dt.timedelta(days=1)
    for client, source in (("police", "POLICE"), ("civil-affairs", "CIVIL_AFFAIRS")):
        body = {"source": source, "month": f"{previous:%Y-%m}", "count": 0}
        await driver.services.post(
            client, "registration", "/death-batches", body, driver.key("batch", source, body["month"])
        )
    return {}


async def ask_refund(driver: Driver) -> Any:
    """退费申请 of the heirs of a payer who died before the insured year began (scenario 4a)."""
    person, town = driver.person(driver.plan.roles[DIED_EARLY].payers[0]), driver.plan.script.offices.town
    lines = [
        row
        async for row in driver.services.pages(
            town, "collection", "/payments", campaign=driver.plan.campaign, person_id=person
        )
        if row["insurance"] == "medical"
    ]
    body = {"payment_line_id": lines[0]["line_id"], "reason": "DIED_BEFORE_PERIOD", "applicant": "heir"}
    await driver.services.post(town, "collection", "/refunds", body, driver.key("refund"))
    return {}


async def approve_refunds(driver: Driver) -> Any:
    """Finance's approvals."""
    return await driver.outside.post("/finance/approvals", {"campaign": driver.plan.campaign})


async def pay_refunds(driver: Driver, day: dt.date) -> Any:
    """The payments of whoever pays refunds."""
    body = {"campaign": driver.plan.campaign, "payer": driver.plan.script.offices.refunds}
    return await driver.outside.post(f"/days/{day}/refunds", body)


async def close_cases(driver: Driver) -> Any:
    """结案: supervision closes what was found, each with its finding."""
    closed, office = 0, driver.plan.script.offices.supervision
    async for case in driver.services.pages(
        office, "notification", "/cases", campaign=driver.plan.campaign, state="OPEN"
    ):
        body = {"finding": "已核实，款项已缴存 / verified, the money is deposited"}
        key = driver.key("case", case["case_id"])
        await driver.services.post(office, "notification", f"/cases/{case['case_id']}:close", body, key)
        closed += 1
    return {"moved": closed, "closed": closed}


# -- after the window -----------------------------------------------------------------------------------


async def pay_outside_window(driver: Driver, day: dt.date) -> Any:
    """逾期入账: a channel's money comes after the window has ended; it is recorded and goes back."""
    role = driver.plan.roles[OUT_OF_WINDOW]
    owed = lines_of(driver, await unpaid(driver, role))
    lines = [line for line in owed if line["insurance"] == "medical"][:1]
    number = role.household.number
    order = {"channel": driver.plan.script.online[0], "paid_at": moment(day, number), "asked": False}
    name = order_no(driver, driver.plan.cast, number, day)
    await driver.journal.decided("out-of-window", partial(_settled, lines))
    await send(driver, order, name, driver.journal.note("out-of-window"))
    return {"lines": len(lines)}


async def assess_late(driver: Driver, day: dt.date, who: str = LATE_PAYER) -> Any:
    """逾期核定: 医保 assesses a late payer, or says what the plan leaves open (D-21, D-48)."""
    role, plan = driver.plan.roles[who], driver.plan
    person = driver.person(role.payers[0])
    body = {"person_id": person, "insurance": "medical", "year": plan.year, "paid_at": day.isoformat()}
    path, key = "/special-assessments", driver.key(_late(who))
    reply = await driver.services.ask("medical", "registration", path, body, key)
    told = reply.body if isinstance(reply.body, dict) else {}
    if reply.status >= 400:
        return {"status": reply.status, "code": reply.code, "rule": str(told.get("rule", ""))}
    return {"status": reply.status, "code": "", "rule": "", "answer": told}


def _late(who: str) -> str:
    return "late" if who == LATE_PAYER else f"late-{who}"


async def pay_late(driver: Driver, day: dt.date, who: str = LATE_PAYER) -> Any:
    """And he pays what was assessed, after the window."""
    role = driver.plan.roles[who]
    person = driver.person(role.payers[0])

    async def decide() -> Any:
        owed = lines_of(driver, await unpaid(driver, role))
        return [line for line in owed if line["person_id"] == person and line["insurance"] == "medical"]

    lines = await driver.journal.decided(_late(who), decide)
    number = role.household.number
    order = {"channel": driver.plan.script.online[0], "paid_at": moment(day, number), "asked": True}
    answer = await send(driver, order, order_no(driver, driver.plan.cast, number, day), lines)
    return {"state": answer["state"], "code": answer["code"]}


# -- government money -----------------------------------------------------------------------------------


async def apply_for_funds(driver: Driver) -> Any:
    """申请补助资金 by each department for the personal parts it lists; in a small village it may list nobody."""
    applied = 0
    for department, client in driver.plan.script.departments.items():
        body = {"department": department, "campaign": driver.plan.campaign}
        path, key = "/funds:apply", driver.key("fund", department)
        reply = await driver.services.ask(client, "subsidy", path, body, key)
        if reply.status >= 400 and reply.code != "NOTHING_TO_APPLY":
            raise UnexpectedAnswerError("POST", path, reply.status, reply.code)
        applied += reply.status < 400
    return {"applied": applied}


async def funds(driver: Driver) -> list[dict[str, Any]]:
    """Funds of the campaign, as finance sees them."""
    return [
        row
        async for row in driver.services.pages("finance", "subsidy", "/funds", campaign=driver.plan.campaign)
    ]


async def appropriate(driver: Driver, day: dt.date) -> Any:
    """财政拨付: what was applied for."""
    wanted = await driver.journal.decided(f"{day}/funds", lambda: funds(driver))
    for fund in wanted:
        if fund["applied_fen"]:
            body = {
                "campaign": driver.plan.campaign,
                "department": fund["department"],
                "date": day.isoformat(),
                "fen": fund["applied_fen"],
            }
            await driver.outside.post("/finance/appropriations", body)
    return {"funds": len(wanted)}


async def transfer(driver: Driver, day: dt.date) -> Any:
    """部门转付 of what finance gave."""
    given = await driver.journal.decided(f"{day}/transfers", lambda: funds(driver))
    for fund in given:
        if fund["appropriated_fen"]:
            department = fund["department"]
            path = f"/funds/{department}/{driver.plan.campaign}:transfer"
            body = {"fen": fund["appropriated_fen"]}
            client = driver.plan.script.departments[department]
            await driver.services.post(client, "subsidy", path, body, driver.key("transfer", department))
    return {"funds": len(given)}


async def submit_government_payments(driver: Driver) -> Any:
    """政府代缴申报 of every department and insurance that lists somebody (I-27)."""
    submitted = 0
    for department, client in driver.plan.script.departments.items():
        for insurance in INSURANCES:
            body = {"department": department, "campaign": driver.plan.campaign, "insurance": insurance}
            key = driver.key("government", department, insurance)
            path = "/government-payments"
            reply = await driver.services.ask(client, "subsidy", path, body, key)
            if reply.status >= 400 and reply.code != "NOTHING_TO_SUBMIT":
                raise UnexpectedAnswerError("POST", path, reply.status, reply.code)
            submitted += reply.status < 400
    return {"payments": submitted}


async def _settled(value: Sequence[Any]) -> Any:
    return value


# -- month ends -----------------------------------------------------------------------------------------


async def month_end(driver: Driver, month: str) -> Any:
    """月末四方对账: treasury and finance send what they entered (I-29)."""
    for party in ("TREASURY", "FINANCE"):
        await driver.outside.post(f"/statements/{party}/{month}", {"campaign": driver.plan.campaign})
    return {"month": month}
