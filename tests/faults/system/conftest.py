"""One undisturbed run of the small village, kept for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.audit.evidence import Evidence
from deploy.local.layout import Broker
from deploy.local.processes import StartFailed, free_port, refuse_taken
from deploy.local.programs import PORTS_APART
from tests.conftest import in_own_loop
from tests.faults.system.village import Village

MakeVillage = Callable[..., Village]


def free_port_base() -> int:
    """A first port whose ports for services, three processes each, and outside world are free at the moment."""
    for _ in range(50):
        base = free_port()
        try:
            for offset in range(3 * PORTS_APART):
                refuse_taken(base + offset)
        except (StartFailed, OverflowError):
            continue
        return base
    raise AssertionError("no free ports")


@dataclass(frozen=True)
class Undisturbed:
    """What a run in which nobody died left behind."""

    village: Village
    report: dict[str, Any]
    audit: dict[str, Any]
    evidence: Evidence


@pytest.fixture
def make_village(tmp_path: Path) -> Iterator[MakeVillage]:
    """``make(broker, kind, **more)``: a village that is stopped and removed after the test."""
    made: list[Village] = []

    def make(broker: Broker = Broker.EMBEDDED, kind: type[Village] = Village, **more: Any) -> Village:
        folder = tmp_path / f"village-{len(made)}"
        folder.mkdir()
        made.append(kind(folder, free_port_base(), broker, **more))
        return made[-1]

    yield make
    for village in made:
        in_own_loop(village.destroy())


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """The same seed and scale as the disturbed runs, on the embedded broker; stopped, its data kept."""
    village = Village(tmp_path_factory.mktemp("undisturbed"), free_port_base())

    async def run() -> Undisturbed:
        try:
            await village.run()
            evidence = await village.evidence()
        finally:
            await village.stop()
        return Undisturbed(village, village.document("report.json"), village.document("audit.json"), evidence)

    try:
        yield in_own_loop(run())
    finally:
        in_own_loop(village.destroy())
