"""Read model of enrolments: our own facts, and collection's answers in columns of their own.

Messages of other topics come in any order beside our facts, so each kind fills its own columns and the status
shown is reckoned from them (``STATUS``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.enrolment import events as e
from shared.contracts.collection import RegistrationInfoAcceptedV1, RegistrationLinkedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()


def _text(name: str, comment: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="", comment=comment or None)


ENROLMENT = sa.Table(
    "enrolment",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True),
    _text("record_no"),
    _text("campaign"),
    _text("division"),
    _text("route"),
    sa.Column("period_from", sa.Date),
    sa.Column("period_to", sa.Date),
    _text("state", "by our own events; empty: none of them is known yet"),
    sa.Column("record_version", sa.Integer, nullable=False, server_default=sa.text("0")),
    _text("rule", "why it was rejected or cancelled"),
    sa.Column("accepted_version", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("returned_version", sa.Integer, nullable=False, server_default=sa.text("0")),
    _text("error", "why collection sent it back"),
    sa.Column("linked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("enrolment_by_division", "year", "division"),
    postgresql_with={"fillfactor": "70"},  # collection's answers change a row in its place
)

_c = ENROLMENT.c
_UNANSWERED = _c.state != "TRANSMITTED"
STATUS = sa.case(
    (_UNANSWERED, _c.state),
    (_c.linked, "LINKED"),
    (sa.and_(_c.record_version > 0, _c.accepted_version == _c.record_version), "ACCEPTED"),
    (sa.and_(_c.record_version > 0, _c.returned_version == _c.record_version), "RETURNED"),
    else_=_c.state,
).label("status")
"""REGISTERED, TRANSMITTED, ACCEPTED, RETURNED, LINKED, REJECTED, CANCELLED or TERMINATED."""

Key = tuple[str, str, int]


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
        e.RegistrationInfoRejected,
        RegistrationInfoAcceptedV1,
        RegistrationLinkedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """New rows and collection's answers in bulk; what changes a known row on its own."""
        page = _Page(connection)
        for recorded in events:
            await page.add(recorded.event)
        await page.write()


class _Page:
    """Rows of a page by key, written together; the groups touch different columns."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._new: dict[Key, dict[str, Any]] = {}
        self._rejected: dict[Key, dict[str, Any]] = {}
        self._accepted: dict[Key, dict[str, Any]] = {}
        self._linked: dict[Key, dict[str, Any]] = {}

    async def add(self, event: Any) -> None:
        key = (event.person_id, event.insurance.value, event.year)
        match event:
            case e.EnrolmentRegistered():
                if any(key in held for held in (self._new, self._rejected, self._accepted, self._linked)):
                    await self.write()
                self._new[key] = _registered(key, event)
            case e.EnrolmentRejected() if key not in self._new:
                self._rejected.setdefault(key, _rejected(key, event))
            case RegistrationInfoAcceptedV1() if key in self._linked:
                self._linked[key]["accepted_version"] = (
                    event.record_version
                )  # written after what was accepted
            case RegistrationInfoAcceptedV1():
                self._accepted[key] = _keyed(key) | {"accepted_version": event.record_version}
            case RegistrationLinkedV1():
                self._linked[key] = _keyed(key) | {
                    "linked": True,
                    "accepted_version": event.record_version,
                }
            case e.RegistrationInfoTransmitted() if key in self._new:
                self._new[key] |= {
                    "record_version": event.record_version,
                    "state": "TRANSMITTED",
                    "division": event.division,
                }
            case _:
                await self.write()
                await self._change(key, event)

    async def write(self) -> None:
        """Everything held back so far."""
        fresh = [row for row in self._new.values() if row["record_version"] != 0]
        again = [
            {name: value for name, value in row.items() if name != "record_version"}
            for row in self._new.values()
            if row["record_version"] == 0
        ]
        if self._rejected:
            await self._connection.upsert(ENROLMENT, list(self._rejected.values()), ignore=True)
        for rows in (fresh, again, list(self._accepted.values()), list(self._linked.values())):
            if rows:
                await self._connection.upsert(ENROLMENT, rows)
        self._new, self._rejected, self._accepted, self._linked = {}, {}, {}, {}

    async def _change(self, key: Key, event: Any) -> None:
        if isinstance(event, e.EnrolmentRejected):
            return  # the year has a row already
        person_id, insurance, year = key
        await self._connection.execute(
            sa.update(ENROLMENT)
            .where(_c.person_id == person_id, _c.insurance == insurance, _c.year == year)
            .values(**_changed(event))
        )


def _keyed(key: Key) -> dict[str, Any]:
    return {"person_id": key[0], "insurance": key[1], "year": key[2]}


def _registered(key: Key, event: e.EnrolmentRegistered) -> dict[str, Any]:
    return _keyed(key) | {
        "record_no": event.record_no,
        "campaign": event.campaign,
        "division": event.division,
        "route": event.route.value,
        "period_from": event.period_from,
        "period_to": event.period_to,
        "state": "REGISTERED",
        "record_version": 0,
        "rule": "",
        "linked": False,
    }


def _rejected(key: Key, event: e.EnrolmentRejected) -> dict[str, Any]:
    return _keyed(key) | {
        "record_no": f"{event.insurance.value}-{event.year}-{event.person_id}",
        "campaign": event.campaign,
        "division": event.division,
        "state": "REJECTED",
        "rule": event.rule,
    }


def _changed(event: Any) -> dict[str, Any]:
    match event:
        case e.RegistrationInfoTransmitted():
            ended = _c.state.in_(("CANCELLED", "TERMINATED"))
            kept = sa.case((ended, _c.state), else_="TRANSMITTED")
            return {"record_version": event.record_version, "state": kept, "division": event.division}
        case e.RegistrationInfoRejected():
            return {"returned_version": event.record_version, "error": event.error}
        case e.EnrolmentCancelled():
            return {"state": "CANCELLED", "rule": event.reason}
        case _:
            return {"state": "TERMINATED", "rule": event.refund_no}
