"""Books beside the lines, gathered over a page of events: the outside's days, and vouchers entered and booked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.collection.reconciliation.events import ThreeWayMatchVerified
from services.collection.reconciliation.tables import outside_book, three_way, voucher_book
from shared.eventstore.database import Connection

Key = tuple[str, str, str, dt.date]
"""Campaign, book, insurance, date."""


class Books:
    """Rows of one page; they depend on no line, so they are written once, at its end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outside: dict[Key, list[Any]] = {}  # channel, fen, told, open difference (None: unchanged)
        self._entered: dict[str, dict[str, Any]] = {}
        self._sums: dict[str, dict[str, tuple[str, str, int, int]]] = {"returned": {}, "booked": {}}
        self._acknowledged: dict[str, None] = {}
        self._matched: list[dict[str, Any]] = []

    def tell(self, event: Any, book: str, insurance: Any, channel: str, fen: int, told: int) -> list[Any]:
        """Add to a day's book what a deposit, correction or day file told; the row, for a discrepancy's amount."""
        key = (event.campaign, book, insurance.value, event.date)
        known = self._outside.setdefault(key, [channel, 0, 0, None])
        known[1] += fen
        known[2] += told
        return known

    def entered(
        self, voucher_no: str, campaign: str, insurance: str, day: dt.date, count: int, fen: int
    ) -> None:
        """A voucher entered the treasury, or a document was confirmed."""
        self._entered[voucher_no] = {
            "voucher_no": voucher_no,
            "campaign": campaign,
            "insurance": insurance,
            "treasury_date": day,
            "entered_count": count,
            "entered_fen": fen,
        }

    def add(self, what: str, voucher_no: str, campaign: str, insurance: str, count: int, fen: int) -> None:
        """what: returned or booked."""
        _, _, before, before_fen = self._sums[what].get(voucher_no, ("", "", 0, 0))
        self._sums[what][voucher_no] = (campaign, insurance, before + count, before_fen + fen)

    def acknowledge(self, voucher_no: str) -> None:
        """Registration answered the whole return."""
        self._acknowledged[voucher_no] = None

    def match(self, event: ThreeWayMatchVerified) -> None:
        """A village's books agree three ways."""
        row = {
            "campaign": event.campaign,
            "village": event.village,
            "insurance": event.insurance.value,
            "count": event.collected_count,
            "fen": event.collected_fen,
        }
        self._matched.append(row)

    async def flush(self) -> None:
        """Write everything that was told."""
        if self._matched:
            await self._connection.upsert(three_way, self._matched)
        await self._flush_outside()
        if self._entered:
            await self._connection.upsert(voucher_book, self._entered.values())
        for what, held in self._sums.items():
            rows = [
                {
                    "voucher_no": number,
                    "campaign": campaign,
                    "insurance": insurance,
                    f"{what}_count": count,
                    f"{what}_fen": fen,
                }
                for number, (campaign, insurance, count, fen) in held.items()
            ]
            if rows:
                counted = (f"{what}_count", f"{what}_fen")
                await self._connection.upsert(voucher_book, rows, add=counted, keep=("campaign", "insurance"))
        if self._acknowledged:
            mine = voucher_book.c.voucher_no.in_(list(self._acknowledged))
            await self._connection.execute(sa.update(voucher_book).where(mine).values(acknowledged=True))

    async def _flush_outside(self) -> None:
        """``open_diff_fen`` is the discrepancy's alone: a row told by others only sets it when it is new."""
        told: list[dict[str, Any]] = []
        judged: list[dict[str, Any]] = []
        for (campaign, book, insurance, date), (channel, fen, times, difference) in self._outside.items():
            row = {
                "campaign": campaign,
                "book": book,
                "insurance": insurance,
                "date": date,
                "channel": channel,
                "fen": fen,
                "open_diff_fen": difference or 0,
                "told": times,
            }
            (told if difference is None else judged).append(row)
        await self._upsert(told, keep=("open_diff_fen",))
        await self._upsert(judged, keep=())

    async def _upsert(self, rows: Sequence[dict[str, Any]], keep: Sequence[str]) -> None:
        if rows:
            await self._connection.upsert(outside_book, rows, add=("fen", "told"), keep=keep)
