"""What a rehearsal of ST-2020 will do, drawn from its seed: who pays where and when, and what goes wrong.

The people are those of ``residents``; some households are given a role in an injected event and are moved to
the channel and day it needs. Nothing here knows a person id: those come from registration.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from deploy.rehearsal.residents import (
    NEVER,
    Household,
    Listing,
    Resident,
    Village,
    synthesise_village,
)
from shared.kernel.division import campaign_id
from shared.policy import Pack

PERSONS = 1850
"""People of the whole village: about 1,650 of them pay medical and 665 pension."""

FEWEST = 60
CASH = "CASH_AGENT"
SELF_SERVICE = ("WECHAT", "ALIPAY", "ETAX")

DOUBLE, LOST_ANSWER, SHORT, OVER, LATE = "double", "lost_answer", "short", "over", "late"
DIED_UNPAID, PAID_DEAD, DIED_EARLY = "died_unpaid", "paid_dead", "died_early"
OMITTED, OBJECTOR = "omitted", "objector"

ROLES: Mapping[str, tuple[str, int, int]] = {
    # role: (channel, day of the collecting phase, agent)
    LOST_ANSWER: ("WECHAT", 3, 0),
    DOUBLE: (CASH, 4, 0),
    SHORT: (CASH, 5, 0),
    OVER: (CASH, 10, 1),
    DIED_EARLY: (CASH, 9, 0),
    DIED_UNPAID: (CASH, 11, 0),
    LATE: (CASH, 13, 1),
    PAID_DEAD: ("WECHAT", 16, 0),
    OMITTED: (CASH, 18, 0),
    OBJECTOR: (CASH, 7, 1),
}


@dataclass(frozen=True, slots=True)
class PlannedHousehold:
    """A household, its channel and day (None: never pays), the agent at its door, its role if it has one."""

    household: Household
    channel: str
    on: dt.date | None
    agent: str
    role: str = ""

    @property
    def payers(self) -> tuple[Resident, ...]:
        """Members who take part in the medical insurance and are on no list."""
        return tuple(
            member for member in self.household.members if not member.employee and not member.listings
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run will do. ``households`` in order; ``two_lists``: ordinals two departments claim."""

    pack: Pack
    seed: int
    scale: float
    place: str
    village: Village
    campaign: str
    agents: tuple[str, str]
    households: tuple[PlannedHousehold, ...]
    two_lists: tuple[int, ...]
    stranger: Resident
    roles: Mapping[str, PlannedHousehold] = field(default_factory=dict)

    @property
    def year(self) -> int:
        """Insured year."""
        return self.pack.insured_year

    @property
    def town(self) -> str:
        """Town code, 9 digits."""
        return self.village.division[:9]

    @property
    def unit(self) -> str:
        """The collecting unit (synthetic)."""
        return f"U-{self.town}"

    @property
    def virtual_household(self) -> str:
        """Id of the town's virtual household."""
        return f"VH-{self.town}"

    @property
    def account(self) -> str:
        """Reference of the unit's account, never a number."""
        return f"ACC-{self.town}"

    @property
    def roster(self) -> str:
        """Roster id of the village."""
        return f"{self.campaign}.{self.village.division}"

    @property
    def residents(self) -> tuple[Resident, ...]:
        """Everybody of the village."""
        return tuple(member for planned in self.households for member in planned.household.members)

    @property
    def omitted(self) -> Resident:
        """Who was forgotten at registration and objects to the roster."""
        return self.roles[OMITTED].payers[0]

    def day(self, offset: int) -> dt.date:
        """A day of the collecting phase, from 0."""
        return self.pack.collection.start + dt.timedelta(days=offset)

    def paying_on(self, day: dt.date) -> tuple[PlannedHousehold, ...]:
        """Households that pay on a day."""
        return tuple(planned for planned in self.households if planned.on == day)


