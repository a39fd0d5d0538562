"""Commands of settlement: summaries, deposits, corrections, comparisons, overdue cash, channel day files."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from services.collection.obligations.facts import AgentFact
from services.collection.obligations.filing import FiledOrderLine, OrdersPlaced
from services.collection.parts import in_parts
from services.collection.settlement import events as s
from services.collection.settlement.dayfile import (
    FILE_NO_TAKEN,
    DayFile,
    FiledLine,
    Recorded,
    RecordedLine,
    receive_day_file,
)
from services.collection.settlement.domain import (
    Deposit,
    Place,
    TakenLine,
    compare,
    correct,
    note_overdue,
    record_deposit,
    submit_summary,
)
from services.collection.settlement.stream import deposit_file_stream, settlement_stream
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
from shared.eventstore.database import Connection, Database
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

INCOME = "INCOME"
"""Kind of the fund account a deposit goes to."""

LINE_SETTLED = Refusal("INVALID_STATE", rule="LINE_SETTLED_ELSEWHERE")
SLIP_TAKEN = Refusal(
    "SLIP_TAKEN", rule="I-20", field="slip_no", message="缴款回单号已使用 / the slip was deposited before"
)
AGENT_UNKNOWN = Refusal("AGENT_UNKNOWN", rule="I-18", field="agent_id")


ChannelLines = Callable[[Connection, str, str, dt.date], Awaitable[Sequence[RecordedLine]]]
"""Lines our streams have for (campaign, channel, date)."""


@dataclass(frozen=True, slots=True)
class SettlementFacts:
    """takings: (campaign, agent, date) -> lines of cash; agents: (agent id, campaign) -> AgentFact;
    fund_accounts: campaign -> {(insurance, kind): account}, where the plan has them (基金收入账户)."""

    takings: FactSource
    agents: FactSource
    fund_accounts: FactSource


def _body(place: Place, events: Sequence[Event]) -> dict[str, Any]:
    return {
        "campaign": place.campaign,
        "village": place.village,
        "source": place.source,
        "date": place.date.isoformat(),
        "events": [type(event).__name__ for event in events],
    }


def place_command(
    operation: str,
    place: Place,
    decide: Callable[[Any, Loaded], Sequence[Event] | Refusal],
    metadata: Metadata,
    key: IdempotencyKey | None,
    guards: Sequence[Guard] = (),
    facts: Sequence[tuple[FactSource, Sequence[Any]]] = (),
) -> Command:
    """A command on an agent's day: nothing new to say is accepted and writes nothing (200)."""
    stream = settlement_stream(place.campaign, place.village, place.date)

    def run(loaded: Loaded) -> Accepted | Refusal:
        events = decide(loaded.state(stream), loaded)
        if isinstance(events, Refusal):
            return events
        if not events:
            return Accepted(response=_body(place, ()), status=200)
        settled = [line for event in events for line in _lines(event)]
        held = [Guard("settled", line, f"{stream.id}", LINE_SETTLED) for line in settled]
        return Accepted([Append(stream, events)], [*guards, *held], response=_body(place, events))

    told = replace(metadata, campaign=place.campaign)
    return Command(operation, [stream], run, told, key, facts)


def _lines(event: Event) -> tuple[str, ...]:
    return event.lines if isinstance(event, s.SettlementLinesConfirmed) else ()


def compare_command(
    place: Place, facts: SettlementFacts, metadata: Metadata, key: IdempotencyKey | None
) -> Command:
    """Receipts against summary and deposit."""
    taking = (place.campaign, place.source, place.date)
    return place_command(
        "compare_settlement",
        place,
        lambda state, loaded: compare(state, place, loaded.fact(facts.takings, taking) or ()),
        metadata,
        key,
        facts=[(facts.takings, [taking])],
    )


def overdue_command(
    place: Place, today: dt.date, facts: SettlementFacts, metadata: Metadata, key: IdempotencyKey | None
) -> Command:
    """Cash of an earlier day that was not deposited on it; the day is compared once more as well."""
    taking = (place.campaign, place.source, place.date)

    def decide(state: Any, loaded: Loaded) -> Sequence[Event]:
        taken: Sequence[TakenLine] = loaded.fact(facts.takings, taking) or ()
        return [*note_overdue(state, place, taken, today), *compare(state, place, taken)]

    return place_command("note_overdue", place, decide, metadata, key, facts=[(facts.takings, [taking])])


