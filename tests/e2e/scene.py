"""A scene for scenarios: a few residents of one village, every organisation, and the outside world.

Everything enters by HTTP (the services' routes and the outside world's acts); everything is read from routes,
event feeds, the outside's books, and at the very end from the four logs by the audit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from deploy.audit.evidence import Evidence, rows_of
from deploy.audit.running import books_of
from deploy.audit.verify import AuditReport, ReplayedProjection, audit
from deploy.rehearsal.clients import SERVICES, Reply
from shared.kernel.clock import Runtime
from shared.kernel.identity import check_character
from shared.observability.tracing import Tracing
from shared.policy.registry import open_registry
from tests.e2e.composition import System, composed

CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
TOWN = VILLAGE[:9]
ROSTER = f"{CAMPAIGN}.{VILLAGE}"
HOUSEHOLD = f"VH-{TOWN}"
AGENT = f"A-{VILLAGE}-1"
ACCOUNT = "ACC-1"
YEAR = 2020
MEDICAL_FEN = 26_000

ROSTER_DAY = dt.date(2019, 10, 14)
COLLECTING = dt.date(2019, 10, 28)
SIGNING = dt.date(2019, 11, 21)
DECLARING = dt.date(2019, 11, 26)


@dataclass(frozen=True, slots=True)
class Payer:
    """A resident. tier_yuan: also enrolled for the pension; lists: (department, category), medical."""

    name: str
    born: dt.date = dt.date(1978, 5, 6)
    tier_yuan: int | None = None
    lists: tuple[tuple[str, str], ...] = ()

    @property
    def insurances(self) -> tuple[str, ...]:
        """What the resident is enrolled for."""
        return ("medical",) if self.tier_yuan is None else ("medical", "pension")


DEPARTMENTS = {"CIVIL_AFFAIRS": "civil-affairs", "DISABLED_FEDERATION": "disabled-persons-federation"}


@dataclass
class Scene:
    """Acts and reads; ``persons``: id by resident's name; ``packs``: the folder of further packs."""

    system: System
    packs: Path | None = None
    persons: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, str] = field(default_factory=dict)
    _asked: int = 0

    # -- speaking -----------------------------------------------------------------------------------------

    async def ask(self, who: str, service: str, path: str, body: Any, key: str = "") -> Reply:
        """A request that may be refused; what it causes comes to rest."""
        self._asked += 1
        reply = await self.system.clients.ask(who, service, path, body, key or f"scene-{self._asked}")
        await self.system.drain()
        return reply

    async def post(self, who: str, service: str, path: str, body: Any) -> Any:
        """A request that must succeed."""
        reply = await self.ask(who, service, path, body)
        assert reply.status < 400, f"{path}: {reply.status} {reply.body}"
        return reply.body

    async def upload(
        self, who: str, service: str, path: str, rows: Sequence[Mapping[str, Any]]
    ) -> dict[str, int]:
        """Hand in a file; counts of its rows once it is worked off."""
        self._asked += 1
        content = b"\n".join(msgspec.json.encode(row) for row in rows)
        reply = await self.system.clients.upload(who, service, path, content, f"scene-{self._asked}")
        await self.system.drain()
        status = await self.system.clients.get(who, service, f"/imports/{reply.body['import_id']}")
        assert status["state"] == "DONE"
        return {name: status[name] for name in ("rows", "accepted", "refused")}

    async def resend(self, service: str) -> int:
        """A service publishes its whole log once more (``POST /ops/relay:resend``); answers the records."""
        relay = self.system.network.services[service].relay
        self.system.services[service].machinery.resend = relay.resend
        reply = await self.ask("ops", service, "/ops/relay:resend", {"from": 1})
        assert reply.status == 200, reply.body
        return int(reply.body["records"])

    async def get(self, service: str, path: str, **query: str | int) -> Any:
        """A read by the auditor."""
        return await self.system.clients.get("auditor", service, path, **query)

    async def items(self, service: str, path: str, **query: str | int) -> list[dict[str, Any]]:
        """All pages of a list."""
        return [row async for row in self.system.clients.pages("auditor", service, path, **query)]

    async def outside(self, path: str, **body: Any) -> Any:
        """An act of the outside world."""
        answer = await self.system.outside.post(path, {"campaign": CAMPAIGN, **body})
        await self.system.drain()
        return answer

    async def published(self, service: str, name: str) -> list[dict[str, Any]]:
        """Data of the published facts of a type (snake case), from the service's feed."""
        kind = f"liangxian.{service}.{name}.v1"
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self.get(service, "/events", after=after, limit=1000)
            found += [item["data"] for item in page["items"] if item["type"] == kind]
            if not page["items"]:
                return found
            after = int(page["next"])

    def logged(self, service: str, *types: str) -> list[str]:
        """Types of a log's own events, of those named, in order."""
        return [row.type for row in self.system.services[service].parts.log.rows if row.type in types]

    async def day(self, day: dt.date) -> None:
        """BeginDay everywhere."""
        for service in SERVICES:
            await self.system.clients.post("ops", service, "/ops/begin-day", {"date": day.isoformat()})
        await self.system.drain()

    # -- preparation --------------------------------------------------------------------------------------

    async def open(self, *payers: Payer) -> None:
        """Pack, campaign, virtual household and agent; residents registered, listed, with their tiers."""
        await self.day(dt.date(2019, 10, 1))
        await self._open_campaign()
        for number, payer in enumerate(payers, 1):
            await self._enrol(payer, number)
        for department, category in dict.fromkeys(each for payer in payers for each in payer.lists):
            await self._list(
                department, category, [each for each in payers if (department, category) in each.lists]
            )

    async def _open_campaign(self) -> None:
        tax = "tax-branch", "collection"
        await self.post("tax", "collection", "/packs", {"pack_id": "ST-2020", "maker": "tax-01"})
        publish = {"campaign": CAMPAIGN, "approver": "tax-02"}
        await self.post("tax", "collection", "/packs/ST-2020:publish", publish)
        await self.post("tax", "collection", "/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"})
        household = {
            "virtual_household_id": HOUSEHOLD,
            "campaign": CAMPAIGN,
            "unit_id": f"U-{TOWN}",
            "name": "店子镇（合成）",
            "villages": [VILLAGE],
        }
        await self.post(*tax, "/virtual-households", household)
        scope = {"insurances": ["medical", "pension"], "divisions": [TOWN]}
        await self.post(*tax, f"/virtual-households/{HOUSEHOLD}:assign-scope", scope)
        agent = {
            "agent_id": AGENT,
            "campaign": CAMPAIGN,
            "village": VILLAGE,
            "virtual_household_id": HOUSEHOLD,
            "unit": f"U-{TOWN}",
            "designated_account_ref": ACCOUNT,
            "channels": ["CASH_AGENT"],
        }
        await self.post(*tax, "/agents", agent)
        known = {"agent": AGENT, "village": VILLAGE, "account_ref": ACCOUNT, "receipts": "CASH_AGENT"}
        await self.outside("/agents", agents=[known])

    async def _enrol(self, payer: Payer, number: int) -> None:
        first = f"370406{payer.born:%Y%m%d}{number:03d}"
        self._numbers[payer.name] = first + check_character(first)
        person = {
            "name": "示例",
            "number": self._numbers[payer.name],
            "division": VILLAGE,
            "hukou_division": "370406",
        }
        registered = await self.post("hr", "registration", "/people", person)
        person_id = self.persons[payer.name] = registered["person_id"]
        for insurance in payer.insurances:
            body = {"person_id": person_id, "insurance": insurance, "year": YEAR}
            await self.post("hr", "registration", "/enrolments", body)
        if payer.tier_yuan is not None:
            tier = {"person_id": person_id, "year": YEAR, "campaign": CAMPAIGN, "tier_yuan": payer.tier_yuan}
            await self.post("village-agent", "collection", "/tiers", tier)

    async def _list(self, department: str, category: str, payers: Sequence[Payer]) -> None:
        lines = [
            {"line_no": number, "name": "示例", "number": self._numbers[payer.name]}
            for number, payer in enumerate(payers, 1)
        ]
        name = f"L-{department}-{category}"
        body = {
            "list_id": name,
            "department": department,
            "category": category,
            "insurance": "medical",
            "campaign": CAMPAIGN,
            "stamped_total": len(lines),
            "lines": lines,
        }
        who = DEPARTMENTS[department]
        await self.post(who, "subsidy", "/lists", body)
        await self.post(who, "subsidy", f"/lists/{name}:verify", {"stamp": "章-01", "count": len(lines)})

    async def roster(self) -> None:
        """Generated, reviewed twice, published three days, final."""
        await self.day(ROSTER_DAY)
        await self.post("tax-branch", "collection", "/rosters", {"campaign": CAMPAIGN, "village": VILLAGE})
        for who, role in (("tax-branch", "TAX_BRANCH"), ("town-agency", "TOWN_AGENCY")):
            review = {"role": role, "actor": f"{who}-1"}
            await self.post(who, "collection", f"/rosters/{ROSTER}:review", review)
        await self.post("town-agency", "collection", f"/rosters/{ROSTER}:publish", {"agents": [AGENT]})
        await self.day(ROSTER_DAY + dt.timedelta(days=3))
        await self.post("town-agency", "collection", f"/rosters/{ROSTER}:finalise", {})

    # -- money --------------------------------------------------------------------------------------------

    async def lines(self, name: str, *insurances: str) -> list[dict[str, Any]]:
        """What a resident was assessed to pay himself, as lines of an order."""
        owed = await self.items("collection", "/obligations", campaign=CAMPAIGN, village=VILLAGE)
        return [
            {
                "person_id": row["person_id"],
                "village": VILLAGE,
                "insurance": row["insurance"],
                "year": YEAR,
                "fen": row["personal_fen"],
            }
            for row in owed
            if row["person_id"] == self.persons[name] and row["insurance"] in insurances
        ]

    async def cash(self, name: str, at: str, order_no: str, *insurances: str) -> dict[str, Any]:
        """The agent at the door. at: local moment, ``2019-10-28T10:00``."""
        body = await self._order(name, at, order_no, insurances)
        answer: dict[str, Any] = await self.outside("/channels/CASH_AGENT/pay", **body, agent=AGENT)
        return answer

    async def online(
        self, name: str, at: str, order_no: str, *insurances: str, asked: bool = True
    ) -> dict[str, Any]:
        """WeChat. asked False: the money is final before anybody was asked."""
        body = await self._order(name, at, order_no, insurances)
        answer: dict[str, Any] = await self.outside("/channels/WECHAT/pay", **body, asked=asked)
        return answer

    async def _order(self, name: str, at: str, order_no: str, insurances: Sequence[str]) -> dict[str, Any]:
        lines = await self.lines(name, *(insurances or ("medical",)))
        return {"order_no": order_no, "paid_at": f"{at}:00+08:00", "lines": lines}

    async def close_day(
        self, day: dt.date, deposited_on: dt.date | None = None, adjustments: Mapping[str, int] | None = None
    ) -> None:
        """The agent's evening: summary and slips; the bank sends the file of the day of deposit.

        adjustments: fen by which his medical slip differs from his box. deposited_on: the next day at the latest.
        """
        on = deposited_on or day
        misfits = {AGENT: adjustments["medical"]} if adjustments else {}
        await self.outside(f"/days/{day}/close", late_agents=[] if on == day else [AGENT], misfits=misfits)

    async def day_file(self, day: dt.date) -> None:
        """WeChat's day file."""
        await self.outside(f"/channels/WECHAT/day-files/{day}")

    async def sign(self) -> None:
        """Signed by the village and shown three days (D-10); it is the declaring phase afterwards."""
        await self.day(SIGNING)
        signer = {"actor": "village-committee-01"}
        await self.post("village-committee", "collection", f"/rosters/{ROSTER}:sign", signer)
        await self.day(SIGNING + dt.timedelta(days=3))
        await self.day(DECLARING)

    async def try_declaring(self) -> Reply:
        """虚拟户申报 at the hall."""
        body = {
            "virtual_household_id": HOUSEHOLD,
            "campaign": CAMPAIGN,
            "village": VILLAGE,
            "via": "HALL",
        }
        return await self.ask("town-agency", "collection", "/declarations", body)

    async def declare(self) -> None:
        """Declared and verified: vouchers are issued."""
        reply = await self.try_declaring()
        assert reply.status == 201, reply.body
        path = f"/declarations/{reply.body['declaration_no']}:verify"
        await self.post("tax-branch", "collection", path, {"actor": "branch-1"})

    async def bank(self, day: dt.date) -> None:
        """What is issued is debited and remitted."""
        await self.outside(f"/days/{day}/debit")

    async def treasury(self, day: dt.date, reject: Sequence[str] = ()) -> None:
        """A day of the treasury: what was remitted before it is entered, or sent back."""
        await self.day(day)
        await self.outside(f"/days/{day}/enter", reject=list(reject))

    async def into_treasury(self, day: dt.date) -> None:
        """Debited and remitted on a day, entered on the next."""
        await self.bank(day)
        await self.treasury(day + dt.timedelta(days=1))

    async def refunds(self, day: dt.date) -> None:
        """Finance approves, the treasury pays."""
        await self.outside("/finance/approvals")
        await self.outside(f"/days/{day}/refunds")

    async def vouchers(self, **query: str) -> list[dict[str, Any]]:
        """Vouchers of the campaign."""
        return await self.items("collection", "/vouchers", campaign=CAMPAIGN, **query)

    async def positions(self) -> list[tuple[str, str, str, int, int]]:
        """(insurance, channel, state, count, fen) of all money of the campaign."""
        found = await self.get("collection", "/money/positions", campaign=CAMPAIGN)
        return sorted(
            (row["insurance"], row["channel"], row["state"], row["count"], row["fen"])
            for row in found["rows"]
        )

    async def cover(self, name: str) -> dict[str, Any] | None:
        """A resident's medical cover of the year; None when there never was one."""
        found = await self.get("registration", f"/people/{self.persons[name]}/entitlements")
        return next((row for row in found["medical"] if row["year"] == YEAR), None)

    async def enrolments(self, name: str) -> dict[str, str]:
        """Status by insurance."""
        found = await self.get("registration", "/enrolments", person_id=self.persons[name])
        return {row["insurance"]: row["status"] for row in found["items"]}

    # -- deaths -------------------------------------------------------------------------------------------

    async def report_death(self, name: str, died_on: dt.date, told_on: dt.date) -> None:
        """The police tell."""
        await self.day(told_on)
        await self.outside_death(self.persons[name], died_on, told_on)

    async def outside_death(self, person_id: str, died_on: dt.date, told_on: dt.date) -> None:
        """The police's own act has no campaign."""
        body = {"person_id": person_id, "died_on": died_on.isoformat(), "told_on": told_on.isoformat()}
        await self.system.outside.post("/police/deaths", body)
        await self.system.drain()

    async def correct_death(self, name: str, date: dt.date | None, who: str, source: str) -> None:
        """A source changes its report, or withdraws it (None)."""
        body = {"date": date.isoformat() if date is not None else None, "source": source}
        await self.post(who, "registration", f"/deaths/{self.persons[name]}:correct", body)

    # -- judging ------------------------------------------------------------------------------------------

    async def replays(self) -> list[ReplayedProjection]:
        """Every read model of every service against its replay (``POST /ops/projections/{name}:replay``)."""
        found = []
        for service in SERVICES:
            names = (await self.system.clients.get("ops", service, "/ops/projections"))["items"]
            for name in names:
                path = f"/ops/projections/{name}:replay"
                reply = await self.system.clients.post("ops", service, path, {"swap": False})
                found.append(ReplayedProjection(service, name, int(reply.body["differences"])))
        return found

    async def audited(self, *, replayed: bool = True) -> AuditReport:
        """The audit over the four logs, the outside's books and the replays. replayed False: without these."""
        logs = {
            name: rows_of([row._asdict() for row in self.system.services[name].parts.log.rows])
            for name in SERVICES
        }
        books = books_of([await self.system.outside.get(f"/books?campaign={CAMPAIGN}")])
        packs = {f"{pack.id}/{pack.version}": pack for pack in open_registry(self.packs)}
        return audit(Evidence(logs, books, packs), await self.replays() if replayed else [])

    async def assert_sound(self, *, money: bool = True) -> AuditReport:
        """No invariant violated, no fen unaccounted for, and every read model equals its replay.

        money False: the scenario ends before any was taken.
        """
        report = await self.audited()
        violated = {each.id: each.details for each in report.invariants if each.violations}
        assert violated == {}, violated
        assert (report.unaccounted_fen, report.difference_fen, report.broken) == (0, 0, ())
        assert (report.records_compared > 0) is money
        own = await self.get("collection", "/money/unaccounted", campaign=CAMPAIGN)
        assert (own["unaccounted_fen"], own["difference_fen"]) == (0, 0)
        return report


@asynccontextmanager
async def scene(
    *payers: Payer,
    seed: int = 1,
    packs: Path | None = None,
    tracing: Callable[[str, Runtime], Tracing] | None = None,
) -> AsyncIterator[Scene]:
    """A campaign that is open, with these residents in it. packs, tracing: as ``composed`` takes them."""
    async with composed(seed=seed, packs=packs, tracing=tracing) as system:
        prepared = Scene(system, packs)
        await prepared.open(*payers)
        yield prepared
