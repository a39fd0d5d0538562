"""The campaign of a simulated village: who does what, from the plan to the booking (ST-2020's seven steps)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from deploy.rehearsal.books import Line
from deploy.rehearsal.clients import Reply
from deploy.rehearsal.outside import World
from deploy.simulation.clients import SimulatedServices
from deploy.simulation.plan import SERVICES, Death, Payment, Person, Plan, Stage
from shared.kernel.clock import Runtime
from shared.kernel.identity import check_character

CAMPAIGN = "370406-2021"
PACK = "SIM-2021"
YEAR = 2021
VILLAGE = "370406101201"
TOWN = VILLAGE[:9]
ROSTER = f"{CAMPAIGN}.{VILLAGE}"
HOUSEHOLD = f"VH-{TOWN}"
AGENT = f"A-{VILLAGE}-1"
LIST = "L-1"
PREPARING, COLLECTING, SIGNING, DECLARING, ENTERING, ENTERING_AGAIN = (
    dt.date(2020, 10, day) for day in range(1, 7)
)

Rest = Callable[[], Awaitable[None]]


class Village:
    """Acts of all organisations. rest: waits until nothing is left to do; persons: by name, who is registered."""

    def __init__(
        self,
        plan: Plan,
        clients: SimulatedServices,
        world: World,
        runtime: Runtime,
        rest: Rest,
        persons: Mapping[str, str],
    ) -> None:
        self._plan = plan
        self._clients = clients
        self._world = world
        self._runtime = runtime
        self._rest = rest
        self.persons = dict(persons)
        self._numbers: dict[str, str] = {}

    async def run(
        self, begins: Stage = Stage.EMPTY, reached: Callable[[Stage], Awaitable[None]] | None = None
    ) -> None:
        """From a stage to money that is booked or paid back. reached: called at rest, before each stage."""
        acts: dict[Stage, tuple[Callable[[], Awaitable[None]], ...]] = {
            Stage.EMPTY: (self._prepare, self._roster),
            Stage.LISTED: (self._collect, self._close),
            Stage.COLLECTED: (self._declare, self._enter),
        }
        for stage in [one for one in Stage if one >= begins]:
            if reached is not None:
                await reached(stage)
            for act in acts[stage]:
                await act()

    # -- preparation --------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        await self._day(PREPARING)
        await self._post("tax", "collection", "/packs", {"pack_id": PACK, "maker": "tax-01"})
        publish = {"campaign": CAMPAIGN, "approver": "tax-02"}
        await self._post("tax", "collection", f"/packs/{PACK}:publish", publish)
        await self._post("tax", "collection", "/campaigns", {"campaign": CAMPAIGN, "pack_id": PACK})
        await self._rest()
        await self._together(
            self._household(), *(self._enrol(*each) for each in enumerate(self._plan.persons, 1))
        )
        await self._rest()
        await self._together(*(self._choose(person) for person in self._plan.persons))
        listed = [person for person in self._plan.persons if person.listed]
        if listed:
            await self._list(listed)
        await self._rest()

    async def _household(self) -> None:
        household = {
            "virtual_household_id": HOUSEHOLD,
            "campaign": CAMPAIGN,
            "unit_id": f"U-{TOWN}",
            "name": "东镇（合成）",
            "villages": [VILLAGE],
        }
        await self._post("tax-branch", "collection", "/virtual-households", household)
        scope = {"insurances": ["medical", "pension"], "divisions": [TOWN]}
        await self._post("tax-branch", "collection", f"/virtual-households/{HOUSEHOLD}:assign-scope", scope)
        agent = {
            "agent_id": AGENT,
            "campaign": CAMPAIGN,
            "village": VILLAGE,
            "virtual_household_id": HOUSEHOLD,
            "unit": f"U-{TOWN}",
            "designated_account_ref": "ACC-1",
            "channels": ["CASH_AGENT"],
        }
        await self._post("tax-branch", "collection", "/agents", agent)
        known = {"agent": AGENT, "village": VILLAGE, "account_ref": "ACC-1", "receipts": "CASH_AGENT"}
        self._world.register_agents(CAMPAIGN, [known])

    async def _enrol(self, number: int, person: Person) -> None:
        first = f"37040619{70 + number}0102{number:03d}"
        self._numbers[person.name] = first + check_character(first)
        body = {
            "name": "示例",
            "number": self._numbers[person.name],
            "division": VILLAGE,
            "hukou_division": "370406",
        }
        registered = await self._post("hr", "registration", "/people", body)
        person_id = self.persons[person.name] = registered["person_id"]
        for insurance in ("medical", "pension") if person.tier_yuan else ("medical",):
            enrolment = {"person_id": person_id, "insurance": insurance, "year": YEAR}
            who = "hr" if insurance == "pension" else "medical"
            await self._post(who, "registration", "/enrolments", enrolment)

    async def _choose(self, person: Person) -> None:
        """档次 / the tier of somebody whose enrolment is linked."""
        person_id = self.persons[person.name]
        if person.tier_yuan:
            tier = {"person_id": person_id, "year": YEAR, "campaign": CAMPAIGN, "tier_yuan": person.tier_yuan}
            await self._post("village-agent", "collection", "/tiers", tier)

    async def _list(self, listed: Sequence[Person]) -> None:
        lines = [
            {"line_no": number, "name": "示例", "number": self._numbers[person.name]}
            for number, person in enumerate(listed, 1)
        ]
        body = {
            "list_id": LIST,
            "department": "CIVIL_AFFAIRS",
            "category": "MINIMUM_LIVING",
            "insurance": "medical",
            "campaign": CAMPAIGN,
            "stamped_total": len(lines),
            "lines": lines,
        }
        await self._post("civil-affairs", "subsidy", "/lists", body)
        await self._rest()
        stamp = {"stamp": "章-01", "count": len(lines)}
        await self._post("civil-affairs", "subsidy", f"/lists/{LIST}:verify", stamp)

    async def _roster(self) -> None:
        await self._post("tax-branch", "collection", "/rosters", {"campaign": CAMPAIGN, "village": VILLAGE})
        await self._rest()
        for who, role in (("tax-branch", "TAX_BRANCH"), ("town-agency", "TOWN_AGENCY")):
            review = {"role": role, "actor": f"{who}-1"}
            await self._post(who, "collection", f"/rosters/{ROSTER}:review", review)
        publish = {"agents": [AGENT]}
        await self._post("town-agency", "collection", f"/rosters/{ROSTER}:publish", publish)
        await self._rest()
        await self._day(COLLECTING)
        await self._post("town-agency", "collection", f"/rosters/{ROSTER}:finalise", {})
        await self._rest()

    # -- money --------------------------------------------------------------------------------------------

    async def _collect(self) -> None:
        """Everybody pays at once, and the police tell of deaths meanwhile."""
        owed = [
            row
            async for row in self._clients.pages(
                "auditor", "collection", "/obligations", campaign=CAMPAIGN, village=VILLAGE
            )
        ]
        bills = {
            person: [
                Line(row["person_id"], VILLAGE, row["insurance"], YEAR, row["personal_fen"])
                for row in owed
                if row["person_id"] == person_id and row["personal_fen"] > 0 and not row["refused"]
            ]
            for person, person_id in self.persons.items()
        }
        acts: list[Coroutine[Any, Any, Any]] = [
            self._pay(number, payment, bills[payment.person])
            for number, payment in enumerate(self._plan.payments)
            if bills[payment.person]
        ]
        acts += [self._die(death) for death in self._plan.deaths]
        await self._together(*acts)
        await self._rest()

    async def _pay(self, number: int, payment: Payment, bill: Sequence[Line]) -> None:
        await self._world.pay(
            payment.channel,
            payment.order_no,
            CAMPAIGN,
            f"{COLLECTING}T{8 + number:02d}:00:00+08:00",
            bill,
            agent=AGENT if payment.channel == "CASH_AGENT" else "",
            asked=payment.asked,
            repeat=payment.repeat,
        )

    async def _die(self, death: Death) -> None:
        died_on = PREPARING if death.early else COLLECTING
        await self._world.report_death(self.persons[death.person], died_on, COLLECTING)

    async def _close(self) -> None:
        await self._world.close_day(CAMPAIGN, COLLECTING)
        await self._world.send_day_files(CAMPAIGN, COLLECTING)
        await self._rest()
        await self._refunds(COLLECTING)

    async def _refunds(self, day: dt.date) -> None:
        await self._world.approve_refunds(CAMPAIGN)
        await self._rest()
        await self._world.pay_refunds(CAMPAIGN, day)
        await self._rest()

    async def _declare(self) -> None:
        await self._day(SIGNING)
        signer = {"actor": "village-committee-01"}
        await self._post("village-committee", "collection", f"/rosters/{ROSTER}:sign", signer)
        await self._rest()
        await self._day(DECLARING)
        body = {
            "virtual_household_id": HOUSEHOLD,
            "campaign": CAMPAIGN,
            "village": VILLAGE,
            "via": "HALL",
        }
        reply = await self._ask("town-agency", "collection", "/declarations", body)
        if reply.status < 400:
            path = f"/declarations/{reply.body['declaration_no']}:verify"
            await self._post("tax-branch", "collection", path, {"actor": "branch-1"})
        elif (reply.code, reply.rule) != ("INVALID_STATE", "NOTHING_TO_DECLARE"):
            raise AssertionError(f"/declarations: {reply.status} {reply.code} {reply.rule}")
        await self._rest()

    async def _enter(self) -> None:
        await self._world.debit_vouchers(CAMPAIGN, DECLARING)
        await self._rest()
        await self._day(ENTERING)
        rejected = ["CASH_AGENT"] if self._plan.reject else []
        entered = await self._world.enter(CAMPAIGN, ENTERING, rejected)
        await self._rest()
        if entered["rejected"]:
            await self._world.debit_vouchers(CAMPAIGN, ENTERING)
            await self._rest()
            await self._day(ENTERING_AGAIN)
            await self._world.enter(CAMPAIGN, ENTERING_AGAIN)
            await self._rest()
        await self._refunds(ENTERING_AGAIN)

    # -- speaking -----------------------------------------------------------------------------------------

    async def _day(self, day: dt.date) -> None:
        await self._together(
            *(self._post("ops", name, "/ops/begin-day", {"date": day.isoformat()}) for name in SERVICES)
        )
        await self._rest()

    async def _ask(self, who: str, service: str, path: str, body: Any) -> Reply:
        key = f"{path}-{body.get('person_id', '')}{body.get('insurance', '')}{body.get('number', '')}"
        return await self._clients.ask(who, service, path, body, key + str(body.get("role", "")))

    async def _post(self, who: str, service: str, path: str, body: Any) -> Any:
        """A request that must succeed."""
        reply = await self._ask(who, service, path, body)
        if reply.status >= 400:
            raise AssertionError(f"{service} {path}: {reply.status} {reply.code} {reply.rule}")
        return reply.body

    async def _together(self, *acts: Coroutine[Any, Any, Any]) -> None:
        """Acts of several at once. The first failure is raised when all have ended."""
        tasks = [self._runtime.start(act, "act") for act in acts]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
