"""A page: commands, blind appends and effects in one transaction, written whole or not at all.

A page that waits for its turn may be decided ahead of it, while the page before it commits. What it was decided
on is held against what was committed meanwhile, so that it is never another decision than the one its turn would
have brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.eventstore.batch import event_positions, fact_needs, joined, load_facts, needs, write_rows
from shared.eventstore.commands import BlindAppend, Command, Done, Outcome, Page, StaleCheckpointError
from shared.eventstore.database import Connection
from shared.eventstore.decision import CONCURRENT_CHANGE, KEY_REUSED, BatchDecider, Plan, Task, decide_batch
from shared.eventstore.log import (
    Failure,
    History,
    KeyId,
    Log,
    LogTransaction,
    ReceivedEvent,
    StoredRow,
    StreamKey,
    Verdict,
    encode_metadata,
    in_shanghai,
)
from shared.eventstore.tail import Entry, entries_of
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import ProblemError, Refusal

PAGE_ROUNDS = 8
"""How often a page is tried when somebody else changed one of its streams."""


_NOWHERE = Verdict(0)
"""Of what is not written yet, or never."""


class _LostError(Exception):
    """Somebody changed a stream, or a guard is taken: roll back and decide the page again. ahead: it was decided
    before its turn."""

    def __init__(self, plan: Plan, verdict: Verdict, *, ahead: bool) -> None:
        super().__init__()
        self.plan = plan
        self.verdict = verdict
        self.ahead = ahead


class _PreviewError(Exception):
    """Roll back a page that was only to be looked at."""


@dataclass(slots=True)
class PageResult:
    """What was decided and written. tasks: of the page's commands, in their order; position: of the last event;
    plan, verdict: as it was committed; received: its blind appends, versions: those they were given."""

    tasks: Sequence[Task] = ()
    position: int = 0
    plan: Plan = field(default_factory=Plan)
    verdict: Verdict = _NOWHERE
    received: Sequence[ReceivedEvent] = ()
    versions: Sequence[int] = ()

    @property
    def events(self) -> int:
        """How many were written."""
        return len(self.plan.proposal.events) + len(self.received) if self.position else 0

    def outcomes(self) -> list[Outcome]:
        """In the order of the page's commands; their positions are known when the page is committed."""
        return [_outcome(task) for task in self.tasks]

    def entries(self) -> list[list[Entry]]:
        """For the tail: consecutive positions each."""
        found = [entries_of(self.plan, self.verdict)]
        if self.received:
            found.append(_received_entries(self.received, self.position, self.versions))
        return found


class _Source(Protocol):
    """Where a page is decided from: its own transaction, or the log before its turn."""

    async def load(self, streams: Sequence[StreamKey], keys: Sequence[KeyId]) -> History:
        """See LogTransaction.load."""
        ...

    def facts(self) -> AbstractAsyncContextManager[Connection]:
        """For fact sources."""
        ...


class _Within:
    """The page's transaction."""

    def __init__(self, transaction: LogTransaction) -> None:
        self.load = transaction.load
        self._connection = transaction.connection

    def facts(self) -> AbstractAsyncContextManager[Connection]:
        return nullcontext(self._connection)


class _Ahead:
    """Before the page's turn."""

    def __init__(self, log: Log) -> None:
        self.load = log.load
        self.facts = log.database.read


@dataclass(slots=True)
class _Needed:
    """Streams and keys a page was decided on."""

    streams: set[StreamKey] = field(default_factory=set)
    keys: set[KeyId] = field(default_factory=set)

    def of(self, commands: Sequence[Command], *, keyed: bool) -> tuple[list[StreamKey], list[KeyId]]:
        """What commands need, noted."""
        streams, keys = needs(commands, keyed=keyed)
        self.streams.update(streams)
        self.keys.update(keys)
        return streams, keys


@dataclass(slots=True)
class _Judged:
    """A page decided ahead. today: the day it was decided on."""

    tasks: list[Task]
    plan: Plan
    extra: list[Task]
    streams: set[StreamKey]
    keys: set[KeyId]
    today: object

    def holds(self, written: Written, today: object) -> bool:
        """Whether its turn would bring the same: nothing it rests on was written meanwhile, nor did the day end.
        Rows and guards that went with commands may be what a fact source looks up, unless it says it does not."""
        facts = {
            id(source): source for task in (*self.tasks, *self.extra) for source, _ in task.command.facts
        }
        looked = any(getattr(source, "beside", True) for source in facts.values())
        return (
            self.today == today
            and not written.unknown
            and not (written.beside and looked)
            and self.streams.isdisjoint(written.streams)
            and self.keys.isdisjoint(written.keys)
        )


