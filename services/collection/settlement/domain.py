"""Deciding a day's settlement: receipts = summary = deposit, or channel file = recorded (I-20, I-22). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.collection.parts import in_parts
from services.collection.settlement import events as s
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

AGENT = "AGENT"
CHANNEL = "CHANNEL"
RESOLUTIONS = ("CORRECTIVE_DEPOSIT", "RETURNED_EXCESS")

BookKey = tuple[str, Insurance]
"""An agent, or in a channel's day nobody (""): a channel settles its day whole; and the insurance."""


@dataclass(frozen=True, slots=True)
class Book:
    """What is known of one agent (or of a channel) and insurance on the day; fen.

    deposits: fen per slip; corrected_fen: corrective deposits less returned excess; difference: expected and
    actual count and fen of the open discrepancy; parts: confirmed lines, as they were told.
    """

    summary: tuple[int, int] | None = None
    deposits: Mapping[str, int] = field(default_factory=dict)
    in_time_fen: int = 0
    corrected_fen: int = 0
    parts: tuple[tuple[str, ...], ...] = ()
    batches: int = 0
    difference: tuple[int, int, int, int] | None = None
    reason: str = ""
    last_move: str = ""
    overdue: bool = False

    @property
    def confirmed(self) -> frozenset[str]:
        """Lines of all confirmations; a channel's day may have 100,000, so it is put together when asked."""
        return frozenset().union(*self.parts)

    @property
    def deposited_fen(self) -> int:
        """What counts as deposited."""
        return sum(self.deposits.values()) + self.corrected_fen


@dataclass(frozen=True, slots=True)
class Day:
    """State of ``settlement:{campaign}:{village or channel}:{date}``.

    files: digest per channel file; told: fen per line a file told with another amount than recorded.
    """

    books: Mapping[BookKey, Book] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)

    def book(self, owner: str, insurance: Insurance) -> Book:
        """The book, empty when nothing happened."""
        return self.books.get((owner, insurance), Book())

    def having(self, owner: str, insurance: Insurance, book: Book) -> Day:
        """The day with one book replaced."""
        return replace(self, books={**self.books, (owner, insurance): book})


def evolve(state: Day, event: Event) -> Day:
    """Fold one event."""
    match event:
        case s.AgentDailySummarySubmitted():
            return _with_summary(state, event)
        case s.DailySettlementDeposited():
            return _with_deposit(state, event)
        case s.SettlementCorrected():
            book = state.book(event.source, event.insurance)
            sign = 1 if event.resolution == "CORRECTIVE_DEPOSIT" else -1
            book = replace(
                book, corrected_fen=book.corrected_fen + sign * event.fen, last_move=event.resolution
            )
            return state.having(event.source, event.insurance, book)
        case s.SettlementLinesConfirmed():
            owner = _owner(event)
            book = state.book(owner, event.insurance)
            book = replace(book, parts=(*book.parts, event.lines), batches=event.batch)
            return state.having(owner, event.insurance, book)
        case s.DailySettlementDiscrepancyDetected():
            owner = _owner(event)
            known = (event.expected_count, event.expected_fen, event.actual_count, event.actual_fen)
            book = replace(state.book(owner, event.insurance), difference=known, reason=event.reason)
            return state.having(owner, event.insurance, book)
        case s.DailySettlementDiscrepancyResolved():
            owner = _owner(event)
            book = replace(state.book(owner, event.insurance), difference=None, reason="")
            return state.having(owner, event.insurance, book)
        case s.SettlementOverdue():
            book = replace(state.book(event.source, event.insurance), overdue=True)
            return state.having(event.source, event.insurance, book)
        case s.ChannelDayFileReceived():
            told = {**state.told, **{line.line_id: line.fen for line in event.differing}}
            return replace(state, files={**state.files, event.file_no: event.digest}, told=told)
        case _:
            return state


def _owner(
    event: s.SettlementLinesConfirmed
    | s.DailySettlementDiscrepancyDetected
    | s.DailySettlementDiscrepancyResolved,
) -> str:
    return event.source if event.kind == AGENT else event.village


def _with_summary(state: Day, event: s.AgentDailySummarySubmitted) -> Day:
    given = {total.insurance: (total.count, total.fen) for total in event.totals}
    for insurance in Insurance:
        book = replace(
            state.book(event.agent_id, insurance),
            summary=given.get(insurance, (0, 0)),
            last_move="NEW_SUMMARY",
        )
        state = state.having(event.agent_id, insurance, book)
    return state


