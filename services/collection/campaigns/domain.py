"""What may be done with packs and campaigns: four eyes, one pack, a window, phases and targets. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from services.collection.campaigns import events as e
from shared.kernel.division import is_division, parse_campaign, within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance
from shared.policy.checks import check_pack
from shared.policy.pack import Pack

UNITS = ("FEN", "WAN_YUAN")
STATISTICAL_SCOPES = ("ALL", "EXCL_EXEMPT")


class DraftPack(msgspec.Struct, frozen=True, kw_only=True):
    """拟定政策包. maker: the staff member who proposes it."""

    pack_id: str
    maker: str


class PublishPack(msgspec.Struct, frozen=True, kw_only=True):
    """发布政策包 for one campaign. approver: another staff member than the maker."""

    pack_id: str
    campaign: str
    approver: str


class RevisePack(msgspec.Struct, frozen=True, kw_only=True):
    """调整政策包 of an open campaign. source: the document that orders the revision (D-06)."""

    pack_id: str
    campaign: str
    approver: str
    effective_from: dt.date
    source: str


class OpenCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """启动集中征缴."""

    campaign: str
    pack_id: str


class ExtendWindow(msgspec.Struct, frozen=True, kw_only=True):
    """延长集中征缴期. authority: whose notice extends it."""

    campaign: str
    new_end: dt.date
    reason: str
    authority: str


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the task table (任务分配表). amount in ``unit``."""

    division: str
    insurance: Insurance
    persons: int
    name: str = ""
    amount: int | None = None
    unit: str = "FEN"
    statistical_scope: str = "ALL"


class AssignTargets(msgspec.Struct, frozen=True, kw_only=True):
    """下达征缴任务: all rows of one insurance, with the totals the table states."""

    campaign: str
    rows: tuple[TargetRow, ...]
    stated_total_persons: int
    stated_total_amount: int | None = None


@dataclass(frozen=True, slots=True)
class PackState:
    """State of ``pack:{id}``. drafts: version -> (digest, maker); published: campaign -> version."""

    drafts: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CampaignState:
    """State of ``campaign:{campaign}``. targets: (division, insurance) assigned so far."""

    opened: e.CampaignOpened | None = None
    pack_version: int = 0
    pack_digest: str = ""
    extended_to: dt.date | None = None
    phase: str = ""
    closed_on: dt.date | None = None
    targets: frozenset[tuple[str, str]] = frozenset()

    @property
    def window_to(self) -> dt.date:
        """End of the window, extensions included; ``date.max`` before the opening."""
        if self.opened is None:
            return dt.date.max
        return max(self.opened.window_to, self.extended_to or self.opened.window_to)


def evolve_pack(state: PackState, event: Event) -> PackState:
    """Fold one event of a pack's stream."""
    match event:
        case e.PolicyPackDrafted():
            return replace(state, drafts={**state.drafts, event.version: (event.digest, event.maker)})
        case e.PolicyPackPublished() | e.PolicyPackRevised():
            return replace(state, published={**state.published, event.campaign: event.version})
        case _:
            return state


def evolve_campaign(state: CampaignState, event: Event) -> CampaignState:
    """Fold one event of a campaign's stream."""
    match event:
        case e.CampaignOpened():
            return replace(
                state, opened=event, pack_version=event.pack_version, pack_digest=event.pack_digest
            )
        case e.CampaignPackReplaced():
            return replace(state, pack_version=event.pack_version, pack_digest=event.pack_digest)
        case e.CampaignWindowExtended():
            return replace(state, extended_to=event.new_end)
        case e.CampaignPhaseChanged():
            return replace(state, phase=event.phase)
        case e.CampaignClosed():
            return replace(state, closed_on=event.closed_on)
        case e.CollectionTargetAssigned():
            return replace(state, targets=state.targets | {(event.division, event.insurance)})
        case _:
            return state


def pack_fault(pack: Pack) -> Refusal | None:
    """Why a pack cannot be put in force: the first fault ``liangxian packs check`` finds (I-01, I-02, I-12)."""
    for fault in check_pack(pack):
        return Refusal(
            "PACK_INVALID",
            fault.code,
            field=fault.path,
            message=f"政策包不合格 / the pack is not sound: {fault.message}",
        )
    return None


def draft_pack(state: PackState, command: DraftPack, pack: Pack) -> Decision:
    """Propose the version of a pack this service holds. Again with the same content: nothing new."""
    known = state.drafts.get(pack.version)
    if known is not None:
        if known[0] == pack.digest:
            return []
        return Refusal(
            "PACK_MISMATCH",
            "VERSION_TAKEN",
            field="pack_id",
            message="同一版本内容不同 / same version, other content",
        )
    fault = pack_fault(pack)
    if fault is not None:
        return fault
    return [
        e.PolicyPackDrafted(pack_id=pack.id, version=pack.version, digest=pack.digest, maker=command.maker)
    ]


