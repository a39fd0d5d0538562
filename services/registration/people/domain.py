"""Decisions over one person's stream. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from services.registration.people import events as e
from shared.kernel.bounds import InsuredYear
from shared.kernel.division import is_division
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.identity import Sex, birth_of, identity_fault, sex_of
from shared.kernel.insurance import Insurance

VILLAGE_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Spell:
    """A reported spell of employee insurance."""

    insurance: Insurance
    from_date: dt.date
    to_date: dt.date | None


@dataclass(frozen=True, slots=True)
class Person:
    """State of ``person:{id}`` as far as identity goes; ``birth`` None = not registered."""

    birth: dt.date | None = None
    sex: Sex = Sex.FEMALE
    division: str = ""
    hukou_division: str = ""
    residence_permit: bool = False
    student: bool = False
    household: str = ""
    identified: bool = False
    merged_into: str = ""
    employee: tuple[Spell, ...] = ()
    elsewhere: frozenset[tuple[Insurance, int]] = frozenset()


class Particulars(msgspec.Struct, frozen=True, kw_only=True):
    """What a clerk enters. Holds personal data: never logged, never an event; repr hides it.

    birth and sex may be left out when a number says them. birth_certificate: for newborns without a number.
    """

    name: str
    number: str = ""
    birth: dt.date | None = None
    sex: Sex | None = None
    division: str
    hukou_division: str
    residence_permit: bool = False
    student: bool = False
    household: str = ""
    phone: str = ""
    birth_certificate: str = ""

    def __repr__(self) -> str:
        return "Particulars(***)"


class EmployeeInsurance(msgspec.Struct, frozen=True, kw_only=True):
    """A spell of employee insurance (职工保险), of a person id or, in files, a number; repr hides it.

    to_date: None while it lasts.
    """

    insurance: Insurance
    from_date: dt.date
    to_date: dt.date | None = None
    person_id: str = ""
    number: str = ""

    def __repr__(self) -> str:
        return "EmployeeInsurance(***)"


class OutOfAreaCover(msgspec.Struct, frozen=True, kw_only=True):
    """Paid for the year in another pooling area (统筹区外参保); person as in ``EmployeeInsurance``."""

    region: str
    year: InsuredYear
    insurance: Insurance = Insurance.MEDICAL
    person_id: str = ""
    number: str = ""

    def __repr__(self) -> str:
        return "OutOfAreaCover(***)"


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """Fields to correct; None leaves a field as it is. Holds personal data; repr hides it."""

    name: str | None = None
    number: str | None = None
    birth: dt.date | None = None
    sex: Sex | None = None
    division: str | None = None
    hukou_division: str | None = None
    residence_permit: bool | None = None
    student: bool | None = None
    household: str | None = None
    phone: str | None = None

    def __repr__(self) -> str:
        return "Correction(***)"

    def given(self) -> tuple[str, ...]:
        """Names of the fields to change."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) is not None)


def evolve(state: Person, event: Event) -> Person:
    """Fold one event; others of the person's stream (deaths) leave it unchanged."""
    match event:
        case e.PersonRegistered():
            return Person(
                event.birth,
                event.sex,
                event.division,
                event.hukou_division,
                event.residence_permit,
                event.student,
                event.household,
                event.identified,
                state.merged_into,
                state.employee,
                state.elsewhere,
            )
        case e.PersonIdentityChanged():
            return replace(
                state,
                birth=event.birth,
                sex=event.sex,
                division=event.division,
                hukou_division=event.hukou_division,
                residence_permit=event.residence_permit,
                student=event.student,
                household=event.household,
                identified=event.identified,
            )
        case e.PersonIdentityMerged():
            return replace(state, merged_into=event.survivor_id)
        case e.EmployeeInsuranceReported():
            kept = tuple(
                spell
                for spell in state.employee
                if (spell.insurance, spell.from_date) != (event.insurance, event.from_date)
            )
            spell = Spell(event.insurance, event.from_date, event.to_date)
            return replace(state, employee=(*kept, spell))
        case e.OutOfAreaCoverageReported():
            return replace(state, elsewhere=state.elsewhere | {(event.insurance, event.year)})
        case _:
            return state


def register_person(state: Person, person_id: str, given: Particulars, today: dt.date) -> Decision:
    """Register a person under a fresh id, or say which particular is at fault (I-03)."""
    if state.birth is not None:
        return Refusal("ALREADY_EXISTS", rule="PERSON_REGISTERED")
    if not given.name.strip():
        return Refusal("VALIDATION_FAILED", rule="NAME_MISSING", field="name")
    if not given.number and not given.birth_certificate:
        return Refusal(
            "IDENTITY_REQUIRED",
            rule="I-03",
            field="number",
            message="须有公民身份号码，新生儿可用出生医学证明 / a number or a birth certificate",
        )
    fault = number_fault(given.number, given.birth, given.sex, today) or place_fault(
        given.division, given.hukou_division
    )
    if fault is not None:
        return fault
    birth = birth_of(given.number) if given.number else given.birth
    sex = sex_of(given.number) if given.number else given.sex
    if birth is None or sex is None:
        field = "birth" if birth is None else "sex"
        return Refusal("VALIDATION_FAILED", rule="BIRTH_AND_SEX_REQUIRED", field=field)
    if birth > today:
        return Refusal("VALIDATION_FAILED", rule="BIRTH_IN_FUTURE", field="birth")
    return [
        e.PersonRegistered(
            person_id=person_id,
            birth=birth,
            sex=sex,
            division=given.division,
            hukou_division=given.hukou_division,
            residence_permit=given.residence_permit,
            student=given.student,
            household=given.household,
            identified=bool(given.number),
        )
    ]


