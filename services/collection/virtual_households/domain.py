"""Virtual households by the pack's mode, their scope, and the agents who collect. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from services.collection.obligations.facts import CampaignFact, campaign_refusal
from services.collection.virtual_households import events as e
from shared.kernel.division import is_division, within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance
from shared.policy.pack import Pack
from shared.policy.terms import ChannelKind, HouseholdMode

UNIT = "UNIT"


class RegisterVirtualHousehold(msgspec.Struct, frozen=True, kw_only=True):
    """登记虚拟户 of a collecting unit (委托代收单位). villages: 12-digit codes it serves."""

    virtual_household_id: str
    campaign: str
    unit_id: str
    unit_name: str
    villages: tuple[str, ...]


class AssignScope(msgspec.Struct, frozen=True, kw_only=True):
    """指定代收范围: which insurances it collects, in which divisions."""

    virtual_household_id: str
    insurances: tuple[Insurance, ...]
    divisions: tuple[str, ...]


class AuthorizeAgent(msgspec.Struct, frozen=True, kw_only=True):
    """授权代办员. account_type: UNIT or PERSONAL; a personal account is refused and flagged (I-18)."""

    agent_id: str
    campaign: str
    village: str
    virtual_household_id: str
    unit_id: str
    account_ref: str
    account_type: str
    channels: tuple[str, ...]


class RevokeAgent(msgspec.Struct, frozen=True, kw_only=True):
    """取消授权."""

    agent_id: str
    campaign: str
    reason: str


@dataclass(frozen=True, slots=True)
class VirtualHousehold:
    """State of ``virtual-household:{id}``. It has no balance: a virtual household holds no money (I-07)."""

    registered: e.VirtualHouseholdRegistered | None = None
    insurances: tuple[Insurance, ...] = ()
    divisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """State of ``agent:{id}:{campaign}``."""

    authorized: e.AgentAuthorized | None = None
    active: bool = False


def evolve_household(state: VirtualHousehold, event: Event) -> VirtualHousehold:
    """Fold one event of a household's stream."""
    match event:
        case e.VirtualHouseholdRegistered():
            return replace(state, registered=event)
        case e.CollectionScopeAssigned():
            return replace(state, insurances=event.insurances, divisions=event.divisions)
        case _:
            return state


def evolve_agent(state: Agent, event: Event) -> Agent:
    """Fold one event of an agent's stream."""
    match event:
        case e.AgentAuthorized():
            return Agent(event, True)
        case e.AgentRevoked():
            return replace(state, active=False)
        case _:
            return state


def household_mode(pack: Pack) -> HouseholdMode | Refusal:
    """The pack's mode; NONE and UNSPECIFIED refuse (I-07, D-42)."""
    mode = pack.virtual_household_mode
    clause = pack.document.virtual_household.clause
    if mode is HouseholdMode.NONE:
        return Refusal(
            "HOUSEHOLD_NOT_ALLOWED",
            "I-07",
            clause,
            "campaign",
            "本方案不设虚拟户 / no virtual households here",
        )
    if mode is HouseholdMode.UNSPECIFIED:
        return Refusal(
            "POLICY_UNSPECIFIED",
            "HOUSEHOLD_MODE_UNSPECIFIED",
            f"{clause} D-42",
            "campaign",
            "方案未载明虚拟户，请设参数 / not in the plan: set the pack's mode with its source",
        )
    return mode


def register_household(
    state: VirtualHousehold, command: RegisterVirtualHousehold, campaign: CampaignFact | None
) -> Decision:
    """Register a household in a campaign whose pack allows it."""
    refusal = campaign_refusal(campaign)
    if refusal is not None or campaign is None or campaign.pack is None:
        return refusal or Refusal("NO_CAMPAIGN", field="campaign")
    if state.registered is not None:
        return Refusal(
            "ALREADY_EXISTS", field="virtual_household_id", message="虚拟户已登记 / registered already"
        )
    mode = household_mode(campaign.pack)
    if isinstance(mode, Refusal):
        return mode
    for number, village in enumerate(command.villages):
        if not _is_place(village, campaign):
            return Refusal("VALIDATION_FAILED", "DIVISION", field=f"villages.{number}")
    return [
        e.VirtualHouseholdRegistered(
            virtual_household_id=command.virtual_household_id,
            campaign=command.campaign,
            unit_id=command.unit_id,
            unit_name=command.unit_name,
            villages=command.villages,
            mode=mode.value,
        )
    ]


def _is_place(division: str, campaign: CampaignFact) -> bool:
    return is_division(division) and within(division, campaign.division)


