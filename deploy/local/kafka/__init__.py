"""Apache Kafka on this machine, without containers: one KRaft node from Maven's jars."""

from __future__ import annotations

from deploy.local.kafka.jars import fetch_jars, missing_tools
from deploy.local.kafka.server import KafkaServer

__all__ = ["KafkaServer", "fetch_jars", "missing_tools"]
