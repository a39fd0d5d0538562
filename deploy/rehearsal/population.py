"""How many people live where: the places of a pack, exact to its task table, split into villages.

Figures come from the pack: its task table where it has one, else the size D-56 gives a place. What no plan
prints (sizes of single villages, which village lies in which 管区, who is exempt) is synthetic and the same
whatever the seed; only the people themselves are drawn from it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.rehearsal.script import Script
from shared.policy import Pack

WHOLE_TABLE = "ALL"
CAST_PERSONS = 110
"""Fewest people of the first village: every injected case has its own household there."""
CAST_EXEMPT = 24
FEWEST = 12
FIRST_VILLAGE = 201
"""Village codes are synthetic: the town's nine digits and a number from here on."""


@dataclass(frozen=True, slots=True)
class VillageSize:
    """People of one village (or community). medical: enrolled in medical, the exempt included; pension: of
    them in the pension too; employees: live there besides. area: 管区 or town it belongs to (synthetic)."""

    number: int
    division: str
    name: str
    town: str
    area: str
    medical: int
    exempt: int
    pension: int
    employees: int

    @property
    def paying(self) -> int:
        """Who owes something himself."""
        return self.medical - self.exempt

    @property
    def persons(self) -> int:
        """Everybody of the village."""
        return self.medical + self.employees


@dataclass(frozen=True, slots=True)
class Town:
    """A town or sub-district of the run: code of nine digits, name, its place in the order of towns."""

    number: int
    division: str
    name: str


@dataclass(frozen=True, slots=True)
class Population:
    """The villages of a run, in order; scope: whom the pack's task table counts (ALL or EXCL_EXEMPT)."""

    place: str
    division: str
    scope: str
    towns: tuple[Town, ...]
    villages: tuple[VillageSize, ...]

    @property
    def medical(self) -> int:
        """Everybody enrolled in medical."""
        return sum(village.medical for village in self.villages)

    @property
    def pension(self) -> int:
        """Everybody enrolled in the pension."""
        return sum(village.pension for village in self.villages)

    @property
    def persons(self) -> int:
        """Everybody."""
        return sum(village.persons for village in self.villages)

    def of_town(self, town: str) -> tuple[VillageSize, ...]:
        """Villages of a town's code."""
        return tuple(village for village in self.villages if village.town == town)


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that sum to ``total``, in proportion to the weights (largest remainder)."""
    whole = sum(weights)
    shares = [total * weight / whole for weight in weights]
    found = [int(share) for share in shares]
    rest = sorted(range(len(weights)), key=lambda index: (found[index] - shares[index], index))
    for index in rest[: total - sum(found)]:
        found[index] += 1
    return found


def draw_population(
    pack: Pack, script: Script, place: str, scale: float = 1.0, villages: int = 0
) -> Population:
    """The villages of a place; at scale 1 their sums are the plan's, to the person.

    place: a town of the pack, or its region for all of them. villages: only so many of each town (0: all).
    Raises ValueError for a place the pack does not name.
    """
    towns = _towns(pack, place)
    sizes: list[VillageSize] = []
    for town in towns:
        found = _villages(pack, script, town)
        sizes += found[:villages] if villages else found
    numbered = [_scaled(size, number, scale) for number, size in enumerate(sizes, 1)]
    table = pack.task_table
    whole = len(towns) != 1 or towns[0].division == pack.region.division
    name = (pack.region.short_name or pack.region.name) if whole else towns[0].name
    return Population(
        name,
        pack.region.division if whole else towns[0].division,
        table.scope if table is not None else WHOLE_TABLE,
        tuple(towns),
        tuple(numbered),
    )


def _towns(pack: Pack, place: str) -> list[Town]:
    region = pack.region
    wanted = {region.name, region.short_name, region.division} - {""}
    # the region's own name may be written with or without the counties above it
    if place in wanted or region.name.endswith(place):
        chosen = list(pack.document.places)
    else:
        found = pack.place(place)
        if found is None:
            raise ValueError(f"没有此镇街 / the pack names no place {place}")
        chosen = [found]
    order = {each.division: number for number, each in enumerate(pack.document.places)}
    return [Town(order[each.division], each.division, each.name) for each in chosen]


def _villages(pack: Pack, script: Script, town: Town) -> list[VillageSize]:
    place = pack.place(town.division)
    if place is None:
        raise ValueError(town.division)
    table = pack.task_table
    if table is not None and table.unit_term == "村居":
        names = [row.name for row in table.rows]
        counted = [row.medical_persons for row in table.rows]
    else:
        names = [f"{town.name}{number:02d}村（合成）" for number in range(1, place.villages + 1)]
        source = random.Random(f"villages:{town.division}")
        weights = [source.lognormvariate(0.0, 0.45) for _ in names]
        counted = apportion(place.medical_persons, weights)
    excluded = table is not None and table.scope != WHOLE_TABLE
    pension = apportion(place.pension_persons, counted)
    areas = script.areas or (town.name,)
    found = []
    for index, (name, count, pensioners) in enumerate(zip(names, counted, pension, strict=True)):
        exempt = round(count * script.exempt_ratio)
        medical = count + exempt if excluded else count
        found.append(
            VillageSize(
                0, f"{town.division}{FIRST_VILLAGE + index}", name, town.division,
                areas[index * len(areas) // len(names)], medical, exempt, pensioners, round(medical * 0.01),
            )
        )  # fmt: skip
    return found


def _scaled(size: VillageSize, number: int, scale: float) -> VillageSize:
    """A village shrunk by the scale; the first keeps enough people for every injected case."""
    if not 0 < scale <= 1:
        raise ValueError("scale must lie in (0, 1]")
    fewest = CAST_PERSONS if number == 1 else FEWEST
    paying = max(round(size.paying * scale), min(size.paying, fewest))
    exempt = max(round(size.exempt * scale), CAST_EXEMPT if number == 1 else 1)
    ratio = size.pension / max(size.paying, 1)
    pension = size.pension if paying == size.paying else round(paying * ratio)
    return VillageSize(
        number, size.division, size.name, size.town, size.area, paying + exempt, exempt, pension,
        max(round(size.employees * scale), 5 if number == 1 else 1),
    )  # fmt: skip