def publish_pack(state: PackState, command: PublishPack, pack: Pack) -> Decision:
    """Publish a drafted version for a campaign; maker and approver differ."""
    draft = _checked_draft(state, pack, command.campaign, command.approver)
    if isinstance(draft, Refusal):
        return draft
    published = state.published.get(command.campaign)
    if published == pack.version:
        return []
    if published is not None:
        return Refusal(
            "INVALID_STATE",
            "ALREADY_PUBLISHED",
            field="campaign",
            message="已发布，请用调整 / published already: revise it",
        )
    pension = pack.document.pension.provisional
    return [
        e.PolicyPackPublished(
            pack_id=pack.id,
            version=pack.version,
            digest=pack.digest,
            campaign=command.campaign,
            year=pack.insured_year,
            region=pack.region.division,
            provisional=pension is not None and pension.value,
            maker=draft,
            approver=command.approver,
        )
    ]


def revise_pack(
    state: PackState, campaign: CampaignState, command: RevisePack, pack: Pack
) -> tuple[list[Event], list[Event]] | Refusal:
    """Put a later version in force in an open campaign: events of the pack's and of the campaign's stream."""
    draft = _checked_draft(state, pack, command.campaign, command.approver)
    if isinstance(draft, Refusal):
        return draft
    if campaign.opened is None or campaign.closed_on is not None or campaign.opened.pack_id != pack.id:
        return Refusal(
            "NO_CAMPAIGN", field="campaign", message="征缴工作未启动或已结束 / the campaign is not open"
        )
    if pack.version <= campaign.pack_version:
        return Refusal(
            "INVALID_STATE", "VERSION_NOT_NEWER", "D-06", "version", "版本须更新 / the version must rise"
        )
    revised = e.PolicyPackRevised(
        pack_id=pack.id,
        version=pack.version,
        previous_version=campaign.pack_version,
        digest=pack.digest,
        campaign=command.campaign,
        effective_from=command.effective_from,
        source=command.source,
        maker=draft,
        approver=command.approver,
    )
    replaced = e.CampaignPackReplaced(
        campaign=command.campaign,
        pack_id=pack.id,
        pack_version=pack.version,
        pack_digest=pack.digest,
        previous_version=campaign.pack_version,
    )
    return [revised], [replaced]


def _checked_draft(state: PackState, pack: Pack, campaign: str, approver: str) -> str | Refusal:
    """The maker of a drafted version that fits the campaign and that someone else approves."""
    draft = state.drafts.get(pack.version)
    if draft is None:
        return Refusal(
            "INVALID_STATE", "NOT_DRAFTED", field="pack_id", message="政策包未拟定 / draft the pack first"
        )
    digest, maker = draft
    if digest != pack.digest:
        return Refusal(
            "PACK_MISMATCH", field="pack_id", message="内容与拟定的不同 / not the content that was drafted"
        )
    if maker == approver:
        return Refusal(
            "FOUR_EYES",
            "MAKER_IS_APPROVER",
            field="approver",
            message="拟定与审批须为不同的人 / maker and approver must differ",
        )
    return _place_fault(campaign, pack) or maker


def _place_fault(campaign: str, pack: Pack) -> Refusal | None:
    try:
        division, year = parse_campaign(campaign)
    except ValueError:
        return Refusal(
            "VALIDATION_FAILED",
            "CAMPAIGN_ID",
            field="campaign",
            message="征缴工作编号无效 / not a campaign id",
        )
    if year != pack.insured_year or not within(division, pack.region.division):
        return Refusal(
            "PACK_MISMATCH",
            "REGION_OR_YEAR",
            pack.region.clause,
            "campaign",
            "政策包不适用于该区划或年度 / the pack is for another region or year",
        )
    return None


def open_campaign(state: CampaignState, command: OpenCampaign, published: PackState, pack: Pack) -> Decision:
    """Start a campaign with the version published for it (集中征缴启动)."""
    if state.opened is not None:
        return Refusal(
            "ALREADY_EXISTS",
            "CAMPAIGN_OPEN",
            field="campaign",
            message="征缴工作已启动 / the campaign is open already",
        )
    if published.published.get(command.campaign) != pack.version:
        return Refusal(
            "INVALID_STATE",
            "PACK_NOT_PUBLISHED",
            field="pack_id",
            message="政策包未发布 / publish the pack for this campaign first",
        )
    if published.drafts[pack.version][0] != pack.digest:
        return Refusal(
            "PACK_MISMATCH", field="pack_id", message="内容与发布的不同 / not the content that was published"
        )
    fault = _place_fault(command.campaign, pack)
    if fault is not None:
        return fault
    division, year = parse_campaign(command.campaign)
    windows = (pack.window(Insurance.MEDICAL), pack.window(Insurance.PENSION))
    return [
        e.CampaignOpened(
            campaign=command.campaign,
            division=division,
            year=year,
            pack_id=pack.id,
            pack_version=pack.version,
            pack_digest=pack.digest,
            window_from=min(window.start for window in windows),
            window_to=max(window.end for window in windows),
        )
    ]


