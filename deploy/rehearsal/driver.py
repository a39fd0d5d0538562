"""Running a plan: days in simulated time, steps with a journal, rest between them.

A step is done when everything it caused has come to rest in all four services; only then it is written down
and only then the next one, or the next day, begins.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import stamina

from deploy.rehearsal.clients import PATIENCE_SECONDS, SERVICES, Services, UnexpectedAnswerError
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import Plan
from deploy.rehearsal.residents import Resident

OPERATOR = "ops"
REST_SECONDS = 600.0
POLL_SECONDS = 0.03
IMPORT_SECONDS = 600.0

Act = Callable[[], Awaitable[Any]]
Drain = Callable[[], Awaitable[None]]


class RestlessError(Exception):
    """The system did not come to rest in time; names the services that did not."""


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

    def payments(self, done: int) -> None:
        """Orders placed so far."""
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
    """What steps act with. concurrency: orders under way at once (1 makes a run a single history)."""

    plan: Plan
    services: Services
    outside: Outside
    journal: Journal
    drain: Drain
    watcher: Watcher
    concurrency: int = 8
    persons: dict[int, str] = field(default_factory=dict)

    def key(self, *parts: object) -> str:
        """An Idempotency-Key derived from the seed and what is done."""
        return "-".join([f"demo{self.plan.seed}", *map(str, parts)])

    def person(self, resident: Resident) -> str:
        """Who a resident is to the services. Raises KeyError before registration."""
        return self.person_of(resident.ordinal)

    def person_of(self, ordinal: int) -> str:
        """As ``person``, by ordinal."""
        if ordinal not in self.persons:
            self.persons = self.journal.persons()
        return self.persons[ordinal]

    async def step(self, name: str, act: Act) -> Any:
        """Do a step unless it is behind us; what it caused comes to rest before it is written down.

        An answer whose ``moved`` is 0 says that nothing was told to anybody: there is nothing to wait for,
        unless the outside world had to be asked again (one that was killed told, and forgot that it did).
        """
        if self.journal.done(name):
            return self.journal.answer(name)
        self.watcher.step(name)
        began, repeated = time.monotonic(), self.outside.repeated
        answer = await act()
        told_nobody = isinstance(answer, dict) and answer.get("moved") == 0
        if not told_nobody or self.outside.repeated != repeated:
            await self.drain()
        self.journal.finish(name, answer, time.monotonic() - began)
        return answer

    async def begin_day(self, day: dt.date) -> None:
        """BeginDay in all four services."""

        async def begin() -> dict[str, Any]:
            for service in SERVICES:
                await self.services.post(OPERATOR, service, "/ops/begin-day", {"date": day.isoformat()})
            return {}

        await self.step(f"{day}/begin-day", begin)

    async def import_file(
        self, organisation: str, service: str, path: str, rows: Sequence[Mapping[str, Any]], key: str
    ) -> dict[str, Any]:
        """Hand in a file and wait until its job is done; answers its counts."""
        import msgspec

        content = b"\n".join(msgspec.json.encode(row) for row in rows)
        reply = await self.services.upload(organisation, service, path, content, key)
        await self.drain()
        status = await self.services.get(organisation, service, f"/imports/{reply.body['import_id']}")
        if status["state"] != "DONE":
            raise RestlessError(f"{service} {path}")
        return {name: status[name] for name in ("rows", "accepted", "refused")}

    async def obligations(self) -> AsyncIterator[dict[str, Any]]:
        """What the village owes, as an agent or a channel reads it."""
        async for row in self.services.pages(
            "village-agent",
            "collection",
            "/obligations",
            campaign=self.plan.campaign,
            village=self.plan.village.division,
        ):
            yield row

    async def together(self, works: Sequence[Act]) -> list[Any]:
        """Several acts, at most ``concurrency`` at once; answers in their order."""
        gate = asyncio.Semaphore(self.concurrency)

        async def one(work: Act) -> Any:
            async with gate:
                return await work()

        if self.concurrency == 1:
            return [await work() for work in works]
        return list(await asyncio.gather(*(one(work) for work in works)))


def drain_over_http(services: Services) -> Drain:
    """Rest as ``/ops/lag`` tells it: all four drained, and in two sweeps nothing moved between them."""

    async def drain() -> None:
        before: tuple[int, ...] | None = None
        deadline = asyncio.get_running_loop().time() + REST_SECONDS
        while True:
            reports = [await services.get(OPERATOR, service, "/ops/lag") for service in SERVICES]
            positions = tuple(int(report["log_position"]) for report in reports)
            if all(report["drained"] and not report["parked"] for report in reports):
                if positions == before:
                    return
                before = positions
            else:
                before = None
            if asyncio.get_running_loop().time() > deadline:
                behind = [report["service"] for report in reports if not report["drained"]]
                raise RestlessError(", ".join(behind) or "parked messages")
            await asyncio.sleep(POLL_SECONDS)

    return drain