def correct_person(state: Person, person_id: str, given: Correction, today: dt.date) -> Decision:
    """Change particulars; a new number must agree with birth and sex as they then are."""
    if state.birth is None:
        return unknown_person()
    if state.merged_into:
        return merged_person()
    changed = given.given()
    if not changed:
        return Refusal("VALIDATION_FAILED", rule="NOTHING_TO_CORRECT")
    number = given.number or ""
    fault = number_fault(number, given.birth, given.sex, today) or place_fault(
        given.division or state.division, given.hukou_division or state.hukou_division
    )
    if fault is not None:
        return fault
    birth = birth_of(number) if number else given.birth or state.birth
    sex = sex_of(number) if number else given.sex or state.sex
    if birth > today:
        return Refusal("VALIDATION_FAILED", rule="BIRTH_IN_FUTURE", field="birth")
    if state.identified and not number and (birth, sex) != (state.birth, state.sex):
        return Refusal(
            "VALIDATION_FAILED",
            rule="I-03",
            field="number",
            message="出生日期、性别随号码更正 / correct the number",
        )
    return [
        e.PersonIdentityChanged(
            person_id=person_id,
            changed=changed,
            birth=birth,
            sex=sex,
            division=given.division or state.division,
            hukou_division=given.hukou_division or state.hukou_division,
            residence_permit=_or(given.residence_permit, state.residence_permit),
            student=_or(given.student, state.student),
            household=state.household if given.household is None else given.household,
            identified=state.identified or bool(number),
        )
    ]


def merge_person(state: Person, survivor: Person, person_id: str, survivor_id: str) -> Decision:
    """Declare that two ids are one person; the survivor's id goes on."""
    if state.birth is None or survivor.birth is None:
        return unknown_person()
    if state.merged_into == survivor_id:
        return []
    if state.merged_into or survivor.merged_into:
        return merged_person()
    if person_id == survivor_id:
        return Refusal("VALIDATION_FAILED", rule="SAME_PERSON", field="survivor_id")
    if (state.birth, state.sex) != (survivor.birth, survivor.sex):
        return Refusal(
            "INVALID_STATE",
            rule="BIRTH_OR_SEX_DIFFERS",
            clause="I-03",
            message="出生日期或性别不同，先更正再合并 / birth or sex differ: correct them first",
        )
    return [e.PersonIdentityMerged(person_id=person_id, survivor_id=survivor_id)]


def report_employee_insurance(state: Person, given: EmployeeInsurance) -> Decision:
    """Record a spell of employee insurance; the same spell again changes nothing (I-05)."""
    if state.birth is None:
        return unknown_person()
    if given.to_date is not None and given.to_date < given.from_date:
        return Refusal("VALIDATION_FAILED", rule="PERIOD", field="to_date")
    if Spell(given.insurance, given.from_date, given.to_date) in state.employee:
        return []
    return [
        e.EmployeeInsuranceReported(
            person_id=given.person_id,
            insurance=given.insurance,
            from_date=given.from_date,
            to_date=given.to_date,
        )
    ]


def report_out_of_area_cover(state: Person, given: OutOfAreaCover) -> Decision:
    """Record that the person paid for the year in another pooling area (004:L81)."""
    if state.birth is None:
        return unknown_person()
    if not is_division(given.region):
        return Refusal("VALIDATION_FAILED", rule="DIVISION", field="region")
    if (given.insurance, given.year) in state.elsewhere:
        return []
    return [
        e.OutOfAreaCoverageReported(
            person_id=given.person_id, insurance=given.insurance, region=given.region, year=given.year
        )
    ]


def number_fault(number: str, birth: dt.date | None, sex: Sex | None, today: dt.date) -> Refusal | None:
    """Why a number is none or disagrees with what was said; None for an empty number too (I-03)."""
    if not number:
        return None
    fault = identity_fault(number, today)
    if fault is not None:
        return Refusal(fault, rule="I-03", clause="GB 11643", field="number")
    if birth is not None and birth != birth_of(number):
        return Refusal("ID_BIRTH_MISMATCH", rule="I-03", clause="GB 11643", field="birth")
    if sex is not None and sex is not sex_of(number):
        return Refusal("ID_SEX_MISMATCH", rule="I-03", clause="GB 11643", field="sex")
    return None


def place_fault(division: str, hukou_division: str) -> Refusal | None:
    """A person is collected in a village (12 digits); the hukou may be known less exactly."""
    if not is_division(division) or len(division) != VILLAGE_DIGITS:
        return Refusal("VALIDATION_FAILED", rule="VILLAGE_CODE", field="division")
    if not is_division(hukou_division):
        return Refusal("VALIDATION_FAILED", rule="DIVISION", field="hukou_division")
    return None


def unknown_person() -> Refusal:
    """Nobody is registered under the id."""
    return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")


def merged_person() -> Refusal:
    """The id was merged into another; use the survivor's."""
    return Refusal("INVALID_STATE", rule="PERSON_MERGED", field="person_id")


def _or(given: Any, kept: bool) -> bool:
    return kept if given is None else bool(given)
