"""Commands of bookkeeping, all of them following from collection's messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from services.registration.accounts import domain
from services.registration.accounts import events as e
from services.registration.accounts.stream import account, counted, ledger, return_process
from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import CoverReviews, Enrolments, Residents, SpecialAssessments
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.clock import Clock
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy import Pack


class Bookkeeping:
    """Builds the commands that book, acknowledge and reverse."""

    def __init__(
        self,
        clock: Clock,
        residents: Residents,
        enrolments: Enrolments,
        assessments: SpecialAssessments,
        policies: PolicyFacts,
        covers: CoverReviews,
    ) -> None:
        self._clock = clock
        self._residents = residents
        self._enrolments = enrolments
        self._assessments = assessments
        self._policies = policies
        self._covers = covers

    def book_part_command(
        self,
        lines: tuple[domain.Line, ...],
        part: int,
        parts: int,
        stated: tuple[int, int],
        metadata: Metadata,
    ) -> Command:
        """Book a part's lines, credit the accounts, review the covers, and note the part's outcome.

        The document is acknowledged with its last part. One decision: a part is booked whole or not at all.
        """
        process = return_process(lines[0].return_no)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted:
            booking = _PartBooking(loaded, self._covers)
            for line in lines:
                booking.book(line, self._knowledge(loaded, line), today)
            booking.review()
            state = loaded.state(process)
            events = domain.close_part(state, booking.ledgers, lines, part, parts, stated, today)
            return Accepted([*booking.appends(), *([Append(process, events)] if events else [])])

        streams = [process, *(stream for line in lines for stream in self._streams(line))]
        facts = [(self._policies, [lines[0].year])]
        return Command("book_returned_part", streams, judge, metadata, facts=facts)

    def _streams(self, line: domain.Line) -> list[Stream[Any]]:
        """A medical line's are those of the cover it may complete; both rest on person and enrolment."""
        special = self._assessments.stream(line.insurance, line.person_id)
        if line.insurance is Insurance.MEDICAL:
            return [*self._covers.streams(line.year, line.person_id), special]
        return [
            ledger(line.year, line.person_id),
            account(line.person_id),
            *self._residents.streams(line.person_id),
            self._enrolments.stream(line.insurance, line.person_id),
            special,
        ]

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
                village = next(event.village for event in events if isinstance(event, e.BookkeepingReversed))
                taken_back = domain.reverse_credit(
                    loaded.state(fund), person_id, year, pension, refund_no, paid_on, village
                )
                appends.append(Append(fund, taken_back))
            return Accepted([append for append in appends if append.events])

        return Command("reverse_booking", [books, fund], judge, metadata, key)

    def note_spouse_command(
        self, person_id: str, wife_id: str, kind: str, campaign: str, year: int, metadata: Metadata
    ) -> Command:
        """计生家庭的一方: judged by the wife's age, credited with the payment (D-15, D-57)."""
        books, fund = ledger(year, person_id), account(person_id)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            wife = self._residents.of(loaded, wife_id)
            resident = self._residents.of(loaded, person_id)
            years: YearPolicies = loaded.fact(self._policies, year)
            policy = years.of_campaign(campaign, resident.division if resident is not None else "")
            if isinstance(policy, Refusal):
                return policy
            spouse = domain.Spouse(person_id, year, campaign, kind, wife.birth if wife is not None else None)
            events = domain.note_spouse(loaded.state(fund), loaded.state(books), spouse, policy, today)
            return Accepted([Append(fund, events)] if events else [])

        streams: list[Stream[Any]] = [books, fund, *self._residents.streams(person_id)]
        if wife_id != person_id:
            streams += self._residents.streams(wife_id)
        return Command("note_spouse", streams, judge, metadata, facts=[(self._policies, [year])])

    def count_heads_command(
        self, campaign: str, year: int, heads: domain.Heads, metadata: Metadata, key: IdempotencyKey
    ) -> Command:
        """财政补助人数核报: restate what a claim may rest on."""
        process, today = counted(campaign), self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            years: YearPolicies = loaded.fact(self._policies, year)
            policy = years.of_campaign(campaign, campaign.partition("-")[0])
            if isinstance(policy, Refusal):
                return policy
            events = domain.count_heads(loaded.state(process), heads, policy, today)
            state = loaded.state(process)
            for event in events:
                state = domain.evolve_counted(state, event)
            told = {kind: {"heads": heads, "fen": fen} for kind, (heads, fen) in sorted(state.kinds.items())}
            return Accepted(
                [Append(process, events)] if events else [],
                response={"campaign": campaign, "kinds": told},
                status=201 if events else 200,
            )

        return Command("count_fiscal_heads", [process], judge, metadata, key, [(self._policies, [year])])

    def _knowledge(self, loaded: Loaded, line: domain.Line) -> domain.Knowledge:
        years: YearPolicies = loaded.fact(self._policies, line.year)
        return domain.Knowledge(
            self._residents.of(loaded, line.person_id),
            self._enrolments.of(loaded, line.insurance, line.person_id, line.year),
            years.of_campaign(line.campaign, line.village),
            self._assessments.of(loaded, line.insurance, line.person_id, line.special_assessment_no),
        )


class _PartBooking:
    """A part's lines decided one after the other, each on what the ones before it left."""

    def __init__(self, loaded: Loaded, covers: CoverReviews) -> None:
        self._loaded = loaded
        self._covers = covers
        self._accounts: dict[str, domain.Account] = {}
        self._covered: dict[tuple[int, str], domain.Knowledge] = {}
        self._events: dict[str, tuple[Stream[Any], list[Event]]] = {}
        self.ledgers: dict[str, domain.Ledger] = {}

    def book(self, line: domain.Line, known: domain.Knowledge, today: dt.date) -> None:
        """Book or name the mismatch; a booked pension leg is credited at once."""
        books = ledger(line.year, line.person_id)
        before = self.ledgers.get(line.person_id)
        if before is None:
            before = self._loaded.state(books)
        after, events = before, domain.book_line(before, line, known, today)
        for event in events:
            after = domain.evolve(after, event)
        self.ledgers[line.person_id] = after
        self._add(books, events)
        if not events or not isinstance(events[0], e.BookkeepingPosted):
            return
        if line.insurance is Insurance.MEDICAL:
            self._covered[line.year, line.person_id] = known
        elif not isinstance(known.policy, Refusal):
            self._credit(line, before, domain.crediting_pack(line, known.policy))

    def review(self) -> None:
        """Bring the cover of everybody whose medical leg was booked in line with it."""
        for (year, person_id), known in self._covered.items():
            if known.resident is None:
                continue  # nobody books for the unknown
            booked = self.ledgers[person_id].legs_of(Insurance.MEDICAL)
            events = self._covers.after_booking(self._loaded, year, known.resident, known.enrolment, booked)
            self._add(ledger(year, person_id), events)

    def appends(self) -> list[Append]:
        """What the part writes, a stream at a time."""
        return [Append(stream, events) for stream, events in self._events.values()]

    def _credit(self, line: domain.Line, before: domain.Ledger, pack: Pack) -> None:
        fund = account(line.person_id)
        state = self._accounts.get(line.person_id)
        if state is None:
            state = self._loaded.state(fund)
        events = domain.credit_account(state, before, line, pack, line.treasury_date)
        for event in events:
            state = domain.evolve_account(state, event)
        self._accounts[line.person_id] = state
        self._add(fund, events)

    def _add(self, stream: Stream[Any], events: Sequence[Event]) -> None:
        if events:
            self._events.setdefault(stream.id, (stream, []))[1].extend(events)
