"""A caller sees the notices of its own divisions only (architecture §6)."""

from __future__ import annotations

import datetime as dt

from services.notification.app import SERVICE
from services.notification.notices import domain, handlers
from shared.eventstore.streams import Metadata
from shared.testing.service import memory_service

VILLAGES = ("370406101201", "370404101201")


async def test_lists_and_single_notices_hold_to_the_callers_divisions() -> None:
    async with memory_service(SERVICE, today=dt.date(2019, 10, 16)) as service:
        for village in VILLAGES:
            start = domain.StartNotice(
                f"N-{village}", "PRE_DECLARATION", f"{village[:6]}-2020", village, f"R-{village}", 1, 3
            )
            await service.ports.store.execute(
                handlers.start_notice(start, dt.date(2019, 10, 16), Metadata("c"))
            )
        await service.settle()
        async with service.client(["notification:notices:read"], divisions=["370406"]) as client:
            listed = (await client.get("/notices")).json()["items"]
            assert [item["village"] for item in listed] == ["370406101201"]
            assert (await client.get("/notices/N-370406101201")).status_code == 200
            for path in ("/notices/N-370404101201", "/notices/N-370404101201/lines"):
                answer = await client.get(path)
                assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN")
        async with service.client(["notification:notices:read"], divisions=[""]) as client:
            assert len((await client.get("/notices")).json()["items"]) == 2


async def test_progress_holds_to_the_callers_divisions() -> None:
    """Architecture §6: another county's campaign is not shown, with or without a division asked for."""
    async with (
        memory_service(SERVICE, today=dt.date(2019, 10, 16)) as service,
        service.client(["notification:progress:read"], divisions=["370406"]) as client,
    ):
        for path in (
            "/progress/370404-2020",
            "/progress/370406-2020?division=370404101",
            "/progress/370406-2020?division=3704",
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "DIVISION_FORBIDDEN"), path
        for path in ("/progress/370406-2020?division=370406101", "/progress/nothing"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), path
