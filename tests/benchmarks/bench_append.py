"""One command decided and durable, beside what a plain ORM service would do; medians of three interleaved rounds.

Baseline: SQLAlchemy ORM, one business row and one outbox row, a commit per command, pool 20. Ours: a stream
loaded, decided, an idempotency row and an event row, batched by the one writer. Both on the same PostgreSQL with
fsync on, 64 callers, no HTTP. `make bench` prints the table; the ratio must not fall below the floor.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import time
from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.types import EventTypes
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from shared.kernel.errors import Refusal
from shared.kernel.events import Event

CALLERS = 64
ROUNDS = 3
OURS = 12_000
THEIRS = 1_500
FLOOR = 8.0
"""Ours / ORM, commands per second. Trials reached 20; the floor leaves room for a busy machine."""


class Paid(Event, frozen=True, kw_only=True):
    """A payment as small as a real one."""

    person_id: str
    fen: int
    paid_on: dt.date


class Base(DeclarativeBase):
    """ORM tables of the baseline."""


class PaymentRow(Base):
    """The business row."""

    __tablename__ = "orm_payment"
    order_no: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str]
    fen: Mapped[int]


class OutboxRow(Base):
    """The row a relay would publish."""

    __tablename__ = "orm_outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    payload: Mapped[str]


STREAM: Category[int] = Category("obligation", 0, lambda state, event: state + event.fen)


async def rate(count: int, one: Callable[[int], Awaitable[object]]) -> float:
    """Commands per second with CALLERS callers in a closed loop."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await one(number)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.perf_counter() - started)


async def test_durable_commands_per_second(database_url: str) -> None:
    await migrate(database_url)
    engine = create_async_engine(
        make_url(database_url).set(drivername="postgresql+asyncpg"), pool_size=20, max_overflow=0
    )
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, class_=AsyncSession)
    database = PostgresDatabase(database_url)
    types = EventTypes([Paid])
    writer = Writer(log=PostgresLog(database, types), clock=WallClock(), runtime=SystemRuntime(), types=types)
    await writer.start()
    taken = {"ours": 0, "theirs": 0}

    async def theirs(number: int) -> None:
        key = f"{taken['theirs']}-{number}"
        async with sessions() as session:
            session.add(PaymentRow(order_no=key, person_id="p" * 32, fen=26_000))
            session.add(OutboxRow(payload=f'{{"order_no": "{key}", "fen": 26000}}'))
            await session.commit()

    async def ours(number: int) -> None:
        key = f"{taken['ours']}-{number}"
        stream = STREAM.stream(2020, "medical", key, era=2020)
        event = Paid(person_id="p" * 32, fen=26_000, paid_on=dt.date(2019, 11, 2))

        def decide(loaded: Loaded) -> Accepted | Refusal:
            if loaded.state(stream):
                return Refusal("ALREADY_PAID")
            return Accepted((Append(stream, [event]),), response={"status": "PAID"})

        idempotency = IdempotencyKey("bench", "pay", key, key.encode())
        outcome = await writer.execute(Command("pay", (stream,), decide, Metadata(key), idempotency))
        assert not isinstance(outcome, Refusal)

    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    try:
        for round_no in range(ROUNDS):
            taken.update(ours=round_no, theirs=round_no)
            rates["theirs"].append(await rate(THEIRS, theirs))
            rates["ours"].append(await rate(OURS, ours))
    finally:
        await writer.stop()
        await database.close()
        async with engine.connect() as connection:
            stored = await connection.scalar(sa.text("SELECT count(*) FROM platform.events"))
        await engine.dispose()
    assert stored == OURS * ROUNDS
    mine, orm = statistics.median(rates["ours"]), statistics.median(rates["theirs"])
    print("\n| durable commands/s, 64 callers | median | lowest | highest |\n|---|---|---|---|")
    for name in ("theirs", "ours"):
        label = "ORM, commit each" if name == "theirs" else "event store"
        values = rates[name]
        print(f"| {label} | {statistics.median(values):,.0f} | {min(values):,.0f} | {max(values):,.0f} |")
    print(f"| ratio | {mine / orm:.1f} | | |")
    assert mine / orm >= FLOOR
