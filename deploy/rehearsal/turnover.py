"""A village one year later (次年): who died, moved away or left since, who was born, who turned 60 or 70.

Derived from the year before alone, so that it is the same whenever it is asked for. Synthetic, like the people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace

import msgspec

from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.residents import (
    COUNTIES,
    PER_VILLAGE,
    Household,
    Listing,
    Resident,
    Village,
    number_of,
    town_index,
)
from deploy.rehearsal.script import Script
from shared.kernel.identity import Sex, full_years

DIED, MOVED, LEFT = "DIED", "MOVED", "LEFT"
FATES = ((131, 17, DIED), (53, 23, MOVED), (61, 31, LEFT))
"""Every so-manieth person of a village, from which one on, and what became of him."""

NEWBORN = 90_000
"""Ordinals of a village's newborn begin here."""
PER_NEWBORN = 150
STUDENT_UNTIL, PENSION_UNTIL, OLD = 21, 59, 70


@dataclass(frozen=True, slots=True)
class Turnover:
    """What a year's turnover needs to know. dead: ordinals whose death the year before told of; alone: there is
    no other village to move to; year: the insured year that follows."""

    year: int
    script: Script
    dead: Collection[int] = ()
    alone: bool = False

    def fate(self, person: Resident) -> str:
        """What became of somebody since: DIED, MOVED, LEFT, or "" who goes on. Employees, and who stands on a
        list and would move, go on."""
        if person.ordinal in self.dead:
            return DIED
        if person.employee:
            return ""
        number = person.ordinal % PER_VILLAGE
        found = next((name for every, first, name in FATES if number % every == first), "")
        if found == MOVED and (self.alone or person.listings or person.exempt):
            return ""
        return found

    def follow(self, village: Village) -> Village:
        """The village as it enrols for the year: who is gone is missing, who was born is there."""
        households = []
        for household in village.households:
            members = tuple(self._aged(each) for each in household.members if not self.fate(each))
            if members:
                households.append(replace(household, members=members))
        return Village(village.size, self._with_newborn(village.size, households))

    def gone(self, village: Village, fate: str) -> tuple[Resident, ...]:
        """Who met a fate since the year before, those whose death was told then left out."""
        return tuple(
            each for each in village.each() if self.fate(each) == fate and each.ordinal not in self.dead
        )

    def _with_newborn(self, size: VillageSize, households: list[Household]) -> tuple[Household, ...]:
        """Newborn from the last household on: the first ones have parts in what goes wrong."""
        for number in range(max(1, size.medical // PER_NEWBORN)):
            index = len(households) - 1 - (7 * number) % len(households)
            household = households[index]
            child = self._newborn(size, number, household)
            households[index] = replace(household, members=(child, *household.members))
        return tuple(households)

    def _newborn(self, size: VillageSize, number: int, household: Household) -> Resident:
        """Born in spring of the year in which people enrol: no number of the year before meets it."""
        day, serial = number % 27, number // 27
        birth = dt.date(self.year - 1, 3 + serial // 9 % 3, 1 + day)
        county = COUNTIES[town_index(size.town) % len(COUNTIES)]
        male = number % 2 == 0
        first = 9 * ((int(size.division[9:]) - 200) % 55)
        return Resident(
            size.number * PER_VILLAGE + NEWBORN + number, household.members[0].name[0] + "宝",
            number_of(county, birth, 2 * (first + serial % 9) + male), Sex.MALE if male else Sex.FEMALE, birth,
            household.number, False, False, False, None, (),
        )  # fmt: skip

    def _aged(self, person: Resident) -> Resident:
        """A year older: out of the pension at 60, on the list of the elderly at 60 and at 70."""
        age = full_years(person.birth, self.script.age_on)
        if person.employee:
            return person
        tier = person.pension_tier if age <= PENSION_UNTIL else None
        elderly = self.script.elderly
        listings, exempt = person.listings, person.exempt
        if age >= OLD:
            listings, exempt = (Listing(elderly.department, elderly.seventies, "medical"),), True
        elif age > PENSION_UNTIL and not exempt and elderly.sixties:
            listings = (Listing(elderly.department, elderly.sixties, "medical"),)
        if tier is None:
            listings = tuple(each for each in listings if each.insurance == "medical")
        return msgspec.structs.replace(
            person,
            student=person.student and age <= STUDENT_UNTIL,
            exempt=exempt,
            pension_tier=tier,
            listings=listings,
        )


def is_newborn(ordinal: int) -> bool:
    """True for somebody born since the year before."""
    return ordinal % PER_VILLAGE >= NEWBORN
