"""Commands of fund accounts: open, record what arrives, sign a village, draw documents, take their steps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.collection.fund_accounts import documents as doc
from services.collection.fund_accounts import domain as d
from services.collection.fund_accounts import events as f
from services.collection.fund_accounts.queries import next_channel_documents, next_signature
from services.collection.fund_accounts.stream import (
    accounts_stream,
    deposit_stream,
    document_stream,
    statistics_stream,
    village_stream,
)
from services.collection.obligations.government import owed_streams, take_legs
from services.collection.parts import in_parts
from shared.contracts.subsidy import GovernmentLine, GovernmentPaymentSubmittedV1
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    FactSource,
    Guard,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.database import Database
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.division import parse_campaign
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

LINE_TAKEN = Refusal("INVALID_STATE", rule="LINE_VOUCHERED_ELSEWHERE", clause="I-23")

Facts = Sequence[tuple[FactSource, Sequence[Any]]]
DocumentStep = Callable[[doc.Document, Loaded], Decision]


@dataclass(frozen=True, slots=True)
class FundFacts:
    """campaigns: id -> CampaignFact; accounts: campaign -> references; books: (campaign, village) ->
    VillageBooks; channels: (campaign, channel) -> lines; entered: document -> legs; statistics: (campaign, date)
    -> rows; claim_kind: the guard that says who moves a line's money (a voucher, a document or a refund)."""

    campaigns: FactSource
    accounts: FactSource
    books: FactSource
    channels: FactSource
    entered: FactSource
    statistics: FactSource
    claim_kind: str


def arrival_command(
    arrival: d.Arrival, facts: FundFacts, metadata: Metadata, key: IdempotencyKey | None
) -> Command:
    """存入基金收入账户: a settled part's money."""
    stream = deposit_stream(arrival.campaign, arrival.deposit_no)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        refs = loaded.fact(facts.accounts, arrival.campaign) or {}
        events = d.record_arrival(loaded.state(stream), arrival, refs.get((arrival.insurance, d.INCOME), ""))
        return Accepted([Append(stream, events)] if events else [])

    told = replace(metadata, campaign=arrival.campaign)
    return Command("record_arrival", [stream], decide, told, key, [(facts.accounts, [arrival.campaign])])


