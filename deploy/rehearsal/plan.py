"""What a rehearsal will do, drawn from its seed: who pays where and when, and what goes wrong.

The people are those of ``residents``, a village at a time. Some households of the first village are given a
role in an injected case and are moved to the channel and day it needs. Nothing here knows a person id: those
come from registration.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from deploy.rehearsal.population import WHOLE_TABLE, Population, VillageSize, draw_population
from deploy.rehearsal.residents import (
    NEVER,
    PER_VILLAGE,
    Household,
    Listing,
    Resident,
    Village,
    number_of,
    synthesise_village,
)
from deploy.rehearsal.script import CASH, SCRIPTS, Script
from deploy.rehearsal.turnover import Turnover, is_newborn
from shared.kernel.division import campaign_id
from shared.kernel.identity import Sex
from shared.policy import Pack
from shared.policy.terms import AgeMode, ChannelKind

DOUBLE, LOST_ANSWER, ANSWERED_TWICE = "double", "lost_answer", "answered_twice"
SHORT, OVER, LATE = "short", "over", "late"
DIED_UNPAID, PAID_DEAD, DIED_EARLY = "died_unpaid", "paid_dead", "died_early"
OMITTED, OBJECTOR = "omitted", "objector"
OUT_OF_WINDOW, LATE_PAYER, MISFILED, LATE_FILE = "out_of_window", "late_payer", "misfiled", "late_file"
YEAR_LATER, FALLBACK = "year_later", "fallback"

BIRTHDAY = "birthday"
BORN_ON = (12, 1)
"""Whose half price waits for his birthday online turns 60 on this day of the window (004:L203-207)."""

ONLINE = "ONLINE"
AGENT = "AGENT"
NOBODY = "NOBODY"

ROLES: Mapping[str, tuple[str, int, int, int]] = {
    # role: (kind of channel, day of the collecting phase, agent, payers at least)
    LOST_ANSWER: (ONLINE, 3, 0, 1),
    DOUBLE: (AGENT, 4, 0, 1),
    SHORT: (AGENT, 5, 0, 1),
    OBJECTOR: (AGENT, 7, 1, 2),
    ANSWERED_TWICE: (ONLINE, 8, 0, 1),
    DIED_EARLY: (AGENT, 9, 0, 1),
    OVER: (AGENT, 10, 1, 1),
    DIED_UNPAID: (AGENT, 11, 0, 2),
    MISFILED: (ONLINE, 12, 0, 1),
    LATE: (AGENT, 13, 1, 1),
    LATE_FILE: (ONLINE, 15, 0, 1),
    PAID_DEAD: (ONLINE, 16, 0, 1),
    OMITTED: (AGENT, 18, 0, 1),
    OUT_OF_WINDOW: (NOBODY, 0, 0, 1),
    LATE_PAYER: (NOBODY, 0, 0, 1),
    YEAR_LATER: (NOBODY, 0, 0, 1),
}
DIE = (DIED_UNPAID, PAID_DEAD, DIED_EARLY)
"""Roles whose first payer dies."""
CASH_ROLES = frozenset({SHORT, OVER, LATE})
NOTICE_ROLES = frozenset({OBJECTOR, OMITTED})

EARLY_SHARE = 0.06
"""Of those who pay themselves: before the collecting phase."""
TAIL_SHARE = 0.12
"""Of those who pay themselves: after agents have ended, where the window goes on."""


@dataclass(frozen=True, slots=True)
class PlannedHousehold:
    """A household, its channel and day (None: never pays), the agent at its door, its role if it has one.

    pension_on: the day it pays the pension by an order of its own, where that opens later; else None.
    """

    household: Household
    channel: str
    on: dt.date | None
    agent: str
    role: str = ""
    pension_on: dt.date | None = None

    @property
    def payers(self) -> tuple[Resident, ...]:
        """Members who owe something in medical and stand on no list."""
        return self.household.payers


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run will do. roles: households of the first village, by role; before: the plan of the year
    before on the same databases; goes_on: another year follows."""

    pack: Pack
    script: Script
    seed: int
    scale: float
    place: str
    population: Population
    campaign: str
    roles: Mapping[str, PlannedHousehold] = field(default_factory=dict)
    two_lists: tuple[int, ...] = ()
    mistyped: int = 0
    birthday: int = 0
    stranger: Resident | None = None
    goes_on: bool = False
    before: Plan | None = None
    drawn: dict[VillageSize, Village] = field(default_factory=dict, compare=False, repr=False)
    """Villages drawn before, as long as there is room: every file of a campaign goes over all of them."""

    @property
    def year(self) -> int:
        """Insured year."""
        return self.pack.insured_year

    @property
    def run(self) -> str:
        """What keys and order numbers of the run begin with: the seed, and the year of one that follows."""
        return str(self.seed) if self.before is None else f"{self.seed}y{self.year % 100:02d}"

    @property
    def turnover(self) -> Turnover:
        """Who goes on from the year before."""
        if self.before is None:
            raise ValueError("no year before")
        roles = self.before.roles
        dead = frozenset(roles[role].payers[0].ordinal for role in DIE if role in roles)
        return Turnover(self.year, self.script, dead, alone=len(self.villages) < 2)

    def registers(self, person: Resident) -> bool:
        """True for somebody the run registers; in a year that follows, the newborn."""
        return self.before is None or is_newborn(person.ordinal)

    @property
    def villages(self) -> tuple[VillageSize, ...]:
        """Villages of the run, in order."""
        return self.population.villages

    @property
    def cast(self) -> VillageSize:
        """The village in which everything injected happens."""
        return self.population.villages[0]

    @property
    def omitted(self) -> Resident | None:
        """Who was forgotten at registration and objects to the roster; None without a roster notice."""
        role = self.roles.get(OMITTED)
        return role.payers[0] if role is not None else None

    def agents(self, village: VillageSize) -> tuple[str, ...]:
        """The agents of a village: two in the first, else one."""
        count = 2 if village.number == 1 else 1
        year = f"-{self.year % 100:02d}" if self.before is not None else ""
        return tuple(f"A-{village.division}-{number}{year}" for number in range(1, count + 1))

    def cash_agent(self, village: VillageSize) -> str:
        """The agent of a village who takes nothing but special groups' cash; "" where every agent takes cash."""
        return f"A-{village.division}-C" if self.script.fallback else ""

    def hands(self, village: VillageSize) -> tuple[tuple[str, frozenset[str], str], ...]:
        """Agents of a village with the channels at their hand and their virtual household, "" for none."""
        script, household = self.script, self.virtual_household(village.town)
        if not script.fallback:
            return tuple((agent, script.at_hand, household) for agent in self.agents(village))
        plain = tuple((agent, script.at_hand - {CASH}, "") for agent in self.agents(village))
        return (*plain, (self.cash_agent(village), frozenset({CASH}), household))

    def unit(self, town: str) -> str:
        """A town's collecting unit (synthetic)."""
        return f"U-{town}"

    def virtual_household(self, town: str) -> str:
        """Id of a town's virtual household; "" where the pack has none."""
        return f"VH-{town}" if self.script.households else ""

    def account(self, town: str) -> str:
        """Reference of the unit's account, never a number."""
        return f"ACC-{town}"

    def roster(self, village: VillageSize) -> str:
        """Roster id of a village."""
        return f"{self.campaign}.{village.division}"

    def day(self, offset: int) -> dt.date:
        """A day of the collecting phase, from 0."""
        return self.pack.collection.start + dt.timedelta(days=offset)

    @property
    def batches(self) -> list[tuple[VillageSize, ...]]:
        """Villages in batches of some thousand people, for files."""
        return list(_batches(self.population.villages))

    def village(self, size: VillageSize) -> Village:
        """The people of a village; those of the first with the cases put on two lists."""
        made = self._people(size)
        if size.number == 1 and self.two_lists:
            made = _on_two_lists(made, self.two_lists)
        if size.number == 1 and self.birthday:
            made = _turning_sixty(made, self.birthday, self.year - 1)
        return made

    def _people(self, size: VillageSize) -> Village:
        """The people of a village before anything is put on for the cases."""
        found = self.drawn.get(size)
        if found is None:
            if self.before is not None:
                found = self.turnover.follow(self.before._people(size))
            else:
                found = synthesise_village(self.seed, size, self.script)
            if sum(each.persons for each in self.drawn) + size.persons <= DRAWN_PERSONS:
                self.drawn[size] = found
        return found

    def households(self, size: VillageSize) -> Iterator[PlannedHousehold]:
        """What the households of a village will do."""
        by_number = {role.household.number: role for role in self.roles.values()} if size.number == 1 else {}
        spans = Spans.of(self)
        for household in self.village(size).households:
            yield by_number.get(household.number) or planned_household(self, spans, size, household)


