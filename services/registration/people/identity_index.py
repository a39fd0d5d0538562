"""Blind index to person (盲索引): the only way from a number to a person.

Written with the registering events in their transaction. It is neither event data nor a read model: a
re-keying rewrites it, the log stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from shared.eventstore.commands import RowWrite
from shared.eventstore.database import Connection
from shared.security.vault import Vault

metadata = sa.MetaData()

IDENTITY_INDEX = sa.Table(
    "identity_index",
    metadata,
    sa.Column("blind_index", sa.Text, primary_key=True, comment="kid:hmac of the number"),
    sa.Column("person_id", sa.Text, nullable=False),
)


def index_row(blind_index: str, person_id: str) -> RowWrite:
    """The row that makes a number findable."""
    return RowWrite(IDENTITY_INDEX, {"blind_index": blind_index, "person_id": person_id})


async def find_people(connection: Connection, vault: Vault, numbers: Sequence[str]) -> dict[str, str]:
    """Person id per known number, under every index key still held."""
    wanted = {index: number for number in numbers for index in vault.blind_indexes(number)}
    if not wanted:
        return {}
    rows = await connection.execute(
        sa.select(IDENTITY_INDEX).where(IDENTITY_INDEX.c.blind_index.in_(sorted(wanted)))
    )
    return {wanted[row.blind_index]: row.person_id for row in rows}
