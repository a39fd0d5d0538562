"""Commands over special assessments."""

from __future__ import annotations

from collections.abc import Callable

from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Enrolments, Residents, SpecialIdentities
from services.registration.special_assessment import domain
from services.registration.special_assessment.stream import assessed
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal


class SpecialPayments:
    """Assesses payments outside the window."""

    def __init__(
        self,
        store: Store,
        residents: Residents,
        enrolments: Enrolments,
        identities: SpecialIdentities,
        policies: PolicyFacts,
    ) -> None:
        self._store = store
        self._residents = residents
        self._enrolments = enrolments
        self._identities = identities
        self._policies = policies

    async def assess(
        self,
        given: domain.AssessSpecialPayment,
        metadata: Metadata,
        key: IdempotencyKey,
        covers: Callable[[str], bool],
    ) -> Outcome:
        """See ``assess_command``."""
        return await self._store.execute(self.assess_command(given, metadata, key, covers))

    def assess_command(
        self,
        given: domain.AssessSpecialPayment,
        metadata: Metadata,
        key: IdempotencyKey,
        covers: Callable[[str], bool],
    ) -> Command:
        """201 with what is owed, by when, and the cover it buys; 200 when it was assessed before."""
        stream = assessed(given.insurance, given.person_id)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            resident = self._residents.of(loaded, given.person_id)
            if resident is None:
                return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")
            if not covers(resident.division):
                return Refusal("DIVISION_FORBIDDEN", field="person_id")
            years: YearPolicies = loaded.fact(self._policies, given.year)
            policy = years.of(resident.division)
            if isinstance(policy, Refusal):
                return policy
            state = loaded.state(stream)
            events = domain.assess_special_payment(
                state,
                given,
                resident,
                self._enrolments.of(loaded, given.insurance, given.person_id, given.year),
                self._identities.of(loaded, given.insurance, given.person_id, given.year),
                policy,
                insured_before=self._insured_before(loaded, given),
            )
            if isinstance(events, Refusal):
                return events
            appends = [Append(stream, events)] if events else []
            newest = events[-1] if events else state.newest[given.year]
            return Accepted(appends, response=newest, status=201 if events else 200)

        streams = [
            stream,
            *self._residents.streams(given.person_id),
            self._enrolments.stream(given.insurance, given.person_id),
            self._identities.stream(given.insurance, given.person_id),
        ]
        facts = [(self._policies, [given.year])]
        return Command("assess_special_payment", streams, judge, metadata, key, facts)

    def _insured_before(self, loaded: Loaded, given: domain.AssessSpecialPayment) -> bool:
        """Enrolled for the insurance in one of the years before: fifteen are what the pension asks for."""
        return any(
            self._enrolments.of(loaded, given.insurance, given.person_id, year) is not None
            for year in range(given.year - 1, given.year - 16, -1)
        )