BATCH_PERSONS = 6000
DRAWN_PERSONS = 500_000
"""People kept in memory, about half a KiB each: a district's. The villages beyond them are drawn anew."""


def _batches(villages: Sequence[VillageSize]) -> Iterator[tuple[VillageSize, ...]]:
    batch: list[VillageSize] = []
    for village in villages:
        batch.append(village)
        if sum(each.persons for each in batch) >= BATCH_PERSONS:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def village_number(ordinal: int) -> int:
    """The village a resident's ordinal belongs to."""
    return ordinal // PER_VILLAGE


def draw_plan(
    pack: Pack, place: str, seed: int, scale: float, villages: int = 0, *, goes_on: bool = False
) -> Plan:
    """The plan of a seed. goes_on: another year will follow.

    Raises ValueError for a pack without a script, an unknown place, no people.
    """
    script = SCRIPTS.get(pack.id)
    if script is None:
        raise ValueError(f"没有此政策包的演练 / no rehearsal of pack {pack.id}")
    population = draw_population(pack, script, place or script.place, scale, villages)
    campaign = campaign_id(pack.region.division, pack.insured_year)
    plan = Plan(pack, script, seed, scale, population.place, population, campaign, goes_on=goes_on)
    return _cast(plan)


def follow_plan(before: Plan, pack: Pack) -> Plan:
    """The plan of the year after on the same databases: the same places a year older; pack: a copy for that year."""
    years = pack.insured_year - before.year
    days = before.script.days
    moved = {
        each.name: day.replace(year=day.year + years)
        for each in fields(days)
        if (day := getattr(days, each.name)) is not None
    }
    age_on = before.script.age_on
    script = replace(
        before.script,
        pack=pack.id,
        days=replace(days, **moved),
        age_on=age_on.replace(year=age_on.year + years),
    )
    campaign = campaign_id(pack.region.division, pack.insured_year)
    population = replace(before.population, scope=WHOLE_TABLE)
    plan = Plan(pack, script, before.seed, before.scale, before.place, population, campaign, before=before)
    return _cast(plan)


