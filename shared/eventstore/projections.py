"""Read models: one tail of the log feeds all projections; rows and checkpoints commit together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from shared.eventstore.checkpoints import Checkpoint, move_checkpoints, read_checkpoints
from shared.eventstore.commands import StaleCheckpointError
from shared.eventstore.dead_letters import error_code
from shared.eventstore.log import Log, TailPage
from shared.eventstore.sharing import shares_of
from shared.eventstore.tail import PageReader
from shared.eventstore.tailing import Projection
from shared.kernel.clock import Runtime
from shared.observability.logging import logger

LOGGER = logger(__name__)

PAGE = 1000
"""Events of a page."""

STORE_SECONDS = 0.25
"""How long a projection may stand before its stored checkpoint because it only passed over events that are not
its own: storing that with every page costs more than reading the passed-over again after a restart."""

LOOK_THROUGH = 2 * PAGE
"""Up to so many events behind a position it is looked whether a read model has one of its own among them: one that
a worker steps stores its place within a page."""


class Announces(Protocol):
    """A writer in this process that says when it committed."""

    def subscribe(self, listener: Any) -> None:
        """Call ``listener`` with the last position."""
        ...


def checkpoint_name(projection: Projection) -> str:
    """Under which a projection's checkpoint is kept."""
    return f"projection:{projection.name}"