@dataclass(slots=True)
class Written:
    """What this process has committed since it began to decide a page ahead. beside: rows or guards, too. unknown:
    a transaction failed, and nobody can say whether it was committed."""

    streams: set[StreamKey] = field(default_factory=set)
    keys: set[KeyId] = field(default_factory=set)
    beside: bool = False
    unknown: bool = False

    def note(self, plan: Plan, blind: Sequence[BlindAppend] = ()) -> None:
        """A plan was committed, in part at least."""
        self.streams.update((fact.era, fact.stream_id) for fact in blind)
        self.streams.update((event.era, event.stream) for event in plan.proposal.events)
        self.keys.update((claim.organisation, claim.operation, claim.key) for claim in plan.proposal.claims)
        self.beside = self.beside or any(decided.rows or decided.guards for decided in plan.decided)


class PageRun:
    """One page in the writer's hands."""

    def __init__(self, page: Page, future: asyncio.Future[list[Outcome]], preview: bool) -> None:
        self.page = page
        self.future = future
        self.decided: list[tuple[Command, Outcome]] = []
        self._preview = preview
        self._refused: dict[int, Refusal] = {}  # id of a command -> what its taken guard answers
        self._judged: _Judged | None = None

    def settle(self, answer: list[Outcome] | Exception) -> None:
        """Answer the caller; one that has gone away is no matter."""
        if self.future.done():
            return
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)

    @property
    def decidable(self) -> bool:
        """Whether there is anything to decide ahead."""
        return bool(self.page.commands) and not self._preview

    async def look_ahead(self, log: Log, types: EventTypes, clock: Clock, runtime: Runtime) -> None:
        """Decide before the turn has come."""
        tasks = [Task(command) for command in self.page.commands]
        today = clock.today()
        needed = _Needed()
        plan, extra = await self._decide(_Ahead(log), tasks, types, clock, runtime, needed)
        self._judged = _Judged(tasks, plan, extra, needed.streams, needed.keys, today)

    def turn(self, written: Written, clock: Clock) -> None:
        """The turn has come: a decision that may be another now is made again."""
        judged = self._judged
        if judged is not None and not judged.holds(written, clock.today()):
            self._judged = None

    async def execute(self, log: Log, types: EventTypes, clock: Clock, runtime: Runtime) -> PageResult:
        """Try until nobody interferes. Raises a command's exception, StaleCheckpointError, or the problem
        CONCURRENT_CHANGE."""
        for _ in range(PAGE_ROUNDS):
            result = PageResult()
            try:
                async with log.transaction() as transaction:
                    result = await self._attempt(transaction, types, clock, runtime)
                    if self._preview:
                        raise _PreviewError
            except _PreviewError:
                return result
            except _LostError as lost:
                if not lost.ahead:  # in its own transaction it may not want the guard any more
                    self._note_taken(lost)
            except Exception as error:
                if log.failure(error) is not Failure.TRANSIENT:
                    raise
            else:
                _answer(result.plan, result.verdict)
                return result
        raise ProblemError(CONCURRENT_CHANGE)

    def _note_taken(self, lost: _LostError) -> None:
        for decided in lost.plan.decided:
            for index, refusal in decided.guards:
                if index in lost.verdict.taken_guards:
                    self._refused[id(decided.task.command)] = refusal

    async def _attempt(
        self, transaction: LogTransaction, types: EventTypes, clock: Clock, runtime: Runtime
    ) -> PageResult:
        page, connection = self.page, transaction.connection
        if page.effects is not None and not await page.effects(connection):
            raise StaleCheckpointError
        judged, self._judged = self._judged, None
        if judged is not None:
            tasks, plan, extra = judged.tasks, judged.plan, judged.extra
        else:
            tasks = [Task(command) for command in page.commands]
            plan, extra = await self._decide(_Within(transaction), tasks, types, clock, runtime)
        _answer(plan, _NOWHERE)
        self.decided = [(task.command, _outcome(task)) for task in (*tasks, *extra)]
        result = PageResult(tasks, plan=plan)
        if self._preview:
            return result
        await write_rows(connection, plan.rows())
        if page.settled is not None:
            await page.settled(connection, result.outcomes())
        received = self._received(clock, runtime)
        # From here on everybody else's append waits: nothing is made up, asked or written that could be before.
        if plan.proposal or plan.rows():
            result.verdict = await transaction.append(plan.proposal)
            if result.verdict.lost:
                raise _LostError(plan, result.verdict, ahead=judged is not None)
            if plan.proposal.events:
                result.position = result.verdict.first + len(plan.proposal.events) - 1
        if received:
            result.received = received
            result.position, result.versions = await transaction.append_received(received)
        if page.placed is not None and result.position:
            await page.placed(connection, result.position)
        return result

    def _received(self, clock: Clock, runtime: Runtime) -> list[ReceivedEvent]:
        if not self.page.blind:
            return []
        now = clock.now()
        return [
            ReceivedEvent(runtime.new_id(), fact, encode_metadata(fact.metadata), now)
            for fact in self.page.blind
        ]

    async def _decide(
        self,
        source: _Source,
        tasks: Sequence[Task],
        types: EventTypes,
        clock: Clock,
        runtime: Runtime,
        needed: _Needed | None = None,
    ) -> tuple[Plan, list[Task]]:
        """Decide the commands, then those that answer a refusal. Raises the first exception of a command."""
        commands = [task.command for task in tasks]
        keyed, needed = self.page.keyed, needed or _Needed()
        history = await source.load(*needed.of(commands, keyed=keyed))
        facts = await _facts(source, commands)
        decider = BatchDecider(history, facts, types, clock.now(), runtime.new_id, keyed=keyed)
        for task in tasks:
            self._add(decider, task)
        follow = self._follow(decider.plan)
        if follow:
            commands = [task.command for task in follow]
            decider.add_history(await source.load(*needed.of(commands, keyed=keyed)))
            for number, known in (await _facts(source, commands)).items():
                facts[number] = {**facts.get(number, {}), **known}
            for task in follow:
                self._add(decider, task)
        plan = decide_batch(decider, ())
        for _, answer in plan.answered:
            if isinstance(answer, Exception):
                raise answer
        for task in plan.deferred:
            plan.answered.append((task, KEY_REUSED))
        return plan, follow

    def _add(self, decider: BatchDecider, task: Task) -> None:
        refusal = self._refused.get(id(task.command))
        if refusal is None:
            decider.add(task)
        elif not decider.known(task):  # the guard may be held by this very command, under its key
            decider.plan.answered.append((task, refusal))

    def _follow(self, plan: Plan) -> list[Task]:
        on_refusal = self.page.on_refusal
        if on_refusal is None:
            return []
        refused = [(task, answer) for task, answer in plan.answered if isinstance(answer, Refusal)]
        refused += [(item.task, item.outcome) for item in plan.decided if isinstance(item.outcome, Refusal)]
        order = {id(command): number for number, command in enumerate(self.page.commands)}
        refused.sort(key=lambda item: order[id(item[0].command)])
        answers = [on_refusal(task.command, refusal) for task, refusal in refused]
        return [Task(command) for command in answers if command is not None]


