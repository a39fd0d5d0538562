"""Events of stream ``subsidy-entitlement:{year}:{insurance}:{person}``."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance, Leg


class Claim(msgspec.Struct, frozen=True):
    """One department's claim: a line of its list that registration imported."""

    list_id: str
    line_no: int
    department: str
    category: str


class SubsidyClaimReceived(Event, frozen=True, kw_only=True):
    """资助名单行已导入: a department claims the person."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    division: str
    birth: dt.date
    claim: Claim


class SubsidyOverlapDetected(Event, frozen=True, kw_only=True):
    """多重身份: a second department claims the person; never both are paid (I-11, D-27)."""

    person_id: str
    insurance: Insurance
    year: int
    claims: tuple[Claim, ...]


class SubsidyEntitlementResolved(Event, frozen=True, kw_only=True):
    """资助资格确定: legs sum to the standard (I-12). department applies for the money, finance pays (D-29)."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    division: str
    version: int
    category: str
    department: str
    standard_fen: int
    legs: tuple[Leg, ...]
    government_fen: int
    rule: str
    clause: str
    pack_id: str
    pack_version: int


class SubsidyEntitlementRefused(Event, frozen=True, kw_only=True):
    """资助资格不成立: the pack gives these categories no relief here. rule as ``assess`` answers it."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    rule: str
    clause: str


class SubsidyEntitlementRevoked(Event, frozen=True, kw_only=True):
    """资助资格取消. reason: DEATH, STATUS_END, LIST_WITHDRAWN, POLICY_REVISED, PAID_ONLINE, PAID_BEFORE."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    version: int
    reason: str
    from_date: dt.date


class VillageEntitlementsDue(Event, frozen=True, kw_only=True):
    """村居待复核: a revised plan concerns everyone entitled there. Stream ``process:entitlements:…``."""

    campaign: str
    village: str
    pack_version: int


EVENTS: tuple[type[Event], ...] = (
    SubsidyClaimReceived,
    SubsidyOverlapDetected,
    SubsidyEntitlementResolved,
    SubsidyEntitlementRefused,
    SubsidyEntitlementRevoked,
    VillageEntitlementsDue,
)
