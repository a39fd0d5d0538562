"""What capabilities are told of one another, answered from streams. Part of the composition root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.registration.accounts.stream import ledger
from services.registration.enrolment.projection import ENROLMENT
from services.registration.enrolment.stream import enrolment
from services.registration.entitlements.stream import cover
from services.registration.facts import Assessed, Booked, Cover, EmployeeSpell, Identities, Insured, Resident
from services.registration.people.projection import PERSON
from services.registration.people.stream import person
from services.registration.special_assessment.stream import assessed
from services.registration.special_identities.stream import marks
from services.registration.vital.stream import life
from shared.eventstore.commands import Loaded
from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Stream
from shared.kernel.insurance import Insurance


class ResidentDirectory:
    """``sources.Residents``: identity and vital facts of the one person stream."""

    def streams(self, person_id: str) -> Sequence[Stream[Any]]:
        """Both views lie in ``person:{id}``."""
        return [person(person_id)]

    def of(self, loaded: Loaded, person_id: str) -> Resident | None:
        """The person as the command's transaction sees it."""
        known = loaded.state(person(person_id))
        vital = loaded.state(life(person_id))
        if known.birth is None:
            return None
        return Resident(
            person_id=person_id,
            birth=known.birth,
            sex=known.sex.value,
            division=known.division,
            hukou_division=vital.hukou_division or known.hukou_division,
            residence_permit=known.residence_permit,
            student=known.student,
            household=known.household,
            identified=known.identified,
            merged_into=known.merged_into,
            died_on=vital.died_on,
            employee=tuple(
                EmployeeSpell(spell.insurance, spell.from_date, spell.to_date) for spell in known.employee
            ),
            elsewhere=known.elsewhere,
        )


class EnrolmentDirectory:
    """``sources.Enrolments``."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """``enrolment:{insurance}:{person}``."""
        return enrolment(insurance, person_id)

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Insured | None:
        """The year's enrolment."""
        record = loaded.state(enrolment(insurance, person_id)).records.get(year)
        if record is None:
            return None
        return Insured(record.record_no, record.live, record.period_from, record.period_to)


async def enrolled_in_village(
    connection: Connection, village: str, year: int, after: tuple[str, str], limit: int
) -> Sequence[Row]:
    """Live enrolments of a village and year with the person's particulars, after (person, insurance)."""
    e, p = ENROLMENT.c, PERSON.c
    return await connection.execute(
        sa.select(
            e.record_no, e.person_id, e.insurance, e.route, e.period_from, e.period_to,
            p.birth, p.sex, p.hukou_division, p.household,
        )
        .select_from(ENROLMENT.join(PERSON, p.person_id == e.person_id))
        .where(
            e.year == year,
            e.division == village,
            e.state.in_(("REGISTERED", "TRANSMITTED")),
            sa.tuple_(e.person_id, e.insurance) > sa.tuple_(*(sa.literal(part) for part in after)),
        )
        .order_by(e.person_id, e.insurance)
        .limit(limit)
    )  # fmt: skip


class SpecialIdentityDirectory:
    """``sources.SpecialIdentities``."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """``enrolment:{insurance}:{person}``."""
        return marks(insurance, person_id)

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Identities:
        """Categories and departments, sorted."""
        found = [mark for mark in loaded.state(marks(insurance, person_id)).marks if mark.year == year]
        return Identities(
            tuple(sorted({mark.category for mark in found})),
            tuple(sorted({mark.department for mark in found})),
        )


class SpecialAssessmentDirectory:
    """``sources.SpecialAssessments``."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """``enrolment:{insurance}:{person}``."""
        return assessed(insurance, person_id)

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, number: str) -> Assessed | None:
        """The assessment of that number."""
        found = loaded.state(assessed(insurance, person_id)).numbered.get(number)
        return None if found is None else Assessed(found.assessment_no, found.personal_fen, found.valid_to)


class BookingDirectory:
    """``sources.Bookings``."""

    def stream(self, year: int, person_id: str) -> Stream[Any]:
        """``cover:{year}:{person}``."""
        return ledger(year, person_id)

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Booked | None:
        """Legs booked for the insurance."""
        return loaded.state(ledger(year, person_id)).legs_of(insurance)


class CoverDirectory:
    """``sources.Covers``."""

    def stream(self, year: int, person_id: str) -> Stream[Any]:
        """``cover:{year}:{person}``."""
        return cover(year, person_id)

    def of(self, loaded: Loaded, year: int, person_id: str) -> Cover:
        """The cover as it stands."""
        state = loaded.state(cover(year, person_id))
        return Cover(state.from_date, state.to_date)