def government_command(
    message: GovernmentPaymentSubmittedV1, paid_at: dt.datetime, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """政府代缴列入单据: one document per part; each leg once for ever (I-17, I-27)."""
    number = f"PD-GOV-{message.payment_no}-{message.insurance.value}-p{message.part}"
    stream = document_stream(number)
    owed = owed_streams(message)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        if loaded.version(stream):
            return Accepted(response={"document_no": number}, status=200)
        legs = take_legs(message, owed, loaded, number)
        left: list[Event] = [_left_out(message, line, reason, number) for line, reason in legs.refused]
        lines = [
            f.DocumentLine(
                0, "", line.person_id, line.village, line.payer, line.fen, due.standard_fen, paid_at, due.tier_yuan
            )
            for line, due in legs.taken
        ]  # fmt: skip
        drawn: list[Event] = []
        if lines:
            draft = d.Draft(
                number, message.campaign, "", message.insurance, message.year, d.GOVERNMENT, message.payment_no, ""
            )  # fmt: skip
            drawn = d.draw(draft, lines)
        appends = [*legs.appends, Append(stream, [*left, *drawn])]
        return Accepted(appends, response={"document_no": number, "left_out": len(left)})

    told = replace(metadata, campaign=message.campaign)
    return Command("draw_government_document", [*owed.values(), stream], decide, told, key)


def _left_out(message: GovernmentPaymentSubmittedV1, line: GovernmentLine, reason: str, number: str) -> Event:
    return f.GovernmentLineLeftOut(
        payment_no=message.payment_no,
        document_no=number,
        department=message.department,
        campaign=message.campaign,
        village=line.village,
        person_id=line.person_id,
        insurance=message.insurance,
        year=message.year,
        payer=line.payer,
        fen=line.fen,
        reason=reason,
    )


def step_command(
    operation: str,
    document_no: str,
    step: DocumentStep,
    divisions: Sequence[str],
    metadata: Metadata,
    key: IdempotencyKey | None,
    facts: Sequence[tuple[FactSource, Sequence[Any]]] = (),
) -> Command:
    """One step of a document; a repeat is accepted and writes nothing (200).

    The confirmation of a village's last document also says that the village may publish.
    """
    stream = document_stream(document_no)
    siblings = {number: document_stream(number) for number in d.sibling_documents(document_no)}
    village = _village_of(siblings)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        place = state.village or state.campaign
        if state.status and not any(place.startswith(scope) for scope in divisions):
            return Refusal("DIVISION_FORBIDDEN", field="document_no")
        events = step(state, loaded)
        if isinstance(events, Refusal):
            return events
        for event in events:
            state = doc.evolve(state, event)
        body = {"document_no": document_no, "status": state.status, "fen": state.entered_fen or state.fen}
        appends = [Append(stream, events)] if events else []
        if events and state.status == doc.CONFIRMED and village is not None:
            others = [loaded.state(each) for number, each in siblings.items() if number != document_no]
            appends += _published(village, loaded.state(village), [state, *others])
        return Accepted(appends, response=body, status=200)

    streams: list[Stream[Any]] = [stream, *(s for n, s in siblings.items() if n != document_no)]
    if village is not None:
        streams.append(village)
    return Command(operation, streams, decide, metadata, key, facts)


def _village_of(siblings: Iterable[str]) -> Stream[d.VillageAccount] | None:
    for number in siblings:
        village, campaign = number.split("-")[1], "-".join(number.split("-")[2:4])
        return village_stream(campaign, village)
    return None


def _published(
    village: Stream[d.VillageAccount], state: d.VillageAccount, drawn: Sequence[doc.Document]
) -> list[Append]:
    mine = [each for each in drawn if each.status]
    number = int(mine[0].origin)
    if number in state.confirmed or any(each.status != doc.CONFIRMED for each in mine):
        return []
    event = f.VillagePaymentsConfirmed(
        campaign=mine[0].campaign,
        village=mine[0].village,
        signature_no=number,
        count=sum(len(each.entered) for each in mine),
        fen=sum(each.entered_fen for each in mine),
    )
    return [Append(village, [event])]


def statistics_command(
    campaign: str, date: dt.date, facts: FundFacts, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """每周统计, once per campaign and date."""
    stream = statistics_stream(campaign, date)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        rows: Sequence[f.StatisticsRow] = loaded.fact(facts.statistics, (campaign, date)) or ()
        if loaded.version(stream) or not rows:
            return Accepted(status=200)
        parts = in_parts(rows)
        events = [
            f.WeeklyStatisticsCompiled(campaign=campaign, date=date, part=number, parts=len(parts), rows=part)
            for number, part in enumerate(parts, 1)
        ]
        return Accepted([Append(stream, events)])

    told = replace(metadata, campaign=campaign)
    wanted = [(facts.statistics, [(campaign, date)])]
    return Command("compile_statistics", [stream], decide, told, key, wanted)


class FundAccounts:
    """Handlers of the capability."""

    def __init__(self, store: Store, database: Database, facts: FundFacts) -> None:
        self._store = store
        self._database = database
        self.facts = facts

    async def open_account(
        self,
        campaign: str,
        insurance: Insurance,
        kind: str,
        account: tuple[str, str],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """开设基金账户. account: reference and bank."""
        streams = {each: accounts_stream(campaign, each) for each in Insurance}
        reference, bank = account

        def decide(loaded: Loaded) -> Accepted | Refusal:
            states = {each: loaded.state(stream) for each, stream in streams.items()}
            fact = loaded.fact(self.facts.campaigns, campaign)
            events = d.open_account(states, fact, insurance, kind, reference, bank)
            if isinstance(events, Refusal):
                return events
            body = {
                "campaign": campaign,
                "insurance": insurance.value,
                "kind": kind,
                "account_ref": reference,
            }
            appends = [Append(streams[insurance], events)] if events else []
            return Accepted(appends, response=body, status=201 if events else 200)

        facts = [(self.facts.campaigns, [campaign])]
        return await self._store.execute(
            Command("open_fund_account", list(streams.values()), decide, metadata, key, facts)
        )

    async def sign_village(self, command: d.SignVillage, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """村居对账签字 under the village's next number."""
        number = await next_signature(self._database, command.campaign, command.village)
        meant = replace(command, signature_no=number, year=parse_campaign(command.campaign)[1])
        return await self._store.execute(self._sign(meant, metadata, key))

    def _sign(self, command: d.SignVillage, metadata: Metadata, key: IdempotencyKey) -> Command:
        village = village_stream(command.campaign, command.village)
        streams = {
            insurance: document_stream(
                d.village_document_no(command.campaign, command.village, insurance, command.signature_no)
            )
            for insurance in Insurance
        }
        place = (command.campaign, command.village)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            refusal = d.fund_refusal(loaded.fact(self.facts.campaigns, command.campaign))
            if refusal is not None:
                return refusal
            books: d.VillageBooks = loaded.fact(self.facts.books, place) or d.VillageBooks()
            signed = d.sign_village(loaded.state(village), command, books)
            if isinstance(signed, Refusal):
                return signed
            appends = [Append(streams[insurance], events) for insurance, events in signed.documents.items()]
            appends.append(Append(village, [signed.village]))
            guards = self._claims(signed.documents.values())
            documents = [
                stream.id.partition(":")[2] for i, stream in streams.items() if i in signed.documents
            ]
            body = {"signature_no": command.signature_no, "documents": documents}
            return Accepted(appends, guards, response=body)

        facts: Facts = [(self.facts.campaigns, [command.campaign]), (self.facts.books, [place])]
        told = replace(metadata, campaign=command.campaign)
        return Command("sign_village", [village, *streams.values()], decide, told, key, facts)

    def _claims(self, documents: Iterable[Sequence[Event]]) -> list[Guard]:
        return [
            Guard(self.facts.claim_kind, line.line_id, event.document_no, LINE_TAKEN)
            for events in documents
            for event in events
            if isinstance(event, f.PaymentDocumentLines)
            for line in event.lines
        ]

    async def draw_channel(
        self, campaign: str, channel: str, station: str, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """A channel's deposited lines as documents, one per insurance."""
        numbers = await next_channel_documents(self._database, campaign, channel)
        streams = {
            insurance: document_stream(f"PD-{channel}-{campaign}-{insurance.value}-{number}")
            for insurance, number in numbers.items()
        }

        def decide(loaded: Loaded) -> Accepted | Refusal:
            refusal = d.fund_refusal(loaded.fact(self.facts.campaigns, campaign))
            if refusal is not None:
                return refusal
            waiting = loaded.fact(self.facts.channels, (campaign, channel)) or {}
            documents: dict[Insurance, list[Event]] = {}
            for insurance, lines in waiting.items():
                stream = streams[insurance]
                if loaded.version(stream):
                    return Refusal("CONCURRENT_CHANGE", rule="DRAWN_MEANWHILE", field="channel")
                number = stream.id.partition(":")[2]
                year = parse_campaign(campaign)[1]
                draft = d.Draft(number, campaign, "", insurance, year, d.CHANNEL, channel, station)
                documents[insurance] = d.draw(draft, lines)
            if not documents:
                return Refusal("INVALID_STATE", rule="NOTHING_ARRIVED", clause="I-15", field="channel")
            appends = [Append(streams[insurance], events) for insurance, events in documents.items()]
            body = {"documents": [append.stream.id.partition(":")[2] for append in appends]}
            return Accepted(appends, self._claims(documents.values()), response=body)

        facts: Facts = [
            (self.facts.campaigns, [campaign]),
            (self.facts.channels, [(campaign, channel)]),
        ]
        told = replace(metadata, campaign=campaign)
        return await self._store.execute(
            Command("draw_channel_documents", list(streams.values()), decide, told, key, facts)
        )

    async def execute(self, command: Command) -> Outcome:
        """A command made by one of this module's builders."""
        return await self._store.execute(command)
