"""The same campaign on a real Apache Kafka (issue 3 §4): the broker changes nothing but the speed."""

from __future__ import annotations

import pytest

from deploy.local.kafka import missing_tools
from deploy.local.layout import Broker
from tests.faults.system.conftest import MakeVillage, Undisturbed
from tests.faults.system.village import comparable


@pytest.mark.kafka
@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1200)
async def test_kafka_carries_the_same_campaign(undisturbed: Undisturbed, make_village: MakeVillage) -> None:
    """Same seed on Kafka: the same report but for the broker's name, times, memory and message count."""
    reason = missing_tools()
    if reason is not None:
        pytest.skip(reason)
    village = make_village(Broker.KAFKA)
    await village.run()
    report, audit = village.document("report.json"), village.document("audit.json")
    assert report["broker"] == "kafka"
    assert audit["event_types"] == undisturbed.audit["event_types"]
    assert comparable(report) | {"broker": "embedded"} == comparable(undisturbed.report)
    assert audit["clean"] is True
