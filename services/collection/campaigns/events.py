"""Events of streams ``pack:{id}`` and ``campaign:{campaign}``."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class PolicyPackDrafted(Event, frozen=True, kw_only=True):
    """政策包拟定: someone (the maker) proposes a version of a pack for publication."""

    pack_id: str
    version: int
    digest: str
    maker: str


class PolicyPackPublished(Event, frozen=True, kw_only=True):
    """政策包发布 for a campaign (I-01). Approver differs from maker; digest: SHA-256 hex."""

    pack_id: str
    version: int
    digest: str
    campaign: str
    year: int
    region: str
    provisional: bool
    maker: str
    approver: str


class PolicyPackRevised(Event, frozen=True, kw_only=True):
    """政策调整 (D-06): the campaign's next version. The paid keep theirs, the unpaid are reassessed."""

    pack_id: str
    version: int
    previous_version: int
    digest: str
    campaign: str
    effective_from: dt.date
    source: str
    maker: str
    approver: str


class CampaignOpened(Event, frozen=True, kw_only=True):
    """集中征缴启动. window_from and window_to: the widest of both insurances' legal windows (D-25, D-47)."""

    campaign: str
    division: str
    year: int
    pack_id: str
    pack_version: int
    pack_digest: str
    window_from: dt.date
    window_to: dt.date


class CampaignPackReplaced(Event, frozen=True, kw_only=True):
    """The campaign goes on with a revised pack (政策调整, scenario 14)."""

    campaign: str
    pack_id: str
    pack_version: int
    pack_digest: str
    previous_version: int


class CampaignPhaseChanged(Event, frozen=True, kw_only=True):
    """阶段转换; phases may gap or overlap (D-24..D-26)."""

    campaign: str
    phase: str
    from_date: dt.date
    to_date: dt.date


class CampaignWindowExtended(Event, frozen=True, kw_only=True):
    """集中征缴期延长: new_end > old_end; nobody pays late inside the new window."""

    campaign: str
    old_end: dt.date
    new_end: dt.date
    reason: str
    authority: str


class CampaignClosed(Event, frozen=True, kw_only=True):
    """集中征缴结束: the last phase and the window are over."""

    campaign: str
    closed_on: dt.date


class CollectionTargetAssigned(Event, frozen=True, kw_only=True):
    """征缴任务下达 (I-02): one row. amount in ``unit``: FEN, or WAN_YUAN, which is never added to fen (D-19).

    statistical_scope: ALL persons, or EXCL_EXEMPT (D-20).
    """

    campaign: str
    division: str
    name: str
    insurance: Insurance
    persons: int
    amount: int | None
    unit: str
    statistical_scope: str
