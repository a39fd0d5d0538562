"""Commands of payments: record or match an order, void a receipt, identify money, note a death."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation
from services.collection.obligations.stream import obligation
from services.collection.payments import events as p
from services.collection.payments.deaths import apply_death
from services.collection.payments.domain import (
    ORDER_NO_TAKEN,
    Knowledge,
    PlacedLine,
    Placement,
    free_line_id,
    in_suspense,
    place_order,
    to_suspense,
)
from services.collection.payments.orders import Key, Order, OrderLine
from services.collection.payments.stream import receipt_stream, suspense_stream
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    Done,
    FactSource,
    Guard,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance

RECORD_PAYMENT = "record_payment"


class CampaignIds(Protocol):
    """Ids of the campaigns of an insured year; may be a moment old."""

    def known(self, years: frozenset[int]) -> Sequence[str] | None:
        """Campaign ids as far as memory knows; None when a year has none there."""
        ...

    async def of_years(self, years: frozenset[int], *, fresh: bool = False) -> Sequence[str]:
        """Campaign ids. ``fresh``: read them again, somebody met one that was not among them."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """The four sources a payment is decided with: one query each per batch.

    campaigns: campaign id -> CampaignFact; deaths: person id -> date; rosters: (campaign, insurance, person)
    -> RosterFact; agents: (agent id, campaign) -> AgentFact.
    """

    campaigns: FactSource
    deaths: FactSource
    rosters: FactSource
    agents: FactSource


_DIGESTED = msgspec.json.Encoder(order="deterministic")


def order_digest(order: Order) -> str:
    """What makes two postings of an order number the same order."""
    receipt = order.receipt
    body = (
        order.channel,
        order.order_no,
        order.paid_at.isoformat(),
        order.agent_id,
        (receipt.book_no, receipt.serial_no) if receipt is not None else None,
        [(line.person_id, line.year, line.insurance, line.fen) for line in order.lines],
    )
    return hashlib.sha256(_DIGESTED.encode(body)).hexdigest()


STALE_CAMPAIGNS = Refusal("NO_CAMPAIGN", rule="CAMPAIGNS_STALE", field="campaign")


def payment_command(
    order: Order,
    campaigns: Sequence[str],
    facts: PaymentFacts,
    metadata: Metadata,
    key: IdempotencyKey | None = None,
    operation: str = RECORD_PAYMENT,
) -> Command:
    """The one builder of a payment: HTTP, imports and day files alike."""
    streams = {line.key: obligation(*line.key) for line in order.lines}
    suspense = suspense_stream(order.channel, order.order_no) if order.captured else None
    form = order.receipt
    receipt = receipt_stream(form.book_no, form.serial_no) if form is not None else None
    persons = list(dict.fromkeys(line.person_id for line in order.lines))

    def decide(loaded: Loaded) -> Accepted | Refusal:
        states: dict[Key, Obligation] = {}
        for line_key, stream in streams.items():
            state = states[line_key] = loaded.state(stream)
            if state.assessment is not None and state.assessment.campaign not in campaigns:
                return STALE_CAMPAIGNS
        known = _knowledge(order, loaded, facts, campaigns)
        placement = place_order(
            order,
            states,
            known,
            loaded.state(suspense) if suspense is not None else None,
            loaded.state(receipt) if receipt is not None else None,
        )
        if isinstance(placement, Refusal):
            return placement
        return _accepted(order, placement, streams, suspense, receipt)

    sources: list[tuple[FactSource, Sequence[Any]]] = [(facts.campaigns, campaigns), (facts.deaths, persons)]
    if order.agent_id:
        sources.append((facts.agents, [(order.agent_id, campaign) for campaign in campaigns]))
        keys = [(c, line.insurance, line.person_id) for c in campaigns for line in order.lines]
        sources.append((facts.rosters, keys))
    touched: list[Stream[Any]] = list(streams.values())
    touched += [stream for stream in (suspense, receipt) if stream is not None]
    campaign = campaigns[0] if len(campaigns) == 1 else order.campaign
    return Command(
        operation=operation,
        streams=touched,
        decide=decide,
        metadata=metadata if metadata.campaign or not campaign else in_campaign(metadata, campaign),
        key=key,
        facts=sources,
        occurred_at=order.paid_at,
    )


def in_campaign(told: Metadata, campaign: str) -> Metadata:
    """As ``replace``, at a third of its cost: this is the hot path."""
    return Metadata(
        told.correlation,
        told.causation,
        told.actor,
        told.organisation,
        campaign,
        told.pack,
        told.pack_digest,
        told.extra,
    )


def _knowledge(order: Order, loaded: Loaded, facts: PaymentFacts, campaigns: Sequence[str]) -> Knowledge:
    """Loops, not comprehensions: there is one line and one campaign nearly always."""
    fact = loaded.fact
    known, deaths = {}, {}
    for campaign in campaigns:
        if (found := fact(facts.campaigns, campaign)) is not None:
            known[campaign] = found
    for line in order.lines:
        if (died := fact(facts.deaths, line.person_id)) is not None:
            deaths[line.person_id] = died
    if not order.agent_id:
        return Knowledge(known, deaths)
    agents = {c: fact(facts.agents, (order.agent_id, c)) for c in campaigns}
    keys = [(c, line.insurance, line.person_id) for c in campaigns for line in order.lines]
    return Knowledge(
        known, deaths, _present({key: fact(facts.rosters, key) for key in keys}), _present(agents)
    )


def _present(found: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in found.items() if value is not None}


def _accepted(
    order: Order,
    placement: Placement,
    streams: Mapping[Key, Stream[Obligation]],
    suspense: Stream[Any] | None,
    receipt: Stream[Any] | None,
) -> Accepted:
    response = payment_response(order, placement.lines)
    if placement.repeated:
        return Accepted(response=response, status=200)
    by_stream: dict[str, tuple[Stream[Any], list[Any]]] = {}
    first = True
    for line in placement.lines:
        stream: Stream[Any] | None = suspense if line.key is None else streams[line.key]
        first = first and not line.known
        if stream is not None and line.events:
            by_stream.setdefault(stream.id, (stream, []))[1].extend(line.events)
    appends = [Append(stream, events) for stream, events in by_stream.values()]
    if receipt is not None and placement.receipt:
        appends.append(Append(receipt, placement.receipt))
    guards = [Guard("order", order_key(order), order_digest(order), ORDER_NO_TAKEN)] if first else []
    return Accepted(appends=appends, guards=guards, response=response)


class Numbered(Protocol):
    """An order, or the body or row of one."""

    @property
    def channel(self) -> str:
        """Whose number it is."""
        ...

    @property
    def order_no(self) -> str:
        """The channel's number."""
        ...


