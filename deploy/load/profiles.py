"""What a run stands for (场景): the last day, the evening's files, an outage.

``last-day`` offers payments and nothing else. ``day-close`` lets the bank's and the treasury's files of the day
before meet them. ``outage`` cuts the channels off for a third of the run; their orders wait, are sent as the platform
is back, and the window is extended by a day.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deploy.load.orders import Orders, Sent
from deploy.load.payers import poisson
from deploy.load.running import OpenLoop
from deploy.rehearsal.clients import Services
from deploy.rehearsal.files import Files
from deploy.rehearsal.script import CASH, client_of
from shared.kernel.clock import SHANGHAI

BACKLOG_FACTOR = 0.5
"""While a backlog drains, this share of the rate is added to what arrives anyway."""
ISSUED_LOOKS = 240
LOOK_SECONDS = 0.25
BANK = "RCB"


class Profile(StrEnum):
    """What a run stands for."""

    LAST_DAY = "last-day"
    DAY_CLOSE = "day-close"
    OUTAGE = "outage"


@dataclass(slots=True)
class Beside:
    """What was done beside the payments: steps with their seconds and counts."""

    steps: list[dict[str, Any]] = field(default_factory=list)

    def note(self, step: str, began: float, until: float, **counts: int) -> None:
        """A step from one second of the run to another."""
        self.steps.append(
            {"step": step, "from": round(began, 2), "seconds": round(until - began, 2), **counts}
        )


async def last_day(
    loop: OpenLoop, orders: Orders, rate: float, seconds: float, source: random.Random
) -> None:
    """Payments at the rate from the first second to the last."""
    await loop.run(poisson(rate, seconds, source), orders.next, seconds)


class DayClose:
    """The files of a day's money: channels', the bank's, the treasury's; all against the services' own vouchers."""

    def __init__(self, services: Services, campaign: str, run: str, day: dt.date) -> None:
        self._services, self._campaign, self._run, self._day = services, campaign, run, day
        self._files = Files(services)
        self.beside = Beside()

    async def send(self, loop: OpenLoop, taken: list[Sent]) -> None:
        """Day files of yesterday's orders; then every voucher they cause is debited, remitted and entered."""
        by_channel: dict[str, list[Sent]] = defaultdict(list)
        for order in taken:
            if order.channel != CASH and order.accepted:
                by_channel[order.channel].append(order)
        for channel, some in sorted(by_channel.items()):
            began = loop.now
            lines = [self._line(order, due) for order in some for due in order.lines]
            await self._day_file(channel, lines)
            self.beside.note(f"day-file {channel}", began, loop.now, lines=len(lines))
        if by_channel:
            await self._treasury(loop)

    def _line(self, order: Sent, due: Any) -> dict[str, Any]:
        return {
            "order_no": order.order_no, "person_id": due.person_id, "insurance": due.insurance,
            "year": due.year, "amount_fen": due.fen, "paid_at": order.paid_at,
        }  # fmt: skip

    async def _day_file(self, channel: str, lines: list[dict[str, Any]]) -> None:
        file_no = f"{channel}-{self._run}-{self._day:%Y%m%d}"
        body = {
            "file_no": file_no, "date": self._day.isoformat(), "campaign": self._campaign, "lines": lines,
            "total_count": len(lines), "total_fen": sum(line["amount_fen"] for line in lines),
        }  # fmt: skip
        path = f"/channels/{channel}/day-files"
        await self._services.post(client_of(channel), "collection", path, body, key=file_no)

    async def _treasury(self, loop: OpenLoop) -> None:
        vouchers = await self._issued()
        debits = [row for voucher in vouchers for row in self._debit(voucher)]
        entries = [self._entry(voucher) for voucher in vouchers]
        for name, client, rows in (("bank-file", "bank", debits), ("treasury-file", "treasury", entries)):
            if rows:
                began = loop.now
                key = f"{name}-{self._run}"
                done = await self._files.hand_in(client, "collection", "/vouchers:import", rows, key)
                self.beside.note(name, began, loop.now, rows=len(rows), refused=done.refused)

    async def _issued(self) -> list[dict[str, Any]]:
        """Vouchers once their number rests."""
        before = -1
        for _ in range(ISSUED_LOOKS):
            pages = self._services.pages(
                "bank", "collection", "/vouchers", state="ISSUED", campaign=self._campaign
            )
            found = [voucher async for voucher in pages]
            if found and len(found) == before:
                return found
            before = len(found)
            await asyncio.sleep(LOOK_SECONDS)
        return []

    def _debit(self, voucher: dict[str, Any]) -> list[dict[str, Any]]:
        row = self._step(voucher, "debited") | {"method": "FOUR_PARTY_AGREEMENT"}
        remitted = self._step(voucher, "remitted") | {"ref": f"{BANK}-{self._run}"}
        return [row | {"ref": f"{BANK}-{self._run}-{voucher['voucher_no']}"[:64]}, remitted]

    def _entry(self, voucher: dict[str, Any]) -> dict[str, Any]:
        return self._step(voucher, "in-treasury") | {"result": "CONFIRMED", "reason": ""}

    def _step(self, voucher: dict[str, Any], step: str) -> dict[str, Any]:
        today = self._day + dt.timedelta(days=1)
        return {
            "voucher_no": voucher["voucher_no"], "step": step, "amount_fen": voucher["fen"],
            "date": today.isoformat(),
        }  # fmt: skip


