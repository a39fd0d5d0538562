"""From the signed roster to the reconciled year: declaration, stamp, refunds, government money, month ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from deploy.rehearsal.clients import UnexpectedAnswerError
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.plan import DIED_EARLY, DIED_UNPAID, PAID_DEAD
from deploy.rehearsal.preparation import DEPARTMENT_CLIENTS

INSURANCES = ("medical", "pension")


async def sign_roster(driver: Driver) -> Any:
    """村居签字 (D-10): the village has finished; the notice before the declaration follows."""
    body = {"actor": "village-committee-01"}
    path = f"/rosters/{driver.plan.roster}:sign"
    await driver.services.post("village-committee", "collection", path, body, driver.key("sign"))
    return {}


async def declare(driver: Driver) -> Any:
    """虚拟户申报 at the hall, with roster, receipts and slips."""
    plan = driver.plan
    books = await driver.outside.get(f"/books?campaign={plan.campaign}")
    forms = sorted(f"{row['book_no']}/{row['serial_no']}" for row in books["receipts"])
    slips = sorted(row["slip_no"] for row in books["deposits"])
    roster = await driver.services.get("town-agency", "collection", f"/rosters/{plan.roster}")
    body = {
        "virtual_household_id": plan.virtual_household,
        "campaign": plan.campaign,
        "village": plan.village.division,
        "via": "HALL",
        "attachments": {
            "roster_digest": str(roster.get("digest", "")),
            "receipts_from": forms[0] if forms else "",
            "receipts_to": forms[-1] if forms else "",
            "deposit_slips": slips[:500],
        },
    }
    reply = await driver.services.post(
        "town-agency", "collection", "/declarations", body, driver.key("declare")
    )
    return {"declaration_no": reply.body["declaration_no"]}


async def verify_declaration(driver: Driver, declaration_no: str) -> Any:
    """核对: the tax branch compares, imports the roster and vouchers are issued."""
    body = {"actor": "branch-03", "accepted": True}
    path = f"/declarations/{declaration_no}:verify"
    await driver.services.post("tax-branch", "collection", path, body, driver.key("verify-declaration"))
    return {}


async def agent_vouchers(driver: Driver) -> list[dict[str, Any]]:
    """Vouchers of the village's declaration."""
    return [
        row
        async for row in driver.services.pages(
            "tax-branch",
            "collection",
            "/vouchers",
            campaign=driver.plan.campaign,
            village=driver.plan.village.division,
            source="DECLARATION",
        )
    ]


async def reissue_voucher(driver: Driver, voucher_no: str) -> Any:
    """重新开票 after the treasury sent it back."""
    path = f"/vouchers/{voucher_no}:reissue"
    await driver.services.post("tax", "collection", path, {}, driver.key("reissue", voucher_no))
    return {}


async def stamp_roster(driver: Driver) -> Any:
    """缴费清册加盖印章 after treasury entry; the last notice follows (D-10)."""
    path = f"/rosters/{driver.plan.roster}:stamp"
    await driver.services.post("tax-branch", "collection", path, {"actor": "branch-03"}, driver.key("stamp"))
    return {}


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
    person = driver.person(driver.plan.roles[DIED_EARLY].payers[0])
    lines = [
        row
        async for row in driver.services.pages(
            "tax-branch", "collection", "/payments", campaign=driver.plan.campaign, person_id=person
        )
        if row["insurance"] == "medical"
    ]
    body = {"payment_line_id": lines[0]["line_id"], "reason": "DIED_BEFORE_PERIOD", "applicant": "heir"}
    await driver.services.post("tax-branch", "collection", "/refunds", body, driver.key("refund"))
    return {}


async def approve_refunds(driver: Driver) -> Any:
    """Finance's approvals."""
    return await driver.outside.post("/finance/approvals", {"campaign": driver.plan.campaign})


async def pay_refunds(driver: Driver, day: dt.date) -> Any:
    """The treasury's payments."""
    return await driver.outside.post(f"/treasury/refunds/{day}", {"campaign": driver.plan.campaign})


async def close_cases(driver: Driver) -> Any:
    """结案: supervision closes what was found, each with its finding."""
    closed = 0
    async for case in driver.services.pages(
        "tax", "notification", "/cases", campaign=driver.plan.campaign, state="OPEN"
    ):
        body = {"finding": "已核实，款项已缴存 / verified, the money is deposited"}
        key = driver.key("case", case["case_id"])
        await driver.services.post("tax", "notification", f"/cases/{case['case_id']}:close", body, key)
        closed += 1
    return {"closed": closed}


# -- government money -----------------------------------------------------------------------------------


async def apply_for_funds(driver: Driver) -> Any:
    """申请补助资金 by each department for the personal parts it lists; in a small village it may list nobody."""
    applied = 0
    for department, client in DEPARTMENT_CLIENTS.items():
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
            client = DEPARTMENT_CLIENTS[department]
            await driver.services.post(client, "subsidy", path, body, driver.key("transfer", department))
    return {}


async def submit_government_payments(driver: Driver) -> Any:
    """政府代缴申报 of every department and insurance that lists somebody (I-27)."""
    live = [
        (row["department"], row["insurance"])
        async for row in driver.services.pages(
            "finance", "subsidy", "/subsidy-entitlements", campaign=driver.plan.campaign
        )
        if row["government_fen"] > 0
    ]
    pairs: Sequence[Sequence[str]] = await driver.journal.decided(
        "government-payments", lambda: _settled(sorted(dict.fromkeys(live)))
    )
    for department, insurance in pairs:
        body = {"department": department, "campaign": driver.plan.campaign, "insurance": insurance}
        client = DEPARTMENT_CLIENTS[department]
        key = driver.key("government", department, insurance)
        await driver.services.post(client, "subsidy", "/government-payments", body, key)
    return {"payments": len(pairs)}


async def _settled(value: Any) -> Any:
    return value


# -- month ends -----------------------------------------------------------------------------------------


async def month_end(driver: Driver, month: str) -> Any:
    """月末四方对账: treasury and finance send what they entered (I-29)."""
    for party in ("TREASURY", "FINANCE"):
        await driver.outside.post(f"/statements/{party}/{month}", {"campaign": driver.plan.campaign})
    return {"month": month}


DEATHS = (
    # role, died so many days after the collecting phase began, told so many days after it
    (DIED_UNPAID, 8, 10),
    (PAID_DEAD, 14, 23),
    (DIED_EARLY, 43, 45),
)
