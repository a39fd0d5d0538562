"""A real Apache Kafka as a process: ready means acknowledged, and faults can be inflicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.kafka import KafkaServer, jars, missing_tools
from deploy.local.processes import StartFailed, until

pytestmark = pytest.mark.kafka


async def test_a_started_broker_has_acknowledged_a_message(kafka: KafkaServer) -> None:
    assert kafka.running() is not None
    assert await kafka.acknowledges()


async def test_a_running_broker_is_adopted(kafka: KafkaServer) -> None:
    second = KafkaServer(kafka.directory)
    await second.start()
    assert second.running() == kafka.running()
    assert second.bootstrap == kafka.bootstrap


async def test_a_killed_broker_comes_back_on_its_port(own_kafka: KafkaServer) -> None:
    address = own_kafka.bootstrap
    await own_kafka.kill()
    assert own_kafka.running() is None
    assert not await own_kafka.acknowledges()
    await own_kafka.start()
    assert own_kafka.bootstrap == address
    assert await own_kafka.acknowledges()


async def test_a_frozen_broker_acknowledges_nothing_until_thawed(own_kafka: KafkaServer) -> None:
    own_kafka.freeze()
    assert not await own_kafka.acknowledges()
    own_kafka.thaw()
    assert await until(own_kafka.acknowledges, seconds=30)


async def test_another_broker_on_the_port_is_not_taken_for_ours(kafka: KafkaServer, tmp_path: Path) -> None:
    """Its acknowledgement would make a broker ready that is about to die on the bind."""
    port = int(kafka.bootstrap.rpartition(":")[2])
    with pytest.raises(StartFailed, match=f"port {port} is taken"):
        await KafkaServer(tmp_path, port=port).start()


async def test_a_broker_that_cannot_start_quotes_its_log(tmp_path: Path) -> None:
    """Java cannot reserve such a heap: StartFailed with its words, not a time-out without a reason."""
    reason = missing_tools()
    if reason is not None:
        pytest.skip(reason)
    with pytest.raises(StartFailed, match=r"(?i)heap|memory"):
        await KafkaServer(tmp_path, heap_mib=0).start()


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Java the Kafka tests skip with this reason (issue: never silently)."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert missing_tools() == "Kafka needs Java 17 or newer: `make kafka-deps` installs it"


def test_the_jars_directory_follows_the_pom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIANGXIAN_CACHE", str(tmp_path))
    first = jars.jar_directory()
    monkeypatch.setattr(jars, "pom", lambda: "another version")
    assert first.parent == tmp_path
    assert jars.jar_directory() != first