class Settlements:
    """Handlers of the settlement capability."""

    def __init__(
        self,
        store: Store,
        database: Database,
        facts: SettlementFacts,
        campaigns_of: Callable[[frozenset[int]], Awaitable[Sequence[str]]],
        orders: OrdersPlaced,
        channel_lines: ChannelLines,
    ) -> None:
        self._store = store
        self._database = database
        self._facts = facts
        self._campaigns_of = campaigns_of
        self._orders = orders
        self._channel_lines = channel_lines

    async def agent(self, agent_id: str, campaign: str) -> AgentFact | None:
        """The agent in a campaign."""
        async with self._database.read() as connection:
            found = await self._facts.agents.load(connection, [(agent_id, campaign)])
        agent: AgentFact | None = found.get((agent_id, campaign))
        return agent

    async def submit_summary(
        self,
        agent: AgentFact,
        date: dt.date,
        totals: Sequence[s.DayTotal],
        receipts: tuple[str, str],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """代办员日汇总."""
        place = Place(agent.campaign, agent.village, agent.agent_id, date)
        return await self._store.execute(
            place_command(
                "submit_summary",
                place,
                lambda state, _: submit_summary(state, place, totals, receipts),
                metadata,
                key,
            )
        )

    async def correct(
        self,
        agent: AgentFact,
        date: dt.date,
        insurance: Insurance,
        resolution: tuple[str, str, int, str],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """日结差异更正. resolution: kind, slip number, fen, note."""
        place = Place(agent.campaign, agent.village, agent.agent_id, date)
        kind, slip_no, fen, note = resolution
        guards = [Guard("slip", f"correction/{slip_no}/{insurance.value}", place.source, SLIP_TAKEN)]
        return await self._store.execute(
            place_command(
                "correct_settlement",
                place,
                lambda state, _: correct(state, place, insurance, kind, slip_no, fen, note),
                metadata,
                key,
                guards if slip_no else (),
            )
        )

    async def import_deposits(
        self,
        bank: str,
        file_no: str,
        campaign: str,
        lines: Sequence[Deposit],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """A bank's deposit file: each line for itself, then the file's own record. Repeats change nothing.

        The key's answer is kept with the file's record, as for a day file.
        """
        digest = hashlib.sha256(
            msgspec.json.encode([bank, file_no, lines], order="deterministic")
        ).hexdigest()
        stream = deposit_file_stream(bank, file_no)
        unmatched: list[s.UnmatchedDeposit] = []
        known = await self._store.execute(
            _check_file("check_deposit_file", stream, str, digest, metadata, key)
        )
        if isinstance(known, Refusal):
            return known
        agents = await self._agents(lines, campaign)
        commands: list[Command] = []
        sent: list[Deposit] = []
        for line in lines:
            agent = agents.get((line.agent_id, line.date))
            if agent is None:
                unmatched.append(s.UnmatchedDeposit(line.slip_no, line.fen, AGENT_UNKNOWN.code))
            else:
                commands.append(self._deposit_command(line, agent, bank, file_no, metadata))
                sent.append(line)
        outcomes = await self._store.execute_bulk(commands) if commands else []
        for line, outcome in zip(sent, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                unmatched.append(s.UnmatchedDeposit(line.slip_no, line.fen, outcome.code))
        return await self._store.execute(
            _file_command(stream, bank, file_no, digest, lines, unmatched, metadata, key)
        )

    async def _agents(self, lines: Sequence[Deposit], campaign: str) -> dict[tuple[str, dt.date], AgentFact]:
        years = frozenset(year for line in lines for year in (line.date.year, line.date.year + 1))
        campaigns = [campaign] if campaign else await self._campaigns_of(years)
        keys = list(dict.fromkeys((line.agent_id, each) for line in lines for each in campaigns))
        async with self._database.read() as connection:
            known = await self._facts.agents.load(connection, keys)
        found: dict[tuple[str, dt.date], AgentFact] = {}
        for line in lines:
            # A day's money is for the year after it, or, paid late, for the year itself.
            mine = [known[line.agent_id, each] for each in campaigns if (line.agent_id, each) in known]
            mine.sort(key=lambda agent: agent.campaign, reverse=True)
            if mine:
                found[line.agent_id, line.date] = mine[0]
        return found

    def _deposit_command(
        self, line: Deposit, agent: AgentFact, bank: str, file_no: str, metadata: Metadata
    ) -> Command:
        place = Place(agent.campaign, agent.village, agent.agent_id, line.date)
        slip = f"{bank}/{line.slip_no}/{line.agent_id}/{line.date}/{line.insurance.value}"
        digest = hashlib.sha256(msgspec.json.encode(line, order="deterministic")).digest()
        key = IdempotencyKey("", "record_deposit", f"{bank}/{file_no}/{slip}", digest)
        funds = self._facts.fund_accounts

        def decide(state: Any, loaded: Loaded) -> Sequence[Event]:
            accounts = loaded.fact(funds, place.campaign) or {}
            designated = accounts.get((line.insurance, INCOME), agent.designated_account)
            return record_deposit(state, place, line, bank, file_no, designated, accounts.values())

        guards = [Guard("slip", slip, file_no, SLIP_TAKEN)]
        facts = [(funds, [place.campaign])]
        return place_command("record_deposit", place, decide, metadata, key, guards, facts)

    async def receive_day_file(
        self,
        channel: str,
        campaign: str,
        date: dt.date,
        file_no: str,
        lines: Sequence[FiledOrderLine],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """渠道日终文件: its orders are matched or recorded first, then the day is settled once for the channel.

        The key is kept with the last step: whoever sends the file again before that goes on where it stood.
        """
        told = replace(metadata, campaign=campaign)
        digest = hashlib.sha256(
            msgspec.json.encode([channel, date, lines], order="deterministic")
        ).hexdigest()
        stream = settlement_stream(campaign, channel, date)
        known = await self._store.execute(
            _check_file("check_day_file", stream, _file_digest(file_no), digest, told, key)
        )
        if isinstance(known, Refusal):
            return known
        placed = await self._orders.place(channel, campaign, f"{file_no}/{digest[:16]}", lines, told)
        if isinstance(placed, Refusal):
            return placed
        async with self._database.read() as connection:
            ours = await self._channel_lines(connection, campaign, channel, date)
        filed = tuple(
            FiledLine(there.line_id, line.insurance, line.amount_fen, there.fen, there.standing)
            for line, there in zip(lines, placed, strict=True)
        )
        named = {line.line_id for line in filed} | {line.line_id for line in ours}
        holders = await self._store.guard_holders("settled", sorted(named))
        recorded = Recorded(ours, frozenset(line for line, held in holders.items() if held != stream.id))
        file = DayFile(campaign, channel, date, file_no, digest, filed)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = receive_day_file(loaded.state(stream), file, recorded)
            if isinstance(events, Refusal):
                return events
            guards = [
                Guard("settled", line_id, stream.id, LINE_SETTLED)
                for event in events
                for line_id in _lines(event)
            ]
            body = {"file_no": file_no, "lines": len(lines), "fen": sum(line.fen for line in filed)}
            body |= {"settled": len(guards), "standings": _standings(filed)}
            return Accepted([Append(stream, events)] if events else [], guards, response=body)

        return await self._store.execute(Command("receive_day_file", [stream], decide, told, key))


def _file_digest(file_no: str) -> Callable[[Any], str]:
    return lambda day: str(day.files.get(file_no, ""))


def _check_file(
    operation: str,
    stream: Stream[Any],
    known: Callable[[Any], str],
    digest: str,
    metadata: Metadata,
    key: IdempotencyKey,
) -> Command:
    """Refuses a file number, or a key, that was used for other content, before anything of the file is done."""

    def decide(loaded: Loaded) -> Accepted | Refusal:
        if known(loaded.state(stream)) not in ("", digest):
            return FILE_NO_TAKEN
        return Accepted(status=200)

    begun = IdempotencyKey(
        key.organisation, f"{operation} of {key.operation}", key.key, bytes.fromhex(digest)
    )
    return Command(operation, [stream], decide, metadata, begun)


def _standings(lines: Sequence[FiledLine]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        found[line.standing] = found.get(line.standing, 0) + 1
    return found


def _file_command(
    stream: Any,
    bank: str,
    file_no: str,
    digest: str,
    lines: Sequence[Deposit],
    unmatched: Sequence[s.UnmatchedDeposit],
    metadata: Metadata,
    key: IdempotencyKey,
) -> Command:
    total = sum(line.fen for line in lines)
    lost = sum(line.fen for line in unmatched)
    body = {
        "file_no": file_no,
        "accepted": len(lines) - len(unmatched),
        "refused": [msgspec.structs.asdict(line) for line in unmatched],
    }

    def decide(loaded: Loaded) -> Accepted | Refusal:
        known = loaded.state(stream)
        if known:
            return Accepted(response=body, status=200) if known == digest else FILE_NO_TAKEN
        parts = in_parts(unmatched)
        header = s.DepositFileReceived(
            file_no=file_no,
            bank=bank,
            digest=digest,
            count=len(lines),
            fen=total,
            matched_fen=total - lost,
            unmatched=parts[0] if parts else (),
        )
        more = [
            s.UnmatchedDepositsListed(file_no=file_no, bank=bank, part=number, unmatched=part)
            for number, part in enumerate(parts[1:], 2)
        ]
        return Accepted([Append(stream, [header, *more])], response=body)

    return Command("receive_deposit_file", [stream], decide, metadata, key)
