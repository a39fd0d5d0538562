"""Our own facts to enrolment commands; the only file here that reads siblings' events, with projection.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.causes import following
from services.registration.enrolment import domain
from services.registration.enrolment import events as e
from services.registration.enrolment.handlers import Enrolments, enrolment_command
from services.registration.enrolment.projection import ENROLMENT
from services.registration.people.events import EmployeeInsuranceReported, PersonIdentityChanged
from services.registration.vital.events import HukouChanged
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import PreparedReaction, Recorded, Wait, derived_key
from shared.kernel.insurance import Insurance

Enrolled = tuple[str, str]
"""(person, insurance)."""


class TransmitRegistrations:
    """Changed, cancelled or terminated: collection gets the next version. (A registration brings its own.)"""

    name = "transmit-registration"
    handles: tuple[type[msgspec.Struct], ...] = (
        e.EnrolmentChanged,
        e.EnrolmentCancelled,
        e.EnrolmentTerminatedForRefund,
    )

    def __init__(self, enrolments: Enrolments) -> None:
        self._enrolments = enrolments

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One transmission per fact."""
        event = recorded.event
        ended = isinstance(event, e.EnrolmentCancelled | e.EnrolmentTerminatedForRefund)
        return [
            self._enrolments.transmit_command(
                event.insurance,
                event.year,
                event.person_id,
                ended,
                following(recorded, self.name, event.campaign),
                derived_key(recorded, "transmit_registration"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Versions of one person go in order."""
        return str(recorded.event.person_id)


class ParticularsChanged:
    """A corrected or moved person: live enrolments change with the person.

    Past years are left alone: their collection is over.
    """

    name = "enrolment-particulars"
    handles: tuple[type[msgspec.Struct], ...] = (PersonIdentityChanged, HukouChanged)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One change per live enrolment of this year or a later one."""
        person_id = recorded.event.person_id
        reason = "HUKOU" if isinstance(recorded.event, HukouChanged) else "PARTICULARS"
        rows = await connection.execute(
            sa.select(ENROLMENT.c.insurance, ENROLMENT.c.year)
            .where(ENROLMENT.c.person_id == person_id, ENROLMENT.c.year >= recorded.occurred_at.year)
            .order_by(ENROLMENT.c.year, ENROLMENT.c.insurance)
        )
        return [self._change(recorded, person_id, Insurance(row.insurance), row.year, reason) for row in rows]

    def _change(
        self, recorded: Recorded[Any], person_id: str, insurance: Insurance, year: int, reason: str
    ) -> Command:
        return enrolment_command(
            "change_enrolment",
            insurance,
            person_id,
            lambda state: domain.change_enrolment(state, person_id, insurance, year, reason),
            following(recorded, self.name),
            derived_key(recorded, "change_enrolment", f"{insurance.value}-{year}"),
        )

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)


class EmployeeCoverConflicts(PreparedReaction):
    """Employee cover reported after the enrolment (I-05): a clerk has to look."""

    name = "employee-cover-conflicts"
    handles: tuple[type[msgspec.Struct], ...] = (EmployeeInsuranceReported,)

    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> frozenset[Enrolled]:
        """Who of the persons is, or was, enrolled in what: nobody else can be in conflict."""
        persons = sorted({recorded.event.person_id for recorded in events})
        rows = await connection.execute(
            sa.select(ENROLMENT.c.person_id, ENROLMENT.c.insurance).where(ENROLMENT.c.person_id.in_(persons))
        )
        return frozenset((row.person_id, row.insurance) for row in rows)

    def answer(self, recorded: Recorded[Any], prepared: frozenset[Enrolled]) -> Sequence[Command] | Wait:
        """One command on the enrolments of the same insurance, where there are any."""
        event: EmployeeInsuranceReported = recorded.event
        if (event.person_id, event.insurance.value) not in prepared:
            return []
        return [
            enrolment_command(
                "find_coverage_conflicts",
                event.insurance,
                event.person_id,
                lambda state: domain.find_conflicts(
                    state, event.person_id, event.insurance, event.from_date, event.to_date
                ),
                following(recorded, self.name),
                derived_key(recorded, "find_coverage_conflicts"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)
