"""Invariants of people, their enrolments and identities: I-03 to I-06. A person is one small number."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from functools import lru_cache

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.tally import Scope
from shared.kernel.identity import full_years


class I03(Check):
    """One registration per person id; nobody is born after being registered."""

    id = "I-03"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._seen: set[str] = set()

    @hears("registration", "PersonRegistered")
    def _registered(self, row: Row) -> None:
        person = row.data["person_id"]
        holds = person not in self._seen and day_of(row.data["birth"]) <= row.day
        self.tally.see(holds and row.stream == f"person:{person}", row)
        self._seen.add(person)


@lru_cache(4096)
def _birth(day: str) -> dt.date:
    return dt.date.fromisoformat(day)


class I04(Check):
    """Nobody under 16 and no enrolled student is enrolled in the pension, as the person was known then."""

    id = "I-04"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._people: dict[str, tuple[dt.date, bool]] = {}
        self._known: dict[tuple[dt.date, bool], tuple[dt.date, bool]] = {}

    @hears("registration", "PersonRegistered", "PersonIdentityChanged")
    def _person(self, row: Row) -> None:
        person = (_birth(day_of(row.data["birth"])), bool(row.data["student"]))
        self._people[row.data["person_id"]] = self._known.setdefault(person, person)

    @hears("registration", "EnrolmentRegistered")
    def _enrolled(self, row: Row) -> None:
        person = self._people.get(row.data["person_id"])
        if person is None:
            self.tally.see(False, row)
        elif row.data["insurance"] == "pension":
            birth, student = person
            old_enough = full_years(birth, dt.date.fromisoformat(row.day)) >= 16
            self.tally.see(old_enough and not student, row)
        else:
            self.tally.see(bool(row.data["route"]), row)


Spell = tuple[str, str, str]
"""Record number ("" when it is the usual one), first and last day of an enrolment."""


class I05(Check):
    """No enrolment over employee cover known before it; cover learned later is a named conflict."""

    id = "I-05"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._covers: dict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)
        self._enrolled: dict[str, tuple[Spell, ...]] = {}
        self._alike: dict[tuple[Spell, ...], tuple[Spell, ...]] = {}
        self._named: set[str] = set()
        self._later: list[tuple[str, tuple[str, ...]]] = []

    @hears("registration", "CoverageConflictFound")
    def _conflict(self, row: Row) -> None:
        self._named.add(row.data["record_no"])

    @hears("registration", "EnrolmentRegistered")
    def _enrol(self, row: Row) -> None:
        data = row.data
        starts, ends = data["period_from"], data["period_to"]
        covers = self._covers.get((data["person_id"], data["insurance"]), {})
        self.tally.see(not any(_meets(cover, (starts, ends)) for cover in covers.items()), row)
        usual = data["record_no"] == _usual(row.stream, starts)
        spell = ("" if usual else data["record_no"], starts, ends)
        self._keep(row.stream, (*self._enrolled.get(row.stream, ()), spell))

    def _keep(self, stream: str, spells: tuple[Spell, ...]) -> None:
        """Nearly everybody has the same spells."""
        self._enrolled[stream] = self._alike.setdefault(spells, spells)

    @hears("registration", "EnrolmentCancelled", "EnrolmentTerminatedForRefund")
    def _end(self, row: Row) -> None:
        spells = self._enrolled.get(row.stream, ())
        number = row.data["record_no"]
        self._keep(row.stream, tuple(each for each in spells if _number(row.stream, each) != number))

    @hears("registration", "EmployeeInsuranceReported")
    def _report(self, row: Row) -> None:
        data = row.data
        cover = (data["from_date"], data["to_date"])
        self._covers[data["person_id"], data["insurance"]][cover[0]] = cover[1]
        stream = f"enrolment:{data['insurance']}:{data['person_id']}"
        if self.tally.judges(row):
            met = [each for each in self._enrolled.get(stream, ()) if _meets(cover, each[1:])]
            self._later.append((str(row.event_id), tuple(_number(stream, each) for each in met)))

    def close(self) -> None:
        """A conflict is named after it was found."""
        for event_id, numbers in self._later:
            self.tally.see(all(number in self._named for number in numbers), event_id)


def _usual(stream: str, starts: str) -> str:
    _, insurance, person = stream.split(":", 2)
    return f"{insurance}-{starts[:4]}-{person}"


def _number(stream: str, spell: Spell) -> str:
    return spell[0] or _usual(stream, spell[1])


def _meets(cover: tuple[str, str | None], period: tuple[str, ...]) -> bool:
    """True when a spell of employee cover meets the period of an enrolment; ISO days."""
    starts, ends = cover
    return starts <= period[1] and (ends is None or ends >= period[0])


class I06(Check):
    """A special identity carries its source department and validity."""

    id = "I-06"

    @hears("registration", "SpecialIdentityMarked")
    def _marked(self, row: Row) -> None:
        data = row.data
        self.tally.see(bool(data["source_department"]) and data["valid_from"] <= data["valid_to"], row)
