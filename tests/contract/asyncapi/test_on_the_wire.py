"""What lies on a real Apache Kafka is readable by kcat: keys, headers, CloudEvents in UTF-8.

Where kcat and Java are installed a fault fails; where one is missing the test skips and says which.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterable

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

from deploy.local.kafka import KafkaServer
from shared.contracts.topics import PAYMENTS, TOPICS
from shared.kernel.clock import SystemRuntime
from shared.messaging.broker import Outgoing, Record
from shared.messaging.kafka import KafkaBroker
from shared.messaging.partitioner import partition_of

SECONDS = 60


def _outgoing(published: Iterable[tuple[str, Record]]) -> list[Outgoing]:
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    return [
        Outgoing(topic, record.key, partition_of(record.key, partitions[topic]), record.headers, record.value)
        for topic, record in published
    ]


@pytest.mark.kafka
@pytest.mark.timeout(240)
async def test_kcat_reads_what_the_relay_wrote(
    kafka: KafkaServer, published: list[tuple[str, Record]]
) -> None:
    """The payments topic of a village: as many messages, the same keys, and each a CloudEvent."""
    if shutil.which("kcat") is None:
        pytest.skip("no kcat (apt-get install kcat)")
    broker = KafkaBroker(kafka.bootstrap, SystemRuntime())
    await broker.start()
    try:
        await broker.create_topics(TOPICS)
        await broker.publish(_outgoing(published))
    finally:
        await broker.stop()
    wanted = sorted(
        (record.key, record.value.decode()) for topic, record in published if topic == PAYMENTS.name
    )
    assert wanted
    seen = await _kcat(kafka.bootstrap, PAYMENTS.name)
    assert sorted((each["key"], each["payload"]) for each in seen) == wanted
    for each in seen:
        headers = dict(zip(each["headers"][::2], each["headers"][1::2], strict=True))
        assert headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
        message = KafkaMessage(
            {name: value.encode() for name, value in headers.items()}, each["key"], each["payload"].encode()
        )
        assert from_structured(message, JSONFormat()).get_type().startswith("liangxian.collection.")


async def _kcat(bootstrap: str, topic: str) -> list[dict[str, object]]:
    """``kcat -C -J``: one JSON object a message, to the end of the topic."""
    process = await asyncio.create_subprocess_exec(
        "kcat", "-b", bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, complaint = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, complaint.decode()
    return [json.loads(line) for line in told.splitlines()]
