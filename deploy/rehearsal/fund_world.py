"""The outside of a plan without a treasury: finance pays into the fund accounts, the bank pools what was entered.

What moved is kept in the same books: finance's payments as debits of its account, the fiscal account's receipts
as entries.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from deploy.rehearsal.books import GOVERNMENT, TAKEN, Books
from deploy.rehearsal.clients import Services
from deploy.rehearsal.outside import BANK, reference

HANDED_OUT = 3000
"""Forms of each book an agent is given: more than a village needs."""


def books_of(agent: str) -> tuple[str, str]:
    """An agent's two books: the village's, and the one he carries for single calls."""
    return f"B-{agent}", f"B-{agent}-S"


class FundBody(BaseModel):
    """哪次征缴 / which campaign."""

    model_config = ConfigDict(extra="forbid")

    campaign: str


class RebookBody(FundBody):
    """更正入账 / money the bank puts into the right account, a day later."""

    agent: str
    date: dt.date
    insurance: str = Field(pattern="^(medical|pension)$")
    account_ref: str


class FundDesk:
    """The partner bank's desk and finance's, over the outside's books."""

    def __init__(self, books: Books, services: Services) -> None:
        self._books = books
        self._services = services

    async def _documents(self, campaign: str, state: str = "", source: str = "") -> list[dict[str, Any]]:
        return [
            row
            async for row in self._services.pages(
                "bank", "collection", "/payment-documents", campaign=campaign, state=state, source=source
            )
        ]

    async def pay_government(self, campaign: str, day: dt.date) -> dict[str, int]:
        """财政代缴资金到账: finance pays its documents while what it gave lasts."""
        waiting = [
            _movement(row, row["fen"], GOVERNMENT)
            | {"debited_on": day.isoformat(), "bank_ref": reference(row["document_no"])}
            for row in await self._documents(campaign, source=GOVERNMENT)
            if not row["arrived"]
        ]
        short = self._books.put_debits(campaign, [row | {"batch": f"{BANK}-{day:%Y%m%d}"} for row in waiting])
        told = self._books.rows(
            "SELECT * FROM debits WHERE told = 0 AND campaign = ? ORDER BY voucher_no", (campaign,)
        )
        for row in told:
            body = {"bank_ref": row["bank_ref"], "amount_fen": row["fen"], "date": row["debited_on"]}
            await self._tell(row["voucher_no"], "deposited", body)
        self._books.mark_told("debits", told)
        return {"moved": len(told), "paid": len(told), "short": short}

    async def pool(self, campaign: str, day: dt.date) -> dict[str, int]:
        """转入基金财政专户: every document that has its fiscal receipt; one not paid by finance yet waits."""
        ready = [
            _movement(row, row["summary_fen"], row["source"])
            | {"count": row["summary_count"], "date": day.isoformat(), "result": "CONFIRMED", "reason": ""}
            for row in await self._documents(campaign, state="RECEIPTED")
            if row["arrived"]
        ]
        self._books.put_entries(ready)
        told = self._books.rows(
            "SELECT * FROM entries WHERE told = 0 AND campaign = ? ORDER BY voucher_no", (campaign,)
        )
        for row in told:
            body = {"bank_ref": f"{BANK}-{day:%Y%m%d}-{row['insurance']}", "amount_fen": row["fen"]}
            await self._tell(row["voucher_no"], "transferred", body | {"date": row["date"]})
        self._books.mark_told("entries", told)
        return {"moved": len(told), "pooled": len(told), "fen": sum(row["fen"] for row in told)}

    async def _tell(self, document_no: str, step: str, body: dict[str, Any]) -> None:
        path = f"/payment-documents/{document_no}:{step}"
        await self._services.post("bank", "collection", path, body, key=f"{step}-{document_no}")

    def papers(self, campaign: str, village: str) -> dict[str, Any]:
        """What a village brings to the station: receipt stubs, bank vouchers, and their sums per insurance."""
        mine = (campaign, TAKEN, campaign, village)
        where = (
            " FROM orders o JOIN takings t ON t.order_id = o.id WHERE o.campaign = ? AND o.state = ?"
            " AND o.book_no <> '' AND o.agent IN (SELECT agent FROM agents WHERE campaign = ? AND village = ?)"
        )
        totals = self._books.rows(
            f"SELECT t.insurance, COUNT(*) AS count, SUM(t.fen) AS amount_fen{where}"
            " GROUP BY t.insurance ORDER BY t.insurance",
            mine,
        )
        stubs = self._books.number(f"SELECT COUNT(DISTINCT o.id){where}", mine)
        papers = self._books.papers(campaign, village)
        return {
            "slips": papers["deposit_slips"],
            "receipts_from": papers["receipts_from"],
            "receipts_to": papers["receipts_to"],
            "receipts": stubs,
            "totals": totals,
        }

    def savers(self, campaign: str, day: dt.date, village: str) -> list[str]:
        """Agents of a village who hold money of both insurances today."""
        agents = {
            row["agent"]
            for row in self._books.rows(
                "SELECT agent FROM agents WHERE campaign = ? AND village = ?", (campaign, village)
            )
        }
        boxes = self._books.boxes(campaign, day.isoformat())
        return sorted(agent for agent, box in boxes.items() if agent in agents and len(box) == 2)

    def unused_forms(self, campaign: str, agent: str) -> list[dict[str, Any]]:
        """剩余票据: per book of the agent the forms nobody wrote on, of the ``HANDED_OUT`` he was given."""
        found = []
        for book in books_of(agent):
            used = {
                int(row["serial_no"])
                for row in self._books.rows(
                    "SELECT serial_no FROM orders WHERE campaign = ? AND book_no = ? AND state = ?",
                    (campaign, book, TAKEN),
                )
            }
            ranges: list[list[int]] = []
            for serial in range(1, HANDED_OUT + 1):
                if serial in used:
                    continue
                if ranges and ranges[-1][1] == serial - 1:
                    ranges[-1][1] = serial
                else:
                    ranges.append([serial, serial])
            told = [{"first": f"{first:06d}", "last": f"{last:06d}"} for first, last in ranges]
            found.append({"book_no": book, "ranges": told})
        return found

    def rebook(self, body: RebookBody, on: dt.date) -> dict[str, Any]:
        """The bank moves money that lay in the other insurance's account; its slip is in the day's file."""
        wrong = self._books.rows(
            "SELECT * FROM slips WHERE campaign = ? AND agent = ? AND date = ? AND insurance = ?"
            " AND kind = 'DEPOSIT' ORDER BY slip_no",
            (body.campaign, body.agent, body.date.isoformat(), body.insurance),
        )[0]
        slip = {
            **wrong,
            "slip_no": f"{wrong['slip_no']}-R",
            "deposited_on": on.isoformat(),
            "account_ref": body.account_ref,
        }
        self._books.put_slip(slip)
        return {"slip_no": slip["slip_no"], "fen": slip["fen"]}