def _with_deposit(state: Day, event: s.DailySettlementDeposited) -> Day:
    if not event.designated:
        return state
    book = state.book(event.source, event.insurance)
    in_time = event.fen if event.deposited_on <= event.date else 0
    slip = f"{event.bank}/{event.slip_no}"
    book = replace(
        book,
        deposits={**book.deposits, slip: book.deposits.get(slip, 0) + event.fen},
        in_time_fen=book.in_time_fen + in_time,
        last_move="LATER_DEPOSIT",
    )
    return state.having(event.source, event.insurance, book)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose day it is: campaign, village of the agent ("" for a channel), agent or channel, date."""

    campaign: str
    village: str
    source: str
    date: dt.date


@dataclass(frozen=True, slots=True)
class TakenLine:
    """A line that was taken: its id, insurance and fen."""

    line_id: str
    insurance: Insurance
    fen: int


def submit_summary(
    state: Day, place: Place, totals: Sequence[s.DayTotal], receipts: tuple[str, str]
) -> list[Event] | Refusal:
    """代办员日汇总. A confirmed insurance keeps its total; later takings are added to it."""
    if len({total.insurance for total in totals}) != len(totals):
        return Refusal("VALIDATION_FAILED", rule="INSURANCE_TWICE", field="totals")
    event = s.AgentDailySummarySubmitted(
        campaign=place.campaign,
        village=place.village,
        agent_id=place.source,
        date=place.date,
        totals=tuple(totals),
        receipts_from=receipts[0],
        receipts_to=receipts[1],
    )
    given = {total.insurance: (total.count, total.fen) for total in totals}
    same = all(
        state.book(place.source, insurance).summary == given.get(insurance, (0, 0)) for insurance in Insurance
    )
    return [] if same else [event]


@dataclass(frozen=True, slots=True)
class Deposit:
    """A line of a bank's deposit file. account_ref "": the bank only keeps designated accounts."""

    slip_no: str
    agent_id: str
    date: dt.date
    insurance: Insurance
    fen: int
    deposited_on: dt.date
    account_ref: str = ""


def record_deposit(
    state: Day,
    place: Place,
    deposit: Deposit,
    bank: str,
    file_no: str,
    designated_account: str,
    fund_accounts: Collection[str] = (),
) -> list[Event]:
    """费款日解缴. Flags another account (I-18) and cash older than the day it was taken (I-22).

    fund_accounts: the campaign's; the other insurance's account is a mixed deposit (分别存入).
    """
    designated = deposit.account_ref in ("", designated_account)
    found: list[Event] = [
        s.DailySettlementDeposited(
            campaign=place.campaign,
            village=place.village,
            source=place.source,
            date=place.date,
            insurance=deposit.insurance,
            slip_no=deposit.slip_no,
            file_no=file_no,
            bank=bank,
            fen=deposit.fen,
            deposited_on=deposit.deposited_on,
            designated=designated,
        )
    ]
    if not designated:
        mixed = deposit.account_ref in fund_accounts
        found.append(
            (s.MixedDepositFlagged if mixed else s.PersonalAccountDepositFlagged)(
                campaign=place.campaign,
                village=place.village,
                agent_id=place.source,
                date=place.date,
                insurance=deposit.insurance,
                slip_no=deposit.slip_no,
                fen=deposit.fen,
            )
        )
    late = (deposit.deposited_on - deposit.date).days
    if late > 0 and not state.book(place.source, deposit.insurance).overdue:
        found.append(_overdue(place, deposit.insurance, late, deposit.fen))
    return found


def _overdue(place: Place, insurance: Insurance, days: int, fen: int) -> Event:
    return s.SettlementOverdue(
        campaign=place.campaign,
        village=place.village,
        source=place.source,
        date=place.date,
        insurance=insurance,
        days=days,
        fen=fen,
    )


def note_overdue(state: Day, place: Place, taken: Sequence[TakenLine], today: dt.date) -> list[Event]:
    """滞留: what was taken on an earlier day and not deposited on it, once per insurance."""
    found: list[Event] = []
    for insurance in Insurance:
        book = state.book(place.source, insurance)
        owed = sum(line.fen for line in taken if line.insurance is insurance) - book.in_time_fen
        if owed > 0 and not book.overdue and place.date < today:
            found.append(_overdue(place, insurance, (today - place.date).days, owed))
    return found


