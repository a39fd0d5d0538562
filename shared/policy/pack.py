"""A compiled policy pack: the document plus the lookups that decisions need. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

import msgspec

from shared.kernel.money import Fen, yuan
from shared.policy.model import (
    Channel,
    FlowStep,
    Notice,
    PackDocument,
    Parameter,
    Phase,
    Place,
    Region,
    TaskTable,
)
from shared.policy.provisions import AgeReference, Category, Department, Tier
from shared.policy.terms import (
    ChannelKind,
    HouseholdMode,
    Insurance,
    Named,
    NoticeKind,
    Number,
    PhaseKind,
    Span,
)

_Named = TypeVar("_Named", bound=Named)


class PackRef(msgspec.Struct, frozen=True):
    """Which pack decided: every assessment, event and message carries it."""

    id: str
    version: int
    digest: str


def digest_of(document: PackDocument) -> str:
    """SHA-256 hex of the canonical JSON of the typed content; layout and comments don't count."""
    return hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()


def normal_name(name: str) -> str:
    """The form in which codes and Chinese terms are compared: no blanks, upper case, ``-`` is ``_``."""
    text = "".join(name.split()).upper().replace("-", "_")
    return text.replace("（", "(").replace("）", ")")


class Pack:
    """One policy pack, immutable, with its lookups made once on load."""

    def __init__(self, document: PackDocument) -> None:
        self.document = document
        self.id = document.id
        self.version = document.version
        self.insured_year = document.insured_year
        self.digest = digest_of(document)
        self.ref = PackRef(self.id, self.version, self.digest)
        self.region: Region = document.region
        self.year_start = dt.date(document.insured_year, 1, 1)
        self.year_end = dt.date(document.insured_year, 12, 31)
        self.age_date = dt.date(document.insured_year - 1, 12, 31)
        self.tiers: tuple[int, ...] = tuple(tier.yuan for tier in document.pension.tiers)
        self.flow: tuple[FlowStep, ...] = document.flow
        self.task_table: TaskTable | None = document.task_table
        self._tiers: dict[int, Tier] = {tier.yuan: tier for tier in document.pension.tiers}
        self._categories = _names(document.categories)
        self._departments = _names(document.departments)
        self._channels = _names(document.channels)
        self._parameters = {p.name: p for p in document.parameters}
        self._parameter_names = {
            normal_name(name): p.name for p in document.parameters for name in (p.name, *p.aliases)
        }
        self._notices: dict[str, Notice] = {n.kind.value: n for n in document.notices}
        self._closures = {c.code: _closure(c.code, document.categories) for c in document.categories}
        collections = [phase for phase in document.phases if phase.kind is PhaseKind.COLLECTION]
        if len(collections) != 1:
            raise ValueError("phases: exactly one is a COLLECTION")
        self._collection = collections[0]
        self._windows: dict[str, Span] = {
            Insurance.MEDICAL: document.windows.medical,
            Insurance.PENSION: document.windows.pension,
        }

    def __repr__(self) -> str:
        return f"Pack({self.id!r}, version={self.version})"

    # -- calendar ---------------------------------------------------------------------------

    def window(self, insurance: str) -> Span:
        """集中征缴期 of an insurance. Raises KeyError for an unknown insurance."""
        return self._windows[insurance]

    @property
    def collection(self) -> Phase:
        """集中缴费阶段: the days in which agents collect."""
        return self._collection

    def phase_on(self, day: dt.date) -> Phase | None:
        """Phase that holds ``day``; None in a gap (ST-2020 11-21..11-25, D-25) or outside."""
        for phase in self.document.phases:
            if phase.holds(day):
                return phase
        return None

    def notice_days(self, kind: str) -> int | None:
        """Days a notice must run at least; None when the pack has no such notice or no period."""
        notice = self._notices.get(kind)
        return None if notice is None else notice.days

    def notice(self, kind: str | NoticeKind) -> Notice | None:
        """The notice itself, with its clause; None when the pack has none."""
        return self._notices.get(str(kind))

    # -- channels ---------------------------------------------------------------------------

    def channel(self, name: str) -> Channel | None:
        """Channel by code, Chinese term or alias; None when the pack does not name it."""
        return self._channels.get(name) or self._channels.get(normal_name(name))

    def is_agent_channel(self, channel: str) -> bool:
        """True when only agents (代办员) use the channel; the roster then binds (NOT_ON_ROSTER)."""
        found = self.channel(channel)
        return found is not None and found.kinds == (ChannelKind.AGENT,)

    def channel_open(
        self, channel: str, insurance: str, by_agent: bool = False, extended_to: dt.date | None = None
    ) -> tuple[dt.date, dt.date] | None:
        """First and last day the pack opens a channel for an insurance, or None when it never does.

        Agents collect in the collection phase, self-service in the legal window (D-25, D-26, D-47);
        a later ``extended_to`` moves the window's end, and the agents' where both ended together.
        """
        found = self.channel(channel)
        if found is None or insurance not in found.insurances:
            return None
        span = self._windows[insurance]
        end = span.end if extended_to is None else max(span.end, extended_to)
        agent = by_agent or found.kinds == (ChannelKind.AGENT,)
        if not agent:
            return span.start, end
        if ChannelKind.AGENT not in found.kinds:
            return None
        last = end if self._collection.end == span.end else min(self._collection.end, end)
        return max(self._collection.start, span.start), last

    def channel_allowed(
        self,
        insurance: str,
        channel: str,
        day: dt.date,
        by_agent: bool = False,
        extended_to: dt.date | None = None,
    ) -> bool:
        """True when the pack names the channel for the insurance and it is open on ``day``.

        The legal window only; a late payment after it is assessed first (:func:`shared.policy.assess`).
        """
        opened = self.channel_open(channel, insurance, by_agent, extended_to)
        return opened is not None and opened[0] <= day <= opened[1]

    def receipt_required(self, channel: str) -> bool:
        """True when the agent must issue a village receipt (收据) for money taken by the channel."""
        found = self.channel(channel)
        return found is not None and found.receipt

    # -- people -----------------------------------------------------------------------------

    def category(self, name: str) -> Category | None:
        """Category by code, Chinese term or alias; None when the pack does not know it."""
        return self._categories.get(name) or self._categories.get(normal_name(name))

    def department(self, name: str) -> Department | None:
        """Department by code, Chinese term or alias; None when the pack does not name it."""
        return self._departments.get(name) or self._departments.get(normal_name(name))

    def identities(self, code: str) -> frozenset[str]:
        """The category and all it implies (五保 ⊂ 特困, D-30)."""
        return self._closures[code]

    def age_reference(self, kind: ChannelKind | None) -> AgeReference:
        """Which date decides an age for someone paying this way (D-43)."""
        references = self.document.age_reference
        return references.online if kind is ChannelKind.ONLINE else references.default

    # -- money ------------------------------------------------------------------------------

    def tier(self, tier_yuan: int) -> Tier | None:
        """缴费档次; None when the pack has no such tier."""
        return self._tiers.get(tier_yuan)

    def matching_subsidy(self, tier_yuan: int) -> Fen:
        """政府补贴 of a tier in fen (I-26). Raises KeyError for a tier the pack has not."""
        return yuan(self._tiers[tier_yuan].matching_yuan)

    @cached_property
    def standard_fen(self) -> Fen:
        """个人缴费标准 of medical insurance. Raises ValueError while the pack leaves it unspecified."""
        found = self._given(self.document.medical.personal)
        if found is None:
            raise ValueError("medical.personal is unspecified")
        return found

    @cached_property
    def fiscal_subsidy_fen(self) -> Fen | None:
        """财政补助 per insured head; None while the pack leaves it unspecified (D-21)."""
        return self._given(self.document.medical.fiscal)

    def _given(self, number: Number) -> Fen | None:
        value = number.value
        if value is None and number.parameter in self._parameters:
            given = self._parameters[number.parameter].value
            value = given if isinstance(given, int) else None
        return None if value is None else yuan(value)

    # -- parameters -------------------------------------------------------------------------

    def parameter(self, name: str) -> Parameter | None:
        """Parameter by name or alias."""
        code = self._parameter_names.get(normal_name(name))
        return None if code is None else self._parameters[code]

    def parameter_text(self, name: str) -> str:
        """Value of a set choice parameter; empty when unset or absent."""
        found = self._parameters.get(name)
        return found.value if found is not None and isinstance(found.value, str) else ""

    @property
    def gov_paid_effective(self) -> str:
        """ON_LIST or ON_ARRIVAL: when a government leg counts as insured (D-52)."""
        return self.parameter_text("gov_paid_effective")

    @property
    def virtual_household_mode(self) -> HouseholdMode:
        """FULL, FALLBACK, NONE or UNSPECIFIED (I-07, D-42)."""
        return HouseholdMode(
            self.parameter_text("virtual_household_mode") or self.document.virtual_household.value
        )

    @cached_property
    def pays_into_fund_accounts(self) -> bool:
        """True when money ends in the agency's fund accounts (基金收入账户), not in the treasury.

        The plan's own flow says so: one of its steps is the deposit there.
        """
        return any("FundAccountDeposited" in step.events for step in self.flow)

    @property
    def has_roster(self) -> bool:
        """False when the plan lets agents collect without a roster (清册)."""
        return self.document.roster_basis.value != "NONE"

    def place(self, name: str) -> Place | None:
        """A town of the pack by name or division code."""
        for place in self.document.places:
            if name in (place.name, place.division):
                return place
        return None


def _names(entries: Iterable[_Named]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for entry in entries:
        for name in (entry.code, entry.term, *entry.aliases):
            found.setdefault(name, entry)
            found.setdefault(normal_name(name), entry)
    return found


def _closure(code: str, categories: tuple[Category, ...]) -> frozenset[str]:
    implied = {c.code: c.implies for c in categories}
    seen: set[str] = set()
    queue = [code]
    while queue:
        current = queue.pop()
        if current not in seen:
            seen.add(current)
            queue.extend(implied.get(current, ()))
    return frozenset(seen)