def _answer(plan: Plan, verdict: Verdict) -> None:
    """Positions are 0 where the verdict does not know the first."""
    positions = event_positions(plan, verdict) if verdict.first else None
    for task, answer in plan.answered:
        task.settle(answer)
    for decided in plan.decided:
        outcome = decided.outcome
        if positions and isinstance(outcome, Done) and decided.last_event >= 0:
            outcome = Done(outcome.response, outcome.status, positions[decided.last_event])
        decided.task.settle(outcome)
        for joiner in decided.joiners:
            joiner.settle(joined(outcome))


async def _facts(source: _Source, commands: Sequence[Command]) -> dict[int, Mapping[Any, Any]]:
    if not any(command.facts for command in commands):
        return {}
    async with source.facts() as connection:
        return dict(await load_facts(connection, fact_needs(commands)))


def _received_entries(rows: Sequence[ReceivedEvent], last: int, versions: Sequence[int]) -> list[Entry]:
    entries = []
    for position, (row, version) in enumerate(zip(rows, versions, strict=True), last - len(rows) + 1):
        fact = row.append
        if fact.message is not None:
            known: Recorded[Any] = Recorded(
                position, row.event_id, fact.era, fact.stream_id, version, fact.message, fact.metadata,
                in_shanghai(fact.occurred_at), in_shanghai(row.recorded_at),
            )  # fmt: skip
            entries.append(Entry(position, fact.type, None, known, len(fact.data)))
            continue
        stored = StoredRow(
            position, row.event_id, fact.era, fact.stream_id, version, fact.type, fact.schema, fact.data,
            row.metadata, fact.occurred_at, row.recorded_at,
        )  # fmt: skip
        entries.append(Entry(position, fact.type, stored, None, len(fact.data)))
    return entries


def _outcome(task: Task) -> Outcome:
    answer = task.answer
    if answer is None or isinstance(answer, Exception):
        raise RuntimeError("a page left a command unanswered")
    return answer