def nobody(plan: Plan) -> Plan:
    """The plan without its people: the days of a campaign and nothing in them."""
    return replace(plan, population=replace(plan.population, villages=()), roles={}, two_lists=(), mistyped=0)


@dataclass(frozen=True, slots=True)
class Spans:
    """Days on which people pay. days: of the collecting phase; tail: days after it; early: days before it."""

    start: dt.date
    days: int
    tail: int
    opening: dt.date
    early: int
    pension: dt.date
    end: dt.date

    @classmethod
    def of(cls, plan: Plan) -> Spans:
        """The spans of a plan's pack."""
        collection, window = plan.pack.collection, plan.pack.window("medical")
        opening = max(plan.script.days.learn + dt.timedelta(days=1), window.start)
        return cls(
            collection.start,
            (collection.end - collection.start).days + 1,
            (window.end - collection.end).days,
            opening,
            (collection.start - opening).days,
            plan.pack.window("pension").start,
            collection.end,
        )


def planned_household(plan: Plan, spans: Spans, size: VillageSize, household: Household) -> PlannedHousehold:
    """When and where a household pays: agents call on certain days, the rest is the payer's choice."""
    if household.channel == NEVER:
        return PlannedHousehold(household, NEVER, None, "")
    share, channel = household.moment, household.channel
    day = min(int(share * spans.days), spans.days - 1)
    if channel in plan.script.at_hand:
        agents = plan.agents(size)
        if plan.script.fallback and of_special_groups(household):
            agents, channel = (plan.cash_agent(size),), CASH
        on = spans.start + dt.timedelta(days=_visiting_day(day, size, spans.days))
        return PlannedHousehold(household, channel, on, agents[household.number % len(agents)])
    chance = (household.number * 37 % 100) / 100
    if chance < EARLY_SHARE and spans.early > 0:
        on = spans.opening + dt.timedelta(days=int(share * spans.early))
        later = spans.pension + dt.timedelta(days=2 + int(share * 20)) if on < spans.pension else None
        return PlannedHousehold(household, channel, on, "", pension_on=later)
    if chance < EARLY_SHARE + TAIL_SHARE and spans.tail > 0:
        on = spans.end + dt.timedelta(days=1 + int(share * spans.tail))
        return PlannedHousehold(household, channel, on, "")
    return PlannedHousehold(household, channel, spans.start + dt.timedelta(days=day), "")


