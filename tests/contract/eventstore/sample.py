"""A small ledger to exercise the store: purses that take payments, receipts used once, notes about payments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.eventstore.columns import Moment
from shared.eventstore.commands import Accepted, Append, Command, Guard, IdempotencyKey, Loaded, RowWrite
from shared.eventstore.database import Connection, Database
from shared.eventstore.log import Log
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.eventstore.types import EventTypes
from shared.kernel.clock import Runtime, SimulatedClock
from shared.kernel.errors import Refusal
from shared.kernel.events import Event


class Paid(Event, frozen=True):
    """Money came into a purse."""

    fen: int
    label: str = ""


class Noted(Event, frozen=True):
    """A reaction noted a payment."""

    fen: int


class Announced(msgspec.Struct, frozen=True):
    """A fact of another service."""

    text: str

    @classmethod
    def type_name(cls) -> str:
        return "liangxian.sample.announced.v1"


TYPES = EventTypes([Paid, Noted], [Announced])
PURSE: Category[int] = Category("purse", 0, lambda fen, event: fen + event.fen)
NOTE: Category[int] = Category("note", 0, lambda fen, event: fen + event.fen)
FULL = Refusal(code="PURSE_FULL")
TAKEN = Refusal(code="RECEIPT_USED", rule="I-19")
METADATA = Metadata("correlation-1", causation="request-1", campaign="370406-2020", extra={"pack": "1"})

metadata = sa.MetaData()
totals = sa.Table(
    "totals",
    metadata,
    sa.Column("purse", sa.Text, primary_key=True),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("payments", sa.BigInteger, nullable=False),
    sa.Column("first_label", sa.Text, nullable=False),
    sa.Column("last_label", sa.Text, nullable=False),
    sa.Index("totals_by_fen", "fen"),
)
mixed = sa.Table(
    "mixed",
    metadata,
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("on_day", sa.Date),
    sa.Column("at", Moment),
    sa.Column("flag", sa.Boolean),
    sa.Column("blob", sa.LargeBinary),
    sa.Column("document", sa.JSON),
    sa.Column("number", sa.BigInteger, sa.CheckConstraint("number < 1000", name="small")),
)


@dataclass
class Parts:
    """One service's store, on either database."""

    store: Any
    log: Log
    database: Any
    clock: SimulatedClock
    runtime: Runtime


def key(text: str, digest: bytes = b"digest") -> IdempotencyKey:
    """An idempotency key of the bank."""
    return IdempotencyKey("bank", "pay", text, digest)


def pay(
    purse: str,
    fen: int = 100,
    *,
    limit: int | None = None,
    idempotency: IdempotencyKey | None = None,
    receipt: str | None = None,
    row: Mapping[str, Any] | None = None,
    label: str = "",
    occurred_at: dt.datetime | None = None,
) -> Command:
    """Pay into a purse; refused when it would hold more than ``limit``. Answers what it held before."""
    stream = PURSE.stream(purse, era=2020)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        before = loaded.state(stream)
        if limit is not None and before + fen > limit:
            return FULL
        return Accepted(
            [Append(stream, [Paid(fen=fen, label=label)])],
            guards=[Guard("receipt", receipt, purse, TAKEN)] if receipt is not None else (),
            rows=[RowWrite(mixed, row)] if row is not None else (),
            response={"before": before},
        )

    return Command("pay", [stream], decide, METADATA, key=idempotency, occurred_at=occurred_at)


def mixed_row(name: str, number: int = 1) -> dict[str, Any]:
    """A row of ``mixed``; 1,000 and more break its check constraint."""
    return {
        "id": name,
        "on_day": dt.date(2020, 2, 29),
        "at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        "flag": True,
        "blob": b"\x00\xff",
        "document": {"b": [1, None], "a": "中"},
        "number": number,
    }


class Totals:
    """Read model of purses."""

    name = "totals"
    tables = (totals,)
    handles = (Paid,)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await connection.upsert(
            totals,
            [
                {
                    "purse": item.stream,
                    "fen": item.event.fen,
                    "payments": 1,
                    "first_label": item.event.label,
                    "last_label": item.event.label,
                }
                for item in events
            ],
            add=("fen", "payments"),
            keep=("first_label",),
        )


class Notes:
    """Notes every payment. 13 raises, 14 waits, 15 gives a command that raises, 16 a refused one, 17 spoils
    its transaction; 1,000 fen and more fan out into one note per fen."""

    name = "notes"
    handles: tuple[type[msgspec.Struct], ...] = (Paid,)

    def __init__(self) -> None:
        self.broken = True
        self.arrived = False

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        fen = recorded.event.fen
        if fen == 13 and self.broken:
            raise LookupError("what it says must never be stored")
        if fen == 17:
            await connection.execute(sa.text("SELECT * FROM nowhere"))
        if fen == 14 and not self.arrived:
            return Wait("PERSON_UNKNOWN", days=3)
        if fen >= 1000:
            return [note(recorded, 1, target=str(number)) for number in range(fen)]
        return [note(recorded, fen, raises=fen == 15 and self.broken, refuses=fen == 16)]

    def key(self, recorded: Recorded[Any]) -> str:
        return recorded.stream


class AnsweredNotes(Notes):
    """The same, but a refusal is answered by noting one fen."""

    def on_refusal(self, recorded: Recorded[Any], command: Command, refusal: Refusal) -> Command | None:
        assert refusal == FULL
        assert command.operation == "note"
        return note(recorded, 1, target="refused")


def note(
    recorded: Recorded[Any], fen: int, *, target: str = "", raises: bool = False, refuses: bool = False
) -> Command:
    """Note a payment beside its purse."""
    stream = NOTE.stream(recorded.stream)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        loaded.state(stream)
        if raises:
            raise ArithmeticError("bad command")
        if refuses:
            return FULL
        return Accepted([Append(stream, [Noted(fen=fen)])])

    return Command("note", [stream], decide, METADATA, key=derived_key(recorded, "note", target))


class KnownPurses:
    """A fact source that counts how often it is asked."""

    name = "known_purses"

    def __init__(self) -> None:
        self.asked: list[list[Hashable]] = []

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        self.asked.append(list(keys))
        rows = await connection.execute(
            sa.select(totals.c.purse, totals.c.fen).where(totals.c.purse.in_(keys))
        )
        return {row.purse: row.fen for row in rows}


async def notes_in(log: Log, purse: str) -> list[int]:
    """What was noted about a purse, in order."""
    return [item.event.fen for item in await log.read_stream(f"note:purse:{purse}")]


async def all_rows(database: Database, table: sa.Table) -> list[dict[str, Any]]:
    """Rows of a table by primary key."""
    async with database.read() as connection:
        rows = await connection.execute(sa.select(table).order_by(*table.primary_key.columns))
    return [dict(row._mapping) for row in rows]
