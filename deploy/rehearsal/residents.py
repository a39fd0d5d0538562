"""The people of one synthetic village: households, ages, lists, tiers and how each intends to pay.

Everything is drawn from the seed and the village's code; the same seed gives the same village, and one is
made at a time. Names and numbers belong to nobody: numbers are valid (GB 11643) and nobody's twice in a run.
Ages follow the pyramid of a Shandong county (rounded shares, synthetic).
"""

from __future__ import annotations

import datetime as dt
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import msgspec

from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.script import Script
from shared.kernel.identity import Sex

T = TypeVar("T")

PER_VILLAGE = 100_000
"""Ordinals of a village begin at its number times this."""

UNBORN = dt.timedelta(days=150)
"""Nobody is born in the last days before ages are counted: registration is over by then."""

SURNAMES = "王李张刘陈杨赵孙徐马朱胡郭高林何罗宋郑梁"
GIVEN = "伟芳秀英娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂凤玉华国建文德福庆春"

COUNTIES = (
    "370406", "370402", "370403", "370404", "370405", "370481", "370826", "370830", "371324", "371326",
    "370811", "370827", "370828", "370829",
)  # fmt: skip
"""Where people of a town were born: a county of the region for each, so that numbers never meet."""

NEVER = "NEVER"
"""Intention of a household that does not pay in this campaign."""
NEVER_SHARE = 0.035
SEVENTIES_OF_EXEMPT = 0.78
"""Share of the elderly among the exempt."""
STUDENT_UNTIL = 21

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


class Listing(msgspec.Struct, frozen=True, gc=False):
    """A line a department will put on its list: codes of the policy pack."""

    department: str
    category: str
    insurance: str


class Resident(msgspec.Struct, frozen=True, gc=False):
    """One synthetic person. ordinal: nobody else's in the run; pension_tier: yuan, None without pension."""

    ordinal: int
    name: str
    number: str
    sex: Sex
    birth: dt.date
    household: int
    student: bool
    employee: bool
    exempt: bool
    pension_tier: int | None
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Household:
    """Who pays together: channel and a moment in 0..1 of its days, or NEVER. number: from 1."""

    number: int
    channel: str
    moment: float
    members: tuple[Resident, ...]

    @property
    def payers(self) -> tuple[Resident, ...]:
        """Members who owe something in medical and stand on no list."""
        return tuple(
            each for each in self.members if not each.employee and not each.exempt and not each.listings
        )


@dataclass(frozen=True, slots=True)
class Village:
    """A village and its people."""

    size: VillageSize
    households: tuple[Household, ...]

    @property
    def division(self) -> str:
        """Its code, 12 digits."""
        return self.size.division

    @property
    def residents(self) -> tuple[Resident, ...]:
        """Everybody, by household."""
        return tuple(self.each())

    def each(self) -> Iterator[Resident]:
        """Everybody, by household."""
        for household in self.households:
            yield from household.members


class _Ages:
    """Draws ages from a pyramid, or from a part of it."""

    def __init__(self, pyramid: Sequence[tuple[int, int]], low: int = 0, high: int = 200) -> None:
        self._bands = [first for first, _ in pyramid if low <= first < high]
        self._limits = list(accumulate(share for first, share in pyramid if low <= first < high))

    def draw(self, source: random.Random, count: int) -> list[int]:
        """So many ages."""
        bands, limits = self._bands, self._limits
        top, pick = limits[-1], source.random
        found = []
        for _ in range(count):
            band = bands[bisect(limits, pick() * top)]
            found.append(band + int(pick() * (10 if band == 85 else 5)))
        return found


class _Draft:
    """A person being drawn."""

    __slots__ = ("age", "employee", "exempt", "pension", "student")

    def __init__(self, age: int, *, exempt: bool = False, employee: bool = False) -> None:
        self.age = age
        self.exempt = exempt
        self.employee = employee
        self.student = False
        self.pension = False


def synthesise_village(seed: int, size: VillageSize, script: Script) -> Village:
    """The people of a village: as many of each kind as its size says. Raises ValueError for no people."""
    source = random.Random(f"{seed}:{size.division}")
    drafts = _drafts(source, size, script)
    numbers = _Numbers(size, script.age_on)
    weights = list(accumulate(each.weight for each in script.channels))
    ordinal = size.number * PER_VILLAGE
    households: list[Household] = []
    for number, members in enumerate(_grouped(source, drafts), 1):
        surname = SURNAMES[int(source.random() * len(SURNAMES))]
        people = []
        for draft in members:
            ordinal += 1
            people.append(_resident(source, draft, ordinal, number, surname, numbers, script))
        channel = NEVER
        if source.random() >= NEVER_SHARE:
            channel = script.channels[bisect(weights, source.random() * weights[-1])].code
        households.append(Household(number, channel, source.betavariate(1.6, 1.3), tuple(people)))
    return Village(size, tuple(households))


