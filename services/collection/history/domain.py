"""Recording history, and what changed since: who goes on, who is new, who lapsed and why. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.collection.history import events as e
from services.collection.history.events import HistoryLine
from services.collection.obligations.facts import TaxpayerFact
from services.collection.parts import in_parts
from shared.kernel.division import is_division
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.identity import full_years
from shared.kernel.insurance import Insurance

Key = tuple[str, Insurance]
"""Person and insurance."""

DIED = "DIED"
MOVED = "MOVED"
NO_TIER = "NO_TIER"
NOT_REGISTERED = "NOT_REGISTERED"


@dataclass(frozen=True, slots=True)
class History:
    """State of a stream: village and fen by person and insurance."""

    lines: Mapping[Key, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """历史缴费入库. today: a year that has not begun has no history."""

    year: int
    village: str
    source: str
    lines: tuple[HistoryLine, ...]


def evolve(state: History, event: Event) -> History:
    """Fold one event."""
    if isinstance(event, e.PaymentHistoryRecorded):
        told = {(line.person_id, line.insurance): (event.village, line.paid_fen) for line in event.lines}
        return replace(state, lines={**state.lines, **told})
    return state


def record_history(state: History, command: RecordHistory) -> Decision:
    """Keep what is new; the same line again is nothing new, another amount for it is refused."""
    if not (is_division(command.village) and len(command.village) == 12):
        return Refusal("VALIDATION_FAILED", "DIVISION", field="village")
    fresh: dict[Key, HistoryLine] = {}
    for number, line in enumerate(command.lines):
        key = (line.person_id, line.insurance)
        if line.paid_fen < 0:
            return Refusal("VALIDATION_FAILED", "AMOUNT", field=f"lines.{number}.paid_fen")
        known = state.lines.get(key)
        before = fresh.get(key)
        if known is None and before is None:
            fresh[key] = line
        elif (known or (command.village, before.paid_fen if before else 0)) != (
            command.village,
            line.paid_fen,
        ):
            return Refusal(
                "HISTORY_DIFFERS",
                "D-12",
                "D-12",
                f"lines.{number}",
                "历史记录与已有的不同 / another record of this person and insurance is kept",
            )
    return [
        e.PaymentHistoryRecorded(
            year=command.year, village=command.village, source=command.source, lines=part
        )
        for part in in_parts(fresh.values())
    ]


@dataclass(frozen=True, slots=True)
class Paid:
    """A line of last year's history. origin: FILE or BOOKED.

    published: false while the village's payments are not shown to its end, where the plan has such a notice; it is no
    history to build on until then (D-12).
    """

    person_id: str
    insurance: Insurance
    fen: int
    origin: str
    published: bool = True


@dataclass(frozen=True, slots=True)
class Owed:
    """This year's obligation in the village: assessed, or refused with its rule."""

    person_id: str
    insurance: Insurance
    birth: dt.date | None
    refused: str


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Paid last year, not assessed here this year. reason: DIED, MOVED, NO_TIER, NOT_REGISTERED or a rule."""

    person_id: str
    insurance: Insurance
    fen: int
    reason: str


def lapsed(
    before: Sequence[Paid],
    now: Sequence[Owed],
    persons: Mapping[str, TaxpayerFact],
    deaths: Mapping[str, dt.date],
    village: str,
    year: int,
) -> list[Lapsed]:
    """Last year's payers who do not go on, each with why (scenario 13)."""
    assessed = {(line.person_id, line.insurance) for line in now if not line.refused}
    refused = {(line.person_id, line.insurance): line.refused for line in now if line.refused}
    found = []
    for paid in before:
        key = (paid.person_id, paid.insurance)
        if key in assessed and paid.person_id not in deaths:
            continue
        reason = _reason(key, persons.get(paid.person_id), refused, deaths, village, year)
        found.append(Lapsed(paid.person_id, paid.insurance, paid.fen, reason))
    return found


def _reason(
    key: Key,
    person: TaxpayerFact | None,
    refused: Mapping[Key, str],
    deaths: Mapping[str, dt.date],
    village: str,
    year: int,
) -> str:
    person_id, insurance = key
    if person_id in deaths:
        return DIED
    link = person.link(insurance, year) if person is not None else None
    if link is not None and link.village != village:
        return MOVED
    if key in refused:
        return refused[key]
    return NO_TIER if link is not None else NOT_REGISTERED


@dataclass(frozen=True, slots=True)
class Changes:
    """A village's year against the year before: counts of lines; lapsed by reason."""

    continuing: int
    new: int
    turned_60: int
    turned_70: int
    lapsed: Mapping[str, int]


def changes(before: Sequence[Paid], now: Sequence[Owed], gone: Sequence[Lapsed], year: int) -> Changes:
    """What a TAX_HISTORY roster differs by (D-12): new 60s and 70s are counted for medical insurance only."""
    last = {(paid.person_id, paid.insurance) for paid in before}
    assessed = [line for line in now if not line.refused]
    reasons: dict[str, int] = {}
    for line in gone:
        reasons[line.reason] = reasons.get(line.reason, 0) + 1
    return Changes(
        continuing=sum((line.person_id, line.insurance) in last for line in assessed),
        new=sum((line.person_id, line.insurance) not in last for line in assessed),
        turned_60=_turned(assessed, 60, year),
        turned_70=_turned(assessed, 70, year),
        lapsed=dict(sorted(reasons.items())),
    )


def _turned(lines: Sequence[Owed], age: int, year: int) -> int:
    day = dt.date(year - 1, 12, 31)
    return sum(
        line.insurance is Insurance.MEDICAL and line.birth is not None and full_years(line.birth, day) == age
        for line in lines
    )