def order_key(order: Numbered) -> str:
    """The permanent natural key of an order."""
    return f"{order.channel}/{order.order_no}"


def payment_response(order: Order, lines: Iterable[PlacedLine]) -> dict[str, Any]:
    """The body of 201. status: RECEIVED, or RECORDED when a line of captured money is not effective."""
    placed = list(lines)
    return {
        "payment_id": order.payment_id,
        "status": "RECEIVED" if all(line.standing == "EFFECTIVE" for line in placed) else "RECORDED",
        "lines": [
            {
                "line_id": line.line_id,
                "person_id": line.line.person_id,
                "year": line.line.year,
                "insurance": line.line.insurance,
                "amount_fen": line.fen,
                "standing": line.standing,
                "campaign": line.campaign,
                "village": line.village,
                "known": line.known,
            }
            for line in placed
        ],
    }


def _years(order: Order) -> frozenset[int]:
    return frozenset([line.year for line in order.lines])


class Payments:
    """Handlers of the payments capability."""

    def __init__(self, store: Store, facts: PaymentFacts, campaigns: CampaignIds) -> None:
        self._store = store
        self._facts = facts
        self._campaigns = campaigns

    def command(self, order: Order, metadata: Metadata, key: IdempotencyKey | None) -> Command | None:
        """Record an order; None when the campaigns of its years must be read first."""
        ids = self._campaigns.known(_years(order))
        return None if ids is None else payment_command(order, ids, self._facts, metadata, key)

    @staticmethod
    def final(outcome: Outcome) -> bool:
        """Whether this is the answer: not where the campaigns in memory were not all, nor where the order number is
        known, as whose body it has is yet to be seen."""
        return outcome.status != 200 if isinstance(outcome, Done) else outcome != STALE_CAMPAIGNS

    async def record(
        self, order: Order, metadata: Metadata, key: IdempotencyKey | None, outcome: Outcome | None = None
    ) -> Outcome:
        """Record an order. Same order number and body again: the first answer, 200; other body: 409. outcome: of
        its ``command``, where that was asked for already."""
        if outcome is None:
            ids = await self._campaigns.of_years(_years(order))
            outcome = await self._store.execute(payment_command(order, ids, self._facts, metadata, key))
        if outcome == STALE_CAMPAIGNS:
            ids = await self._campaigns.of_years(_years(order), fresh=True)
            outcome = await self._store.execute(payment_command(order, ids, self._facts, metadata, key))
        if isinstance(outcome, Done) and outcome.status == 200 and not await self._same_order(order):
            return ORDER_NO_TAKEN
        return outcome

    async def _same_order(self, order: Order) -> bool:
        """True when the number's holder has this very body (a shorter order may look like a repetition)."""
        holders = await self._store.guard_holders("order", [order_key(order)])
        return holders.get(order_key(order)) == order_digest(order)

    async def file_orders(self, orders: Sequence[Order], metadata: Metadata, prefix: str) -> list[Outcome]:
        """Match or record a day file's orders, each keyed by ``prefix`` and its order number.

        An order whose number holds quite another payment goes to the suspense: the money is final.
        """
        years = frozenset(line.year for order in orders for line in order.lines)
        ids = await self._campaigns.of_years(years, fresh=True)
        outcomes = await self._store.execute_bulk(
            [
                payment_command(
                    order, ids, self._facts, metadata, _file_key(order, prefix), "match_day_file_order"
                )
                for order in orders
            ]
        )
        for index, outcome in enumerate(outcomes):
            if outcome == ORDER_NO_TAKEN:
                outcomes[index] = await self._store.execute(suspense_command(orders[index], metadata))
        return outcomes

    async def void_receipt(
        self,
        book_no: str,
        serial_no: str,
        agent_id: str,
        reason: str,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """Void a spoiled form; one that was issued stays issued."""
        stream = receipt_stream(book_no, serial_no)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            state = loaded.state(stream)
            body = {"book_no": book_no, "serial_no": serial_no, "status": "VOIDED"}
            if state.status == "VOIDED":
                return Accepted(response=body, status=200)
            if state.status:
                return Refusal("RECEIPT_USED", rule="I-19")
            event = p.ReceiptVoided(book_no=book_no, serial_no=serial_no, agent_id=agent_id, reason=reason)
            return Accepted([Append(stream, [event])], response=body)

        return await self._store.execute(Command("void_receipt", [stream], decide, metadata, key))

    async def identify(
        self,
        channel: str,
        order_no: str,
        line_id: str,
        target: OrderLine,
        divisions: tuple[str, ...],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """Put unidentified money on the obligation it was meant for; it stands there as final money does."""
        ids = await self._campaigns.of_years(frozenset({target.year}), fresh=True)
        where = SuspenseAddress(channel, order_no, line_id)
        return await self._store.execute(
            identify_command(where, target, divisions, ids, self._facts, metadata, key)
        )


def suspense_command(order: Order, metadata: Metadata) -> Command:
    """All lines of a filed order as unidentified money; lines that wait there already are matched."""
    stream = suspense_stream(order.channel, order.order_no)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        used: set[str] = set()
        placed: list[PlacedLine] = []
        for number, line in enumerate(order.lines, 1):
            known = in_suspense(order, line, state, used)
            line_id = free_line_id(order, "s", number, state)
            found = known or to_suspense(order, line, line_id, Knowledge(), "ORDER_MISMATCH")
            used.add(found.line_id)
            placed.append(found)
        events = [event for line in placed for event in line.events]
        response = payment_response(order, placed)
        return Accepted([Append(stream, events)] if events else [], response=response)

    return Command("suspend_day_file_order", [stream], decide, metadata, occurred_at=order.paid_at)


def _file_key(order: Order, prefix: str) -> IdempotencyKey:
    digest = hashlib.sha256(order_digest(order).encode()).digest()
    return IdempotencyKey("", "match_day_file_order", f"{prefix}/{order.order_no}", digest)


@dataclass(frozen=True, slots=True)
class SuspenseAddress:
    """Which unidentified line."""

    channel: str
    order_no: str
    line_id: str


def identify_command(
    where: SuspenseAddress,
    target: OrderLine,
    divisions: tuple[str, ...],
    campaigns: Sequence[str],
    facts: PaymentFacts,
    metadata: Metadata,
    key: IdempotencyKey,
) -> Command:
    """Amount, time and agent come from the suspense, not from ``target``."""
    suspense = suspense_stream(where.channel, where.order_no)
    owed = obligation(*target.key)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        waiting = loaded.state(suspense).lines.get(where.line_id)
        if waiting is None:
            return Refusal("NOT_FOUND", field="line_id")
        if waiting.identified:
            return Refusal("ALREADY_IDENTIFIED", field="line_id")
        line = replace(target, fen=waiting.fen)
        # A number of its own while deciding, so that other lines of the order do not look like this one.
        meant = Order(
            f"{where.order_no}#",
            where.channel,
            waiting.paid_at,
            (line,),
            waiting.agent_id,
            captured=True,
            divisions=divisions,
        )
        known = Knowledge(
            _present({c: loaded.fact(facts.campaigns, c) for c in campaigns}),
            _present({line.person_id: loaded.fact(facts.deaths, line.person_id)}),
        )
        placed = place_order(meant, {line.key: loaded.state(owed)}, known)
        if isinstance(placed, Refusal):
            return placed
        found = placed.lines[0]
        if found.key is None:
            return Refusal("AMOUNT_NOT_ASSESSED", rule="NOT_ASSESSED", clause="I-14", field="person_id")
        *brought, event = found.events
        event = msgspec.structs.replace(
            event,
            line_id=where.line_id,
            order_no=where.order_no,
            payment_id=f"{where.channel}-{where.order_no}",
        )
        told = p.UnidentifiedMoneyIdentified(
            channel=where.channel,
            order_no=where.order_no,
            line_id=where.line_id,
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            fen=waiting.fen,
            standing=found.standing,
        )
        body = {"line_id": where.line_id, "standing": found.standing, "village": found.village}
        return Accepted([Append(owed, [*brought, event]), Append(suspense, [told])], response=body)

    return Command(
        "identify_money",
        [suspense, owed],
        decide,
        metadata,
        key,
        [(facts.campaigns, campaigns), (facts.deaths, [target.person_id])],
    )


def note_death_command(
    person_id: str,
    died_on: dt.date | None,
    years: Iterable[int],
    metadata: Metadata,
    key: IdempotencyKey,
    *,
    disputed: bool = False,
) -> Command:
    """Tell a person's obligations of a death, or of its withdrawal (I-16, scenario 4).

    disputed: sources disagree; the date counts, but no refund resting on it is paid until they agree.

    All obligations of the years are loaded themselves, so no lagging read model can hide a payment.
    """
    streams = {(y, i): obligation(y, i, person_id) for y in years for i in Insurance}

    def decide(loaded: Loaded) -> Accepted | Refusal:
        appends = []
        for (year, insurance), stream in streams.items():
            if not loaded.version(stream):
                continue
            state = loaded.state(stream)
            events = apply_death(state, e.PayerDeathNoted(
                person_id=person_id, insurance=insurance, year=year, died_on=died_on, disputed=disputed
            ))  # fmt: skip
            if events:
                appends.append(Append(stream, events))
        return Accepted(appends, response={"obligations": len(appends)})

    return Command("note_death", list(streams.values()), decide, metadata, key)
