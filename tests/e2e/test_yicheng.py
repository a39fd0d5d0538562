"""YC-2023 through the services: the birthday rule online (scenario 7), family planning and the fiscal moneys."""

from __future__ import annotations

import datetime as dt
from typing import Any

from shared.kernel.identity import check_character
from tests.e2e.composition import composed
from tests.e2e.years import Years

CAMPAIGN, VILLAGE, YEAR = "370404-2023", "370404001201", 2023
OPENED, BEFORE, BIRTHDAY = dt.date(2022, 10, 1), dt.date(2022, 11, 19), dt.date(2022, 11, 20)
PEOPLE = {
    "wen": dt.date(1962, 11, 20),
    "wu": dt.date(1962, 11, 20),
    "wife": dt.date(1970, 3, 1),
    "husband": dt.date(1968, 3, 1),
}


class Yicheng(Years):
    """One village of 坛山街道."""

    def number(self, name: str) -> str:
        """A well-formed synthetic number."""
        first = f"370404{PEOPLE[name]:%Y%m%d}{list(PEOPLE).index(name) + 1:03d}"
        return first + check_character(first)

    async def prepare(self) -> None:
        """Campaign open, four residents enrolled, the couple for the pension too."""
        await self.day(OPENED)
        await self.post("tax", "collection", "/packs", {"pack_id": "YC-2023", "maker": "tax-01"})
        publish = {"campaign": CAMPAIGN, "approver": "tax-02"}
        await self.post("tax", "collection", "/packs/YC-2023:publish", publish)
        await self.post("tax", "collection", "/campaigns", {"campaign": CAMPAIGN, "pack_id": "YC-2023"})
        for name in PEOPLE:
            person = {
                "name": "示例",
                "number": self.number(name),
                "division": VILLAGE,
                "hukou_division": "370404",
            }
            registered = await self.post("hr", "registration", "/people", person)
            self.persons[name] = registered["person_id"]
            await self.enrol(name, YEAR, "medical")
        for name in ("wife", "husband"):
            await self.enrol(name, YEAR, "pension")
            tier = {
                "person_id": self.persons[name],
                "year": YEAR,
                "campaign": CAMPAIGN,
                "tier_yuan": 300,
            }
            await self.post("village-agent", "collection", "/tiers", tier)

    async def obligation(self, name: str, insurance: str = "medical") -> dict[str, Any]:
        """One person's obligation."""
        query = {"campaign": CAMPAIGN, "person_id": self.persons[name], "insurance": insurance}
        (row,) = (await self.get("collection", "/obligations", **query))["items"]
        return dict(row)

    async def online(self, name: str, insurance: str, fen: int, at: dt.date, order: str = "") -> Any:
        """WeChat's order, kept for the day's file under this campaign."""
        reply = await self.pay(name, insurance, YEAR, fen, at, order)
        taken = self._taken.pop((f"370406001-{YEAR}", at), [])
        self._taken.setdefault((CAMPAIGN, at), []).extend(taken)
        return reply


async def test_the_birthday_decides_online_and_the_subsidies_follow_the_payment() -> None:
    """Scenario 7: 175 on the birthday, 350 if insisted before; 300 for both spouses; claims from booked heads."""
    async with composed(seed=11, today=dt.date(2022, 9, 30)) as system:
        town = Yicheng(system)
        await town.prepare()
        assert (await town.obligation("wen"))["hold_until"] == "2022-11-20"
        await town.day(BEFORE)
        early = await town.online("wen", "medical", 17_500, BEFORE)
        assert (early.body["code"], early.body["rule"]) == ("AMOUNT_NOT_ASSESSED", "BIRTHDAY_HOLD")
        assert (await town.online("wu", "medical", 35_000, BEFORE)).status == 201
        insisted = await town.obligation("wu")
        assert (insisted["personal_fen"], insisted["government_fen"], insisted["version"]) == (35_000, 0, 2)
        await town.settle(BEFORE)

        couple = {
            "campaign": CAMPAIGN,
            "kind": "one-child",
            "department": "HEALTH",
            "wife_number": town.number("wife"),
            "husband_number": town.number("husband"),
        }
        wrong = await town.ask("health", "subsidy", "/family-planning-couples", {**couple, "kind": "none"})
        assert wrong.body["rule"] == "FAMILY_PLANNING_KIND"
        await town.post("health", "subsidy", "/family-planning-couples", couple)

        await town.day(BIRTHDAY)
        assert (await town.online("wen", "medical", 17_500, BIRTHDAY, "W-wen-again")).status == 201
        for name in ("wife", "husband"):
            assert (await town.online(name, "pension", 30_000, BIRTHDAY)).status == 201
        await town.settle(BIRTHDAY)
        for name in ("wife", "husband"):
            account = await town.get("registration", f"/people/{town.persons[name]}/account")
            kinds = {entry["kind"]: entry["fen"] for entry in account["entries"]}
            assert kinds == {"PERSONAL": 30_000, "FAMILY_PLANNING": 30_000, "MATCHING": 3_000}

        counted = await town.post("hr", "registration", "/fiscal-heads:count", {"campaign": CAMPAIGN})
        assert counted["kinds"]["FAMILY_PLANNING"] == {"heads": 2, "fen": 60_000}
        moneys = (await town.get("subsidy", "/fiscal-subsidies", campaign=CAMPAIGN))["items"]
        assert {row["kind"]: (row["heads"], row["claimed_fen"]) for row in moneys} == {
            "FAMILY_PLANNING": (2, 60_000),
            "MEDICAL_FISCAL": (2, 122_000),
            "PENSION_MATCHING": (2, 6_000),
        }
        path = f"/fiscal-subsidies/{CAMPAIGN}/FAMILY_PLANNING"
        over = await town.ask(
            "finance", "subsidy", f"{path}:appropriate", {"fen": 60_001, "on": "2022-12-01"}
        )
        assert over.body["code"] == "OVER_APPLICATION"
        await town.post("finance", "subsidy", f"{path}:appropriate", {"fen": 60_000, "on": "2022-12-01"})
        there = {"fen": 60_000, "on": "2022-12-03", "bank_ref": "B-9"}
        await town.post("finance", "subsidy", f"{path}:arrived", there)
        (family, *_) = (await town.get("subsidy", "/fiscal-subsidies", campaign=CAMPAIGN))["items"]
        assert (family["arrived_fen"], family["outstanding_fen"], family["in_transit_fen"]) == (60_000, 0, 0)
        money = await town.get("collection", "/money/unaccounted", campaign=CAMPAIGN)
        assert (money["unaccounted_fen"], money["difference_fen"]) == (0, 0)
        assert town.violations() == {}