def draw_plan(pack: Pack, place: str, seed: int, scale: float) -> Plan:
    """The plan of a seed. Raises ValueError for a place the pack does not name, or a scale of no people."""
    where = pack.place(place)
    if where is None:
        raise ValueError(f"没有此镇街 / the pack names no place {place}")
    if not 0 < scale <= 1:
        raise ValueError("scale must lie in (0, 1]")
    persons = max(FEWEST, round(PERSONS * scale))
    collecting = (pack.collection.end - pack.collection.start).days + 1
    division = f"{where.division}201"
    village = synthesise_village(
        seed,
        division,
        f"{where.name}合成村（演练）",
        persons=persons,
        age_on=dt.date(pack.insured_year - 1, 12, 31),
        collecting_days=collecting,
    )
    agents = (f"A-{division}-1", f"A-{division}-2")
    source = random.Random(f"{seed}:{division}:plan")
    planned = [_planned(source, pack, household, agents) for household in village.households]
    planned, roles = _cast(planned, pack, agents)
    planned, two_lists = _put_on_two_lists(planned)
    roles = {
        planned_household.role: planned_household for planned_household in planned if planned_household.role
    }
    outsider = synthesise_village(
        seed,
        f"{where.division}999",
        "外村（演练）",
        persons=FEWEST,
        age_on=dt.date(2019, 12, 31),
        collecting_days=1,
    ).residents[0]
    return Plan(
        pack, seed, scale, where.name, village, campaign_id(pack.region.division, pack.insured_year), agents,
        tuple(planned), two_lists, outsider, roles,
    )  # fmt: skip


def _planned(
    source: random.Random, pack: Pack, household: Household, agents: Sequence[str]
) -> PlannedHousehold:
    agent = agents[int(household.number[-1]) % 2]
    chance, shift = source.random(), source.randrange(30)
    if household.channel == NEVER:
        return PlannedHousehold(household, NEVER, None, "")
    on = pack.collection.start + dt.timedelta(days=household.day)
    if household.channel == CASH:
        return PlannedHousehold(household, CASH, on, agent)
    if chance < 0.06:  # before the agents start
        on = pack.collection.start - dt.timedelta(days=1 + shift % 4)
    elif chance < 0.18:  # after they ended, to the window's last day
        on = pack.collection.end + dt.timedelta(days=1 + shift)
    return PlannedHousehold(household, household.channel, on, "")


def _cast(
    planned: Sequence[PlannedHousehold], pack: Pack, agents: Sequence[str]
) -> tuple[list[PlannedHousehold], dict[str, PlannedHousehold]]:
    """Give each role to the first household with at least two payers that has none."""
    found = list(planned)
    roles: dict[str, PlannedHousehold] = {}
    free = (index for index, each in enumerate(planned) if len(each.payers) >= 2)
    for role, (channel, offset, agent) in ROLES.items():
        index = next(free, None)
        if index is None:
            raise ValueError("too few households for the injected events: raise the scale")
        on = pack.collection.start + dt.timedelta(days=offset)
        chosen = PlannedHousehold(
            planned[index].household, channel, on, agents[agent] if channel == CASH else "", role
        )
        found[index] = chosen
        roles[role] = chosen
    return found, roles


def _put_on_two_lists(
    planned: Sequence[PlannedHousehold],
) -> tuple[list[PlannedHousehold], tuple[int, ...]]:
    """Two severely disabled people whom 残联 and 民政 both list (D-27)."""
    found = list(planned)
    ordinals: list[int] = []
    for index, each in enumerate(planned):
        if each.role or not each.payers or len(ordinals) == 2:
            continue
        person = each.payers[0]
        listings = (
            Listing("DISABLED_FEDERATION", "SEVERELY_DISABLED", "medical"),
            Listing("CIVIL_AFFAIRS", "SEVERELY_DISABLED", "medical"),
        )
        members = tuple(
            replace(member, listings=listings, pension_tier=None) if member is person else member
            for member in each.household.members
        )
        found[index] = replace(each, household=replace(each.household, members=members))
        ordinals.append(person.ordinal)
    return found, tuple(ordinals)


def lists_of(plan: Plan) -> Iterator[tuple[tuple[str, str, str], list[Resident]]]:
    """(department, category, insurance) and who is on that list, in a fixed order."""
    lists: dict[tuple[str, str, str], list[Resident]] = {}
    for resident in plan.residents:
        if resident.employee:
            continue
        for listing in resident.listings:
            lists.setdefault((listing.department, listing.category, listing.insurance), []).append(resident)
    yield from sorted(lists.items(), key=lambda entry: entry[0])
