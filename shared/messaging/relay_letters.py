"""Events the relay cannot publish, and the later ones of their key that wait behind them.

A message that comes out late lies behind the watermark its partition has at every consumer, which would skip
it as a repeat. So what is replayed goes out in a *lane*: under a log name of its own (``main+17.0``), with a
watermark of its own. Replays publish from whichever process the operator asked; what is parked is drained by
the leading relay only, so a key is never overtaken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.eventstore import dead_letters as rows
from shared.eventstore.commands import Done, Outcome
from shared.eventstore.database import Connection
from shared.eventstore.log import Log
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import ProblemError, Refusal
from shared.messaging.broker import Broker, Outgoing, PublishRejectedError, RecordTooLargeError
from shared.messaging.letters import BEHIND
from shared.messaging.publication import Outbound, Publications, Unpublishable

KIND = "relay"
PUBLICATION = "publication:"
WHOLE_EVENT = -1
TOO_LARGE = "RECORD_TOO_LARGE"
REJECTED = "BROKER_REJECTED"

Key = tuple[str, str]
"""(topic, message key), or ("publication:" + its name, stream) when the publication itself raised."""


def key_of(record: Outgoing) -> Key:
    """What must stay in order with this record."""
    return record.topic, record.key


@dataclass(slots=True)
class Screened:
    """A page after screening: what to publish, what became a dead letter, what parks behind one."""

    records: list[Outgoing]
    dead: list[tuple[Key, int, str]] = field(default_factory=list)
    behind: list[tuple[Key, int, int]] = field(default_factory=list)

    def hold(self, blocked: set[Key]) -> None:
        """Records of keys that were blocked before this page park."""
        self.behind += [(key_of(r), r.index, r.position) for r in self.records if key_of(r) in blocked]
        self.records = [record for record in self.records if key_of(record) not in blocked]

    def refuse(self, indexes: Iterable[int], code: str) -> set[Key]:
        """Records at these places are dead; *later* ones of their keys park. Answers the keys."""
        places = set(indexes)
        refused: set[Key] = set()
        kept: list[Outgoing] = []
        for place, record in enumerate(self.records):
            key = key_of(record)
            if key in refused:
                self.behind.append((key, record.index, record.position))
            elif place in places:
                refused.add(key)
                self.dead.append((key, record.position, code))
            else:
                kept.append(record)
        self.records = kept
        return refused


def screen(outbound: Outbound, page: Sequence[Recorded[Any]], blocked: set[Key]) -> Screened:
    """Apply what is blocked already, then this page's failures, which are added to ``blocked``."""
    screened = Screened(outbound.records)
    held = _held_events(outbound.failures, page, blocked, screened)
    if held:
        screened.records = [record for record in screened.records if record.position not in held]
    screened.hold(blocked)
    return screened


def _held_events(
    failures: Sequence[Unpublishable], page: Sequence[Recorded[Any]], blocked: set[Key], screened: Screened
) -> set[int]:
    failing = {failure.recorded.position: failure for failure in failures}
    streams = {key[1]: key for key in blocked if key[0].startswith(PUBLICATION)}
    held: set[int] = set()
    if not failing and not streams:
        return held
    for recorded in page:
        behind = streams.get(recorded.stream)
        failure = failing.get(recorded.position)
        if behind is not None:
            held.add(recorded.position)
            screened.behind.append((behind, WHOLE_EVENT, recorded.position))
        elif failure is not None:
            key = (PUBLICATION + failure.publication, recorded.stream)
            streams[recorded.stream] = key
            blocked.add(key)
            screened.dead.append((key, recorded.position, failure.code))
    return held


async def store(connection: Connection, screened: Screened, clock: Clock, runtime: Runtime) -> None:
    """Write a page's dead letters and parked events, in the cursor's transaction."""
    now = clock.now()
    if screened.dead:
        await rows.add_dead_letters(
            connection,
            [
                rows.DeadLetter(
                    id=runtime.new_id(),
                    kind=KIND,
                    name=key[0],
                    key=key[1],
                    position=position,
                    code=code,
                    created_at=now,
                )
                for key, position, code in screened.dead
            ],
        )
    if screened.behind:
        await rows.park(
            connection,
            [
                rows.Parked(
                    kind=KIND,
                    name=key[0],
                    key=key[1],
                    part=index,
                    position=position,
                    reason=BEHIND,
                    parked_at=now,
                )
                for key, index, position in screened.behind
            ],
        )


class RelayReplayer:
    """Publishes letters of the relay again; see ``eventstore.dead_letters.Replayer``."""

    def __init__(self, log: Log, broker: Broker, publications: Publications, clock: Clock) -> None:
        self._log = log
        self._broker = broker
        self._publications = publications
        self._clock = clock
        self._names = log.types.names(publications.handles)

    def register(self, letters: rows.DeadLetters, names: Iterable[str]) -> None:
        """For the topics this service publishes to, and its publications."""
        for name in (*names, *(PUBLICATION + culprit for culprit in self._publications.culprits)):
            letters.register(KIND, name, self)

    def check_fix(self, _letter: rows.DeadLetter, _payload: bytes, /) -> None:
        """An event cannot be changed; the publication's code can."""
        raise ProblemError(rows.NOT_REPLAYABLE, status=409)

    async def replay(self, letter: rows.DeadLetter, *, by: str, dry_run: bool) -> Sequence[Outcome]:
        """Publish the event of the letter in its lane and close it; refused when it fails again."""
        code = await self.publish(letter.name, letter.key, letter.position, dry_run=dry_run)
        if code:
            message = "该事件仍无法发布。 The event still cannot be published."
            return [Refusal(code=code, rule="DEAD_LETTER", message=message)]
        if not dry_run:
            async with self._log.database.begin() as connection:
                await rows.resolve(connection, letter.id, rows.REPLAYED, by, self._clock.now())
        return [Done(b"", 200, 0)]

    async def publish(self, name: str, key: str, position: int, *, dry_run: bool = False) -> str:
        """Publish an event's records of a key in their lanes; the code of what is wrong, else nothing.

        Raises BrokerUnavailableError.
        """
        page = await self._log.read_page(position - 1, 1, self._names)
        outbound = await self._publications.outgoing(page.events, self._log.database, lanes=True)
        if outbound.failures:
            return outbound.failures[0].code
        whole = name.startswith(PUBLICATION)
        records = [record for record in outbound.records if whole or key_of(record) == (name, key)]
        if not dry_run:
            try:
                await self._broker.publish(records)
            except RecordTooLargeError:
                return TOO_LARGE
            except PublishRejectedError:
                return REJECTED
        return ""
