"""What a rehearsal does with each pack: who pays how, which departments list whom, on which days.

A script is data. Its channels are those of the pack's own list, its departments are the pack's; the days are
the pack's phases, and steps a plan does not print carry the reading and clause under which they are done.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

CASH = "CASH_AGENT"

COUNTY_PYRAMID = (
    (0, 55), (5, 65), (10, 55), (15, 45), (20, 40), (25, 60), (30, 80), (35, 65), (40, 65),
    (45, 85), (50, 90), (55, 70), (60, 65), (65, 65), (70, 45), (75, 28), (80, 16), (85, 11),
)  # fmt: skip
"""First age of a five-year band and its share in tenths of a percent: a Shandong county (synthetic)."""

SEAT_PYRAMID = (
    (0, 62), (5, 74), (10, 66), (15, 52), (20, 46), (25, 70), (30, 92), (35, 76), (40, 70),
    (45, 84), (50, 82), (55, 62), (60, 53), (65, 54), (70, 28), (75, 16), (80, 8), (85, 5),
)  # fmt: skip
"""The same of a county's seat, which is younger (synthetic)."""


@dataclass(frozen=True, slots=True)
class ChannelShare:
    """A channel of the pack and its share in percent of households; by_agent: at an agent's hand."""

    code: str
    weight: int
    by_agent: bool = False


@dataclass(frozen=True, slots=True)
class ListRule:
    """A list of a department: a category of hardship, its weight among them, and whether the department
    lists its people of pension age for the pension too."""

    department: str
    category: str
    weight: int
    pension: bool = False


@dataclass(frozen=True, slots=True)
class ElderlyRule:
    """Who lists the elderly, and under which categories; "" where nobody does."""

    department: str
    sixties: str = "ELDERLY_60_69"
    seventies: str = "ELDERLY_70_PLUS"


@dataclass(frozen=True, slots=True)
class StepReading:
    """Under which reading and clause a step is done that the pack's own flow does not print."""

    step: str
    reading: str
    clause: str


@dataclass(frozen=True, slots=True)
class Days:
    """Days of the calendar; what is empty is not done.

    Dates of the preparation; ``learn``: channels and agents learn the bills, self-service begins the day
    after. ``declare``: villages' takings in cash are declared. ``last``: the run's last day.
    """

    open: dt.date
    register: dt.date
    enrol: dt.date
    lists: dt.date
    tiers: dt.date
    roster: dt.date
    learn: dt.date
    apply: dt.date
    appropriate: dt.date
    transfer: dt.date
    government: dt.date
    last: dt.date
    sign: dt.date | None = None
    declare: dt.date | None = None
    stamp: dt.date | None = None
    late: dt.date | None = None


@dataclass(frozen=True)
class Offices:
    """Clients that speak for a campaign's offices: its supervision, its office in town, who pays refunds."""

    supervision: str = "tax"
    town: str = "tax-branch"
    refunds: str = "treasury"


@dataclass(frozen=True)
class Script:
    """A pack's rehearsal. exempt_ratio: exempt people per person counted by the task table; age_on: the day
    on which people's ages are drawn; households: the pack has virtual households; fallback: these take cash of
    special groups only, by an agent of their own (D-41); late_amount: what a late
    payer is expected to meet (a rule when the pack refuses, else empty)."""

    pack: str
    place: str
    days: Days
    channels: tuple[ChannelShare, ...]
    departments: Mapping[str, str]
    lists: tuple[ListRule, ...]
    elderly: ElderlyRule
    tiers: tuple[tuple[int, int], ...]
    exempt_ratio: float
    age_on: dt.date
    pyramid: tuple[tuple[int, int], ...] = COUNTY_PYRAMID
    areas: tuple[str, ...] = ()
    households: bool = True
    fallback: bool = False
    late_rule: str = ""
    offices: Offices = Offices()
    readings: tuple[StepReading, ...] = field(default=())

    @property
    def agent_channels(self) -> tuple[ChannelShare, ...]:
        """Channels at an agent's hand."""
        return tuple(each for each in self.channels if each.by_agent)

    @cached_property
    def at_hand(self) -> frozenset[str]:
        """Codes of the channels at an agent's hand."""
        return frozenset(each.code for each in self.agent_channels) | ({CASH} if self.fallback else set())

    @property
    def online(self) -> tuple[str, ...]:
        """Codes of the channels payers use themselves."""
        return tuple(each.code for each in self.channels if not each.by_agent)

    @property
    def filed(self) -> tuple[str, ...]:
        """Codes of the channels that settle by their own day file."""
        return tuple(each.code for each in self.channels if each.code != CASH)

    @property
    def cash(self) -> bool:
        """True where agents hold money of their own."""
        return self.fallback or any(each.code == CASH for each in self.channels)