def _movement(row: dict[str, Any], fen: int, source: str) -> dict[str, Any]:
    return {
        "voucher_no": row["document_no"],
        "cycle": 1,
        "campaign": row["campaign"],
        "village": row["village"],
        "insurance": row["insurance"],
        "source": source,
        "count": row["count"],
        "fen": fen,
    }


def fund_routes(app: FastAPI, desk: FundDesk) -> None:
    """Routes of the fund accounts' outside."""

    @app.post("/days/{day}/fund-deposits", summary="财政代缴到账 / Finance pays into the fund accounts")
    async def fund_deposits(day: dt.date, body: FundBody) -> dict[str, int]:
        return await desk.pay_government(body.campaign, day)

    @app.post("/days/{day}/pool", summary="转入财政专户 / Pool what was entered")
    async def pool(day: dt.date, body: FundBody) -> dict[str, int]:
        return await desk.pool(body.campaign, day)

    @app.get("/fund-papers", summary="对账材料 / What a village brings to the station")
    async def fund_papers(campaign: str, village: str) -> dict[str, Any]:
        return desk.papers(campaign, village)

    @app.get("/unused-forms", summary="剩余票据 / Forms an agent hands back")
    async def unused_forms(campaign: str, agent: str) -> dict[str, Any]:
        return {"books": desk.unused_forms(campaign, agent)}

    @app.get("/fund-boxes", summary="现金箱 / Agents who hold money of both insurances")
    async def fund_boxes(campaign: str, day: dt.date, village: str) -> dict[str, list[str]]:
        return {"agents": desk.savers(campaign, day, village)}

    @app.post("/bank/rebookings/{day}", summary="更正入账 / Money moved to the right account")
    async def rebook(day: dt.date, body: RebookBody) -> dict[str, Any]:
        return desk.rebook(body, day)
