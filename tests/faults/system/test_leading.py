"""Two processes of a service take turns at its readers: the one that reads dies, or stands still (ADR 0054)."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from deploy.local.layout import read_state
from deploy.local.processes import until
from deploy.local.programs import service_of
from tests.faults.system.conftest import MakeVillage, Undisturbed
from tests.faults.system.test_kills import TAKEN
from tests.faults.system.village import Moment, Progress, Village, differences

TAKEN_OVER_SECONDS = 60.0
"""A frozen leader's session ends after 10 s and the other looks every 2; the rest is for a busy machine."""
_LEADS = re.compile(r"^liangxian_leads_readers\{[^}]*\} 1\.0$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls whoever reads collection's log."""

    number: signal.Signals
    when: Callable[[Progress], bool] = field(repr=False)


@dataclass
class LedVillage(Village):
    """taken_over: who read before, and who instead."""

    taken_over: list[tuple[str, str]] = field(default_factory=list)

    async def befall(self, moment: Moment, driver: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """See Village.befall; over when another reads, and the one that stood still has gone on."""
        assert isinstance(moment, Strike)
        assert await until(self._one_leads, seconds=TAKEN_OVER_SECONDS, every=0.1)
        [leader] = await self._leading()
        running = await self.process(leader)
        assert running.signal(moment.number)
        try:
            assert await until(lambda: self._led_by_another(leader), seconds=TAKEN_OVER_SECONDS, every=0.1)
            self.taken_over.append((leader, *await self._leading(but=leader)))
        finally:
            if moment.number is signal.SIGSTOP:
                running.signal(signal.SIGCONT)
        assert await until(self._one_leads, seconds=TAKEN_OVER_SECONDS, every=0.1)
        return driver

    async def _leading(self, but: str = "") -> list[str]:
        """Processes of collection that say that they read; who is frozen is not asked."""
        state = read_state(self.layout)
        assert state is not None
        found = []
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            for name, address in state.addresses().items():
                if service_of(name) == "collection" and name != but:
                    try:
                        said = (await http.get(f"{address}/metrics")).text
                    except httpx.HTTPError:
                        continue
                    found += [name] * len(_LEADS.findall(said))
        return found

    async def _led_by_another(self, leader: str) -> bool:
        return len(await self._leading(but=leader)) == 1

    async def _one_leads(self) -> bool:
        return len(await self._leading()) == 1


@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1200)
async def test_another_process_reads_on_and_the_report_is_the_same(
    undisturbed: Undisturbed, make_village: MakeVillage
) -> None:
    """kill -9 of whoever runs read models and reactions; then its follower is frozen until the other reads, and goes
    on believing that it does: not an event differs from one process that nobody disturbed."""
    village = make_village(kind=LedVillage, workers={"collection": 2})
    assert isinstance(village, LedVillage)
    await village.run(
        [
            Strike(signal.SIGKILL, lambda seen: seen.books("orders", TAKEN) >= 3),
            Strike(signal.SIGSTOP, lambda seen: seen.books("slips") >= 8),
        ]
    )
    (dead, follower), (frozen, other) = village.taken_over
    assert dead != follower
    assert frozen != other
    assert differences(village.folder / "out", undisturbed.village.folder / "out") == []
