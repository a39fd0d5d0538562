"""Stored events stay readable: the golden file is written once; a changed shape needs a schema and an upcaster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.collection.app import TYPES
from services.collection.assessment import events as assessment
from services.collection.campaigns import events as campaigns
from services.collection.capability import events_in
from services.collection.history import events as history
from services.collection.obligations import events as obligations
from services.collection.roster import events as roster
from services.collection.taxpayers import events as taxpayers
from services.collection.virtual_households import events as virtual_households

GOLDEN = [
    msgspec.json.decode(line)
    for line in (Path(__file__).parent / "golden" / "events.ndjson").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("stored", GOLDEN, ids=lambda stored: f"{stored['type']}-{stored['schema']}")
def test_a_stored_event_decodes_and_keeps_every_value(stored: dict[str, Any]) -> None:
    """architecture §3, evolution: old payloads are read by the newest code, and nothing of them is lost."""
    event = TYPES.decode(stored["type"], stored["schema"], msgspec.json.encode(stored["data"]))
    name, schema, data = TYPES.encode(event)
    assert name == stored["type"]
    if schema == stored["schema"]:
        again = msgspec.json.decode(data)
        assert {key: again[key] for key in stored["data"]} == stored["data"]


def test_every_event_of_these_capabilities_has_a_golden_line() -> None:
    """A new event adds a line; lines are never edited or taken away."""
    known = {stored["type"] for stored in GOLDEN}
    modules = (obligations, campaigns, taxpayers, virtual_households, assessment, roster, history)
    assert {event.__name__ for event in events_in(*modules)} - known == set()
