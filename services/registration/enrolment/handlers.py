"""Commands over enrolments: one builder per command, for routes, imports, reactions and consumers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from services.registration.enrolment import domain
from services.registration.enrolment.events import CollectingUnitInfoTransmitted, EnrolmentRejected
from services.registration.enrolment.stream import Unit, collecting_unit, enrolment
from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Residents
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.streams import Metadata
from shared.kernel.clock import Clock
from shared.kernel.division import is_division
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.kernel.insurance import Insurance

Decide = Callable[[domain.Enrolment], Decision]


class Enrolments:
    """Registers and cancels enrolments, transmits them and keeps the answers."""

    def __init__(self, store: Store, clock: Clock, residents: Residents, policies: PolicyFacts) -> None:
        self._store = store
        self._clock = clock
        self._residents = residents
        self._policies = policies
        self._last: tuple[Metadata, Metadata] | None = None

    def _told(self, metadata: Metadata, campaign: str) -> Metadata:
        """Who and why, with the campaign. One for what comes in a row: the rows of a slice share theirs, and what
        is shared is encoded once (see ``BatchDecider``)."""
        last = self._last
        if last is None or last[0] is not metadata or last[1].campaign != campaign:
            last = self._last = (metadata, replace(metadata, campaign=campaign))
        return last[1]

    def register_command(
        self,
        given: domain.RegisterEnrolment,
        metadata: Metadata,
        key: IdempotencyKey | None = None,
        covers: Callable[[str], bool] | None = None,
    ) -> Command:
        """Enrol a person and transmit the registration. 201 with status REGISTERED or REJECTED and the rule.

        covers: whether the caller may act in the person's village; None = anywhere.
        """
        stream = enrolment(given.insurance, given.person_id)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            resident = self._residents.of(loaded, given.person_id)
            if resident is None:
                return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")
            if covers is not None and not covers(resident.division):
                return Refusal("DIVISION_FORBIDDEN", field="person_id")
            years: YearPolicies = loaded.fact(self._policies, given.year)
            policy = years.of(resident.division)
            if isinstance(policy, Refusal):
                return policy
            events = domain.enrol(loaded.state(stream), given, resident, policy, today)
            if isinstance(events, Refusal):
                return events
            return Accepted(
                [Append(stream, events, self._told(metadata, policy.campaign))],
                response=_registered(given, events[0]),
            )

        return Command(
            "register_enrolment",
            [stream, *self._residents.streams(given.person_id)],
            judge,
            metadata,
            key,
            [(self._policies, [given.year])],
        )

    async def register(
        self,
        given: domain.RegisterEnrolment,
        metadata: Metadata,
        key: IdempotencyKey,
        covers: Callable[[str], bool],
    ) -> Outcome:
        """See ``register_command``."""
        return await self._store.execute(self.register_command(given, metadata, key, covers))

    async def cancel(
        self,
        insurance: Insurance,
        year: int,
        person_id: str,
        reason: str,
        metadata: Metadata,
        key: IdempotencyKey | None,
        covers: Callable[[str], bool],
    ) -> Outcome:
        """Cancel a live enrolment."""
        stream = enrolment(insurance, person_id)
        number = domain.record_no(insurance, year, person_id)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            record = loaded.state(stream).records.get(year)
            if record is not None and not covers(record.division):
                return Refusal("DIVISION_FORBIDDEN", field="record_no")
            events = domain.cancel_enrolment(loaded.state(stream), person_id, insurance, year, reason)
            if isinstance(events, Refusal):
                return events
            appends = [Append(stream, events)] if events else []
            return Accepted(appends, response={"record_no": number, "status": "CANCELLED"}, status=200)

        return await self._store.execute(Command("cancel_enrolment", [stream], judge, metadata, key))

    async def transmit_unit(
        self, unit_id: str, name: str, village: str, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Send a collecting unit (委托代收单位) to collection; the same again sends nothing."""
        stream = collecting_unit(unit_id)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            if not is_division(village) or len(village) != 12:
                return Refusal("VALIDATION_FAILED", rule="VILLAGE_CODE", field="village")
            known = loaded.state(stream) == Unit(name, village)
            event = CollectingUnitInfoTransmitted(unit_id=unit_id, name=name, village=village)
            appends = [] if known else [Append(stream, [event])]
            return Accepted(appends, response={"unit_id": unit_id}, status=200 if known else 201)

        return await self._store.execute(Command("transmit_collecting_unit", [stream], judge, metadata, key))

    def transmit_command(
        self,
        insurance: Insurance,
        year: int,
        person_id: str,
        ended: bool,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Command:
        """Transmit the enrolment as it stands."""
        stream = enrolment(insurance, person_id)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            resident = self._residents.of(loaded, person_id)
            if resident is None:
                return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")
            events = domain.transmit_registration(loaded.state(stream), insurance, year, resident, ended)
            if isinstance(events, Refusal):
                return events
            return Accepted([Append(stream, events)] if events else [])

        streams = [stream, *self._residents.streams(person_id)]
        return Command("transmit_registration", streams, judge, metadata, key)


def enrolment_command(
    operation: str,
    insurance: Insurance,
    person_id: str,
    decide: Decide,
    metadata: Metadata,
    key: IdempotencyKey,
    occurred_at: dt.datetime | None = None,
) -> Command:
    """A command over the one enrolment stream, from a fact."""
    stream = enrolment(insurance, person_id)

    def judge(loaded: Loaded) -> Accepted | Refusal:
        events = decide(loaded.state(stream))
        if isinstance(events, Refusal):
            return events
        return Accepted([Append(stream, events)] if events else [])

    return Command(operation, [stream], judge, metadata, key, occurred_at=occurred_at)


def _registered(given: domain.RegisterEnrolment, event: object) -> dict[str, object]:
    number = domain.record_no(given.insurance, given.year, given.person_id)
    if isinstance(event, EnrolmentRejected):
        return {"record_no": number, "status": "REJECTED", "rule": event.rule, "clause": event.clause}
    return {"record_no": number, "status": "REGISTERED", "rule": "", "clause": ""}
