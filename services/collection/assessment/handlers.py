"""Commands of assessment: one builder each, used by routes, imports, reactions and consumers alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.collection.assessment import domain as d
from services.collection.assessment.events import VillageAssessmentDue
from services.collection.assessment.stream import village_process
from services.collection.obligations.domain import Obligation, evolve
from services.collection.obligations.facts import TaxpayerFact
from services.collection.obligations.stream import obligation
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
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.clock import Clock
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.kernel.insurance import Insurance

_Decide = Callable[[Obligation, d.Subject], Decision]


@dataclass(frozen=True, slots=True)
class Persons:
    """Taxpayers' streams, and what a stream's state says of its person: never behind, as a read model may be."""

    stream: Callable[[str], Stream[Any]]
    fact: Callable[[Any], TaxpayerFact | None]


class Assessments:
    """Decides on what is owed, by the person's own stream and his campaign."""

    def __init__(self, store: Store, persons: Persons, campaign_facts: FactSource, clock: Clock) -> None:
        self._store = store
        self._persons = persons
        self._campaigns = campaign_facts
        self._clock = clock

    def assess_command(
        self,
        person_id: str,
        insurance: Insurance,
        year: int,
        campaign: str,
        reason: str,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Command:
        """Assess or reassess one person with everything known now."""

        def decide(state: Obligation, subject: d.Subject) -> Decision:
            return d.assess_now(state, subject, reason)

        return self._command(
            "assess_contribution", person_id, insurance, year, campaign, decide, metadata, key
        )

    def select_tier_command(
        self,
        command: d.SelectTier,
        metadata: Metadata,
        key: IdempotencyKey | None,
        divisions: tuple[str, ...] = ("",),
    ) -> Command:
        """Choose a pension tier. divisions: where the caller may act."""

        def decide(state: Obligation, subject: d.Subject) -> Decision:
            person = subject.person
            if person is not None and not any(person.village.startswith(scope) for scope in divisions):
                return Refusal("DIVISION_FORBIDDEN", field="person_id")
            return d.select_tier(state, command, subject)

        return self._command(
            "select_tier",
            command.person_id,
            Insurance.PENSION,
            command.year,
            command.campaign,
            decide,
            metadata,
            key,
        )

    def note_entitlement_command(
        self, command: d.Entitlement, metadata: Metadata, key: IdempotencyKey | None
    ) -> Command:
        """Keep what subsidy resolved or revoked, and reassess."""

        def decide(state: Obligation, subject: d.Subject) -> Decision:
            return d.note_entitlement(state, command, subject)

        return self._command(
            "note_entitlement",
            command.person_id,
            command.insurance,
            command.year,
            command.campaign,
            decide,
            metadata,
            key,
        )

    def note_special_command(
        self, command: d.SpecialAssessment, metadata: Metadata, key: IdempotencyKey | None
    ) -> Command:
        """Keep registration's special assessment, and assess exactly that."""

        def decide(state: Obligation, subject: d.Subject) -> Decision:
            return d.note_special_assessment(state, command, subject)

        return self._command(
            "note_special_assessment",
            command.person_id,
            command.insurance,
            command.year,
            command.campaign,
            decide,
            metadata,
            key,
        )

    def village_due_command(
        self,
        campaign: str,
        village: str,
        year: int,
        reason: str,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Command:
        """Have a whole village assessed."""
        stream = village_process(campaign, village, year)

        def decide(loaded: Loaded) -> Accepted:
            loaded.version(stream)
            due = VillageAssessmentDue(campaign=campaign, village=village, reason=reason)
            return Accepted([Append(stream, [due])])

        return Command("assess_village", [stream], decide, metadata, key)

    async def select_tier(
        self, command: d.SelectTier, metadata: Metadata, key: IdempotencyKey, divisions: tuple[str, ...]
    ) -> Outcome:
        """Choose a tier and answer what is owed now."""
        return await self._store.execute(self.select_tier_command(command, metadata, key, divisions))

    def _command(
        self,
        operation: str,
        person_id: str,
        insurance: Insurance,
        year: int,
        campaign: str,
        decide_obligation: _Decide,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Command:
        stream = obligation(year, insurance, person_id)
        taxpayer = self._persons.stream(person_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            subject = d.Subject(
                insurance,
                year,
                self._persons.fact(loaded.state(taxpayer)),
                loaded.fact(self._campaigns, campaign),
                self._today(),
            )
            state = loaded.state(stream)
            events = decide_obligation(state, subject)
            if isinstance(events, Refusal):
                return events
            for event in events:
                state = evolve(state, event)
            return Accepted([Append(stream, events)], response=_response(stream, person_id, insurance, state))

        facts = [(self._campaigns, [campaign])]
        return Command(operation, [stream, taxpayer], decide, metadata, key, facts)

    def _today(self) -> dt.date:
        return self._clock.today()


def _response(
    stream: Stream[Obligation], person_id: str, insurance: Insurance, state: Obligation
) -> dict[str, object]:
    assessment = state.assessment
    return {
        "person_id": person_id,
        "insurance": insurance.value,
        "year": stream.era,
        "tier_yuan": state.tier_yuan,
        "assessment_id": assessment.assessment_id if assessment is not None else "",
        "standard_fen": assessment.standard_fen if assessment is not None else 0,
        "personal_fen": assessment.personal_fen if assessment is not None else 0,
        "refused": state.refused,
    }
