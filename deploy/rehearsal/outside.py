"""What channels, agents, the bank, the treasury, finance and the police do, each on its own books.

Each act notes in the books what it is about to tell, tells the services under a key derived from it, and
notes the answer; repeated after any interruption it tells the same again and changes nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.rehearsal.books import CASH, REFUSED, TAKEN, Books, Line, Order, canonical
from deploy.rehearsal.clients import Reply, Services, UnexpectedAnswerError

BANK = "RCB"
"""The rural bank that keeps the town's unit account (synthetic)."""

CHANNEL_CLIENTS = {"WECHAT": "channel-wechat", "ALIPAY": "channel-alipay", "ETAX": "channel-etax"}
AGENT_CLIENT = "village-agent"


class World:
    """The organisations outside, acting through ``services`` and remembering in ``books``."""

    def __init__(self, books: Books, services: Services) -> None:
        self.books = books
        self._services = services
        self._boxes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # -- channels and agents --------------------------------------------------------------------------

    async def pay(
        self,
        channel: str,
        order_no: str,
        campaign: str,
        paid_at: str,
        lines: Sequence[Line],
        *,
        asked: bool = True,
        lose_answer: bool = False,
    ) -> Order:
        """A resident pays an order online: the channel asks first; refused, it takes none.

        asked False: the channel's money is final before anybody was told; its day file will say so.
        lose_answer: the first answer never reaches the channel, which asks again with the same key.
        """
        order = self.books.order(channel, order_no) or self.books.open_order(
            channel, order_no, campaign, paid_at, lines, asked=asked
        )
        return await self._settle(order, CHANNEL_CLIENTS[channel], lose_answer)

    async def collect(
        self, agent: str, order_no: str, campaign: str, paid_at: str, lines: Sequence[Line]
    ) -> Order:
        """An agent at the door: asks, takes the cash and writes the next receipt of his book; one at a time."""
        async with self._boxes[agent]:
            order = self.books.order(CASH, order_no) or self.books.open_order(
                CASH, order_no, campaign, paid_at, lines, agent=agent
            )
            return await self._settle(order, AGENT_CLIENT, lose_answer=False)

    async def _settle(self, order: Order, client: str, lose_answer: bool) -> Order:
        if order.state in (TAKEN, REFUSED):
            return order
        reply = await self._ask_payment(order, client)
        repeated = ""
        if lose_answer:
            again = await self._ask_payment(order, client)
            same = canonical(again.body) == canonical(reply.body) and again.status == reply.status
            repeated = "SAME_ANSWER" if same and again.replayed else "OTHER_ANSWER"
        if reply.status >= 400:
            return self.books.close_order(order, REFUSED, reply.code, "", repeated)
        return self.books.close_order(order, TAKEN, "", str(reply.body["payment_id"]), repeated)

    async def _ask_payment(self, order: Order, client: str) -> Reply:
        body: dict[str, Any] = {
            "order_no": order.order_no,
            "channel": order.channel,
            "paid_at": order.paid_at,
            "lines": [
                {
                    "person_id": line["person_id"],
                    "year": line["year"],
                    "insurance": line["insurance"],
                    "amount_fen": line["fen"],
                }
                for line in self.books.lines(order.channel, order.order_no)
            ],
        }
        if order.agent:
            body |= {
                "agent": order.agent,
                "receipt": {"book_no": order.book_no, "serial_no": order.serial_no},
            }
        return await self._services.ask(
            client, "collection", "/payments", body, key=f"{order.channel}-{order.order_no}"
        )

    async def close_day(
        self,
        agent: str,
        village: str,
        campaign: str,
        day: dt.date,
        deposited_on: dt.date,
        account_ref: str,
        adjustments: Mapping[str, int],
    ) -> dict[str, Any]:
        """An agent's evening: the summary, and one deposit slip per insurance at the bank.

        adjustments: fen by which a slip differs from the box, for rehearsing what must be found.
        """
        totals = self.books.box(agent, campaign, day.isoformat())
        if not totals:
            return {"totals": [], "slips": []}
        first, last = self.books.stubs(agent, campaign, day.isoformat())
        body = {
            "campaign": campaign,
            "date": day.isoformat(),
            "totals": [
                {"insurance": row["insurance"], "count": row["count"], "amount_fen": row["fen"]}
                for row in totals
            ],
            "receipts_from": first,
            "receipts_to": last,
        }
        await self._services.post(
            AGENT_CLIENT, "collection", f"/agents/{agent}/summaries", body, key=f"summary-{agent}-{day}"
        )
        slips = []
        for row in totals:
            slip = {
                "slip_no": f"S-{agent}-{day:%Y%m%d}-{row['insurance']}",
                "bank": BANK, "campaign": campaign, "agent": agent, "village": village,
                "date": day.isoformat(), "insurance": row["insurance"],
                "fen": row["fen"] + adjustments.get(row["insurance"], 0),
                "deposited_on": deposited_on.isoformat(), "account_ref": account_ref, "kind": "DEPOSIT",
            }  # fmt: skip
            self.books.insert("slips", slip)
            slips.append(slip["slip_no"])
        return {"totals": body["totals"], "slips": slips}

    async def send_day_file(self, channel: str, campaign: str, day: dt.date) -> dict[str, Any]:
        """渠道日终文件: every line of money the channel took on the day; none when it took none."""
        lines = self.books.taken_on(channel, campaign, day.isoformat())
        if not lines:
            return {"lines": 0}
        file_no = f"{channel}-{campaign}-{day:%Y%m%d}"
        body = {
            "file_no": file_no,
            "date": day.isoformat(),
            "campaign": campaign,
            "lines": [
                {
                    "order_no": line["order_no"],
                    "person_id": line["person_id"],
                    "insurance": line["insurance"],
                    "year": line["year"],
                    "amount_fen": line["fen"],
                    "paid_at": line["paid_at"],
                }
                for line in lines
            ],
            "total_count": len(lines),
            "total_fen": sum(line["fen"] for line in lines),
        }
        reply = await self._services.post(
            CHANNEL_CLIENTS[channel], "collection", f"/channels/{channel}/day-files", body, key=file_no
        )
        return {"lines": len(lines), "answer": reply.body}

    # -- bank -----------------------------------------------------------------------------------------

    async def send_deposit_file(self, campaign: str, day: dt.date) -> dict[str, Any]:
        """银行解缴文件: the slips handed in on the day; none when there are none."""
        slips = self.books.rows(
            "SELECT * FROM slips WHERE campaign = ? AND deposited_on = ? AND kind = 'DEPOSIT' ORDER BY slip_no",
            (campaign, day.isoformat()),
        )
        if not slips:
            return {"lines": 0}
        file_no = f"{BANK}-{campaign}-{day:%Y%m%d}"
        body = {
            "file_no": file_no,
            "bank": BANK,
            "campaign": campaign,
            "lines": [
                {
                    "slip_no": slip["slip_no"],
                    "agent_id": slip["agent"],
                    "date": slip["date"],
                    "insurance": slip["insurance"],
                    "amount_fen": slip["fen"],
                    "deposited_on": slip["deposited_on"],
                    "account_ref": slip["account_ref"],
                }
                for slip in slips
            ],
        }
        reply = await self._services.post("bank", "collection", "/deposits:import", body, key=file_no)
        return {"lines": len(slips), "answer": reply.body}

    async def debit_vouchers(self, campaign: str, day: dt.date) -> dict[str, int]:
        """扣款并上解: what is issued is debited from its account, and remitted to the treasury."""
        issued = [
            voucher
            async for voucher in self._services.pages("bank", "collection", "/vouchers", state="ISSUED")
            if voucher["campaign"] == campaign
        ]
        short = 0
        for voucher in issued:
            with self.books.transaction():
                if self._known(voucher):
                    continue
                if self.books.balance(voucher["source"], campaign) < voucher["fen"]:
                    short += 1
                    continue
                self.books.insert("debits", _debit(voucher, day))
        told = self.books.rows(
            "SELECT * FROM debits WHERE told = 0 AND campaign = ? ORDER BY voucher_no, cycle", (campaign,)
        )
        for debit in told:
            await self._tell_debit(debit)
        return {"moved": len(told), "debited": len(told), "short": short}

    def _known(self, voucher: Mapping[str, Any]) -> bool:
        return bool(
            self.books.number(
                "SELECT COUNT(*) FROM debits WHERE voucher_no = ? AND cycle = ?",
                (voucher["voucher_no"], voucher["cycle"]),
            )
        )

    async def _tell_debit(self, debit: Mapping[str, Any]) -> None:
        number, cycle = debit["voucher_no"], debit["cycle"]
        at = f"{debit['debited_on']}T17:30:00+08:00"
        body = {
            "method": "FOUR_PARTY_AGREEMENT",
            "bank_ref": debit["bank_ref"],
            "amount_fen": debit["fen"],
            "at": at,
        }
        path = f"/vouchers/{number}"
        await self._services.post(
            "bank", "collection", f"{path}:debited", body, key=f"debited-{number}-{cycle}"
        )
        remitted = {"batch": debit["batch"], "at": at}
        await self._services.post(
            "bank", "collection", f"{path}:remitted", remitted, key=f"remitted-{number}-{cycle}"
        )
        with self.books.transaction() as db:
            db.execute("UPDATE debits SET told = 1 WHERE voucher_no = ? AND cycle = ?", (number, cycle))

    def correct(self, slip: Mapping[str, Any]) -> None:
        """A corrective deposit or returned excess at the counter (kind CORRECTION or RETURN)."""
        self.books.insert("slips", {**slip, "bank": BANK})

    # -- treasury and finance -------------------------------------------------------------------------

    async def enter(self, campaign: str, day: dt.date, reject: Sequence[str]) -> dict[str, int]:
        """入库: remittances of earlier days are entered; those named in ``reject`` go back once."""
        arrived = self.books.rows(
            "SELECT d.* FROM debits d LEFT JOIN entries e USING (voucher_no, cycle) WHERE d.campaign = ?"
            " AND d.told = 1 AND d.debited_on < ? AND e.voucher_no IS NULL ORDER BY d.voucher_no",
            (campaign, day.isoformat()),
        )
        with self.books.transaction():
            for debit in arrived:
                back = debit["voucher_no"] in reject and debit["cycle"] == 1
                copied = ("voucher_no", "cycle", "campaign", "village", "insurance", "source", "count", "fen")
                entry = {name: debit[name] for name in copied} | {
                    "date": day.isoformat(),
                    "result": "REJECTED" if back else "CONFIRMED",
                    "reason": "ACCOUNT_NAME_MISMATCH" if back else "",
                }
                self.books.insert("entries", entry)
        untold = self.books.rows(
            "SELECT * FROM entries WHERE told = 0 AND campaign = ? ORDER BY voucher_no, cycle", (campaign,)
        )
        for entry in untold:
            await self._tell_entry(entry)
        entered = sum(1 for entry in untold if entry["result"] == "CONFIRMED")
        return {"moved": len(untold), "entered": entered}

    async def _tell_entry(self, entry: Mapping[str, Any]) -> None:
        number, cycle = entry["voucher_no"], entry["cycle"]
        body = {"treasury_date": entry["date"], "amount_fen": entry["fen"], "result": entry["result"]}
        if entry["reason"]:
            body["reason"] = entry["reason"]
        await self._services.post(
            "treasury", "collection", f"/vouchers/{number}:in-treasury", body, key=f"entry-{number}-{cycle}"
        )
        with self.books.transaction() as db:
            db.execute("UPDATE entries SET told = 1 WHERE voucher_no = ? AND cycle = ?", (number, cycle))

    async def pay_refunds(self, campaign: str, day: dt.date) -> dict[str, int]:
        """退库、退付: what finance approved is paid back, whole; noted first, since once told it is not listed."""
        approved = [
            refund
            async for refund in self._services.pages("treasury", "collection", "/refunds", state="APPROVED")
            if refund["campaign"] == campaign
        ]
        for refund in approved:
            payout = {"refund_no": refund["refund_no"], "line_id": refund["payment_line_id"]}
            payout |= {name: refund[name] for name in ("campaign", "insurance", "fen")}
            self.books.insert("payouts", payout)
        due = self.books.rows(
            "SELECT * FROM payouts WHERE told = 0 AND campaign = ? ORDER BY refund_no", (campaign,)
        )
        paid = 0
        for payout in due:
            paid += await self._pay_refund(payout, day)
        return {"moved": paid, "paid": paid, "waiting": len(due) - paid}

    async def _pay_refund(self, payout: Mapping[str, Any], day: dt.date) -> bool:
        number = payout["refund_no"]
        copied = ("refund_no", "line_id", "campaign", "insurance", "fen")
        row = {name: payout[name] for name in copied} | {
            "paid_on": day.isoformat(),
            "bank_ref": reference(number),
        }
        body = {"amount_fen": row["fen"], "paid_on": row["paid_on"], "bank_ref": row["bank_ref"]}
        path = f"/refunds/{number}:paid"
        reply = await self._services.ask(
            "treasury", "collection", path, body, key=f"refund-paid-{number}-{day}"
        )
        if reply.status < 400:
            self.books.pay_refund(row)
            return True
        if reply.code == "INVALID_STATE":  # its money is on the way to the treasury
            return False
        raise UnexpectedAnswerError("POST", path, reply.status, reply.code)

    async def approve_refunds(self, campaign: str) -> dict[str, int]:
        """财政审核退费: finance approves what 人社 and 医保 verified."""
        approved = 0
        async for waiting in self._services.pages("finance", "subsidy", "/refund-approvals", state="PENDING"):
            if waiting["campaign"] == campaign:
                number = waiting["refund_no"]
                body = {"actor": "finance-07"}
                await self._services.post(
                    "finance",
                    "subsidy",
                    f"/refund-approvals/{number}:approve",
                    body,
                    key=f"approve-{number}",
                )
                approved += 1
        return {"moved": approved, "approved": approved}

    async def appropriate(self, department: str, campaign: str, day: dt.date, fen: int) -> Reply:
        """财政拨付: money moves to the fund account, and subsidy is told."""
        row = {"department": department, "campaign": campaign, "date": day.isoformat(), "fen": fen}
        self.books.insert("appropriations", row)
        return await self._services.post(
            "finance",
            "subsidy",
            f"/funds/{department}/{campaign}:appropriate",
            {"fen": fen},
            key=f"appropriate-{department}-{campaign}-{day}",
        )

    async def send_statement(self, party: str, campaign: str, month: str) -> Reply:
        """月末对账单 of treasury or finance: what was entered in the month, per insurance."""
        rows = self.books.rows(
            "SELECT insurance, SUM(count) AS count, SUM(fen) AS fen FROM entries WHERE campaign = ?"
            " AND result = 'CONFIRMED' AND date LIKE ? GROUP BY insurance ORDER BY insurance",
            (campaign, f"{month}-%"),
        )
        body = {"party": party, "campaign": campaign, "month": month, "rows": rows}
        return await self._services.post(
            party.lower(), "collection", "/statements", body, key=f"statement-{party}-{campaign}-{month}"
        )

    # -- police ---------------------------------------------------------------------------------------

    async def report_death(self, person_id: str, died_on: dt.date, told_on: dt.date) -> Reply:
        """死亡销户: the police tell registration."""
        row = {"person_id": person_id, "died_on": died_on.isoformat(), "told_on": told_on.isoformat()}
        self.books.insert("deaths", row)
        body = {
            "person_id": person_id,
            "date": died_on.isoformat(),
            "source": "POLICE",
            "batch_month": f"{told_on:%Y-%m}",
        }
        return await self._services.post("police", "registration", "/deaths", body, key=f"death-{person_id}")


def reference(of: str) -> str:
    """The bank's reference of a movement, derived so that a repetition has the same."""
    return f"{BANK}-{hashlib.sha256(of.encode()).hexdigest()[:24]}"


def _debit(voucher: Mapping[str, Any], day: dt.date) -> dict[str, Any]:
    copied = ("voucher_no", "cycle", "campaign", "village", "insurance", "source", "count", "fen")
    return {name: voucher[name] for name in copied} | {
        "debited_on": day.isoformat(),
        "bank_ref": reference(f"{voucher['voucher_no']}/{voucher['cycle']}"),
        "batch": f"{BANK}-{day:%Y%m%d}",
    }
