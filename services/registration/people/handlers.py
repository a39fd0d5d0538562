"""Commands over people: one builder per command, used by routes and imports alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from services.registration.people import domain
from services.registration.people.stream import person
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    Guard,
    IdempotencyKey,
    Loaded,
    Outcome,
    RowWrite,
    Store,
)
from shared.eventstore.database import Connection, Database
from shared.eventstore.streams import Metadata
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.security.vault import PersonalIdentity, Vault

G = TypeVar("G", domain.EmployeeInsurance, domain.OutOfAreaCover)

Covers = Callable[[str], bool]
"""Whether the caller may act in a village."""

IDENTITY = "identity"
BIRTH_CERTIFICATE = "birth-certificate"

NUMBER_TAKEN = Refusal(
    "IDENTITY_TAKEN",
    rule="I-03",
    field="number",
    message="该公民身份号码已登记 / the number is registered already",
)
CERTIFICATE_TAKEN = Refusal("IDENTITY_TAKEN", rule="I-03", field="birth_certificate")


class People:
    """Registers, corrects and merges people; finds them by number."""

    def __init__(
        self, store: Store, database: Database, clock: Clock, runtime: Runtime, vault: Vault
    ) -> None:
        self._store = store
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._vault = vault

    def register_command(
        self, given: domain.Particulars, metadata: Metadata, key: IdempotencyKey | None = None
    ) -> Command:
        """Register a person under a fresh random id; the number may be registered once (I-03)."""
        person_id = self._runtime.random_id()
        stream = person(person_id)
        today = self._clock.today()
        identity = PersonalIdentity(given.name, given.number, given.phone)
        rows = [RowWrite(self._vault.table, self._vault.seal_row(person_id, identity))]
        guards: list[Guard] = []
        if given.number:
            guards = self._claims(IDENTITY, given.number, person_id, NUMBER_TAKEN)
        elif given.birth_certificate:
            guards = self._claims(BIRTH_CERTIFICATE, given.birth_certificate, person_id, CERTIFICATE_TAKEN)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            events = domain.register_person(loaded.state(stream), person_id, given, today)
            if isinstance(events, Refusal):
                return events
            return Accepted([Append(stream, events)], guards, rows, {"person_id": person_id})

        return Command("register_person", [stream], judge, metadata, key)

    async def register(self, given: domain.Particulars, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Register one person; 201 ``{"person_id"}``."""
        return await self._store.execute(self.register_command(given, metadata, key))

    async def correct(
        self, person_id: str, given: domain.Correction, metadata: Metadata, key: IdempotencyKey | None
    ) -> Outcome:
        """Correct particulars; private ones are sealed anew from what is held and what is given."""
        stream = person(person_id)
        today = self._clock.today()
        rows = await self._resealed(person_id, given)
        guards = self._claims(IDENTITY, given.number, person_id, NUMBER_TAKEN) if given.number else []
        holders = await self._store.guard_holders(IDENTITY, [guard.key for guard in guards])
        guards = [guard for guard in guards if holders.get(guard.key) != person_id]

        def judge(loaded: Loaded) -> Accepted | Refusal:
            events = domain.correct_person(loaded.state(stream), person_id, given, today)
            if isinstance(events, Refusal):
                return events
            return Accepted([Append(stream, events)], guards, rows, {"person_id": person_id}, status=200)

        return await self._store.execute(Command("correct_person", [stream], judge, metadata, key))

    async def merge(
        self, person_id: str, survivor_id: str, metadata: Metadata, key: IdempotencyKey | None
    ) -> Outcome:
        """Declare a person the same as the survivor."""
        stream, other = person(person_id), person(survivor_id)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            events = domain.merge_person(loaded.state(stream), loaded.state(other), person_id, survivor_id)
            if isinstance(events, Refusal):
                return events
            appends = [Append(stream, events)] if events else []
            return Accepted(appends, response={"person_id": survivor_id}, status=200)

        return await self._store.execute(Command("merge_person", [stream, other], judge, metadata, key))

    def employee_insurance_command(
        self,
        given: domain.EmployeeInsurance,
        metadata: Metadata,
        key: IdempotencyKey | None,
        covers: Covers,
    ) -> Command:
        """Record a spell of employee insurance (I-05) of a person inside the caller's divisions."""
        return _report(
            "report_employee_insurance", given, domain.report_employee_insurance, metadata, key, covers
        )

    def out_of_area_command(
        self, given: domain.OutOfAreaCover, metadata: Metadata, key: IdempotencyKey | None, covers: Covers
    ) -> Command:
        """Record cover in another pooling area (004:L81), as ``employee_insurance_command``."""
        return _report(
            "report_out_of_area_cover", given, domain.report_out_of_area_cover, metadata, key, covers
        )

    async def report(self, command: Command) -> Outcome:
        """Execute one of the reports above."""
        return await self._store.execute(command)

    async def find(self, number: str) -> str | None:
        """The person's id by number, under every index key still held; None when nobody has it."""
        async with self._database.read() as connection:
            return (await self.find_many(connection, [number])).get(number)

    async def find_many(self, connection: Connection, numbers: Sequence[str]) -> dict[str, str]:
        """Person id per known number."""
        return await self._vault.find_people(connection, numbers)

    def _claims(self, kind: str, number: str, person_id: str, refusal: Refusal) -> list[Guard]:
        """A number is claimed under every index key still held: who registered before a rotation holds it
        under the retired key only."""
        return [Guard(kind, index, person_id, refusal) for index in self._vault.blind_indexes(number)]

    async def _resealed(self, person_id: str, given: domain.Correction) -> list[RowWrite]:
        """The private row with the given fields; none when nothing private changes."""
        if given.name is None and given.number is None and given.phone is None:
            return []
        async with self._database.read() as connection:
            held = (await self._vault.identities(connection, [person_id])).get(person_id)
        if held is None:
            return []
        identity = PersonalIdentity(
            given.name if given.name is not None else held.name,
            given.number if given.number is not None else held.number,
            given.phone if given.phone is not None else held.phone,
        )
        return [RowWrite(self._vault.table, self._vault.seal_row(person_id, identity))]


def _report(
    operation: str,
    given: G,
    decide: Callable[[domain.Person, G], Decision],
    metadata: Metadata,
    key: IdempotencyKey | None,
    covers: Covers,
) -> Command:
    """What somebody else tells about a person: ``{"person_id"}``, 200 when it was known."""
    stream = person(given.person_id)

    def judge(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        if state.birth is not None and not covers(state.division):
            return Refusal("DIVISION_FORBIDDEN", field="person_id")
        events = decide(state, given)
        if isinstance(events, Refusal):
            return events
        appends = [Append(stream, events)] if events else []
        return Accepted(appends, response={"person_id": given.person_id}, status=201 if events else 200)

    return Command(operation, [stream], judge, metadata, key)
