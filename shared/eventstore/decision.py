"""Deciding a batch of commands: pure, in order, each on the state its predecessors left.

Commands that rest on each other's undecided events form a group (union-find over the streams and guards of
the batch). A group wins or loses whole: were one of its commands dropped and the next kept, a coincidence of
versions could accept a decision made on events that never happened.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec

from shared.eventstore.commands import Accepted, Command, Done, FactSource, Outcome, RowWrite, Then
from shared.eventstore.log import (
    Claim,
    Expected,
    GuardClaim,
    History,
    KeyId,
    NewEvent,
    Proposal,
    StreamKey,
    encode_metadata,
)
from shared.eventstore.streams import Metadata, Stream
from shared.eventstore.types import EventTypes
from shared.kernel.errors import Refusal

S = TypeVar("S")

KEY_REUSED = Refusal(
    code="IDEMPOTENCY_KEY_REUSED",
    rule="IDEMPOTENCY",
    message="幂等键已用于另一请求。 The idempotency key was used for a different request.",
)
CONCURRENT_CHANGE = Refusal(
    code="CONCURRENT_CHANGE",
    rule="OPTIMISTIC_LOCK",
    message="数据同时被他人修改，请重试。 The data kept changing meanwhile; please try again.",
)

_RESPONSE = msgspec.json.Encoder()


class UndeclaredStreamError(Exception):
    """A decision touched a stream its command did not declare."""


class Task:
    """A command in the writer's hands.

    attempts: lost races. met_guard: a guard was taken once, and its key's outcome was asked for again.
    then: is told the answer, once.
    """

    __slots__ = ("answer", "attempts", "command", "met_guard", "then")

    def __init__(self, command: Command, then: Then | None = None) -> None:
        self.command = command
        self.then = then
        self.attempts = 0
        self.met_guard = False
        self.answer: Outcome | Exception | None = None

    def settle(self, answer: Outcome | Exception) -> None:
        """Answer the caller once."""
        first, self.answer = self.answer is None, answer
        if first and self.then is not None:
            self.then(answer)


class TaskGroup:
    """Commands handed in together: one future for all, done when the last has been answered."""

    __slots__ = ("done", "left")

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self.left = count
        self.done = done

    def settled(self, _answer: Outcome | Exception) -> None:
        """One more has its answer."""
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class Decided(msgspec.Struct, eq=False):
    """A command whose answer waits for the commit of its group: its own, until it rests on another's."""

    task: Task
    group: int
    outcome: Done | Refusal
    last_event: int = -1  # index into the proposal's events
    guards: Sequence[tuple[int, Refusal]] = ()  # index into the proposal's guards, what a taken one answers
    rows: Sequence[RowWrite] = ()
    joiners: list[Task] = []


@dataclass(slots=True)
class Plan:
    """A decided batch. answered: final now. deferred: to be judged in the next round. rest: not looked at."""

    decided: list[Decided] = field(default_factory=list)
    answered: list[tuple[Task, Outcome | Exception]] = field(default_factory=list)
    deferred: list[Task] = field(default_factory=list)
    rest: list[Task] = field(default_factory=list)
    proposal: Proposal = field(default_factory=Proposal)
    kept: list[tuple[Any, Metadata]] = field(default_factory=list)
    """Per event of the proposal what a reader will get: payload and metadata."""

    def rows(self) -> list[RowWrite]:
        """Rows that must commit with the events."""
        return [row for decided in self.decided for row in decided.rows]


Facts = Mapping[int, Mapping[Any, Any]]
"""Per ``id(source)``: what it knows."""


class _History:
    """One stream in the batch: what was loaded, what the batch added, and the states folded so far."""

    __slots__ = ("base", "events", "folded", "writer")

    def __init__(self, events: list[Any]) -> None:
        self.events = events
        self.base = len(events)
        self.folded: dict[int, tuple[int, Any]] = {}
        self.writer = -1  # index of the last command of the batch that appended here

    def state(self, stream: Stream[S]) -> S:
        category = stream.category
        done, state = self.folded.get(id(category), (0, category.initial))
        if done < len(self.events):
            evolve = category.evolve
            for event in self.events[done:]:
                state = evolve(state, event)
            self.folded[id(category)] = (len(self.events), state)
        return cast("S", state)