def compare(state: Day, place: Place, taken: Sequence[TakenLine]) -> list[Event]:
    """Receipts against summary and deposit, each insurance by itself, as soon as both are there."""
    found: list[Event] = []
    for insurance in Insurance:
        lines = [line for line in taken if line.insurance is insurance]
        found += _compare(state.book(place.source, insurance), place, insurance, lines)
    return found


def _compare(book: Book, place: Place, insurance: Insurance, lines: Sequence[TakenLine]) -> list[Event]:
    expected = (len(lines), sum(line.fen for line in lines))
    if book.summary is None or (not book.deposits and not book.corrected_fen):
        return []
    actual = book.deposited_fen
    if book.summary == expected and actual == expected[1]:
        confirmed = book.confirmed
        new = [line for line in lines if line.line_id not in confirmed]
        events = resolve(book, place, AGENT, insurance, book.last_move or "LATER_DEPOSIT")
        return events + confirm(place, AGENT, insurance, new, book.batches + 1)
    reason = "OVER" if actual > expected[1] else "SHORT" if actual < expected[1] else "SUMMARY"
    difference = (*expected, book.summary[0], actual)
    if book.difference == difference:
        return []
    return [discrepancy(place, AGENT, insurance, reason, difference)]


def resolve(book: Book, place: Place, kind: str, insurance: Insurance, resolution: str) -> list[Event]:
    if book.difference is None:
        return []
    return [
        s.DailySettlementDiscrepancyResolved(
            campaign=place.campaign,
            village=place.village,
            source=place.source,
            kind=kind,
            date=place.date,
            insurance=insurance,
            resolution=resolution,
        )
    ]


def discrepancy(
    place: Place, kind: str, insurance: Insurance, reason: str, difference: tuple[int, int, int, int]
) -> Event:
    expected_count, expected_fen, actual_count, actual_fen = difference
    return s.DailySettlementDiscrepancyDetected(
        campaign=place.campaign,
        village=place.village,
        source=place.source,
        kind=kind,
        date=place.date,
        insurance=insurance,
        reason=reason,
        expected_count=expected_count,
        expected_fen=expected_fen,
        actual_count=actual_count,
        actual_fen=actual_fen,
        diff_fen=actual_fen - expected_fen,
    )


def confirm(
    place: Place, kind: str, insurance: Insurance, lines: Sequence[TakenLine], batch: int
) -> list[Event]:
    """Line events, then the confirmation: who reacts to it finds all its lines."""
    if not lines:
        return []
    parts = in_parts(line.line_id for line in lines)
    found: list[Event] = [
        s.SettlementLinesConfirmed(
            campaign=place.campaign,
            village=place.village,
            source=place.source,
            kind=kind,
            date=place.date,
            insurance=insurance,
            batch=batch,
            part=number,
            parts=len(parts),
            lines=part,
        )
        for number, part in enumerate(parts, 1)
    ]
    found.append(
        s.DailySettlementConfirmed(
            campaign=place.campaign,
            village=place.village,
            source=place.source,
            kind=kind,
            date=place.date,
            insurance=insurance,
            batch=batch,
            count=len(lines),
            fen=sum(line.fen for line in lines),
        )
    )
    return found


def correct(
    state: Day, place: Place, insurance: Insurance, resolution: str, slip_no: str, fen: int, note: str
) -> list[Event] | Refusal:
    """日结差异更正: only what brings the deposit nearer to what was taken."""
    book = state.book(place.source, insurance)
    if book.difference is None:
        return Refusal("INVALID_STATE", rule="NO_OPEN_DISCREPANCY")
    _, expected, _, actual = book.difference
    short = expected - actual if resolution == "CORRECTIVE_DEPOSIT" else actual - expected
    if resolution not in RESOLUTIONS or fen <= 0 or fen > short:
        return Refusal("VALIDATION_FAILED", rule="I-20", field="resolution.amount_fen")
    return [
        s.SettlementCorrected(
            campaign=place.campaign,
            village=place.village,
            source=place.source,
            date=place.date,
            insurance=insurance,
            resolution=resolution,
            slip_no=slip_no,
            fen=fen,
            note=note,
        )
    ]