class ProjectionRunner:
    """Steps the projections of a service.

    A projection that raises is left where it stands (the others go on) and is tried again on later passes;
    ``failures`` names it with the exception's class.
    """

    def __init__(
        self,
        *,
        log: Log,
        projections: Sequence[Projection],
        runtime: Runtime,
        tail: PageReader | None = None,
        announcer: Announces | None = None,
        page: int = PAGE,
        poll_seconds: float = 0.25,
    ) -> None:
        names = [projection.name for projection in projections]
        if len(set(names)) != len(names):
            raise ValueError("two projections have one name")
        self.failures: dict[str, str] = {}
        self._log = log
        self._tail = tail or log
        self._projections = list(projections)
        self._types = {projection.name: log.types.names(projection.handles) for projection in projections}
        self._runtime = runtime
        self._page = page
        self._poll_seconds = poll_seconds
        self._wake = Wake(runtime, poll_seconds)
        self._positions: dict[str, int] = dict.fromkeys(names, 0)
        self._stored: dict[str, int] = dict.fromkeys(names, 0)
        self._stored_at = float("-inf")
        self._asked = 0  # what every read model was seen to contain, by a process that does not run them
        self._known = False  # whether _positions and _stored are those of the database
        if announcer is not None:
            announcer.subscribe(self._wake.ring)

    def position(self) -> int:
        """Up to where every projection was last seen to be; very large when there is none."""
        return min(self._positions.values(), default=2**63 - 1)

    def stand_by(self) -> None:
        """Another process takes its turn: where the read models stand is asked for again at the next."""
        self._known = False
        self.failures.clear()

    def position_of(self, projection: Projection) -> int:
        """Up to where one projection was last seen to be."""
        return self._positions[projection.name]

    async def run_once(self) -> int:
        """One page for every projection that is behind; answers how many events were applied."""
        if not self._projections:
            return 0
        if not self._known:
            await self._ask_positions()
            self._known = True
        groups: dict[int, list[Projection]] = defaultdict(list)
        for projection in self._projections:
            groups[self._positions[projection.name]].append(projection)
        handled = 0
        for position in sorted(groups):
            handled += await self._advance(position, groups[position])
        if not handled and self._due():
            await self._store_passed()
        return handled

    def _due(self) -> bool:
        """Whether the stored checkpoints have not been moved for a while."""
        return self._runtime.monotonic() - self._stored_at >= STORE_SECONDS

    async def _store_passed(self) -> None:
        """Store what was passed over in memory."""
        moves = {
            checkpoint_name(projection): (Checkpoint(stored), Checkpoint(here))
            for projection in self._projections
            if (stored := self._stored[projection.name]) < (here := self._positions[projection.name])
        }
        self._stored_at = self._runtime.monotonic()
        if not moves:
            return
        async with self._log.database.begin() as connection:
            moved = await move_checkpoints(connection, moves)
        if moved:
            self._stored = dict(self._positions)
        else:
            self._known = False

    async def _advance(self, position: int, group: list[Projection]) -> int:
        wanted = frozenset().union(*(self._types[projection.name] for projection in group))
        page = await self._tail.read_page(position, self._page, wanted)
        if page.scanned == position:
            return 0
        try:
            await self._apply(page, group)
        except StaleCheckpointError:
            self._known = False
            return 0
        except Exception as error:  # noqa: BLE001 - reported; the others go on
            if len(group) > 1:
                return sum([await self._advance(position, [projection]) for projection in group])
            self.failures[group[0].name] = type(error).__name__
            LOGGER.error("reader_failed", reader=checkpoint_name(group[0]), error=error_code(error))
            return 0
        for projection in group:
            self._positions[projection.name] = page.scanned
            self.failures.pop(projection.name, None)
        # A page of events nobody handles is progress too: the caller must come again.
        return max(len(page.events), 1)

    async def _apply(self, page: TailPage, group: list[Projection]) -> None:
        """Rows and checkpoints of those whose events are in the page; the others pass over it in memory, and are
        stored with it now and then."""
        shares = list(zip(group, shares_of(page.events, group), strict=True))
        everybody = self._due()
        moving = [
            projection
            for projection, events in shares
            if events or everybody or page.scanned - self._stored[projection.name] >= self._page
        ]
        if not moving:
            return
        moves = {
            checkpoint_name(projection): (
                Checkpoint(self._stored[projection.name]),
                Checkpoint(page.scanned),
            )
            for projection in moving
        }
        async with self._log.database.begin() as connection:
            if not await move_checkpoints(connection, moves):
                raise StaleCheckpointError
            for projection, events in shares:
                if events:
                    await projection.apply(connection, events)
        for projection in moving:
            self._stored[projection.name] = page.scanned
        if everybody:
            self._stored_at = self._runtime.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Step until told to stop: at once when the writer rang, else by polling."""
        async with self._wake.rung_by(stop):
            while not stop.is_set():
                try:
                    handled = await self.run_once()
                except Exception as error:  # noqa: BLE001 - reported and outlived
                    LOGGER.error("reader_failed", reader="projections", error=error_code(error))
                    handled = 0
                if not handled:
                    await self._wake.wait()

    async def _ask_positions(self) -> None:
        self._stored = await self._read_stored()
        self._positions = dict(self._stored)

    async def _read_stored(self) -> dict[str, int]:
        names = {projection.name: checkpoint_name(projection) for projection in self._projections}
        async with self._log.database.read() as connection:
            stored = await read_checkpoints(connection, list(names.values()))
        return {name: stored[checkpoint].position for name, checkpoint in names.items()}

    async def caught_up(self, position: int, timeout: float = 2.0) -> bool:  # noqa: ASYNC109 - business answer
        """Wait until all read models contain ``position`` (Min-Log-Position); False when time is up.

        Works in a process that does not run the projections itself: it asks the database.
        """
        deadline, pause = self._runtime.monotonic() + timeout, 0.01
        while True:
            if max(self.position(), self._asked) >= position or await self._contain(position):
                return True
            if self._runtime.monotonic() >= deadline:
                return False
            await self._runtime.sleep(pause)
            pause = min(2 * pause, 0.1)

    async def _contain(self, position: int) -> bool:
        """Whether the stored read models contain a position: what stands before it has no event of its own on
        the way. A position the log has not reached is in none of them; what is far behind is not looked through."""
        behind = {name: stored for name, stored in (await self._read_stored()).items() if stored < position}
        if any(position - stored > LOOK_THROUGH for stored in behind.values()):
            return False
        if await self._log.head() < position:
            return False
        for name, stored in behind.items():
            following = await self._log.find(self._types[name], stored, 1)
            if following and following[0].position <= position:
                return False
        self._asked = max(self._asked, position)
        return True


class Wake:
    """A bell between the writer and a reader in one process, with polling beside it."""

    def __init__(self, runtime: Runtime, poll_seconds: float) -> None:
        self._runtime = runtime
        self._poll_seconds = poll_seconds
        self._rung = asyncio.Event()

    @property
    def pending(self) -> bool:
        """Whether it was rung since the last wait ended."""
        return self._rung.is_set()

    def ring(self, _position: int) -> None:
        """The log has grown."""
        self._rung.set()

    @asynccontextmanager
    async def rung_by(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Whoever waits meanwhile is woken by ``stop`` too."""

        async def ring() -> None:
            await stop.wait()
            self._rung.set()

        watching = self._runtime.start(ring(), "stop")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def wait(self) -> None:
        """Until rung, or the polling interval is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds):
                await self._rung.wait()
        self._rung.clear()
