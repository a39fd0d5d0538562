"""When nothing moves any more (静止): what the four services say of themselves, put together.

A service alone can tell that it is drained; whether a message is on its way to it, only its sender can. So each
report names how many records its topics held, and the four are at rest once all are drained and agree. Whoever
is behind is asked again, nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from deploy.rehearsal.clients import SERVICES, Services

OPERATOR = "ops"
LOOK_SECONDS = 30.0

Report = Mapping[str, Any]
"""The body of ``GET /ops/lag``."""


class RestlessError(Exception):
    """The system did not come to rest in time; names the services that did not."""


def restless(reports: Mapping[str, Report], *, parked: bool = False) -> set[str]:
    """Services that must be asked again: those at work, and those that knew less of a topic than another.

    ``published`` was asked for after its service had looked at itself, ``taken`` before: where they are equal,
    nothing was under way between the two services when they reported. So the reports may be of different
    moments: what happens after a service's report begins with a message, and the first one was sent by nobody.
    parked: what waits for something may stay; else who has it is not at rest.
    """
    behind = {
        service
        for service, report in reports.items()
        if not report["drained"] or (report["parked"] and not parked)
    }
    for owner, report in reports.items():
        for topic, sent in report["published"].items():
            for service, other in reports.items():
                taken = other["taken"].get(topic, sent)
                if taken != sent:
                    behind.add(service if taken < sent else owner)
    return behind


async def come_to_rest(
    services: Services, seconds: float, *, parked: bool = False, look_seconds: float = LOOK_SECONDS
) -> None:
    """Wait until all four services are at rest. look_seconds: so long a service may take to answer that it is
    not. Raises RestlessError when the seconds are over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    reports: dict[str, Report] = {}
    behind = set(SERVICES)
    while behind:
        left = deadline - loop.time()
        if left <= 0:
            raise RestlessError(", ".join(sorted(behind)))
        wait = f"{min(left, look_seconds):g}"
        asked = sorted(behind)
        looks = (services.get(OPERATOR, service, "/ops/lag", wait=wait) for service in asked)
        reports |= zip(asked, await asyncio.gather(*looks), strict=True)
        behind = restless(reports, parked=parked)
