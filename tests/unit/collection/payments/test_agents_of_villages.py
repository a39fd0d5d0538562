"""Agents of many villages: POS and 裕农通 without a household, cash declared village by village (D-40, D-42, I-21)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.collection.settlement import events as s
from services.collection.treasury import events as t
from shared.kernel.insurance import Insurance
from shared.policy import load_pack
from tests.unit.collection.money_service import (
    CAMPAIGN,
    OTHER_VILLAGE,
    VILLAGE,
    MoneyService,
    agent_fact,
    assessed,
    begin_day,
    campaign_fact,
    cash,
    declaration_body,
    deposit,
    opened,
    payment,
    roster_fact,
    roster_state,
    states,
    summary,
)

AGENTS = {"agent-1": VILLAGE, "agent-2": OTHER_VILLAGE}
PERSONS = {"p1": VILLAGE, "q1": OTHER_VILLAGE, "q2": OTHER_VILLAGE}


async def two_villages(**agent: Any) -> MoneyService:
    """An agent and his payers in each of two villages, everybody on the roster of his own."""
    money = await opened()
    for agent_id, village in AGENTS.items():
        own = {"agent_id": agent_id, "village": village, "divisions": (village,)}
        money.facts.agents.known[agent_id, CAMPAIGN] = agent_fact(**(own | agent))
        roster_id = f"{CAMPAIGN}.{village}"
        money.facts.roster_states.known[roster_id] = roster_state(roster_id=roster_id, village=village)
    for person, village in PERSONS.items():
        listed = roster_fact(roster_id=f"{CAMPAIGN}.{village}", village=village)
        money.facts.rosters.known[CAMPAIGN, Insurance.MEDICAL, person] = listed
        await money.given(assessed(person, village=village))
    return money


def sc_2025() -> Any:
    """This campaign with SC-2025's channels and mode; its own days are used for paying."""
    pack = load_pack("SC-2025")
    assert pack.virtual_household_mode.value == "UNSPECIFIED"
    return campaign_fact(pack=pack)


async def test_an_agent_without_a_household_pays_by_pos_for_his_own_village() -> None:
    """D-40, D-42: authorised, his takings settle through the channel; no cash, deposit or declaration of his."""
    money = await two_villages(virtual_household_id="", mode="NONE", channels=("POS", "YUNONGTONG"))
    fact = sc_2025()
    money.facts.campaigns.known[CAMPAIGN] = fact
    start, _ = fact.pack.channel_open("POS", Insurance.MEDICAL, True, None)
    when = {
        "paid_at": dt.datetime.combine(start, dt.time(10), dt.timezone(dt.timedelta(hours=8))).isoformat()
    }

    def order(number: str, person: str, channel: str, agent: str) -> dict[str, Any]:
        return payment(number, person, channel=channel, agent=agent) | when

    taken = [
        ("P1", "p1", "POS", "agent-1"),
        ("Y1", "q1", "YUNONGTONG", "agent-2"),
        ("P2", "q2", "POS", "agent-2"),
    ]
    other = await money.post("/payments", order("P9", "q1", "POS", "agent-1"))
    assert (other.status_code, other.json()["rule"]) == (403, "AGENT_NOT_AUTHORISED")
    alone = await money.post("/payments", payment("P8", "p1", channel="POS") | when)
    assert alone.json()["rule"] == "AGENT_REQUIRED"
    for each in taken:
        response = await money.post("/payments", order(*each))
        assert response.status_code == 201, response.text
    lines = [
        {
            "order_no": number,
            "person_id": person,
            "insurance": "medical",
            "year": 2020,
            "amount_fen": 26000,
            **when,
        }
        for number, person, channel, _ in taken
        if channel == "POS"
    ]
    file = {"file_no": "D1", "date": start.isoformat(), "campaign": CAMPAIGN, "lines": lines}
    file |= {"total_count": 2, "total_fen": 52000}
    assert (await money.post("/channels/POS/day-files", file)).status_code == 201
    [confirmed] = await money.events(s.DailySettlementConfirmed)
    assert (confirmed.kind, confirmed.source, confirmed.count) == ("CHANNEL", "POS", 2)
    [issued] = await money.events(t.TaxVoucherIssued)
    assert (issued.source, issued.count, issued.village) == ("CHANNEL", 2, "")
    await begin_day(money, "2019-11-04")
    assert not await money.events(s.SettlementOverdue), "the channel holds the money, not the agent"
    assert await states(money) == {"VOUCHERED": 52000, "RECEIVED": 26000}


async def test_cash_is_settled_and_declared_village_by_village() -> None:
    """I-21: a difference in one village holds up that village's declaration only."""
    money = await two_villages()
    for number, (person, village) in enumerate(PERSONS.items()):
        agent = next(agent for agent, place in AGENTS.items() if place == village)
        assert (await money.post("/payments", cash(f"C{number}", person, agent=agent))).status_code == 201
    for agent, count, given in (("agent-1", 1, 26000), ("agent-2", 2, 50000)):
        await money.post(f"/agents/{agent}/summaries", summary(count, 26000 * count))
        body = deposit(given, slip=f"S-{agent}", agent_id=agent)
        assert (await money.post("/deposits:import", body)).status_code == 201
    mine = await money.post("/declarations", declaration_body())
    assert (mine.status_code, mine.json()["fen"]) == (201, 26000)
    held = await money.post("/declarations", declaration_body(village=OTHER_VILLAGE))
    assert (held.status_code, held.json()["rule"]) == (409, "DISCREPANCY_OPEN")
    correction = {
        "campaign": CAMPAIGN,
        "agent_id": "agent-2",
        "date": "2019-11-02",
        "insurance": "medical",
        "resolution": {"kind": "CORRECTIVE_DEPOSIT", "slip_no": "S9", "amount_fen": 2000},
    }
    assert (await money.post("/settlements", correction)).status_code == 201
    theirs = await money.post("/declarations", declaration_body(village=OTHER_VILLAGE))
    assert (theirs.status_code, theirs.json()["count"], theirs.json()["fen"]) == (201, 2, 52000)
    for declared in (mine, theirs):
        number = declared.json()["declaration_no"]
        await money.post(f"/declarations/{number}:verify", {"actor": "tax-03"})
    told = [(each.village, each.count, each.fen) for each in await money.events(t.TaxVoucherIssued)]
    assert told == [(VILLAGE, 1, 26000), (OTHER_VILLAGE, 2, 52000)]
