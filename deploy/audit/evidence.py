"""What an audit looks at: rows of the four logs, and the outside world's books."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

from shared.kernel.clock import SHANGHAI
from shared.policy import Pack, load_packs

SERVICES = ("registration", "collection", "subsidy", "notification")

LOCAL = "+08:00"


@dataclass(slots=True)
class Row:
    """A row of a log. ``data`` is the stored JSON; the type of a received message is its CloudEvents type."""

    position: int
    event_id: str
    era: int
    stream: str
    version: int
    type: str
    data: Mapping[str, Any]
    occurred_at: dt.datetime

    @property
    def day(self) -> str:
        """Local business date, ISO."""
        return self.occurred_at.astimezone(SHANGHAI).date().isoformat()


class Takings(msgspec.Struct, frozen=True):
    """A cell of the outside's books: what was taken for it, gross, in fen.

    date: the payer's own day (for GOVERNMENT the day finance's account was debited).
    """

    village: str
    insurance: str
    date: dt.date
    channel: str
    count: int
    fen: int


class BankDeposit(msgspec.Struct, frozen=True):
    """A deposit as the bank has it."""

    slip_no: str
    fen: int


class TreasuryEntry(msgspec.Struct, frozen=True):
    """An entry as the treasury has it."""

    voucher_no: str
    fen: int


class RefundPaid(msgspec.Struct, frozen=True):
    """A payment back to a payer, as who paid it has it."""

    line_id: str
    fen: int


class Books(msgspec.Struct, frozen=True):
    """``GET /books`` of the outside world, or a page of them."""

    rows: tuple[Takings, ...] = ()
    deposits: tuple[BankDeposit, ...] = ()
    treasury: tuple[TreasuryEntry, ...] = ()
    refunds: tuple[RefundPaid, ...] = ()


@dataclass
class Evidence:
    """The logs by service, in position order, and the books; all of it in memory.

    since: rows before it are context only, one position for all logs or one per service.
    """

    logs: Mapping[str, Sequence[Row]]
    books: Books = field(default_factory=Books)
    packs: Mapping[str, Pack] = field(default_factory=load_packs)
    since: int | Mapping[str, int] = 0

    def of(self, service: str, *types: str) -> Iterator[Row]:
        """A service's own events of the types, in position order."""
        return (row for row in self.logs[service] if row.type in types)

    def collection(self, *types: str) -> Iterator[Row]:
        """Events of collection."""
        return self.of("collection", *types)


def day_of(text: str) -> str:
    """A stored date, or the local date of a stored moment; ISO, so that days compare as text."""
    if len(text) == 10:
        return text
    return text[:10] if text.endswith(LOCAL) else moment_of(text).date().isoformat()


def moment_of(text: str) -> dt.datetime:
    """A stored moment, in Asia/Shanghai."""
    return dt.datetime.fromisoformat(text).astimezone(SHANGHAI)


def rows_of(stored: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows from stored columns; ``data`` may still be JSON text."""
    return [
        Row(
            each["position"],
            str(each["event_id"]),
            each["era"],
            each["stream"],
            each["version"],
            each["type"],
            msgspec.json.decode(each["data"]) if isinstance(each["data"], str | bytes) else each["data"],
            each["occurred_at"],
        )
        for each in stored
    ]


async def read_log(address: str) -> list[Row]:
    """All rows of one small log, through a read-only role; ``reading.pages`` for a large one."""
    connection = await asyncpg.connect(address, timeout=10)
    try:
        stored = await connection.fetch(
            "SELECT position, event_id, era, stream, version, type, data::text AS data, occurred_at"
            " FROM platform.events ORDER BY position",
        )
    finally:
        await connection.close()
    return rows_of(stored)
