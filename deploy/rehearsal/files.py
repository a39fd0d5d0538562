"""Handing in files and hearing what became of their rows: the door for the mass.

The same file under the same key is the same job, so whoever was killed hands it in again and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from deploy.rehearsal.clients import Services

Pause = Callable[[int], Awaitable[None]]
"""Waits between two looks at a job; the number of looks so far."""

FIRST_PAUSE_SECONDS = 0.015
LAST_PAUSE_SECONDS = 0.5
PAGE = 5000
PATIENCE = 1
"""Seconds a look waits for the job to be done."""

LOOKS = 100_000

_encode = msgspec.json.Encoder().encode


class UnfinishedFileError(Exception):
    """A job was looked at until patience ended."""


async def look_again(looks: int) -> None:
    """A little longer after each look, up to half a second: looking costs more than waiting."""
    await asyncio.sleep(min(FIRST_PAUSE_SECONDS * 1.5 ** min(looks, 20), LAST_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A job that is done: counts of rows, and where its rows' outcomes are."""

    organisation: str
    service: str
    import_id: str
    rows: int
    accepted: int
    refused: int

    @property
    def counts(self) -> dict[str, int]:
        """For a journal."""
        return {"rows": self.rows, "accepted": self.accepted, "refused": self.refused}


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was refused: its number from 1, code, rule and field."""

    row: int
    code: str
    rule: str
    field: str


class Files:
    """Files for the services."""

    def __init__(self, services: Services, pause: Pause = look_again) -> None:
        self._services = services
        self._pause = pause

    async def hand_in(
        self, organisation: str, service: str, path: str, rows: Iterable[Any], key: str
    ) -> HandedIn:
        """Hand in a file of JSON rows and wait until its job is done. Raises UnexpectedAnswerError."""
        return await self.wait(organisation, service, await self.send(organisation, service, path, rows, key))

    async def send(self, organisation: str, service: str, path: str, rows: Iterable[Any], key: str) -> str:
        """Hand in a file; answers its job."""
        content = b"\n".join(_encode(row) for row in rows)
        reply = await self._services.upload(organisation, service, path, content, key)
        return str(reply.body["import_id"])

    async def wait(self, organisation: str, service: str, import_id: str) -> HandedIn:
        """Wait for a job."""
        for looks in range(LOOKS):
            status = await self._services.get(organisation, service, f"/imports/{import_id}", wait=PATIENCE)
            if status["state"] == "DONE":
                return HandedIn(
                    organisation, service, import_id, status["rows"], status["accepted"], status["refused"]
                )
            await self._pause(looks)
        raise UnfinishedFileError(f"{service} {import_id}")

    async def outcomes(self, done: HandedIn) -> AsyncIterator[dict[str, Any]]:
        """Row by row: ``row``, ``outcome`` and what the row's command answered as ``id``."""
        after, path = 0, f"/imports/{done.import_id}/outcomes"
        while True:
            page = await self._services.get(done.organisation, done.service, path, after=after, limit=PAGE)
            for item in page["items"]:
                yield item
            if not page["items"] or page["next"] is None:
                return
            after = page["next"]

    async def refused(self, done: HandedIn) -> Sequence[RefusedRow]:
        """Refused rows only; nothing is asked when there are none."""
        if not done.refused:
            return ()
        path = f"/imports/{done.import_id}/failures.csv"
        text = str(await self._services.get(done.organisation, done.service, path))
        found = []
        for line in text.splitlines()[1:]:
            number, code, rule, field = line.split(",", 3)
            found.append(RefusedRow(int(number), code, rule, field))
        return found