def client_of(channel: str) -> str:
    """The development client that speaks for a channel, whatever the pack."""
    if channel == CASH:
        return "village-agent"
    return CHANNEL_CLIENTS.get(channel, "channel-pos")


CHANNEL_CLIENTS = {
    "WECHAT": "channel-wechat",
    "WECHAT_MINI_PROGRAM": "channel-wechat",
    "ALIPAY": "channel-alipay",
    "ETAX": "channel-etax",
    "AISHANDONG": "channel-etax",
}


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _days(**dates: str) -> Days:
    return Days(**{name: _day(text) for name, text in dates.items()})


TIERS_2020 = ((300, 62), (500, 18), (600, 6), (800, 5), (1000, 4), (1500, 2), (2000, 1), (3000, 1), (5000, 1))
TIERS_2025 = ((350, 60), (500, 19), (800, 8), (1000, 7), (3000, 3), (5000, 2), (8000, 1))

CIVIL, DISABLED, HEALTH = "civil-affairs", "disabled-persons-federation", "health"
POVERTY, VETERANS = "poverty-office", "veterans"

MANAGEMENT_AREAS = ("城区党委", "山亭", "岩底", "横岭", "刘庄", "南庄", "桃山", "官庄", "枣树岭", "三山")

SC_2025 = Script(
    pack="SC-2025",
    place="山城街道",
    days=_days(
        open="2024-09-01", register="2024-09-02", enrol="2024-09-03", lists="2024-09-08",
        tiers="2024-09-10", roster="2024-09-20", learn="2024-09-25", apply="2024-10-20",
        appropriate="2024-11-15", transfer="2024-11-20", government="2024-12-01", last="2025-02-03",
        late="2025-01-06", sign="2025-01-01",
    ),
    channels=(
        ChannelShare("YUNONGTONG", 27, by_agent=True),
        ChannelShare("POS", 9, by_agent=True),
        ChannelShare("WECHAT", 18),
        ChannelShare("WECHAT_MINI_PROGRAM", 14),
        ChannelShare("ALIPAY", 13),
        ChannelShare("AISHANDONG", 7),
        ChannelShare("ETAX", 6),
        ChannelShare("BANK_BRANCH", 6),
    ),
    departments={
        "CIVIL_AFFAIRS": CIVIL, "DISABLED_FEDERATION": DISABLED, "HEALTH": HEALTH,
        "RURAL_REVITALISATION": POVERTY, "VETERANS": VETERANS,
    },
    lists=(
        ListRule("CIVIL_AFFAIRS", "MINIMUM_LIVING", 44),
        ListRule("CIVIL_AFFAIRS", "DESTITUTE", 10),
        ListRule("CIVIL_AFFAIRS", "MARGINAL_LOW_INCOME", 10),
        ListRule("DISABLED_FEDERATION", "SEVERELY_DISABLED", 20, pension=True),
        ListRule("RURAL_REVITALISATION", "RELAPSE_MONITORED", 12),
        ListRule("VETERANS", "PREFERENTIAL", 4),
    ),
    elderly=ElderlyRule("HEALTH"),
    tiers=TIERS_2025,
    exempt_ratio=0.075,
    age_on=_day("2024-12-31"),
    pyramid=SEAT_PYRAMID,
    areas=MANAGEMENT_AREAS,
    households=False,
    readings=(StepReading("AGENTS", "carried_over", "003:L18 D-40"),),
)  # fmt: skip

