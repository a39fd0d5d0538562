"""Read model of cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.notification.supervision import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

case_table = sa.Table(
    "audit_case",
    metadata,
    sa.Column("case_id", sa.String(160), primary_key=True),
    sa.Column("subject", sa.String(120), nullable=False),
    sa.Column("rule", sa.String(40), nullable=False),
    sa.Column("campaign", sa.String(20), nullable=False),
    sa.Column("village", sa.String(12), nullable=False),
    sa.Column("hits", sa.Integer, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("finding", sa.Text, nullable=False),
    sa.Index("audit_case_by_state", "campaign", "state"),
)


class CaseProjection:
    """Cases and their hits."""

    name = "cases"
    tables: Sequence[sa.Table] = (case_table,)
    handles: tuple[type[msgspec.Struct], ...] = e.EVENTS

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Row by row: cases are few."""
        for recorded in events:
            event = recorded.event
            match event:
                case e.Flagged():
                    await connection.upsert(
                        case_table, [_hit(event)], add=("hits", "fen"), keep=("state", "finding")
                    )
                case e.AuditCaseClosed():
                    await connection.execute(
                        sa.update(case_table)
                        .where(case_table.c.case_id == event.case_id)
                        .values(state="CLOSED", finding=event.finding)
                    )


def _hit(event: e.Flagged) -> dict[str, Any]:
    return {
        "case_id": event.case_id,
        "subject": event.subject,
        "rule": event.rule,
        "campaign": event.campaign,
        "village": event.village,
        "hits": 1,
        "fen": event.fen,
        "state": "OPEN",
        "finding": "",
    }
