"""Migrations of the read models: what they make is what the code declares, and no version was skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.layout import SERVICES
from deploy.local.revise import definition_of, difference, folder_of
from shared.web.migrating import migrate_service


@pytest.mark.parametrize("service", SERVICES)
async def test_migrated_tables_equal_the_declared_ones(service: str, database_url: str) -> None:
    definition = definition_of(service)
    await migrate_service(definition, database_url, database_url)
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            script = await connection.run_sync(difference, definition)
    finally:
        await engine.dispose()
    assert [operation.to_diff_tuple() for operation in script.upgrade_ops.ops] == []


@pytest.mark.parametrize("service", SERVICES)
def test_versions_are_numbered_without_gaps(service: str) -> None:
    versions = sorted(Path(folder_of(service) / "versions").glob("[0-9]*.py"))
    assert [int(path.stem.partition("_")[0]) for path in versions] == list(range(1, len(versions) + 1))
    assert versions, "a service ships its migrations"
