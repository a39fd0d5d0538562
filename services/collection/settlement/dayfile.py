"""Deciding a channel's day file (渠道日终文件) once its orders are matched or recorded. Pure.

One settlement per channel, day and insurance, whatever number of villages its payers live in.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.collection.parts import MAX_LINES
from services.collection.settlement import events as s
from services.collection.settlement.domain import (
    CHANNEL,
    Book,
    Day,
    Place,
    TakenLine,
    confirm,
    discrepancy,
    resolve,
)
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


@dataclass(frozen=True, slots=True)
class FiledLine:
    """A line of the file and where it stands with us; recorded_fen is what our streams say."""

    line_id: str
    insurance: Insurance
    fen: int
    recorded_fen: int
    standing: str


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """A line our streams have for the channel and day."""

    line_id: str
    insurance: Insurance
    fen: int


@dataclass(frozen=True, slots=True)
class DayFile:
    """A file whose lines are all placed. digest: of the parsed content, whatever its number."""

    campaign: str
    channel: str
    date: dt.date
    file_no: str
    digest: str
    lines: tuple[FiledLine, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What our streams have: the lines of the channel's day, and lines another day's file settled already."""

    lines: Sequence[RecordedLine]
    elsewhere: frozenset[str] = frozenset()


FILE_NO_TAKEN = Refusal(
    "FILE_NO_TAKEN",
    rule="I-20",
    field="file_no",
    message="该文件号已用于另一文件 / the file number was used for another file",
)
FILE_DIFFERS = Refusal(
    "FILE_DIFFERS",
    rule="I-20",
    field="lines",
    message="超过五百笔金额与记录不符，请核对后重报 / over 500 amounts differ: check the file and send it again",
)


def receive_day_file(state: Day, file: DayFile, recorded: Recorded) -> list[Event] | Refusal:
    """File = recorded, per insurance; what differs is a discrepancy, not a loss (I-20).

    The same content again is the same file, be its number another: a channel may answer twice.
    """
    known = state.files.get(file.file_no)
    if known is not None:
        return [] if known == file.digest else FILE_NO_TAKEN
    if file.digest in state.files.values():
        return []
    filed: dict[Insurance, list[FiledLine]] = defaultdict(list)
    for line in file.lines:
        filed[line.insurance].append(line)
    here: dict[Insurance, list[RecordedLine]] = defaultdict(list)
    for known_line in recorded.lines:
        here[known_line.insurance].append(known_line)
    days = [
        _InsuranceDay(insurance, state.book("", insurance), filed[insurance], here[insurance])
        for insurance in sorted({*filed, *here})
    ]
    batch = len(state.files) + 1
    received = _received(state, file, days, batch)
    if len(received.differing) > MAX_LINES:
        return FILE_DIFFERS
    place = Place(file.campaign, "", file.channel, file.date)
    return [received, *(event for day in days for event in _settle(place, day, recorded.elsewhere, batch))]


@dataclass(frozen=True, slots=True)
class _InsuranceDay:
    insurance: Insurance
    book: Book
    filed: Sequence[FiledLine]
    recorded: Sequence[RecordedLine]


def _received(
    state: Day, file: DayFile, days: Sequence[_InsuranceDay], batch: int
) -> s.ChannelDayFileReceived:
    sums: list[s.DayTotal] = []
    differing: list[s.ToldLine] = []
    for day in days:
        confirmed = day.book.confirmed
        count = fen = 0
        for line in day.filed:
            first = line.line_id not in confirmed and line.line_id not in state.told
            before = 0 if first else state.told.get(line.line_id, line.recorded_fen)
            count += first
            fen += line.fen - before
            if line.fen != (before if line.line_id in state.told else line.recorded_fen):
                differing.append(s.ToldLine(line.line_id, line.fen))
        sums.append(s.DayTotal(day.insurance, count, fen))
    return s.ChannelDayFileReceived(
        campaign=file.campaign,
        channel=file.channel,
        date=file.date,
        file_no=file.file_no,
        batch=batch,
        digest=file.digest,
        count=len(file.lines),
        fen=sum(line.fen for line in file.lines),
        unidentified_fen=sum(line.fen for line in file.lines if line.standing == "UNIDENTIFIED"),
        sums=tuple(sums),
        differing=tuple(differing),
    )


def _settle(place: Place, day: _InsuranceDay, elsewhere: frozenset[str], batch: int) -> list[Event]:
    insurance, done = day.insurance, day.book.confirmed | elsewhere
    fitting = {
        line.line_id: TakenLine(line.line_id, insurance, line.fen)
        for line in day.filed
        if line.fen == line.recorded_fen and line.line_id not in done
    }
    accounted = {*done, *fitting, *(line.line_id for line in day.filed)}
    missing = [line for line in day.recorded if line.line_id not in accounted]
    wrong = [line for line in day.filed if line.fen != line.recorded_fen]
    expected = (len(missing) + len(wrong), sum(m.fen for m in missing) + sum(w.recorded_fen for w in wrong))
    difference = (*expected, len(wrong), sum(line.fen for line in wrong))
    events: list[Event] = []
    if not missing and not wrong:
        events += resolve(day.book, place, CHANNEL, insurance, "LATER_FILE")
    elif difference != day.book.difference:
        reason = "AMOUNT" if wrong else "MISSING_IN_FILE"
        events.append(discrepancy(place, CHANNEL, insurance, reason, difference))
    return events + confirm(place, CHANNEL, insurance, list(fitting.values()), batch)
