"""EVENTS scenario 12: replay from zero equals the live read models, in all four services (I-30)."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from deploy.rehearsal.clients import SERVICES
from shared.eventstore.projections import STORE_SECONDS
from shared.testing.service import MemoryService
from tests.e2e.composition import composed
from tests.e2e.history import run_village
from tests.e2e.scene import Scene

SEED, SCALE = 3, 0.05


async def _replay(village: Scene, service: str, name: str, *, swap: bool = False) -> dict[str, Any]:
    path = f"/ops/projections/{name}:replay"
    reply = await village.system.clients.post("ops", service, path, {"swap": swap})
    return dict(reply.body)


async def _spoil(service: MemoryService) -> str:
    """Take a row out of the first read model that has any; answers the model's name."""
    for projection in service.description.projections:
        for table in projection.tables:
            async with service.parts.database.begin() as connection:
                rows = await connection.execute(sa.select(*table.primary_key.columns).limit(1))
                if rows:
                    keys = zip(table.primary_key.columns, rows[0], strict=True)
                    await connection.execute(sa.delete(table).where(*(column == key for column, key in keys)))
                    return projection.name
    raise AssertionError(f"{service.name} has no read model with rows")


async def _stored(service: MemoryService) -> None:
    """Let read models that only passed over others' events store how far they are; the time is virtual."""
    await service.settle()
    await service.parts.runtime.sleep(STORE_SECONDS)
    await service.settle()


@pytest.mark.timeout(600)
async def test_replay_from_zero_equals_the_live_read_models() -> None:
    """Scenario 12, I-30: after a village's whole campaign; a lost row shows as a difference and is healed."""
    async with composed(seed=SEED) as system:
        await run_village(system, SEED, SCALE)
        village = Scene(system)
        compared = filled = 0
        for service in SERVICES:
            await _stored(system.services[service])
            names = (await system.clients.get("ops", service, "/ops/projections"))["items"]
            assert names
            for name in names:
                report = await _replay(village, service, name)
                assert report["differences"] == 0, f"{service} {name}: {report['tables']}"
                assert report["position"] == len(system.services[service].parts.log.rows)
                compared += 1
                filled += any(table["live"] for table in report["tables"])
        assert filled > compared * 3 // 4, "too many read models are empty to prove anything"
        for name, one in system.services.items():
            spoilt = await _spoil(one)
            assert (await _replay(village, name, spoilt))["differences"] > 0
            assert (await _replay(village, name, spoilt, swap=True))["swapped"] is True
            assert (await _replay(village, name, spoilt))["differences"] == 0