def assign_scope(state: VirtualHousehold, command: AssignScope) -> Decision:
    """Assign insurances and divisions; the divisions hold, or lie in, its villages."""
    registered = state.registered
    if registered is None:
        return Refusal(
            "NOT_FOUND", field="virtual_household_id", message="没有这个虚拟户 / no such virtual household"
        )
    if not command.insurances or not command.divisions:
        return Refusal("VALIDATION_FAILED", "SCOPE_EMPTY", field="divisions")
    for number, division in enumerate(command.divisions):
        served = any(within(village, division) for village in registered.villages)
        if not is_division(division) or not served:
            return Refusal(
                "VALIDATION_FAILED", "SCOPE_OUTSIDE_UNIT", "002:L126-130", f"divisions.{number}",
                "超出代收单位的村居 / outside the unit's villages",
            )  # fmt: skip
    return [
        e.CollectionScopeAssigned(
            virtual_household_id=registered.virtual_household_id,
            campaign=registered.campaign,
            insurances=command.insurances,
            divisions=command.divisions,
            mode=registered.mode,
        )
    ]


def authorize_agent(
    state: Agent, command: AuthorizeAgent, household: VirtualHousehold, campaign: CampaignFact | None
) -> Decision:
    """Authorise an agent. A personal account is answered by PersonalAccountUseFlagged alone (I-18)."""
    refusal = campaign_refusal(campaign)
    if refusal is not None or campaign is None or campaign.pack is None:
        return refusal or Refusal("NO_CAMPAIGN", field="campaign")
    if state.active:
        return Refusal(
            "ALREADY_EXISTS", field="agent_id", message="代办员已授权 / the agent is authorised already"
        )
    outside = _outside_unit(command, household, campaign)
    if outside is not None:
        return outside
    if command.account_type != UNIT:
        return [
            e.PersonalAccountUseFlagged(
                agent_id=command.agent_id,
                campaign=command.campaign,
                village=command.village,
                account_ref=command.account_ref,
            )
        ]
    return _checked_channels(command, campaign.pack)


def _outside_unit(
    command: AuthorizeAgent, household: VirtualHousehold, campaign: CampaignFact
) -> Refusal | None:
    """An agent belongs to a virtual household's unit, or to his village alone: where the plan has none, or
    where his channels settle by themselves and he holds no money (D-40, D-42)."""
    pack = campaign.pack
    if not command.virtual_household_id and pack is not None:
        channels = [pack.channel(code) for code in command.channels]
        holds_cash = any(channel is not None and channel.cash for channel in channels)
        if pack.virtual_household_mode is HouseholdMode.NONE or not holds_cash:
            inside = _is_place(command.village, campaign)
            return None if inside else Refusal("VALIDATION_FAILED", "DIVISION", field="village")
    registered = household.registered
    if registered is None or registered.campaign != command.campaign:
        return Refusal(
            "NOT_FOUND", field="virtual_household_id", message="没有这个虚拟户 / no such virtual household"
        )
    if command.village not in registered.villages or command.unit_id != registered.unit_id:
        return Refusal(
            "VALIDATION_FAILED",
            "AGENT_OUTSIDE_UNIT",
            field="village",
            message="不属于该代收单位 / not of this collecting unit",
        )
    return None


def _checked_channels(command: AuthorizeAgent, pack: Pack) -> Decision:
    for number, code in enumerate(command.channels):
        channel = pack.channel(code)
        if channel is None or ChannelKind.AGENT not in channel.kinds:
            clause = "" if channel is None else channel.clause
            return Refusal(
                "CHANNEL_NOT_ALLOWED", "NOT_AN_AGENT_CHANNEL", clause, f"channels.{number}",
                "方案未列为代办员渠道 / not an agents' channel of the plan",
            )  # fmt: skip
    return [
        e.AgentAuthorized(
            agent_id=command.agent_id,
            campaign=command.campaign,
            village=command.village,
            virtual_household_id=command.virtual_household_id,
            unit_id=command.unit_id,
            designated_account=command.account_ref,
            channels=command.channels,
        )
    ]


def revoke_agent(state: Agent, command: RevokeAgent) -> Decision:
    """Revoke an authorisation; again is nothing new."""
    if state.authorized is None:
        return Refusal("NOT_FOUND", field="agent_id", message="没有这个代办员 / no such agent")
    if not state.active:
        return []
    return [
        e.AgentRevoked(
            agent_id=command.agent_id,
            campaign=command.campaign,
            village=state.authorized.village,
            reason=command.reason,
        )
    ]
