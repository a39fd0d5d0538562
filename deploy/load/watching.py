"""What the target itself says while it is under load: lag per stage, queues, money; scraped from ``/metrics``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.resting import RestlessError, come_to_rest

STAGES = {
    "liangxian_relay_lag_seconds": "转发 relay",
    "liangxian_consumer_lag_seconds": "消费 consumer",
    "liangxian_projection_lag_seconds": "读模型 projection",
}
DEPTH = "liangxian_command_queue_depth"
DEAD = "liangxian_dead_letters"
EVERY_SECONDS = 2.0
DRAIN_LOOK_SECONDS = 5.0
_SAMPLE = re.compile(r"^(liangxian_[a-z_]+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(slots=True)
class Watch:
    """Per service and stage, the worst lag at each look; queue depths; looks that got no answer."""

    moments: list[float] = field(default_factory=list)
    lag: dict[str, list[float]] = field(default_factory=dict)
    deepest_queue: int = 0
    dead_letters: int = 0
    missed: int = 0

    def look(self, moment: float, texts: Mapping[str, str]) -> None:
        """One look at all services."""
        self.moments.append(moment)
        worst: dict[str, float] = {}
        for service, text in texts.items():
            for name, _, value in samples(text):
                if name in STAGES:
                    stage = f"{service} {STAGES[name]}"
                    worst[stage] = max(worst.get(stage, 0.0), value)
                elif name == DEPTH:
                    self.deepest_queue = max(self.deepest_queue, int(value))
                elif name == DEAD:
                    self.dead_letters = max(self.dead_letters, int(value))
        for stage, value in worst.items():
            self.lag.setdefault(stage, [0.0] * (len(self.moments) - 1)).append(value)
        for stage, curve in self.lag.items():
            if len(curve) < len(self.moments):
                curve.append(worst.get(stage, 0.0))


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of every sample of ours."""
    return [
        (name, dict(_LABEL.findall(labels or "")), float(value))
        for name, labels, value in _SAMPLE.findall(text)
    ]


class Watcher:
    """Looks at the services every two seconds until it is stopped."""

    def __init__(self, services: Services, http: httpx.AsyncClient) -> None:
        self._services, self._http = services, http
        self.watch = Watch()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            texts: dict[str, str] = {}
            for name in SERVICES:
                try:
                    response = await self._http.get(f"{self._services.address(name)}/metrics", timeout=5.0)
                    response.raise_for_status()
                    texts[name] = response.text
                except httpx.HTTPError:
                    self.watch.missed += 1
            self.watch.look(loop.time() - began, texts)
            await asyncio.sleep(EVERY_SECONDS)


async def drained(services: Services, limit_seconds: float) -> float | None:
    """Seconds until all four were at rest; None when the limit came first."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        await come_to_rest(services, limit_seconds, look_seconds=DRAIN_LOOK_SECONDS)
    except RestlessError:
        return None
    return loop.time() - began