def _drafts(source: random.Random, size: VillageSize, script: Script) -> list[_Draft]:
    """Payers, exempt and employees with their ages; exactly so many in the pension."""
    older = round(size.exempt * SEVENTIES_OF_EXEMPT)
    drafts = [_Draft(age) for age in _Ages(script.pyramid, 0, 70).draw(source, size.paying)]
    drafts += [_Draft(age, exempt=True) for age in _Ages(script.pyramid, 70).draw(source, older)]
    hard = _Ages(script.pyramid, 5, 70).draw(source, size.exempt - older)
    drafts += [_Draft(age, exempt=True) for age in hard]
    for draft in drafts:
        if 6 <= draft.age <= STUDENT_UNTIL:
            draft.student = source.random() < (0.98 if draft.age < 18 else 0.45)
    fit = [draft for draft in drafts if 16 <= draft.age <= 59 and not draft.student]
    missing = size.pension - len(fit)
    if missing > 0:  # a tiny village: some who are too young or too old are of age instead
        for draft in [each for each in drafts if not (16 <= each.age <= 59 and not each.student)][:missing]:
            draft.age, draft.student = 30 + len(fit) % 25, False
            fit.append(draft)
    for draft in source.sample(fit, min(size.pension, len(fit))):
        draft.pension = True
    working = _Ages(script.pyramid, 20, 60).draw(source, size.employees)
    return drafts + [_Draft(age, employee=True) for age in working]


def _grouped(source: random.Random, drafts: list[_Draft]) -> list[list[_Draft]]:
    """Households of one to six with at least one adult each."""
    source.shuffle(drafts)
    adults = [draft for draft in drafts if draft.age >= STUDENT_UNTIL + 1]
    others = [draft for draft in drafts if draft.age <= STUDENT_UNTIL]
    groups: list[list[_Draft]] = []
    start = 0
    while start < len(adults):
        size = (1, 2, 2, 2, 3)[int(source.random() * 5)]
        groups.append(adults[start : start + size])
        start += size
    if not groups:
        raise ValueError("a village needs an adult")
    for index, draft in enumerate(others):
        groups[(index * 7) % len(groups)].append(draft)
    return groups


class _Numbers:
    """Birth dates and numbers: a village has serials of its own on each day, so that no number meets another."""

    def __init__(self, size: VillageSize, age_on: dt.date) -> None:
        self._county = COUNTIES[town_index(size.town) % len(COUNTIES)]
        village = int(size.division[9:]) - 200
        self._first = 9 * (village % 55)
        self._age_on = age_on
        self._latest = age_on - UNBORN
        self._taken: dict[tuple[dt.date, bool], int] = {}

    def draw(self, source: random.Random, age: int) -> tuple[dt.date, Sex, str]:
        """A birth date of that age, a sex and a number."""
        male = source.random() < 0.5
        newest = self._age_on.replace(year=self._age_on.year - age)
        birth = min(newest - dt.timedelta(days=int(source.random() * 365)), self._latest)
        while (taken := self._taken.get((birth, male), 0)) == 9:
            birth -= dt.timedelta(days=1)
        self._taken[birth, male] = taken + 1
        serial = 2 * (self._first + taken) + male
        return birth, Sex.MALE if male else Sex.FEMALE, number_of(self._county, birth, serial)


def town_index(town: str) -> int:
    """A town's own number: towns (from 100) before sub-districts (from 001)."""
    number = int(town[6:])
    return number - 100 if number >= 100 else 9 + number


def number_of(county: str, birth: dt.date, serial: int) -> str:
    """A valid number; serial 0..999, odd for a man."""
    first17 = f"{county}{birth.year:04d}{birth.month:02d}{birth.day:02d}{serial:03d}"
    total = 0
    for weight, digit in zip(_WEIGHTS, first17, strict=True):
        total += weight * int(digit)
    return first17 + _CHECKS[total % 11]


def _resident(
    source: random.Random,
    draft: _Draft,
    ordinal: int,
    household: int,
    surname: str,
    numbers: _Numbers,
    script: Script,
) -> Resident:
    birth, sex, number = numbers.draw(source, draft.age)
    listings = _listings(source, draft, script)
    tier = None
    if draft.pension:
        listed = any(each.insurance == "pension" for each in listings)
        tier = 100 if listed else _weighted(source, script.tiers)
    size = len(GIVEN)
    given = GIVEN[int(source.random() * size)] + (
        GIVEN[int(source.random() * size)] if source.random() < 0.7 else ""
    )
    return Resident(
        ordinal, surname + given, number, sex, birth, household, draft.student, draft.employee, draft.exempt,
        tier, listings,
    )  # fmt: skip


def _listings(source: random.Random, draft: _Draft, script: Script) -> tuple[Listing, ...]:
    """Hardship groups by their departments, the elderly by theirs."""
    if draft.employee:
        return ()
    if not draft.exempt or draft.age >= 70:
        elderly = script.elderly
        category = elderly.seventies if draft.age >= 70 else elderly.sixties if draft.age >= 60 else ""
        return (Listing(elderly.department, category, "medical"),) if category else ()
    rule = _weighted(source, tuple((each, each.weight) for each in script.lists))
    medical = Listing(rule.department, rule.category, "medical")
    if rule.pension and draft.pension:
        return medical, Listing(rule.department, rule.category, "pension")
    return (medical,)


def _weighted(source: random.Random, choices: Sequence[tuple[T, int]]) -> T:
    mark = source.random() * sum(weight for _, weight in choices)
    for value, weight in choices:
        mark -= weight
        if mark < 0:
            return value
    return choices[-1][0]
