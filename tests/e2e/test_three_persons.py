"""EVENTS scenario 1: three persons of one village, one of them 低保, from registration to booked (ST-2020)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from deploy.rehearsal.clients import SERVICES
from tests.e2e.composition import System, composed

CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
TOWN = VILLAGE[:9]
AGENT = f"A-{VILLAGE}-1"
ROSTER = f"{CAMPAIGN}.{VILLAGE}"
HOUSEHOLD = f"VH-{TOWN}"
PEOPLE = ("370406198001010025", "370406197505052232", "370406196003030047")
POOR = 2
FEN = 26_000


class Village:
    """Speaks for every organisation; keys are derived from what is asked."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.persons: list[str] = []
        self.asked = 0

    async def post(self, who: str, service: str, path: str, body: Any) -> Any:
        """A request that must succeed; what it causes comes to rest."""
        self.asked += 1
        key = f"three-persons-{self.asked}"
        reply = await self.system.clients.post(who, service, path, body, key=key)
        await self.system.drain()
        return reply.body

    async def get(self, service: str, path: str, **query: str) -> Any:
        """A read by the auditor."""
        return await self.system.clients.get("auditor", service, path, **query)

    async def day(self, day: dt.date) -> None:
        """BeginDay everywhere."""
        for service in SERVICES:
            await self.system.clients.post("ops", service, "/ops/begin-day", {"date": day.isoformat()})
        await self.system.drain()

    async def outside(self, path: str, **body: Any) -> Any:
        """An act of the outside world."""
        answer = await self.system.outside.post(path, {"campaign": CAMPAIGN, **body})
        await self.system.drain()
        return answer

    async def notice(self, kind: str) -> dict[str, Any]:
        """The village's notice of a kind."""
        page = await self.get("notification", "/notices", village=VILLAGE, kind=kind)
        (found,) = page["items"]
        return dict(found)


async def prepare(village: Village) -> None:
    """Campaign, virtual household, three people with medical enrolments, one on the 低保 list."""
    post = village.post
    await village.day(dt.date(2019, 10, 1))
    await post("tax", "collection", "/packs", {"pack_id": "ST-2020", "maker": "tax-01"})
    publish = {"campaign": CAMPAIGN, "approver": "tax-02"}
    await post("tax", "collection", "/packs/ST-2020:publish", publish)
    await post("tax", "collection", "/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"})
    household = {
        "virtual_household_id": HOUSEHOLD,
        "campaign": CAMPAIGN,
        "unit_id": f"U-{TOWN}",
        "name": "店子镇（合成）",
        "villages": [VILLAGE],
    }
    await post("tax-branch", "collection", "/virtual-households", household)
    scope = {"insurances": ["medical"], "divisions": [TOWN]}
    await post("tax-branch", "collection", f"/virtual-households/{HOUSEHOLD}:assign-scope", scope)
    agent = {
        "agent_id": AGENT,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "virtual_household_id": HOUSEHOLD,
        "unit": f"U-{TOWN}",
        "designated_account_ref": "ACC-1",
        "channels": ["CASH_AGENT"],
    }
    await post("tax-branch", "collection", "/agents", agent)
    known = {"agent": AGENT, "village": VILLAGE, "account_ref": "ACC-1", "receipts": "CASH_AGENT"}
    await village.outside("/agents", agents=[known])
    for number in PEOPLE:
        person = {"name": "示例", "number": number, "division": VILLAGE, "hukou_division": "370406"}
        registered = await post("hr", "registration", "/people", person)
        village.persons.append(registered["person_id"])
    for person_id in village.persons:
        enrolment = {"person_id": person_id, "insurance": "medical", "year": 2020}
        await post("medical", "registration", "/enrolments", enrolment)
    listed = {
        "list_id": "L-1",
        "department": "CIVIL_AFFAIRS",
        "category": "低保",
        "insurance": "medical",
        "campaign": CAMPAIGN,
        "stamped_total": 1,
        "lines": [{"line_no": 1, "name": "示例", "number": PEOPLE[POOR]}],
    }
    await post("civil-affairs", "subsidy", "/lists", listed)
    await post("civil-affairs", "subsidy", "/lists/L-1:verify", {"stamp": "民政-01", "count": 1})


async def publish_roster(village: Village) -> None:
    """Generated, reviewed twice, published three days, final."""
    post = village.post
    await village.day(dt.date(2019, 10, 14))
    await post("tax-branch", "collection", "/rosters", {"campaign": CAMPAIGN, "village": VILLAGE})
    for who, role in (("tax-branch", "TAX_BRANCH"), ("town-agency", "TOWN_AGENCY")):
        await post(who, "collection", f"/rosters/{ROSTER}:review", {"role": role, "actor": f"{who}-1"})
    await post("town-agency", "collection", f"/rosters/{ROSTER}:publish", {"agents": [AGENT]})
    await village.day(dt.date(2019, 10, 16))
    assert (await village.notice("ROSTER"))["state"] != "CLOSED"
    await village.day(dt.date(2019, 10, 17))
    assert (await village.notice("ROSTER"))["state"] == "CLOSED"
    await post("town-agency", "collection", f"/rosters/{ROSTER}:finalise", {})


