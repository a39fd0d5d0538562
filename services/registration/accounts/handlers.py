"""Commands of bookkeeping, all of them following from collection's messages."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.registration.accounts import domain
from services.registration.accounts import events as e
from services.registration.accounts.stream import account, ledger, return_process
from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Enrolments, Residents, SpecialAssessments
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.clock import Clock
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance


class Bookkeeping:
    """Builds the commands that book, acknowledge and reverse."""

    def __init__(
        self,
        clock: Clock,
        residents: Residents,
        enrolments: Enrolments,
        assessments: SpecialAssessments,
        policies: PolicyFacts,
    ) -> None:
        self._clock = clock
        self._residents = residents
        self._enrolments = enrolments
        self._assessments = assessments
        self._policies = policies

    def book_command(self, line: domain.Line, metadata: Metadata, key: IdempotencyKey) -> Command:
        """Book one line; pension lines credit the account in the same transaction."""
        books, fund = ledger(line.year, line.person_id), account(line.person_id)
        pension = line.insurance is Insurance.PENSION
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            before = loaded.state(books)
            known = self._knowledge(loaded, line)
            events = domain.book_line(before, line, known, today)
            if not events:
                return Accepted()
            appends = [Append(books, events)]
            posted = isinstance(events[0], e.BookkeepingPosted)
            if pension and posted and not isinstance(known.policy, Refusal):
                credited = domain.credit_account(
                    loaded.state(fund), before, line, known.policy.pack, line.treasury_date
                )
                appends.append(Append(fund, credited))
            return Accepted(appends)

        streams: list[Stream[Any]] = [
            books,
            *([fund] if pension else []),
            *self._residents.streams(line.person_id),
            self._enrolments.stream(line.insurance, line.person_id),
            self._assessments.stream(line.insurance, line.person_id),
        ]
        return Command("book_returned_line", streams, judge, metadata, key, [(self._policies, [line.year])])

    def close_part_command(
        self,
        lines: tuple[domain.Line, ...],
        part: int,
        parts: int,
        stated: tuple[int, int],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Command:
        """After its lines: note the part's outcome and acknowledge the whole document with the last one."""
        process = return_process(lines[0].return_no)
        books = {line.person_id: ledger(line.year, line.person_id) for line in lines}

        def judge(loaded: Loaded) -> Accepted:
            ledgers = {person_id: loaded.state(stream) for person_id, stream in books.items()}
            events = domain.close_part(loaded.state(process), ledgers, lines, part, parts, stated)
            return Accepted([Append(process, events)] if events else [])

        return Command("close_return_part", [process, *books.values()], judge, metadata, key)

    def reverse_command(
        self,
        person_id: str,
        year: int,
        payment_line_id: str,
        refund_no: str,
        paid_on: dt.date,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Command:
        """Reverse what a refunded payment had booked; nothing when it was not booked."""
        books, fund = ledger(year, person_id), account(person_id)

        def judge(loaded: Loaded) -> Accepted:
            events = domain.reverse_booking(loaded.state(books), payment_line_id, refund_no, paid_on)
            if not events:
                return Accepted()
            appends = [Append(books, events)]
            pension = sum(
                event.fen
                for event in events
                if isinstance(event, e.BookkeepingReversed) and event.insurance is Insurance.PENSION
            )
            if pension:
                taken_back = domain.reverse_credit(
                    loaded.state(fund), person_id, year, pension, refund_no, paid_on
                )
                appends.append(Append(fund, taken_back))
            return Accepted([append for append in appends if append.events])

        return Command("reverse_booking", [books, fund], judge, metadata, key)

    def _knowledge(self, loaded: Loaded, line: domain.Line) -> domain.Knowledge:
        years: YearPolicies = loaded.fact(self._policies, line.year)
        return domain.Knowledge(
            self._residents.of(loaded, line.person_id),
            self._enrolments.of(loaded, line.insurance, line.person_id, line.year),
            years.of_campaign(line.campaign, line.village),
            self._assessments.of(loaded, line.insurance, line.person_id, line.special_assessment_no),
        )
