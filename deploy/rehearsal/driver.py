"""Running a plan: days in simulated time, steps with a journal, rest between them.

A step is done when everything it caused has come to rest in all four services; only then it is written down
and only then the next one, or the next day, begins.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import httpx
import stamina

from deploy.rehearsal.clients import PATIENCE_SECONDS, SERVICES, Services, UnexpectedAnswerError
from deploy.rehearsal.files import Files, HandedIn
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import Plan
from deploy.rehearsal.population import VillageSize
from deploy.rehearsal.residents import PER_VILLAGE, Resident
from deploy.rehearsal.resting import OPERATOR, come_to_rest

REST_SECONDS = 1800.0
"""So long may the largest step keep the services busy."""

Act = Callable[[], Awaitable[Any]]
Drain = Callable[[], Awaitable[None]]


class NotYetError(Exception):
    """The outside world gave no answer yet."""


class Watcher(Protocol):
    """Shows how far a run is."""

    def day(self, day: dt.date, number: int, of: int) -> None:
        """A day began."""
        ...

    def step(self, name: str) -> None:
        """A step began."""
        ...

    def progress(self, done: int, of: int) -> None:
        """How far the step is; ``of`` 0 when nobody knows."""
        ...

    def payments(self, done: int) -> None:
        """So many orders more were placed."""
        ...


class Outside:
    """The outside world's address, asked until it answers."""

    def __init__(
        self, address: str, http: httpx.AsyncClient, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._address = address
        self._http = http
        self._patience = patience_seconds
        self.repeated = 0
        """Requests sent again because no answer came: what the lost ones did is not in the answer."""

    async def post(self, path: str, body: Any) -> Any:
        """A request of the driver; repeating it is harmless. Raises UnexpectedAnswerError."""
        return await self._call("POST", path, body)

    async def get(self, path: str) -> Any:
        """Reads."""
        return await self._call("GET", path, None)

    async def _call(self, method: str, path: str, body: Any) -> Any:
        async for attempt in stamina.retry_context(
            on=NotYetError, attempts=None, timeout=self._patience, wait_initial=0.05, wait_max=2.0
        ):
            with attempt:
                try:
                    response = await self._http.request(method, self._address + path, json=body)
                except httpx.TransportError as fault:
                    self.repeated += 1
                    raise NotYetError(type(fault).__name__) from None
                if response.status_code >= 500:
                    self.repeated += 1
                    raise NotYetError(str(response.status_code))
                if response.status_code >= 400:
                    detail = response.json().get("detail", "")
                    raise UnexpectedAnswerError(method, path, response.status_code, str(detail))
                return response.json()
        raise NotYetError(path)


@dataclass
class Driver:
    """What steps act with. concurrency: requests under way at once (1 makes a run a single history)."""

    plan: Plan
    services: Services
    outside: Outside
    journal: Journal
    files: Files
    drain: Drain
    watcher: Watcher
    concurrency: int = 8
    restless: bool = False
    """True while something was done whose effects nobody has waited for."""
    under_way: int = 0
    accounted: float = 0.0
    """Steps that run now, and until when their time is written down: what two of them share counts once."""

    def key(self, *parts: object) -> str:
        """An Idempotency-Key derived from the seed and what is done."""
        return "-".join([f"demo{self.plan.run}", *map(str, parts)])

    def person(self, resident: Resident) -> str:
        """Who a resident is to the services. Raises KeyError before registration."""
        return self.journal.person(resident.ordinal)

    def persons(self, size: VillageSize) -> dict[int, str]:
        """Person ids of a village by ordinal."""
        first = size.number * PER_VILLAGE
        return self.journal.persons(first, first + PER_VILLAGE - 1)

    async def step(self, name: str, act: Act, *, rest: bool = False) -> Any:
        """Do a step unless it is behind us.

        rest: what it caused comes to rest before it is written down; else the day's end waits for it. An
        answer whose ``moved`` is 0 says that nothing was told to anybody, unless the outside world had to be
        asked again (one that was killed told, and forgot that it did).
        """
        if self.journal.done(name):
            self.restless = True  # who was killed may not have waited
            return self.journal.answer(name)
        self.watcher.step(name)
        repeated = self.outside.repeated
        if not self.under_way:
            self.accounted = time.monotonic()
        self.under_way += 1
        try:
            answer = await act()
            told_nobody = isinstance(answer, dict) and answer.get("moved") == 0
            if not told_nobody or self.outside.repeated != repeated:
                self.restless = True
            if rest:
                await self.rest()
        finally:
            self.under_way -= 1
        now = time.monotonic()
        self.journal.finish(name, answer, now - self.accounted)
        self.accounted = now
        return answer

    async def rest(self) -> None:
        """Wait until nothing moves any more, if anything may. What a step beside this one does meanwhile is waited
        for by the next rest."""
        if self.restless:
            self.restless = False
            try:
                await self.drain()
            except BaseException:
                self.restless = True
                raise

    async def begin_day(self, day: dt.date) -> None:
        """BeginDay in all four services at once, and what it causes: a day's reckonings of the day before must
        not see what the day itself brings, or the report would depend on who was faster."""

        async def begin(service: str) -> None:
            await self.services.post(OPERATOR, service, "/ops/begin-day", {"date": day.isoformat()})

        async def all_four() -> dict[str, Any]:
            await self.together([partial(begin, service) for service in SERVICES])
            return {}

        await self.step(f"{day}/begin-day", all_four, rest=True)

    async def end_day(self, day: dt.date) -> None:
        """Everything the day caused comes to rest."""

        async def rest() -> dict[str, Any]:
            return {}

        await self.step(f"{day}/rest", rest, rest=True)

    async def hand_in(
        self, organisation: str, service: str, path: str, rows: Iterable[Any], key: str
    ) -> HandedIn:
        """A file, done when it answers."""
        return await self.files.hand_in(organisation, service, path, rows, key)

    async def together(self, works: Sequence[Act], at_once: int = 0) -> list[Any]:
        """Several acts, at most ``at_once`` (0: ``concurrency``) at once; answers in their order."""
        if self.concurrency == 1:
            return [await work() for work in works]
        gate = asyncio.Semaphore(at_once or self.concurrency)

        async def one(work: Act) -> Any:
            async with gate:
                return await work()

        return list(await asyncio.gather(*(one(work) for work in works)))

    async def each(self, works: Sequence[Act]) -> None:
        """Many acts, some at once, with progress."""
        step = max(self.concurrency * 8, 1)
        for start in range(0, len(works), step):
            await self.together(works[start : start + step])
            self.watcher.progress(min(start + step, len(works)), len(works))


def drain_over_http(services: Services) -> Drain:
    """Rest as the four services tell it together (``resting``)."""
    return partial(come_to_rest, services, REST_SECONDS)
