"""The money half of collection as a service in memory; campaigns, rosters, agents and deaths are given facts.

For tests of payments, settlement, treasury, refunds and reconciliation through their routes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from services.collection.campaigns import events as campaign_events
from services.collection.capability import events_in
from services.collection.money import MoneyFacts, money_events, money_metadata, wire_money
from services.collection.obligations import events as e
from services.collection.obligations.facts import AgentFact, CampaignFact, RosterFact, RosterStatusFact
from services.collection.obligations.projection import ObligationProjection
from services.collection.obligations.projection import metadata as obligation_metadata
from services.collection.obligations.stream import obligation
from shared.contracts.message import Message
from shared.contracts.registration import (
    BookkeepingEntriesPostedV1,
    CollectionInfoAcknowledgedV1,
    DeathReportCorrectedV1,
    DeathReportedV1,
    EnrolmentEnteredV1,
    RefundVerificationRejectedV1,
    RefundVerifiedV1,
)
from shared.contracts.subsidy import GovernmentPaymentSubmittedV1, RefundApprovedV1
from shared.eventstore.commands import Accepted, Append, BlindAppend, Command, Page
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.types import EventTypes
from shared.kernel.clock import SHANGHAI
from shared.kernel.events import DayBegun, Event
from shared.kernel.insurance import Insurance, Leg, Payer
from shared.policy import load_pack
from shared.testing.service import MemoryService, memory_service
from shared.web.service import Ports, ServiceDefinition, ServiceDescription

CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
OTHER_VILLAGE = "370406101202"
AGENT = "agent-1"
ROSTER = f"{CAMPAIGN}.{VILLAGE}"
SCOPES = [
    f"collection:{capability}:{right}"
    for capability in ("payments", "settlement", "treasury", "refunds", "reconciliation")
    for right in ("read", "write")
]
MESSAGES = (
    DeathReportedV1,
    DeathReportCorrectedV1,
    CollectionInfoAcknowledgedV1,
    BookkeepingEntriesPostedV1,
    EnrolmentEnteredV1,
    RefundVerifiedV1,
    RefundVerificationRejectedV1,
    RefundApprovedV1,
    GovernmentPaymentSubmittedV1,
)


class GivenFacts:
    """A fact source over a dictionary the test fills."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: dict[Any, Any] = {}

    async def load(self, connection: Any, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        return {key: self.known[key] for key in keys if key in self.known}


def at(day: str, hour: int = 10, minute: int = 0) -> dt.datetime:
    """A moment of a day in Shanghai."""
    return dt.datetime.combine(dt.date.fromisoformat(day), dt.time(hour, minute), SHANGHAI)


@dataclass
class Facts:
    """What part one of the service would know."""

    campaigns: GivenFacts = field(default_factory=lambda: GivenFacts("campaigns"))
    deaths: GivenFacts = field(default_factory=lambda: GivenFacts("deaths"))
    rosters: GivenFacts = field(default_factory=lambda: GivenFacts("rosters"))
    agents: GivenFacts = field(default_factory=lambda: GivenFacts("agents"))
    roster_states: GivenFacts = field(default_factory=lambda: GivenFacts("roster-states"))

    def __post_init__(self) -> None:
        self.campaigns.known[CAMPAIGN] = campaign_fact()
        self.agents.known[AGENT, CAMPAIGN] = agent_fact()
        self.roster_states.known[ROSTER] = roster_state()


def campaign_fact(**changes: Any) -> CampaignFact:
    """ST-2020's campaign in Shanting."""
    pack = load_pack("ST-2020")
    given: dict[str, Any] = {
        "campaign": CAMPAIGN,
        "division": "370406",
        "year": 2020,
        "pack": pack,
        "window_from": dt.date(2019, 10, 1),
        "window_to": dt.date(2019, 12, 20),
    }
    return CampaignFact(**(given | changes))


def agent_fact(**changes: Any) -> AgentFact:
    """An agent who collects both insurances in the village."""
    given: dict[str, Any] = {
        "agent_id": AGENT,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "virtual_household_id": "vh-1",
        "unit_id": "unit-1",
        "designated_account": "acct-unit-1",
        "channels": (),
        "insurances": tuple(Insurance),
        "divisions": (VILLAGE,),
        "mode": "FULL",
        "active": True,
    }
    return AgentFact(**(given | changes))


def roster_fact(**changes: Any) -> RosterFact:
    """A line on a roster whose notice is over."""
    given: dict[str, Any] = {
        "roster_id": ROSTER,
        "village": VILLAGE,
        "version": 1,
        "supplement": 0,
        "personal_fen": 26000,
        "notice_closed": True,
        "final": True,
    }
    return RosterFact(**(given | changes))


def roster_state(**changes: Any) -> RosterStatusFact:
    """A final roster, signed, its notice before declaration over."""
    given: dict[str, Any] = {
        "roster_id": ROSTER,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "version": 1,
        "state": "FINAL",
        "notice_closed": True,
        "final": True,
        "signed": True,
        "pre_declaration_closed": True,
        "stamped": False,
        "digest": "d",
        "open_objections": 0,
    }
    return RosterStatusFact(**(given | changes))


def assessed(
    person_id: str, insurance: Insurance = Insurance.MEDICAL, **changes: Any
) -> e.ContributionAssessed:
    """ContributionAssessed of 260 yuan, or 300 for pension, all of it due from the person."""
    fen = 26000 if insurance is Insurance.MEDICAL else 30000
    given: dict[str, Any] = {
        "assessment_id": f"2020-{insurance.value}-{person_id}-1",
        "version": 1,
        "person_id": person_id,
        "insurance": insurance,
        "year": 2020,
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "birth": dt.date(1980, 5, 5),
        "standard_fen": fen,
        "legs": (Leg(Payer.PERSON, fen),),
        "tier_yuan": None if insurance is Insurance.MEDICAL else 300,
        "pack_id": "ST-2020",
        "pack_version": 1,
        "pack_digest": load_pack("ST-2020").digest,
    }
    return e.ContributionAssessed(**(given | changes))


def definition(facts: Facts) -> ServiceDefinition:
    """The money half, described as app.py describes it."""

    def describe(ports: Ports) -> ServiceDescription:
        money = wire_money(
            ports,
            MoneyFacts(facts.campaigns, facts.deaths, facts.rosters, facts.agents, facts.roster_states),
        )
        return ServiceDescription(
            routers=[router for one in money.capabilities for router in one.routers],
            thin=money.thin,
            projections=[
                ObligationProjection(),
                *(projection for one in money.capabilities for projection in one.projections),
            ],
            reactions=[reaction for one in money.capabilities for reaction in one.reactions],
            publications=[publication for one in money.capabilities for publication in one.publications],
            gauges=money.gauges,
        )

    types = EventTypes([*money_events(), *events_in(e, campaign_events), DayBegun], MESSAGES)
    tables = [*money_metadata(), obligation_metadata]
    return ServiceDefinition("collection", "征缴 / collection", types, describe, metadata=tables)


class MoneyService:
    """The service and what tests do with it."""

    def __init__(self, facts: Facts, service: MemoryService) -> None:
        self.facts = facts
        self.service = service
        self.numbers = 0

    async def given(self, *events: Event) -> None:
        """Append obligation events, and the campaign's opening once."""
        for event in events:
            stream: Any = Category("campaign", None, lambda state, _: state).stream(CAMPAIGN, era=2020)
            if hasattr(event, "person_id"):
                stream = obligation(event.year, event.insurance, event.person_id)  # type: ignore[attr-defined]

            def decide(_: Any, stream: Any = stream, event: Event = event) -> Accepted:
                return Accepted([Append(stream, [event])])

            await self.service.ports.store.execute(Command("given", [stream], decide, Metadata("test")))
        await self.service.settle()

    async def open(self) -> None:
        """Open the campaign."""
        pack = load_pack("ST-2020")
        await self.given(
            campaign_events.CampaignOpened(
                campaign=CAMPAIGN,
                division="370406",
                year=2020,
                pack_id=pack.id,
                pack_version=pack.version,
                pack_digest=pack.digest,
                window_from=dt.date(2019, 10, 1),
                window_to=dt.date(2019, 12, 20),
            )
        )

    async def assess(self, *persons: str, insurance: Insurance = Insurance.MEDICAL) -> None:
        """Persons of the village, assessed and on its roster."""
        for person in persons:
            self.facts.rosters.known[CAMPAIGN, insurance, person] = roster_fact()
        await self.given(*(assessed(person, insurance) for person in persons))

    async def receive(self, message: Message) -> None:
        """A message of another service arrives."""
        self.numbers += 1
        blind = BlindAppend(
            f"received:test:{self.numbers}",
            message.type_name(),
            msgspec.json.encode(message),
            Metadata("test"),
            self.service.ports.clock.now(),
        )
        await self.service.ports.store.execute_page(Page((), blind=[blind]))
        await self.service.settle()

    async def post(
        self, path: str, body: Any, key: str = "", divisions: Sequence[str] = ("",)
    ) -> httpx.Response:
        """POST with a key of its own, then settle."""
        self.numbers += 1
        async with self.service.client(SCOPES, divisions) as client:
            response = await client.post(
                path,
                content=msgspec.json.encode(body),
                headers={
                    "Idempotency-Key": key or f"key-{self.numbers}",
                    "Content-Type": "application/json",
                },
            )
        await self.service.settle()
        return response

    async def get(self, path: str, **query: Any) -> Any:
        """GET as JSON."""
        async with self.service.client(SCOPES) as client:
            response = await client.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def events(self, kind: type[Event]) -> list[Any]:
        """Events of a kind in the log, in order."""
        page = await self.service.parts.log.read(0, 1_000_000)
        return [recorded.event for recorded in page if isinstance(recorded.event, kind)]


def payment(order_no: str, *persons: str, channel: str = "WECHAT", **changes: Any) -> dict[str, Any]:
    """Body of an order of medical contributions."""
    body: dict[str, Any] = {
        "order_no": order_no,
        "channel": channel,
        "paid_at": "2019-11-02T10:15:00+08:00",
        "lines": [line(person) for person in persons],
    }
    return body | changes


def cash(order_no: str, *persons: str, serial: str = "", **changes: Any) -> dict[str, Any]:
    """Body of an order an agent took in cash, with its receipt."""
    own = {"agent": AGENT, "receipt": {"book_no": "B1", "serial_no": serial or order_no}}
    return payment(order_no, *persons, channel="CASH_AGENT", **(own | changes))


def line(person: str, insurance: str = "medical", fen: int = 26000, year: int = 2020) -> dict[str, Any]:
    """A line of an order."""
    return {"person_id": person, "year": year, "insurance": insurance, "amount_fen": fen}


def money_service(today: str = "2019-11-02") -> MoneyService:
    """A service on a day; use ``async with service.service``."""
    facts = Facts()
    return MoneyService(facts, memory_service(definition(facts), today=dt.date.fromisoformat(today)))


async def opened(*persons: str, today: str = "2019-11-02") -> MoneyService:
    """A started service with an open campaign and assessed persons."""
    money = money_service(today)
    await money.service.__aenter__()
    await money.open()
    await money.assess(*persons)
    return money


async def begin_day(money: MoneyService, day: str) -> None:
    """BeginDay through the route."""
    await money.service.begin_day(dt.date.fromisoformat(day))


def summary(count: int, fen: int, date: str = "2019-11-02", insurance: str = "medical") -> dict[str, Any]:
    """Body of an agent's summary."""
    totals = [{"insurance": insurance, "count": count, "amount_fen": fen}]
    return {"campaign": CAMPAIGN, "date": date, "totals": totals}


def deposit(
    fen: int, slip: str = "S1", date: str = "2019-11-02", on: str = "2019-11-02", **changes: Any
) -> dict[str, Any]:
    """Body of a bank's file with one deposit."""
    own: dict[str, Any] = {
        "slip_no": slip,
        "agent_id": AGENT,
        "date": date,
        "insurance": "medical",
        "amount_fen": fen,
        "deposited_on": on,
    }
    return {"file_no": f"F-{slip}", "bank": "BANK1", "lines": [own | changes]}


def day_file(
    file_no: str, *lines: tuple[str, str, int], date: str = "2019-11-02", channel: str = "WECHAT"
) -> dict[str, Any]:
    """Body of a channel's day file of (order, person, fen)."""
    return {
        "file_no": file_no,
        "date": date,
        "campaign": CAMPAIGN,
        "lines": [
            {
                "order_no": order_no,
                "person_id": person,
                "insurance": "medical",
                "year": 2020,
                "amount_fen": fen,
                "paid_at": f"{date}T10:15:00+08:00",
            }
            for order_no, person, fen in lines
        ],
        "total_count": len(lines),
        "total_fen": sum(fen for _, _, fen in lines),
    }


async def settled_village(*persons: str) -> MoneyService:
    """A village whose agent took cash from everybody, deposited it the same day and was confirmed."""
    money = await opened(*persons)
    for person in persons:
        assert (await money.post("/payments", cash(f"C-{person}", person))).status_code == 201
    total = 26000 * len(persons)
    response = await money.post(f"/agents/{AGENT}/summaries", summary(len(persons), total))
    assert response.status_code == 201, response.text
    assert (await money.post("/deposits:import", deposit(total))).status_code == 201
    return money


def declaration_body(**changes: Any) -> dict[str, Any]:
    """Body of the village's declaration."""
    body: dict[str, Any] = {
        "virtual_household_id": "vh-1",
        "campaign": CAMPAIGN,
        "village": VILLAGE,
        "via": "HALL",
        "attachments": {"roster_digest": "d", "deposit_slips": ["S1"]},
    }
    return body | changes


async def to_treasury(money: MoneyService, voucher_no: str, fen: int, date: str = "2019-12-01") -> None:
    """Debit, remit and enter a voucher."""
    steps: list[tuple[str, dict[str, Any]]] = [
        (
            "debited",
            {
                "method": "POS",
                "bank_ref": f"B-{voucher_no}",
                "amount_fen": fen,
                "at": f"{date}T09:00:00+08:00",
            },
        ),
        ("remitted", {"batch": "1", "at": f"{date}T10:00:00+08:00"}),
        ("in-treasury", {"treasury_date": date, "amount_fen": fen}),
    ]
    for step, body in steps:
        response = await money.post(f"/vouchers/{voucher_no}:{step}", body)
        assert response.status_code == 200, response.text


async def states(money: MoneyService) -> dict[str, int]:
    """Fen per named state of the campaign."""
    found: dict[str, int] = {}
    for row in (await money.get("/money/positions", campaign=CAMPAIGN))["rows"]:
        found[row["state"]] = found.get(row["state"], 0) + row["fen"]
    return found
