"""The end of the log in memory: read and decoded once for all readers of a process.

What this process commits is handed over by its writer, in the order of positions, and never read again. What
others append, and what lies further back, comes from the database. Positions are the order of commits, so
whatever lies below a committed position is known for good: a hole is a transaction that was rolled back.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from shared.eventstore.decision import Plan
from shared.eventstore.log import StoredRow, TailPage, Verdict, in_shanghai, recorded
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes
from shared.kernel.clock import Runtime

WINDOW = 6000
"""Events kept at the end of the log; a reader further back reads blocks."""

WINDOW_BYTES = 8 << 20
"""Bytes of JSON the window holds, too: a roster's part is a hundred times the usual event, and takes three times its
JSON in memory."""

PAGE_BYTES = 2 << 20
"""Bytes of JSON of one page: with the event that goes beyond, it ends."""

BLOCK = 1000
BLOCKS = 8
"""Blocks of the past kept, of large events only one, and how many positions each spans."""

LOOK_SECONDS = (0.1, 0.25)
"""How often the database is asked for what other processes appended: while something comes, and when nothing has come
for a while. What is left lying for a quarter of a second under load, all readers then read at once, and who pays
meanwhile waits for a core."""


class PageReader(Protocol):
    """Pages of the log in order: the log itself, or its tail in memory."""

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """See Log.read_page."""
        ...


class RawLog(Protocol):
    """A log that gives rows undecoded (``PostgresLog``)."""

    @property
    def types(self) -> EventTypes:
        """What stands in it."""
        ...

    async def read_rows(self, after: int, limit: int, until: int | None = None) -> list[StoredRow]:
        """Rows after a position, up to ``until``, in order."""
        ...

    async def head(self) -> int:
        """See Log.head."""
        ...


class Entry:
    """A row, decoded when somebody first asks for its type. size: of its JSON."""

    __slots__ = ("_recorded", "_row", "position", "size", "type")

    def __init__(
        self, position: int, type_: str, row: StoredRow | None, known: Recorded[Any] | None, size: int
    ) -> None:
        self.position = position
        self.type = type_
        self.size = size
        self._row = row
        self._recorded = known

    def recorded(self, types: EventTypes) -> Recorded[Any]:
        """The row with its payload. Raises UnknownTypeError."""
        known = self._recorded
        if known is None:
            assert self._row is not None
            known = self._recorded = recorded(self._row, types)
            self._row = None
        return known


class Tail:
    """See the module. Implements ``PageReader``; fed by the writer (``Writer.tail``).

    ``_entries`` hold everything in (``_after``, ``_last``], ``_typed`` the same by type: twenty readers of two or
    three types each need not look at every row. Before the first reader came nothing is known (``_last`` is -1).
    What was fed beyond a hole waits in ``_coming`` until the hole has been looked at.
    ``_gone`` says where the last row of each type stood that has left the window, for rows after ``_since``: a
    reader that has slept through rows of other types need not read them.
    """

    def __init__(self, log: RawLog, runtime: Runtime, *, window: int = WINDOW) -> None:
        self._log = log
        self._types = log.types
        self._runtime = runtime
        self._window = window
        self._entries: list[Entry] = []
        self._bytes = 0
        self._typed: dict[str, list[Entry]] = {}
        self._after = self._last = self._since = -1
        self._gone: dict[str, int] = {}
        self._coming: deque[list[Entry]] = deque()
        self._blocks: OrderedDict[int, list[Entry]] = OrderedDict()
        self._asking = asyncio.Lock()
        self._asked_at = 0.0
        self._pause = LOOK_SECONDS[0]
        self.found: Callable[[], None] | None = None
        """Is called when others have appended, for the readers that were not the one who looked."""

    @property
    def followed(self) -> bool:
        """Whether anybody has read here yet: a process that only answers requests need not make up entries."""
        return self._last >= 0

    def feed(self, entries: list[Entry]) -> None:
        """What this process committed: consecutive positions. Of two batches at once the later may come first."""
        if not entries or not self.followed:
            return
        self._coming.append(entries)
        if len(self._coming) > 1:
            self._coming = deque(sorted(self._coming, key=_first))
        self._join()
        if sum(map(len, self._coming)) > self._window:
            last = self._coming[-1][-1].position
            self._entries, self._bytes, self._typed, self._after = [], 0, {}, last
            self._last = self._since = self._after
            self._coming.clear()

    def _join(self) -> None:
        """Take what follows without a hole; what is known already is passed over."""
        while self._coming and self._coming[0][0].position <= self._last + 1:
            self._extend(self._coming.popleft())
        surplus = self._surplus()
        if surplus:
            self._after = self._entries[surplus - 1].position
            gone = self._entries[:surplus]
            self._bytes -= sum(entry.size for entry in gone)
            self._gone |= {entry.type: entry.position for entry in gone}
            for type_, count in Counter(entry.type for entry in gone).items():
                del self._typed[type_][:count]
            del self._entries[:surplus]

    def _surplus(self) -> int:
        """How many leave the window: a good part of it at once."""
        surplus = len(self._entries) - self._window
        surplus = surplus if surplus > BLOCK else 0
        over = self._bytes - WINDOW_BYTES
        if over > WINDOW_BYTES // 4:
            sizes = itertools.accumulate(entry.size for entry in self._entries)
            surplus = max(surplus, next(number for number, size in enumerate(sizes, 1) if size >= over))
        return surplus

    def _extend(self, entries: list[Entry]) -> None:
        new = [entry for entry in entries if entry.position > self._last]
        if new:
            self._entries += new
            self._last = new[-1].position
            self._bytes += sum(entry.size for entry in new)
            for entry in new:
                self._typed.setdefault(entry.type, []).append(entry)

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """See Log.read_page: so many events of the types at most, fewer where they are large. A page of the past
        ends with its block."""
        if self._coming or self._last < 0 or after >= self._last:
            await self._look(after)
        if after >= self._last:
            return TailPage([], after)
        if after >= self._after or self._slept(after, types):
            page = _following(self._of(types), after, limit)
            scanned = self._last
        else:
            entries, scanned = await self._block(after)
            wanted = entries if types is None else [entry for entry in entries if entry.type in types]
            page = _following([wanted], after, limit)
        whole = len(page)
        page = _light(page)
        if whole == limit or len(page) < whole:
            scanned = page[-1].position
        if until is not None and scanned > until:
            scanned = until
            page = page[: bisect.bisect_right(page, until, key=_position)]
        return TailPage([entry.recorded(self._types) for entry in page], max(scanned, after))

    def _of(self, types: frozenset[str] | None) -> list[list[Entry]]:
        """What the window holds of the types, a list for each."""
        if types is None:
            return [self._entries]
        if len(types) > len(self._typed):
            return [entries for type_, entries in self._typed.items() if entries and type_ in types]
        return [entries for type_ in types if (entries := self._typed.get(type_))]

    def _slept(self, after: int, types: frozenset[str] | None) -> bool:
        """Whether nothing of the types lies between a position and the window."""
        if types is None or after < self._since:
            return False
        gone = self._gone
        return all(gone.get(each, 0) <= after for each in types)

    async def _block(self, after: int) -> tuple[list[Entry], int]:
        """The block of the past after a position, and where it ends."""
        number = after // BLOCK
        end = min((number + 1) * BLOCK, self._last)
        known = self._blocks.get(number)
        if known is None:
            rows = await self._log.read_rows(number * BLOCK, BLOCK, end)
            known = [_stored(row) for row in rows]
            if end == (number + 1) * BLOCK:
                self._blocks[number] = known
                while len(self._blocks) > (BLOCKS if self._past() <= WINDOW_BYTES else 1):
                    self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(number)
        return known, end

    def _past(self) -> int:
        """Bytes of JSON in the blocks kept."""
        return sum(entry.size for block in self._blocks.values() for entry in block)

    async def _look(self, after: int) -> None:
        """Fill holes, and ask now and then for what others appended."""
        async with self._asking:
            if self._last < 0:
                self._after = self._last = self._since = await self._log.head()
            while self._coming and self._coming[0][0].position > self._last + 1:
                until = self._coming[0][0].position - 1
                if len(await self._read_on(until)) < BLOCK:
                    self._last = max(self._last, until)
                self._join()
            if after >= self._last and self._runtime.monotonic() - self._asked_at >= self._pause:
                rows = await self._read_on(None)
                if len(rows) < BLOCK:
                    self._asked_at = self._runtime.monotonic()
                self._pause = LOOK_SECONDS[0] if rows else min(LOOK_SECONDS[1], self._pause * 1.5)
                self._join()
                if rows and self.found is not None:
                    self.found()

    async def _read_on(self, until: int | None) -> list[StoredRow]:
        rows = await self._log.read_rows(self._last, BLOCK, until)
        self._extend([_stored(row) for row in rows])
        return rows


def entries_of(plan: Plan, verdict: Verdict) -> list[Entry]:
    """What a committed batch wrote, as readers get it."""
    entries: list[Entry] = []
    position = verdict.first
    for row, (event, metadata) in zip(plan.proposal.events, plan.kept, strict=True):
        if row.group in verdict.lost:
            continue
        known: Recorded[Any] = Recorded(
            position, row.event_id, row.era, row.stream, row.version, event, metadata,
            in_shanghai(row.occurred_at), in_shanghai(row.recorded_at),
        )  # fmt: skip
        entries.append(Entry(position, row.type, None, known, len(row.data)))
        position += 1
    return entries


def _stored(row: StoredRow) -> Entry:
    return Entry(row.position, row.type, row, None, len(row.data))


def _light(page: list[Entry]) -> list[Entry]:
    """The page, or its beginning up to PAGE_BYTES."""
    sizes = itertools.accumulate(entry.size for entry in page)
    heavy = next((number for number, size in enumerate(sizes, 1) if size > PAGE_BYTES), len(page))
    return page[:heavy]


def _following(lists: Sequence[list[Entry]], after: int, limit: int) -> list[Entry]:
    """The first entries after a position, of lists that are each in order."""
    page: list[Entry] = []
    several = 0
    for entries in lists:
        start = bisect.bisect_right(entries, after, key=_position)
        if start < len(entries):
            page += entries[start : start + limit]
            several += 1
    if several > 1:
        page.sort(key=_position)
    return page[:limit]


def _first(entries: list[Entry]) -> int:
    return entries[0].position


def _position(entry: Entry) -> int:
    return entry.position
