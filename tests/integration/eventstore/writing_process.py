"""One of two writing processes: python -m tests.integration.eventstore.writing_process URL NAME COUNT."""

from __future__ import annotations

import asyncio
import sys

from shared.eventstore.commands import Done
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from tests.contract.eventstore.sample import TYPES, key, pay


async def main(url: str, name: str, count: int) -> None:
    """Append ``count`` events to streams of our own and 100 to a common one, until each is accepted."""
    database = PostgresDatabase(url)
    store = Writer(log=PostgresLog(database, TYPES), clock=WallClock(), runtime=SystemRuntime(), types=TYPES)
    await store.start()

    async def until_accepted(purse: str, number: int) -> None:
        while not isinstance(
            await store.execute(pay(purse, 1, idempotency=key(f"{name}-{purse}-{number}"))), Done
        ):
            pass

    await asyncio.gather(
        *[until_accepted(f"{name}-{n % 40}", n) for n in range(count)],
        *[until_accepted("common", n) for n in range(100)],
    )
    await store.stop()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