def of_special_groups(household: Household) -> bool:
    """True when everybody who could owe something stands on a list, and somebody of them does (D-41)."""
    members = [each for each in household.members if not each.employee]
    return all(each.listings for each in members) and any(not each.exempt for each in members)


def _visiting_day(day: int, size: VillageSize, days: int) -> int:
    """Agents go round every third day, each village on its own; in the first village daily."""
    if size.number == 1:
        return day
    return min(day - (day - size.number) % 3 + 2, days - 1) if days > 3 else day


def _cast(plan: Plan) -> Plan:
    """Give each role to the first household of the first village that fits and has none."""
    village = plan.village(plan.cast)
    notice = plan.pack.notice("ROSTER") is not None
    online = next(each.code for each in plan.script.channels if not each.by_agent)
    roles: dict[str, PlannedHousehold] = {}
    free = [household for household in village.households if household.payers]
    if plan.before is not None and YEAR_LATER in plan.before.roles:
        busy = plan.before.roles[YEAR_LATER].household.number
        free = [household for household in free if household.number != busy]
    agents = plan.agents(plan.cast)
    of_all = plan.script.cash and not plan.script.fallback
    if plan.script.fallback:
        special = next((each for each in village.households if of_special_groups(each)), None)
        if special is None:
            raise ValueError("too few special groups for the injected cases: raise the scale")
        cash_agent = plan.cash_agent(plan.cast)
        roles[FALLBACK] = PlannedHousehold(special, CASH, plan.day(6), cash_agent, FALLBACK)
    for role, (kind, offset, agent, payers) in ROLES.items():
        if (role in CASH_ROLES and not of_all) or (role in NOTICE_ROLES and not notice):
            continue
        if role == YEAR_LATER and not plan.goes_on:
            continue
        fits = [each for each in free if len(each.payers) >= payers and _suits(plan, role, each)]
        chosen = fits[0] if fits else None
        if chosen is None:
            raise ValueError("too few households for the injected cases: raise the scale")
        free.remove(chosen)
        if kind == AGENT:
            channel = CASH if of_all else plan.script.agent_channels[0].code
            roles[role] = PlannedHousehold(chosen, channel, plan.day(offset), agents[agent], role)
        elif kind == ONLINE:
            roles[role] = PlannedHousehold(chosen, online, plan.day(offset), "", role)
        else:
            roles[role] = PlannedHousehold(chosen, NEVER, None, "", role)
    birthday = 0
    if plan.pack.age_reference(ChannelKind.ONLINE).mode is AgeMode.PAYMENT_DATE:
        birthday, household = _elder(free)
        free.remove(household)
        roles[BIRTHDAY] = PlannedHousehold(household, NEVER, None, "", BIRTHDAY)
    listed = [member.ordinal for household in free for member in household.members if _hard(member)]
    listed += [
        member.ordinal
        for household in village.households
        for member in household.members
        if _hard(member) and member.ordinal not in listed
    ]
    if len(listed) < 3:
        raise ValueError("too few listed people for the injected cases: raise the scale")
    return replace(
        plan, roles=roles, two_lists=tuple(listed[:2]), mistyped=listed[2], birthday=birthday,
        stranger=_stranger(plan),
    )  # fmt: skip


