"""Two insured years on the same databases: a few residents of 山城街道, SC-2025 and its synthetic copy for 2026.

Everything enters by the services' own routes, as organisations of the outside would send it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.audit.evidence import Evidence, rows_of
from deploy.audit.verify import audit
from deploy.rehearsal.clients import SERVICES, Reply
from shared.kernel.identity import check_character
from shared.policy import copy_to_year, dump, load_pack
from shared.policy.registry import open_registry
from tests.e2e.composition import System

TOWN = "370406001"
VILLAGE, OTHER = f"{TOWN}201", f"{TOWN}202"


def campaign_of(year: int) -> str:
    """The sub-district's campaign of a year."""
    return f"{TOWN}-{year}"


def write_next_year(folder: Path) -> None:
    """What ``liangxian packs copy SC-2025 --year 2026`` writes."""
    copy = copy_to_year(load_pack("SC-2025"), "SC-2026", 2026)
    folder.joinpath("SC-2026.yaml").write_text(dump(copy, "synthetic"), encoding="utf-8")


@dataclass
class Years:
    """Acts and reads of two campaigns. persons: id by name; paid: lines of WeChat's day, by campaign."""

    system: System
    persons: dict[str, str] = field(default_factory=dict)
    _asked: int = 0
    _taken: dict[tuple[str, dt.date], list[dict[str, Any]]] = field(default_factory=dict)

    async def ask(self, who: str, service: str, path: str, body: Any) -> Reply:
        """A request that may be refused; what it causes comes to rest."""
        self._asked += 1
        reply = await self.system.clients.ask(who, service, path, body, f"years-{self._asked}")
        await self.system.drain()
        return reply

    async def post(self, who: str, service: str, path: str, body: Any) -> Any:
        """A request that must succeed."""
        reply = await self.ask(who, service, path, body)
        assert reply.status < 400, f"{path}: {reply.status} {reply.body}"
        return reply.body

    async def get(self, service: str, path: str, **query: str | int) -> Any:
        """A read by the tax bureau of collection, by the auditor of the rest."""
        who = "tax" if service == "collection" else "auditor"
        return await self.system.clients.get(who, service, path, **query)

    async def day(self, day: dt.date) -> None:
        """BeginDay everywhere."""
        for service in SERVICES:
            await self.system.clients.post("ops", service, "/ops/begin-day", {"date": day.isoformat()})
        await self.system.drain()

    async def open(self, pack_id: str, year: int) -> None:
        """Drafted, published by another, opened."""
        await self.post("tax", "collection", "/packs", {"pack_id": pack_id, "maker": "tax-01"})
        publish = {"campaign": campaign_of(year), "approver": "tax-02"}
        await self.post("tax", "collection", f"/packs/{pack_id}:publish", publish)
        await self.post(
            "tax", "collection", "/campaigns", {"campaign": campaign_of(year), "pack_id": pack_id}
        )

    async def register(self, name: str, born: dt.date, village: str = VILLAGE) -> str:
        """人员登记."""
        first = f"370406{born:%Y%m%d}{len(self.persons) + 1:03d}"
        number = first + check_character(first)
        person = {"name": "示例", "number": number, "division": village, "hukou_division": TOWN}
        registered = await self.post("hr", "registration", "/people", person)
        self.persons[name] = registered["person_id"]
        return self.persons[name]

    async def enrol(self, name: str, year: int, *insurances: str, tier_yuan: int = 0) -> list[str]:
        """参保登记, with a tier for the pension; answers the statuses."""
        found = []
        for insurance in insurances:
            body = {"person_id": self.persons[name], "insurance": insurance, "year": year}
            answer = await self.ask("hr", "registration", "/enrolments", body)
            found.append(str(answer.body.get("status", answer.body.get("rule"))))
        if tier_yuan:
            tier = {
                "person_id": self.persons[name],
                "year": year,
                "campaign": campaign_of(year),
                "tier_yuan": tier_yuan,
            }
            await self.ask("village-agent", "collection", "/tiers", tier)
        return found

    async def owed(self, year: int, village: str = VILLAGE) -> dict[tuple[str, str], int]:
        """What each owes himself, by name and insurance; refused ones are left out."""
        page = await self.get("collection", "/obligations", campaign=campaign_of(year), village=village)
        names = {person_id: name for name, person_id in self.persons.items()}
        return {
            (names[row["person_id"]], row["insurance"]): row["personal_fen"]
            for row in page["items"]
            if not row["refused"]
        }

    async def pay(
        self, name: str, insurance: str, year: int, fen: int, at: dt.date, order: str = ""
    ) -> Reply:
        """WeChat asks, then takes."""
        order = order or f"W-{name}-{insurance}-{year}"
        line = {
            "person_id": self.persons[name],
            "year": year,
            "insurance": insurance,
            "amount_fen": fen,
        }
        paid_at = f"{at}T20:15:00+08:00"
        body = {"order_no": order, "channel": "WECHAT", "paid_at": paid_at, "lines": [line]}
        reply = await self.ask("channel-wechat", "collection", "/payments", body)
        if reply.status < 400:
            filed = {**line, "order_no": order, "paid_at": paid_at}
            self._taken.setdefault((campaign_of(year), at), []).append(filed)
        return reply

    async def settle(self, at: dt.date) -> None:
        """WeChat's files of the day (one per campaign), then bank and treasury until everything is entered."""
        for (campaign, day), lines in self._taken.items():
            if day != at:
                continue
            file = {
                "file_no": f"W-{campaign}-{day}",
                "date": day.isoformat(),
                "campaign": campaign,
                "lines": lines,
                "total_count": len(lines),
                "total_fen": sum(line["amount_fen"] for line in lines),
            }
            await self.post("channel-wechat", "collection", "/channels/WECHAT/day-files", file)
        await self._enter(at)

    async def _enter(self, at: dt.date) -> None:
        for campaign in sorted({campaign for campaign, day in self._taken if day == at}):
            page = await self.get("collection", "/vouchers", campaign=campaign, state="ISSUED")
            for voucher in page["items"]:
                path, moment = f"/vouchers/{voucher['voucher_no']}", f"{at}T21:00:00+08:00"
                debit = {"method": "WECHAT", "bank_ref": "B-1", "amount_fen": voucher["fen"], "at": moment}
                await self.post("bank", "collection", f"{path}:debited", debit)
                await self.post("bank", "collection", f"{path}:remitted", {"batch": "R-1", "at": moment})
                entry = {"treasury_date": at.isoformat(), "amount_fen": voucher["fen"]}
                await self.post("treasury", "collection", f"{path}:in-treasury", entry)

    async def history(self, year: int, village: str = VILLAGE) -> dict[tuple[str, str], tuple[int, str]]:
        """Who had paid for a year: fen and where it is known from."""
        page = await self.get("collection", "/history", village=village, year=year)
        names = {person_id: name for name, person_id in self.persons.items()}
        return {
            (names[row["person_id"]], row["insurance"]): (row["fen"], row["origin"]) for row in page["items"]
        }

    async def lapsed(self, year: int, village: str = VILLAGE) -> dict[tuple[str, str], str]:
        """Last year's payers who do not go on, with why."""
        path = f"/campaigns/{campaign_of(year)}/lapsed"
        names = {person_id: name for name, person_id in self.persons.items()}
        page = await self.get("collection", path, village=village)
        return {(names[row["person_id"]], row["insurance"]): row["reason"] for row in page["items"]}

    async def cover(self, name: str, year: int) -> tuple[str, str | None, str | None]:
        """Medical cover of a year."""
        found = await self.get("registration", f"/people/{self.persons[name]}/entitlements")
        (row,) = [row for row in found["medical"] if row["year"] == year]
        return row["status"], row["from_date"], row["to_date"]

    async def money(self, year: int) -> tuple[int, int]:
        """(unaccounted, difference) fen of a campaign."""
        found = await self.get("collection", "/money/unaccounted", campaign=campaign_of(year))
        return found["unaccounted_fen"], found["difference_fen"]

    def violations(self, packs: Path | None = None) -> dict[str, object]:
        """Invariants the audit finds violated in the four logs (the outside keeps no books here)."""
        logs = {
            name: rows_of([row._asdict() for row in self.system.services[name].parts.log.rows])
            for name in SERVICES
        }
        held = {f"{pack.id}/{pack.version}": pack for pack in open_registry(packs)}
        report = audit(Evidence(logs, packs=held))
        return {each.id: each.details for each in report.invariants if each.violations}
