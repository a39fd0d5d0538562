"""Databases and roles of a PostgreSQL server, and a server someone else runs."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local.processes import Running, StartFailed, until

MAINTENANCE = "postgres"
OLDEST_SERVER = 150000


def quoted(identifier: str) -> str:
    """An SQL identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal (standard_conforming_strings)."""
    return "'" + text.replace("'", "''") + "'"


class Databases:
    """Databases and roles of a server, by SQL over its maintenance database."""

    def __init__(self, address: str) -> None:
        """``address`` is a superuser's ``postgresql://`` URL; its path is replaced per database."""
        self._address = urlsplit(address)

    def url(self, database: str, *, role: str | None = None, password: str = "") -> str:
        location = self._address.netloc
        if role is not None:
            secret = f":{quote(password, safe='')}" if password else ""
            location = f"{quote(role, safe='')}{secret}@{location.rpartition('@')[2]}"
        return urlunsplit(self._address._replace(netloc=location, path=f"/{quote(database, safe='')}"))

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url(MAINTENANCE), timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def version(self) -> int:
        """``server_version_num``, e.g. 180004."""
        connection = await asyncpg.connect(self.url(MAINTENANCE), timeout=10)
        try:
            return int(await connection.fetchval("SHOW server_version_num"))
        finally:
            await connection.close()

    async def answers(self) -> bool:
        try:
            await self.version()
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ):
            return False
        return True

    async def create(self, name: str, template: str | None, owner: str | None) -> bool:
        wanted = f"CREATE DATABASE {quoted(name)}"
        if template is not None:
            wanted += f" TEMPLATE {quoted(template)}"
        if owner is not None:
            wanted += f" OWNER {quoted(owner)}"
        try:
            await self.execute(wanted)
        except asyncpg.DuplicateDatabaseError:
            return False
        return True

    async def drop(self, name: str) -> None:
        await self.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")

    async def role(self, name: str, password: str) -> None:
        """Make a login role, or give the one that is there this password.

        Looked up first: a failing ``CREATE ROLE`` would put the statement, password and all, into the
        server's log.
        """
        options = f"LOGIN PASSWORD {literal(password)}"
        connection = await asyncpg.connect(self.url(MAINTENANCE), timeout=10)
        try:
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name)
            await connection.execute(f"{'ALTER' if known else 'CREATE'} ROLE {quoted(name)} {options}")
        finally:
            await connection.close()


class ExternalPostgres:
    """A server someone else runs; we make databases and roles in it and nothing else."""

    def __init__(self, address: str) -> None:
        self._databases = Databases(address)

    async def start(self) -> None:
        if not await until(self._databases.answers, seconds=15, every=0.25):
            raise StartFailed("the server of LIANGXIAN_POSTGRES_URL does not answer")
        version = await self._databases.version()
        if version < OLDEST_SERVER:
            raise StartFailed(
                f"LIANGXIAN_POSTGRES_URL: PostgreSQL 15 or newer is needed, not {version // 10000}"
            )

    async def stop(self) -> None:
        return None

    def running(self) -> Running | None:
        return None

    def url(self, database: str = MAINTENANCE, *, role: str | None = None, password: str = "") -> str:
        return self._databases.url(database, role=role, password=password)

    async def create_database(
        self, name: str, *, template: str | None = None, owner: str | None = None
    ) -> bool:
        return await self._databases.create(name, template, owner)

    async def drop_database(self, name: str) -> None:
        await self._databases.drop(name)

    async def create_role(self, name: str, password: str) -> None:
        await self._databases.role(name, password)
