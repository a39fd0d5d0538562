"""Baseline: FastStream, one message and one transaction at a time, into a log and one read model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import asyncpg
from faststream.kafka import KafkaBroker, TestKafkaBroker
from pydantic import BaseModel

SCHEMA = """
CREATE TABLE IF NOT EXISTS note (id text PRIMARY KEY, subject text NOT NULL, payload json NOT NULL);
CREATE TABLE IF NOT EXISTS note_count (subject text PRIMARY KEY, notes bigint NOT NULL);
"""


class NoteMessage(BaseModel):
    """A CloudEvent as its handler sees it."""

    id: str
    subject: str
    data: dict[str, object]


async def consumed(url: str, messages: Sequence[bytes]) -> float:
    """Messages per second, by FastStream's in-process broker: no network, so rather too fast than too slow."""
    pool = await asyncpg.create_pool(url, min_size=1, max_size=2)
    broker = KafkaBroker()

    @broker.subscriber("notes")
    async def take(message: NoteMessage) -> None:
        async with pool.acquire() as connection, connection.transaction():
            taken = await connection.fetchval(
                "INSERT INTO note VALUES ($1, $2, $3::json) ON CONFLICT DO NOTHING RETURNING id",
                message.id, message.subject, message.model_dump_json(),
            )  # fmt: skip
            if taken is not None:
                await connection.execute(
                    "INSERT INTO note_count VALUES ($1, 1) ON CONFLICT (subject) "
                    "DO UPDATE SET notes = note_count.notes + 1",
                    message.subject,
                )

    try:
        await pool.execute(SCHEMA)
        async with TestKafkaBroker(broker):
            started = time.perf_counter()
            for message in messages:
                await broker.publish(message, "notes", headers={"content-type": "application/json"})
            seconds = time.perf_counter() - started
        kept = await pool.fetchval("SELECT sum(notes) FROM note_count")
    finally:
        await pool.close()
    if kept < len(messages):
        raise RuntimeError("the baseline lost messages")
    return len(messages) / seconds
