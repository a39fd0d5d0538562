"""The same campaign on a real Apache Kafka (issue 3 §4): neither broker nor kills change the report."""

from __future__ import annotations

import pytest

from deploy.local.kafka import missing_tools
from deploy.local.layout import Broker
from tests.faults.system.conftest import MakeVillage, Undisturbed
from tests.faults.system.test_kills import KILLS
from tests.faults.system.village import comparable

PAYING = KILLS[:4]
"""registration, collection, driver and outside world, up to the paying days."""


@pytest.mark.kafka
@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1200)
async def test_kafka_carries_the_same_campaign_whoever_is_killed(
    undisturbed: Undisturbed, make_village: MakeVillage
) -> None:
    """Same seed on Kafka, four of them killed: the same report but for the broker's name, times and memory.

    A consumer that was killed keeps its partitions until its session is over; then its successor goes on.
    """
    reason = missing_tools()
    if reason is not None:
        pytest.skip(reason)
    village = make_village(Broker.KAFKA)
    await village.run(PAYING)
    report, audit = village.document("report.json"), village.document("audit.json")
    assert report["broker"] == "kafka"
    assert audit["event_types"] == undisturbed.audit["event_types"]
    assert comparable(report) | {"broker": "embedded"} == comparable(undisturbed.report)
    assert audit["clean"] is True