async def collect(village: Village) -> None:
    """Two receipts, one evening, one deposit."""
    day = dt.date(2019, 10, 28)
    await village.day(day)
    for number, person_id in enumerate(village.persons):
        if number == POOR:
            continue
        line = {
            "person_id": person_id,
            "village": VILLAGE,
            "insurance": "medical",
            "year": 2020,
            "fen": FEN,
        }
        answer = await village.outside(
            "/channels/CASH_AGENT/pay",
            agent=AGENT,
            order_no=f"O-{number}",
            paid_at=f"{day}T10:00:00+08:00",
            lines=[line],
        )
        assert answer["state"] == "TAKEN"
    await village.outside(f"/days/{day}/close")


async def declare(village: Village) -> None:
    """Signed and shown three days, declared at the hall, verified; government money submitted beside it."""
    post = village.post
    await village.day(dt.date(2019, 11, 21))
    signer = {"actor": "village-committee-01"}
    await post("village-committee", "collection", f"/rosters/{ROSTER}:sign", signer)
    notice = await village.notice("PRE_DECLARATION")
    assert notice["days"] == 3
    await village.day(dt.date(2019, 11, 24))
    assert (await village.notice("PRE_DECLARATION"))["state"] == "CLOSED"
    await village.day(dt.date(2019, 11, 26))
    fund = {"department": "CIVIL_AFFAIRS", "campaign": CAMPAIGN}
    await post("civil-affairs", "subsidy", "/funds:apply", fund)
    await village.outside("/finance/appropriations", department="CIVIL_AFFAIRS", date="2019-11-26", fen=FEN)
    transfer = f"/funds/CIVIL_AFFAIRS/{CAMPAIGN}:transfer"
    await post("civil-affairs", "subsidy", transfer, {"fen": FEN})
    await post("civil-affairs", "subsidy", "/government-payments", {**fund, "insurance": "medical"})
    declaration = {
        "virtual_household_id": HOUSEHOLD,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "via": "HALL",
    }
    submitted = await post("town-agency", "collection", "/declarations", declaration)
    number = submitted["declaration_no"]
    await post("tax-branch", "collection", f"/declarations/{number}:verify", {"actor": "branch-1"})


async def enter(village: Village) -> None:
    """Debited and remitted today, in the treasury tomorrow; stamped and shown three days."""
    await village.outside("/days/2019-11-26/debit")
    await village.day(dt.date(2019, 11, 27))
    await village.outside("/days/2019-11-27/enter")
    stamp = {"actor": "branch-1"}
    await village.post("tax-branch", "collection", f"/rosters/{ROSTER}:stamp", stamp)
    assert (await village.notice("POST_TREASURY"))["days"] == 3
    await village.day(dt.date(2019, 11, 30))
    assert (await village.notice("POST_TREASURY"))["state"] == "CLOSED"


async def test_three_persons_from_registration_to_booked() -> None:
    """Totals 260 × 2 and government 260; 2 receipts; 1 declaration; notices 3, 3 and 3 days; all booked."""
    async with composed() as system:
        village = Village(system)
        await prepare(village)
        owed = (await village.get("collection", "/obligations", campaign=CAMPAIGN))["items"]
        assert sorted((row["personal_fen"], row["government_fen"]) for row in owed) == [
            (0, FEN),
            (FEN, 0),
            (FEN, 0),
        ]
        await publish_roster(village)
        await collect(village)
        receipts = await village.get("collection", f"/receipts/B-{AGENT}-S")
        assert [row["serial_no"] for row in receipts["items"]] == ["000001", "000002"]
        await declare(village)
        declared = (await village.get("collection", "/declarations", campaign=CAMPAIGN))["items"]
        assert [(row["count"], row["fen"], row["state"]) for row in declared] == [(2, 2 * FEN, "VERIFIED")]
        await enter(village)
        positions = await village.get("collection", "/money/positions", campaign=CAMPAIGN)
        states = [(row["channel"], row["state"], row["count"], row["fen"]) for row in positions["rows"]]
        assert sorted(states) == [("CASH_AGENT", "BOOKED", 2, 2 * FEN), ("GOVERNMENT", "BOOKED", 1, FEN)]
        for person_id in village.persons:
            granted = await village.get("registration", f"/people/{person_id}/entitlements")
            assert "2020-01-01" in str(granted)
        money = await village.get("collection", "/money/unaccounted", campaign=CAMPAIGN)
        assert (money["unaccounted_fen"], money["difference_fen"]) == (0, 0)
        assert money["checked"] > 0
