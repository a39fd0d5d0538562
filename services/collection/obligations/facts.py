"""What a decision is told from outside its own stream: values filled by the capabilities that own them.

They lie here, below every capability, so that payments, roster and the rest share the words without
importing one another; ``services/collection/app.py`` passes the sources in.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec

from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.policy.pack import Pack


@dataclass(frozen=True, slots=True)
class CampaignFact:
    """An opened campaign (征缴工作) and the pack it decides with. Source: ``CampaignFacts``, key campaign id.

    pack: None when this service does not hold the very version and digest the campaign was opened with;
    ask ``campaign_refusal`` first. extended_to: end of an extended window, else None; window_to already
    includes it. phase: kind of the current phase, "" in a gap (D-25).
    """

    campaign: str
    division: str
    year: int
    pack: Pack | None
    window_from: dt.date
    window_to: dt.date
    extended_to: dt.date | None = None
    phase: str = ""
    closed_on: dt.date | None = None

    @property
    def opened(self) -> bool:
        """True until the campaign is closed."""
        return self.closed_on is None


def campaign_refusal(fact: CampaignFact | None) -> Refusal | None:
    """Why nothing can be decided in a campaign: NO_CAMPAIGN or PACK_MISMATCH; None when all is well."""
    if fact is None:
        return Refusal("NO_CAMPAIGN", field="campaign", message="没有这个征缴工作 / no such campaign is open")
    if fact.pack is None:
        return Refusal(
            "PACK_MISMATCH",
            field="campaign",
            message="本服务的政策包与征缴工作不一致 / another version of the pack is held here",
        )
    return None


class EnrolmentLink(msgspec.Struct, frozen=True):
    """A live link (参保登记信息关联) of a person."""

    insurance: Insurance
    year: int
    campaign: str
    village: str
    record_no: str
    virtual_household_id: str = ""


class OtherCover(msgspec.Struct, frozen=True):
    """Cover elsewhere (I-05). kind: EMPLOYEE (职工保险) or ELSEWHERE (统筹区外); to_date None while it lasts."""

    insurance: Insurance
    kind: str
    from_date: dt.date
    to_date: dt.date | None

    def overlaps(self, start: dt.date, end: dt.date) -> bool:
        """True when it shares a day with ``start``..``end``."""
        return self.from_date <= end and (self.to_date is None or self.to_date >= start)


class SpecialIdentity(msgspec.Struct, frozen=True):
    """A special identity (特殊群体身份) of an insured year, from one department (I-06)."""

    insurance: Insurance
    year: int
    category: str
    department: str


class TaxpayerFact(msgspec.Struct, frozen=True):
    """A person as tax knows him. Source: ``TaxpayerFacts``, key person_id."""

    person_id: str
    taxpayer_no: str
    birth: dt.date
    sex: str
    hukou_division: str
    residence_permit: bool
    student: bool
    village: str
    household: str = ""
    links: tuple[EnrolmentLink, ...] = ()
    covers: tuple[OtherCover, ...] = ()
    identities: tuple[SpecialIdentity, ...] = ()

    def link(self, insurance: Insurance, year: int) -> EnrolmentLink | None:
        """The live link for one insurance and year."""
        for found in self.links:
            if found.year == year and found.insurance == insurance:
                return found
        return None


class AgentFact(msgspec.Struct, frozen=True):
    """An agent (代办员) of a campaign. Source: ``AgentFacts``, key (agent_id, campaign).

    divisions and insurances: the collection scope of his virtual household; both empty until one is assigned.
    """

    agent_id: str
    campaign: str
    village: str
    virtual_household_id: str
    unit_id: str
    designated_account: str
    channels: tuple[str, ...]
    insurances: tuple[Insurance, ...]
    divisions: tuple[str, ...]
    mode: str
    active: bool

    def may_collect(self, insurance: Insurance, village: str) -> bool:
        """True when an active agent's scope holds the village and insurance (指定代收范围)."""
        return (
            self.active
            and insurance in self.insurances
            and any(village.startswith(scope) for scope in self.divisions)
        )


class RosterFact(msgspec.Struct, frozen=True):
    """Where a person stands on a roster. Source: ``RosterFacts``, key (campaign, insurance, person_id).

    notice_closed: the notice of the roster, or of the supplement he stands on, is over, or the pack has none.
    """

    roster_id: str
    village: str
    version: int
    supplement: int
    personal_fen: int
    notice_closed: bool
    final: bool


@dataclass(frozen=True, slots=True)
class RosterStatusFact:
    """State of a roster. Source: ``RosterStatusFacts``, key roster_id.

    state: GENERATED, REVIEWED, FORMED, DISPATCHED, NOTICE_CLOSED, AMENDED or FINAL.
    """

    roster_id: str
    campaign: str
    village: str
    version: int
    state: str
    notice_closed: bool
    final: bool
    signed: bool
    pre_declaration_closed: bool
    stamped: bool
    digest: str
    open_objections: int
