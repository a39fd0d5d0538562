"""What an operator does to a service that is stopped: raise its epoch, set where its consumer goes on.

Straight on the database, as the owner of the schema: a service refuses to start until its epoch is right.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deploy.local.layout import Layout
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.types import EventTypes
from shared.kernel.clock import WallClock
from shared.messaging.broker import Partition
from shared.messaging.epoch import raise_epoch
from shared.messaging.fence import reset_offset


@asynccontextmanager
async def _database(data: Path, service: str, name: str = "") -> AsyncIterator[PostgresDatabase]:
    address = urlsplit(json.loads(Layout(data).databases.read_text(encoding="ascii"))[service]["migrate"])
    if name:
        address = address._replace(path=f"/{name}")
    database = PostgresDatabase(urlunsplit(address), application="liangxian-maintenance")
    try:
        yield database
    finally:
        await database.close()


async def begin_epoch(data: Path, service: str, name: str = "") -> int:
    """Begin a new epoch of a restored log; answers it. Raises UnknownLogError for a log that never started.

    name: of its database, while that has not its own yet.
    """
    async with _database(data, service, name) as database:
        return await raise_epoch(PostgresLog(database, EventTypes(())), WallClock())


async def go_on_at(data: Path, service: str, topic: str, part: int, offset: int) -> None:
    """Set the next offset of a service's consumer, after the broker lost data and was sent it again."""
    async with _database(data, service) as database, database.begin() as connection:
        await reset_offset(connection, service, Partition(topic, part), offset)
