"""Given a pack's mode, when a household or agent is registered, then events or a refusal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.collection.virtual_households import domain as d
from services.collection.virtual_households import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy import load_pack, load_packs
from shared.policy.terms import HouseholdMode
from tests.unit.collection.obligation_cases import CAMPAIGN, VILLAGE, campaign

REGISTER = d.RegisterVirtualHousehold(
    virtual_household_id="VH-1", campaign=CAMPAIGN, unit_id="U-1", unit_name="代收单位", villages=(VILLAGE,)
)
SCOPE = d.AssignScope(virtual_household_id="VH-1", insurances=(Insurance.MEDICAL,), divisions=(VILLAGE,))
AGENT = d.AuthorizeAgent(
    agent_id="A-1",
    campaign=CAMPAIGN,
    village=VILLAGE,
    virtual_household_id="VH-1",
    unit_id="U-1",
    account_ref="ACC-1",
    account_type="UNIT",
    channels=("CASH_AGENT",),
)


def household(*events: Event) -> d.VirtualHousehold:
    state = d.VirtualHousehold()
    for event in events:
        state = d.evolve_household(state, event)
    return state


def registered() -> d.VirtualHousehold:
    return household(*_events(d.register_household(d.VirtualHousehold(), REGISTER, campaign())))


def _events(decision: list[Event] | Refusal) -> list[Event]:
    assert isinstance(decision, list), decision
    return decision


def refusal(decision: object) -> Refusal:
    assert isinstance(decision, Refusal), decision
    return decision


def agent(**fields: Any) -> d.AuthorizeAgent:
    return msgspec.structs.replace(AGENT, **fields)


def test_a_full_household_is_registered_where_the_plan_has_them() -> None:
    """I-07, 002:L126-130: ST-2020 has virtual households; once per id."""
    state = registered()
    assert state.registered is not None
    assert state.registered.mode == "FULL"
    assert refusal(d.register_household(state, REGISTER, campaign())).code == "ALREADY_EXISTS"


def test_each_pack_answers_by_its_mode() -> None:
    """I-07, D-42: FALLBACK in DZ-2022; UNSPECIFIED refuses until an operator decides; NONE refuses."""
    answers = {}
    for pack in load_packs().values():
        mode = d.household_mode(pack)
        answers[pack.id] = mode.rule if isinstance(mode, Refusal) else mode.value
    assert answers["ST-2020"] == HouseholdMode.FULL.value
    assert answers["DZ-2022"] == HouseholdMode.FALLBACK.value
    assert answers["YC-2023"] == answers["SC-2025"] == "HOUSEHOLD_MODE_UNSPECIFIED"
    assert answers["DZ-2018"] == "I-07"


def test_no_campaign_and_foreign_villages_are_refused() -> None:
    """EVENTS 2: only in an open campaign and its places."""
    assert refusal(d.register_household(d.VirtualHousehold(), REGISTER, None)).code == "NO_CAMPAIGN"
    other = campaign(pack=None)
    assert other.pack is load_pack("ST-2020")
    foreign = msgspec.structs.replace(REGISTER, villages=("110101001001",))
    assert refusal(d.register_household(d.VirtualHousehold(), foreign, campaign())).field == "villages.0"


@pytest.mark.parametrize(
    ("scope", "rule"),
    [
        (msgspec.structs.replace(SCOPE, divisions=("370406102201",)), "SCOPE_OUTSIDE_UNIT"),
        (msgspec.structs.replace(SCOPE, divisions=()), "SCOPE_EMPTY"),
        (msgspec.structs.replace(SCOPE, insurances=()), "SCOPE_EMPTY"),
    ],
)
def test_a_scope_stays_within_the_units_villages(scope: d.AssignScope, rule: str) -> None:
    """002:L126-130: 指定代收的范围 of the unit's own places."""
    assert refusal(d.assign_scope(registered(), scope)).rule == rule


def test_a_scope_replaces_the_one_before() -> None:
    """EVENTS 2: the newest scope counts; a town that holds the village may be named."""
    first = _events(d.assign_scope(registered(), SCOPE))
    town = msgspec.structs.replace(SCOPE, divisions=(VILLAGE[:9],), insurances=tuple(Insurance))
    second = _events(d.assign_scope(registered(), town))
    assert registered().registered is not None
    state = household(registered().registered, *first, *second)  # type: ignore[arg-type]
    assert state.divisions == (VILLAGE[:9],)
    assert refusal(d.assign_scope(d.VirtualHousehold(), SCOPE)).code == "NOT_FOUND"


