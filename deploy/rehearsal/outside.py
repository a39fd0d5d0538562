"""What channels, agents, the bank, the treasury, finance and the police do, each on its own books.

Each act notes in the books what it is about to tell, tells the services under a key derived from it, and
notes the answer; repeated after any interruption it tells the same again and changes nothing. The mass of a
day goes by file; single orders are asked for one by one (``counter``).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from deploy.rehearsal.books import REFUSED, TAKEN, Books, Line, Order, canonical
from deploy.rehearsal.clients import Reply, Services, UnexpectedAnswerError
from deploy.rehearsal.files import Files, Pause, RefusedRow, look_again
from deploy.rehearsal.script import client_of

BANK = "RCB"
"""The rural bank that keeps the towns' unit accounts (synthetic)."""

AGENT_CLIENT = "village-agent"
PER_INSURANCE = "{insurance}"
"""In an agent's account reference: each insurance has its own."""
AT_ONCE = 8
"""Single requests under way at once."""
PAGE = 5000
EARLY_ENTRY = "ENTRY_BEFORE_REMITTANCE"
STALE_BILL = ("AMOUNT_NOT_ASSESSED", "I-14")
"""The bill has changed since it was learnt."""
EVENING = "17:30:00+08:00"


class World:
    """The organisations outside, acting through ``services`` and remembering in ``books``."""

    def __init__(self, books: Books, services: Services, pause: Pause = look_again) -> None:
        self.books = books
        self._services = services
        self._files = Files(services, pause)
        self._boxes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def services(self) -> Services:
        """Whom it speaks to."""
        return self._services

    # -- the mass of payers ---------------------------------------------------------------------------

    def register_agents(self, campaign: str, agents: Sequence[Mapping[str, str]]) -> int:
        """Agents with their village, account and the channels they write receipts for."""
        with self.books.transaction():
            for agent in agents:
                self.books.insert("agents", {**agent, "campaign": campaign})
        return len(agents)

    async def plan_orders(self, campaign: str, village: str, orders: Sequence[Mapping[str, Any]]) -> int:
        """Learn a village's bills and keep what its households will pay with them; answers the orders.

        An order: channel, order_no, agent, paid_at, persons (ids), insurances. Who owes nothing is not in it.
        """
        bills = await self._bills(campaign, village=village)
        planned = []
        for order in orders:
            lines = [
                line
                for person in order["persons"]
                for line in bills.get(person, ())
                if line.insurance in order["insurances"]
            ]
            if lines:
                planned.append((order, lines))
        return self.books.plan_orders(campaign, village, planned)

    async def _bills(self, campaign: str, **where: str) -> dict[str, list[Line]]:
        """What people still owe themselves, by person."""
        found: dict[str, list[Line]] = defaultdict(list)
        async for row in self._services.pages(
            "channel-wechat", "collection", "/obligations", page=PAGE, campaign=campaign, **where
        ):
            if row["personal_fen"] > 0 and not row["refused"] and not row["paid_standing"]:
                line = Line(
                    row["person_id"], row["village"], row["insurance"], row["year"], row["personal_fen"]
                )
                found[line.person_id].append(line)
        for lines in found.values():
            lines.sort(key=lambda line: line.insurance)
        return found

    async def take_day(self, campaign: str, day: dt.date) -> dict[str, Any]:
        """Everybody who pays today: a file of orders per channel; what is refused is seen to one by one."""
        planned = self.books.planned_on(campaign, day.isoformat())
        works = [partial(self._send_orders, campaign, day, *each) for each in planned.items()]
        jobs = await _together(works)
        refused: list[str] = []
        for (channel, orders), job in zip(planned.items(), jobs, strict=True):
            refused += await self._take(campaign, channel, orders, job)
        orders_placed = sum(len(each) for each in planned.values())
        return {"moved": orders_placed, "orders": orders_placed, "refused": sorted(refused)}

    async def _send_orders(
        self, campaign: str, day: dt.date, channel: str, orders: Sequence[dict[str, Any]]
    ) -> str:
        rows = ({name: value for name, value in order.items() if name != "id"} for order in orders)
        key = f"orders-{channel}-{campaign}-{day}-{orders[0]['order_no']}"
        return await self._files.send(client_of(channel), "collection", "/payments:import", rows, key)

    async def _take(
        self, campaign: str, channel: str, orders: Sequence[dict[str, Any]], job: str
    ) -> list[str]:
        done = await self._files.wait(client_of(channel), "collection", job)
        refused = {row.row - 1: row for row in await self._files.refused(done)}
        codes = {index: row.code for index, row in refused.items()}
        self.books.take_planned(campaign, orders, codes)
        for index, row in refused.items():
            await self._without(campaign, orders[index], row)
        return list(codes.values())

    async def _without(self, campaign: str, order: Mapping[str, Any], refusal: RefusedRow) -> None:
        """A refused order once more: without whoever it was refused for, or with the bill as it is now; and if
        that is refused too, everybody of it for himself. Who may not pay like this, does not."""
        persons = list(dict.fromkeys(line["person_id"] for line in order["lines"]))
        index = _line_index(refusal.field)
        if index is not None and (refusal.code, refusal.rule) != STALE_BILL:
            at_fault = order["lines"][index]["person_id"]
            persons = [person for person in persons if person != at_fault]
        bills = {person: await self._bills(campaign, person_id=person) for person in persons}
        lines = [line for person in persons for line in bills[person].get(person, ())]
        if not lines or await self._again(campaign, order, "1", lines) or len(persons) == 1:
            return
        for number, person in enumerate(persons, 2):
            if bills[person].get(person):
                await self._again(campaign, order, str(number), bills[person][person])

    async def _again(self, campaign: str, order: Mapping[str, Any], part: str, lines: Sequence[Line]) -> bool:
        agent, number = order.get("agent", ""), f"{order['order_no']}-{part}"
        again = await self._counter(order["channel"], number, campaign, order["paid_at"], lines, agent=agent)
        return again.state == TAKEN

    # -- single payers --------------------------------------------------------------------------------

    async def pay(
        self,
        channel: str,
        order_no: str,
        campaign: str,
        paid_at: str,
        lines: Sequence[Line],
        *,
        agent: str = "",
        asked: bool = True,
        repeat: str = "",
    ) -> Order:
        """An order by itself: the channel or agent asks first; refused, it takes none.

        asked False: the money is final before anybody was told; the channel's day file will say so. repeat
        ``lost``: the first answer never arrives and the same request is sent again; ``twice``: the channel
        sends its order a second time as if it were new. One order at a time for each agent.
        """
        async with self._boxes[agent or f"{channel}/{order_no}"]:
            return await self._counter(
                channel, order_no, campaign, paid_at, lines, agent=agent, asked=asked, repeat=repeat
            )

    async def _counter(
        self,
        channel: str,
        order_no: str,
        campaign: str,
        paid_at: str,
        lines: Sequence[Line],
        *,
        agent: str = "",
        asked: bool = True,
        repeat: str = "",
    ) -> Order:
        order = self.books.order(channel, order_no) or self.books.open_order(
            channel, order_no, campaign, paid_at, lines, agent=agent, asked=asked
        )
        if order.state in (TAKEN, REFUSED):
            return order
        reply = await self._ask_payment(order)
        repeated = ""
        if repeat:
            again = await self._ask_payment(order, "" if repeat == "lost" else "-again")
            same = _told(again) == _told(reply)
            proper = (
                again.replayed and again.status == reply.status if repeat == "lost" else again.status == 200
            )
            repeated = "SAME_ANSWER" if same and proper else "OTHER_ANSWER"
        if reply.status >= 400:
            return self.books.close_order(order, REFUSED, reply.code, repeated)
        return self.books.close_order(order, TAKEN, "", repeated)

    async def _ask_payment(self, order: Order, suffix: str = "") -> Reply:
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
            body["agent"] = order.agent
        if order.book_no:
            body["receipt"] = {"book_no": order.book_no, "serial_no": order.serial_no}
        return await self._services.ask(
            client_of(order.channel),
            "collection",
            "/payments",
            body,
            key=f"{order.channel}-{order.order_no}{suffix}",
        )

    # -- the evening ----------------------------------------------------------------------------------

    async def close_day(
        self,
        campaign: str,
        day: dt.date,
        late_agents: Sequence[str] = (),
        misfits: Mapping[str, int] | None = None,
        mixed: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Agents' summaries and slips, and the bank's deposit file.

        late_agents deposit tomorrow; misfits: fen by which an agent's medical slip differs from his box; mixed:
        agents whose pension money goes to the medical account, where insurances have accounts of their own.
        """
        slips = await self._close_boxes(campaign, day, late_agents, misfits or {}, mixed)
        deposits = await self._send_deposit_file(campaign, day)
        return {"moved": slips + deposits, "slips": slips, "deposits": deposits}

    async def send_day_files(
        self, campaign: str, day: dt.date, late: Sequence[str] = (), left_out: Sequence[str] = ()
    ) -> dict[str, int]:
        """The channels' day files of a day; those of ``late`` channels come later, ``left_out`` is forgotten."""
        works = [
            partial(self.send_day_file, channel, campaign, day, left_out)
            for channel in self.books.channels_on(campaign, day.isoformat())
            if channel not in late
        ]
        lines = sum(answer["lines"] for answer in await _together(works))
        return {"moved": lines, "files": len(works), "lines": lines}

    async def _close_boxes(
        self,
        campaign: str,
        day: dt.date,
        late_agents: Sequence[str],
        misfits: Mapping[str, int],
        mixed: Sequence[str] = (),
    ) -> int:
        boxes = self.books.boxes(campaign, day.isoformat())
        await _together([partial(self._summarise, campaign, day, agent, box) for agent, box in boxes.items()])
        slips = 0
        for agent, box in boxes.items():
            known = self.books.rows(
                "SELECT village, account_ref FROM agents WHERE agent = ? AND campaign = ?", (agent, campaign)
            )[0]
            deposited = day + dt.timedelta(days=1) if agent in late_agents else day
            for row in box:
                differs = misfits.get(agent, 0) if row["insurance"] == "medical" else 0
                account = "medical" if agent in mixed else row["insurance"]
                self.books.put_slip(
                    {
                        "slip_no": f"S-{agent}-{day:%Y%m%d}-{row['insurance']}",
                        "bank": BANK, "campaign": campaign, "agent": agent, "village": known["village"],
                        "date": day.isoformat(), "insurance": row["insurance"], "fen": row["fen"] + differs,
                        "deposited_on": deposited.isoformat(),
                        "account_ref": known["account_ref"].replace(PER_INSURANCE, account), "kind": "DEPOSIT",
                    }
                )  # fmt: skip
                slips += 1
        return slips

    async def _summarise(
        self, campaign: str, day: dt.date, agent: str, box: Sequence[Mapping[str, Any]]
    ) -> None:
        body = {
            "campaign": campaign,
            "date": day.isoformat(),
            "totals": [
                {"insurance": row["insurance"], "count": row["count"], "amount_fen": row["fen"]}
                for row in box
            ],
            "receipts_from": min(row["first"] for row in box),
            "receipts_to": max(row["last"] for row in box),
        }
        await self._services.post(
            AGENT_CLIENT, "collection", f"/agents/{agent}/summaries", body, key=f"summary-{agent}-{day}"
        )

    async def send_day_file(
        self, channel: str, campaign: str, day: dt.date, left_out: Sequence[str] = (), part: str = ""
    ) -> dict[str, Any]:
        """渠道日终文件: every line of money the channel took on the day; none when it took none.

        part: a later file of the same day, which holds only what ``left_out`` names.
        """
        lines = self.books.taken_on(channel, campaign, day.isoformat())
        forgotten = [line for line in lines if line["order_no"] in left_out]
        if not lines or (part and not forgotten):
            return {"lines": 0}
        lines = forgotten if part else [line for line in lines if line not in forgotten]
        file_no = f"{channel}-{campaign}-{day:%Y%m%d}{part}"
        body = {
            "file_no": file_no,
            "date": day.isoformat(),
            "campaign": campaign,
            "lines": lines,
            "total_count": len(lines),
            "total_fen": sum(line["amount_fen"] for line in lines),
        }
        path = f"/channels/{channel}/day-files"
        await self._services.post(client_of(channel), "collection", path, body, key=file_no)
        return {"lines": len(lines)}

    async def _send_deposit_file(self, campaign: str, day: dt.date) -> int:
        """银行解缴文件: deposits made at the counter on the day."""
        slips = self.books.rows(
            "SELECT slip_no, agent AS agent_id, date, insurance, fen AS amount_fen, deposited_on, account_ref"
            " FROM slips WHERE campaign = ? AND deposited_on = ? AND kind = 'DEPOSIT' ORDER BY slip_no",
            (campaign, day.isoformat()),
        )
        if not slips:
            return 0
        file_no = f"{BANK}-{campaign}-{day:%Y%m%d}"
        body = {"file_no": file_no, "bank": BANK, "campaign": campaign, "lines": slips}
        await self._services.post("bank", "collection", "/deposits:import", body, key=file_no)
        return len(slips)

    def correct(self, slip: Mapping[str, Any]) -> None:
        """A corrective deposit or returned excess at the counter (kind CORRECTION or RETURN)."""
        self.books.put_slip({**slip, "bank": BANK})

    # -- bank and treasury ----------------------------------------------------------------------------

    async def debit_vouchers(self, campaign: str, day: dt.date, hasty: bool = False) -> dict[str, int]:
        """扣款并上解: what is issued is debited from its account, and remitted to the treasury, by file.

        hasty: once in a campaign the treasury's file about the first of them comes before the bank's (it is
        refused, and comes again in its turn).
        """
        issued = [
            _debit(voucher, day)
            async for voucher in self._services.pages(
                "bank", "collection", "/vouchers", state="ISSUED", campaign=campaign
            )
        ]
        short = self.books.put_debits(campaign, issued)
        told = self.books.rows(
            "SELECT * FROM debits WHERE told = 0 AND campaign = ? ORDER BY voucher_no, cycle", (campaign,)
        )
        if hasty and told and not self.books.refused(campaign, EARLY_ENTRY):
            await self._enter_early(campaign, day, told[0])
        rows = [_step_row(row, step) for row in told for step in (DEBITED, REMITTED)]
        await self._voucher_file("bank", REMITTED, campaign, day, rows)
        self.books.mark_told("debits", told)
        return {"moved": len(told), "debited": len(told), "short": short}

    async def _enter_early(self, campaign: str, day: dt.date, debit: Mapping[str, Any]) -> None:
        row = _step_row({**debit, "date": day.isoformat(), "result": "CONFIRMED", "reason": ""}, ENTERED)
        key = f"vouchers-early-{campaign}-{day}"
        done = await self._files.hand_in("treasury", "collection", "/vouchers:import", [row], key)
        for refused in await self._files.refused(done):
            self.books.insert(
                "refusals",
                {"campaign": campaign, "what": EARLY_ENTRY, "subject": debit["voucher_no"],
                 "code": refused.code},
            )  # fmt: skip

    async def _voucher_file(
        self, client: str, step: str, campaign: str, day: dt.date, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        if not rows:
            return
        key = f"vouchers-{step}-{campaign}-{day}-{_digest(rows)}"
        done = await self._files.hand_in(client, "collection", "/vouchers:import", rows, key)
        refused = await self._files.refused(done)
        if refused:
            raise UnexpectedAnswerError("POST", f"/vouchers:import {step}", 409, refused[0].code)

    async def enter(self, campaign: str, day: dt.date, reject: Sequence[str] = ()) -> dict[str, Any]:
        """入库: remittances of earlier days are entered; those named in ``reject`` go back once.

        reject: voucher numbers, or a source: then its first voucher of the day.
        """
        arrived = self.books.rows(
            "SELECT d.* FROM debits d LEFT JOIN entries e USING (voucher_no, cycle) WHERE d.campaign = ?"
            " AND d.told = 1 AND d.debited_on < ? AND e.voucher_no IS NULL ORDER BY d.voucher_no",
            (campaign, day.isoformat()),
        )
        refused = {
            next((debit["voucher_no"] for debit in arrived if debit["source"] == each), each)
            for each in reject
        }
        entries = []
        for debit in arrived:
            back = debit["voucher_no"] in refused and debit["cycle"] == 1
            copied = ("voucher_no", "cycle", "campaign", "village", "insurance", "source", "count", "fen")
            entries.append(
                {name: debit[name] for name in copied}
                | {
                    "date": day.isoformat(),
                    "result": "REJECTED" if back else "CONFIRMED",
                    "reason": "ACCOUNT_NAME_MISMATCH" if back else "",
                }
            )
        self.books.put_entries(entries)
        untold = self.books.rows(
            "SELECT * FROM entries WHERE told = 0 AND campaign = ? ORDER BY voucher_no, cycle", (campaign,)
        )
        rows = [_step_row(entry, ENTERED) for entry in untold]
        await self._voucher_file("treasury", ENTERED, campaign, day, rows)
        self.books.mark_told("entries", untold)
        back = self.books.rows(
            "SELECT voucher_no FROM entries WHERE campaign = ? AND date = ? AND result = 'REJECTED'"
            " ORDER BY voucher_no",
            (campaign, day.isoformat()),
        )
        entered = sum(1 for entry in untold if entry["result"] == "CONFIRMED")
        return {"moved": len(untold), "entered": entered, "rejected": [row["voucher_no"] for row in back]}

    async def pay_refunds(self, campaign: str, day: dt.date, payer: str = "treasury") -> dict[str, int]:
        """退库、退付: what finance approved is paid back, whole; noted first, since once told it is not listed."""
        approved = [
            refund
            async for refund in self._services.pages(payer, "collection", "/refunds", state="APPROVED")
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
            paid += await self._pay_refund(payout, day, payer)
        return {"moved": paid, "paid": paid, "waiting": len(due) - paid}

    async def _pay_refund(self, payout: Mapping[str, Any], day: dt.date, payer: str) -> bool:
        number = payout["refund_no"]
        copied = ("refund_no", "line_id", "campaign", "insurance", "fen")
        row = {name: payout[name] for name in copied} | {
            "paid_on": day.isoformat(),
            "bank_ref": reference(number),
        }
        body = {"amount_fen": row["fen"], "paid_on": row["paid_on"], "bank_ref": row["bank_ref"]}
        path = f"/refunds/{number}:paid"
        reply = await self._services.ask(payer, "collection", path, body, key=f"refund-paid-{number}-{day}")
        if reply.status < 400:
            self.books.pay_refund(row)
            return True
        if reply.code == "INVALID_STATE":  # its money is on the way to the treasury
            return False
        raise UnexpectedAnswerError("POST", path, reply.status, reply.code)

    # -- finance --------------------------------------------------------------------------------------

    async def approve_refunds(self, campaign: str) -> dict[str, int]:
        """财政审核退费: finance approves what 人社 and 医保 verified."""
        approved = 0
        async for waiting in self._services.pages("finance", "subsidy", "/refund-approvals", state="PENDING"):
            if waiting["campaign"] == campaign:
                number = waiting["refund_no"]
                path = f"/refund-approvals/{number}:approve"
                body = {"actor": "finance-07"}
                await self._services.post("finance", "subsidy", path, body, key=f"approve-{number}")
                approved += 1
        return {"moved": approved, "approved": approved}

    async def appropriate(self, department: str, campaign: str, day: dt.date, fen: int) -> Reply:
        """财政拨付: money moves to the fund account, and subsidy is told."""
        row = {"department": department, "campaign": campaign, "date": day.isoformat(), "fen": fen}
        self.books.put_appropriation(row)
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


def _told(reply: Reply) -> Any:
    """What an answer says of an order: its payment and lines."""
    if reply.status >= 400 or not isinstance(reply.body, dict):
        return reply.code
    return reply.body["payment_id"], [line["line_id"] for line in reply.body.get("lines", ())]


def _digest(rows: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(canonical(rows).encode()).hexdigest()[:16]


def _line_index(field: str) -> int | None:
    """``lines.3.amount_fen`` -> 3."""
    name, _, rest = field.partition(".")
    number = rest.partition(".")[0]
    return int(number) if name == "lines" and number.isdigit() else None


DEBITED, REMITTED, ENTERED = "debited", "remitted", "in-treasury"


def _step_row(row: Mapping[str, Any], step: str) -> dict[str, Any]:
    """A row of the bank's or treasury's file."""
    found = {
        "voucher_no": row["voucher_no"],
        "step": step,
        "amount_fen": row["fen"],
        "date": row.get("date") or row["debited_on"],
    }
    if step == DEBITED:
        return found | {"method": "FOUR_PARTY_AGREEMENT", "ref": row["bank_ref"]}
    if step == REMITTED:
        return found | {"ref": row["batch"]}
    return found | {"result": row["result"], "reason": row["reason"]}


def _debit(voucher: Mapping[str, Any], day: dt.date) -> dict[str, Any]:
    copied = ("voucher_no", "cycle", "campaign", "insurance", "source", "count", "fen")
    return {name: voucher[name] for name in copied} | {
        "village": voucher.get("village") or "",
        "debited_on": day.isoformat(),
        "bank_ref": reference(f"{voucher['voucher_no']}/{voucher['cycle']}"),
        "batch": f"{BANK}-{day:%Y%m%d}",
    }


async def _together(works: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Several acts, at most ``AT_ONCE`` at once; answers in their order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(work: Callable[[], Awaitable[Any]]) -> Any:
        async with gate:
            return await work()

    return list(await asyncio.gather(*(one(work) for work in works)))
