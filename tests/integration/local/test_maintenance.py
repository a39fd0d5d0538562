"""Raising an epoch and resetting an offset on a stopped service's database."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import pytest

from deploy.local.layout import Layout
from deploy.local.maintenance import begin_epoch, go_on_at
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.messaging.address import LogIdentity
from shared.messaging.epoch import UnknownLogError, open_identity

pytestmark = pytest.mark.postgres


@pytest.fixture
async def data(tmp_path: Path, database_url: str) -> Path:
    """A data directory that names one migrated database."""
    await migrate(database_url)
    layout = Layout(tmp_path)
    layout.databases.write_text(json.dumps({"collection": {"migrate": database_url}}), encoding="ascii")
    return tmp_path


async def opened(database_url: str) -> LogIdentity:
    """The identity a starting service takes."""
    database = PostgresDatabase(database_url)
    try:
        return await open_identity(database, "collection")
    finally:
        await database.close()


async def test_a_restored_log_begins_a_new_epoch(data: Path, database_url: str) -> None:
    """architecture §4: a restore raises the epoch, else positions are drawn twice."""
    before = await opened(database_url)
    assert await begin_epoch(data, "collection") == before.epoch + 1
    assert (await opened(database_url)).epoch == before.epoch + 1


async def test_a_log_that_never_started_has_no_epoch_to_raise(data: Path) -> None:
    with pytest.raises(UnknownLogError):
        await begin_epoch(data, "collection")


async def test_a_consumer_goes_on_where_it_is_told(data: Path, database_url: str) -> None:
    for offset in (0, 17):
        await go_on_at(data, "collection", "registration.enrolment.v1", 3, offset)
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT grp, topic, part, next_offset, owner FROM platform.offsets")
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [("collection", "registration.enrolment.v1", 3, 17, None)]