def test_an_agent_collects_for_a_unit_account() -> None:
    """I-18: authorised with a reference to the unit's account."""
    event = _events(d.authorize_agent(d.Agent(), AGENT, registered(), campaign()))[0]
    assert isinstance(event, e.AgentAuthorized)
    state = d.evolve_agent(d.Agent(), event)
    assert state.active
    again = d.authorize_agent(state, AGENT, registered(), campaign())
    assert refusal(again).code == "ALREADY_EXISTS"


def test_a_personal_account_is_flagged_and_authorises_nobody() -> None:
    """I-18, 002:L380-384: 通过个人账户归集 is flagged for the auditors; the agent stays unauthorised."""
    events = _events(d.authorize_agent(d.Agent(), agent(account_type="PERSONAL"), registered(), campaign()))
    assert [type(event) for event in events] == [e.PersonalAccountUseFlagged]
    assert d.evolve_agent(d.Agent(), events[0]).active is False


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (agent(virtual_household_id="VH-1", village="370406101202"), "VALIDATION_FAILED"),
        (agent(unit_id="U-2"), "VALIDATION_FAILED"),
        (agent(channels=("WECHAT",)), "CHANNEL_NOT_ALLOWED"),
        (agent(channels=("HR_WEBSITE",)), "CHANNEL_NOT_ALLOWED"),
    ],
)
def test_an_agent_belongs_to_the_unit_and_uses_agents_channels(command: d.AuthorizeAgent, code: str) -> None:
    """FACTS 1.7: only channels the plan names for agents."""
    assert refusal(d.authorize_agent(d.Agent(), command, registered(), campaign())).code == code


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (agent(virtual_household_id="", channels=("CASH_AGENT",)), "virtual_household_id"),
        (agent(virtual_household_id="", channels=("POS",), village="110101001001"), "village"),
    ],
)
def test_an_agent_without_a_household_takes_no_cash(command: d.AuthorizeAgent, field: str) -> None:
    """D-40, D-42: cash is held for a virtual household only, and agents are of the campaign's places."""
    assert refusal(d.authorize_agent(d.Agent(), command, d.VirtualHousehold(), campaign())).field == field


def test_an_agent_whose_channels_settle_themselves_needs_no_household() -> None:
    """D-40: 裕农通 and POS takings go straight to the bank, also where the plan leaves households open (D-42)."""
    told = campaign(pack=load_pack("SC-2025"), division="370406001")
    village = f"{told.division}201"
    command = agent(virtual_household_id="", village=village, channels=("YUNONGTONG", "POS"))
    event = _events(d.authorize_agent(d.Agent(), command, d.VirtualHousehold(), told))[0]
    assert isinstance(event, e.AgentAuthorized)
    assert (event.virtual_household_id, event.channels) == ("", ("YUNONGTONG", "POS"))


def test_a_plan_without_households_lets_its_villages_take_cash() -> None:
    """000:L117-119: DZ-2018 has no virtual households (I-07); its agents take cash in their own village."""
    told = campaign(pack=load_pack("DZ-2018"), division="370406101")
    command = agent(virtual_household_id="", channels=("CASH_AGENT",))
    event = _events(d.authorize_agent(d.Agent(), command, d.VirtualHousehold(), told))[0]
    assert isinstance(event, e.AgentAuthorized)
    assert (event.virtual_household_id, event.village) == ("", VILLAGE)
    foreign = agent(virtual_household_id="", village="110101001001")
    assert refusal(d.authorize_agent(d.Agent(), foreign, d.VirtualHousehold(), told)).field == "village"


def test_a_revoked_agent_may_be_authorised_again() -> None:
    """EVENTS 2: 取消 and anew; revoking twice is nothing new, revoking nobody is refused."""
    state = d.evolve_agent(
        d.Agent(), _events(d.authorize_agent(d.Agent(), AGENT, registered(), campaign()))[0]
    )
    revoke = d.RevokeAgent(agent_id="A-1", campaign=CAMPAIGN, reason="换届")
    state = d.evolve_agent(state, _events(d.revoke_agent(state, revoke))[0])
    assert not state.active
    assert d.revoke_agent(state, revoke) == []
    assert _events(d.authorize_agent(state, AGENT, registered(), campaign()))
    assert refusal(d.revoke_agent(d.Agent(), revoke)).code == "NOT_FOUND"
