"""Read model of people: what may be shown without opening the vault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.people import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

PERSON = sa.Table(
    "person",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("birth", sa.Date, nullable=False),
    sa.Column("sex", sa.Text, nullable=False),
    sa.Column("division", sa.Text, nullable=False, index=True),
    sa.Column("hukou_division", sa.Text, nullable=False),
    sa.Column("residence_permit", sa.Boolean, nullable=False),
    sa.Column("student", sa.Boolean, nullable=False),
    sa.Column("household", sa.Text, nullable=False),
    sa.Column("identified", sa.Boolean, nullable=False),
    sa.Column("merged_into", sa.Text, nullable=False, server_default=""),
)


class PeopleProjection:
    """人员."""

    name = "people"
    tables: Sequence[sa.Table] = (PERSON,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.PersonRegistered,
        e.PersonIdentityChanged,
        e.PersonIdentityMerged,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Upsert in order; a merge marks the merged person."""
        rows: list[dict[str, Any]] = []
        for recorded in events:
            event = recorded.event
            if isinstance(event, e.PersonIdentityMerged):
                await connection.upsert(PERSON, rows)
                rows = []
                await connection.execute(
                    sa.update(PERSON)
                    .where(PERSON.c.person_id == event.person_id)
                    .values(merged_into=event.survivor_id)
                )
                continue
            rows.append(
                {
                    "person_id": event.person_id,
                    "birth": event.birth,
                    "sex": event.sex.value,
                    "division": event.division,
                    "hukou_division": event.hukou_division,
                    "residence_permit": event.residence_permit,
                    "student": event.student,
                    "household": event.household,
                    "identified": event.identified,
                    "merged_into": "",
                }
            )
        await connection.upsert(PERSON, rows, keep=("merged_into",))
