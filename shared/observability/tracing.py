"""Traces (调用链), as the parts of a service see them: optional, off unless ``LIANGXIAN_TRACES_URL`` is set.

What travels is W3C's ``traceparent``: from the request's header into the metadata of its events, from there as
CloudEvents' distributed tracing extension into messages, and from a message into the log of who received it. Off, none
of it exists and nobody is asked; of a trace that is not sampled nothing is stored either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from shared.kernel.clock import Runtime

TRACEPARENT = "traceparent"
"""The header, the extension attribute, and the entry of an event's ``Metadata.extra``."""

CORRELATION = "liangxian.correlation"
"""Attribute of every span: what logs and events call ``correlation``."""

PATTERN = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
"""trace id, span id, flags."""

Attributes = Mapping[str, str | int]


class Kind(Enum):
    """What a span stands for."""

    SERVER = "server"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work, from ``begin`` to ``end``. One that is never ended is never told."""

    @property
    def traceparent(self) -> str:
        """What goes on to those this work causes; "" when the trace is not sampled."""
        ...

    def end(self, name: str, attributes: Attributes, *, failed: bool = False) -> None:
        """It is done. Attributes hold no personal data: templates, codes, topics, offsets."""
        ...


class Tracing(Protocol):
    """Begins spans and sends them off."""

    def begin(self, name: str, kind: Kind, parent: str = "", trace: str = "") -> Span:
        """parent: the ``traceparent`` it follows from; without one a trace of its own begins, with the id
        ``trace`` when that is one (32 hex digits, or a UUID: the request's correlation)."""
        ...

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...


def open_tracing(service: str, runtime: Runtime, url: str, share: float) -> Tracing | None:
    """Spans to an OTLP/HTTP address; None without one. share: of the traces that begin here.

    Raises ModuleNotFoundError when the extra ``tracing`` is not installed.
    """
    if not url:
        return None
    from shared.observability.spans import to_collector

    return to_collector(service, runtime, url, share)
