"""Reads of people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.registration.people.projection import PERSON
from shared.eventstore.database import Database
from shared.security.vault import PersonalIdentity, Vault


class PeopleQueries:
    """GET /people."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def person(self, person_id: str) -> dict[str, Any] | None:
        """A person without name, number or phone; None when unknown."""
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(PERSON).where(PERSON.c.person_id == person_id))
        return dict(rows[0]._mapping) if rows else None

    async def division(self, person_id: str) -> str | None:
        """The person's village; None when unknown."""
        found = await self.person(person_id)
        return None if found is None else str(found["division"])

    async def identity(self, person_id: str) -> PersonalIdentity | None:
        """Name, number and phone, decrypted: only for scope registration:identity:read."""
        async with self._database.read() as connection:
            return (await self._vault.identities(connection, [person_id])).get(person_id)
