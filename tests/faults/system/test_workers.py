"""Two workers share a service's partitions; they come, go, stand still and go on (issue 5 §4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.kafka import missing_tools
from deploy.local.layout import Broker
from tests.faults.system.at_size import changes
from tests.faults.system.conftest import MakeVillage, Undisturbed
from tests.faults.system.village import differences
from tests.faults.system.workers import Change, WorkingVillage, listed

LIST = Path(__file__).parents[3] / "out/workers.md"


@pytest.mark.kafka
@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1200)
async def test_workers_come_go_and_stand_still_and_the_report_is_the_same(
    undisturbed: Undisturbed, make_village: MakeVillage
) -> None:
    """On a real Kafka: partitions move each time, messages wait meanwhile, none is lost or taken twice, and the
    report and audit are those of one process that nobody disturbed."""
    reason = missing_tools()
    if reason is not None:
        pytest.skip(reason)
    village = make_village(Broker.KAFKA, WorkingVillage, workers={"collection": 2})
    assert isinstance(village, WorkingVillage)
    befalling = changes("collection")
    await village.run(befalling)
    assert [seen.change for seen in village.changes] == [
        each for each in befalling if isinstance(each, Change)
    ]
    print("\n" + listed(village.changes, LIST))
    for seen in village.changes:
        assert seen.moved > 0, seen.line()
        assert seen.partitions > seen.owners >= 1, seen.line()
    assert max(seen.owners for seen in village.changes) > 1
    assert differences(village.folder / "out", undisturbed.village.folder / "out") == []
    audit = village.document("audit.json")
    assert (audit["clean"], audit["unaccounted_fen"]) == (True, 0)
