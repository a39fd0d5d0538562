"""Read models of lists and their lines' outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.subsidy.lists import events as e
from shared.contracts.registration import SubsidyBeneficiaryImportedV1, SubsidyImportFailedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

list_table = sa.Table(
    "subsidy_list",
    metadata,
    sa.Column("list_id", sa.String(80), primary_key=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("category", sa.String(64), nullable=False),
    sa.Column("insurance", sa.String(10), nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("campaign", sa.String(20), nullable=False),
    sa.Column("stamped_total", sa.Integer, nullable=False),
    sa.Column("late", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("resubmits", sa.String(80), nullable=False),
)

line_table = sa.Table(
    "subsidy_list_line",
    metadata,
    sa.Column("list_id", sa.String(80), primary_key=True),
    sa.Column("line_no", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.String(32), nullable=False),
    sa.Column("valid_from", sa.Date),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("error", sa.String(24), nullable=False),
    sa.Column("corrected_in", sa.String(80), nullable=False, server_default=""),
    sa.Index("subsidy_list_line_state", "list_id", "state"),
)


class ListProjection:
    """Lists; a line is SUBMITTED until registration answers IMPORTED or FAILED."""

    name = "lists"
    tables: Sequence[sa.Table] = (list_table, line_table)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.SubsidyListSubmitted,
        e.SubsidyListLinesRecorded,
        e.SubsidyListVerified,
        SubsidyBeneficiaryImportedV1,
        SubsidyImportFailedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Lists first, in order; then the answers of the page together: a line is recorded before it is sent."""
        answers: list[dict[str, Any]] = []
        for recorded in events:
            match event := recorded.event:
                case SubsidyBeneficiaryImportedV1():
                    answers.append(_answer(event, "IMPORTED", ""))
                case SubsidyImportFailedV1():
                    answers.append(_answer(event, "FAILED", event.error))
                case _:
                    await self._apply(connection, event)
        await connection.upsert(line_table, answers)

    async def _apply(self, connection: Connection, event: Any) -> None:
        match event:
            case e.SubsidyListSubmitted():
                await connection.upsert(list_table, [_list(event)])
            case e.SubsidyListLinesRecorded():
                await connection.upsert(line_table, [_line(event.list_id, line) for line in event.lines])
                if event.resubmits:
                    numbers = [line.line_no for line in event.lines]
                    await connection.execute(
                        sa.update(line_table)
                        .where(line_table.c.list_id == event.resubmits, line_table.c.line_no.in_(numbers))
                        .values(corrected_in=event.list_id)
                    )
            case e.SubsidyListVerified():
                await connection.execute(
                    sa.update(list_table)
                    .where(list_table.c.list_id == event.list_id)
                    .values(state="VERIFIED")
                )


def _answer(
    event: SubsidyBeneficiaryImportedV1 | SubsidyImportFailedV1, state: str, error: str
) -> dict[str, Any]:
    return {
        "list_id": event.list_id,
        "line_no": event.line_no,
        "person_id": event.person_id,
        "state": state,
        "error": error,
    }


def _list(event: e.SubsidyListSubmitted) -> dict[str, Any]:
    return {
        "list_id": event.list_id,
        "department": event.department,
        "category": event.category,
        "insurance": event.insurance.value,
        "year": event.year,
        "campaign": event.campaign,
        "stamped_total": event.stamped_total,
        "late": event.late,
        "state": "SUBMITTED",
        "resubmits": event.resubmits,
    }


def _line(list_id: str, line: e.ListLine) -> dict[str, Any]:
    return {
        "list_id": list_id,
        "line_no": line.line_no,
        "person_id": line.person_id,
        "valid_from": line.valid_from,
        "state": "FAILED" if line.error else "SUBMITTED",
        "error": line.error,
    }