class Outage:
    """Channels cut off for the middle third; their orders wait and are asked when the platform is back."""

    def __init__(self, orders: Orders, rate: float, seconds: float) -> None:
        self._orders, self._rate, self._seconds = orders, rate, seconds
        self._waiting: deque[Sent] = deque()
        self.beside = Beside()
        self.cut_off = 0
        self.drained_at = 0.0

    @property
    def down(self) -> tuple[float, float]:
        """First and last second without the platform."""
        return self._seconds / 3, self._seconds * 2 / 3

    def moments(self, source: random.Random) -> Iterator[float]:
        """Arrivals; after the outage those of the backlog come between them."""
        yield from poisson(self._rate, self._seconds, source)
        at = self._seconds
        while self._waiting:  # what is left after the last arrival drains at half the rate
            at += 1 / (self._rate * BACKLOG_FACTOR)
            yield at

    def draw(self, loop: OpenLoop, due: float, source: random.Random) -> Sent | None:
        """The arrival of a moment, or what waits longest."""
        first, last = self.down
        if due >= self._seconds:
            return self._from_backlog(due)
        arrival = self._orders.next(due)
        if first <= due < last:
            if arrival is not None:
                self._waiting.append(arrival)
                self.cut_off += 1
            return None
        if due >= last and self._waiting and source.random() < BACKLOG_FACTOR:
            waiting = self._from_backlog(due)
            if waiting is not None:
                loop.offer(waiting)
        return arrival

    def _from_backlog(self, due: float) -> Sent | None:
        if not self._waiting:
            return None
        waiting = self._waiting.popleft()
        waiting.due = due  # the channel is asked again now; the payer was told long ago
        if not self._waiting:
            self.drained_at = due
        return waiting


async def extend_window(services: Services, campaign: str, end: dt.date, run: str) -> int:
    """延长征缴期: a day more for those who met the outage; answers the status."""
    body = {
        "new_end": (end + dt.timedelta(days=1)).isoformat(),
        "reason": "平台中断（演练）/ outage (rehearsal)",
        "authority": "区税务局",
    }
    reply = await services.ask(
        "tax", "collection", f"/campaigns/{campaign}:extend", body, key=f"extend-{run}"
    )
    return reply.status


def yesterdays(orders: Orders, day: dt.date, count: int) -> Iterator[Sent]:
    """Final money of the day before, told this morning: what yesterday's files are about."""
    for number in range(count):
        made = orders.final(dt.datetime.combine(day, dt.time(9 + number % 12, number * 7 % 60), SHANGHAI))
        if made is None:
            return
        yield made