class _View:
    """What one decision sees (commands.Loaded); remembers which streams it used."""

    __slots__ = ("_declared", "_facts", "used")

    def __init__(self, declared: Mapping[StreamKey, _History], facts: Facts) -> None:
        self._declared = declared
        self._facts = facts
        self.used: dict[StreamKey, _History] = {}

    def history(self, stream: Stream[Any]) -> _History:
        key = (stream.era, stream.id)
        history = self._declared.get(key)
        if history is None:
            raise UndeclaredStreamError(stream.category.name)
        self.used[key] = history
        return history

    def state(self, stream: Stream[S]) -> S:
        return self.history(stream).state(stream)

    def version(self, stream: Stream[Any]) -> int:
        return len(self.history(stream).events)

    def fact(self, source: FactSource, key: Hashable) -> Any:
        known = self._facts.get(id(source))
        if known is None:
            raise UndeclaredStreamError(source.name)
        return known.get(key)


class BatchDecider:
    """Decides tasks one after the other; see ``decide_batch``."""

    def __init__(
        self,
        history: History,
        facts: Facts,
        types: EventTypes,
        now: dt.datetime,
        new_id: Callable[[], str],
        *,
        keyed: bool = True,
    ) -> None:
        self._keyed = keyed
        self._history = history
        self._facts = facts
        self._types = types
        self._now = now
        self._new_id = new_id
        self._histories: dict[StreamKey, _History] = {}
        self._parents: list[int] = []
        self._resting = False  # whether any command rests on another
        self._keys: dict[KeyId, Decided] = {}  # accepted in this batch
        self._guard_owner: dict[tuple[str, str], int] = {}
        self._told: tuple[Metadata | None, bytes] = (None, b"")  # the commands of a slice share one
        self.plan = Plan()

    def add_history(self, history: History) -> None:
        """More streams and outcomes, for commands that turned up later in the same transaction."""
        self._history = History(
            {**self._history.streams, **history.streams}, {**self._history.outcomes, **history.outcomes}
        )

    def rows(self) -> int:
        """Events decided so far."""
        return len(self.plan.proposal.events)

    def add(self, task: Task) -> None:
        """Decide one task; an exception of its own becomes its answer."""
        if not self.known(task):
            try:
                self._decide(task)
            except Exception as error:  # noqa: BLE001 - handed to the caller whose command it is
                self.plan.answered.append((task, error))

    def finish(self) -> Plan:
        """Number the groups."""
        plan, proposal = self.plan, self.plan.proposal
        if not self._resting:
            return plan  # nobody rests on anybody: rows carry their own number already
        roots = [self._root(index) for index in range(len(self._parents))]
        for decided in plan.decided:
            decided.group = roots[decided.group]
        proposal.expected = list(
            dict.fromkeys(Expected(roots[item.group], *item[1:]) for item in proposal.expected)
        )
        proposal.claims = [item._replace(group=roots[item.group]) for item in proposal.claims]
        proposal.guards = [item._replace(group=roots[item.group]) for item in proposal.guards]
        proposal.events = [item._replace(group=roots[item.group]) for item in proposal.events]
        return plan

    def known(self, task: Task) -> bool:
        """Answer by an earlier execution of the key, or join one in this batch; False: to be decided."""
        key = task.command.key
        if key is None:
            return False
        key_id = (key.organisation, key.operation, key.key)
        stored = self._history.outcomes.get(key_id)
        if stored is not None:
            answer: Outcome = KEY_REUSED
            if stored.digest == key.digest:
                answer = Done(stored.response, stored.status, stored.position, replayed=True)
            self.plan.answered.append((task, answer))
            return True
        first = self._keys.get(key_id)
        if first is None:
            return False
        if first.task.command.key == key:
            first.joiners.append(task)
        else:
            # Whether the key is spent is known when the first one has committed.
            self.plan.deferred.append(task)
        return True

    def _decide(self, task: Task) -> None:
        command = task.command
        view = _View(self._open(command.streams), self._facts)
        answer = command.decide(view)
        index = len(self._parents)
        if isinstance(answer, Refusal):
            self._refuse(task, index, view, answer)
            return
        own: set[tuple[str, str]] = set()  # a government payment brings tens of thousands
        for guard in answer.guards:
            guard_id = (guard.kind, guard.key)
            if guard_id in own or guard_id in self._guard_owner:
                self._refuse(task, index, view, guard.refusal, rests_on=self._guard_owner.get(guard_id))
                return
            own.add(guard_id)
        events = self._encode(command, answer, view, index)
        response = _RESPONSE.encode(answer.response)
        self._parents.append(index)
        self._accept(task, index, view, answer, events, response)

    def _open(self, streams: Sequence[Stream[Any]]) -> dict[StreamKey, _History]:
        opened: dict[StreamKey, _History] = {}
        for stream in streams:
            key = (stream.era, stream.id)
            history = self._histories.get(key)
            if history is None:
                history = self._histories[key] = _History(self._decoded(key))
            opened[key] = history
        return opened

    def _decoded(self, key: StreamKey) -> list[Any]:
        rows = self._history.streams.get(key)
        if rows is None:
            return []
        decode = self._types.decode
        return [decode(kind, schema, data) for _, kind, schema, data in rows]

    def _metadata(self, metadata: Metadata) -> bytes:
        """The JSON; made once for commands in a row that share theirs (see streams.Metadata)."""
        if self._told[0] is not metadata:
            self._told = (metadata, encode_metadata(metadata))
        return self._told[1]

    def _encode(
        self, command: Command, answer: Accepted, view: _View, index: int
    ) -> list[tuple[NewEvent, Any, tuple[Any, Metadata]]]:
        """Rows of the decision, without touching the batch: a bad event is its command's matter alone."""
        encoded: list[tuple[NewEvent, Any, tuple[Any, Metadata]]] = []
        reached: dict[StreamKey, int] = {}
        now, types = self._now, self._types
        occurred_at = command.occurred_at or now
        if occurred_at.tzinfo is None:
            raise ValueError("occurred_at must be aware")
        for append in answer.appends:
            stream = append.stream
            era, stream_id = key = (stream.era, stream.id)
            version = reached.get(key, 0) or len(view.history(stream).events)
            metadata = append.metadata or command.metadata
            told = self._metadata(metadata)
            for event in append.events:
                version += 1
                name, schema, data, again = types.encoded(event)
                row = NewEvent(
                    index, self._new_id(), era, stream_id, version, name, schema, data, told, occurred_at, now
                )
                encoded.append((row, event, (again, metadata)))
            reached[key] = version
        return encoded

    def _accept(
        self,
        task: Task,
        index: int,
        view: _View,
        answer: Accepted,
        events: list[tuple[NewEvent, Any, tuple[Any, Metadata]]],
        response: bytes,
    ) -> None:
        proposal, key = self.plan.proposal, task.command.key
        expected = proposal.expected
        for (era, stream), history in view.used.items():
            if history.writer >= 0:
                self._join(index, history.writer)
            expected.append(Expected(index, era, stream, history.base))
        for row, event, kept in events:
            history = view.used[row.era, row.stream]
            history.events.append(event)
            history.writer = index
            proposal.events.append(row)
            self.plan.kept.append(kept)
        guards = []
        for guard in answer.guards:
            guards.append((len(proposal.guards), guard.refusal))
            self._guard_owner[guard.kind, guard.key] = index
            proposal.guards.append(GuardClaim(index, guard.kind, guard.key, guard.holder))
        decided = Decided(
            task, index, Done(response, answer.status, 0), len(proposal.events) - 1 if events else -1, guards,
            answer.rows,
        )  # fmt: skip
        self.plan.decided.append(decided)
        if key is not None:
            self._keys[key.organisation, key.operation, key.key] = decided
        if key is not None and (self._keyed or not key.derived):
            last = events[-1][0] if events else None
            proposal.claims.append(
                Claim(
                    index,
                    key.organisation,
                    key.operation,
                    key.key,
                    key.digest,
                    answer.status,
                    response,
                    last and last.era,
                    last and last.stream,
                    last and last.version,
                )
            )

    def _refuse(
        self, task: Task, index: int, view: _View, refusal: Refusal, rests_on: int | None = None
    ) -> None:
        """Final at once, unless it rests on events of this batch: then only if they are committed."""
        writers = {history.writer for history in view.used.values()} - {-1}
        if rests_on is not None:
            writers.add(rests_on)
        if not writers:
            self.plan.answered.append((task, refusal))
            return
        self._parents.append(index)
        for writer in writers:
            self._join(index, writer)
        self.plan.decided.append(Decided(task, index, refusal))

    def _root(self, index: int) -> int:
        parents = self._parents
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    def _join(self, one: int, other: int) -> None:
        one, other = self._root(one), self._root(other)
        if one != other:
            self._resting = True
            self._parents[max(one, other)] = min(one, other)


def decide_batch(decider: BatchDecider, tasks: Sequence[Task], row_limit: int | None = None) -> Plan:
    """Decide tasks in order until the batch holds ``row_limit`` events; the others are left as ``rest``."""
    for number, task in enumerate(tasks):
        if row_limit is not None and decider.rows() >= row_limit:
            decider.plan.rest.extend(tasks[number:])
            break
        decider.add(task)
    return decider.finish()
