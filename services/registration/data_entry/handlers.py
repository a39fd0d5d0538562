"""Commands of the data entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.registration.data_entry import domain
from services.registration.data_entry.stream import entered
from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Enrolments, Residents
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    FactSource,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.streams import Metadata
from shared.kernel.clock import Clock
from shared.kernel.errors import Refusal


class DataEntry:
    """Enters legs. lines: EntryLineFacts; paid: (year, insurance, person) -> True when collection told of it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        residents: Residents,
        enrolments: Enrolments,
        policies: PolicyFacts,
        lines: FactSource,
        paid: FactSource,
    ) -> None:
        self._store = store
        self._clock = clock
        self._residents = residents
        self._enrolments = enrolments
        self._policies = policies
        self._lines = lines
        self._paid = paid

    def enter_command(
        self,
        given: domain.EnterLeg,
        metadata: Metadata,
        key: IdempotencyKey | None,
        covers: Callable[[str], bool],
    ) -> Command:
        """Enter a leg; entered before: nothing new (200)."""
        stream = entered(given.insurance, given.person_id)
        about = (given.year, given.insurance.value, given.person_id)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            resident = self._residents.of(loaded, given.person_id)
            if resident is None:
                return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")
            if not covers(resident.division):
                return Refusal("DIVISION_FORBIDDEN", field="person_id")
            line: domain.EntryLine | None = loaded.fact(self._lines, (*about, given.payer))
            years: YearPolicies = loaded.fact(self._policies, given.year)
            policy = years.of_campaign(line.campaign if line is not None else "", resident.division)
            if isinstance(policy, Refusal):
                return policy
            if not policy.pack.pays_into_fund_accounts:
                return Refusal("STEP_NOT_IN_PLAN", rule="DATA_ENTRY", field="year")
            events = domain.enter_leg(
                loaded.state(stream),
                given,
                self._enrolments.of(loaded, given.insurance, given.person_id, given.year),
                line,
                bool(loaded.fact(self._paid, about)),
                policy.pack.gov_paid_effective,
                today,
            )
            if isinstance(events, Refusal):
                return events
            body = {"person_id": given.person_id, "insurance": given.insurance.value, "status": "ENTERED"}
            appends = [Append(stream, events)] if events else []
            return Accepted(appends, response=body, status=201 if events else 200)

        streams: list[Any] = [
            stream,
            self._enrolments.stream(given.insurance, given.person_id),
            *self._residents.streams(given.person_id),
        ]
        facts: list[tuple[FactSource, list[Any]]] = [
            (self._lines, [(*about, given.payer)]),
            (self._paid, [about]),
            (self._policies, [given.year]),
        ]
        return Command("enter_leg", streams, judge, metadata, key, facts)

    async def enter(
        self,
        given: domain.EnterLeg,
        metadata: Metadata,
        key: IdempotencyKey,
        covers: Callable[[str], bool],
    ) -> Outcome:
        """See ``enter_command``."""
        return await self._store.execute(self.enter_command(given, metadata, key, covers))
