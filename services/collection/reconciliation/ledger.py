"""Moving lines of money, a page of events at a time, with the sums that follow from it.

Each change takes the lines out of the sums they stood in and puts them into those they stand in now; the
sums are written once a page. A line of a voucher stands in the voucher's row, so a step of the voucher
moves all of them at once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.collection.reconciliation.tables import (
    VOUCHERED,
    money_book,
    money_line,
    money_sum,
    money_village,
    money_voucher,
)
from shared.eventstore.database import Connection

ENTERED = frozenset({"BOOKED", "ENTERED", "FISCAL_ACCOUNT", "CONFIRMED"})
"""Stages of a line that is entered with the person: booked, or, where the plan has a data entry, recorded."""

_CELL = ("campaign", "village", "insurance", "book", "date", "payer", "stage", "standing", "voucher_no")
_columns = [money_line.c[name] for name in _CELL]
_GROUPED = sa.select(
    *_columns, sa.func.count(), sa.cast(sa.func.sum(money_line.c.fen), sa.BigInteger)
).group_by(*_columns)
_CHAIN = ("date", "book", "stage", "voucher_no", "declaration_no", "payer")
"""What an event on a line that is known already leaves as it is."""

Cell = Mapping[str, Any]


class Ledger:
    """The lines and sums of one page; ``flush`` before the page ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sums: dict[tuple[str, str, str], list[int]] = {}
        self._books: dict[tuple[str, str, str, dt.date], list[int]] = {}
        self._villages: dict[tuple[str, str, str], list[int]] = {}
        self._vouchers: dict[str, tuple[str, str, list[int]]] = {}
        self._steps: dict[str, str] = {}

    async def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """New lines; of a line that is known only standing, place and person change."""
        ids = [row["line_id"] for row in rows]
        current: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), 500):
            known = sa.select(money_line).where(money_line.c.line_id.in_(ids[start : start + 500]))
            current |= {row.line_id: dict(row._mapping) for row in await self._connection.execute(known)}
        changed: dict[str, dict[str, Any]] = {}
        for row in rows:
            before = current.get(row["line_id"])
            after = row if before is None else row | {name: before[name] for name in _CHAIN}
            if before is not None:
                self._put(before, -1, -int(before["fen"]))
            self._put(after, 1, after["fen"])
            current[row["line_id"]] = changed[row["line_id"]] = after
        await self._connection.upsert(money_line, changed.values())

    async def move(self, where: sa.ColumnElement[bool], **values: Any) -> None:
        """Change lines alike: their stage, standing or document."""
        rows = await self._connection.execute(_GROUPED.where(where))
        if not rows:
            return
        await self._connection.execute(sa.update(money_line).where(where).values(**values))
        for row in rows:
            cell = dict(zip(_CELL, row, strict=False))
            count, fen = int(row[-2]), int(row[-1])
            self._put(cell, -count, -fen)
            self._put(cell | values, count, fen)

    async def move_lines(self, line_ids: Iterable[str], **values: Any) -> None:
        """``move`` by line id."""
        ids = list(line_ids)
        for start in range(0, len(ids), 500):
            await self.move(money_line.c.line_id.in_(ids[start : start + 500]), **values)

    def step(self, voucher_no: str, stage: str) -> None:
        """A step of a voucher carries all its lines along."""
        self._steps[voucher_no] = stage

    def _put(self, cell: Cell, count: int, fen: int) -> None:
        campaign, insurance = cell["campaign"], cell["insurance"]
        stage, standing = cell["stage"], cell["standing"]
        effective = standing == "EFFECTIVE"
        if effective and stage == VOUCHERED:
            sums = self._vouchers.setdefault(cell["voucher_no"], (campaign, insurance, [0, 0]))[2]
        else:
            sums = self._sums.setdefault((campaign, insurance, stage if effective else standing), [0, 0])
        sums[0] += count
        sums[1] += fen
        if cell["book"] and cell["date"] is not None:
            book = self._books.setdefault((campaign, cell["book"], insurance, cell["date"]), [0, 0])
            book[0] += fen
            book[1] += fen if stage == "RECEIVED" else 0
        if effective and cell["payer"] == "person" and cell["village"]:
            village = self._villages.setdefault((campaign, cell["village"], insurance), [0, 0, 0, 0])
            entered = stage in ENTERED
            for index, more in enumerate((count, fen, count * entered, fen * entered)):
                village[index] += more

    async def flush(self) -> None:
        """Write what the sums have become."""
        await self._flush_vouchers()
        for table, held in (
            (money_sum, self._sums),
            (money_book, self._books),
            (money_village, self._villages),
        ):
            names = [column.name for column in table.c]
            keys = len(table.primary_key.columns)
            rows = [dict(zip(names, (*key, *sums), strict=True)) for key, sums in held.items()]
            if rows:
                await self._connection.upsert(table, rows, add=names[keys:])
            held.clear()

    async def _flush_vouchers(self) -> None:
        rows = [
            {
                "voucher_no": voucher_no,
                "campaign": campaign,
                "insurance": insurance,
                "stage": VOUCHERED,
                "count": sums[0],
                "fen": sums[1],
            }
            for voucher_no, (campaign, insurance, sums) in self._vouchers.items()
        ]
        if rows:
            kept = ("campaign", "insurance", "stage")
            await self._connection.upsert(money_voucher, rows, add=("count", "fen"), keep=kept)
        self._vouchers.clear()
        stages: dict[str, list[str]] = {}
        for voucher_no, stage in self._steps.items():
            stages.setdefault(stage, []).append(voucher_no)
        for stage, numbers in stages.items():
            change = sa.update(money_voucher).where(money_voucher.c.voucher_no.in_(numbers))
            await self._connection.execute(change.values(stage=stage))
        self._steps.clear()
