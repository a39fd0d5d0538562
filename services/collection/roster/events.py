"""Events of stream ``roster:{campaign}:{village}``."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class RosterEntry(msgspec.Struct, frozen=True, array_like=True):
    """One line: what a person owes, in fen, by which assessment version."""

    person_id: str
    insurance: Insurance
    standard_fen: int
    personal_fen: int
    category: str = ""
    assessment_version: int = 1


class PaymentInfoListGenerated(Event, frozen=True, kw_only=True):
    """缴费信息清册生成 (header; lines follow as PaymentInfoListLines).

    basis: REGISTRATION, or TAX_HISTORY, which is last year's payers united with the registered (D-12);
    lapsed_count: last year's payers who are not registered now.
    """

    roster_id: str
    campaign: str
    village: str
    basis: str
    count: int
    lapsed_count: int
    standard_fen: int
    personal_fen: int
    digest: str


class PaymentInfoListLines(Event, frozen=True, kw_only=True):
    """缴费信息清册明细: at most 500 lines and 64 KiB."""

    roster_id: str
    part: int
    parts: int
    lines: tuple[RosterEntry, ...]


class RosterPreliminarilyReviewed(Event, frozen=True, kw_only=True):
    """初审: one signature. role: TAX_BRANCH or TOWN_AGENCY; persons and organisations differ."""

    roster_id: str
    campaign: str
    village: str
    role: str
    actor: str
    organisation: str
    findings: tuple[str, ...]


class CollectionRosterFormed(Event, frozen=True, kw_only=True):
    """征收清册形成 (I-08): total at standard and due from persons; lines follow as RosterLines."""

    roster_id: str
    campaign: str
    village: str
    version: int
    count: int
    standard_fen: int
    personal_fen: int
    digest: str


class RosterLines(Event, frozen=True, kw_only=True):
    """征收清册明细 of a version: at most 500 lines and 64 KiB.

    supplement: 0 in the main roster, else the number of the supplementary roster.
    """

    roster_id: str
    campaign: str
    village: str
    version: int
    supplement: int
    part: int
    parts: int
    lines: tuple[RosterEntry, ...]


class RosterDispatched(Event, frozen=True, kw_only=True):
    """移交镇街、转交村居代办员. notice: the pack has one, which notification starts on this (I-09)."""

    roster_id: str
    campaign: str
    village: str
    version: int
    supplement: int
    to: str
    agents: tuple[str, ...]
    notice: bool
    count: int
    standard_fen: int
    personal_fen: int


class RosterNoticeClosedNoted(Event, frozen=True, kw_only=True):
    """清册公示结束 as notification told (I-09). version: the one that was dispatched."""

    roster_id: str
    notice_id: str
    version: int
    supplement: int
    closed_on: dt.date


class ObjectionNoted(Event, frozen=True, kw_only=True):
    """公示异议 as notification told. kind: ROSTER or PAYMENT; claim: what the objector says is wrong."""

    objection_id: str
    roster_id: str
    notice_id: str
    kind: str
    person_id: str
    insurance: Insurance | None
    claim: str


class RosterObjectionResolved(Event, frozen=True, kw_only=True):
    """清册公示异议处理. outcome: UPHELD or REJECTED."""

    objection_id: str
    roster_id: str
    campaign: str
    village: str
    notice_id: str
    outcome: str
    finding: str


class PaymentObjectionResolved(Event, frozen=True, kw_only=True):
    """缴费公示异议处理. outcome: UPHELD or REJECTED."""

    objection_id: str
    roster_id: str
    campaign: str
    village: str
    notice_id: str
    outcome: str
    finding: str


class RosterRemoval(msgspec.Struct, frozen=True, array_like=True):
    """A line taken off. reason: DEATH, CANCELLED, MOVED, NOT_LISTED ... as the town gave it."""

    person_id: str
    insurance: Insurance
    reason: str


class RosterAmended(Event, frozen=True, kw_only=True):
    """补充修改清册: a new version; all its lines follow as RosterLines."""

    roster_id: str
    campaign: str
    village: str
    version: int
    added: int
    removed: tuple[RosterRemoval, ...]
    changed: int
    count: int
    standard_fen: int
    personal_fen: int
    digest: str


class RosterFinalized(Event, frozen=True, kw_only=True):
    """清册定稿上报: immutable from here."""

    roster_id: str
    campaign: str
    village: str
    version: int
    count: int
    standard_fen: int
    personal_fen: int


class SupplementaryRosterFormed(Event, frozen=True, kw_only=True):
    """补充清册 (D-46): people enrolled or changed after the final roster; its lines follow as RosterLines."""

    roster_id: str
    campaign: str
    village: str
    version: int
    supplement: int
    count: int
    standard_fen: int
    personal_fen: int
    digest: str


class VillageRosterSigned(Event, frozen=True, kw_only=True):
    """村居签字 (D-10): the village has finished; count and fen of what was paid."""

    roster_id: str
    campaign: str
    village: str
    actor: str
    count: int
    fen: int


class PaymentNoticeClosedNoted(Event, frozen=True, kw_only=True):
    """缴费公示结束 as notification told. kind: PRE_DECLARATION, POST_TREASURY or YEAR_END."""

    roster_id: str
    notice_id: str
    kind: str
    closed_on: dt.date


class PaymentNoticeStamped(Event, frozen=True, kw_only=True):
    """缴费清册加盖印章 (D-10): only after treasury entry of the village's vouchers."""

    roster_id: str
    campaign: str
    village: str
    actor: str
    count: int
    fen: int
