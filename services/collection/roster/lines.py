"""Lines of a roster: totals, digest, and parts that fit an event and a message. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from services.collection.roster.events import RosterEntry, RosterLines

MAX_LINES = 500
MAX_BYTES = 60_000
"""Of a part's lines as a message spells them: under 64 KiB with its header."""

_NAMES_BYTES = len('{"person_id":"","insurance":"","standard_fen":,"personal_fen":,"category":""},')


@dataclass(frozen=True, slots=True)
class Totals:
    """Count, fen at standard, fen due from persons (I-08)."""

    count: int
    standard_fen: int
    personal_fen: int
    digest: str


def ordered(lines: Iterable[RosterEntry]) -> list[RosterEntry]:
    """Lines by person and insurance: the order of every list and digest."""
    return sorted(lines, key=lambda entry: (entry.person_id, entry.insurance))


def totals(lines: Sequence[RosterEntry]) -> Totals:
    """Totals of lines, and the SHA-256 hex of their canonical JSON."""
    digest = hashlib.sha256(msgspec.json.encode(ordered(lines))).hexdigest()
    return Totals(
        len(lines), sum(line.standard_fen for line in lines), sum(line.personal_fen for line in lines), digest
    )


def parts(lines: Iterable[RosterEntry]) -> list[tuple[RosterEntry, ...]]:
    """Lines in parts of at most 500 lines and 60,000 bytes; no lines make one empty part."""
    found: list[tuple[RosterEntry, ...]] = []
    part: list[RosterEntry] = []
    size = 0
    for entry in lines:
        width = _NAMES_BYTES + len(entry.person_id) + 30 + len(entry.category.encode())
        if part and (len(part) == MAX_LINES or size + width > MAX_BYTES):
            found.append(tuple(part))
            part, size = [], 0
        part.append(entry)
        size += width
    if part or not found:
        found.append(tuple(part))
    return found


def line_events(
    roster_id: str, campaign: str, village: str, version: int, supplement: int, lines: Sequence[RosterEntry]
) -> list[RosterLines]:
    """The line events of a version."""
    split = parts(lines)
    return [
        RosterLines(
            roster_id=roster_id,
            campaign=campaign,
            village=village,
            version=version,
            supplement=supplement,
            part=number,
            parts=len(split),
            lines=part,
        )
        for number, part in enumerate(split, 1)
    ]
