"""The read model of fiscal subsidies: how far each money has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.subsidy.fiscal import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()


def _fen(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


subsidy_table = sa.Table(
    "fiscal_subsidy",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("kind", sa.String(24), primary_key=True),
    _fen("heads"),
    _fen("claimed_fen"),
    _fen("appropriated_fen"),
    _fen("arrived_fen"),
    sa.Column("claimed_on", sa.Date),
    sa.Column("appropriated_on", sa.Date),
    sa.Column("arrived_on", sa.Date),
)


class FiscalProjection:
    """财政补助台账: few rows, moved one by one."""

    name = "fiscal-subsidies"
    tables: Sequence[sa.Table] = (subsidy_table,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.FiscalSubsidyClaimed,
        e.FiscalSubsidyAppropriated,
        e.FiscalSubsidyArrived,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """A claim restates; money adds up."""
        for recorded in events:
            event = recorded.event
            row: dict[str, Any] = {"campaign": event.campaign, "kind": event.kind}
            match event:
                case e.FiscalSubsidyClaimed():
                    row |= {"heads": event.heads, "claimed_fen": event.fen, "claimed_on": event.as_of}
                    await connection.upsert(subsidy_table, [row])
                case e.FiscalSubsidyAppropriated():
                    row |= {"appropriated_fen": event.fen, "appropriated_on": event.on}
                    await connection.upsert(subsidy_table, [row], add=("appropriated_fen",))
                case e.FiscalSubsidyArrived():
                    row |= {"arrived_fen": event.fen, "arrived_on": event.on}
                    await connection.upsert(subsidy_table, [row], add=("arrived_fen",))