def _suits(plan: Plan, role: str, household: Household) -> bool:
    """Who was omitted in a year that follows is a newborn, and nobody else is; who pays a year later is there."""
    newborn = is_newborn(household.payers[0].ordinal)
    if role == OMITTED:
        return newborn == (plan.before is not None)
    if role == YEAR_LATER:
        turnover = Turnover(plan.year + 1, plan.script, alone=len(plan.villages) < 2)
        return household.channel != NEVER and not any(turnover.fate(each) for each in household.members)
    return not newborn


def _elder(free: Sequence[Household]) -> tuple[int, Household]:
    """Somebody who pays half, and his household."""
    for household in free:
        for member in household.members:
            if not member.exempt and any(each.category.startswith("ELDERLY") for each in member.listings):
                return member.ordinal, household
    raise ValueError("too few elderly people for the injected cases: raise the scale")


def _turning_sixty(village: Village, ordinal: int, year: int) -> Village:
    """The person born so that his sixtieth birthday lies in the window, with the number that says so."""
    birth = dt.date(year - 60, *BORN_ON)
    households = []
    for household in village.households:
        members = tuple(
            _born(member, birth) if member.ordinal == ordinal else member for member in household.members
        )
        households.append(replace(household, members=members))
    return Village(village.size, tuple(households))


def _born(member: Resident, birth: dt.date) -> Resident:
    number = number_of(member.number[:6], birth, 998 + (member.sex is Sex.MALE))
    return Resident(
        member.ordinal, member.name, number, member.sex, birth, member.household, member.student,
        member.employee, member.exempt, member.pension_tier, member.listings,
    )  # fmt: skip


def _hard(member: Resident) -> bool:
    """Listed for hardship, and for medical only: nothing else of his hangs on the list."""
    return (
        member.exempt and len(member.listings) == 1 and not member.listings[0].category.startswith("ELDERLY")
    )


def _stranger(plan: Plan) -> Resident:
    """Somebody of nowhere, whom nobody registers."""
    nowhere = replace(
        plan.cast, number=999, division=f"{plan.cast.town}254", medical=20, exempt=2, pension=0, employees=0
    )
    return synthesise_village(plan.seed, nowhere, plan.script).residents[0]


def _on_two_lists(village: Village, ordinals: Sequence[int]) -> Village:
    """People two departments claim as severely disabled (D-27)."""
    listings = tuple(
        Listing(department, "SEVERELY_DISABLED", "medical")
        for department in ("DISABLED_FEDERATION", "CIVIL_AFFAIRS")
    )
    wanted = set(ordinals)
    households = []
    for household in village.households:
        if any(member.ordinal in wanted for member in household.members):
            members = tuple(
                _claimed(member, listings) if member.ordinal in wanted else member
                for member in household.members
            )
            household = replace(household, members=members)
        households.append(household)
    return Village(village.size, tuple(households))


def _claimed(member: Resident, listings: tuple[Listing, ...]) -> Resident:
    return Resident(
        member.ordinal, member.name, member.number, member.sex, member.birth, member.household,
        member.student, member.employee, True, member.pension_tier, listings,
    )  # fmt: skip


def lists_of_town(plan: Plan, town: str) -> dict[tuple[str, str, str], list[Resident]]:
    """(department, category, insurance) -> who is on that list in a town, in a fixed order."""
    lists: dict[tuple[str, str, str], list[Resident]] = {}
    for size in plan.population.of_town(town):
        for resident in plan.village(size).each():
            for listing in resident.listings:
                lists.setdefault((listing.department, listing.category, listing.insurance), []).append(
                    resident
                )
    return dict(sorted(lists.items()))