ST_2020 = Script(
    pack="ST-2020",
    place="店子镇",
    days=_days(
        open="2019-10-01", register="2019-10-02", enrol="2019-10-03", lists="2019-10-08",
        tiers="2019-10-10", roster="2019-10-14", learn="2019-10-22", apply="2019-11-04",
        appropriate="2019-11-15", transfer="2019-11-20", government="2019-11-25", last="2020-01-05",
        sign="2019-11-21", declare="2019-11-26", stamp="2019-12-01", late="2019-12-23",
    ),
    channels=(
        ChannelShare(CASH, 46, by_agent=True),
        ChannelShare("WECHAT", 28),
        ChannelShare("ALIPAY", 14),
        ChannelShare("ETAX", 8),
        ChannelShare("MOBILE_BANK", 4),
    ),
    departments={
        "CIVIL_AFFAIRS": CIVIL, "DISABLED_FEDERATION": DISABLED, "HEALTH": HEALTH, "POVERTY_RELIEF": POVERTY,
    },
    lists=(
        ListRule("CIVIL_AFFAIRS", "MINIMUM_LIVING", 45, pension=True),
        ListRule("DISABLED_FEDERATION", "SEVERELY_DISABLED", 21, pension=True),
        ListRule("POVERTY_RELIEF", "REGISTERED_POOR_NOT_LIFTED", 24, pension=True),
        ListRule("CIVIL_AFFAIRS", "FIVE_GUARANTEE", 10),
    ),
    elderly=ElderlyRule("HEALTH"),
    tiers=TIERS_2020,
    exempt_ratio=0.155,
    age_on=_day("2019-12-31"),
    late_rule="FISCAL_SUBSIDY_UNKNOWN",
)  # fmt: skip

TIERS_2018 = ((300, 66), (500, 16), (600, 6), (800, 5), (1000, 4), (1500, 1), (2000, 1), (3000, 1))

DZ_2018 = Script(
    pack="DZ-2018",
    place="店子镇",
    offices=Offices("hr", "town-agency", "bank"),
    days=_days(
        open="2017-10-19", register="2017-10-20", enrol="2017-10-21", lists="2017-10-26",
        tiers="2017-10-30", roster="2017-11-01", learn="2017-11-05", apply="2017-11-17",
        appropriate="2017-12-01", transfer="2017-12-05", government="2017-12-08", last="2018-01-18",
        sign="2017-12-11", late="2018-01-04",
    ),
    channels=(
        ChannelShare(CASH, 84, by_agent=True),
        ChannelShare("SERVICE_COUNTER", 7),
        ChannelShare("HR_WEBSITE", 9),
    ),
    departments={
        "POVERTY_RELIEF": POVERTY, "CIVIL_AFFAIRS": CIVIL, "DISABLED_FEDERATION": DISABLED, "AGEING": HEALTH,
    },
    lists=(
        ListRule("CIVIL_AFFAIRS", "MINIMUM_LIVING", 42, pension=True),
        ListRule("DISABLED_FEDERATION", "SEVERELY_DISABLED", 22, pension=True),
        ListRule("POVERTY_RELIEF", "REGISTERED_POOR_NOT_LIFTED", 26, pension=True),
        ListRule("CIVIL_AFFAIRS", "FIVE_GUARANTEE", 10),
    ),
    elderly=ElderlyRule("AGEING"),
    tiers=TIERS_2018,
    exempt_ratio=0.155,
    age_on=_day("2017-12-31"),
    households=False,
    late_rule="FISCAL_SUBSIDY_UNKNOWN",
)  # fmt: skip

