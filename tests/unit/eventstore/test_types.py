"""What may stand in a log, and how old payloads are lifted (architecture §3: evolution)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from shared.eventstore.types import MAX_EVENT_BYTES, BadEventError, EventTypes, UnknownTypeError
from shared.kernel.events import Event

GOLDEN = Path(__file__).parent / "golden"


class FeeCharged(Event, frozen=True):
    """Schema 1 held yuan as text, schema 2 fen, schema 3 also the channel."""

    schema: ClassVar[int] = 3
    person: str
    fen: int
    channel: str


def to_fen(old: dict[str, Any]) -> dict[str, Any]:
    whole, _, rest = old.pop("amount").partition(".")
    return {**old, "fen": int(whole) * 100 + int(rest)}


def with_channel(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "channel": "UNKNOWN"}


UPCASTERS = [("FeeCharged", 1, to_fen), ("FeeCharged", 2, with_channel)]


class DayNoted(Event, frozen=True):
    day: dt.date
    words: dict[str, str]


class Message(msgspec.Struct, frozen=True):
    text: str

    @classmethod
    def type_name(cls) -> str:
        return "liangxian.sample.message.v1"


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_a_golden_payload_of_every_schema_is_still_read(schema: int) -> None:
    types = EventTypes([FeeCharged], upcasters=UPCASTERS)
    data = (GOLDEN / f"FeeCharged.{schema}.json").read_bytes()
    event = types.decode("FeeCharged", schema, data)
    assert event == FeeCharged(person="p-1", fen=1230, channel="UNKNOWN")


def test_the_newest_golden_payload_is_what_is_written() -> None:
    types = EventTypes([FeeCharged], upcasters=UPCASTERS)
    name, schema, data = types.encode(FeeCharged(person="p-1", fen=1230, channel="UNKNOWN"))
    assert (name, schema) == ("FeeCharged", 3)
    assert msgspec.json.decode(data) == msgspec.json.decode((GOLDEN / "FeeCharged.3.json").read_bytes())


def test_maps_are_written_in_one_order() -> None:
    """The bytes are hashed: two equal events have equal bytes."""
    types = EventTypes([DayNoted])
    one = types.encode(DayNoted(day=dt.date(2020, 1, 1), words={"b": "2", "a": "1"}))
    other = types.encode(DayNoted(day=dt.date(2020, 1, 1), words={"a": "1", "b": "2"}))
    assert one == other == ("DayNoted", 1, b'{"day":"2020-01-01","words":{"a":"1","b":"2"}}')


def test_messages_are_stored_under_their_type_name() -> None:
    types = EventTypes([], [Message])
    assert types.encode(Message("x")) == ("liangxian.sample.message.v1", 1, b'{"text":"x"}')
    assert types.names([Message]) == {"liangxian.sample.message.v1"}


def test_two_classes_of_one_name_are_refused() -> None:
    twin = type("DayNoted", (Event,), {"__annotations__": {}}, frozen=True)
    with pytest.raises(ValueError, match="two classes"):
        EventTypes([DayNoted, twin])
    assert EventTypes([DayNoted, DayNoted]).name(DayNoted) == "DayNoted"


@pytest.mark.parametrize(
    ("upcasters", "complaint"),
    [
        ([("FeeCharged", 1, to_fen)], "from schema 2"),
        ([*UPCASTERS, ("FeeCharged", 1, to_fen)], "two upcasters"),
        ([*UPCASTERS, ("FeeCharged", 3, to_fen)], "beyond"),
        ([("Other", 1, to_fen)], "unknown type"),
    ],
)
def test_a_chain_with_a_fault_is_refused(upcasters: list[Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        EventTypes([FeeCharged], upcasters=upcasters)


@pytest.mark.parametrize(
    "event",
    [
        DayNoted(day="tomorrow", words={}),  # type: ignore[arg-type]
        DayNoted(day=dt.date(2020, 1, 1), words={"a": object()}),  # type: ignore[dict-item]
        DayNoted(day=dt.date(2020, 1, 1), words={"a": "\ud800"}),
        DayNoted(day=dt.date(2020, 1, 1), words={"a": "x" * MAX_EVENT_BYTES}),
        FeeCharged(person="p", fen=1, channel="c"),
    ],
    ids=["wrong shape", "not encodable", "lone surrogate", "too large", "unregistered"],
)
def test_a_bad_event_is_refused_and_not_quoted(event: Event) -> None:
    with pytest.raises(BadEventError) as raised:
        EventTypes([DayNoted]).encode(event)
    assert "tomorrow" not in str(raised.value)


@pytest.mark.parametrize(("name", "schema"), [("Gone", 1), ("FeeCharged", 4), ("FeeCharged", 0)])
def test_a_row_from_the_future_is_refused(name: str, schema: int) -> None:
    with pytest.raises(UnknownTypeError):
        EventTypes([FeeCharged], upcasters=UPCASTERS).decode(name, schema, b"{}")
