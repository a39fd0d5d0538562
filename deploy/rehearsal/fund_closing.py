"""From the signed village to the confirmed documents, and what must be refused on the way (000:L149-186)."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.bills import moment, order_no
from deploy.rehearsal.clients import UnexpectedAnswerError
from deploy.rehearsal.collecting import lines_of, send
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.fund_preparation import INCOME, account, relieved
from deploy.rehearsal.plan import PlannedHousehold
from deploy.rehearsal.population import VillageSize

STATION, AGENCY, ACTOR = "town-agency", "hr", "station-02"
PER_FILE = 5000


async def documents(driver: Driver, state: str = "", source: str = "") -> AsyncIterator[dict[str, Any]]:
    """Payment documents of the campaign."""
    async for row in driver.services.pages(
        STATION, "collection", "/payment-documents", campaign=driver.plan.campaign, state=state, source=source
    ):
        yield row


async def sign_villages(driver: Driver) -> Any:
    """村居对账签字: bank vouchers and receipt stubs against what arrived (000:L155-159)."""
    plan = driver.plan
    drawn: list[str] = []

    async def one(size: VillageSize) -> list[str]:
        place = f"campaign={plan.campaign}&village={size.division}"
        papers = await driver.outside.get(f"/fund-papers?{place}")
        if not papers["totals"]:
            return []
        body = {"actor": ACTOR, **papers}
        path = f"/village-accounts/{plan.campaign}/{size.division}:sign"
        reply = await driver.services.post(
            STATION, "collection", path, body, driver.key("sign", size.division)
        )
        return list(reply.body["documents"])

    for done, size in enumerate(plan.villages, 1):
        drawn += await one(size)
        driver.watcher.progress(done, len(plan.villages))
    return {"documents": len(drawn)}


async def return_receipts(driver: Driver) -> Any:
    """剩余票据移交: every agent hands back what he did not use (000:L206-210)."""
    plan = driver.plan
    agents = [agent for size in plan.villages for agent in plan.agents(size)]

    async def one(agent: str) -> None:
        left = await driver.outside.get(f"/unused-forms?campaign={plan.campaign}&agent={agent}")
        for book in left["books"]:
            path = f"/receipt-books/{book['book_no']}:return"
            key = driver.key("return", book["book_no"])
            await driver.services.post(STATION, "collection", path, {"ranges": book["ranges"]}, key)

    await driver.together([partial(one, agent) for agent in agents])
    return {"books": 2 * len(agents)}


async def draw_channels(driver: Driver, day: dt.date) -> Any:
    """自助与零星缴费: the office draws what website and counter have settled."""
    drawn: list[str] = []
    for channel in driver.plan.script.online:
        body = {"campaign": driver.plan.campaign, "channel": channel}
        path, key = "/payment-documents", driver.key("draw", channel, day)
        reply = await driver.services.ask(STATION, "collection", path, body, key)
        if reply.status >= 400 and reply.rule != "NOTHING_ARRIVED":
            raise UnexpectedAnswerError("POST", path, reply.status, reply.code)
        if reply.status < 400:
            drawn += reply.body["documents"]
    return {"documents": drawn}


async def enter(driver: Driver, day: dt.date) -> Any:
    """信息录入: leg by leg what stands in a document (000:L270-276); a file called again is the same file."""
    counts = {"rows": 0, "accepted": 0, "refused": 0}
    waiting = [row async for row in documents(driver, state="DRAWN") if row["entered_count"] < row["count"]]
    for done, document in enumerate(waiting, 1):
        number = document["document_no"]
        rows = [
            {
                "person_id": line["person_id"],
                "insurance": line["insurance"],
                "year": driver.plan.year,
                "payer": line["payer"],
            }
            async for line in driver.services.pages(
                STATION, "collection", f"/payment-documents/{number}/lines"
            )
        ]
        for start in range(0, len(rows), PER_FILE):
            key = driver.key("enter", number, start, day)
            some = rows[start : start + PER_FILE]
            handed = await driver.hand_in(STATION, "registration", "/entries:import", some, key)
            counts = {name: counts[name] + handed.counts[name] for name in counts}
        driver.watcher.progress(done, len(waiting))
    return counts


async def file_summaries(driver: Driver) -> Any:
    """个人缴费汇总表: what was entered of each document; the rest is named (000:L166-170)."""

    async def one(row: dict[str, Any]) -> None:
        body = {"actor": ACTOR, "count": row["entered_count"], "amount_fen": row["entered_fen"]}
        if row["entered_count"] < row["count"]:
            body["reason"] = "参保登记已注销，未录入 / the enrolment has ended: not entered"
        await _step(driver, STATION, row, "file-summary", body)

    return await _each(
        driver, [partial(one, row) async for row in documents(driver, state="DRAWN") if row["entered_count"]]
    )


def receipt_no(document_no: str) -> str:
    """Number of a document's fiscal receipt, short however long the document's own is."""
    return f"FR-{hashlib.sha256(document_no.encode()).hexdigest()[:24]}"


async def issue_receipts(driver: Driver) -> Any:
    """财政往来收据, after the entry (000:L170-172)."""

    async def one(row: dict[str, Any]) -> None:
        await _step(driver, STATION, row, "issue-receipt", {"receipt_no": receipt_no(row["document_no"])})

    return await _each(driver, [partial(one, row) async for row in documents(driver, state="SUMMARISED")])


async def finance_pays(driver: Driver, day: dt.date) -> Any:
    """财政代缴资金到账 (000:L216-219)."""
    return await driver.outside.post(f"/days/{day}/fund-deposits", {"campaign": driver.plan.campaign})


async def pool(driver: Driver, day: dt.date) -> Any:
    """归集并转入财政专户 (000:L174-176)."""
    return await driver.outside.post(f"/days/{day}/pool", {"campaign": driver.plan.campaign})


async def confirm(driver: Driver) -> Any:
    """区经办机构复核确认 (000:L176-182)."""

    async def one(row: dict[str, Any]) -> None:
        await _step(driver, AGENCY, row, "confirmed", {"actor": "agency-01"})

    return await _each(driver, [partial(one, row) async for row in documents(driver, state="TRANSFERRED")])


async def confirm_itself(driver: Driver) -> Any:
    """The station tries to confirm its own document and is refused."""
    async for row in documents(driver, state="TRANSFERRED", source="VILLAGE"):
        path = f"/payment-documents/{row['document_no']}:confirmed"
        reply = await driver.services.ask(STATION, "collection", path, {"actor": ACTOR})
        return {"status": reply.status, "code": reply.code, "moved": 0}
    return {"status": 0, "code": "", "moved": 0}


async def _step(driver: Driver, client: str, row: dict[str, Any], step: str, body: dict[str, Any]) -> None:
    number = row["document_no"]
    path = f"/payment-documents/{number}:{step}"
    await driver.services.post(client, "collection", path, body, driver.key(step, number))


async def _each(driver: Driver, works: Sequence[Any]) -> dict[str, int]:
    await driver.together(works)
    return {"moved": len(works), "documents": len(works)}


# -- what must be refused -------------------------------------------------------------------------------


async def enter_refused(driver: Driver, role: str) -> Any:
    """Somebody is tried whose money has not arrived, or who has not paid: not entered, not insured."""
    await driver.drain()
    person = driver.person(driver.plan.roles[role].payers[0])
    body = {"person_id": person, "insurance": "medical", "year": driver.plan.year}
    key = driver.key("enter-refused", role)
    reply = await driver.services.ask(STATION, "registration", "/entries", body, key)
    return {"status": reply.status, "code": reply.code, "moved": 0}


async def relief_online(driver: Driver) -> Any:
    """享受减免者网上缴费: online the relief is lost, so the relieved amount is refused (000:L129-131)."""
    plan = driver.plan
    day = plan.day(2)
    planned, person = _relieved_payer(driver)
    owed = [
        row
        async for row in driver.services.pages(
            "village-agent", "collection", "/obligations", campaign=plan.campaign, person_id=person
        )
        if row["insurance"] == "medical"
    ]
    lines = lines_of(driver, {person: owed})
    number = planned.household.number
    order = {"channel": "HR_WEBSITE", "paid_at": moment(day, number), "asked": True}
    answer = await send(driver, order, f"{order_no(driver, plan.cast, number, day)}-W", lines)
    return {"state": answer["state"], "code": answer["code"]}


def _relieved_payer(driver: Driver) -> tuple[PlannedHousehold, str]:
    """Somebody of 60 to 69 in the first village, whose half government pays and whose own is still to come."""
    plan = driver.plan
    for planned in plan.households(plan.cast):
        if planned.on is not None and planned.on <= plan.day(2):
            continue
        for each in planned.household.members:
            elderly = any(listing.category == plan.script.elderly.sixties for listing in each.listings)
            if elderly and not planned.role and relieved(driver, each):
                return planned, driver.person(each)
    raise ValueError("nobody of sixty in the first village: raise the scale")


async def rebook(driver: Driver, agents: Sequence[str], day: dt.date) -> Any:
    """The bank moves mixed money into the right account, a day late."""
    moved = []
    for agent in agents:
        body = {
            "campaign": driver.plan.campaign,
            "agent": agent,
            "date": (day - dt.timedelta(days=1)).isoformat(),
            "insurance": "pension",
            "account_ref": account(INCOME, "pension"),
        }
        moved.append(await driver.outside.post(f"/bank/rebookings/{day}", body))
    return {"moved": len(moved), "slips": moved}


async def month_end(driver: Driver, month: str) -> Any:
    """月末对账: finance says what the fiscal account received (I-29)."""
    await driver.outside.post(f"/statements/FINANCE/{month}", {"campaign": driver.plan.campaign})
    return {"month": month}