def extend_window(state: CampaignState, command: ExtendWindow) -> Decision:
    """Move the end of the window later; nobody is late inside the new window."""
    if state.opened is None:
        return Refusal("NO_CAMPAIGN", field="campaign", message="没有这个征缴工作 / no such campaign is open")
    if state.closed_on is not None:
        return Refusal(
            "INVALID_STATE",
            "CAMPAIGN_CLOSED",
            field="campaign",
            message="征缴工作已结束 / the campaign is closed",
        )
    if command.new_end <= state.window_to:
        return Refusal(
            "VALIDATION_FAILED",
            "NEW_END_NOT_LATER",
            field="new_end",
            message="新的截止日须晚于原截止日 / the new end must be later",
        )
    return [
        e.CampaignWindowExtended(
            campaign=command.campaign,
            old_end=state.window_to,
            new_end=command.new_end,
            reason=command.reason,
            authority=command.authority,
        )
    ]


def begin_day(state: CampaignState, campaign: str, day: dt.date, pack: Pack) -> list[Event]:
    """What a business day changes: the phase that began (D-24..D-26), or the end of the campaign."""
    if state.opened is None or state.closed_on is not None:
        return []
    phases = pack.document.phases
    if day > max(state.window_to, *(phase.end for phase in phases)):
        return [e.CampaignClosed(campaign=campaign, closed_on=day)]
    phase = pack.phase_on(day)
    if phase is None or phase.kind.value == state.phase:
        return []
    return [
        e.CampaignPhaseChanged(
            campaign=campaign, phase=phase.kind.value, from_date=phase.start, to_date=phase.end
        )
    ]


def assign_targets(state: CampaignState, command: AssignTargets, pack: Pack) -> Decision:
    """Assign the rows of one task table (I-02). All rows or none."""
    if state.opened is None:
        return Refusal("NO_CAMPAIGN", field="campaign", message="没有这个征缴工作 / no such campaign is open")
    fault = _rows_fault(state, command, pack) or _totals_fault(command)
    if fault is not None:
        return fault
    return [
        e.CollectionTargetAssigned(
            campaign=command.campaign,
            division=row.division,
            name=row.name,
            insurance=row.insurance,
            persons=row.persons,
            amount=row.amount,
            unit=row.unit,
            statistical_scope=row.statistical_scope,
        )
        for row in command.rows
    ]


def _rows_fault(state: CampaignState, command: AssignTargets, pack: Pack) -> Refusal | None:
    seen: set[tuple[str, str]] = set(state.targets)
    for number, row in enumerate(command.rows):
        at = f"rows.{number}"
        if not is_division(row.division) or not within(row.division, pack.region.division):
            return Refusal("VALIDATION_FAILED", "I-02", field=f"{at}.division")
        if (row.division, row.insurance) in seen:
            return Refusal(
                "ALREADY_EXISTS",
                "I-02",
                field=f"{at}.division",
                message="任务已下达 / target assigned already",
            )
        seen.add((row.division, row.insurance))
        if row.unit not in UNITS or row.statistical_scope not in STATISTICAL_SCOPES or row.persons < 0:
            return Refusal("VALIDATION_FAILED", "I-02", field=at)
        if _amount_differs(row, pack):
            return Refusal(
                "TARGET_MISMATCH",
                "I-02",
                "002:L504-534",
                f"{at}.amount",
                "金额不等于人数乘以标准 / amount is not persons × standard",
            )
    return None


def _amount_differs(row: TargetRow, pack: Pack) -> bool:
    """Medical rows over all persons: amount = persons × personal standard (437854 × 260 = 113842040)."""
    counted = row.amount is not None and row.insurance is Insurance.MEDICAL
    if not counted or row.unit != "FEN" or row.statistical_scope != "ALL":
        return False
    return row.amount != row.persons * pack.standard_fen


def _totals_fault(command: AssignTargets) -> Refusal | None:
    rows: Sequence[TargetRow] = command.rows
    if not rows:
        return Refusal("VALIDATION_FAILED", "I-02", field="rows")
    if len({(row.unit, row.insurance) for row in rows}) > 1:
        return Refusal(
            "VALIDATION_FAILED",
            "D-19",
            "D-19",
            "rows",
            "一张表只能有一个险种和计量单位 / one insurance and unit a table",
        )
    if sum(row.persons for row in rows) != command.stated_total_persons:
        return Refusal(
            "TARGET_MISMATCH",
            "I-02",
            field="stated_total_persons",
            message="合计人数不符 / rows do not add up to the stated persons",
        )
    amounts = sum(row.amount or 0 for row in rows)
    if command.stated_total_amount is not None and amounts != command.stated_total_amount:
        return Refusal(
            "TARGET_MISMATCH",
            "I-02",
            field="stated_total_amount",
            message="合计金额不符 / rows do not add up to the stated amount",
        )
    return None
