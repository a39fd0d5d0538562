"""Deciding a channel's day file (渠道日终文件) once its orders are matched or recorded. Pure."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.collection.parts import in_parts
from services.collection.settlement import events as s
from services.collection.settlement.domain import (
    CHANNEL,
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
    village: str
    insurance: Insurance
    fen: int
    recorded_fen: int
    standing: str


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """A line our streams have for the channel and day."""

    line_id: str
    village: str
    insurance: Insurance
    fen: int


@dataclass(frozen=True, slots=True)
class DayFile:
    """A file whose lines are all placed. digest: of the parsed content."""

    campaign: str
    channel: str
    date: dt.date
    file_no: str
    digest: str
    lines: tuple[FiledLine, ...]


FILE_NO_TAKEN = Refusal(
    "FILE_NO_TAKEN",
    rule="I-20",
    field="file_no",
    message="该文件号已用于另一文件 / the file number was used for another file",
)


def receive_day_file(state: Day, file: DayFile, recorded: Sequence[RecordedLine]) -> list[Event] | Refusal:
    """File = recorded, per village and insurance; what differs is a discrepancy, not a loss."""
    known = state.files.get(file.file_no)
    if known is not None:
        return [] if known == file.digest else FILE_NO_TAKEN
    batch = len(state.files) + 1
    found: list[Event] = [
        s.ChannelDayFileReceived(
            campaign=file.campaign,
            channel=file.channel,
            date=file.date,
            file_no=file.file_no,
            batch=batch,
            digest=file.digest,
            count=len(file.lines),
            fen=sum(line.fen for line in file.lines),
            unidentified_fen=sum(line.fen for line in file.lines if line.standing == "UNIDENTIFIED"),
        ),
        *_sums(file),
    ]
    filed: dict[tuple[str, Insurance], list[FiledLine]] = defaultdict(list)
    for line in file.lines:
        filed[line.village, line.insurance].append(line)
    here: dict[tuple[str, Insurance], list[RecordedLine]] = defaultdict(list)
    for known_line in recorded:
        here[known_line.village, known_line.insurance].append(known_line)
    for village, insurance in sorted({*filed, *here}):
        place = Place(file.campaign, village, file.channel, file.date)
        found += _settle(
            state, place, insurance, filed.get((village, insurance), []), here.get((village, insurance), []), batch
        )  # fmt: skip
    return found


def _sums(file: DayFile) -> list[Event]:
    sums: dict[tuple[str, Insurance], tuple[int, int]] = {}
    for line in file.lines:
        count, fen = sums.get((line.village, line.insurance), (0, 0))
        sums[line.village, line.insurance] = (count + 1, fen + line.fen)
    rows = [s.DaySum(village, insurance, *total) for (village, insurance), total in sorted(sums.items())]
    return [
        s.ChannelDayFileSums(
            campaign=file.campaign, channel=file.channel, date=file.date, file_no=file.file_no, sums=part
        )
        for part in in_parts(rows)
    ]


def _settle(
    state: Day,
    place: Place,
    insurance: Insurance,
    filed: Sequence[FiledLine],
    recorded: Sequence[RecordedLine],
    batch: int,
) -> list[Event]:
    book = state.book(place.village, insurance)
    fitting = [line for line in filed if line.fen == line.recorded_fen and line.line_id not in book.confirmed]
    taken = [TakenLine(line.line_id, insurance, line.fen) for line in fitting]
    book = replace(book, confirmed=book.confirmed | {line.line_id for line in taken})
    named: Mapping[str, FiledLine] = {line.line_id: line for line in filed}
    missing = [line for line in recorded if line.line_id not in book.confirmed and line.line_id not in named]
    wrong = [line for line in filed if line.fen != line.recorded_fen]
    expected = (len(missing) + len(wrong), sum(m.fen for m in missing) + sum(w.recorded_fen for w in wrong))
    difference = (*expected, len(wrong), sum(line.fen for line in wrong))
    events: list[Event] = []
    if not missing and not wrong:
        events += resolve(book, place, CHANNEL, insurance, "LATER_FILE")
    elif difference != book.difference:
        reason = "AMOUNT" if wrong else "MISSING_IN_FILE"
        events.append(discrepancy(place, CHANNEL, insurance, reason, difference))
    return events + confirm(place, CHANNEL, insurance, taken, batch)
