"""A process that works beside another one of its service: whoever begins a simulated day, both act on it (日切).

A clock that is only looked at now and then would let a worker react to a day in the date of the day before. So
it asks for the day between reading and acting: no event it has read lies behind a day it does not know of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.eventstore.commands import Command, Outcome, Page
from shared.eventstore.log import TailPage
from shared.eventstore.reactions import PreviewStore
from shared.eventstore.tail import PageReader
from shared.web.calendar import Calendar


@dataclass(frozen=True, slots=True)
class FollowingTail:
    """A tail behind which reactions know the day of whatever they read."""

    inner: PageReader
    calendar: Calendar

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """See PageReader.read_page."""
        page = await self.inner.read_page(after, limit, types, until)
        if page.events:
            await self.calendar.restore()
        return page


@dataclass(frozen=True, slots=True)
class FollowingStore:
    """A writer whose pages are recorded on the day last begun."""

    inner: PreviewStore
    calendar: Calendar

    @property
    def full(self) -> bool:
        """See Store.full."""
        return self.inner.full

    async def execute(self, command: Command) -> Outcome:
        """See Store.execute."""
        await self.calendar.restore()
        return await self.inner.execute(command)

    async def execute_bulk(self, commands: Sequence[Command]) -> list[Outcome]:
        """See Store.execute_bulk."""
        await self.calendar.restore()
        return await self.inner.execute_bulk(commands)

    async def execute_page(self, page: Page) -> list[Outcome]:
        """See Store.execute_page."""
        await self.calendar.restore()
        return await self.inner.execute_page(page)

    async def preview_page(self, page: Page) -> list[Outcome]:
        """See PreviewStore.preview_page."""
        return await self.inner.preview_page(page)

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """See Store.guard_holders."""
        return await self.inner.guard_holders(kind, keys)
