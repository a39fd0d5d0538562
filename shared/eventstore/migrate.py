"""Forward-only migrations of schema ``platform``, and what the service's role may do in it.

The migrating role owns the tables and the append functions; the service's role may read the log but append
only through the functions (``SECURITY DEFINER``): INSERT on ``events`` is not granted to anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import asyncpg

LOCK = 7205759403792793601
LOCK_TIMEOUT = "5s"

READ_ONLY = ("events", "idempotency", "guards", "migrations")
"""What only the append functions and the migrations write."""

SCHEMA_SQL = """
CREATE SCHEMA IF NOT EXISTS platform;
CREATE SCHEMA IF NOT EXISTS shadow;
CREATE TABLE IF NOT EXISTS platform.migrations (
    line text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (line, name)
);
"""

GRANTS_SQL = """
REVOKE ALL ON SCHEMA platform FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA platform FROM PUBLIC;
GRANT USAGE ON SCHEMA platform TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA platform TO {role};
REVOKE INSERT, UPDATE, DELETE ON {read_only} FROM {role};
GRANT EXECUTE ON FUNCTION platform.append_events, platform.append_received TO {role};
GRANT USAGE, CREATE ON SCHEMA shadow TO {role};
GRANT USAGE, CREATE ON SCHEMA public TO {role};
"""

READER_SQL = """
GRANT USAGE ON SCHEMA platform, public TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA platform TO {role};
REVOKE SELECT ON platform.private FROM {role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
"""


class Migration(NamedTuple):
    """One file of a line, applied once, never edited afterwards."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Digest of the file: an edited one is found out."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class EditedMigrationError(Exception):
    """A migration that was applied here has another text now. Add a new one instead."""


class UnknownMigrationError(Exception):
    """The database was migrated by a newer program."""


def migrations_in(directory: Traversable) -> list[Migration]:
    """The ``*.sql`` files of a package directory, by name."""
    files = sorted((item for item in directory.iterdir() if item.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(file.name, file.read_text(encoding="utf-8")) for file in files]


def platform_migrations() -> list[Migration]:
    """The line of this package."""
    return migrations_in(resources.files("shared.eventstore.migrations"))


async def migrate(
    dsn: str,
    *,
    service_role: str | None = None,
    reader_role: str | None = None,
    line: str = "platform",
    migrations: Iterable[Migration] | None = None,
) -> list[str]:
    """Bring a database up to date; answers the names applied now. Concurrent callers wait for one another.

    service_role, reader_role: existing roles that are given their rights (again, each time). line: the
    history under which the migrations are kept; services may keep lines of their own.
    Raises EditedMigrationError, UnknownMigrationError.
    """
    wanted = list(migrations) if migrations is not None else platform_migrations()
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"lock_timeout": LOCK_TIMEOUT})
    try:
        await connection.execute("SET lock_timeout = 0")
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        await connection.execute(SCHEMA_SQL)
        applied = await _apply(connection, line, wanted)
        for role, sql in ((service_role, GRANTS_SQL), (reader_role, READER_SQL)):
            if role is not None:
                await connection.execute(_for_role(sql, role))
    finally:
        await connection.close()
    return applied


async def _apply(connection: asyncpg.Connection[Any], line: str, wanted: list[Migration]) -> list[str]:
    done = {
        row["name"]: row["sha256"]
        for row in await connection.fetch(
            "SELECT name, sha256 FROM platform.migrations WHERE line = $1", line
        )
    }
    unknown = done.keys() - {migration.name for migration in wanted}
    if unknown:
        raise UnknownMigrationError(", ".join(sorted(unknown)))
    applied = []
    for migration in wanted:
        known = done.get(migration.name)
        if known is None:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO platform.migrations (line, name, sha256) VALUES ($1, $2, $3)",
                    line,
                    migration.name,
                    migration.sha256,
                )
            applied.append(migration.name)
        elif known != migration.sha256:
            raise EditedMigrationError(migration.name)
    return applied


def _for_role(sql: str, role: str) -> str:
    quoted = '"' + role.replace('"', '""') + '"'
    tables = ", ".join(f"platform.{name}" for name in READ_ONLY)
    return sql.format(role=quoted, read_only=tables)
