"""The people of one synthetic village: households, ages, lists, tiers and how each intends to pay.

Everything is drawn from one seed; the same seed gives the same village. Names and numbers belong to nobody:
numbers are valid (GB 11643) and carry the county's code, village codes and names are marked synthetic.
Ages follow the pyramid of a Shandong county (rounded shares, synthetic).
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import TypeVar

from shared.kernel.identity import Sex, check_character, full_years

T = TypeVar("T")

UNBORN = dt.timedelta(days=120)
"""Nobody is born in the last days before ages are counted: registration is over by then."""

PYRAMID = (
    (0, 55), (5, 65), (10, 55), (15, 45), (20, 40), (25, 60), (30, 80), (35, 65), (40, 65),
    (45, 85), (50, 90), (55, 70), (60, 65), (65, 65), (70, 45), (75, 28), (80, 16), (85, 11),
)  # fmt: skip
"""(first age of a five-year band, share in tenths of a percent)."""

SURNAMES = "王李张刘陈杨赵孙徐马朱胡郭高林何罗宋郑梁"
GIVEN = "伟芳秀英娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂凤玉华国建文德福庆春"

TIERS = ((300, 62), (500, 18), (600, 6), (800, 5), (1000, 4), (1500, 2), (2000, 1), (3000, 1), (5000, 1))
"""(pension tier in yuan, share in percent): the plan's table averages a little over the 300 tier (D-19)."""

CHANNELS = (("CASH_AGENT", 46), ("WECHAT", 30), ("ALIPAY", 14), ("ETAX", 10))
"""(channel, share in percent) of households."""

NEVER = "NEVER"
"""Intention of a household that does not pay in this campaign."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A line a department will put on its list: codes of the policy pack."""

    department: str
    category: str
    insurance: str


@dataclass(frozen=True, slots=True)
class Resident:
    """One synthetic person. ``pension_tier``: yuan, None for who takes no part in the pension."""

    ordinal: int
    name: str
    number: str
    sex: Sex
    birth: dt.date
    household: str
    student: bool
    employee: bool
    pension_tier: int | None
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Household:
    """Who pays together, by which channel, on which day of the collecting phase (0-based), or NEVER."""

    number: str
    channel: str
    day: int
    members: tuple[Resident, ...]


@dataclass(frozen=True, slots=True)
class Village:
    """A village and its people."""

    division: str
    name: str
    households: tuple[Household, ...]

    @property
    def residents(self) -> tuple[Resident, ...]:
        """Everybody, by household."""
        return tuple(member for household in self.households for member in household.members)


def synthesise_village(
    seed: int,
    division: str,
    name: str,
    *,
    persons: int,
    age_on: dt.date,
    collecting_days: int,
) -> Village:
    """A village of ``persons`` people (employees included) whose ages are those on ``age_on``."""
    source = random.Random(f"{seed}:{division}")
    ages = _ages(source, persons)
    serials: dict[tuple[dt.date, Sex], int] = {}
    households: list[Household] = []
    ordinal = 0
    for number, members in enumerate(_grouped(source, ages), 1):
        code = f"{division}-H{number:04d}"
        surname = source.choice(SURNAMES)
        people = []
        for age in members:
            ordinal += 1
            people.append(_resident(source, ordinal, code, surname, age, age_on, division, serials))
        channel = _weighted(source, CHANNELS) if source.random() < 0.965 else NEVER
        day = min(int(source.betavariate(1.6, 1.3) * collecting_days), collecting_days - 1)
        households.append(Household(code, channel, day, tuple(people)))
    return Village(division, name, tuple(households))


def _ages(source: random.Random, persons: int) -> list[int]:
    bands = source.choices([first for first, _ in PYRAMID], [share for _, share in PYRAMID], k=persons)
    return [band + source.randrange(5 if band < 85 else 10) for band in bands]


def _grouped(source: random.Random, ages: list[int]) -> list[list[int]]:
    """Households of one to six with at least one adult each."""
    adults = sorted((age for age in ages if age >= 22), key=lambda _: source.random())
    others = sorted((age for age in ages if age < 22), key=lambda _: source.random())
    groups: list[list[int]] = []
    while adults:
        size = source.choice((1, 2, 2, 2, 3))
        groups.append([adults.pop() for _ in range(min(size, len(adults)))])
    for index, age in enumerate(others):
        groups[(index * 7) % len(groups)].append(age)
    return groups


def _resident(
    source: random.Random,
    ordinal: int,
    household: str,
    surname: str,
    age: int,
    age_on: dt.date,
    division: str,
    serials: dict[tuple[dt.date, Sex], int],
) -> Resident:
    sex = source.choice((Sex.FEMALE, Sex.MALE))
    birth = _birth(source, age, age_on)
    number = _number(division[:6], birth, sex, serials)
    student = 6 <= age <= 21 and source.random() < (0.98 if age < 18 else 0.45)
    employee = 20 <= age <= 59 and not student and source.random() < 0.17
    pension = (
        16 <= full_years(birth, age_on) <= 59 and not student and not employee and source.random() < 0.78
    )
    listings = _listings(source, age, pension)
    tier = None
    if pension:
        listed = any(listing.insurance == "pension" for listing in listings)
        tier = 100 if listed else _weighted(source, TIERS)
    given = "".join(source.choices(GIVEN, k=source.choice((1, 2, 2))))
    return Resident(
        ordinal, surname + given, number, sex, birth, household, student, employee, tier, listings
    )


def _birth(source: random.Random, age: int, age_on: dt.date) -> dt.date:
    newest = age_on.replace(year=age_on.year - age)
    born = newest - dt.timedelta(days=source.randrange(365))
    return min(born, age_on - UNBORN)


def _number(county: str, birth: dt.date, sex: Sex, serials: dict[tuple[dt.date, Sex], int]) -> str:
    taken = serials.get((birth, sex), 0)
    serials[birth, sex] = taken + 1
    serial = 100 + 2 * taken + (sex is Sex.MALE)
    first17 = f"{county}{birth:%Y%m%d}{serial:03d}"
    return first17 + check_character(first17)


def _listings(source: random.Random, age: int, pension: bool) -> tuple[Listing, ...]:
    """ST-2020's lists (002:L329-372): hardship groups by their departments, the old by health."""
    found: list[tuple[str, str, bool]] = []
    if source.random() < 0.034:
        found.append(("CIVIL_AFFAIRS", "MINIMUM_LIVING", True))
    elif source.random() < 0.016:
        found.append(("DISABLED_FEDERATION", "SEVERELY_DISABLED", True))
    elif source.random() < 0.018:
        found.append(("POVERTY_RELIEF", "REGISTERED_POOR_NOT_LIFTED", True))
    elif age >= 60 and source.random() < 0.02:
        found.append(("CIVIL_AFFAIRS", "FIVE_GUARANTEE", False))
    elif age >= 70:
        found.append(("HEALTH", "ELDERLY_70_PLUS", False))
    elif age >= 60:
        found.append(("HEALTH", "ELDERLY_60_69", False))
    listings = [Listing(department, category, "medical") for department, category, _ in found]
    listings += [
        Listing(department, category, "pension") for department, category, both in found if both and pension
    ]
    return tuple(listings)


def _weighted(source: random.Random, choices: tuple[tuple[T, int], ...]) -> T:
    return source.choices([value for value, _ in choices], [weight for _, weight in choices])[0]
