"""Events of streams ``virtual-household:{id}`` and ``agent:{id}:{campaign}``."""

from __future__ import annotations

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class VirtualHouseholdRegistered(Event, frozen=True, kw_only=True):
    """虚拟户登记 (I-07). mode: FULL, or FALLBACK, which only serves special groups (DZ-2022, D-41)."""

    virtual_household_id: str
    campaign: str
    unit_id: str
    unit_name: str
    villages: tuple[str, ...]
    mode: str


class CollectionScopeAssigned(Event, frozen=True, kw_only=True):
    """指定代收范围. divisions: villages or whole towns; replaces the scope assigned before."""

    virtual_household_id: str
    campaign: str
    insurances: tuple[Insurance, ...]
    divisions: tuple[str, ...]
    mode: str = "FULL"


class AgentAuthorized(Event, frozen=True, kw_only=True):
    """代办员授权 (I-18). designated_account: a reference to a unit account, never a number."""

    agent_id: str
    campaign: str
    village: str
    virtual_household_id: str
    unit_id: str
    designated_account: str
    channels: tuple[str, ...]


class AgentRevoked(Event, frozen=True, kw_only=True):
    """取消代办员授权."""

    agent_id: str
    campaign: str
    village: str
    reason: str


class PersonalAccountUseFlagged(Event, frozen=True, kw_only=True):
    """个人账户归集 (I-18): a personal account was named for an agent; refused."""

    agent_id: str
    campaign: str
    village: str
    account_ref: str