TIERS_2023 = ((300, 58), (500, 20), (600, 7), (800, 6), (1000, 4), (1500, 2), (2000, 1), (3000, 1), (5000, 1))

DZ_2022 = Script(
    pack="DZ-2022",
    place="店子镇",
    days=_days(
        open="2021-11-01", register="2021-11-02", enrol="2021-11-03", lists="2021-11-08",
        tiers="2021-11-10", roster="2021-11-12", learn="2021-11-18", apply="2021-12-06",
        appropriate="2021-12-13", transfer="2021-12-15", government="2021-12-17", last="2022-01-25",
        sign="2021-12-21", declare="2021-12-22", late="2021-12-23",
    ),
    channels=(
        ChannelShare("YUNONGTONG", 30, by_agent=True),
        ChannelShare("POS", 12, by_agent=True),
        ChannelShare("WECHAT", 16),
        ChannelShare("WECHAT_MINI_PROGRAM", 14),
        ChannelShare("ALIPAY", 12),
        ChannelShare("ETAX", 6),
        ChannelShare("MOBILE_BANK", 6),
        ChannelShare("BANK_BRANCH", 4),
    ),
    departments={
        "CIVIL_AFFAIRS": CIVIL, "DISABLED_FEDERATION": DISABLED, "HEALTH": HEALTH, "POVERTY_RELIEF": POVERTY,
    },
    lists=(
        ListRule("CIVIL_AFFAIRS", "MINIMUM_LIVING", 45),
        ListRule("DISABLED_FEDERATION", "SEVERELY_DISABLED", 22, pension=True),
        ListRule("POVERTY_RELIEF", "REGISTERED_POOR", 23),
        ListRule("CIVIL_AFFAIRS", "DESTITUTE", 10),
    ),
    elderly=ElderlyRule("HEALTH"),
    tiers=TIERS_2023,
    exempt_ratio=0.155,
    age_on=_day("2021-12-31"),
    fallback=True,
    late_rule="FISCAL_SUBSIDY_UNKNOWN",
)  # fmt: skip

YC_2023 = Script(
    pack="YC-2023",
    place="峄城区",
    days=_days(
        open="2022-10-01", register="2022-10-02", enrol="2022-10-03", lists="2022-10-06",
        tiers="2022-10-08", roster="2022-10-09", learn="2022-10-16", apply="2022-10-25",
        appropriate="2022-11-10", transfer="2022-11-15", government="2022-11-25", last="2023-01-31",
        sign="2022-12-21", late="2023-01-05",
    ),
    channels=(
        ChannelShare("POS", 30, by_agent=True),
        ChannelShare("WECHAT", 20),
        ChannelShare("WECHAT_MINI_PROGRAM", 14),
        ChannelShare("ALIPAY", 12),
        ChannelShare("UNIONPAY_QR", 6),
        ChannelShare("ETAX", 8),
        ChannelShare("BANK_BRANCH", 6),
        ChannelShare("SERVICE_COUNTER", 4),
    ),
    departments={
        "CIVIL_AFFAIRS": CIVIL, "DISABLED_FEDERATION": DISABLED, "AGEING": HEALTH,
        "RURAL_REVITALISATION": POVERTY, "VETERANS": VETERANS,
    },
    lists=(
        ListRule("CIVIL_AFFAIRS", "FIVE_GUARANTEE", 26, pension=True),
        ListRule("DISABLED_FEDERATION", "SEVERELY_DISABLED", 30, pension=True),
        ListRule("RURAL_REVITALISATION", "LIFTED_STILL_SUPPORTED", 34),
        ListRule("VETERANS", "PREFERENTIAL", 10),
    ),
    elderly=ElderlyRule("AGEING"),
    tiers=TIERS_2023,
    exempt_ratio=0.155,
    age_on=_day("2022-12-31"),
    households=False,
)  # fmt: skip

SCRIPTS: Mapping[str, Script] = {
    script.pack: script for script in (SC_2025, YC_2023, DZ_2022, ST_2020, DZ_2018)
}
