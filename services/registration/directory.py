"""What capabilities are told of one another, answered from streams. Part of the composition root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.enrolment.stream import enrolment
from services.registration.facts import EmployeeSpell, Insured, Resident
from services.registration.people.stream import person
from services.registration.vital.stream import life
from shared.eventstore.commands import Loaded
from shared.eventstore.streams import Stream
from shared.kernel.insurance import Insurance


class ResidentDirectory:
    """``facts.Residents``: identity and vital facts of the one person stream."""

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
    """``facts.Enrolments``."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """``enrolment:{insurance}:{person}``."""
        return enrolment(insurance, person_id)

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Insured | None:
        """The year's enrolment."""
        record = loaded.state(enrolment(insurance, person_id)).records.get(year)
        if record is None:
            return None
        return Insured(record.record_no, record.live, record.period_from, record.period_to)
