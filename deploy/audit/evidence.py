"""What an audit looks at: every row of the four logs, and the outside world's books."""

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


@dataclass(frozen=True, slots=True)
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
    def day(self) -> dt.date:
        """Local business date."""
        return self.occurred_at.astimezone(SHANGHAI).date()


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
    """``GET /books`` of the outside world."""

    rows: tuple[Takings, ...] = ()
    deposits: tuple[BankDeposit, ...] = ()
    treasury: tuple[TreasuryEntry, ...] = ()
    refunds: tuple[RefundPaid, ...] = ()


@dataclass
class Evidence:
    """The logs by service, in position order, and the books. since: rows before it are context only."""

    logs: Mapping[str, Sequence[Row]]
    books: Books = field(default_factory=Books)
    packs: Mapping[str, Pack] = field(default_factory=load_packs)
    since: int = 0
    _by_type: dict[tuple[str, str], list[Row]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for service, rows in self.logs.items():
            for row in rows:
                self._by_type.setdefault((service, row.type), []).append(row)

    def of(self, service: str, *types: str) -> Iterator[Row]:
        """A service's own events of the types, in position order."""
        if len(types) == 1:
            yield from self._by_type.get((service, types[0]), ())
            return
        found = [row for name in types for row in self._by_type.get((service, name), ())]
        yield from sorted(found, key=lambda row: row.position)

    def registration(self, *types: str) -> Iterator[Row]:
        """Events of registration."""
        return self.of("registration", *types)

    def collection(self, *types: str) -> Iterator[Row]:
        """Events of collection."""
        return self.of("collection", *types)

    def subsidy(self, *types: str) -> Iterator[Row]:
        """Events of subsidy."""
        return self.of("subsidy", *types)

    def notification(self, *types: str) -> Iterator[Row]:
        """Events of notification."""
        return self.of("notification", *types)

    def campaign_packs(self) -> dict[str, Pack]:
        """The pack of each opened campaign, by campaign id."""
        return {
            row.data["campaign"]: self.packs[row.data["pack_id"]]
            for row in self.collection("CampaignOpened")
            if row.data["pack_id"] in self.packs
        }

    def pack_of_year(self, year: int) -> Pack | None:
        """The pack of the one opened campaign of a year."""
        return next((pack for pack in self.campaign_packs().values() if pack.insured_year == year), None)


def day_of(text: str) -> dt.date:
    """A stored date, or the local date of a stored moment."""
    if len(text) == 10:
        return dt.date.fromisoformat(text)
    return moment_of(text).date()


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
    """All rows of one log, through a read-only role."""
    connection = await asyncpg.connect(address, timeout=10)
    try:
        stored = await connection.fetch(
            "SELECT position, event_id, era, stream, version, type, data::text AS data, occurred_at"
            " FROM platform.events ORDER BY position",
        )
    finally:
        await connection.close()
    return rows_of(stored)
