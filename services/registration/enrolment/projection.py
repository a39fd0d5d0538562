"""Read model of enrolments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.enrolment import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

ENROLMENT = sa.Table(
    "enrolment",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("record_no", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("division", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("period_from", sa.Date),
    sa.Column("period_to", sa.Date),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("record_version", sa.Integer, nullable=False),
    sa.Column("rule", sa.Text, nullable=False, comment="why it was rejected, returned, cancelled"),
    sa.Index("enrolment_by_division", "year", "division"),
)


class EnrolmentsProjection:
    """参保登记 per person, insurance and year."""

    name = "enrolments"
    tables: Sequence[sa.Table] = (ENROLMENT,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.EnrolmentRegistered,
        e.EnrolmentRejected,
        e.EnrolmentCancelled,
        e.EnrolmentTerminatedForRefund,
        e.RegistrationInfoTransmitted,
        e.RegistrationInfoAccepted,
        e.RegistrationInfoRejected,
        e.RegistrationLinkConfirmed,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order: new rows by upsert, steps by update."""
        for recorded in events:
            event = recorded.event
            if isinstance(event, e.EnrolmentRegistered):
                await connection.upsert(ENROLMENT, [_registered(event)], keep=("record_version",))
            elif isinstance(event, e.EnrolmentRejected):
                await connection.upsert(ENROLMENT, [_rejected(event)], ignore=True)
            else:
                await connection.execute(_step(event))


def _registered(event: e.EnrolmentRegistered) -> dict[str, Any]:
    return {
        "person_id": event.person_id,
        "insurance": event.insurance.value,
        "year": event.year,
        "record_no": event.record_no,
        "campaign": event.campaign,
        "division": event.division,
        "route": event.route.value,
        "period_from": event.period_from,
        "period_to": event.period_to,
        "status": "REGISTERED",
        "record_version": 0,
        "rule": "",
    }


def _rejected(event: e.EnrolmentRejected) -> dict[str, Any]:
    return {
        "person_id": event.person_id,
        "insurance": event.insurance.value,
        "year": event.year,
        "record_no": f"{event.insurance.value}-{event.year}-{event.person_id}",
        "campaign": event.campaign,
        "division": event.division,
        "route": "",
        "period_from": None,
        "period_to": None,
        "status": "REJECTED",
        "record_version": 0,
        "rule": event.rule,
    }


def _step(event: Any) -> sa.Update:
    table = ENROLMENT.c
    statement = sa.update(ENROLMENT).where(
        table.person_id == event.person_id,
        table.insurance == event.insurance.value,
        table.year == event.year,
    )
    ended = table.status.in_(("CANCELLED", "TERMINATED"))
    match event:
        case e.RegistrationInfoTransmitted():
            kept = sa.case((ended, table.status), else_="TRANSMITTED")
            return statement.values(record_version=event.record_version, status=kept, division=event.division)
        case e.RegistrationInfoAccepted():
            return _answered(statement, event.record_version).values(status="ACCEPTED", rule="")
        case e.RegistrationInfoRejected():
            return _answered(statement, event.record_version).values(status="RETURNED", rule=event.error)
        case e.RegistrationLinkConfirmed():
            return statement.values(status="LINKED", campaign=event.campaign)
        case e.EnrolmentCancelled():
            return statement.values(status="CANCELLED", rule=event.reason)
        case _:
            return statement.values(status="TERMINATED", rule=event.refund_no)


def _answered(statement: sa.Update, version: int) -> sa.Update:
    return statement.where(
        ENROLMENT.c.record_version == version, ENROLMENT.c.status.in_(("TRANSMITTED", "ACCEPTED", "RETURNED"))
    )
