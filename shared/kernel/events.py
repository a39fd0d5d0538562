"""The base of every event (事件) and of every decision: plain frozen data, no I/O."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, ClassVar

import msgspec

from shared.kernel.errors import Refusal


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that happened. Subclasses are named in the past tense and live in a capability's events.py.

    ``schema`` is the version of the payload; it rises when the shape changes, and the capability's
    ``UPCASTERS`` lift old payloads (architecture §3, Evolution).
    """

    schema: ClassVar[int] = 1


class DayBegun(Event, frozen=True, kw_only=True):
    """A business day began (日切). Appended once per service and date by ``BeginDay``; deadlines react to it."""

    day: dt.date


Decision = list[Event] | Refusal
"""What a decision over one stream answers."""

Upcaster = tuple[str, int, Any]
"""(event type, payload schema it lifts from, function old dict -> new dict)."""


def snake_case(name: str) -> str:
    """``PaymentReceived`` as ``payment_received``: the name on the wire."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
