"""Large documents as parts: at most 500 lines and well under 64 KiB of JSON each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

MAX_LINES = 500
MAX_BYTES = 60 * 1024
"""Room is left for the event's own fields below the store's 64 KiB."""

L = TypeVar("L")


def in_parts(lines: Iterable[L], told_bytes: int = 0) -> list[tuple[L, ...]]:
    """Lines in order, cut into parts; an empty document has no parts.

    told_bytes: by how much a line is longer in the message it is published as.
    """
    parts: list[tuple[L, ...]] = []
    part: list[L] = []
    size = 0
    for line in lines:
        length = len(msgspec.json.encode(line)) + 1 + told_bytes
        if part and (len(part) == MAX_LINES or size + length > MAX_BYTES):
            parts.append(tuple(part))
            part, size = [], 0
        part.append(line)
        size += length
    if part:
        parts.append(tuple(part))
    return parts
