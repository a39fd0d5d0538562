"""A service's database brought up to date at start: the log's line, the edge's line, the read models (Alembic).

An Alembic ``env.py`` of a service is two lines: ``from alembic import context`` and
``from shared.web.migrating import upgrade_in`` with ``upgrade_in(context)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from shared.eventstore.migrate import migrate, migrations_in
from shared.observability.logging import logger
from shared.web.service import ServiceDefinition

READ_MODELS_LOCK = 7205759403792793602
LOCK_TIMEOUT = "5s"

log = logger(__name__)


async def migrate_service(definition: ServiceDefinition, migrate_url: str, service_url: str) -> None:
    """Bring everything of a service up to date; several processes may start at once.

    migrate_url: of the owner of the schema; the role of ``service_url`` is given its rights.
    """
    role = make_url(service_url).username
    owner = make_url(migrate_url).username
    service_role = role if role != owner else None
    await migrate(migrate_url, service_role=service_role)
    await migrate(
        migrate_url,
        service_role=service_role,
        line="web",
        migrations=migrations_in(resources.files("shared.web.migrations")),
    )
    await migrate_read_models(definition, migrate_url)


async def migrate_read_models(definition: ServiceDefinition, migrate_url: str) -> None:
    """Alembic's upgrade to head, on one connection under a lock of its own."""
    versions = versions_of(definition.migrations)
    engine = create_async_engine(
        make_url(migrate_url).set(drivername="postgresql+asyncpg"),
        hide_parameters=True,
        connect_args={"server_settings": {"lock_timeout": LOCK_TIMEOUT}},
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            await connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({READ_MODELS_LOCK})"))
            await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            if versions is None:
                await connection.run_sync(_create_all, definition.metadata)
            else:
                await connection.run_sync(_upgrade, versions)
    finally:
        await engine.dispose()
    log.info("read_models_migrated", by="metadata" if versions is None else "alembic")


def versions_of(package: str) -> Path | None:
    """The Alembic folder of a service; None while it has no ``env.py``: then the tables are made from its
    metadata."""
    if not package:
        return None
    try:
        folder: Traversable = resources.files(package)
    except ModuleNotFoundError:
        return None
    path = Path(str(folder))
    return path if (path / "env.py").is_file() else None


def _create_all(connection: sa.Connection, metadata: Sequence[sa.MetaData]) -> None:
    for one in metadata:
        one.create_all(connection)


def _upgrade(connection: sa.Connection, folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade_in(context: Any) -> None:
    """Body of every ``env.py``: run the versions on the connection handed over by ``migrate_read_models``."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, transactional_ddl=True, version_table="read_model_version")
    with context.begin_transaction():
        context.run_migrations()
