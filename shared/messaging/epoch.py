"""Start-up check of a log's epoch, and raising it.

A database that was restored draws log positions a second time. Consumers would take the new facts for
repeats and drop them. PostgreSQL tells that it was restored: its timeline, its system identifier or the
database's own number is another. So a service refuses to start when that changed and nobody raised the epoch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from shared.eventstore.database import Connection, Database
from shared.eventstore.log import Log
from shared.eventstore.tables import log_epochs, log_identity
from shared.kernel.clock import Clock
from shared.messaging.address import MAIN, LogIdentity

Timeline = Callable[[Connection], Awaitable[str]]


class EpochNotRaisedError(Exception):
    """The database is not the one this log was written in. See the runbook, then ``raise_epoch``."""

    def __init__(self, before: str, now: str) -> None:
        super().__init__(f"the database's timeline changed from {before} to {now} and the epoch did not rise")


class UnknownLogError(Exception):
    """There is no log of this name here."""


async def postgres_timeline(connection: Connection) -> str:
    """``system identifier/WAL timeline/database oid``.

    A point-in-time recovery or promotion changes the second, a restored dump the third, another cluster the
    first. (The control file's timeline lags behind a promotion until the next checkpoint.)
    """
    rows = await connection.execute(
        sa.text(
            "SELECT (SELECT system_identifier FROM pg_control_system())"
            " || '/' || ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
            " || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )
    return str(rows[0][0])


async def memory_timeline(_connection: Connection) -> str:
    """A database in memory is never restored."""
    return "memory"


async def open_identity(
    database: Database, service: str, *, log: str = MAIN, timeline: Timeline = postgres_timeline
) -> LogIdentity:
    """Who this log is. The first start writes it down. Raises EpochNotRaisedError."""
    async with database.begin() as connection:
        now = await timeline(connection)
        await connection.upsert(log_identity, [{"log": log, "epoch": 1, "timeline": now}], ignore=True)
        rows = await connection.execute(sa.select(log_identity).where(log_identity.c.log == log))
        if rows[0].timeline != now:
            raise EpochNotRaisedError(rows[0].timeline, now)
        epochs = await connection.execute(
            sa.select(log_epochs.c.epoch, log_epochs.c.started_after)
            .where(log_epochs.c.log == log)
            .order_by(log_epochs.c.epoch)
        )
    started_after = tuple(int(row.started_after) for row in epochs)
    if rows[0].epoch != len(started_after) + 1:
        raise UnknownLogError(f"the epochs of {log} are not complete")
    return LogIdentity(service, log, started_after)


async def raise_epoch(
    log: Log, clock: Clock, *, name: str = MAIN, timeline: Timeline = postgres_timeline
) -> int:
    """Begin a new epoch at the log's head; answers it. With the service stopped, after a restore.

    What lies in the log keeps its address; what is appended from now on has the new epoch. Raising once too
    often is harmless. Raises UnknownLogError for a log that never started.
    """
    head = await log.head()
    async with log.database.begin() as connection:
        now = await timeline(connection)
        rows = await connection.execute(
            sa.update(log_identity)
            .where(log_identity.c.log == name)
            .values(epoch=log_identity.c.epoch + 1, timeline=now)
            .returning(log_identity.c.epoch)
        )
        if not rows:
            raise UnknownLogError(name)
        epoch = int(rows[0].epoch)
        await connection.execute(
            sa.insert(log_epochs),
            [{"log": name, "epoch": epoch, "started_after": head, "raised_at": clock.now()}],
        )
    return epoch
