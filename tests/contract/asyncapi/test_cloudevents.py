"""Messages as somebody else's CloudEvents library reads them: a whole campaign's, byte for byte as published."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

from shared.messaging.asyncapi import asyncapi
from shared.messaging.broker import Record

FEWEST_TYPES = 20


def _read(record: Record) -> Any:
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)
    return from_structured(message, JSONFormat())


async def test_an_independent_reader_reads_every_message(published: list[tuple[str, Record]]) -> None:
    """CloudEvents 1.0 structured mode: attributes, extensions and data as we meant them."""
    types = set()
    for topic, record in published:
        event, ours = _read(record), msgspec.json.decode(record.value)
        assert event.get_specversion() == "1.0"
        assert event.get_type() == ours["type"]
        assert event.get_id() == ours["id"]
        assert event.get_source() == ours["source"]
        assert event.get_time().utcoffset() is not None
        assert event.get_extension("sequence") == ours["sequence"]
        assert event.get_data() == ours["data"]
        assert ours["type"].split(".")[1] == topic.split(".")[0]
        types.add(ours["type"])
    assert len(types) >= FEWEST_TYPES, sorted(types)


async def test_every_message_is_what_asyncapi_says(published: list[tuple[str, Record]]) -> None:
    """Envelope and data against the document's own schema of their type."""
    document = asyncapi()
    validators: dict[str, Any] = {}
    for message in document["components"]["messages"].values():
        schema = {**message["payload"], "components": document["components"]}
        validators[message["name"]] = jsonschema_rs.validator_for(schema)
    assert published
    for _, record in published:
        ours = msgspec.json.decode(record.value)
        problems = [error.message for error in validators[ours["type"]].iter_errors(ours)]
        assert problems == [], ours["type"]


async def test_the_key_is_the_subject_the_document_names(published: list[tuple[str, Record]]) -> None:
    """Whoever partitions anew does it as we do, without knowing our contracts."""
    keys = {
        message["name"]: message["bindings"]["kafka"]["key"]["description"]
        for message in asyncapi()["components"]["messages"].values()
    }
    for _, record in published:
        ours = msgspec.json.decode(record.value)
        assert record.key == ours.get("subject", "")
        assert keys[ours["type"]].startswith("subject")
